package analytics_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// manifest is the part of dbt's manifest.json that the house rules look at.
type manifest struct {
	Nodes     map[string]*graphNode
	Sources   map[string]*graphNode
	UnitTests map[string]*graphNode `json:"unit_tests"`
	Exposures map[string]*graphNode
	Groups    map[string]*struct {
		Owner struct{ Name string }
	}
}

type graphNode struct {
	Name        string
	Path        string
	Type        string `json:"resource_type"`
	Description string
	Access      string
	Group       string
	Attached    string `json:"attached_node"`
	Model       string // of a unit test
	Columns     map[string]*struct {
		Description string
		DataType    string `json:"data_type"`
	}
	Config struct {
		Contract struct{ Enforced bool }
		Meta     struct{ Owner, Rule string }
	}
	Test struct{ Name string }    `json:"test_metadata"`
	On   struct{ Nodes []string } `json:"depends_on"`

	Freshness struct {
		Error struct{ Count *int } `json:"error_after"`
	}
	LoadedAt string `json:"loaded_at_query"`
}

// minDocumented is the share of models, sources and columns with a description.
const minDocumented = 0.95

// breaches returns what is wrong with a project, each with the number of its
// rule. columns are those that the warehouse really has, by model.
func (m manifest) breaches(columns map[string][]string) []string {
	var out []string
	breach := func(rule, format string, args ...any) { out = append(out, rule+" "+fmt.Sprintf(format, args...)) }
	for _, id := range slices.Sorted(maps.Keys(m.Nodes)) {
		if n := m.Nodes[id]; n.Type == "model" {
			m.model(id, n, breach)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(m.Sources)) {
		n, readers := m.Sources[id], []string{}
		for reader, r := range m.Nodes {
			if r.Type == "model" && slices.Contains(r.On.Nodes, id) {
				readers = append(readers, reader)
			}
		}
		if want := "model.mbp.stg_mbp__" + strings.TrimPrefix(n.Name, "mbp_"); !slices.Equal(readers, []string{want}) {
			breach("A89-03", "source %s is read by %v, must be by %s alone", n.Name, readers, want)
		}
		if n.Freshness.Error.Count == nil || n.LoadedAt == "" {
			breach("A89-05", "source %s has no bound on its freshness", n.Name)
		}
	}
	if share, missing := m.documented(columns); share < minDocumented {
		breach("A89-01", "%.1f %% is documented; missing: %v", 100*share, missing)
	}
	for id, e := range m.Exposures {
		for _, on := range e.On.Nodes {
			if m.Nodes[on].Access != "public" {
				breach("A89-02", "%s depends on %s, which is not public", id, on)
			}
		}
	}
	return out
}

func (m manifest) model(id string, n *graphNode, breach func(rule, format string, args ...any)) {
	staging := strings.HasPrefix(n.Path, "staging/")
	if access := map[bool]string{true: "protected", false: "public"}[staging]; n.Access != access || !n.Config.Contract.Enforced {
		breach("A89-02", "%s must be %s with an enforced contract", n.Name, access)
	}
	if g := m.Groups["group.mbp."+n.Group]; g == nil || g.Owner.Name == "" || (!staging && n.Config.Meta.Owner == "") {
		breach("A89-02", "%s has no owner", n.Name)
	}
	for c, column := range n.Columns {
		if column.DataType == "" {
			breach("A89-02", "%s.%s has no data_type", n.Name, c)
		}
	}
	for _, on := range n.On.Nodes {
		fromStaging := strings.HasPrefix(on, "model.mbp.stg_mbp__")
		if staging && fromStaging && on != "model.mbp.stg_mbp__checkpoint" || !staging && !fromStaging {
			breach("A89-03", "%s reads %s", n.Name, on)
		}
	}
	grain, unit := 0, 0
	for _, t := range m.Nodes {
		if t.Attached == id && (t.Test.Name == "unique" || t.Test.Name == "unique_combination") {
			grain++
		}
	}
	if grain == 0 {
		breach("A89-04", "nothing tests the grain of %s", n.Name)
	}
	for _, t := range m.UnitTests {
		if t.Model == n.Name {
			unit++
		}
	}
	if unit == 0 && !staging {
		breach("A89-06", "%s has no unit test", n.Name)
	}
}

// documented returns the share of things that say what they are. A column that
// the warehouse has and the project does not name counts as silent.
func (m manifest) documented(columns map[string][]string) (share float64, missing []string) {
	total := 0
	count := func(name, text string) {
		total++
		if len(strings.Fields(text)) < 2 {
			missing = append(missing, name)
		}
	}
	for _, nodes := range []map[string]*graphNode{m.Nodes, m.Sources} {
		for id, n := range nodes {
			if n.Type != "model" && n.Type != "source" {
				continue
			}
			count(id, n.Description)
			for c, column := range n.Columns {
				count(id+"."+c, column.Description)
			}
			for _, c := range columns[id] {
				if n.Columns[c] == nil {
					count(id+"."+c, "")
				}
			}
		}
	}
	slices.Sort(missing)
	return 1 - float64(len(missing))/float64(max(total, 1)), missing
}

func load(t *testing.T, p place) (manifest, map[string][]string) {
	t.Helper()
	var m manifest
	readJSON(t, filepath.Join(p.target, "manifest.json"), &m)
	var catalog struct {
		Nodes map[string]struct{ Columns map[string]any }
	}
	readJSON(t, filepath.Join(p.target, "catalog.json"), &catalog)
	columns := map[string][]string{}
	for id, n := range catalog.Nodes {
		columns[id] = slices.Sorted(maps.Keys(n.Columns))
	}
	return m, columns
}

func TestProjectFollowsTheHouse(t *testing.T) {
	t.Parallel()
	p := build(t)
	m, columns := load(t, p)
	if got := m.breaches(columns); len(got) > 0 {
		t.Errorf("the project breaks its own rules:\n%s", strings.Join(got, "\n"))
	}
	if share, missing := m.documented(columns); share < 1 {
		t.Logf("%.1f %% documented; missing: %v", 100*share, missing)
	}
	const quotes, staged = "model.mbp.mbp_quotes", "model.mbp.stg_mbp__quotes"
	for _, c := range []struct {
		want  string
		plant func(manifest, map[string][]string)
	}{
		{"A89-01", func(m manifest, _ map[string][]string) {
			for _, name := range []string{quotes, staged} {
				for _, c := range m.Nodes[name].Columns {
					c.Description = ""
				}
			}
			m.Nodes[quotes].Description = "Quotes"
		}},
		{"A89-01", func(_ manifest, columns map[string][]string) {
			for i := range 30 {
				columns[quotes] = append(columns[quotes], fmt.Sprint("silent_", i))
			}
		}},
		{"A89-02", func(m manifest, _ map[string][]string) { m.Nodes[quotes].Config.Contract.Enforced = false }},
		{"A89-02", func(m manifest, _ map[string][]string) { m.Nodes[quotes].Access = "private" }},
		{"A89-02", func(m manifest, _ map[string][]string) { m.Nodes[quotes].Group = "" }},
		{"A89-02", func(m manifest, _ map[string][]string) { m.Nodes[quotes].Columns["market"].DataType = "" }},
		{"A89-03", func(m manifest, _ map[string][]string) {
			m.Nodes[quotes].On.Nodes = []string{"source.mbp.mbp_lake.mbp_quotes"}
		}},
		{"A89-03", func(m manifest, _ map[string][]string) {
			m.Nodes[staged].On.Nodes = append(m.Nodes[staged].On.Nodes, "model.mbp.stg_mbp__markets")
		}},
		{"A89-04", func(m manifest, _ map[string][]string) {
			maps.DeleteFunc(m.Nodes, func(_ string, n *graphNode) bool { return n.Attached == quotes && n.Test.Name == "unique_combination" })
		}},
		{"A89-05", func(m manifest, _ map[string][]string) {
			m.Sources["source.mbp.mbp_lake.mbp_quotes"].Freshness.Error.Count = nil
		}},
		{"A89-06", func(m manifest, _ map[string][]string) { clear(m.UnitTests) }},
	} {
		m, columns := load(t, p)
		c.plant(m, columns)
		if got := m.breaches(columns); !slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, c.want+" ") }) {
			t.Errorf("a planted breach of %s is not seen: %q", c.want, got)
		}
	}
}

// Every test of dbt carries its rule, every quality rule has a test of dbt, and
// every quality rule that a lake can break has a planted fault.
func TestRulesAndTestsCoverEachOther(t *testing.T) {
	t.Parallel()
	m, _ := load(t, build(t))
	raw, err := os.ReadFile(filepath.Join("..", "contracts", "rules.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Rules []struct{ ID, Test string }
	}
	if err := yaml.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	known, tested, planted := map[string]string{}, map[string]bool{}, map[string]bool{}
	for _, r := range file.Rules {
		known[r.ID] = r.Test
	}
	for _, nodes := range []map[string]*graphNode{m.Nodes, m.UnitTests} {
		for id, n := range nodes {
			if n.Type != "test" && n.Type != "unit_test" {
				continue
			}
			if known[n.Config.Meta.Rule] == "" {
				t.Errorf("%s carries rule %q, which is not in rules.yaml", id, n.Config.Meta.Rule)
			}
			tested[n.Config.Meta.Rule] = true
		}
	}
	for _, f := range faults {
		planted[f.rule] = true
	}
	for id, test := range known {
		if !strings.HasPrefix(id, "A87-") {
			continue
		}
		if !tested[id] {
			t.Errorf("%s has no test in the dbt project", id)
		}
		if strings.HasSuffix(test, ":TestPlantedFaultsFailByName") != planted[id] {
			t.Errorf("%s names %s, planted among the faults: %v", id, test, planted[id])
		}
	}
}
