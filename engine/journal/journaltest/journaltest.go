// Package journaltest is the conformance suite that every journal.Log passes. It
// promises to test the interface as written, through nothing but the interface,
// and refuses to know how a log stores its records.
package journaltest

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/mbp-market/mbp/engine/journal"
)

// Place is where one test's log lives. Open opens the log, again after Close;
// the suite closes what it opened.
type Place struct {
	Open func() (journal.Log, error)
}

// Run tests the logs that fresh makes; each subtest calls it once and expects an
// empty log.
func Run(t *testing.T, fresh func(t *testing.T) Place) {
	for name, test := range map[string]func(*testing.T, Place){
		"empty log starts at 1":            testEmpty,
		"records come back in order":       testRoundTrip,
		"read starts anywhere":             testReadFrom,
		"read stops when told":             testStop,
		"broken batches fail for good":     testRefusals,
		"limits are accepted":              testLimits,
		"payload buffers are not kept":     testBuffers,
		"closed log refuses":               testClosed,
		"readers see whole batches only":   testConcurrent,
		"one holder at a time":             testLock,
		"many reopenings lose nothing":     testReopen,
		"callback errors reach the caller": testCallbackError,
	} {
		t.Run(name, func(t *testing.T) { test(t, fresh(t)) })
	}
}

func open(t *testing.T, p Place) journal.Log {
	t.Helper()
	l, err := p.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return l
}

// Payload returns the content that record seq has in these tests: a size from 1
// to about 600 bytes and bytes that depend on seq and salt.
func Payload(seq, salt uint64) []byte {
	rng := rand.New(rand.NewPCG(seq, salt)) //nolint:gosec // reproducible, not secret
	b := make([]byte, 1+rng.IntN(600))
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// Batch returns n payloads for the sequences from first on.
func Batch(first uint64, n int, salt uint64) [][]byte {
	out := make([][]byte, n)
	for i := range out {
		out[i] = Payload(first+uint64(i), salt)
	}
	return out
}

func mustAppend(t *testing.T, l journal.Log, n int) {
	t.Helper()
	first := l.Next()
	if err := l.Append(first, int64(first)*10, Batch(first, n, 1)); err != nil {
		t.Fatal(err)
	}
	if got := l.Next(); got != first+uint64(n) {
		t.Fatalf("next is %d after %d records from %d", got, n, first)
	}
}

// check reads the log from a sequence and compares it with Payload.
func check(l journal.Log, from, want uint64) error {
	seq := max(1, from)
	err := l.Read(from, func(r journal.Record) error {
		if r.Seq != seq {
			return fmt.Errorf("sequence %d, want %d", r.Seq, seq)
		}
		if !bytes.Equal(r.Payload, Payload(seq, 1)) {
			return fmt.Errorf("payload of %d differs", seq)
		}
		if r.At <= 0 || r.At > int64(seq)*10 {
			return fmt.Errorf("record %d is at %d", seq, r.At)
		}
		seq++
		return nil
	})
	if err == nil && seq < want {
		err = fmt.Errorf("read ended before %d, want up to %d", seq, want)
	}
	return err
}

func testEmpty(t *testing.T, p Place) {
	l := open(t, p)
	if l.Next() != 1 {
		t.Fatalf("next is %d", l.Next())
	}
	for _, from := range []uint64{0, 1, 7} {
		err := l.Read(from, func(journal.Record) error { return errors.New("a record in an empty log") })
		if err != nil {
			t.Fatal(err)
		}
	}
}

func testRoundTrip(t *testing.T, p Place) {
	l := open(t, p)
	for _, n := range []int{1, 1, 7, 300, 2, 1, 40} {
		mustAppend(t, l, n)
	}
	if err := check(l, 0, l.Next()); err != nil {
		t.Fatal(err)
	}
}

func testReadFrom(t *testing.T, p Place) {
	l := open(t, p)
	for i := range 60 {
		mustAppend(t, l, 1+i%9)
	}
	for from := uint64(1); from <= l.Next()+2; from++ {
		if err := check(l, from, l.Next()); err != nil {
			t.Fatalf("from %d: %v", from, err)
		}
	}
}

func testStop(t *testing.T, p Place) {
	l := open(t, p)
	mustAppend(t, l, 10)
	seen := 0
	err := l.Read(4, func(r journal.Record) error {
		if seen++; r.Seq == 6 {
			return journal.ErrStop
		}
		return nil
	})
	if err != nil || seen != 3 {
		t.Fatalf("saw %d records, error %v", seen, err)
	}
}

func testCallbackError(t *testing.T, p Place) {
	l := open(t, p)
	mustAppend(t, l, 3)
	mine := errors.New("mine")
	if err := l.Read(1, func(journal.Record) error { return mine }); !errors.Is(err, mine) {
		t.Fatalf("got %v", err)
	}
}

func testRefusals(t *testing.T, p Place) {
	big := make([]byte, journal.MaxRecord+1)
	for name, c := range map[string]struct {
		first    uint64
		payloads [][]byte
	}{
		"gap":        {5, Batch(5, 1, 1)},
		"overlap":    {3, Batch(3, 1, 1)},
		"no records": {4, nil},
		"empty":      {4, [][]byte{{}}},
		"too large":  {4, [][]byte{big}},
		"too many":   {4, make([][]byte, journal.MaxBatchRecords+1)},
	} {
		l, err := p.Open()
		if err != nil {
			t.Fatal(err)
		}
		if l.Next() == 1 {
			mustAppend(t, l, 3)
		}
		if err := l.Append(c.first, 1, c.payloads); !errors.Is(err, journal.ErrBatch) {
			t.Errorf("%s: got %v", name, err)
		}
		if err := l.Append(4, 1, Batch(4, 1, 1)); !errors.Is(err, journal.ErrFailed) {
			t.Errorf("%s: an append after the failure got %v", name, err)
		}
		if err := check(l, 1, 4); err != nil {
			t.Errorf("%s: reading after the failure: %v", name, err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if l := open(t, p); l.Next() != 4 {
		t.Fatalf("next is %d after refused batches", l.Next())
	}
}

func testLimits(t *testing.T, p Place) {
	l := open(t, p)
	full := make([][]byte, journal.MaxBatchBytes/journal.MaxRecord)
	for i := range full {
		full[i] = bytes.Repeat([]byte{byte(i + 1)}, journal.MaxRecord)
	}
	many := make([][]byte, journal.MaxBatchRecords)
	for i := range many {
		many[i] = []byte{byte(i)}
	}
	for _, batch := range [][][]byte{full, many, full} {
		first := l.Next()
		if err := l.Append(first, 1, batch); err != nil {
			t.Fatal(err)
		}
		i := 0
		err := l.Read(first, func(r journal.Record) error {
			if !bytes.Equal(r.Payload, batch[i]) {
				return fmt.Errorf("record %d differs", i)
			}
			i++
			return nil
		})
		if err != nil || i != len(batch) {
			t.Fatalf("%d of %d records, error %v", i, len(batch), err)
		}
	}
}

func testBuffers(t *testing.T, p Place) {
	l := open(t, p)
	batch := Batch(1, 3, 1)
	if err := l.Append(1, 5, batch); err != nil {
		t.Fatal(err)
	}
	for _, b := range batch {
		clear(b)
	}
	if err := check(l, 1, 4); err != nil {
		t.Fatal(err)
	}
}

func testClosed(t *testing.T, p Place) {
	l, err := p.Open()
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, 2)
	for range 2 {
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Append(3, 1, Batch(3, 1, 1)); !errors.Is(err, journal.ErrClosed) {
		t.Fatalf("append: %v", err)
	}
	if err := l.Read(1, func(journal.Record) error { return nil }); !errors.Is(err, journal.ErrClosed) {
		t.Fatalf("read: %v", err)
	}
}

func testConcurrent(t *testing.T, p Place) {
	l := open(t, p)
	const batches, size = 150, 4
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for last := uint64(1); ; {
				select {
				case <-done:
					return
				default:
				}
				next := l.Next()
				if next < last || (next-1)%size != 0 {
					t.Errorf("next went from %d to %d", last, next)
					return
				}
				last = next
				if err := check(l, next/2, next); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range batches {
		mustAppend(t, l, size)
	}
	close(done)
	wg.Wait()
}

func testLock(t *testing.T, p Place) {
	l, err := p.Open()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Open(); !errors.Is(err, journal.ErrLocked) {
		t.Fatalf("a second holder got %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, p)
}

func testReopen(t *testing.T, p Place) {
	want := uint64(1)
	for i := range 20 {
		l, err := p.Open()
		if err != nil {
			t.Fatal(err)
		}
		if l.Next() != want {
			t.Fatalf("next is %d, want %d", l.Next(), want)
		}
		if err := check(l, 1, want); err != nil {
			t.Fatal(err)
		}
		for range i % 4 {
			mustAppend(t, l, 1+i)
		}
		want = l.Next()
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
