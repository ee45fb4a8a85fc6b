package history

// pageRows is how many rows get their room at once: a ring that grew by doubling
// would copy all it has, and whoever follows would wait for it.
const pageRows = 1024

// ring keeps the last rows that were added. A row's place counts from 1 and is
// never used again; 0 is no place.
type ring[T any] struct {
	pages [][]T
	last  uint64 // place of the newest row
	size  int    // most rows
}

// add appends a row, in place of the oldest one if there is no room, and returns
// its place.
func (r *ring[T]) add(v T) uint64 {
	r.last++
	row := r.row(r.last)
	if row == nil {
		r.pages = append(r.pages, make([]T, min(pageRows, r.size-len(r.pages)*pageRows)))
		row = r.row(r.last)
	}
	*row = v
	return r.last
}

// row returns the room of a place, nil if it has none yet.
func (r *ring[T]) row(place uint64) *T {
	i := (place - 1) % uint64(r.size)
	if page := i / pageRows; page < uint64(len(r.pages)) {
		return &r.pages[page][i%pageRows]
	}
	return nil
}

// len is how many rows there are.
func (r *ring[T]) len() int { return int(min(r.last, uint64(r.size))) }

// at returns the row at a place, nil if it has made room or there was none.
func (r *ring[T]) at(place uint64) *T {
	if place == 0 || place > r.last || r.last-place >= uint64(r.len()) {
		return nil
	}
	return r.row(place)
}
