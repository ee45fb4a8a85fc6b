package nodetest_test

import (
	"flag"
	"fmt"
	"sync"
	"testing"

	"github.com/mbp-market/mbp/engine/sequencer/nodetest"
)

var (
	seeds  = flag.Int("seeds", 200, "how many seeds of each kind TestSeeds plays")
	first  = flag.Uint64("first", 1, "the first of them")
	seed   = flag.Uint64("seed", 0, "the one seed that TestSeed plays; 0: none")
	leased = flag.Bool("leased", false, "TestSeed plays two nodes on a leased log")
)

// workers is how many runs go at once; a run itself does one thing at a time.
const workers = 2

// kinds of worlds.
var kinds = map[bool]string{false: "one node on a disk", true: "two nodes on a leased log"}

func again(seed uint64, leased bool) string {
	return fmt.Sprintf("go test ./engine/sequencer/nodetest -run 'TestSeed$' -seed %d -leased=%v -v", seed, leased)
}

// sweep plays seeds and adds up what they met. found hears of each report, one at
// a time, and ends the sweep with false.
func sweep(t *testing.T, first uint64, n int, cfg nodetest.Config, found func(*nodetest.Report) bool) {
	t.Helper()
	var mu sync.Mutex
	next, over := first, false
	take := func() (uint64, bool) {
		mu.Lock()
		defer mu.Unlock()
		if over || next == first+uint64(n) {
			return 0, false
		}
		next++
		return next - 1, true
	}
	t.Run("sweep", func(t *testing.T) {
		for range workers {
			t.Run("worker", func(t *testing.T) {
				t.Parallel()
				for seed, more := take(); more; seed, more = take() {
					mine := cfg
					mine.Seed = seed
					r := nodetest.Run(t, mine)
					mu.Lock()
					over = !found(r) || over
					mu.Unlock()
				}
			})
		}
	})
}

// TestSeeds plays many runs of both kinds of worlds.
func TestSeeds(t *testing.T) {
	if testing.Short() {
		*seeds = min(*seeds, 50)
	}
	for _, leased := range []bool{false, true} {
		t.Run(kinds[leased], func(t *testing.T) {
			var all nodetest.Counts
			decisions, bad := 0, 0
			sweep(t, *first, *seeds, nodetest.Config{Leased: leased}, func(r *nodetest.Report) bool {
				all.Add(r.Counts)
				decisions += r.Decisions
				if len(r.Faults) > 0 {
					bad++
					t.Errorf("seed %d breaks a promise; play it again with\n  %s\n%s", r.Seed, again(r.Seed, leased), r)
				}
				return bad < 3
			})
			t.Logf("%d seeds: %s; %d decisions", *seeds, all, decisions)
			if *seeds < 50 { // too few to say anything of all
				return
			}
			for what, n := range map[string]int{
				"crashes": all.Crashes, "failures": all.Failures, "repetitions": all.Replayed, "unknown": all.Unknown,
				"refusals": all.Refused, "looks": all.Looks, "own decisions": all.Own, "held deadlines": all.Held,
			} {
				if n < *seeds {
					t.Errorf("only %d %s in %d seeds: the runs test nothing", n, what, *seeds)
				}
			}
			if leased && (all.Takeovers < *seeds || all.Beside < *seeds || all.Fenced < *seeds/10) {
				t.Errorf("only %d takeovers, %d times two batches under way, and %d fenced appends", all.Takeovers, all.Beside, all.Fenced)
			}
		})
	}
}

// TestSeed plays one seed and tells everything.
func TestSeed(t *testing.T) {
	if *seed == 0 {
		t.Skip("no -seed is given")
	}
	r := nodetest.Run(t, nodetest.Config{Seed: *seed, Leased: *leased})
	for _, line := range r.Trace {
		t.Log(line)
	}
	for _, err := range r.Faults {
		t.Error(err)
	}
	t.Log(r.Counts)
}

// An equal seed is an equal run, step by step.
func TestSeedsRepeat(t *testing.T) {
	n := 20
	if testing.Short() {
		n = 5
	}
	for _, leased := range []bool{false, true} {
		digests := map[uint64]*nodetest.Report{}
		for range 3 {
			sweep(t, 1, n, nodetest.Config{Leased: leased}, func(r *nodetest.Report) bool {
				was := digests[r.Seed]
				if digests[r.Seed] = r; was != nil && (was.Digest != r.Digest || was.Counts != r.Counts) {
					t.Errorf("%s: seed %d is two runs:\n%s\n%s", kinds[leased], r.Seed, was, r)
				}
				return true
			})
		}
	}
}
