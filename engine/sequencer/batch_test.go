package sequencer

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mbp-market/mbp/engine/journal"
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
		c := newCommitter(q)
		c.in = make(chan *batch, 1)
		b := <-c.free
		for i := range waiting {
			waiting[i] = q.ticket(Request{Principal: "x"})
			b.acks = append(b.acks, ack{t: waiting[i]})
		}
		b.acks[0].err, b.acks[1].again = ErrRevoked, 7
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

// TestHandingOver: on a log that takes a batch behind another one, half of who is
// known are on their way together, nobody waits while nothing is, and no more than two
// batches are.
func TestHandingOver(t *testing.T) {
	for _, c := range []struct {
		asked, flying, size, waiting int
		early, ready                 bool
	}{
		{0, 0, 1, 0, false, true},       // alone
		{0, 0, 128, 128, true, true},    // the first half
		{0, 0, 112, 144, false, true},   // not yet, unless nobody comes
		{128, 1, 112, 16, false, false}, // not yet
		{128, 1, 128, 0, true, true},    // the second half
		{1, 1, 1, 0, false, true},       // two that come one after the other
		{8, 1, 1, 0, false, false},      // not for one of nine
		{256, 2, 400, 0, false, false},  // the log has enough to do
		{0, 1, 16, 0, true, true},       // behind the engine's own
	} {
		q := &Sequencer{intake: newIntake(DefaultQueue, false)}
		q.line.in = q.intake
		q.intake.waiting = make([]*ticket, c.waiting)
		l := &committer{q: q, log: struct{ journal.Pipelined }{}}
		l.asked.Store(int32(c.asked))
		l.flying.Store(int32(c.flying))
		b := &batch{acks: make([]ack, c.size), buf: make([]byte, 200*c.size)}
		if early, ready := l.early(b), l.ready(b); early != c.early || ready != c.ready {
			t.Errorf("%+v: early %t, ready %t", c, early, ready)
		}
	}
}
