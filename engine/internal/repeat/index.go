package repeat

import "hash/maphash"

// shards divide an index, so that it grows in steps of microseconds: a table that
// doubles moves a thousandth of all keys.
const shards = 1024

// index finds the node of a key. It is a map[Tag]int32 that takes one miss of the
// cache where Go's takes three, because it leaves the keys in their nodes: two
// look-ups of each decision are in memory that nothing else has touched for long.
//
// Tables are linear probing with backward shift (Knuth, The Art of Computer
// Programming 3, 6.4, algorithm R). As in Go's maps a seed of the process's own
// keeps anybody from choosing keys that fall together; nothing that can be observed
// follows from it.
type index struct {
	seed   maphash.Seed
	tables []table // none before the first key
}

// table holds slots: the upper half is of the key's hash, the lower half its node,
// 0 for a slot that is free.
type table struct {
	slots []uint64 // a power of two, at most three quarters used
	used  int
}

func (x *index) hash(key Tag) uint64 { return maphash.Bytes(x.seed, key[:]) }

func (x *index) table(h uint64) *table { return &x.tables[h%shards] }

// home is where the search for a hash begins; of the hash of a slot, too.
func (t *table) home(half uint64) uint64 { return half >> 32 & uint64(len(t.slots)-1) }

// find returns the node of a key, 0 if there is none.
func (s *Set) find(key Tag) int32 {
	if s.index.tables == nil {
		return 0
	}
	h := s.index.hash(key)
	t := s.index.table(h)
	if i, ok := s.slot(t, h, key); ok {
		return int32(uint32(t.slots[i]))
	}
	return 0
}

// Expect asks the memory for where the look-up of a key begins, and returns what
// lies there, which says nothing to anybody. A few keys that are expected together
// come in the time of one: each is in a place that the cache does not have, and none
// needs another.
func (s *Set) Expect(key Tag) uint64 {
	if s.index.tables == nil {
		return 0
	}
	h := s.index.hash(key)
	t := s.index.table(h)
	if len(t.slots) == 0 {
		return 0
	}
	return t.slots[t.home(h)]
}

// slot returns the slot of a key, or where it would go.
func (s *Set) slot(t *table, h uint64, key Tag) (i uint64, ok bool) {
	if len(t.slots) == 0 {
		return 0, false
	}
	mask := uint64(len(t.slots) - 1)
	for i = t.home(h); t.slots[i] != 0; i = (i + 1) & mask {
		if t.slots[i]>>32 == h>>32 && s.node(int32(uint32(t.slots[i]))).key == key {
			return i, true
		}
	}
	return i, false
}

// enter adds the node of a key that has none.
func (s *Set) enter(key Tag, node int32) {
	if s.index.tables == nil {
		s.index.seed, s.index.tables = maphash.MakeSeed(), make([]table, shards)
	}
	h := s.index.hash(key)
	t := s.index.table(h)
	if t.used >= len(t.slots)/4*3 {
		t.grow()
	}
	i, _ := s.slot(t, h, key)
	t.slots[i] = h>>32<<32 | uint64(uint32(node))
	t.used++
}

func (t *table) grow() {
	old := t.slots
	t.slots = make([]uint64, max(4, 2*len(old)))
	mask := uint64(len(t.slots) - 1)
	for _, v := range old {
		if v == 0 {
			continue
		}
		i := t.home(v)
		for t.slots[i] != 0 {
			i = (i + 1) & mask
		}
		t.slots[i] = v
	}
}

// drop takes a key out that is there, and moves what was pushed aside by it.
func (s *Set) drop(key Tag) {
	h := s.index.hash(key)
	t := s.index.table(h)
	hole, ok := s.slot(t, h, key)
	if !ok {
		return
	}
	t.used--
	mask := uint64(len(t.slots) - 1)
	for i := (hole + 1) & mask; t.slots[i] != 0; i = (i + 1) & mask {
		// It may move to the hole if its home is not between the two.
		if (i-t.home(t.slots[i]))&mask >= (i-hole)&mask {
			t.slots[hole] = t.slots[i]
			hole = i
		}
	}
	t.slots[hole] = 0
}
