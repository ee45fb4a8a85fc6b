package book

// none is the handle of nothing.
const none = 0

// A chunk has this many values: large enough that the list of chunks stays
// short, small enough that a new one costs microseconds.
const (
	chunkBits = 9
	chunkSize = 1 << chunkBits
)

// slab hands out values by handle. They never move, so that growth copies
// nothing, and hold no pointers, so that the collector does not look at them.
type slab[T any] struct {
	chunks []*[chunkSize]T
	free   []uint32 // handles that were given back
	top    uint32   // the largest handle ever taken
}

func (s *slab[T]) at(h uint32) *T { return &s.chunks[h>>chunkBits][h%chunkSize] }

// take returns the handle of a value of any content.
func (s *slab[T]) take() uint32 {
	if last := len(s.free) - 1; last >= 0 {
		h := s.free[last]
		s.free = s.free[:last]
		return h
	}
	s.top++
	for int(s.top>>chunkBits) >= len(s.chunks) {
		s.chunks = append(s.chunks, new([chunkSize]T))
	}
	return s.top
}

func (s *slab[T]) give(h uint32) { s.free = append(s.free, h) }

// index finds orders by id: chains of orders in buckets, on average one order in
// each. Its memory follows the largest number of orders it ever held.
type index struct {
	buckets []*[chunkSize]uint32
	size    uint32 // buckets in use; a bucket beyond the last power of two is split off one before it
	mask    uint32 // the next power of two above size−1, less one
	n       int    // orders
}

// scatter mixes the bits of an id (the finaliser of MurmurHash3), since ids may
// be multiples of something.
func scatter(id uint64) uint32 {
	id ^= id >> 33
	id *= 0xff51afd7ed558ccd
	id ^= id >> 33
	id *= 0xc4ceb9fe1a85ec53
	return uint32(id >> 32)
}

func (x *index) bucket(id uint64) *uint32 {
	i := scatter(id) & x.mask
	if i >= x.size {
		i &= x.mask >> 1
	}
	return &x.buckets[i>>chunkBits][i%chunkSize]
}

// find returns the handle of an order, or none.
func (s *Store) find(id uint64) uint32 {
	if s.index.size == 0 {
		return none
	}
	h := *s.index.bucket(id)
	for h != none && s.nodes.at(h).ID != id {
		h = s.nodes.at(h).chain
	}
	return h
}

// enter makes an order findable.
func (s *Store) enter(h uint32) {
	if s.index.n >= int(s.index.size) {
		s.split()
	}
	n := s.nodes.at(h)
	at := s.index.bucket(n.ID)
	n.chain, *at = *at, h
	s.index.n++
}

// leave makes it unfindable.
func (s *Store) leave(h uint32) {
	n := s.nodes.at(h)
	at := s.index.bucket(n.ID)
	for *at != h {
		at = &s.nodes.at(*at).chain
	}
	*at = n.chain
	s.index.n--
}

// split adds a bucket and moves into it what belongs there, all from one other.
func (s *Store) split() {
	x := &s.index
	fresh := x.size
	if int(fresh>>chunkBits) >= len(x.buckets) {
		x.buckets = append(x.buckets, new([chunkSize]uint32))
	}
	x.size++
	if fresh == 0 {
		return
	}
	if fresh > x.mask {
		x.mask = x.mask<<1 | 1
	}
	old := fresh & (x.mask >> 1)
	from, to := &x.buckets[old>>chunkBits][old%chunkSize], &x.buckets[fresh>>chunkBits][fresh%chunkSize]
	for *from != none {
		h := *from
		n := s.nodes.at(h)
		if scatter(n.ID)&x.mask != fresh {
			from = &n.chain
			continue
		}
		*from = n.chain
		n.chain, *to = *to, h
	}
}
