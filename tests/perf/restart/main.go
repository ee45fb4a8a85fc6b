// Command restart measures what a start of the platform costs, and what the folded
// state weighs: it makes a journal of real decisions, of the size that is asked for,
// and then starts from it. It promises real parts (the file journal, the state
// machine, snapshots, the writer as `mbp serve` makes it), each measure in a process
// of its own, so that memory is its own, and that every measure ends with the same
// hash of the state. It refuses to pass a bound that was not measured.
//
//	go run ./tests/perf/restart                        # ten million decisions: minutes, and 4 GB of disk
//	go run ./tests/perf/restart --decisions 1000000 --accounts 10000 --markets 1000 --orders 100000
//	go run ./tests/perf/restart --keep --dir /var/tmp/r # leaves the journal for another run
//
// The measures:
//
//   - journal: bytes of its records and of its files, each for a decision.
//   - dump, load: writing the state into a file with its hash, and reading it back.
//   - restart: opening the journal, loading the newest snapshot, folding the tail,
//     making the writer's second state: what passes until the first decision.
//   - fold: the same without a snapshot, from the first record on; what two
//     processors do together.
//   - decode, evolve: the two halves of a fold, each alone.
//
// Exit codes: 0 all within, 1 one is beyond its bound, 2 it did not run.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// options are the flags.
type options struct {
	size
	dir        string
	keep       bool
	json       bool
	only       string
	maxRestart float64 // seconds; 0: not judged
	minFold    float64 // decisions a second; 0: not judged
	profile    string
}

// size is what a journal leaves behind.
type size struct {
	Decisions int `json:"decisions"`
	Accounts  int `json:"accounts"`
	Markets   int `json:"markets"`
	Orders    int `json:"orders"` // that wait at the end
	Tail      int `json:"tail"`   // decisions after the snapshot
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if name, dir, ours := child(args); ours {
		if err := measure(name, dir, stdout); err != nil {
			fmt.Fprintln(stderr, "restart:", name+":", err)
			return 2
		}
		return 0
	}
	var o options
	f := flag.NewFlagSet("restart", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.IntVar(&o.Decisions, "decisions", 10_000_000, "decisions in the journal, each with an idempotency key")
	f.IntVar(&o.Accounts, "accounts", 100_000, "trading accounts")
	f.IntVar(&o.Markets, "markets", 10_000, "open markets")
	f.IntVar(&o.Orders, "orders", 1_000_000, "orders that wait in the books")
	f.IntVar(&o.Tail, "tail", 100_000, "decisions after the snapshot")
	f.StringVar(&o.dir, "dir", filepath.Join("out", "restart"), "`folder` for the journal; it is removed at the end")
	f.BoolVar(&o.keep, "keep", false, "leave the folder, and use the journal that is there")
	f.StringVar(&o.only, "only", "", "comma-separated `measures`; all by default")
	f.BoolVar(&o.json, "json", false, "print JSON instead of a table")
	f.Float64Var(&o.maxRestart, "max-restart", 10, "`seconds` that a restart may take; 0: not judged")
	f.Float64Var(&o.minFold, "min-fold", 500_000, "decisions a `second` that a fold must do; 0: not judged")
	f.StringVar(&o.profile, "profile", "", "`folder` for a processor profile of each measure")
	if err := f.Parse(args); err != nil {
		return 2
	}
	got, err := o.all(ctx, stderr)
	if err != nil {
		fmt.Fprintln(stderr, "restart:", err)
		return 2
	}
	return o.report(got, stdout)
}

// child reads the arguments of a process of ours.
func child(args []string) (name, dir string, ours bool) {
	if len(args) != 3 || args[0] != "measure" {
		return "", "", false
	}
	return args[1], args[2], true
}

// measures in the order in which they run: what is made once, then what reads it.
var measures = []string{"load", "restart", "decode", "evolve", "fold"}

// all makes the journal and measures.
func (o *options) all(ctx context.Context, stderr io.Writer) (_ map[string]result, err error) {
	if !o.keep {
		defer func() { err = errors.Join(err, os.RemoveAll(o.dir)) }()
	}
	made, err := o.make(ctx, stderr)
	if err != nil {
		return nil, fmt.Errorf("make the journal: %w", err)
	}
	got := map[string]result{"make": made}
	for _, name := range measures {
		if o.only != "" && !strings.Contains(","+o.only+",", ","+name+",") {
			continue
		}
		r, err := o.apart(ctx, name, stderr)
		if err != nil {
			return nil, err
		}
		if r.Hash != "" && r.Hash != made.Hash && r.Hash != made.SnapshotHash {
			return nil, fmt.Errorf("%s ends with the state %s, and %s was made", name, r.Hash, made.Hash)
		}
		got[name] = r
	}
	return got, nil
}

// apart measures in a process of its own.
func (o *options) apart(ctx context.Context, name string, stderr io.Writer) (r result, err error) {
	self, err := os.Executable()
	if err != nil {
		return r, err
	}
	cmd := exec.CommandContext(ctx, self, "measure", name, o.dir)
	cmd.Stderr = stderr
	if o.profile != "" {
		cmd.Env = append(os.Environ(), profileTo+"="+filepath.Join(o.profile, name+".pprof"))
	}
	out, err := cmd.Output()
	if err != nil {
		return r, fmt.Errorf("%s: %w", name, err)
	}
	return r, json.Unmarshal(out, &r)
}
