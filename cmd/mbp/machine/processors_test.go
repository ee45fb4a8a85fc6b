package machine

import (
	"os"
	"runtime"
	"testing"
)

// A sync has a thread of its own, unless somebody has said how many there are.
func TestProcessors(t *testing.T) {
	for _, c := range []struct {
		chosen     string
		lent, want int
	}{{"", 1, 2}, {"", 2, 3}, {"2", 2, 2}, {"7", 7, 7}} {
		if got := processors(c.chosen, c.lent); got != c.want {
			t.Errorf("with GOMAXPROCS=%q %d of %d, want %d", c.chosen, got, c.lent, c.want)
		}
	}
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	want := processors(os.Getenv("GOMAXPROCS"), before)
	if got := []int{Processors(), Processors(), runtime.GOMAXPROCS(0)}; got[0] != want || got[1] != want || got[2] != want {
		t.Errorf("%v, want %d each time", got, want)
	}
}
