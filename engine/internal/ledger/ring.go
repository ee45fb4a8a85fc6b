package ledger

// RingLimits bound what a market remembers of its changes. A value that is not
// positive stands for the default.
type RingLimits struct {
	Deltas int   // changes kept; 100,000 by default
	Window int64 // µs: no change older than this is kept, counted at the newest; 24 h by default
}

const (
	defaultDeltas = 100_000
	defaultWindow = 24 * 3600 * 1_000_000 // µs
	// chunkLen is how many changes lie in one piece of memory, 6 KiB: the ring
	// grows by such pieces and gives them back.
	chunkLen = 256
)

// money is the outcome of a delta of credits.
const money = 254

// delta is one change of a balance: of a holder's shares, units or credits
// (Available, with Reserved in it), of the market's credits (Collateral, Fees,
// Rounding), or of supply − collateral of an outcome (Supply).
type delta struct {
	at      int64 // µs
	amount  int64
	holder  uint32 // index
	outcome uint8  // or Units, or money
	kind    Kind
}

// ring is a queue of the latest changes. Every chunk but the last is full.
type ring struct {
	limit  int
	window int64
	chunks [][]delta
	head   int   // changes at the start of chunks[0] that are gone
	n      int   // changes kept
	newest int64 // time of the newest change; -1 before the first
	oldest int64 // time of the oldest change kept, if there is one: what is first in chunks is far away
	lost   int64 // time of the newest change that is not kept; -1 if all are
	spare  []delta
}

func newRing(l RingLimits) ring {
	if l.Deltas <= 0 {
		l.Deltas = defaultDeltas
	}
	if l.Window <= 0 {
		l.Window = defaultWindow
	}
	return ring{limit: l.Deltas, window: l.Window, newest: -1, lost: -1}
}

func (r *ring) push(d delta) {
	if d.at != r.newest {
		r.newest = d.at
		r.expire(d.at)
	}
	if r.limit == 0 {
		r.lost = d.at
		return
	}
	if r.n == r.limit {
		r.pop()
	}
	r.keep(d)
}

// keep puts a change behind the others.
func (r *ring) keep(d delta) {
	last := len(r.chunks) - 1
	if last < 0 || len(r.chunks[last]) == chunkLen {
		if r.spare == nil {
			r.spare = make([]delta, 0, r.room())
		}
		r.chunks = append(r.chunks, r.spare)
		r.spare = nil
		last++
	}
	r.chunks[last] = append(r.chunks[last], d)
	if r.n++; r.n == 1 {
		r.oldest = d.at
	}
}

// room is how many changes a new chunk has room for; the first one grows.
func (r *ring) room() int {
	if len(r.chunks) == 0 {
		return 8
	}
	return chunkLen
}

// expire drops what is older than the window, by whole chunks where it can.
func (r *ring) expire(now int64) {
	for r.n > 0 && now-r.oldest > r.window {
		first := r.chunks[0]
		end := first[len(first)-1].at
		if now-end <= r.window {
			r.pop()
			continue
		}
		r.lost = end
		r.n -= len(first) - r.head
		r.release()
		r.age()
	}
}

// age notes how old the oldest change is.
func (r *ring) age() {
	if r.n > 0 {
		r.oldest = r.chunks[0][r.head].at
	}
}

// pop drops the oldest change; there is one.
func (r *ring) pop() {
	first := r.chunks[0]
	r.lost = first[r.head].at
	r.head++
	r.n--
	if r.head == len(first) {
		r.release()
	}
	r.age()
}

// release takes the first chunk away and keeps its memory for the next one.
func (r *ring) release() {
	r.spare = r.chunks[0][:0]
	copy(r.chunks, r.chunks[1:])
	r.chunks[len(r.chunks)-1] = nil
	r.chunks = r.chunks[:len(r.chunks)-1]
	r.head = 0
}

// get returns change i of 0..n−1, the oldest first.
func (r *ring) get(i int) *delta {
	i += r.head
	return &r.chunks[i/chunkLen][i%chunkLen]
}

func (r *ring) seal() { *r = ring{newest: r.newest, lost: r.newest} }
