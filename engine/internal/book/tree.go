package book

// The tree of a side finds the level of a key. A block holds entries in the
// order of their keys; those of a leaf name levels, those of other blocks name
// blocks, under a key that is at most every key below and above every key of the
// entry before.
const (
	blockCap = 31           // entries: a block is four cache lines
	blockMin = blockCap / 3 // of a block that is not the root; below half, so that a pair that was just split or merged is left alone for a while
	maxDepth = 6            // blocks from root to leaf; a seventh would take 2·10^6 keys
)

// entry is a key and, below it, a handle.
type entry uint64

func newEntry(key, h uint32) entry { return entry(key)<<32 | entry(h) }
func (e entry) key() uint32        { return uint32(e >> 32) }
func (e entry) handle() uint32     { return uint32(e) }

type block struct {
	n       uint32
	inner   bool // entries name blocks
	entries [blockCap]entry
}

// search returns the number of entries with keys up to key.
func (k *block) search(key uint32) int {
	limit := newEntry(key, ^uint32(0))
	lo, hi := 0, int(k.n)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if k.entries[mid] <= limit {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

func (k *block) insert(i int, e entry) {
	copy(k.entries[i+1:k.n+1], k.entries[i:k.n])
	k.entries[i] = e
	k.n++
}

func (k *block) remove(i int) {
	copy(k.entries[i:k.n-1], k.entries[i+1:k.n])
	k.n--
}

// path is the way from the root to a leaf: blocks, and in each the entry taken.
type path struct {
	blocks [maxDepth]uint32
	at     [maxDepth]int
	depth  int // index of the leaf
}

// descend finds the leaf where a key is or belongs; its place there is that of
// the last entry with a key up to it, −1 if there is none.
func (s *Store) descend(root, key uint32, p *path) *block {
	for p.depth = 0; ; p.depth++ {
		k := s.blocks.at(root)
		i := k.search(key) - 1
		if k.inner && i < 0 {
			i = 0
		}
		p.blocks[p.depth], p.at[p.depth] = root, i
		if !k.inner {
			return k
		}
		root = k.entries[i].handle()
	}
}

// place returns the level of a key, a new one if there is none.
func (s *Store) place(d *side, key uint32) uint32 {
	if d.best == key {
		return d.first
	}
	if d.root == none {
		d.root = s.blocks.take()
		k := s.blocks.at(d.root)
		k.n, k.inner = 0, false
	}
	var p path
	leaf := s.descend(d.root, key, &p)
	i := p.at[p.depth]
	prev, next := uint32(none), uint32(none)
	switch {
	case i >= 0:
		prev = leaf.entries[i].handle()
		l := s.levels.at(prev)
		if l.key == key {
			return prev
		}
		next = l.next
	case leaf.n > 0:
		next = leaf.entries[0].handle()
		prev = s.levels.at(next).prev
	}
	h := s.levels.take()
	*s.levels.at(h) = level{key: key, next: next, prev: prev}
	s.chainLevels(d, prev, h)
	s.chainLevels(d, h, next)
	s.grow(d, &p, newEntry(key, h))
	return h
}

// unplace removes an empty level.
func (s *Store) unplace(d *side, h uint32) {
	l := s.levels.at(h)
	s.chainLevels(d, l.prev, l.next)
	var p path
	leaf := s.descend(d.root, l.key, &p)
	i := p.at[p.depth]
	if i < 0 || leaf.entries[i] != newEntry(l.key, h) {
		panic("book: the order rests in another book")
	}
	leaf.remove(i)
	s.levels.give(h)
	s.heal(d, &p)
}

// chainLevels makes two levels neighbours; none is the end of the side.
func (s *Store) chainLevels(d *side, prev, next uint32) {
	if next != none {
		s.levels.at(next).prev = prev
	}
	if prev != none {
		s.levels.at(prev).next = next
		return
	}
	d.first, d.best = next, 0
	if next != none {
		d.best = s.levels.at(next).key
	}
}

// grow enters e behind the place of the path in its leaf. Where a block is full,
// its upper half moves into a new one, which is entered one block higher.
func (s *Store) grow(d *side, p *path, e entry) {
	// A key below all others lowers the keys above the first leaf. Elsewhere
	// the key of the entry taken is not above it.
	for i := range p.depth {
		k := s.blocks.at(p.blocks[i])
		if first := k.entries[p.at[i]]; e.key() < first.key() {
			k.entries[p.at[i]] = newEntry(e.key(), first.handle())
		}
	}
	for i := p.depth; i >= 0; i-- {
		k := s.blocks.at(p.blocks[i])
		if k.n < blockCap {
			k.insert(p.at[i]+1, e)
			return
		}
		h := s.blocks.take()
		upper := s.blocks.at(h)
		const half = blockCap / 2
		upper.inner = k.inner
		upper.n = uint32(copy(upper.entries[:], k.entries[half:]))
		k.n = half
		if at := p.at[i] + 1; at <= half {
			k.insert(at, e)
		} else {
			upper.insert(at-half, e)
		}
		e = newEntry(upper.entries[0].key(), h)
	}
	old := d.root
	d.root = s.blocks.take()
	k := s.blocks.at(d.root)
	k.n, k.inner = 2, true
	k.entries[0], k.entries[1] = newEntry(s.blocks.at(old).entries[0].key(), old), e
}

// heal restores the least filling of the blocks of a path, from its leaf, which
// has lost an entry, upwards.
func (s *Store) heal(d *side, p *path) {
	for i := p.depth; i > 0; i-- {
		if s.blocks.at(p.blocks[i]).n >= blockMin {
			return
		}
		parent := s.blocks.at(p.blocks[i-1])
		right := max(p.at[i-1], 1) // the block and its left neighbour, or its right one if it is the first
		if !s.even(parent, right) {
			return
		}
	}
	root := s.blocks.at(d.root)
	if root.inner && root.n > 1 || !root.inner && root.n > 0 {
		return
	}
	old := d.root
	if d.root = none; root.inner {
		d.root = root.entries[0].handle()
	}
	s.blocks.give(old)
}

// even merges the block of an entry into that of the entry before, if both fit
// into one, or shares their entries between them; merged tells which.
func (s *Store) even(parent *block, right int) (merged bool) {
	h := parent.entries[right].handle()
	a, b := s.blocks.at(parent.entries[right-1].handle()), s.blocks.at(h)
	if a.n+b.n <= blockCap {
		copy(a.entries[a.n:], b.entries[:b.n])
		a.n += b.n
		parent.remove(right)
		s.blocks.give(h)
		return true
	}
	half := (a.n + b.n) / 2
	if a.n < half {
		m := half - a.n
		copy(a.entries[a.n:], b.entries[:m])
		copy(b.entries[:], b.entries[m:b.n])
		b.n -= m
	} else {
		m := a.n - half
		copy(b.entries[m:], b.entries[:b.n])
		copy(b.entries[:], a.entries[half:a.n])
		b.n += m
	}
	a.n = half
	parent.entries[right] = newEntry(b.entries[0].key(), h)
	return false
}
