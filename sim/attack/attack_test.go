package attack

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/mbp-market/mbp/tests/given"
)

// TestTable holds what the shipped policy and template see of each attack, end to
// end. MBP_REWRITE=1 writes the table, to be reviewed as a diff.
func TestTable(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED with -short: some thousand runs")
	}
	var b bytes.Buffer
	if err := Table(&b, 100); err != nil {
		t.Fatal(err)
	}
	given.Golden(t, "testdata/attacks.txt", b.String())
}

// TestRunsAreRepeatable: an equal seed is an equal run; another one is another.
func TestRunsAreRepeatable(t *testing.T) {
	differ := 0
	for _, a := range All() {
		one, err := a.Run(1)
		if err != nil {
			t.Fatal(err)
		}
		again, err := a.Run(1)
		if err != nil || !reflect.DeepEqual(one, again) {
			t.Errorf("%s: %+v and %+v, %v", a.Name, one, again, err)
		}
		other, err := a.Run(2)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(one, other) {
			differ++
		}
	}
	if differ < 10 {
		t.Errorf("only %d attacks depend on the seed", differ)
	}
}

// TestUnlistedRule: an alarm that an attack does not list is a fault, not a zero.
func TestUnlistedRule(t *testing.T) {
	a := flood("flood", 1, 50, minute)
	a.Rules = nil
	if _, err := a.Run(1); err == nil {
		t.Error("nobody noticed the order rate")
	}
}

// BenchmarkFlood is the cost of one run.
func BenchmarkFlood(b *testing.B) {
	a := flood("flood", 50, 50, minute)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Run(1); err != nil {
			b.Fatal(err)
		}
	}
}
