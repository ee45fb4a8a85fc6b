package cdc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mbp-market/mbp/data/cdc/lake"
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/schemas"
)

var errDisk = errors.New("disk failed")

// faultyFS fails every changing operation from the n-th on, like a process that
// was killed there, or a disk that is full until it is healed.
type faultyFS struct {
	lake.FS
	ops    atomic.Int64
	failAt atomic.Int64 // 0 never
	onFail func()       // may be nil
}

func (f *faultyFS) step() error {
	n, at := f.ops.Add(1), f.failAt.Load()
	if at == 0 || n < at {
		return nil
	}
	if f.onFail != nil {
		f.onFail()
	}
	return errDisk
}

func (f *faultyFS) Create(name string) (lake.File, error) {
	if err := f.step(); err != nil {
		return nil, err
	}
	return f.FS.Create(name)
}

func (f *faultyFS) Rename(from, to string) error {
	if err := f.step(); err != nil {
		return err
	}
	return f.FS.Rename(from, to)
}

func (f *faultyFS) Mkdir(name string) error {
	if err := f.step(); err != nil {
		return err
	}
	return f.FS.Mkdir(name)
}

func (f *faultyFS) SyncDir(name string) error {
	if err := f.step(); err != nil {
		return err
	}
	return f.FS.SyncDir(name)
}

func newPipeline(t testing.TB, fsys lake.FS) (*Pipeline, *prometheus.Registry) {
	t.Helper()
	reg := prometheus.NewRegistry()
	p, err := New(Config{FS: fsys, Schemas: schemas.FS, Registerer: reg, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return p, reg
}

// serve delivers the log from a position and then ends, or blocks.
func serve(log []decided, from engine.Seq, block bool) nextFunc {
	i := int(from) - 1
	return func(ctx context.Context) (decided, error) {
		if i < len(log) {
			i++
			return log[i-1], nil
		}
		if block {
			<-ctx.Done()
			return decided{}, ctx.Err()
		}
		return decided{}, io.EOF
	}
}

const start = int64(1767355200e6) // 2026-01-02T12:00:00Z

func quoteChange(market, price int64, op string) change {
	return change{tableQuotes, op, map[string]any{
		"market": fmt.Sprintf("mkt_%d", market), "outcome": "YES", "price_micros": price,
		"pool_yes_micros": price * 2, "pool_no_micros": price * 3, "cause": "order_filled", "twap_micros": nil, "depth_micros": int64(9),
	}}
}

func abuseChange(account int64) change {
	return change{tableAbuse, "c", map[string]any{
		"account": fmt.Sprintf("acc_%d", account), "market": nil, "rule": "order_rate", "severity": "low", "action": "limit",
		"observed": int64(31), "bound": int64(30),
	}}
}

// history draws a log over several hours; some decisions have no rows, some
// rows violate their schema.
func history(rng *rand.Rand, n int) []decided {
	log := make([]decided, n)
	at := start
	for i := range log {
		at += rng.Int64N(600e6)
		d := decided{seq: uint64(i + 1), decided: at, committed: at + 100 + rng.Int64N(1e6)}
		for range rng.IntN(4) {
			switch rng.IntN(6) {
			case 0:
				d.changes = append(d.changes, abuseChange(rng.Int64N(9)+1))
			case 1:
				d.changes = append(d.changes, quoteChange(1, 1_000_000, "u")) // above the bound
			default:
				d.changes = append(d.changes, quoteChange(rng.Int64N(5)+1, rng.Int64N(999_999)+1, "u"))
			}
		}
		log[i] = d
	}
	return log
}

// expected is the independent account of what the lake must hold: one line per row,
// one per dead letter.
func expected(log []decided) (rows, letters []string) {
	for _, d := range log {
		for n, c := range d.changes {
			switch {
			case c.table == tableAbuse:
				rows = append(rows, fmt.Sprint(tableAbuse, d.seq, c.columns["account"], d.decided, d.committed))
			case c.columns["price_micros"] == int64(1_000_000):
				letters = append(letters, fmt.Sprintf("%016d-%d.json", d.seq, n))
			default:
				rows = append(rows, fmt.Sprint(tableQuotes, d.seq, c.columns["market"], c.columns["price_micros"], d.decided, d.committed))
			}
		}
	}
	slices.Sort(rows)
	slices.Sort(letters)
	return rows, letters
}

// lakeRows reads what a reader that globs would see.
func lakeRows(t *testing.T, p *Pipeline, dir string) (rows, letters []string) {
	t.Helper()
	for _, table := range []string{tableAbuse, tableQuotes} {
		s, err := p.reg.Latest(table)
		if err != nil {
			t.Fatal(err)
		}
		files, err := filepath.Glob(filepath.Join(dir, table, "dt=*", "hr=*", "*.parquet"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			raw, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			got, err := lake.ReadFile(s, raw)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			for _, r := range got {
				v := map[string]any{}
				for i, c := range s.Columns {
					v[c.Name] = r.Values[i]
				}
				if table == tableAbuse {
					rows = append(rows, fmt.Sprint(table, v["seq"], v["account"], v["decided_at"], v["committed_at"]))
				} else {
					rows = append(rows, fmt.Sprint(table, v["seq"], v["market"], v["price_micros"], v["decided_at"], v["committed_at"]))
				}
			}
		}
	}
	names, err := filepath.Glob(filepath.Join(dir, "_dead_letter", "*", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		letters = append(letters, filepath.Base(n))
	}
	slices.Sort(rows)
	slices.Sort(letters)
	return rows, letters
}

// Random histories, a random number of kills at random disk operations, random
// lengths of what the journal holds at each start.
func TestLakeEqualsTheFoldOfDecisions(t *testing.T) {
	total := 0
	defer func() { t.Logf("%d kills", total) }()
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 1))
		log := history(rng, 5+rng.IntN(60))
		dir := t.TempDir()
		kills := 0
		for round := 0; ; round++ {
			disk := &faultyFS{FS: lake.OS(dir)}
			visible := log
			if round < 6 {
				visible = log[:rng.IntN(len(log)+1)]
				disk.failAt.Store(1 + rng.Int64N(40))
			}
			p, _ := newPipeline(t, disk)
			p.cfg.FlushRows = 1 + rng.IntN(8)
			from, err := p.resume()
			if err == nil {
				if int(from)-1 > len(visible) {
					visible = log
				}
				ctx, kill := context.WithCancel(t.Context())
				disk.onFail = kill
				err = p.run(ctx, serve(visible, from, false))
				kill()
			}
			if err != nil {
				if !errors.Is(err, errDisk) {
					t.Fatalf("seed %d: %v", seed, err)
				}
				kills++
				total++
				continue
			}
			if round >= 6 {
				wantRows, wantLetters := expected(log)
				rows, letters := lakeRows(t, p, dir)
				if !slices.Equal(rows, wantRows) || !slices.Equal(letters, wantLetters) {
					t.Fatalf("seed %d, %d kills: rows %d want %d, letters %q want %q", seed, kills, len(rows), len(wantRows), letters, wantLetters)
				}
				if p.Position() != engine.Seq(len(log)) {
					t.Fatalf("seed %d: position %d", seed, p.Position())
				}
				break
			}
		}
	}
}

func TestInvalidRowBecomesADeadLetter(t *testing.T) {
	dir := t.TempDir()
	log := []decided{
		{seq: 1, decided: start, committed: start + 7, changes: []change{quoteChange(1, 500_000, "c"), quoteChange(2, 1_000_000, "u")}},
		{seq: 2, decided: start + 1, committed: start + 8, changes: []change{{tableMarkets, "c", map[string]any{"market": "mkt_1"}}}},
	}
	p, reg := newPipeline(t, lake.OS(dir))
	if err := p.run(t.Context(), serve(log, 1, false)); err != nil {
		t.Fatal(err)
	}
	rows, letters := lakeRows(t, p, dir)
	if len(rows) != 1 || !slices.Equal(letters, []string{"0000000000000001-1.json", "0000000000000002-0.json"}) {
		t.Errorf("rows %q, letters %q", rows, letters)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "_dead_letter", tableQuotes, "0000000000000001-1.json"))
	if err != nil || !strings.Contains(string(raw), "price_micros") || !strings.Contains(string(raw), `"schema_version": "1.3.0"`) {
		t.Errorf("%v: %s", err, raw)
	}
	want := `# HELP cdc_dead_letters_total Rows that violated their schema.
# TYPE cdc_dead_letters_total counter
cdc_dead_letters_total{table="mbp_abuse_events"} 0
cdc_dead_letters_total{table="mbp_grants"} 0
cdc_dead_letters_total{table="mbp_groups"} 0
cdc_dead_letters_total{table="mbp_markets"} 1
cdc_dead_letters_total{table="mbp_quotes"} 1
cdc_dead_letters_total{table="mbp_resolutions"} 0
cdc_dead_letters_total{table="mbp_seasons"} 0
# HELP data_contract_break 1 while rows that violated their schema lie in the dead-letter folder.
# TYPE data_contract_break gauge
data_contract_break 1
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "cdc_dead_letters_total", "data_contract_break"); err != nil {
		t.Error(err)
	}
	// The break outlives the process, and ends when the folder is empty.
	for _, broken := range []float64{1, 0} {
		p, _ := newPipeline(t, lake.OS(dir))
		if _, err := p.resume(); err != nil || testutil.ToFloat64(p.metrics.contract) != broken {
			t.Errorf("after a restart data_contract_break = %v, want %v (%v)", testutil.ToFloat64(p.metrics.contract), broken, err)
		}
		if err := os.RemoveAll(filepath.Join(dir, "_dead_letter")); err != nil {
			t.Fatal(err)
		}
	}
}

// observed returns count and sum of a table's lag.
func observed(t *testing.T, reg *prometheus.Registry, table string) (count uint64, sum float64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "cdc_lag_seconds" && m.GetLabel()[0].GetValue() == table {
				return m.GetHistogram().GetSampleCount(), m.GetHistogram().GetSampleSum()
			}
		}
	}
	t.Fatalf("no lag of %s", table)
	return 0, 0
}

func TestStuckPipelineShowsGrowingLag(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		disk := &faultyFS{FS: lake.OS(dir)}
		p, reg := newPipeline(t, disk)
		if _, err := p.resume(); err != nil {
			t.Fatal(err)
		}
		disk.failAt.Store(1)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		now := time.Now().UnixMicro()
		log := []decided{{seq: 1, decided: now, committed: now, changes: []change{quoteChange(1, 500_000, "c")}}}
		go func() { done <- p.run(ctx, serve(log, 1, true)) }()
		time.Sleep(5*time.Minute + time.Millisecond)
		synctest.Wait()
		for _, table := range Tables() {
			if n, sum := observed(t, reg, table); n != 60 || sum < 60*61/2*5-5 {
				t.Errorf("%s: %d heartbeats with %.0f s in sum while stuck for 300 s", table, n, sum)
			}
		}
		if beat := testutil.ToFloat64(p.metrics.heartbeat.WithLabelValues(tableQuotes)); beat > float64(now)/1e6+1 {
			t.Errorf("the heartbeat moved on to %.1f", beat)
		}
		if testutil.ToFloat64(p.metrics.commitErrors) < 50 {
			t.Error("the commit was not tried again")
		}
		disk.failAt.Store(0) // the disk is back
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if testutil.ToFloat64(p.metrics.rows.WithLabelValues(tableQuotes)) != 1 || p.Position() != 1 {
			t.Error("the row did not arrive after the disk was back")
		}
		before, sumBefore := observed(t, reg, tableQuotes)
		time.Sleep(time.Minute)
		synctest.Wait()
		if n, sum := observed(t, reg, tableQuotes); n != before+12 || sum != sumBefore {
			t.Errorf("idle: %d heartbeats with %.1f s in sum", n-before, sum-sumBefore)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// A source that stops delivering is seen through the journal's head.
func TestSilentSourceShowsGrowingLag(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		p, reg := newPipeline(t, lake.OS(dir))
		p.cfg.Head = func() engine.Seq { return 7 }
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- p.run(ctx, serve(nil, 1, true)) }()
		time.Sleep(5*time.Minute + time.Millisecond)
		synctest.Wait()
		if n, sum := observed(t, reg, tableMarkets); n != 60 || sum < 8000 {
			t.Errorf("%d heartbeats with %.0f s in sum", n, sum)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestRowsArriveWithinAFlush(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		p, reg := newPipeline(t, lake.OS(dir))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		i := uint64(0)
		next := func(ctx context.Context) (decided, error) { // 100 decisions/s
			select {
			case <-ctx.Done():
				return decided{}, ctx.Err()
			case <-time.After(10 * time.Millisecond):
			}
			i++
			now := time.Now().UnixMicro()
			return decided{seq: i, decided: now, committed: now, changes: []change{quoteChange(1, 500_000, "u")}}, nil
		}
		go func() { done <- p.run(ctx, next) }()
		time.Sleep(time.Minute + 5*time.Millisecond) // between two decisions
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		n, sum := observed(t, reg, tableQuotes)
		if n != i || p.Position() != engine.Seq(i) || sum/float64(n) > 0.55 {
			t.Errorf("%d rows of %d, mean lag %.2f s", n, i, sum/float64(n))
		}
		if n, _ := observed(t, reg, tableMarkets); n < 11 {
			t.Errorf("the idle table has %d heartbeats in a minute", n)
		}
	})
}

func TestGapsAreRefused(t *testing.T) {
	for _, seqs := range [][]uint64{{2}, {1, 1}, {1, 3}} {
		var log []decided
		for _, s := range seqs {
			log = append(log, decided{seq: s, decided: start, committed: start})
		}
		p, _ := newPipeline(t, lake.OS(t.TempDir()))
		if err := p.run(t.Context(), serve(log, 1, false)); !errors.Is(err, ErrGap) {
			t.Errorf("%v: %v", seqs, err)
		}
	}
}

func TestConfigReportsAllFaults(t *testing.T) {
	_, err := New(Config{Heartbeat: time.Minute})
	if err == nil || !strings.Contains(err.Error(), "folder") || !strings.Contains(err.Error(), "Registerer") || !strings.Contains(err.Error(), "Heartbeat") {
		t.Errorf("%v", err)
	}
}
