package rate

import "sync"

// Places bounds how many requests of each of many may be under way at once. It is
// safe for concurrent use.
type Places[K comparable] struct {
	most int

	mu    sync.Mutex
	count map[K]int // of those who have any
}

// NewPlaces gives everybody so many places.
func NewPlaces[K comparable](most int) *Places[K] {
	return &Places[K]{most: most, count: map[K]int{}}
}

// Enter takes a place, and reports whether there was one. Who got it leaves it.
func (p *Places[K]) Enter(who K) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.count[who] >= p.most {
		return false
	}
	p.count[who]++
	return true
}

// Leave gives a place back.
func (p *Places[K]) Leave(who K) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.count[who]--; p.count[who] == 0 {
		delete(p.count, who)
	}
}

// Taken returns how many places somebody has.
func (p *Places[K]) Taken(who K) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count[who]
}
