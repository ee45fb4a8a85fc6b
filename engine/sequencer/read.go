package sequencer

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/journal"
)

const (
	// recentDecisions bounds the decisions kept in memory for followers and
	// repetitions: a few megabytes, and with it followers that keep up never
	// touch the disk.
	recentDecisions = 1024
	// readAhead bounds the decisions that a follower holds at once.
	readAhead = 256
)

// ArchivedError says that decisions before Kept are not in the journal any more, and
// that it has no archive that holds them. Read on from Kept, or where the archive is.
type ArchivedError struct{ Kept engine.Seq }

func (e *ArchivedError) Error() string {
	return fmt.Sprintf("decisions before %d are in an archive that this server does not read", e.Kept)
}

// Decision returns a durable decision as the journal holds it.
func (q *Sequencer) Decision(seq engine.Seq) (Committed, error) {
	if seq == 0 || seq > q.Durable() {
		return Committed{}, ErrNotFound
	}
	var room [1]Committed
	got, err := q.since(seq, room[:0])
	if err != nil {
		return Committed{}, err
	}
	return got[0], nil
}

// Follow calls fn with every durable decision from a sequence on (0 means 1), in
// order and once, until ctx ends or fn fails, and returns that error. It reads
// for itself: a slow follower falls behind, catches up from the journal, and
// holds up nobody.
func (q *Sequencer) Follow(ctx context.Context, from engine.Seq, fn func(Committed) error) error {
	next := max(from, 1)
	room := make([]Committed, 0, readAhead)
	for {
		if news := q.feed.wait(next); news != nil {
			select {
			case <-news:
			case <-ctx.Done():
				return ctx.Err()
			}
			continue
		}
		got, err := q.since(next, room)
		if err != nil {
			return err
		}
		for _, c := range got {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := fn(c); err != nil {
				return err
			}
			next = c.Decision.Seq + 1
		}
		clear(got)
	}
}

// Wait returns when a decision is durable and visible, or with the error of ctx.
func (q *Sequencer) Wait(ctx context.Context, seq engine.Seq) error {
	for {
		news := q.feed.wait(seq)
		if news == nil {
			return nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// since fills the room with the durable decisions from a sequence on, which must
// be durable itself: from memory if they are recent, else from the journal.
func (q *Sequencer) since(from engine.Seq, room []Committed) ([]Committed, error) {
	if got := q.feed.copy(from, room); len(got) > 0 {
		return got, nil
	}
	end := q.Durable()
	err := q.cfg.Log.Read(uint64(from), func(r journal.Record) error {
		if len(room) == cap(room) || engine.Seq(r.Seq) > end {
			return journal.ErrStop
		}
		d, err := engine.Decode(engine.Seq(r.Seq), r.Payload)
		room = append(room, Committed{Decision: d, At: engine.Time(r.At)})
		return err
	})
	if errors.Is(err, journal.ErrArchived) {
		err = errors.Join(&ArchivedError{Kept: engine.Seq(q.cfg.Log.First())}, err)
	}
	if err == nil && len(room) == 0 {
		err = fmt.Errorf("the journal ends before it, at %d", q.cfg.Log.Next()-1)
	}
	if err != nil {
		return nil, fmt.Errorf("read decision %d: %w", from, err)
	}
	return room, nil
}

// feed keeps the last decisions in memory and wakes who waits for the next one.
type feed struct {
	mu    sync.Mutex
	first engine.Seq // of the oldest one kept
	next  engine.Seq // after the newest one
	ring  [recentDecisions]Committed
	news  chan struct{} // closed by the next push; nil if nobody waits
}

func (f *feed) start(next engine.Seq) { f.first, f.next = next, next }

func (f *feed) push(ds []*engine.Decision, at engine.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, d := range ds {
		f.ring[d.Seq%recentDecisions] = Committed{Decision: d, At: at}
		f.next = d.Seq + 1
	}
	if f.next > f.first+recentDecisions {
		f.first = f.next - recentDecisions
	}
	if f.news != nil {
		close(f.news)
		f.news = nil
	}
}

// copy appends the decisions from a sequence on to room, as far as its capacity
// goes; none if they are too old or yet to come.
func (f *feed) copy(from engine.Seq, room []Committed) []Committed {
	f.mu.Lock()
	defer f.mu.Unlock()
	if from < f.first {
		return room
	}
	for ; from < f.next && len(room) < cap(room); from++ {
		room = append(room, f.ring[from%recentDecisions])
	}
	return room
}

// wait returns a channel that is closed once more decisions are there; nil if a
// sequence is there already.
func (f *feed) wait(seq engine.Seq) <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if seq < f.next {
		return nil
	}
	if f.news == nil {
		f.news = make(chan struct{})
	}
	return f.news
}
