package registry

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/mbp-market/mbp/schemas"
)

// tree copies the embedded registry so that a test may damage it.
func tree(t *testing.T) fstest.MapFS {
	t.Helper()
	root, err := tablesRoot(schemas.FS)
	if err != nil {
		t.Fatal(err)
	}
	out := fstest.MapFS{}
	files, _ := listVersions(root)
	for _, name := range append(paths(files), sumsFile) {
		raw, err := readLimited(root, name)
		if err != nil {
			t.Fatal(err)
		}
		out[name] = &fstest.MapFile{Data: raw}
	}
	return out
}

func paths(files []versionFile) []string {
	var out []string
	for _, f := range files {
		out = append(out, f.path)
	}
	return out
}

// repin lists every file in SHA256SUMS again.
func repin(tree fstest.MapFS) {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(tree)) {
		if name != sumsFile {
			fmt.Fprintf(&b, "%x  %s\n", sha256.Sum256(tree[name].Data), name)
		}
	}
	tree[sumsFile] = &fstest.MapFile{Data: []byte(b.String())}
}

// derive adds a version made from another by text replacement.
func derive(tree fstest.MapFS, table, from, to string, oldNew ...string) {
	src := tree[table+"/v"+from+".json"].Data
	text := strings.NewReplacer(append(oldNew, "/v"+from+".json", "/v"+to+".json")...).Replace(string(src))
	tree[table+"/v"+to+".json"] = &fstest.MapFile{Data: []byte(text)}
}

func TestRegisteredSchemasAreCompatible(t *testing.T) {
	rep := CheckAll(tree(t))
	if rep.Breaking != 0 || rep.Drift != 0 {
		t.Fatalf("our own schemas break:\n%s", rep.Text())
	}
	var got []string
	for _, table := range rep.Tables {
		got = append(got, table.Table+" "+strings.Join(table.Versions, " "))
	}
	want := []string{"mbp_abuse_events 1.0.0 1.1.0 1.2.0", "mbp_grants 1.0.0", "mbp_groups 1.0.0", "mbp_markets 1.0.0 1.1.0", "mbp_quotes 1.0.0 1.1.0 1.2.0 1.3.0", "mbp_resolutions 1.0.0 1.1.0", "mbp_seasons 1.0.0"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestLatestQuotes(t *testing.T) {
	reg, err := Load(schemas.FS)
	if err != nil {
		t.Fatal(err)
	}
	s, err := reg.Latest("mbp_quotes")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range s.Columns {
		got = append(got, fmt.Sprintf("%d %s %s %v", c.FieldID, c.Name, c.Kind, c.Nullable))
	}
	want := []string{
		"1 seq int64 false", "2 market string false", "3 outcome string false", "4 price_micros int64 false",
		"5 decided_at timestamp false", "6 committed_at timestamp false", "7 op string false",
		"8 pool_yes_micros int64 true", "9 pool_no_micros int64 true", "10 cause string true",
		"11 twap_micros int64 true", "12 depth_micros int64 true", "13 pool_micros int64 true",
		"14 best_bid_micros int64 true", "15 best_ask_micros int64 true",
	}
	if s.Version != "1.3.0" || !slices.Equal(got, want) {
		t.Errorf("version %s, columns %q", s.Version, got)
	}
	row := map[string]any{
		"seq": int64(7), "market": "mkt_1", "outcome": "YES", "price_micros": int64(500000), "op": "u", "twap_micros": nil,
		"decided_at": "2026-01-02T03:04:05.000006Z", "committed_at": "2026-01-02T03:04:05.000007Z",
	}
	if err := s.Validate(row); err != nil {
		t.Error(err)
	}
	for name, v := range map[string]any{"seq": int64(0), "market": "m1", "outcome": "MAYBE", "price_micros": int64(1000000), "decided_at": "2026-13-02T03:04:05.000006Z", "extra": 1, "op": nil} {
		bad := maps.Clone(row)
		bad[name] = v
		if s.Validate(bad) == nil {
			t.Errorf("%s = %v passed", name, v)
		}
	}
}

// Each damage to the registry must be named by its rule.
func TestCheckAllNamesTheDamage(t *testing.T) {
	const drop = `"op"` // see "removed in a minor"
	for _, c := range []struct {
		name, rule string
		damage     func(fstest.MapFS)
	}{
		{"edited in place", "VERSION_EDITED", func(m fstest.MapFS) {
			m["quotes/v1.2.0.json"].Data = bytes.Replace(m["quotes/v1.2.0.json"].Data, []byte("999999"), []byte("1000000"), 1)
		}},
		{"version removed", "VERSION_REMOVED", func(m fstest.MapFS) { delete(m, "quotes/v1.1.0.json") }},
		{"not pinned", "VERSION_UNPINNED", func(m fstest.MapFS) { derive(m, "quotes", "1.3.0", "1.4.0") }},
		{"pins gone", "SUMS_INVALID", func(m fstest.MapFS) { delete(m, sumsFile) }},
		{"type changed in a minor", "TYPE_WIDENED", func(m fstest.MapFS) {
			derive(m, "markets", "1.1.0", "1.2.0", `"type": "integer"`, `"type": ["integer", "null"]`)
			repin(m)
		}},
		{"narrowed against an older version only", "MAXIMUM_DECREASED", func(m fstest.MapFS) {
			derive(m, "quotes", "1.3.0", "1.4.0", `999999`, `999998`)
			repin(m)
		}},
		{"patch with a new enum value", "PATCH_ENUM_EXTENDED", func(m fstest.MapFS) {
			derive(m, "abuse_events", "1.0.0", "1.0.1", `"alert"`, `"alert", "mute"`)
			repin(m)
		}},
		{"wrong id", "ID_MISMATCH", func(m fstest.MapFS) {
			m["quotes/v1.4.0.json"] = &fstest.MapFile{Data: m["quotes/v1.3.0.json"].Data}
			repin(m)
		}},
		{"wrong title", "TITLE_MISMATCH", func(m fstest.MapFS) {
			derive(m, "quotes", "1.3.0", "1.4.0", `"mbp_quotes"`, `"mbp_quote"`)
			repin(m)
		}},
		{"key not required", "COLUMN_NOT_REQUIRED", func(m fstest.MapFS) {
			derive(m, "markets", "1.0.0", "2.0.0", drop+"\n  ]", `"cause"`+"\n  ]")
			repin(m)
		}},
		{"undocumented column", "COLUMN_UNDOCUMENTED", func(m fstest.MapFS) {
			derive(m, "markets", "1.0.0", "1.0.1", `"x-unit": "sequence"`, `"x-unit": ""`)
			repin(m)
		}},
		{"float column", "COLUMN_TYPE", func(m fstest.MapFS) {
			derive(m, "markets", "1.0.0", "2.0.0", `"type": "integer"`, `"type": "number"`)
			repin(m)
		}},
		{"stranger", "UNEXPECTED_FILE", func(m fstest.MapFS) { m["quotes/v01.2.0.json"] = &fstest.MapFile{Data: []byte("{}")} }},
		{"nested stranger", "UNEXPECTED_FILE", func(m fstest.MapFS) { m["quotes/old/v1.0.0.json"] = &fstest.MapFile{Data: []byte("{}")} }},
		{"not JSON", "DOCUMENT_INVALID", func(m fstest.MapFS) {
			m["quotes/v1.4.0.json"] = &fstest.MapFile{Data: []byte("{")}
			repin(m)
		}},
		{"empty", "REGISTRY_EMPTY", func(m fstest.MapFS) { clear(m) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := tree(t)
			c.damage(m)
			rep := CheckAll(m)
			found := slices.ContainsFunc(rep.Tables, func(r TableReport) bool {
				return slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Rule == c.rule })
			})
			if !found || rep.Breaking == 0 {
				t.Errorf("%s is missing:\n%s", c.rule, rep.Text())
			}
			if _, err := Load(m); err == nil {
				t.Error("a broken registry was loaded")
			}
		})
	}
}

func TestGoodEvolutionPasses(t *testing.T) {
	for name, evolve := range map[string]func(fstest.MapFS){
		"annotation in a patch": func(m fstest.MapFS) {
			derive(m, "quotes", "1.2.0", "1.2.1", "Sequence of the decision", "Number of the decision")
		},
		"wider enum in a minor": func(m fstest.MapFS) {
			derive(m, "abuse_events", "1.2.0", "1.3.0", `"alert"`, `"alert", "mute"`)
		},
		"type change in a major": func(m fstest.MapFS) {
			derive(m, "quotes", "1.2.0", "2.0.0", `"type": "integer"`, `"type": ["integer", "null"]`)
		},
	} {
		m := tree(t)
		evolve(m)
		repin(m)
		if rep := CheckAll(m); rep.Breaking != 0 {
			t.Errorf("%s:\n%s", name, rep.Text())
		}
	}
}

func TestCompat(t *testing.T) {
	dir, out := t.TempDir(), t.TempDir()
	m := tree(t)
	derive(m, "quotes", "1.3.0", "1.4.0", `"twap_micros"`, `"mean_micros"`)
	repin(m)
	if err := os.CopyFS(filepath.Join(dir, "mbp"), m); err != nil {
		t.Fatal(err)
	}
	diffPath, jsonPath := filepath.Join(out, "EVI", "schema_diff.txt"), filepath.Join(out, "EVI", "schema.json")
	var texts []string
	for _, d := range []string{dir, filepath.Join(dir, "mbp")} {
		var stdout bytes.Buffer
		rep, err := Compat(os.DirFS(d), &stdout, Options{JSON: jsonPath, Diff: diffPath})
		if err != nil || rep.Breaking != 4 || rep.Checked != 15 {
			t.Fatalf("breaking %d of %d, %v\n%s", rep.Breaking, rep.Checked, err, &stdout)
		}
		text, err := os.ReadFile(diffPath)
		if err != nil || !bytes.Equal(text, stdout.Bytes()) {
			t.Fatalf("file and stdout differ: %v", err)
		}
		texts = append(texts, string(text))
	}
	if texts[0] != texts[1] || !strings.Contains(texts[0], "! PROPERTY_REMOVED #/properties/twap_micros") || !strings.Contains(texts[0], "FIELD_ID_REUSED") {
		t.Errorf("report:\n%s", texts[0])
	}
	raw, err := os.ReadFile(jsonPath)
	if err != nil {
		t.Fatal(err)
	}
	var rep struct {
		Tables []struct {
			Table, Latest string
			Versions      []string
			Findings      []struct{ Rule, From, To, Path string }
		}
		Checked, Breaking int
		Drift             *int
	}
	if err := json.Unmarshal(raw, &rep); err != nil || rep.Checked != 15 || rep.Breaking != 4 || rep.Drift == nil || rep.Tables[4].Findings[0].To != "1.4.0" {
		t.Errorf("%v: %s", err, raw)
	}
	if _, err := Compat(os.DirFS(filepath.Join(dir, "absent")), io.Discard, Options{}); err == nil {
		t.Error("an absent folder passed")
	}
	if _, err := Compat(m, io.Discard, Options{JSON: dir}); err == nil {
		t.Error("a report that could not be written passed")
	}
}

// Against a base, a version may be added and none may change, even if pins and
// schemas agree with one another.
func TestCompatWithABase(t *testing.T) {
	for name, c := range map[string]struct {
		rule   string
		change func(fstest.MapFS)
	}{
		"added":   {"", func(m fstest.MapFS) { derive(m, "quotes", "1.2.0", "1.2.1", "Sequence of", "Number of") }},
		"edited":  {"BASE_VERSION_EDITED", func(m fstest.MapFS) { m["quotes/v1.2.0.json"].Data = append(m["quotes/v1.2.0.json"].Data, ' ') }},
		"removed": {"BASE_VERSION_REMOVED", func(m fstest.MapFS) { delete(m, "quotes/v1.2.0.json") }},
	} {
		m := tree(t)
		c.change(m)
		repin(m)
		var text strings.Builder
		rep, err := Compat(m, &text, Options{Base: tree(t)})
		if err != nil || (rep.Breaking > 0) != (c.rule != "") || !strings.Contains(text.String(), c.rule) {
			t.Errorf("%s: %v\n%s", name, err, &text)
		}
	}
	for _, base := range []fs.FS{fstest.MapFS{}, os.DirFS(filepath.Join(t.TempDir(), "absent"))} {
		if _, err := Compat(tree(t), io.Discard, Options{Base: base}); err == nil {
			t.Error("an empty base passed")
		}
	}
}
