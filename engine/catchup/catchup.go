// Package catchup brings a state to the end of a log. It promises the state that
// folding every record in order gives, whichever goroutine decoded it; that each
// record is the next one and reads as a decision; and memory for a bounded number
// of decisions on their way. It refuses gaps, records that do not fold, and to go
// on after either: the error names the sequence, and the state is not usable then.
//
// Reading and decoding run ahead of folding, and remembering requests, the half of a
// fold that shares nothing with the other, runs behind it, so that processors share
// the work (pipeline parallelism; Gray and Reuter, Transaction Processing, 1992,
// 10.3.8 on restart).
package catchup

import (
	"errors"
	"fmt"
	"io"
	"runtime/debug"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/journal"
)

// Log is what is read; every journal.Log is one, and every reader of one.
type Log interface {
	// Next returns the sequence after the last record that can be read.
	Next() uint64
	// Read is journal.Log's.
	Read(from uint64, fn func(journal.Record) error) error
}

const (
	// batchRecords are handed over at once, so that the hand-over costs nothing.
	batchRecords = 256
	// aheadBatches bounds what is decoded and not folded: a few megabytes.
	aheadBatches = 8
	// behindBatches bounds what is folded and not remembered, likewise.
	behindBatches = 8
)

// batch is a part of the log on its way to the fold.
type batch struct {
	decisions []*engine.Decision
	at        []int64 // when each was handed to the log, µs
}

// Fold folds the records of log from the state's next sequence on, up to and with
// the sequence last, or to the end if last is 0, and returns how many. see, if set,
// is told of each decision after its fold, and when it was handed to the log (µs);
// its error ends the fold. It may look at the state, though not at what is
// remembered of requests, which is there only when Fold has returned.
func Fold(log Log, s *core.State, last uint64, see func(d *engine.Decision, at int64) error) (n uint64, err error) {
	next := uint64(s.Seq()) + 1
	if end := log.Next(); last == 0 || last >= end {
		last = end - 1
	}
	if next > last {
		return 0, nil
	}
	full, changed, empty := make(chan batch, aheadBatches), make(chan batch, behindBatches), make(chan batch, aheadBatches+behindBatches+3)
	quit := make(chan struct{})
	reading, remembering := make(chan error, 1), make(chan error, 1)
	go func() {
		defer close(full)
		reading <- read(log, next, last, full, empty, quit)
	}()
	go func() { remembering <- remember(s, changed, empty) }()
	defer func() {
		close(quit)
		close(changed)
		for range full { // until the reader has ended
			continue
		}
		// A gap or damage is the cause of what did not fold after it.
		err = errors.Join(<-reading, err, <-remembering)
	}()
	for b := range full {
		m, err := change(s, b, see)
		b.decisions = b.decisions[:m]
		changed <- b
		if n += uint64(m); err != nil {
			return n, err
		}
	}
	return n, nil
}

// recovered makes a panic an error: the state behind it is not to be trusted.
func recovered(b *batch, n *int, err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("fold decision %d: panic: %v\n%s", b.decisions[*n].Seq, p, debug.Stack())
	}
}

// change folds one batch but for its requests, and returns how many.
func change(s *core.State, b batch, see func(*engine.Decision, int64) error) (n int, err error) {
	defer recovered(&b, &n, &err)
	for i, d := range b.decisions {
		if i%core.Together == 0 {
			s.Ahead(b.decisions[i:min(i+core.Together, len(b.decisions))])
		}
		if err := s.Change(d); err != nil {
			return n, err
		}
		if see != nil {
			err = see(d, b.at[i])
		}
		if n++; err != nil {
			return n, err
		}
	}
	return n, nil
}

// remember remembers the requests of what was changed, and gives the batches back.
func remember(s *core.State, changed <-chan batch, empty chan<- batch) (err error) {
	for b := range changed {
		if err == nil {
			err = rememberOne(s, b)
		}
		empty <- b // has room for all that there are
	}
	return err
}

func rememberOne(s *core.State, b batch) (err error) {
	defer recovered(&b, new(int), &err) // the first of those that it may have been
	s.Remember(b.decisions)
	return nil
}

// errQuit ends a read that nobody wants any more.
var errQuit = errors.New("nobody folds")

// read decodes records into batches.
func read(log Log, next, last uint64, full chan<- batch, empty <-chan batch, quit <-chan struct{}) error {
	var (
		b batch
		k engine.Coder
	)
	send := func() error {
		if len(b.decisions) == 0 {
			return nil
		}
		select {
		case full <- b:
		case <-quit:
			return errQuit
		}
		select {
		case b = <-empty:
			b = batch{b.decisions[:0], b.at[:0]}
		default:
			b = batch{make([]*engine.Decision, 0, batchRecords), make([]int64, 0, batchRecords)}
		}
		return nil
	}
	err := log.Read(next, func(r journal.Record) error {
		if r.Seq > last {
			return journal.ErrStop
		}
		if r.Seq != next {
			return fmt.Errorf("%w: record %d comes where %d belongs", core.ErrFold, r.Seq, next)
		}
		d, err := k.Decode(engine.Seq(r.Seq), r.Payload)
		if err != nil {
			return err
		}
		next++
		if b.decisions, b.at = append(b.decisions, d), append(b.at, r.At); len(b.decisions) == batchRecords {
			return send()
		}
		return nil
	})
	if err == nil {
		err = send()
	}
	switch {
	case errors.Is(err, errQuit):
		return nil
	case err == nil && next <= last:
		return fmt.Errorf("the log ends at %d, and said %d", next-1, last)
	}
	return err
}

// Clone returns a second state that is the same as one, and shares nothing with
// it.
func Clone(s *core.State) (*core.State, error) {
	r, w := io.Pipe()
	dumped := make(chan struct{})
	go func() {
		defer close(dumped)
		_ = w.CloseWithError(s.Dump(w)) // never fails
	}()
	c, err := core.Load(r)
	_ = r.CloseWithError(errQuit) // the dump has ended, unless the load did not want it
	<-dumped
	if err != nil {
		return nil, fmt.Errorf("clone a state: %w", err)
	}
	return c, nil
}
