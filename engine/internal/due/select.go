package due

// Due appends to dst the first deadlines that fall due at or before a time (µs),
// in order, at most limit of them, and changes nothing. It costs the logarithm
// of limit for each.
func (q *Queue) Due(at int64, limit int, dst []Entry) []Entry {
	// The candidates are a heap of places: a place is looked at only after the
	// one above it, which falls due no later.
	var places []int
	push := func(i int) {
		if i >= len(q.heap) || q.heap[i].At > at {
			return
		}
		places = append(places, i)
		for c := len(places) - 1; c > 0; {
			up := (c - 1) / 2
			if !less(&q.heap[places[c]].Entry, &q.heap[places[up]].Entry) {
				break
			}
			places[c], places[up] = places[up], places[c]
			c = up
		}
	}
	push(0)
	for len(places) > 0 && limit > 0 {
		i := places[0]
		dst = append(dst, q.heap[i].Entry)
		limit--
		last := len(places) - 1
		places[0] = places[last]
		places = places[:last]
		for p := 0; ; {
			child := 2*p + 1
			if child >= last {
				break
			}
			if child+1 < last && less(&q.heap[places[child+1]].Entry, &q.heap[places[child]].Entry) {
				child++
			}
			if !less(&q.heap[places[child]].Entry, &q.heap[places[p]].Entry) {
				break
			}
			places[p], places[child] = places[child], places[p]
			p = child
		}
		push(2*i + 1)
		push(2*i + 2)
	}
	return dst
}
