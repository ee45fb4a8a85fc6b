// Package recent remembers the latest of what came with decisions, so many in all
// and so many of one owner, so that a flood of one pushes out its own. It promises
// that what is forgotten follows from what is remembered alone, and that a set that
// is read from its dump goes on as before. It refuses to know what it remembers.
package recent

import (
	"github.com/mbp-market/mbp/engine/internal/dump"
	"github.com/mbp-market/mbp/engine/internal/wire"
)

// Set remembers the latest of what came with decisions: so many in all, and so
// many of one owner. One more pushes out the oldest.
type Set[K ~uint64, T any] struct {
	most, each int
	kept       map[K]kept[T]
	order      []K            // the oldest first; what is not kept any more is skipped
	of         map[uint32][]K // what is kept of each owner, the oldest first
}

type kept[T any] struct {
	owner uint32
	value T
}

// New returns an empty set with its limits: so many in all, and so many of an owner.
func New[K ~uint64, T any](most, each int) *Set[K, T] {
	return &Set[K, T]{most: most, each: each, kept: map[K]kept[T]{}, of: map[uint32][]K{}}
}

// Get returns what came with a decision, if it is remembered.
func (r *Set[K, T]) Get(seq K) (v T, ok bool) {
	k, ok := r.kept[seq]
	return k.value, ok
}

// Each calls fn with what is remembered, the oldest first.
func (r *Set[K, T]) Each(fn func(K, T)) {
	for _, seq := range r.order {
		if k, ok := r.kept[seq]; ok {
			fn(seq, k.value)
		}
	}
}

// Add remembers what came with a decision, which is newer than all others; the
// first of one decision stays.
func (r *Set[K, T]) Add(seq K, owner uint32, v T) {
	if _, known := r.kept[seq]; known {
		return
	}
	if mine := r.of[owner]; len(mine) == r.each {
		r.Drop(mine[0])
	}
	for len(r.kept) >= r.most {
		r.Drop(r.order[0])
		r.order = r.order[1:]
	}
	if len(r.order) >= 2*r.most { // at least half of it has gone
		live := make([]K, 0, r.most)
		r.Each(func(q K, _ T) { live = append(live, q) })
		r.order = live
	}
	r.kept[seq] = kept[T]{owner, v}
	r.order = append(r.order, seq)
	r.of[owner] = append(r.of[owner], seq)
}

// Put changes what is remembered of a decision, if it is.
func (r *Set[K, T]) Put(seq K, v T) {
	if k, known := r.kept[seq]; known {
		k.value = v
		r.kept[seq] = k
	}
}

// Drop forgets a decision.
func (r *Set[K, T]) Drop(seq K) {
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

// Code writes or reads what is remembered, the oldest first, each value by the
// function given. What is read into is New; a sequence above last is refused.
func (r *Set[K, T]) Code(c *dump.Codec, last K, value func(*T)) {
	n := c.Len(len(r.kept), r.most)
	before := K(0)
	one := func(seq K, k kept[T]) (K, kept[T]) {
		c.Next()
		seq -= before
		wire.Num(&c.Codec, &seq)
		wire.Num(&c.Codec, &k.owner)
		value(&k.value)
		before += seq
		return before, k
	}
	if !c.Decoding {
		r.Each(func(seq K, _ T) { one(seq, r.kept[seq]) })
		return
	}
	for i := 0; i < n && c.Err == nil; i++ {
		was := before
		seq, k := one(before, kept[T]{})
		if i > 0 && seq <= was || seq > last || len(r.of[k.owner]) == r.each {
			c.Fail("what is remembered of sequence %d is out of order, or one too many", seq)
			return
		}
		r.Add(seq, k.owner, k.value)
	}
}
