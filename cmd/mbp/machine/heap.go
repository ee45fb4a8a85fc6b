package machine

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

const (
	// leastHeap is what the heap may grow to before it is collected, in bytes, however
	// little of it lives. With the runtime's 100 % a server of which 15 MB live has as
	// much again of runway: it collects five times a second under a flood of refused
	// requests, and the requests that meet a mark phase are the last to be answered.
	leastHeap = 96 << 20
	// usualPercent is the runtime's own, and the least: a heap of which half of leastHeap
	// lives is collected as ever.
	usualPercent = 100
	// mostPercent bounds what a heap may grow to that has grown to the floor and lives: its
	// goal is of the percent from before until a cleanup has run, which waits for sweeping.
	mostPercent = 400
)

// Heap lets the heap grow to 96 MiB before it is collected, but no more than fivefold, or
// to twice what lives if that is more, from the first call on. It returns the floor in
// bytes: 0 where GOGC is set, which decides then. GOMEMLIMIT holds as ever: the runtime
// collects at the lesser of the two.
var Heap = sync.OnceValue(func() int {
	floor := heapFor(os.Getenv("GOGC"))
	if floor > 0 {
		_ = keepHeap(uint64(floor)) // as long as the process lives
	}
	return floor
})

func heapFor(chosen string) int {
	if chosen != "" {
		return 0
	}
	return leastHeap
}

// heap adapts the percent after each collection. It has no goroutine: an object that
// nobody holds dies in each collection, and its cleanup makes the next one.
type heap struct {
	floor   uint64
	mu      sync.Mutex
	percent int  // what is set; guarded by mu
	over    bool // guarded by mu
}

// sentinel has a pointer, so that it is no part of a block of tiny objects, which dies as
// a whole or not at all.
type sentinel struct{ _ *sentinel }

// keepHeap begins, and returns what ends it and sets the percent of before.
func keepHeap(floor uint64) (stop func()) {
	h := &heap{floor: floor, percent: percentFor(0, scanned(), floor)}
	before := debug.SetGCPercent(h.percent)
	h.watch()
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.over = true
		debug.SetGCPercent(before)
	}
}

func (h *heap) watch() { runtime.AddCleanup(new(sentinel), (*heap).collected, h) }

func (h *heap) collected() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over {
		return
	}
	if p := percentFor(h.percent, scanned(), h.floor); p != h.percent {
		h.percent = p
		debug.SetGCPercent(p)
	}
	h.watch()
}

// percentFor returns the percent at which a heap of which so many bytes are scanned grows
// to the floor. It is the one there is if that is up to a tenth of the floor off, because
// a new one stops the world, and from usualPercent to mostPercent.
func percentFor(now int, scanned, floor uint64) int {
	if 2*scanned >= floor {
		return usualPercent
	}
	goal := scanned + scanned*uint64(max(now, 0))/100
	if now <= mostPercent && goal+floor/10 >= floor && goal <= floor+floor/10 {
		return now
	}
	return int(min(mostPercent, (floor-scanned)*100/max(1, scanned)))
}

// scanned returns the bytes of which the runtime takes its percent: what lived after the
// last collection, stacks and globals.
func scanned() (n uint64) {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/scan/globals:bytes"}}
	metrics.Read(s)
	for i := range s {
		n += s[i].Value.Uint64()
	}
	return n
}
