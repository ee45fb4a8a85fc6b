// Package repeat remembers which request was answered by which decision, so that
// a retry gets the first answer. It promises bounds in time and number, by the
// times it is given and no clock of its own, and a fair share of the number: where
// there is no room, the oldest request of the principal that has the most is
// forgotten, so that a flood forgets its own. Whoever has less than an equal part
// of the limit loses nothing to others. It refuses to forget anything earlier.
//
// Sharing is max-min fair (Bertsekas and Gallager, Data Networks, 1992, 6.5.2): no
// principal keeps less than it asks for while another keeps more. What is
// forgotten next follows from what is remembered alone, so a set that is filled
// again from Each goes on as before.
package repeat

// Tag identifies a request or its content: the first 16 bytes of a SHA-256 value.
type Tag = [16]byte

// Entry is what is remembered of a request.
type Entry struct {
	Input Tag    // of its content
	Seq   uint64 // of its decision
	At    int64  // when that was, µs
}

// Request is a principal's request as it is remembered.
type Request struct {
	Principal string
	Key       Tag
	Entry
}

// Set remembers requests. Use New.
type Set struct {
	window int64 // µs
	limit  int

	keys        index             // of all requests
	pages       []*[pageSize]node // without pointers, so that collecting garbage does not walk them
	used        int32             // nodes ever used; node 0 stands for none
	free        int32             // first of the nodes that are free again, a list by next
	first, last int32             // of all requests, the oldest first
	n           int

	names  index // of the owners
	owners []owner
	spare  []int32 // owners without a request
	heap   []rank  // of the owners, the one to lose a request next on top
	at     []int32 // of each owner: its place in the heap

	seen uint64 // what RememberAll met ahead of its look-ups: see there
}

const pageSize = 1024

// node is a remembered request in two lists: of all, and of its owner's.
type node struct {
	key        Tag
	entry      Entry
	owner      int32
	prev, next int32 // of all
	later      int32 // of its owner's
}

// rank is an owner in the heap with what decides its place, so that comparing looks
// at nothing else.
type rank struct {
	seq   uint64 // of its oldest request
	n     int32  // of its requests
	owner int32
}

// owner is a principal that has requests here.
type owner struct {
	name        string
	first, last int32
}

// New returns an empty set that remembers for window µs, at most limit requests.
func New(window int64, limit int) *Set {
	// Owner 0 stands for none.
	return &Set{window: window, limit: limit, owners: make([]owner, 1), at: make([]int32, 1)}
}

// Remember adds a principal's request. Times never run backwards and sequences
// grow. A key that is remembered already stays as it is.
func (s *Set) Remember(principal string, key Tag, e Entry) {
	if s.keys.tables == nil {
		s.keys.start()
		s.names.start()
	}
	s.remember(&Request{principal, key, e}, s.keys.hash(&key), s.names.hashName(principal))
}

// remember is Remember, with the hashes of key and principal.
func (s *Set) remember(r *Request, h, of uint64) {
	if s.find(h, &r.Key) != 0 {
		return
	}
	for s.n > 0 && r.At-s.node(s.first).entry.At >= s.window {
		s.forget(s.first) // the oldest of all is the oldest of its owner, too
	}
	if s.n == s.limit {
		s.forget(s.owners[s.heap[0].owner].first)
	}
	o := s.owner(of, r.Principal)
	i := s.room()
	*s.node(i) = node{key: r.Key, entry: r.Entry, owner: o, prev: s.last}
	t := s.keys.table(h)
	t.room()
	slot, _ := s.slot(t, h, &r.Key)
	t.put(slot, h, i)
	if s.n++; s.last == 0 {
		s.first = i
	} else {
		s.node(s.last).next = i
	}
	s.last = i
	x := &s.owners[o]
	if x.first == 0 {
		x.first, s.at[o] = i, int32(len(s.heap))
		s.heap = append(s.heap, rank{seq: r.Seq, owner: o})
	} else {
		s.node(x.last).later = i
	}
	x.last = i
	s.heap[s.at[o]].n++
	s.up(int(s.at[o]))
}

// forget takes out the oldest request of an owner.
func (s *Set) forget(i int32) {
	x := s.node(i)
	h := s.keys.hash(&x.key)
	t := s.keys.table(h)
	if slot, ok := s.slot(t, h, &x.key); ok { // always
		t.drop(slot)
	}
	if x.prev == 0 {
		s.first = x.next
	} else {
		s.node(x.prev).next = x.next
	}
	if x.next == 0 {
		s.last = x.prev
	} else {
		s.node(x.next).prev = x.prev
	}
	o := &s.owners[x.owner]
	if o.first = x.later; o.first == 0 {
		s.leave(x.owner)
	} else {
		r := &s.heap[s.at[x.owner]]
		r.n--
		r.seq = s.node(o.first).entry.Seq
		s.down(int(s.at[x.owner]))
	}
	*x = node{next: s.free}
	s.free = i
	s.n--
}

// room returns a free node.
func (s *Set) room() int32 {
	if i := s.free; i != 0 {
		s.free = s.node(i).next
		return i
	}
	if s.used++; int(s.used)/pageSize == len(s.pages) {
		s.pages = append(s.pages, new([pageSize]node))
	}
	return s.used
}

func (s *Set) node(i int32) *node { return &s.pages[i/pageSize][i%pageSize] }

// owner returns a principal's place among the owners, by the hash of its name.
func (s *Set) owner(h uint64, name string) int32 {
	t := s.names.table(h)
	if i, ok := s.slotOfName(t, h, name); ok {
		return int32(uint32(t.slots[i]))
	}
	o := int32(len(s.owners))
	if n := len(s.spare); n != 0 {
		o, s.spare = s.spare[n-1], s.spare[:n-1]
	} else {
		s.owners, s.at = append(s.owners, owner{}), append(s.at, 0)
	}
	t.room()
	i, _ := s.slotOfName(t, h, name)
	t.put(i, h, o)
	s.owners[o] = owner{name: name}
	return o
}

// leave takes an owner out of the heap and of the owners.
func (s *Set) leave(o int32) {
	at, end := int(s.at[o]), len(s.heap)-1
	s.swap(at, end)
	if s.heap = s.heap[:end]; at < end {
		s.down(at)
		s.up(at)
	}
	name := s.owners[o].name
	h := s.names.hashName(name)
	t := s.names.table(h)
	if i, ok := s.slotOfName(t, h, name); ok { // always
		t.drop(i)
	}
	s.owners[o] = owner{}
	s.spare = append(s.spare, o)
}

// before reports whether an owner loses a request before another one: it has more,
// or as many and an older one.
func (a *rank) before(b *rank) bool {
	if a.n != b.n {
		return a.n > b.n
	}
	return a.seq < b.seq
}

// before is the same of two places of the heap.
func (s *Set) before(i, j int) bool { return s.heap[i].before(&s.heap[j]) }

func (s *Set) swap(i, j int) {
	s.heap[i], s.heap[j] = s.heap[j], s.heap[i]
	s.at[s.heap[i].owner], s.at[s.heap[j].owner] = int32(i), int32(j)
}

func (s *Set) up(i int) {
	for i > 0 && s.before(i, (i-1)/2) {
		s.swap(i, (i-1)/2)
		i = (i - 1) / 2
	}
}

// down moves a rank below those that come before it, which move up into its place.
func (s *Set) down(i int) {
	r := s.heap[i]
	for {
		child := 2*i + 1
		if child >= len(s.heap) {
			break
		}
		if child+1 < len(s.heap) && s.before(child+1, child) {
			child++
		}
		if c := &s.heap[child]; !c.before(&r) {
			break
		}
		s.set(i, s.heap[child])
		i = child
	}
	s.set(i, r)
}

func (s *Set) set(i int, r rank) {
	s.heap[i], s.at[r.owner] = r, int32(i)
}

// Find returns what is remembered of a request.
func (s *Set) Find(key Tag) (Entry, bool) {
	if s.keys.tables == nil {
		return Entry{}, false
	}
	if i := s.find(s.keys.hash(&key), &key); i != 0 {
		return s.node(i).entry, true
	}
	return Entry{}, false
}

// Len returns how many requests are remembered.
func (s *Set) Len() int { return s.n }

// Each calls fn for every request and its principal, oldest first.
func (s *Set) Each(fn func(string, Tag, Entry)) {
	for i := s.first; i != 0; i = s.node(i).next {
		x := s.node(i)
		fn(s.owners[x.owner].name, x.key, x.entry)
	}
}
