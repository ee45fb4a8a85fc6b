package cdc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mbp-market/mbp/data/cdc/cdctest"
	"github.com/mbp-market/mbp/data/cdc/lake"
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/schemas"
)

// stretch is what a process has of a journal: from first to before next.
type stretch struct {
	journal.Log
	first, next uint64
}

func (s stretch) Next() uint64 { return s.next }

func (s stretch) Read(from uint64, fn func(journal.Record) error) error {
	if from < s.first {
		return fmt.Errorf("read %d: %w", from, journal.ErrArchived)
	}
	return s.Log.Read(from, func(r journal.Record) error {
		if r.Seq >= s.next {
			return journal.ErrStop
		}
		return fn(r)
	})
}

// allRows is every row that a lake holds.
func allRows(t *testing.T, p *Pipeline, dir string) []string {
	t.Helper()
	var out []string
	for _, table := range Tables() {
		for _, l := range lines(written(t, p, dir, table)) {
			out = append(out, table+" "+l)
		}
	}
	return out
}

// late makes a pipeline that may begin with the states of a history after some
// sequences.
func late(t *testing.T, dir string, snapshots map[engine.Seq]*core.State, head engine.Seq) (*Pipeline, *prometheus.Registry) {
	t.Helper()
	reg := prometheus.NewRegistry()
	p, err := New(Config{
		Lake: dir, Schemas: schemas.FS, Registerer: reg, Logger: slog.New(slog.DiscardHandler),
		Head: func() engine.Seq { return head },
		Start: func(last engine.Seq) (*core.State, error) {
			for at := last; at > 0; at-- {
				if s := snapshots[at]; s != nil {
					delete(snapshots, at) // it is the caller's now
					return s, nil
				}
			}
			return nil, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return p, reg
}

// TestBeginsWhereTheLakeEnds: a lake that is filled in many lives, each of which has
// the journal from some decision on and a snapshot, holds the rows that one life would
// have written; in every state that a market can be in.
func TestBeginsWhereTheLakeEnds(t *testing.T) {
	log, all := kept(t, 1, 60)
	whole, dir := t.TempDir(), t.TempDir()
	p, _ := newPipeline(t, lake.OS(whole))
	if err := p.Run(t.Context(), Follow(log, 0)); err != nil {
		t.Fatal(err)
	}
	want := allRows(t, p, whole)
	last, was := p, 0
	for _, end := range ends(t, all) {
		snapshots, first := map[engine.Seq]*core.State{}, uint64(1)
		if was > 0 {
			at := was - 2 // before the lake's end
			snapshots[engine.Seq(at)], first = folded(t, all[:at]), uint64(at)+1
		}
		p, _ := late(t, dir, snapshots, engine.Seq(end))
		if err := p.Run(t.Context(), Follow(stretch{log, first, uint64(end) + 1}, 0)); err != nil {
			t.Fatalf("to %d: %v", end, err)
		}
		if p.Position() != engine.Seq(end) || p.Lacks() != nil {
			t.Fatalf("to %d: at %d, lacks %v", end, p.Position(), p.Lacks())
		}
		last, was = p, end
	}
	if got := allRows(t, last, dir); !slices.Equal(got, want) {
		for i := range want {
			if i >= len(got) || got[i] != want[i] {
				t.Fatalf("row %d of %d and %d\n%s\n%s", i, len(got), len(want), got[min(i, len(got)-1)], want[i])
			}
		}
	}
}

// ends are where the lives of a lake end: now and then, and while markets are
// proposed, disputed and being paid.
func ends(t *testing.T, all []*engine.Decision) (out []int) {
	t.Helper()
	every, most, seen := 100, len(all), map[string]int{}
	if testing.Short() { // the first of each state, of all markets together
		every, most = len(all), 8
	}
	s := core.New()
	for n, d := range all {
		if err := s.Evolve(d); err != nil {
			t.Fatal(err)
		}
		cut := n >= 5 && (n%every == 0 || n+1 == len(all))
		for id := engine.MarketID(1); int(id) <= s.MarketCount(); id++ {
			m, _ := s.Market(id, s.At())
			key := fmt.Sprint(id, m.State)
			if testing.Short() {
				key = m.State.String()
			}
			if m.Proposal != nil || beingPaid(m) {
				seen[key]++
				cut = cut || seen[key] == 1 && len(out) < most
			}
		}
		if cut {
			out = append(out, n+1)
		}
	}
	if len(seen) < 3 || !testing.Short() && len(seen) < 8 {
		t.Fatalf("the history has too few endings: %v", seen)
	}
	return out
}

// TestLakeThatLacks: without a snapshot as old as the lake, or without the decisions
// after it, the lake stands still, says from where on it lacks decisions, and shows a
// growing lag; with the whole journal it goes on there.
func TestLakeThatLacks(t *testing.T) {
	log, all := kept(t, 2, 40)
	dir, n := t.TempDir(), len(all)
	p, _ := newPipeline(t, lake.OS(dir))
	if err := p.Run(t.Context(), Follow(stretch{log, 1, 51}, 0)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		snapshot int
		first    uint64
		why      string
	}{{60, 40, "no snapshot is as old"}, {40, 60, "begins after decision 41"}} {
		p, reg := late(t, dir, map[engine.Seq]*core.State{engine.Seq(c.snapshot): folded(t, all[:c.snapshot])}, engine.Seq(n))
		p.cfg.Heartbeat = 10 * time.Millisecond
		ctx, end := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- p.Run(ctx, Follow(stretch{log, c.first, uint64(n) + 1}, time.Millisecond)) }()
		for tick, begun := time.NewTicker(time.Millisecond), time.Now(); p.Lacks() == nil || lagOf(t, reg) == 0; <-tick.C {
			if time.Since(begun) > 10*time.Second {
				t.Fatalf("lacks %v, lag %v", p.Lacks(), lagOf(t, reg))
			}
		}
		if l := p.Lacks(); l.From != 51 || !strings.Contains(l.Error(), c.why) || !strings.Contains(l.Error(), "ends at decision 50") {
			t.Errorf("%v", l)
		}
		if got := testutil.ToFloat64(p.metrics.lacks); got != 51 {
			t.Errorf("the metric is %v", got)
		}
		if end(); <-done != nil || p.Position() != 50 || p.Lacks() != nil {
			t.Errorf("at %d", p.Position())
		}
	}
	p, _ = newPipeline(t, lake.OS(dir))
	if err := p.Run(t.Context(), Follow(log, 0)); err != nil || p.Position() != engine.Seq(n) {
		t.Errorf("%v at %d", err, p.Position())
	}
}

// TestLateOnAnotherLake: a lake of another journal is refused by what it says of
// markets.
func TestLateOnAnotherLake(t *testing.T) {
	log, all := kept(t, 3, 40)
	other, _ := kept(t, 4, 40)
	dir := t.TempDir()
	p, _ := newPipeline(t, lake.OS(dir))
	if err := p.Run(t.Context(), Follow(stretch{other, 1, 109}, 0)); err != nil {
		t.Fatal(err)
	}
	short, _ := late(t, dir, nil, 98)
	if err := short.Run(t.Context(), Follow(stretch{log, 78, 99}, 0)); !errors.Is(err, ErrAhead) {
		t.Errorf("ahead: %v", err)
	}
	p, _ = late(t, dir, map[engine.Seq]*core.State{98: folded(t, all[:98])}, engine.Seq(len(all)))
	if err := p.Run(t.Context(), Follow(stretch{log, 99, uint64(len(all)) + 1}, 0)); !errors.Is(err, lake.ErrOtherLog) {
		t.Errorf("another journal's: %v", err)
	}
}

// kept is a journal that holds a history.
func kept(t *testing.T, seed uint64, orders int) (journal.Log, []*engine.Decision) {
	t.Helper()
	all, log := newHistory(t, seed, orders), openLog(t)
	if err := cdctest.Write(log, all, 16); err != nil {
		t.Fatal(err)
	}
	return log, all
}

func folded(t *testing.T, ds []*engine.Decision) *core.State {
	t.Helper()
	s := core.New()
	for _, d := range ds {
		if err := s.Evolve(d); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// lagOf is the sum of all lags that a pipeline has shown, in seconds.
func lagOf(t *testing.T, reg *prometheus.Registry) (sum float64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "cdc_lag_seconds" {
				sum += m.GetHistogram().GetSampleSum()
			}
		}
	}
	return sum
}
