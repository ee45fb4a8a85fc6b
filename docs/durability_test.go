package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	testName = regexp.MustCompile(`\bTest[A-Z]\w*`)
	inCode   = regexp.MustCompile("^`([a-z/]+)` (.*)$")
)

// TestFaultModelIsHeld: every row of the fault model names tests, and each of them
// is a test of the package that it is said to be in.
func TestFaultModelIsHeld(t *testing.T) {
	rows := 0
	for _, line := range strings.Split(read(t, "spec/durability.md"), "\n") {
		cells := strings.Split(line, " | ")
		if len(cells) != 3 || !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| fault ") {
			continue
		}
		rows++
		named := 0
		for _, part := range strings.Split(strings.TrimSuffix(cells[2], " |"), "; ") {
			m := inCode.FindStringSubmatch(part)
			if m == nil {
				t.Errorf("%s: %q is not a package and its tests", cells[0], part)
				continue
			}
			have := testsOf(t, m[1])
			for _, name := range strings.Split(m[2], ", ") {
				if named++; !have[name] {
					t.Errorf("%s: %s has no test %s", cells[0], m[1], name)
				}
			}
		}
		if named == 0 {
			t.Errorf("%s: no test", cells[0])
		}
	}
	if rows < 15 {
		t.Errorf("%d faults: the test reads the page wrongly", rows)
	}
}

// testsOf returns the tests of a package by their names.
func testsOf(t *testing.T, pkg string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", pkg, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(string(b), "\n") {
			if rest, is := strings.CutPrefix(line, "func "); is && strings.Contains(rest, "(t *testing.T)") {
				out[testName.FindString(rest)] = true
			}
		}
	}
	return out
}
