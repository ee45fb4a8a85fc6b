package repeat

// Together is how many requests are looked for at once: about as many looks into
// memory as a processor has under way.
const Together = 16

// Expect asks the memory for where the look-up of a key begins, and returns what
// lies there, which says nothing to anybody. A few keys that are expected together
// come in the time of one: each is in a place that the cache does not have, and none
// needs another.
func (s *Set) Expect(key Tag) uint64 {
	if s.keys.tables == nil {
		return 0
	}
	return s.keys.expect(s.keys.hash(&key))
}

// RememberAll remembers requests in their order, as Remember does each, in less time:
// it looks ahead at what remembering a few of them will need, so that the memory
// fetches it for all of them at once (group prefetching: Chen, Ailamaki, Gibbons and
// Mowry, Improving Hash Join Performance through Prefetching, ICDE 2004).
func (s *Set) RememberAll(rs []Request) {
	if len(rs) != 0 && s.keys.tables == nil {
		s.keys.start()
		s.names.start()
	}
	for len(rs) > 0 {
		some := rs[:min(len(rs), Together)]
		rs = rs[len(some):]
		var keys, names [Together]uint64
		s.ahead(some, &keys, &names)
		for i := range some {
			s.remember(&some[i], keys[i], names[i])
		}
	}
}

// ahead works out the hashes, and touches what remembering requests with them will
// look at. It is right for nearly all: what it does not foresee is found without.
func (s *Set) ahead(some []Request, keys, names *[Together]uint64) {
	var owners [Together]uint32
	var gone [2][Together]int32
	seen := uint64(0)
	for i := range some {
		keys[i], names[i] = s.keys.hash(&some[i].Key), s.names.hashName(some[i].Principal)
		seen ^= s.keys.expect(keys[i])
		owners[i] = uint32(s.names.expect(names[i]))
	}
	if s.used == 0 {
		return
	}
	if s.n+len(some) > s.limit {
		s.losers(gone[0][:len(some)])
		for i := range some { // or who has come to have the most by these
			gone[1][i] = s.owners[owners[i]].first
		}
	}
	for i := range some {
		o := &s.owners[owners[i]]
		seen ^= uint64(s.node(o.last).later)
		if at := int(s.at[owners[i]]); at < len(s.heap) {
			seen ^= uint64(s.heap[at].n) ^ uint64(s.heap[at/2].n)
		}
		if o.name != "" {
			seen ^= uint64(o.name[0])
		}
	}
	for i := range Together {
		seen ^= uint64(s.node(gone[0][i]).owner) ^ uint64(s.node(gone[1][i]).owner)
	}
	for i := range Together {
		seen ^= s.expectGone(gone[0][i]) ^ s.expectGone(gone[1][i])
	}
	s.seen ^= seen
}

// expectGone touches what forgetting a request will look at.
func (s *Set) expectGone(i int32) uint64 {
	if i == 0 {
		return 0
	}
	x := s.node(i)
	return s.keys.expect(s.keys.hash(&x.key)) ^ uint64(s.node(x.prev).next) ^ uint64(s.node(x.next).prev) ^ uint64(s.node(x.later).owner)
}

// losers finds the requests that are forgotten next, one of each owner: the best of
// the heap in their order, each among the children of those before it. An owner that
// loses two in a row is not foreseen, and seldom.
func (s *Set) losers(gone []int32) {
	var room [Together + 2]int
	front := room[:0]
	if len(s.heap) != 0 {
		front = append(front, 0)
	}
	for n := 0; n < len(gone) && len(front) != 0; n++ {
		best := 0
		for i := range front {
			if s.before(front[i], front[best]) {
				best = i
			}
		}
		at := front[best]
		gone[n] = s.owners[s.heap[at].owner].first
		front[best] = front[len(front)-1]
		front = front[:len(front)-1]
		for child := 2*at + 1; child <= 2*at+2 && child < len(s.heap); child++ {
			front = append(front, child)
		}
	}
}
