// Package nodetest runs whole nodes from a seed: the sequencer over its journal,
// with clients that ask, repeat, hang up and ask twice at once, on a disk that
// loses what was not synced, fails, tears and runs full, or on a leased log that
// two nodes fight for, under a clock that only the schedule moves.
//
// It promises that one seed is one run: which request comes when, which
// operation of the disk goes on, what fails, who dies and what survives it. Nodes
// run in a testing/synctest bubble and are let go one operation at a time, so
// that equal seeds give equal traces. After each start, and at the end, it holds
// what clients and readers were told against the records that are there.
//
// It refuses to judge liveness under faults: once the faults end, every request
// has to get its answer.
//
// The method is that of FoundationDB's simulation and of TigerBeetle's VOPR.
package nodetest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/journal/file"
	"github.com/mbp-market/mbp/engine/sequencer"
)

// Node is one life of a node as clients and readers meet it.
type Node interface {
	Submit(ctx context.Context, r sequencer.Request) (sequencer.Answer, error)
	View(fn func(*core.State))
	Follow(ctx context.Context, from engine.Seq, fn func(sequencer.Committed) error) error
	Now() engine.Time
	Run(ctx context.Context) error
}

var _ Node = (*sequencer.Sequencer)(nil)

// Place is what a node finds when it starts.
type Place struct {
	// Disk is the node's own, nil where the log is leased. What a node keeps
	// beside its journal, such as snapshots, goes there, through the same faults.
	Disk   file.FS
	Config sequencer.Config // with the log
}

// Config of one run. Only Seed is required; the other fields are where tests put
// other kinds of nodes, and defects.
type Config struct {
	Seed  uint64
	Steps int // of the schedule, before the faults end; DefaultSteps by default
	// Leased runs two nodes on one log with a lease instead of one on a disk.
	Leased bool
	// Start makes a node; sequencer.New by default.
	Start func(Place) (Node, error)
	// FS and Log stand between a node and what keeps its records.
	FS  func(file.FS) file.FS
	Log func(journal.Log) journal.Log
	// Unfenced leaves the check of the lease out of every append; Unplaced the
	// check of the position, too.
	Unfenced, Unplaced bool
}

// DefaultSteps gives every kind of fault its turn in most runs.
const DefaultSteps = 700

// Report is what a run came to.
type Report struct {
	Seed      uint64
	Faults    []error  // broken promises; none is a pass
	Trace     []string // what happened, step by step
	Digest    engine.Digest
	Decisions int // in the log at the end
	Counts
}

// Counts of what a run met.
type Counts struct {
	Lives     int // nodes started
	Crashes   int // machines and processes that died, by schedule or by the disk's
	Failures  int // writers that stopped by themselves
	Asked     int // requests, each with its own key
	Sent      int // submissions of them
	Answered  int // submissions that got their decision
	Replayed  int // of them, as a repetition
	Unknown   int // submissions that died with their node or were given up
	Refused   int // submissions refused at once
	Looks     int // reads of the state
	Own       int // decisions in the log that the engine gave itself: deadlines and bulk work
	Held      int // times that a node held deadlines because of its clock
	Takeovers int // of the lease by the other node
	Fenced    int // appends refused because the lease was lost
	Beside    int // times that a batch was on its way to the log and the outcome of another one back
}

// Add adds up.
func (c *Counts) Add(o Counts) {
	c.Lives += o.Lives
	c.Crashes += o.Crashes
	c.Failures += o.Failures
	c.Asked += o.Asked
	c.Sent += o.Sent
	c.Answered += o.Answered
	c.Replayed += o.Replayed
	c.Unknown += o.Unknown
	c.Refused += o.Refused
	c.Looks += o.Looks
	c.Own += o.Own
	c.Held += o.Held
	c.Takeovers += o.Takeovers
	c.Fenced += o.Fenced
	c.Beside += o.Beside
}

// String is a line of figures.
func (c Counts) String() string {
	return fmt.Sprintf("%d lives, %d crashes, %d writers failed, %d takeovers, %d appends fenced, %d times two under way; %d requests sent %d times: %d answered (%d as repetitions), %d unknown, %d refused; %d looks; %d decisions of the engine's own; deadlines held %d times",
		c.Lives, c.Crashes, c.Failures, c.Takeovers, c.Fenced, c.Beside, c.Asked, c.Sent, c.Answered, c.Replayed, c.Unknown, c.Refused, c.Looks, c.Own, c.Held)
}

// String tells the end of the trace and the faults.
func (r *Report) String() string {
	var b strings.Builder
	from := max(0, len(r.Trace)-60)
	if from > 0 {
		fmt.Fprintf(&b, "… %d steps before\n", from)
	}
	for _, line := range r.Trace[from:] {
		fmt.Fprintln(&b, line)
	}
	for _, err := range r.Faults {
		fmt.Fprintln(&b, "BROKEN:", err)
	}
	return b.String()
}

// Run plays one seed to its end, or to the first broken promise. It fails t only
// when the run itself breaks down: a goroutine that waits for ever is a panic of
// the bubble, which names the seed.
func Run(t *testing.T, cfg Config) *Report {
	t.Helper()
	if cfg.Steps == 0 {
		cfg.Steps = DefaultSteps
	}
	if cfg.Start == nil {
		cfg.Start = func(p Place) (Node, error) { return sequencer.New(p.Config) }
	}
	var r *Report
	synctest.Test(t, func(*testing.T) {
		defer func() {
			if p := recover(); p != nil {
				panic(fmt.Sprintf("seed %d: %v", cfg.Seed, p))
			}
		}()
		w := newWorld(cfg)
		w.run()
		r = w.report
	})
	r.Digest = sha256.Sum256([]byte(strings.Join(r.Trace, "\n")))
	return r
}
