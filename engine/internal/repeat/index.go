package repeat

import "hash/maphash"

// shards divide an index, so that it grows in steps of microseconds: a table that
// doubles moves a thousandth of all that is in it.
const shards = 1024

// index finds what has a hash: the node of a key, the owner of a name. It is a map
// that takes one miss of the cache where Go's takes three, because it leaves keys and
// names where they are: the look-ups of each decision are in memory that nothing else
// has touched for long.
//
// Tables are linear probing with backward shift (Knuth, The Art of Computer
// Programming 3, 6.4, algorithm R). As in Go's maps a seed of the process's own
// keeps anybody from choosing keys that fall together; nothing that can be observed
// follows from it.
type index struct {
	seed   maphash.Seed
	tables []table // none before the first entry
}

// table holds slots: the upper half is of the hash, the lower half what has it, 0 for
// a slot that is free.
type table struct {
	slots []uint64 // a power of two, at most three quarters used
	used  int
}

func (x *index) hash(key *Tag) uint64 { return maphash.Bytes(x.seed, key[:]) }

func (x *index) hashName(name string) uint64 { return maphash.String(x.seed, name) }

func (x *index) table(h uint64) *table { return &x.tables[h%shards] }

// start makes the tables.
func (x *index) start() {
	x.seed, x.tables = maphash.MakeSeed(), make([]table, shards)
}

// expect returns what lies where the search for a hash begins, 0 for nothing.
func (x *index) expect(h uint64) uint64 {
	t := x.table(h)
	if len(t.slots) == 0 {
		return 0
	}
	return t.slots[t.home(h)]
}

// home is where the search for a hash begins; of the hash of a slot, too.
func (t *table) home(half uint64) uint64 { return half >> 32 & uint64(len(t.slots)-1) }

// find returns the node of a key with its hash, 0 if there is none.
func (s *Set) find(h uint64, key *Tag) int32 {
	t := s.keys.table(h)
	if i, ok := s.slot(t, h, key); ok {
		return int32(uint32(t.slots[i]))
	}
	return 0
}

// slot returns the slot of a key, or where it would go.
func (s *Set) slot(t *table, h uint64, key *Tag) (i uint64, ok bool) {
	if len(t.slots) == 0 {
		return 0, false
	}
	mask := uint64(len(t.slots) - 1)
	for i = t.home(h); t.slots[i] != 0; i = (i + 1) & mask {
		if t.slots[i]>>32 == h>>32 && s.node(int32(uint32(t.slots[i]))).key == *key {
			return i, true
		}
	}
	return i, false
}

// slotOfName is slot for the owner of a name.
func (s *Set) slotOfName(t *table, h uint64, name string) (i uint64, ok bool) {
	if len(t.slots) == 0 {
		return 0, false
	}
	mask := uint64(len(t.slots) - 1)
	for i = t.home(h); t.slots[i] != 0; i = (i + 1) & mask {
		if t.slots[i]>>32 == h>>32 && s.owners[uint32(t.slots[i])].name == name {
			return i, true
		}
	}
	return i, false
}

// room makes room for one more entry.
func (t *table) room() {
	if t.used < len(t.slots)/4*3 {
		return
	}
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

// put takes a slot that is free, and for which there was room.
func (t *table) put(i, h uint64, what int32) {
	t.slots[i] = h>>32<<32 | uint64(uint32(what))
	t.used++
}

// drop frees a slot, and moves what was pushed aside by it.
func (t *table) drop(hole uint64) {
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
