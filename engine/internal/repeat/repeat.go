// Package repeat remembers which request was answered by which decision, so that
// a retry gets the first answer. It promises bounds in time and number, oldest
// out first, by the times it is given and no clock of its own; it refuses to
// forget anything earlier.
package repeat

// Tag identifies a request or its content: the first 16 bytes of a SHA-256 value.
type Tag = [16]byte

// Entry is what is remembered of a request.
type Entry struct {
	Input Tag    // of its content
	Seq   uint64 // of its decision
	At    int64  // when that was, µs
}

// Set remembers requests. Use New.
type Set struct {
	window int64 // µs
	limit  int
	byKey  map[Tag]Entry
	queue  []Tag // in order of the decisions; the live part begins at head
	head   int
}

// New returns an empty set that remembers for window µs, at most limit requests.
func New(window int64, limit int) *Set {
	return &Set{window: window, limit: limit, byKey: map[Tag]Entry{}}
}

// Remember adds a request. Times never run backwards.
func (s *Set) Remember(key Tag, e Entry) {
	for len(s.queue) > s.head {
		oldest := s.queue[s.head]
		if e.At-s.byKey[oldest].At < s.window && len(s.queue)-s.head < s.limit {
			break
		}
		delete(s.byKey, oldest)
		s.head++
	}
	if s.head > len(s.queue)/2 && s.head > 1024 { // amortised: each key moves at most once
		s.queue = append(s.queue[:0], s.queue[s.head:]...)
		s.head = 0
	}
	s.queue = append(s.queue, key)
	s.byKey[key] = e
}

// Find returns what is remembered of a request.
func (s *Set) Find(key Tag) (Entry, bool) {
	e, ok := s.byKey[key]
	return e, ok
}

// Len returns how many requests are remembered.
func (s *Set) Len() int { return len(s.queue) - s.head }

// Each calls fn for every request, oldest first.
func (s *Set) Each(fn func(Tag, Entry)) {
	for _, k := range s.queue[s.head:] {
		fn(k, s.byKey[k])
	}
}
