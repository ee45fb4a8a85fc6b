package fold

import "github.com/mbp-market/mbp/engine"

// How much of what moderators look at is remembered. What is older stands in the
// log, where it can be read and not acted on.
const (
	// MaxAbuses bounds the decisions that raised abuse, in all: a few megabytes.
	MaxAbuses = 100_000
	// MaxAbusesOfMarket bounds those of one market, and of none, so that a flood on
	// one does not push out what a hundred others have raised. It is more than a
	// moderator can look at.
	MaxAbusesOfMarket = 1000
	// MaxModerations bounds the acts that can be taken back: a year of 27 a day.
	MaxModerations = 10_000
)

// Recent remembers the latest of what came with decisions: so many in all, and so
// many of one owner. One more pushes out the oldest.
type Recent[T any] struct {
	most, each int
	kept       map[engine.Seq]kept[T]
	order      []engine.Seq            // the oldest first; what is not kept any more is skipped
	of         map[uint32][]engine.Seq // what is kept of each owner, the oldest first
}

type kept[T any] struct {
	owner uint32
	value T
}

func newRecent[T any](most, each int) *Recent[T] {
	return &Recent[T]{most: most, each: each, kept: map[engine.Seq]kept[T]{}, of: map[uint32][]engine.Seq{}}
}

// Get returns what came with a decision, if it is remembered.
func (r *Recent[T]) Get(seq engine.Seq) (v T, ok bool) {
	k, ok := r.kept[seq]
	return k.value, ok
}

// Each calls fn with what is remembered, the oldest first.
func (r *Recent[T]) Each(fn func(engine.Seq, T)) {
	for _, seq := range r.order {
		if k, ok := r.kept[seq]; ok {
			fn(seq, k.value)
		}
	}
}

// add remembers what came with a decision, which is newer than all others; the
// first of one decision stays.
func (r *Recent[T]) add(seq engine.Seq, owner uint32, v T) {
	if _, known := r.kept[seq]; known {
		return
	}
	if mine := r.of[owner]; len(mine) == r.each {
		r.drop(mine[0])
	}
	for len(r.kept) >= r.most {
		r.drop(r.order[0])
		r.order = r.order[1:]
	}
	if len(r.order) >= 2*r.most { // at least half of it has gone
		live := make([]engine.Seq, 0, r.most)
		r.Each(func(q engine.Seq, _ T) { live = append(live, q) })
		r.order = live
	}
	r.kept[seq] = kept[T]{owner, v}
	r.order = append(r.order, seq)
	r.of[owner] = append(r.of[owner], seq)
}

// set changes what is remembered of a decision, if it is.
func (r *Recent[T]) set(seq engine.Seq, v T) {
	if k, known := r.kept[seq]; known {
		k.value = v
		r.kept[seq] = k
	}
}

// drop forgets a decision.
func (r *Recent[T]) drop(seq engine.Seq) {
	k, known := r.kept[seq]
	if !known {
		return
	}
	delete(r.kept, seq)
	mine := r.of[k.owner]
	for i, q := range mine { // the first, unless somebody asked for it
		if q == seq {
			mine = append(mine[:i], mine[i+1:]...)
			break
		}
	}
	if r.of[k.owner] = mine; len(mine) == 0 {
		delete(r.of, k.owner)
	}
}
