package due

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// compare is the order that the package promises.
func compare(a, b Entry) int {
	return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID))
}

// twin runs a queue and a slice that is sorted after every change.
type twin struct {
	t    fataler
	q    *Queue
	list []Entry
}

func newTwin(t fataler) *twin { return &twin{t: t, q: New()} }

func (w *twin) drop(kind uint8, id uint64) bool {
	i := slices.IndexFunc(w.list, func(e Entry) bool { return e.Kind == kind && e.ID == id })
	if i < 0 {
		return false
	}
	w.list = slices.Delete(w.list, i, i+1)
	return true
}

// run executes a program of four bytes per operation. Times, kinds and ids come
// from few values, so that they meet.
func (w *twin) run(program []byte) {
	for ; len(program) >= 4; program = program[4:] {
		e := Entry{At: int64(int8(program[1])) / 4, Kind: program[2] % 3, ID: uint64(program[3] % 64)}
		switch program[0] % 8 {
		case 0, 1, 2, 3:
			w.q.Set(e)
			w.drop(e.Kind, e.ID)
			w.list = append(w.list, e)
			slices.SortFunc(w.list, compare)
		case 4, 5:
			if got, want := w.q.Drop(e.Kind, e.ID), w.drop(e.Kind, e.ID); got != want {
				w.t.Fatalf("dropping %d/%d: %v", e.Kind, e.ID, got)
			}
		case 6:
			got, ok := w.q.Pop()
			if ok != (len(w.list) > 0) || ok && got != w.list[0] {
				w.t.Fatalf("popped %v %v of %v", got, ok, w.list)
			}
			w.list = w.list[min(1, len(w.list)):]
		case 7:
			i := slices.IndexFunc(w.list, func(o Entry) bool { return o.Kind == e.Kind && o.ID == e.ID })
			at, ok := w.q.At(e.Kind, e.ID)
			if ok != (i >= 0) || ok && at != w.list[i].At {
				w.t.Fatalf("%d/%d is due at %d (%v)", e.Kind, e.ID, at, ok)
			}
		}
		next, ok := w.q.Next()
		if ok != (len(w.list) > 0) || ok && next != w.list[0] || w.q.Len() != len(w.list) {
			w.t.Fatalf("next %v %v of %d, want the first of %v", next, ok, w.q.Len(), w.list)
		}
	}
}

// compare holds the queue to the list and its parts to each other.
func (w *twin) compare() {
	w.t.Helper()
	var all []Entry
	w.q.Each(func(e Entry) { all = append(all, e) })
	if !slices.Equal(all, w.list) {
		w.t.Fatalf("queue has %v, want %v", all, w.list)
	}
	if len(w.q.slots) != len(w.q.heap) || len(w.q.free)+len(w.q.heap) != len(w.q.place) {
		w.t.Fatalf("%d names, %d items, %d slots, %d free", len(w.q.slots), len(w.q.heap), len(w.q.place), len(w.q.free))
	}
	for i, it := range w.q.heap {
		slot, ok := w.q.slots[name{it.ID, it.Kind}]
		if !ok || slot != it.slot || int(w.q.place[slot]) != i || i > 0 && less(&it.Entry, &w.q.heap[(i-1)/2].Entry) {
			w.t.Fatalf("item %d is %+v; slot %d at %d", i, it, slot, w.q.place[slot])
		}
	}
}

func TestAgainstSortedList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newTwin(t)
		for range rapid.IntRange(1, 8).Draw(t, "parts") {
			w.run(rapid.SliceOfN(rapid.Byte(), 200, 600).Draw(t, "program"))
			w.compare()
		}
		for w.q.Len() > 0 {
			w.run([]byte{6, 0, 0, 0})
			w.compare()
		}
	})
}

func FuzzAgainstSortedList(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{1, 10, 100, 1000} {
		var program []byte
		for range n {
			program = binary.LittleEndian.AppendUint32(program, r.Uint32())
		}
		f.Add(program)
	}
	f.Fuzz(func(t *testing.T, program []byte) {
		w := newTwin(t)
		w.run(program[:min(len(program), 4000)])
		w.compare()
	})
}

// Times at the ends of their range and ids at the ends of theirs keep the order.
func TestEnds(t *testing.T) {
	want := []Entry{
		{math.MinInt64, 255, math.MaxUint64}, {0, 0, 0}, {0, 0, math.MaxUint64}, {0, 1, 0},
		{0, 255, 0}, {0, 255, 1 << 63}, {math.MaxInt64, 0, 2}, {math.MaxInt64, 0, 3},
	}
	q := New()
	for i := range want {
		q.Set(want[(i*3+5)%len(want)])
	}
	for _, e := range want {
		if got, ok := q.Pop(); !ok || got != e {
			t.Errorf("popped %v, want %v", got, e)
		}
	}
}

// Each may change the queue it tells of.
func TestEachTellsOfACopy(t *testing.T) {
	q := New()
	for i := range uint64(100) {
		q.Set(Entry{At: int64(i * 37 % 100), ID: i})
	}
	seen := int64(0)
	q.Each(func(e Entry) {
		if e.At != seen || !q.Drop(e.Kind, e.ID) {
			t.Fatalf("told of %v, want the one at %d", e, seen)
		}
		seen++
	})
	if seen != 100 || q.Len() != 0 {
		t.Fatalf("told of %d, %d left", seen, q.Len())
	}
}

func filled(n int, r *rand.Rand) *Queue {
	q := New()
	for i := range n {
		q.Set(Entry{At: r.Int64N(1 << 40), Kind: uint8(i % 4), ID: uint64(i)})
	}
	return q
}

// BenchmarkPopSet takes the first deadline and sets a new one.
func BenchmarkPopSet(b *testing.B) {
	for _, n := range []int{1_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("entries=%d", n), func(b *testing.B) {
			r := rand.New(rand.NewPCG(1, 2))
			q := filled(n, r)
			b.ReportAllocs()
			id := uint64(n)
			for b.Loop() {
				e, _ := q.Pop()
				q.Set(Entry{At: e.At + r.Int64N(1<<40), Kind: e.Kind, ID: id})
				id++
			}
		})
	}
}

// BenchmarkMove moves any deadline to another time.
func BenchmarkMove(b *testing.B) {
	for _, n := range []int{1_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("entries=%d", n), func(b *testing.B) {
			r := rand.New(rand.NewPCG(1, 2))
			q := filled(n, r)
			b.ReportAllocs()
			for b.Loop() {
				id := r.IntN(n)
				q.Set(Entry{At: r.Int64N(1 << 40), Kind: uint8(id % 4), ID: uint64(id)})
			}
		})
	}
}

// BenchmarkMillion fills a queue with a million deadlines and empties it.
func BenchmarkMillion(b *testing.B) {
	const n = 1_000_000
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		q := filled(n, rand.New(rand.NewPCG(1, 2)))
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1e6, "MB")
		for q.Len() > 0 {
			q.Pop()
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/entry")
}
