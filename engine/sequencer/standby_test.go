package sequencer_test

import (
	"errors"
	"testing"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/journal/postgres"
	"github.com/mbp-market/mbp/engine/sequencer"
	"github.com/mbp-market/mbp/tests/pg"
)

// pair is a hall with its log in a database, which others may follow.
func pair(t *testing.T, url string) *hall {
	t.Helper()
	log, err := postgres.Follow(postgres.Config{URL: url, Lease: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	h, err := enter(sequencer.Config{Log: log, Standby: true})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// TestStandby: a writer that stands by shows what the other one decides, decides
// nothing, and goes on where that one ended.
func TestStandby(t *testing.T) {
	url := pg.Shared(t).Database(t)
	active := pair(t, url)
	<-active.Leading()
	standby := pair(t, url)
	open := sequencer.Request{Principal: "ana", Key: "k", Input: []byte("x"), Command: &engine.OpenAccount{}}
	first, err := active.Submit(t.Context(), open)
	if err != nil {
		t.Fatal(err)
	}
	if err := standby.Wait(t.Context(), first.Decision.Seq); err != nil {
		t.Fatal(err)
	}
	if _, err := standby.Submit(t.Context(), open); !errors.Is(err, sequencer.ErrStandby) || !errors.Is(err, sequencer.ErrStopped) {
		t.Fatalf("a standby answers %v", err)
	}
	if got, err := standby.Decision(1); err != nil || got.At != first.At {
		t.Fatalf("the standby shows %+v, error %v", got, err)
	}
	if err := active.leave(); err != nil {
		t.Fatal(err)
	}
	<-standby.Leading()
	again, err := standby.Submit(t.Context(), open)
	if err != nil || !again.Replayed || again.Decision.Seq != first.Decision.Seq {
		t.Fatalf("a repetition at the other writer: %+v, error %v", again, err)
	}
	open.Key = "l"
	next, err := standby.Submit(t.Context(), open)
	if err != nil || next.Decision.Seq != first.Decision.Seq+1 {
		t.Fatalf("the next decision: %+v, error %v", next, err)
	}
	var seen []engine.Seq
	stop := errors.New("all seen")
	err = standby.Follow(t.Context(), 1, func(c sequencer.Committed) error {
		if seen = append(seen, c.Decision.Seq); len(seen) == 2 {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) {
		t.Fatal(err)
	}
	if err := standby.leave(); err != nil {
		t.Fatal(err)
	}
}

// TestStandbyStops: a standby that is told to end ends, and one whose journal no
// longer holds what it has folded does not go on.
func TestStandbyStops(t *testing.T) {
	server := pg.Shared(t)
	url := server.Database(t)
	active := pair(t, url)
	<-active.Leading()
	if _, err := active.Submit(t.Context(), sequencer.Request{Principal: "ana", Command: &engine.OpenAccount{}}); err != nil {
		t.Fatal(err)
	}
	calm, astray := pair(t, url), pair(t, url)
	for _, h := range []*hall{calm, astray} {
		if err := h.Wait(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
	}
	if err := calm.leave(); err != nil {
		t.Fatal(err)
	}
	server.Exec(t, pg.NameOf(url), "SET session_replication_role = replica", "UPDATE mbp.record SET crc = crc + 1")
	if err := <-astray.done; err == nil {
		t.Error("the standby goes on")
	}
	astray.View(func(s *core.State) {
		if s.Seq() != 1 {
			t.Errorf("it shows %d", s.Seq())
		}
	})
	if err := errors.Join(astray.log.Close(), active.leave()); err != nil {
		t.Fatal(err)
	}
	if _, err := sequencer.New(sequencer.Config{Log: memory(t, 1<<20), Standby: true}); err == nil {
		t.Error("a standby of a journal that nobody shares")
	}
}
