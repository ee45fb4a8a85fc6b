package sequencer

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mbp-market/mbp/engine/journal/faultfs"
	"github.com/mbp-market/mbp/engine/journal/file"
)

// A panic between two answers, planted here by a decision that is not there,
// stops the committing stage: who was answered hears nothing more, everybody else
// that the outcome is unknown. A second answer would wait for ever for its room.
func TestPanicBetweenAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, err := file.Open(file.Config{Dir: "j", FS: faultfs.New(), SegmentSize: 1 << 16})
		if err != nil {
			t.Fatal(err)
		}
		q, err := New(Config{Log: l})
		if err != nil {
			t.Fatal(err)
		}
		var waiting [4]*ticket
		b := &batch{}
		for i := range waiting {
			waiting[i] = q.ticket(Request{Principal: "x"})
			b.acks = append(b.acks, ack{t: waiting[i]})
		}
		b.acks[0].err, b.acks[1].again = ErrRevoked, 7
		c := committer{q: q, in: make(chan *batch, 1), idle: make(chan struct{}, 1), failed: make(chan struct{})}
		c.in <- b
		c.run()
		<-c.failed
		if c.err == nil {
			t.Error("the stage ended without an error")
		}
		for i, want := range []outcome{{err: ErrRevoked}, {again: 7}, {err: ErrUnknown}, {err: ErrUnknown}} {
			<-waiting[i].done
			if got := waiting[i].out; got.again != want.again || !errors.Is(got.err, want.err) {
				t.Errorf("request %d: %+v, want %+v", i, got, want)
			}
			if len(waiting[i].done) != 0 {
				t.Errorf("request %d was answered twice", i)
			}
		}
		if n := testutil.ToFloat64(q.metrics.orchestration.WithLabelValues("journal")); n != 2 {
			t.Errorf("%g requests counted as unknown, want 2", n)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}
