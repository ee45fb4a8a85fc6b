package history

// ring keeps the last rows that were added. A row's place counts from 1 and is
// never used again; 0 is no place.
type ring[T any] struct {
	rows []T
	last uint64 // place of the newest row
	size int    // most rows
}

// add appends a row, in place of the oldest one if there is no room, and returns
// its place.
func (r *ring[T]) add(v T) uint64 {
	r.last++
	if len(r.rows) < r.size {
		r.rows = append(r.rows, v)
	} else {
		r.rows[(r.last-1)%uint64(r.size)] = v
	}
	return r.last
}

// at returns the row at a place, nil if it has made room or there was none.
func (r *ring[T]) at(place uint64) *T {
	if place == 0 || place > r.last || r.last-place >= uint64(len(r.rows)) {
		return nil
	}
	return &r.rows[(place-1)%uint64(r.size)]
}
