package contracts

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// Every rule is complete and names a test that exists.
func TestRulesNameExistingTests(t *testing.T) {
	raw, err := os.ReadFile("rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Rules []struct {
			ID    string `yaml:"id"`
			Text  string `yaml:"text"`
			Owner string `yaml:"owner"`
			Test  string `yaml:"test"`
			Fault string `yaml:"planted_fault"`
		} `yaml:"rules"`
	}
	dec := yaml.NewDecoder(strings.NewReader(string(raw)))
	dec.KnownFields(true)
	if err := dec.Decode(&file); err != nil {
		t.Fatal(err)
	}
	numbers := map[string]int{}
	for _, r := range file.Rules {
		kind, _, _ := strings.Cut(r.ID, "-")
		numbers[kind]++
		if want := fmt.Sprintf("%s-%02d", kind, numbers[kind]); r.ID != want || !regexp.MustCompile(`^A(106|87|89)$`).MatchString(kind) {
			t.Errorf("rule %q: ids are A106, A87 or A89 and dense, expected %s", r.ID, want)
		}
		if r.Text == "" || r.Owner == "" || r.Fault == "" {
			t.Errorf("%s: text, owner and planted_fault are required", r.ID)
		}
		dir, name, ok := strings.Cut(r.Test, ":")
		if !ok || !hasTest(t, filepath.Join("..", "..", filepath.FromSlash(dir)), name) {
			t.Errorf("%s: test %q does not exist", r.ID, r.Test)
		}
	}
	if len(file.Rules) == 0 {
		t.Error("there are no rules")
	}
}

func hasTest(t *testing.T, dir, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(raw), "func "+name+"(t *testing.T)") {
			return true
		}
	}
	return false
}
