// Package analytics_test runs the real dbt project on lakes that the real
// pipeline wrote from real engine decisions, and proves by planted faults that
// its tests can fail. It refuses to stand in for dbt: without it there is no
// result, and in CI that is a failure.
package analytics_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mbp-market/mbp/data/cdc"
	"github.com/mbp-market/mbp/data/cdc/cdctest"
	"github.com/mbp-market/mbp/data/cdc/lake"
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/journal/file"
	"github.com/mbp-market/mbp/schemas"
	"github.com/mbp-market/mbp/schemas/registry"
)

const longAgo = engine.Time(1767355200e6) // 2026-01-02T12:00:00Z

// dbt returns the pinned program.
func dbt(t *testing.T) string {
	t.Helper()
	name, err := filepath.Abs(filepath.Join("..", "..", ".tools", "bin", "dbt"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(name); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("dbt is missing, so nothing was tested: %v", err)
		}
		t.Skipf("SKIPPED, NOTHING WAS TESTED: dbt is missing, run make tools (%v)", err)
	}
	return name
}

// place is a project, a lake and a target that belong together.
type place struct{ dbt, project, lake, target string }

func newPlace(t *testing.T) place {
	t.Helper()
	project, err := filepath.Abs("dbt")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	return place{dbt(t), project, filepath.Join(dir, "lake"), filepath.Join(dir, "target")}
}

// run executes a dbt command and returns whether it succeeded.
func (p place) run(t *testing.T, args ...string) (ok bool, output string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), p.dbt, append(args, "--profiles-dir", filepath.Join(p.project, "profiles"), "--target-path", p.target, "--log-path", filepath.Join(p.target, "logs"), "--no-use-colors")...)
	cmd.Dir = p.project
	cmd.Env = append(os.Environ(), "MBP_LAKE="+p.lake, "MBP_DUCKDB="+filepath.Join(p.target, "mbp.duckdb"))
	began := time.Now()
	raw, err := cmd.CombinedOutput()
	t.Logf("dbt %s: %.1f s", strings.Join(args, " "), time.Since(began).Seconds())
	if exit := (&exec.ExitError{}); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return err == nil, string(raw)
}

// result is what dbt says about one node.
type result struct {
	status   string
	failures int
}

// results reads run_results.json by the last part of each node's name.
func (p place) results(t *testing.T) map[string]result {
	t.Helper()
	var doc struct {
		Results []struct {
			UniqueID string `json:"unique_id"`
			Status   string `json:"status"`
			Failures int    `json:"failures"`
		} `json:"results"`
	}
	readJSON(t, filepath.Join(p.target, "run_results.json"), &doc)
	out := map[string]result{}
	for _, r := range doc.Results {
		parts := strings.Split(r.UniqueID, ".")
		name := parts[2] // test.mbp.<name>.<hash>
		if parts[0] == "unit_test" {
			name = parts[3]
		}
		out[name] = result{r.Status, r.Failures}
	}
	return out
}

// failed returns the nodes that did not pass, with their number of failing rows.
func failed(results map[string]result) map[string]int {
	out := map[string]int{}
	for name, r := range results {
		if !slices.Contains([]string{"pass", "success", "no-op"}, r.status) {
			out[name] = r.failures
		}
	}
	return out
}

func readJSON(t *testing.T, name string, v any) {
	t.Helper()
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// fill runs a history of real decisions through journal and pipeline into the
// lake. The history ends at end if that is not zero, else it begins long ago.
func (p place) fill(t *testing.T, end engine.Time) {
	t.Helper()
	history, err := cdctest.History(1, longAgo, 400)
	if err == nil && end != 0 {
		history, err = cdctest.History(1, end-(history[len(history)-1].At-longAgo), 400)
	}
	if err != nil {
		t.Fatal(err)
	}
	log, err := file.Open(file.Config{Dir: filepath.Join(t.TempDir(), "journal"), SegmentSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if err := cdctest.Write(log, history, 32); err != nil {
		t.Fatal(err)
	}
	pipeline, err := cdc.New(cdc.Config{
		Lake: p.lake, Schemas: schemas.FS, Registerer: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler), FlushRows: 100,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := pipeline.Run(t.Context(), cdc.Follow(log, 0)); err != nil {
		t.Fatal(err)
	}
	if got := pipeline.Position(); got != history[len(history)-1].Seq {
		t.Fatalf("the lake ends at %d of %d", got, len(history))
	}
}

// built is the project built and documented once, from a lake that ends now.
var built struct {
	sync.Once
	place
	ok bool
}

func build(t *testing.T) place {
	t.Helper()
	built.Do(func() {
		p := newPlace(t)
		dir, err := os.MkdirTemp("", "mbp-dbt-") // outlives this test, removed by TestMain
		if err != nil {
			t.Fatal(err)
		}
		p.lake, p.target = filepath.Join(dir, "lake"), filepath.Join(dir, "target")
		built.place = p
		p.fill(t, engine.Time(time.Now().UnixMicro()))
		beyondTheCheckpoint(t, p.lake)
		for _, args := range [][]string{{"build"}, {"docs", "generate", "--static", "--no-compile"}, {"source", "freshness"}} {
			if ok, out := p.run(t, args...); !ok {
				t.Fatalf("dbt %q fails on a good lake:\n%s", args, out)
			}
		}
		built.ok = true
	})
	if !built.ok {
		t.Fatal("the build failed before")
	}
	return built.place
}

func TestMain(m *testing.M) {
	code := m.Run()
	if built.lake != "" {
		_ = os.RemoveAll(filepath.Dir(built.lake))
	}
	os.Exit(code)
}

// beyondTheCheckpoint leaves the files of a commit that is under way.
func beyondTheCheckpoint(t *testing.T, dir string) {
	t.Helper()
	checkpoint := filepath.Join(dir, "_manifest", "checkpoint.json")
	before, err := os.ReadFile(checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	p := newPlanter(t, dir)
	p.open("mkt_77")
	p.commit()
	if err := os.WriteFile(checkpoint, before, 0o644); err != nil {
		t.Fatal(err)
	}
}

// The whole project passes on what the real pipeline wrote, every test ran, and
// the documentation is there.
func TestBuildPassesOnARealLake(t *testing.T) {
	t.Parallel()
	p := build(t)
	got := p.results(t)
	if bad := failed(got); len(bad) > 0 || len(got) < 100 {
		t.Errorf("%d nodes, failed: %v", len(got), bad)
	}
	var catalog struct{ Nodes map[string]any }
	readJSON(t, filepath.Join(p.target, "catalog.json"), &catalog)
	if len(catalog.Nodes) != 16 {
		t.Errorf("the catalog has %d relations", len(catalog.Nodes))
	}
	for _, name := range []string{"index.html", "static_index.html", "manifest.json"} {
		if st, err := os.Stat(filepath.Join(p.target, name)); err != nil || st.Size() < 100_000 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A lake whose newest commit is old is stale, whatever the rows say.
func TestStaleLakeIsRefused(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.fill(t, 0)
	if ok, out := p.run(t, "source", "freshness"); ok || strings.Count(out, "ERROR STALE") < 5 {
		t.Errorf("a lake of %s is fresh:\n%s", longAgo, out)
	}
}

// A table or a commit point that is not there is named, and nothing is built.
func TestLakeWithoutATableIsRefused(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.fill(t, 0)
	for _, name := range []string{"mbp_resolutions", "mbp_groups", filepath.Join("_manifest", "checkpoint.json")} {
		if err := os.RemoveAll(filepath.Join(p.lake, name)); err != nil {
			t.Fatal(err)
		}
	}
	ok, out := p.run(t, "build")
	if ok || !strings.Contains(out, "has no _manifest/checkpoint.json, no mbp_groups/") || !strings.Contains(out, "no mbp_resolutions/") {
		t.Errorf("built from half a lake: %v\n%s", ok, out)
	}
	if _, err := os.Stat(filepath.Join(p.target, "run_results.json")); err == nil && len(failed(p.results(t))) == 0 {
		t.Error("the results of a refused run read as a pass")
	}
}

// A house that has no groups and granted nothing is built with both tables empty; rows
// that the checkpoint counts and nobody finds are missing.
func TestTablesThatMayBeEmpty(t *testing.T) {
	if testing.Short() {
		t.Skip("a run of dbt")
	}
	t.Parallel()
	p := newPlace(t)
	rows := newPlanter(t, p.lake)
	rows.open("mkt_1").state("mkt_1", "proposed", values{"op": "c"}).next().put("mbp_abuse_events", nil)
	rows.commit()
	if ok, out := p.run(t, "run", "--select", "+mbp_groups", "+mbp_grant_schedules"); !ok {
		t.Fatalf("a house without groups and grants does not build:\n%s", out)
	}
	if got := p.results(t); got["stg_mbp__groups"].status != "success" || got["mbp_grant_schedules"].status != "success" {
		t.Errorf("%v", got)
	}
	if os.Getenv("MBP_LONG") == "" {
		return // another run of dbt
	}
	clear(rows.rows)
	rows.next().put("mbp_groups", nil)
	rows.commit()
	if err := os.RemoveAll(filepath.Join(p.lake, "mbp_groups")); err != nil {
		t.Fatal(err)
	}
	if ok, out := p.run(t, "run"); ok || !strings.Contains(out, "has no mbp_groups/") || strings.Contains(out, "no mbp_grants/") {
		t.Errorf("built without rows that were committed: %v\n%s", ok, out)
	}
}

// mutants change one expression of each model so that it is wrong, and name
// tests that must see it.
var mutants = []struct {
	model, from, to string
	caughtBy        []string
}{
	{"mbp_markets", "{{ from_row('state', 'nth_last') }} as state", "{{ from_row('state', 'nth') }} as state",
		[]string{"market_stands_where_its_last_row_says", "resolutions_agree_with_their_market"}},
	{"mbp_markets", "on markets.market = last_quotes.market", "on true", []string{"mbp_markets_grain_is_unique", "marts_agree_with_staging"}},
	{"mbp_quotes", "{{ from_row('price_micros', 'nth_last') }}", "max(price_micros)", []string{"bar_opens_and_closes_by_sequence"}},
	{"mbp_quotes", "min(price_micros) as low", "max(price_micros) as low", []string{"mbp_quotes_bars_are_ordered", "quotes_of_both_outcomes_mirror"}},
	{"mbp_resolutions", "where attempt = attempts", "", []string{"resolution_tells_its_latest_attempt"}},
	{"mbp_abuse_events", "from {{ ref('stg_mbp__abuse_events') }}", "from {{ ref('stg_mbp__abuse_events') }} where seq > 300",
		[]string{"abuse_counts_repeats_of_an_account_under_a_rule", "marts_agree_with_staging"}},
	{"mbp_grants", "where step = 'granted'", "", []string{"grants_add_up_by_account_and_schedule"}},
	{"mbp_grant_schedules", "coalesce(ended_seq > set_seq, false)", "ended_seq is not null", []string{"schedule_tells_its_last_terms"}},
	{"mbp_groups", "where nth_last = 1 and step = 'joined'", "where nth_last = 1", []string{"groups_are_those_that_joined_last", "marts_agree_with_staging"}},
	{"mbp_standings", "- coalesce(granted.granted_micros, 0) as profit_micros", "as profit_micros", []string{"standings_rank_what_was_won"}},
}

func TestMutatedModelsFailTheirTests(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.fill(t, 0)
	project := filepath.Join(t.TempDir(), "project")
	if err := os.CopyFS(project, os.DirFS(p.project)); err != nil {
		t.Fatal(err)
	}
	p.project = project
	for _, m := range mutants {
		name := filepath.Join(project, "models", "mbp", m.model+".sql")
		raw, err := os.ReadFile(name)
		if err != nil || bytes.Count(raw, []byte(m.from)) != 1 {
			t.Fatalf("%s has no %q, or more than one (%v)", name, m.from, err)
		}
		if err := os.WriteFile(name, bytes.Replace(raw, []byte(m.from), []byte(m.to), 1), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if ok, out := p.run(t, "run"); !ok {
		t.Fatalf("mutated models do not build:\n%s", out)
	}
	ok, out := p.run(t, "test")
	bad := failed(p.results(t))
	for _, m := range mutants {
		for _, name := range m.caughtBy {
			if _, caught := bad[name]; !caught {
				t.Errorf("%s survives %s", m.to, name)
			}
		}
	}
	if ok {
		t.Errorf("dbt test passes:\n%s", out)
	}
}

// planter writes rows into a lake that no schema has checked.
type planter struct {
	t    *testing.T
	dir  string
	lake *lake.Lake
	reg  *registry.Registry
	seq  uint64
	at   int64
	rows map[string][]lake.Row
}

func newPlanter(t *testing.T, dir string) *planter {
	t.Helper()
	reg, err := registry.Load(schemas.FS)
	if err != nil {
		t.Fatal(err)
	}
	l, err := lake.Open(lake.Config{FS: lake.OS(dir), Registry: reg})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now().UnixMicro()
	return &planter{t: t, dir: dir, lake: l, reg: reg, seq: l.Checkpoint(), at: at, rows: map[string][]lake.Row{}}
}

// next begins another decision, a second later.
func (p *planter) next() *planter {
	p.seq++
	p.at += 1e6
	return p
}

func (p *planter) commit() {
	p.t.Helper()
	if err := p.lake.Commit(lake.Batch{Through: p.seq, Rows: p.rows}); err != nil {
		p.t.Fatal(err)
	}
}
