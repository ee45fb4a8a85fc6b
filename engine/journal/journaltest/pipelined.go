package journaltest

import (
	"errors"
	"sync"
	"testing"

	"github.com/mbp-market/mbp/engine/journal"
)

// RunPipelined tests the logs that fresh makes, each of them a journal.Pipelined.
func RunPipelined(t *testing.T, fresh func(t *testing.T) Place) {
	for name, test := range map[string]func(*testing.T, Place){
		"batches under way settle in order": testSettle,
		"sending beside settling":           testBeside,
		"broken batches fail all":           testUnderWay,
		"close gives up what is under way":  testGivenUp,
	} {
		t.Run(name, func(t *testing.T) { test(t, fresh(t)) })
	}
}

func pipelined(t *testing.T, p Place) journal.Pipelined {
	t.Helper()
	l, ok := open(t, p).(journal.Pipelined)
	if !ok {
		t.Fatal("the log is not journal.Pipelined")
	}
	return l
}

// send sends a batch and forgets it, as the log must have done.
func send(t *testing.T, l journal.Pipelined, first uint64, n int) {
	t.Helper()
	batch := Batch(first, n, 1)
	if err := l.Send(first, int64(first), batch); err != nil {
		t.Fatal(err)
	}
	for _, b := range batch {
		clear(b)
	}
}

func mustSettle(t *testing.T, l journal.Pipelined, next uint64) {
	t.Helper()
	if err := l.Settle(); err != nil {
		t.Fatal(err)
	}
	if l.Next() != next {
		t.Fatalf("next is %d, want %d", l.Next(), next)
	}
}

func testSettle(t *testing.T, p Place) {
	l := pipelined(t, p)
	next := uint64(1)
	for range 3 {
		begin := next
		sizes := []int{1, 60, 2, 300}[:journal.MaxUnderWay]
		for _, n := range sizes {
			send(t, l, next, n)
			next += uint64(n)
		}
		if l.Next() != begin {
			t.Fatalf("next is %d before anything is settled, want %d", l.Next(), begin)
		}
		for _, n := range sizes {
			begin += uint64(n)
			mustSettle(t, l, begin)
			if err := check(l, 0, begin); err != nil {
				t.Fatal(err)
			}
		}
		mustAppend(t, l, 5)
		next += 5
	}
	if err := check(l, 0, next); err != nil {
		t.Fatal(err)
	}
}

func testBeside(t *testing.T, p Place) {
	l := pipelined(t, p)
	const batches, size = 100, 3
	sent := make(chan struct{}, journal.MaxUnderWay-2) // one more is sent, one more settled
	var sender sync.WaitGroup
	sender.Go(func() {
		defer close(sent)
		for i := range uint64(batches) {
			first := 1 + i*size
			if err := l.Send(first, int64(first), Batch(first, size, 1)); err != nil {
				t.Error(err)
				return
			}
			sent <- struct{}{}
		}
	})
	next := uint64(1)
	for range sent {
		if next += size; l.Settle() != nil || l.Next() != next {
			t.Errorf("next is %d, want %d", l.Next(), next)
		}
	}
	sender.Wait()
	if err := check(l, 0, 1+batches*size); err != nil {
		t.Fatal(err)
	}
}

// testUnderWay: what is sent in good order before a batch that is refused is there
// whole or not at all, and nothing after it.
func testUnderWay(t *testing.T, p Place) {
	next := uint64(1)
	for name, broken := range map[string]func(l journal.Pipelined) error{
		"a gap":     func(l journal.Pipelined) error { return l.Send(next+4, 1, Batch(next+4, 1, 1)) },
		"an append": func(l journal.Pipelined) error { return l.Append(next+3, 1, Batch(next+3, 1, 1)) },
		"too many": func(l journal.Pipelined) error {
			for i := range uint64(journal.MaxUnderWay - 1) {
				send(t, l, next+3+i, 1)
			}
			return l.Send(next+2+journal.MaxUnderWay, 1, Batch(1, 1, 1))
		},
	} {
		opened, err := p.Open()
		if err != nil {
			t.Fatal(err)
		}
		l := opened.(journal.Pipelined)
		if next = l.Next(); next == 1 { // so that nothing is under way, and nothing settled
			mustAppend(t, l, 1)
			next++
		}
		send(t, l, next, 3)
		if err := broken(l); !errors.Is(err, journal.ErrBatch) {
			t.Errorf("%s: got %v", name, err)
		}
		if err := l.Settle(); !errors.Is(err, journal.ErrFailed) {
			t.Errorf("%s: settled with %v", name, err)
		}
		if err := l.Send(next+3, 1, Batch(next+3, 1, 1)); !errors.Is(err, journal.ErrFailed) {
			t.Errorf("%s: a batch after the failure got %v", name, err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		reopen(t, p, next, 3, name == "too many")
	}
	l := pipelined(t, p)
	if err := l.Settle(); !errors.Is(err, journal.ErrBatch) {
		t.Errorf("nothing was sent, and settled with %v", err)
	}
}

// reopen holds what a log has after a batch of n records from first on was under way,
// alone or with more behind it.
func reopen(t *testing.T, p Place, first uint64, n int, more bool) {
	t.Helper()
	var l journal.Log
	err := journal.ErrLocked
	for errors.Is(err, journal.ErrLocked) { // until the lease has ended
		if l, err = p.Open(); err != nil && !errors.Is(err, journal.ErrLocked) {
			t.Fatal(err)
		}
	}
	if next := l.Next(); next != first && next != first+uint64(n) && (!more || next < first+uint64(n)) {
		t.Errorf("next is %d after %d records from %d were under way", next, n, first)
	}
	if err := check(l, 0, l.Next()); err != nil {
		t.Error(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func testGivenUp(t *testing.T, p Place) {
	opened, err := p.Open()
	if err != nil {
		t.Fatal(err)
	}
	l := opened.(journal.Pipelined)
	mustAppend(t, l, 2)
	send(t, l, 3, 4)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.Settle(); !errors.Is(err, journal.ErrClosed) {
		t.Errorf("settled with %v", err)
	}
	reopen(t, p, 3, 4, false)
}
