package lake

import (
	"bytes"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/parquet-go/parquet-go/compress/zstd"

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
		int64(7), nil, int64(500001),
	}}
}

// script is a sequence of batches; the third spans an hour's end.
func script() []Batch {
	abuse := func(seq uint64, at int64) Row {
		return Row{Seq: seq, DecidedAt: at, Values: []any{int64(seq), "acc_1", nil, "order_rate", "low", "limit", int64(31), int64(30), at, at + 9, "c", nil, int64(1)}}
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
	const at = "mbp_quotes/dt=2026-01-02/hr=13/"
	for name, c := range map[string]struct {
		damage func(*crashFS, *Lake)
		want   string
	}{
		"none":     {func(*crashFS, *Lake) {}, ""},
		"stranger": {func(c *crashFS, _ *Lake) { c.live[at+"planted.parquet"] = &node{data: []byte("x")} }, "not written by"},
		"stranger with our name": {func(c *crashFS, _ *Lake) {
			c.live[at+"part-0000000000000002.parquet"] = &node{data: []byte("x")}
		}, "not written by"},
		"commit under way": {func(c *crashFS, _ *Lake) {
			c.live[at+"part-0000000000000010.parquet"] = &node{data: []byte("x")}
		}, ""},
		"edited": {func(c *crashFS, _ *Lake) { c.live[at+"part-0000000000000006.parquet"].data[9] ^= 1 }, "bytes are not those"},
		"unregistered version": {func(_ *crashFS, l *Lake) {
			l.reg = mustLoad(t, "quotes/v1.3.0.json")
		}, "no registered version"},
	} {
		t.Run(name, func(t *testing.T) {
			disk := newCrashFS()
			if err := run(disk, reg); err != nil {
				t.Fatal(err)
			}
			l, err := Open(Config{FS: disk, Registry: reg})
			if err != nil {
				t.Fatal(err)
			}
			c.damage(disk, l)
			got, err := l.Drifts()
			if err != nil || (c.want == "") != (len(got) == 0) {
				t.Fatalf("%v, %v", got, err)
			}
			if c.want != "" && (len(got) != 1 || !strings.Contains(got[0].Reason, c.want)) {
				t.Errorf("%v", got)
			}
		})
	}
}

// mustLoad loads the registry without one version.
func mustLoad(t *testing.T, without string) *registry.Registry {
	t.Helper()
	files := fstest.MapFS{}
	err := fs.WalkDir(schemas.FS, "mbp", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(name, without) {
			return err
		}
		raw, err := fs.ReadFile(schemas.FS, name)
		if strings.HasSuffix(name, "SHA256SUMS") {
			raw = slices.Concat(slices.DeleteFunc(slices.Collect(bytes.Lines(raw)), func(l []byte) bool { return bytes.Contains(l, []byte(without)) })...)
		}
		files[name] = &fstest.MapFile{Data: raw}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	reg, err := registry.Load(files)
	if err != nil {
		t.Fatal(err)
	}
	return reg
}

func TestColumnComparison(t *testing.T) {
	reg := load(t)
	s, err := reg.Version("mbp_quotes", "1.1.0")
	if err != nil {
		t.Fatal(err)
	}
	want, err := wantColumns(s)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*registry.Column){
		"renamed":    func(c *registry.Column) { c.Name = "outcomes" },
		"renumbered": func(c *registry.Column) { c.FieldID = 99 },
		"retyped":    func(c *registry.Column) { c.Kind = registry.Int64 },
		"nullable":   func(c *registry.Column) { c.Nullable = true },
	} {
		other := *s
		other.Columns = slices.Clone(s.Columns)
		change(&other.Columns[2])
		got, err := wantColumns(&other)
		if err != nil || compareColumns(want, got, "1.1.0") == "" {
			t.Errorf("%s: no drift, %v", name, err)
		}
	}
	if r := compareColumns(want, want[:len(want)-1], "1.1.0"); !strings.Contains(r, "is missing") {
		t.Errorf("a dropped column: %q", r)
	}
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
	if err != nil || len(got) != 15 || !slices.Equal(got[:5], want) || got[14] != "best_ask_micros INT64 INT(64,true) OPTIONAL id 15" {
		t.Errorf("%v\n%s", err, strings.Join(got, "\n"))
	}
	for i, bad := range []any{nil, "7", 7, 1.5} {
		r := quote(1, midday, "YES")
		r.Values[0] = bad
		if _, err := encode(new(zstd.Codec), s, []Row{r}); err == nil {
			t.Errorf("case %d: a seq of %v was written", i, bad)
		}
	}
	if _, err := encode(new(zstd.Codec), s, []Row{{Seq: 1, Values: []any{int64(1)}}}); err == nil {
		t.Error("a short row was written")
	}
}

// Whatever lies under _manifest, opening answers or refuses; it never panics.
func FuzzOpen(f *testing.F) {
	reg := load(f)
	good := newCrashFS()
	if err := run(good, reg); err != nil {
		f.Fatal(err)
	}
	const hour12 = "_manifest/dt=2026-01-02/hr=12.json"
	f.Add(good.live[checkpointPath].data, good.live[hour12].data)
	f.Fuzz(func(t *testing.T, at, hour []byte) {
		disk := good.reboot(func(string) bool { return true })
		disk.live[checkpointPath].data, disk.live[hour12].data = at, hour
		l, err := Open(Config{FS: disk, Registry: reg})
		if err != nil {
			return
		}
		if again, err := Open(Config{FS: disk, Registry: reg}); err != nil || again.Checkpoint() != l.Checkpoint() {
			t.Fatalf("opened once, then: %v", err)
		}
	})
}
