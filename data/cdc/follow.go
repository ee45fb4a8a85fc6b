package cdc

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/journal"
)

const (
	// readAhead bounds the decisions that are decoded at once.
	readAhead = 1024
	// DefaultPoll is how often an idle journal is asked for news: far below the
	// second that a row waits for its file anyway.
	DefaultPoll = 50 * time.Millisecond
)

// Reader is the part of journal.Log that a follower needs; both methods may be
// called while another goroutine appends.
type Reader interface {
	Next() uint64
	Read(from uint64, fn func(journal.Record) error) error
}

// Follower is the Source over a journal in the same process. One goroutine uses
// it.
type Follower struct {
	log   Reader
	poll  time.Duration // 0: end with io.EOF at the head
	next  uint64
	ahead []Committed // decoded and not delivered; its capacity is reused
	given int         // delivered from ahead
}

// Follow returns the source of every decision of a log. It asks for news every
// poll; with a poll of 0 it ends at the head of the log.
func Follow(log Reader, poll time.Duration) *Follower {
	return &Follower{log: log, poll: poll, next: 1}
}

// Seek implements Seeker.
func (f *Follower) Seek(next uint64) {
	f.ahead, f.given, f.next = f.ahead[:0], 0, next
}

// Next implements Source.
func (f *Follower) Next(ctx context.Context) (Committed, error) {
	for f.given == len(f.ahead) {
		if err := f.fill(); err != nil {
			return Committed{}, err
		}
		if len(f.ahead) > 0 {
			break
		}
		if f.poll == 0 {
			return Committed{}, io.EOF
		}
		timer := time.NewTimer(f.poll)
		select {
		case <-ctx.Done():
			timer.Stop()
			return Committed{}, ctx.Err()
		case <-timer.C:
		}
	}
	c := f.ahead[f.given]
	f.given++
	return c, nil
}

// fill decodes what the journal has beyond the last decision delivered.
func (f *Follower) fill() error {
	f.ahead, f.given = slices.Delete(f.ahead, 0, len(f.ahead)), 0
	if f.log.Next() <= f.next {
		return nil
	}
	err := f.log.Read(f.next, func(r journal.Record) error {
		d, err := engine.Decode(engine.Seq(r.Seq), r.Payload)
		if err != nil {
			return err
		}
		f.ahead = append(f.ahead, Committed{Decision: d, At: r.At})
		f.next = r.Seq + 1
		if len(f.ahead) == readAhead {
			return journal.ErrStop
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("follow the journal from %d: %w", f.next, err)
	}
	return nil
}
