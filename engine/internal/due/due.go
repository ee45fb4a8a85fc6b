// Package due keeps deadlines in the order in which they fall due. It promises
// one order for equal contents, by time, then kind, then id, so that what falls
// due together is acted on in the same order everywhere; a change costs at most
// the logarithm of their number. It refuses to know the time or what a deadline
// is for: the caller asks what comes next and compares.
//
// The queue is a binary heap (Williams, Algorithm 232, CACM 7(6), 1964) whose
// entries know their places, so that any of them can be moved or dropped.
package due

import "slices"

// Entry is a deadline. Kind and ID together name it.
type Entry struct {
	At   int64 // when it falls due, µs
	Kind uint8 // what it is for, of the caller's own numbering
	ID   uint64
}

// less orders deadlines by time, kind and id.
func less(a, b *Entry) bool {
	switch {
	case a.At != b.At:
		return a.At < b.At
	case a.Kind != b.Kind:
		return a.Kind < b.Kind
	}
	return a.ID < b.ID
}

func byLess(a, b Entry) int {
	switch {
	case less(&a, &b):
		return -1
	case less(&b, &a):
		return 1
	}
	return 0
}

type name struct {
	id   uint64
	kind uint8
}

// item is an entry in the heap with its slot, which stays its own while it moves.
type item struct {
	Entry
	slot uint32
}

// Queue holds deadlines. Use New.
type Queue struct {
	heap  []item
	place []uint32        // of each slot: the place of its item in the heap
	free  []uint32        // slots of nobody
	slots map[name]uint32 // never ranged over
}

// New returns an empty queue.
func New() *Queue { return &Queue{slots: map[name]uint32{}} }

// Len returns the number of deadlines.
func (q *Queue) Len() int { return len(q.heap) }

// Set adds a deadline, or moves the one of the same kind and id.
func (q *Queue) Set(e Entry) {
	key := name{e.ID, e.Kind}
	slot, known := q.slots[key]
	if known {
		i := int(q.place[slot])
		q.heap[i].At = e.At
		q.settle(i)
		return
	}
	if last := len(q.free) - 1; last >= 0 {
		slot = q.free[last]
		q.free = q.free[:last]
	} else {
		slot = uint32(len(q.place))
		q.place = append(q.place, 0)
	}
	q.slots[key] = slot
	q.heap = append(q.heap, item{e, slot})
	q.up(len(q.heap) - 1)
}

// Drop removes a deadline and reports whether it was there.
func (q *Queue) Drop(kind uint8, id uint64) bool {
	slot, known := q.slots[name{id, kind}]
	if known {
		q.remove(int(q.place[slot]))
	}
	return known
}

// At returns when a deadline falls due, in µs, and false if there is none of
// this kind and id.
func (q *Queue) At(kind uint8, id uint64) (int64, bool) {
	slot, known := q.slots[name{id, kind}]
	if !known {
		return 0, false
	}
	return q.heap[q.place[slot]].At, true
}

// Next returns the first deadline, and false if there is none.
func (q *Queue) Next() (Entry, bool) {
	if len(q.heap) == 0 {
		return Entry{}, false
	}
	return q.heap[0].Entry, true
}

// Pop removes the first deadline and returns it, and false if there is none.
func (q *Queue) Pop() (Entry, bool) {
	e, ok := q.Next()
	if ok {
		q.remove(0)
	}
	return e, ok
}

// Each calls fn for every deadline, the first one first, whatever was done to
// the queue before. fn may change the queue; it is told of a copy.
func (q *Queue) Each(fn func(Entry)) {
	all := make([]Entry, len(q.heap))
	for i := range q.heap {
		all[i] = q.heap[i].Entry
	}
	slices.SortFunc(all, byLess)
	for _, e := range all {
		fn(e)
	}
}

// remove takes the item at place i out of the heap; the last one replaces it.
func (q *Queue) remove(i int) {
	gone := q.heap[i]
	delete(q.slots, name{gone.ID, gone.Kind})
	q.free = append(q.free, gone.slot)
	last := len(q.heap) - 1
	moved := q.heap[last]
	q.heap = q.heap[:last]
	if i < last {
		q.heap[i] = moved
		q.settle(i)
	}
}

// settle brings an item of any time to where it belongs.
func (q *Queue) settle(i int) {
	if i > 0 && less(&q.heap[i].Entry, &q.heap[(i-1)/2].Entry) {
		q.up(i)
		return
	}
	q.down(i)
}

func (q *Queue) up(i int) {
	it := q.heap[i]
	for i > 0 {
		parent := (i - 1) / 2
		if !less(&it.Entry, &q.heap[parent].Entry) {
			break
		}
		q.put(i, q.heap[parent])
		i = parent
	}
	q.put(i, it)
}

func (q *Queue) down(i int) {
	it := q.heap[i]
	for {
		child := 2*i + 1
		if child >= len(q.heap) {
			break
		}
		if right := child + 1; right < len(q.heap) && less(&q.heap[right].Entry, &q.heap[child].Entry) {
			child = right
		}
		if !less(&q.heap[child].Entry, &it.Entry) {
			break
		}
		q.put(i, q.heap[child])
		i = child
	}
	q.put(i, it)
}

func (q *Queue) put(i int, it item) {
	q.heap[i] = it
	q.place[it.slot] = uint32(i)
}
