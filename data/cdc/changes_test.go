package cdc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mbp-market/mbp/data/cdc/cdctest"
	"github.com/mbp-market/mbp/data/cdc/lake"
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/journal/file"
)

func newHistory(t testing.TB, seed uint64, orders int) []*engine.Decision {
	t.Helper()
	log, err := cdctest.History(seed, engine.Time(start), orders)
	if err != nil {
		t.Fatal(err)
	}
	return log
}

func openLog(t testing.TB) *file.Log {
	t.Helper()
	log, err := file.Open(file.Config{Dir: filepath.Join(t.TempDir(), "journal"), SegmentSize: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	return log
}

// written reads every row of a table that a reader who globs would see, in the
// form of line.
func written(t *testing.T, p *Pipeline, dir, table string) []line {
	t.Helper()
	s, err := p.reg.Latest(table)
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, table, "dt=*", "hr=*", "*.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	var rows []line
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
			row := line{}
			for i, c := range s.Columns {
				v := r.Values[i]
				if n, ok := v.(int64); ok {
					v = float64(n)
					if strings.HasSuffix(c.Name, "_at") {
						v = time.UnixMicro(n).UTC().Format(timeLayout)
					}
				}
				row[c.Name] = v
			}
			committed, err := time.Parse(timeLayout, row["committed_at"].(string))
			decided, err2 := time.Parse(timeLayout, row["decided_at"].(string))
			if err != nil || err2 != nil || committed.Before(decided) {
				t.Errorf("%s seq %v: decided %v, committed %v", table, row["seq"], row["decided_at"], row["committed_at"])
			}
			delete(row, "committed_at")
			rows = append(rows, row)
		}
	}
	return rows
}

func lines(rows []line) []string {
	var out []string
	for _, r := range rows {
		out = append(out, fmt.Sprint(map[string]any(r)))
	}
	slices.Sort(out)
	return out
}

// Engine, file journal, pipeline and Parquet, with the pipeline killed at random
// disk operations while the journal grows; what is in the lake at the end is
// what an independent reading of the decisions says.
func TestLakeTellsWhatTheEngineDecided(t *testing.T) {
	for seed := range uint64(6) {
		rng := rand.New(rand.NewPCG(seed, 7))
		history, log, dir := newHistory(t, seed, 200), openLog(t), t.TempDir()
		kills := 0
		for rest := history; ; {
			n := min(len(rest), 1+rng.IntN(120))
			if err := cdctest.Write(log, rest[:n], 16); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
			disk := &faultyFS{FS: lake.OS(dir)}
			if len(rest) > 0 {
				disk.failAt.Store(1 + rng.Int64N(150))
			}
			p, _ := newPipeline(t, disk)
			p.cfg.FlushRows = 1 + rng.IntN(60)
			p.cfg.Head = func() engine.Seq { return engine.Seq(log.Next() - 1) }
			ctx, kill := context.WithCancel(t.Context())
			disk.onFail = kill
			err := p.Run(ctx, Follow(log, 0))
			kill()
			if err != nil && !errors.Is(err, errDisk) {
				t.Fatalf("seed %d: %v", seed, err)
			}
			if err != nil {
				kills++
			}
			if len(rest) > 0 {
				continue
			}
			if err != nil || p.Position() != engine.Seq(len(history)) {
				t.Fatalf("seed %d: position %d of %d: %v", seed, p.Position(), len(history), err)
			}
			want := tell(t, history)
			for _, table := range Tables() {
				got, want := lines(written(t, p, dir, table)), lines(want[table])
				if !slices.Equal(got, want) {
					t.Errorf("seed %d, %s after %d kills: %d rows, want %d; first difference:\n%s", seed, table, kills, len(got), len(want), firstDifference(got, want))
				}
			}
			if letters, err := p.lake.DeadLetters(); err != nil || len(letters) > 0 {
				t.Errorf("dead letters %v (%v)", letters, err)
			}
			break
		}
		t.Logf("seed %d: %d decisions, %d kills", seed, len(history), kills)
	}
}

func firstDifference(got, want []string) string {
	for i := range max(len(got), len(want)) {
		g, w := "", ""
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			return "got  " + g + "\nwant " + w
		}
	}
	return ""
}

// The history reaches every phase, or the test above would prove little.
func TestHistoryTouchesEveryPhase(t *testing.T) {
	seen := map[string]int{}
	for table, rows := range tell(t, newHistory(t, 1, 200)) {
		for _, r := range rows {
			seen[table+" "+r["op"].(string)]++
			for _, c := range []string{"phase", "state", "kind", "ending", "step", "rule", "role", "every", "standing"} {
				if v, ok := r[c].(string); ok {
					seen[c+" "+v]++
				}
			}
			if v, ok := r["outcome"].(string); ok {
				seen[table+" of "+v]++
			}
			if table == tableAbuse {
				seen[fmt.Sprint("abuse on ", r["market"])]++
				seen[fmt.Sprint("abuse with ", r["other_account"] != nil, ", events ", r["events"])]++
			}
			if r["recovered_micros"] != nil && r["recovered_micros"] != 0.0 {
				seen["recovered"]++
			}
		}
	}
	var want []string
	for _, s := range engine.States() {
		want = append(want, "state "+s.String())
	}
	for _, r := range engine.Rules() {
		want = append(want, "rule "+r)
	}
	for _, what := range append(want,
		"mbp_markets c", "mbp_markets u", "mbp_quotes c", "mbp_quotes u", "mbp_resolutions c", "mbp_resolutions u", "mbp_abuse_events c",
		"kind binary", "kind categorical", "kind scalar", "ending outcome", "ending void", "ending price", "ending refund",
		"phase reported", "phase proposed", "phase rejected", "phase approved", "phase disputed", "phase started", "phase canceled", "phase settled",
		"step rewind", "step collect", "step pay", "mbp_quotes of SHORT", "mbp_quotes of O64", "mbp_resolutions of NONE", "mbp_resolutions of LONG", "mbp_resolutions of O3",
		"abuse on mkt_1", "abuse on <nil>", "abuse with true, events 1", "abuse with false, events 2", "recovered",
		"mbp_grants c", "mbp_grants u", "mbp_groups c", "mbp_groups u", "step set", "step ended", "step begun", "step granted", "every daily", "every monthly",
		"mbp_seasons c", "mbp_seasons u", "step opened", "step stopped", "step begun", "step ended", "step began_with", "step ended_with", "standing ranked", "standing unranked",
		"role given", "role told", "role allow", "role deny", "step joined", "step left",
	) {
		if seen[what] == 0 {
			t.Errorf("the history has no %q", what)
		}
	}
}

// A lake stays with the journal that filled it.
func TestLakeOfAnotherJournalIsRefused(t *testing.T) {
	dir := t.TempDir()
	history := newHistory(t, 1, 8)
	run := func(history []*engine.Decision) error {
		log := openLog(t)
		if err := cdctest.Write(log, history, 16); err != nil {
			t.Fatal(err)
		}
		p, _ := newPipeline(t, lake.OS(dir))
		p.cfg.Head = func() engine.Seq { return engine.Seq(log.Next() - 1) }
		return p.Run(t.Context(), Follow(log, 0))
	}
	if err := run(history); err != nil {
		t.Fatal(err)
	}
	if err := run(history[:5]); !errors.Is(err, ErrAhead) {
		t.Errorf("a shorter journal: %v", err)
	}
	other, err := cdctest.History(1, engine.Time(start)+1, 8)
	if err != nil {
		t.Fatal(err)
	}
	if err := run(other); !errors.Is(err, lake.ErrOtherLog) {
		t.Errorf("another journal: %v", err)
	}
}

type sourceFunc func(context.Context) (Committed, error)

func (f sourceFunc) Next(ctx context.Context) (Committed, error) { return f(ctx) }

// An event that change capture does not know, and a decision that does not
// follow, stop the pipeline.
func TestWhatDoesNotFoldStopsThePipeline(t *testing.T) {
	history := newHistory(t, 1, 8)
	gap := slices.Delete(slices.Clone(history), 3, 4)
	i := 0
	p, _ := newPipeline(t, lake.OS(t.TempDir()))
	err := p.Run(t.Context(), sourceFunc(func(context.Context) (Committed, error) {
		if i == len(gap) {
			return Committed{}, io.EOF
		}
		i++
		return Committed{gap[i-1], int64(gap[i-1].At)}, nil
	}))
	if !errors.Is(err, core.ErrFold) {
		t.Errorf("a gap: %v", err)
	}
	if err := newFold().event(&touched{d: history[0]}, unknownEvent{history[0].Events[0]}); err == nil || !strings.Contains(err.Error(), "unknown to the change capture") {
		t.Errorf("an unknown event: %v", err)
	}
}

type unknownEvent struct{ engine.Event }

// TestEveryEventIsKnown: one that the engine has and the capture does not would stop the
// lake, and make the server not ready, the first time that it happens.
func TestEveryEventIsKnown(t *testing.T) {
	read := func(pattern string) (text string) {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasSuffix(f, "_test.go") {
				text += string(b) + "\n"
			}
		}
		return text
	}
	known := read("*.go")
	events := regexp.MustCompile(`(?m)^//wire:event \d+ \w+\ntype (\w+) struct`).FindAllStringSubmatch(read("../../engine/*.go"), -1)
	if len(events) < 30 {
		t.Fatalf("%d events: the engine is read wrongly", len(events))
	}
	for _, m := range events {
		if !regexp.MustCompile(`\*engine\.` + m[1] + `\b`).MatchString(known) {
			t.Errorf("%s is unknown to the change capture", m[1])
		}
	}
}

// A follower that waits delivers what is appended later, and ends with its
// context.
func TestFollowerWaitsForNews(t *testing.T) {
	history, log := newHistory(t, 1, 8), openLog(t)
	ctx, cancel := context.WithCancel(t.Context())
	f := Follow(log, time.Millisecond)
	done := make(chan error)
	go func() {
		for i := range history {
			c, err := f.Next(ctx)
			if err != nil || c.Decision.Seq != engine.Seq(i+1) {
				done <- fmt.Errorf("decision %d: got %v, %w", i+1, c.Decision, err)
				return
			}
		}
		done <- nil
		_, err := f.Next(ctx)
		done <- err
	}()
	if err := cdctest.Write(log, history, 4); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of the context: %v", err)
	}
	// Damage reaches the caller.
	bad := openLog(t)
	if err := bad.Append(1, 1, [][]byte{[]byte("no decision")}); err != nil {
		t.Fatal(err)
	}
	if _, err := Follow(bad, 0).Next(t.Context()); !errors.Is(err, engine.ErrEncoding) {
		t.Errorf("a record that is no decision: %v", err)
	}
	var _ Reader = journal.Log(bad)
}
