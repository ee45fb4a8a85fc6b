// Command pgjournal holds the journal in PostgreSQL against what the database itself
// can do: 256 submitters with the writer on one side, a bare loop of pipelined
// INSERT … SELECT unnest statements of equal records on the other, on one server, in
// rounds in which both have their turn, so that a neighbour's load falls on both. It
// promises real parts, medians, and an exit code: at least half of the bare loop, and
// never below 20,000 decisions a second. It refuses to count what was not committed
// with fsync and synchronous_commit on, and an answer that is no success.
//
//	go run ./tests/perf/pgjournal                  # fifteen rounds of one second each
//	go run ./tests/perf/pgjournal -rounds 1 -each 500ms
//
// The server is one of package tests/pg, on this machine, and shares its processors
// with both sides. The bare loop keeps two statements on their way, each with half as
// many records as there are submitters and a commit of its own: as many records wait
// on one side as on the other, and as many statements. It makes a row of each record,
// where the journal makes one of some forty. Exit codes: 0 within, 1 not, 2 it did not
// run.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"time"

	"github.com/mbp-market/mbp/tests/pg"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// What has to hold.
const (
	leastShare = 0.5    // of the bare loop's records
	leastRate  = 20_000 // decisions a second
)

// Exit codes.
const (
	within = iota
	beyond
	notRun
)

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	f := flag.NewFlagSet("pgjournal", flag.ContinueOnError)
	f.SetOutput(stderr)
	rounds := f.Int("rounds", 15, "how often each side has its turn, 1..100")
	each := f.Duration("each", time.Second, "how long a turn takes, 100ms..1m")
	if err := f.Parse(args); err != nil {
		return notRun
	}
	if *rounds < 1 || *rounds > 100 || *each < 100*time.Millisecond || *each > time.Minute {
		fmt.Fprintln(stderr, "pgjournal: rounds 1..100, each 100ms..1m")
		return notRun
	}
	whole, bare, err := measure(ctx, *rounds, *each, stdout)
	if err != nil {
		fmt.Fprintln(stderr, "pgjournal:", err)
		return notRun
	}
	var shares []float64
	for i := range whole {
		shares = append(shares, whole[i]/bare[i])
	}
	rate, share := median(whole), median(shares)
	fmt.Fprintf(stdout, "median: %.0f decisions/s, bare loop %.0f records/s, share %.2f (at least %.2f, and %d decisions/s)\n", rate, median(bare), share, leastShare, leastRate)
	if share < leastShare || rate < leastRate {
		return beyond
	}
	return within
}

// measure returns what each side did in a second, round by round.
func measure(ctx context.Context, rounds int, each time.Duration, stdout io.Writer) (whole, bare []float64, err error) {
	server, err := pg.Launch("shared_buffers=256MB", "max_wal_size=16GB")
	if err != nil {
		return nil, nil, err
	}
	defer server.Remove()
	url := server.URL("postgres")
	h, err := openHall(ctx, url)
	if err != nil {
		return nil, nil, err
	}
	defer h.end()
	if _, err := h.turn(ctx, each/2); err != nil { // warm up, and records to copy
		return nil, nil, err
	}
	loop, err := openLoop(ctx, url, h)
	if err != nil {
		return nil, nil, err
	}
	defer loop.end()
	for i := range rounds {
		b, err := loop.turn(ctx, each)
		if err != nil {
			return nil, nil, err
		}
		w, err := h.turn(ctx, each)
		if err != nil {
			return nil, nil, err
		}
		whole, bare = append(whole, w), append(bare, b)
		fmt.Fprintf(stdout, "round %d: %.0f decisions/s, bare loop %.0f records/s, share %.2f\n", i+1, w, b, w/b)
	}
	return whole, bare, nil
}

func median(values []float64) float64 {
	s := slices.Sorted(slices.Values(values))
	return s[len(s)/2]
}
