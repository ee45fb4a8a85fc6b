package machine

import (
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
)

func TestPercentFor(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct {
		what    string
		now     int
		scanned uint64
		want    int
	}{
		{"a start", 0, 0, 400},
		{"a small heap", 0, 1 * mib, 400},
		{"a server", 400, 16 * mib, 300},
		{"that shrinks", 300, 15 * mib, 300},
		{"that shrinks more", 300, 13 * mib, 392},
		{"that grows", 300, 17 * mib, 300},
		{"that grows more", 300, 20 * mib, 220},
		{"just under half of the floor", 100, 31 * mib, 100},
		{"half of the floor", 220, 32 * mib, 100},
		{"a large heap", 400, 1500 * mib, 100},
		{"one that stays large", 100, 1500 * mib, 100},
	} {
		if got := percentFor(c.now, c.scanned, 64*mib); got != c.want {
			t.Errorf("%s: %d %% of %d MiB, want %d", c.what, got, c.scanned/mib, c.want)
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for now := range 2000 {
		scanned := r.Uint64N(100 * mib)
		goal := scanned + scanned*uint64(percentFor(now, scanned, 64*mib))/100
		switch {
		case scanned >= 32*mib && goal != 2*scanned,
			scanned >= 13*mib && goal < 57*mib,
			scanned < 13*mib && goal != 5*scanned && goal < 57*mib,
			scanned < 32*mib && goal > 71*mib:
			t.Fatalf("%d bytes at %d %% grow to %d", scanned, now, goal)
		}
	}
}

// Who sets GOGC decides.
func TestHeapFor(t *testing.T) {
	for chosen, want := range map[string]int{"": 96 << 20, "100": 0, "400": 0, "off": 0} {
		if got := heapFor(chosen); got != want {
			t.Errorf("with GOGC=%q %d bytes, want %d", chosen, got, want)
		}
	}
}

// TestHeap: a small heap is collected when it has grown to the floor, a large one when it
// has doubled, and any at the limit of memory.
func TestHeap(t *testing.T) {
	const floor, usual = 32 << 20, 77
	before := debug.SetGCPercent(usual)
	defer debug.SetGCPercent(before)
	stop := keepHeap(floor)
	stopped := false
	defer func() {
		if !stopped {
			stop()
		}
	}()

	small := make([]byte, 8<<20)
	near := func(_, goal uint64) bool { return goal > floor-floor/5 && goal < floor+floor/5 }
	settle(t, "a small heap", near)
	func() {
		large := make([]byte, 2*floor)
		settle(t, "a large heap", func(live, goal uint64) bool {
			return live >= 2*floor && goal >= 2*live && goal <= 2*live+live/4
		})
		runtime.KeepAlive(large)
	}()
	settle(t, "a heap that is small again", near)

	limit := debug.SetMemoryLimit(12 << 20)
	defer debug.SetMemoryLimit(limit)
	settle(t, "a limit of memory", func(live, goal uint64) bool { return goal < floor/2 })
	debug.SetMemoryLimit(limit)
	runtime.KeepAlive(small)

	stop()
	stopped = true
	samples := 0
	settle(t, "the end", func(uint64, uint64) bool { samples++; return samples == 2_000 })
	if p := debug.SetGCPercent(usual); p != usual {
		t.Errorf("%d %% after the end, want %d", p, usual)
	}
}

var garbage []byte

// settle makes garbage until the heap and its goal are as they should be, or some
// hundreds of collections have not made them so.
func settle(t *testing.T, what string, fits func(live, goal uint64) bool) {
	t.Helper()
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/heap/goal:bytes"}, {Name: "/gc/cycles/automatic:gc-cycles"}}
	metrics.Read(s)
	first := s[2].Value.Uint64()
	for range 200_000 {
		garbage = make([]byte, 64<<10)
		runtime.Gosched()
		metrics.Read(s)
		if s[2].Value.Uint64() > first && fits(s[0].Value.Uint64(), s[1].Value.Uint64()) {
			return
		}
	}
	t.Fatalf("%s: %d bytes live and %d are the goal", what, s[0].Value.Uint64(), s[1].Value.Uint64())
}
