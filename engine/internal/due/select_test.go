package due

import (
	"math/rand/v2"
	"testing"
)

// TestDueIsWhatPopGives compares the look ahead with taking deadlines off one by
// one.
func TestDueIsWhatPopGives(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		q := New()
		for range rng.IntN(200) {
			q.Set(Entry{At: rng.Int64N(50), Kind: uint8(rng.IntN(5)), ID: rng.Uint64N(60)})
		}
		at, limit := rng.Int64N(60), rng.IntN(150)
		got := q.Due(at, limit, nil)
		before := q.Len()
		for i := 0; ; i++ {
			e, ok := q.Next()
			if !ok || e.At > at || i == limit {
				if i != len(got) {
					t.Fatalf("Due(%d, %d) gives %d of %d deadlines, want %d", at, limit, len(got), before, i)
				}
				break
			}
			if q.Pop(); got[i] != e {
				t.Fatalf("Due(%d, %d)[%d] is %v, want %v", at, limit, i, got[i], e)
			}
		}
	}
}
