package lake

import (
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/mbp-market/mbp/schemas"
	"github.com/mbp-market/mbp/schemas/registry"
)

const (
	hour   = int64(3600e6)
	midday = int64(1767355200e6) // 2026-01-02T12:00:00Z
)

func load(t testing.TB) *registry.Registry {
	t.Helper()
	reg, err := registry.Load(schemas.FS)
	if err != nil {
		t.Fatal(err)
	}
	return reg
}

func quote(seq uint64, at int64, outcome string) Row {
	var twap any
	if seq%2 == 0 {
		twap = int64(seq)
	}
	return Row{Seq: seq, DecidedAt: at, Values: []any{
		int64(seq), fmt.Sprintf("mkt_%d", seq%3+1), outcome, int64(500000) + int64(seq), at, at + 5, "u", int64(7), int64(8), "trade", twap, nil,
	}}
}

// script is a sequence of batches; the third spans an hour's end.
func script() []Batch {
	abuse := func(seq uint64, at int64) Row {
		return Row{Seq: seq, DecidedAt: at, Values: []any{int64(seq), "acc_1", nil, "order_rate", "low", "limit", int64(31), int64(30), at, at + 9, "c"}}
	}
	return []Batch{
		{Through: 3, Rows: map[string][]Row{"mbp_quotes": {quote(1, midday, "YES"), quote(1, midday, "NO"), quote(3, midday+1, "YES")}}},
		{Through: 4, Rows: map[string][]Row{"mbp_abuse_events": {abuse(4, midday+2)}}, DeadLetters: []DeadLetter{{Table: "mbp_markets", Seq: 4, N: 1, Body: []byte("{}")}}},
		{Through: 6, Rows: map[string][]Row{
			"mbp_quotes":       {quote(5, midday+hour-1, "YES"), quote(6, midday+hour, "NO")},
			"mbp_abuse_events": {abuse(6, midday+hour)},
		}},
		{Through: 9},
	}
}

// contents reads what a globbing reader sees, as text per row.
func contents(t testing.TB, c *crashFS, reg *registry.Registry) []string {
	t.Helper()
	var out []string
	for _, table := range reg.Tables() {
		s, _ := reg.Latest(table)
		for _, name := range c.glob(table) {
			raw, _ := c.ReadFile(name)
			rows, err := ReadFile(s, raw)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			for _, r := range rows {
				if !strings.Contains(name, string(hourOf(r.DecidedAt))) {
					t.Errorf("%s holds a row of %s", name, hourOf(r.DecidedAt))
				}
				out = append(out, fmt.Sprint(table, r.Values))
			}
		}
	}
	slices.Sort(out)
	return out
}

// run commits what the lake has not got yet.
func run(fsys FS, reg *registry.Registry) error {
	l, err := Open(Config{FS: fsys, Registry: reg, LogID: "log"})
	if err != nil {
		return err
	}
	for _, b := range script() {
		if b.Through <= l.Checkpoint() {
			continue
		}
		rest := Batch{Through: b.Through, Rows: map[string][]Row{}, DeadLetters: b.DeadLetters}
		for table, rows := range b.Rows {
			for _, r := range rows {
				if r.Seq > l.Checkpoint() {
					rest.Rows[table] = append(rest.Rows[table], r)
				}
			}
		}
		if err := l.Commit(rest); err != nil {
			return err
		}
	}
	return nil
}

// The disk crashes at every single operation, with the unsynced names all lost,
// all kept, or some kept; every second recovery crashes too. The rerun must
// always give the same rows, each once.
func TestCrashAtEveryOperation(t *testing.T) {
	reg := load(t)
	clean := newCrashFS()
	if err := run(clean, reg); err != nil {
		t.Fatal(err)
	}
	want := contents(t, clean, reg)
	if len(want) != 7 {
		t.Fatalf("the script has 7 rows, the lake %d", len(want))
	}
	spares := map[string]keep{
		"lost": func(string) bool { return false },
		"kept": func(string) bool { return true },
	}
	for salt := range 4 {
		spares[fmt.Sprint("some", salt)] = func(name string) bool {
			h := fnv.New32a()
			fmt.Fprint(h, salt, name)
			return h.Sum32()%2 == 0
		}
	}
	const killed = "killed" // the process dies, the disk goes on: nothing is lost yet
	spares[killed] = spares["lost"]
	crashes := 0
	for name, spare := range spares {
		for at := 1; at <= clean.ops; at++ {
			disk := newCrashFS()
			disk.crashAt = at
			if err := run(disk, reg); !errors.Is(err, errCrash) {
				t.Fatalf("%s, op %d: %v", name, at, err)
			}
			crashes++
			if name != killed {
				disk = disk.reboot(spare)
			}
			disk.ops = 0
			disk.crashAt = at%17 + 1 // and again, early: in the recovery
			if err := run(disk, reg); err != nil {
				if !errors.Is(err, errCrash) {
					t.Fatalf("%s, op %d: recovery: %v", name, at, err)
				}
				crashes++
				if name != killed {
					disk = disk.reboot(spare)
				}
			}
			disk.crashAt = 0
			if err := run(disk, reg); err != nil {
				t.Fatalf("%s, op %d: rerun: %v", name, at, err)
			}
			final := disk.reboot(spares["lost"])
			if got := contents(t, final, reg); !slices.Equal(got, want) {
				t.Fatalf("%s, op %d: rows\n%q\nwant\n%q", name, at, got, want)
			}
			if n := letters(t, final); n != 1 {
				t.Fatalf("%s, op %d: %d dead letters", name, at, n)
			}
		}
	}
	t.Logf("%d crashes over %d operations", crashes, clean.ops)
}

func letters(t testing.TB, c *crashFS) int {
	t.Helper()
	m, err := (&Lake{fs: c}).DeadLetters()
	if err != nil {
		t.Fatal(err)
	}
	return m["mbp_markets"]
}

// A failing operation that is not a crash: the same batch is committed again.
func TestCommitMayBeRetried(t *testing.T) {
	reg := load(t)
	clean := newCrashFS()
	if err := run(clean, reg); err != nil {
		t.Fatal(err)
	}
	want := contents(t, clean, reg)
	for at := 1; ; at++ {
		disk := newCrashFS()
		l, err := Open(Config{FS: disk, Registry: reg})
		if err != nil {
			t.Fatal(err)
		}
		disk.crashAt = disk.ops + at
		failed := false
		for _, b := range script() {
			if err := l.Commit(b); err != nil {
				failed, disk.crashAt = true, 0
				if err := l.Commit(b); err != nil {
					t.Fatal(err)
				}
			}
		}
		if got := contents(t, disk, reg); !slices.Equal(got, want) {
			t.Fatalf("op %d: %q", at, got)
		}
		if _, err := Open(Config{FS: disk.reboot(func(string) bool { return false }), Registry: reg}); err != nil {
			t.Fatal(err)
		}
		if !failed {
			return
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	reg := load(t)
	for name, c := range map[string]struct {
		damage func(*crashFS)
		log    string
		want   string
	}{
		"another log":    {func(*crashFS) {}, "other", "belongs to another log"},
		"file gone":      {func(c *crashFS) { delete(c.live, c.glob("mbp_quotes")[0]) }, "log", "which is gone"},
		"file cut":       {func(c *crashFS) { n := c.live[c.glob("mbp_quotes")[0]]; n.data = n.data[1:] }, "log", "bytes, the manifest says"},
		"manifest gone":  {func(c *crashFS) { delete(c.live, "_manifest/dt=2026-01-02/hr=12.json") }, "log", "the checkpoint"},
		"future format":  {func(c *crashFS) { c.live[checkpointPath].data = []byte(`{"format":2}`) }, "log", "format 2"},
		"unknown member": {func(c *crashFS) { c.live[checkpointPath].data = []byte(`{"formatt":1}`) }, "log", "unknown field"},
	} {
		disk := newCrashFS()
		if err := run(disk, reg); err != nil {
			t.Fatal(err)
		}
		c.damage(disk)
		if _, err := Open(Config{FS: disk, Registry: reg, LogID: c.log}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStrangersAreSetAside(t *testing.T) {
	reg := load(t)
	disk := newCrashFS()
	if err := run(disk, reg); err != nil {
		t.Fatal(err)
	}
	want := contents(t, disk, reg)
	for round := range 3 {
		for _, name := range []string{"mbp_quotes/dt=2026-01-02/hr=12/planted.parquet", "mbp_quotes/dt=2026-01-02/hr=12/.part-0000000000000001.parquet.tmp", "mbp_quotes/stray.parquet"} {
			disk.live[name] = &node{data: []byte("x")}
		}
		if err := run(disk, reg); err != nil {
			t.Fatal(err)
		}
		if got := contents(t, disk, reg); !slices.Equal(got, want) {
			t.Errorf("round %d: %q", round, got)
		}
		if disk.live[fmt.Sprintf("_orphans/mbp_quotes/stray.parquet.%d", round)] == nil {
			t.Errorf("round %d: the orphan is gone: %q", round, slices.Sorted(maps.Keys(disk.live)))
		}
	}
}

func TestDrifts(t *testing.T) {
	reg := load(t)
	disk := newCrashFS()
	if err := run(disk, reg); err != nil {
		t.Fatal(err)
	}
	check := func(want int) []Drift {
		t.Helper()
		got, err := Drifts(disk, reg)
		if err != nil || len(got) != want {
			t.Fatalf("%v, %v", got, err)
		}
		return got
	}
	check(0)
	old, err := reg.Version("mbp_quotes", "1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := encode(old, nil)
	if err != nil {
		t.Fatal(err)
	}
	const at = "mbp_quotes/dt=2026-01-02/hr=13/"
	disk.live[at+"by-older-version.parquet"] = &node{data: raw}
	check(0)
	lying := *old
	lying.Version = "1.1.0"
	raw, _ = encode(&lying, nil)
	disk.live[at+"planted.parquet"] = &node{data: raw}
	if d := check(1)[0]; !strings.Contains(d.Reason, "of v1.1.0 is missing") {
		t.Errorf("reason %q", d.Reason)
	}
	renumbered := *old
	renumbered.Columns = slices.Clone(old.Columns)
	renumbered.Columns[1].FieldID = 99
	raw, _ = encode(&renumbered, nil)
	disk.live[at+"part-9999999999999999.parquet"] = &node{data: raw}
	disk.live[at+"rubbish.parquet"] = &node{data: []byte("x")}
	check(3)
}

func TestParquetTypes(t *testing.T) {
	s, err := load(t).Latest("mbp_quotes")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"seq INT64 INT(64,true) REQUIRED id 1", "market BYTE_ARRAY STRING REQUIRED id 2", "outcome BYTE_ARRAY STRING REQUIRED id 3",
		"price_micros INT64 INT(64,true) REQUIRED id 4", "decided_at INT64 TIMESTAMP(isAdjustedToUTC=true,unit=MICROS) REQUIRED id 5",
	}
	got, err := wantColumns(s)
	if err != nil || len(got) != 12 || !slices.Equal(got[:5], want) || got[11] != "depth_micros INT64 INT(64,true) OPTIONAL id 12" {
		t.Errorf("%v\n%s", err, strings.Join(got, "\n"))
	}
	for i, bad := range []any{nil, "7", 7, 1.5} {
		r := quote(1, midday, "YES")
		r.Values[0] = bad
		if _, err := encode(s, []Row{r}); err == nil {
			t.Errorf("case %d: a seq of %v was written", i, bad)
		}
	}
	if _, err := encode(s, []Row{{Seq: 1, Values: []any{int64(1)}}}); err == nil {
		t.Error("a short row was written")
	}
}

// A foreign file in the lake may hold anything; it must become an error.
func FuzzReadFile(f *testing.F) {
	s, err := load(f).Latest("mbp_quotes")
	if err != nil {
		f.Fatal(err)
	}
	raw, err := encode(s, []Row{quote(1, midday, "YES")})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Fuzz(func(t *testing.T, raw []byte) {
		rows, err := ReadFile(s, raw)
		if err == nil && len(rows) > len(raw) {
			t.Fatalf("%d rows out of %d bytes", len(rows), len(raw))
		}
	})
}
