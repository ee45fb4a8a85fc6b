// Command edge holds the HTTP edge of a real `mbp serve` to what it promises under
// stress. It promises processes as people start them, on this machine, loaded by this
// one over a loopback; open loops, in which the time of a request runs from when it was
// due; every answer counted; and an exit code against limits.csv. It refuses to pass a
// limit that was not measured, an answer that nobody foresaw, and a time on a machine
// that is too busy for it.
//
//	go run ./tests/perf/edge                    # all of it, as a table
//	go run ./tests/perf/edge --json overload    # one object a line
//	go run ./tests/perf/edge overload --time 10s --over 10
//	go run ./tests/perf/edge streams --cuts 1000 --subscribers 50
//	go run ./tests/perf/edge crowd --subscribers 2000
//
// The measures:
//
//   - overload: so many times what the server admits is offered, first against the
//     limit on everybody together, then against the limits of single traders. What is
//     admitted is decided in time, what is refused is told so at once, and when the
//     flood ends the server is as it was.
//   - streams: subscribers of the live streams, of all markets, of one, and of accounts,
//     lose their connections at random, fall asleep until the server cuts them off, and see the server restart, under load.
//     What each one got in all is compared with the journal: nothing is missing,
//     nothing comes twice.
//   - crowd: what a subscriber costs in memory, and how late events come, with
//     thousands of them, at the rate of the release gate and in a burst.
//   - apart: the same where each of them follows one market or one account.
//
// Exit codes: 0 all within, 1 one is beyond its bound or missing, 2 it did not run, 3
// none is beyond its bound, but the machine was too busy to judge one.
package main

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/mbp-market/mbp/tests/perf/bounds"
)

//go:embed limits.csv
var limitsCSV string

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// options are the flags. Each measure uses some of them.
type options struct {
	dir  string
	bin  string // empty: built
	json bool

	time        time.Duration // of a flood, and of a crowd
	admit       int           // orders a second that the server admits in all
	over        int           // so many times that is offered
	cuts        int           // connections that are lost
	subscribers int           // of the stream; 0: what the measure has
	seed        uint64
}

// measures are what can be asked for, in their order: the load of overload gives way to the
// server, which cannot be taken back, and subscribers are slow readers then.
var measures = []string{"streams", "crowd", "apart", "overload"}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, which, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	var limits []bounds.Limit
	if err == nil {
		limits, err = bounds.Read(limitsCSV)
	}
	got := bounds.Results{}
	if err == nil {
		err = o.measure(ctx, which, got, stderr)
	}
	if err != nil {
		fmt.Fprintln(stderr, "edge:", err)
		return 2
	}
	limits = slices.DeleteFunc(limits, func(l bounds.Limit) bool {
		name, _, _ := strings.Cut(l.Metric, ".")
		return !slices.Contains(which, name)
	})
	return bounds.Report(got, bounds.Judge(limits, got), o.json, stdout)
}

func parse(args []string, stderr io.Writer) (o options, which []string, err error) {
	f := flag.NewFlagSet("edge", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Usage = func() {
		fmt.Fprintf(stderr, "usage: edge [flags] [%s ...] [flags]\n", strings.Join(measures, "|"))
		f.PrintDefaults()
	}
	f.StringVar(&o.dir, "dir", "out", "`folder` for the server's data; what is written there is removed at the end")
	f.StringVar(&o.bin, "bin", "", "the mbp that is measured; by default it is built from these sources")
	f.BoolVar(&o.json, "json", false, "one JSON object a line instead of a table")
	f.DurationVar(&o.time, "time", 15*time.Second, "how `long` a flood and a crowd last, 200ms..5m")
	f.IntVar(&o.admit, "admit", 2000, "overload: `orders` a second that the server admits in all, 100..100000")
	f.IntVar(&o.over, "over", 10, "overload: so many `times` that is offered, 2..20")
	f.IntVar(&o.cuts, "cuts", 1000, "streams: `connections` that are lost, 1..100000")
	f.IntVar(&o.subscribers, "subscribers", 0, "streams, crowd, apart: how `many` there are, 2..20000; 0: 50 and 2,000")
	f.Uint64Var(&o.seed, "seed", 1, "streams: of what is chosen at random")
	for len(args) > 0 && err == nil {
		if err = f.Parse(args); err != nil {
			break
		}
		if args = f.Args(); len(args) > 0 { // a measure, and what follows it
			if !slices.Contains(measures, args[0]) {
				err = fmt.Errorf("%q is none of %s", args[0], strings.Join(measures, ", "))
			}
			which, args = append(which, args[0]), args[1:]
		}
	}
	if len(which) == 0 {
		which = measures
	}
	within := func(ok bool, what string) {
		if !ok && err == nil {
			err = errors.New(what)
		}
	}
	within(o.time >= 200*time.Millisecond && o.time <= 5*time.Minute, "time: 200ms..5m")
	within(o.admit >= 100 && o.admit <= 100_000, "admit: 100..100000")
	within(o.over >= 2 && o.over <= 20, "over: 2..20")
	within(o.cuts >= 1 && o.cuts <= 100_000, "cuts: 1..100000")
	within(o.subscribers == 0 || o.subscribers >= 2 && o.subscribers <= 20_000, "subscribers: 2..20000")
	return o, which, err
}

// measure takes the measures one after the other, each with a server of its own.
func (o options) measure(ctx context.Context, which []string, got bounds.Results, stderr io.Writer) (err error) {
	if err := os.MkdirAll(o.dir, 0o750); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(o.dir, "edge-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	bin := o.bin
	if bin == "" {
		if bin, err = build(ctx, dir, stderr); err != nil {
			return err
		}
	}
	for _, name := range measures {
		if !slices.Contains(which, name) {
			continue
		}
		note := func(what string, v float64) {
			got[name+"."+what] = append(got[name+"."+what], v)
			fmt.Fprintf(stderr, "%-26s %12.3f\n", name+"."+what, v)
		}
		h := &house{bin: bin, dir: dir, name: name, stderr: stderr}
		switch name {
		case "overload":
			err = o.overload(ctx, h, note)
		case "streams":
			err = o.streams(ctx, h, note)
		case "crowd":
			err = o.crowd(ctx, h, false, note)
		case "apart":
			err = o.crowd(ctx, h, true, note)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}
