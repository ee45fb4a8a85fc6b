// Command limits holds the durable path against what the machine itself can do:
// the bare group commit of its disk, and a bare HTTP handler of its network
// stack. It promises real parts (the file journal, the writer, the edge, each in
// a process of its own), rounds in which every measure has its turn, so that a
// neighbour's load falls on both sides of a ratio, the median of the rounds'
// ratios, and an exit code against limits.csv. It refuses to pass a limit that
// was not measured, an answer that is no success, and a percentile on a machine
// that is too busy for it.
//
//	go run ./tests/perf/limits                 # table
//	go run ./tests/perf/limits --json          # one object a line
//	go run ./tests/perf/limits --only '^[ad]'  # some measures
//
// The measures, each with its number of connections or submitters:
//
//   - a: pwrite and fdatasync of a pre-zeroed file by one writer that takes all
//     that waits, records as large as an order's, an answer to each submitter.
//   - b: an HTTP handler that parses an order with encoding/json and answers as
//     much as a decision. b2: the same, which first waits for a's commit.
//   - c: orders over HTTP with API keys, idempotency keys, audit tree and the
//     live stream's follower. e: the same in batches; each element counts.
//   - d: durable decisions without HTTP, from Submit to the answer.
//   - open: b2 and c at 120 requests a second, whatever the answers take; the
//     time runs from when a request was due.
//
// The load comes from this process, over keep-alive connections and with a client
// that does next to nothing: a dear one would make servers look alike.
//
// Exit codes: 0 all within, 1 one is beyond its bound or missing, 2 it did not
// run, 3 none is beyond its bound, but the machine was too busy to judge one.
package main

import (
	"context"
	_ "embed"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"time"

	"github.com/mbp-market/mbp/tests/perf/bounds"
)

//go:embed limits.csv
var limitsCSV string

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// options are the flags.
type options struct {
	rounds int
	each   time.Duration // of a closed loop
	open   time.Duration // of an open loop: 120 a second need time for a percentile
	only   *regexp.Regexp
	dir    string
	json   bool
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) > 1 && args[0] == "part" { // a server of ours
		if err := servePart(ctx, args[1], args[2:], stdin, stdout); err != nil {
			fmt.Fprintln(stderr, "limits:", args[1]+":", err)
			return 2
		}
		return 0
	}
	o, only := options{}, ""
	f := flag.NewFlagSet("limits", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.IntVar(&o.rounds, "rounds", 5, "`rounds`; the median counts")
	f.DurationVar(&o.each, "each", time.Second, "`time` of a closed loop in a round")
	f.DurationVar(&o.open, "open", 5*time.Second, "`time` of an open loop in a round")
	f.StringVar(&only, "only", "", "measure what matches this `pattern`")
	f.StringVar(&o.dir, "dir", "out", "`folder` on the disk to measure; what is written there is removed at the end")
	f.BoolVar(&o.json, "json", false, "one JSON object a line instead of a table")
	if err := f.Parse(args); err != nil {
		return 2
	}
	limits, err := bounds.Read(limitsCSV)
	if err == nil {
		o.only, err = regexp.Compile(only)
	}
	var got bounds.Results
	if err == nil {
		got, err = o.measure(ctx, stderr)
	}
	if err != nil {
		fmt.Fprintln(stderr, "limits:", err)
		return 2
	}
	return bounds.Report(got, bounds.Judge(limits, got), o.json, stdout)
}
