package guard_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// golden compares got with a file under testdata, or writes the file if
// MBP_REWRITE is 1, so that a change of a default shows as a diff.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("MBP_REWRITE") == "1" {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (MBP_REWRITE=1 writes it); now it is\n%s", path, got)
	}
}

// page holds a block of docs/spec/abuse.md, between two comments that name it,
// to what was measured.
func page(t *testing.T, block, want string) {
	t.Helper()
	path := filepath.Join("..", "..", "..", "docs", "spec", "abuse.md")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text, begin, end := string(b), "<!-- "+block+" -->\n```text\n", "```\n<!-- end -->\n"
	before, rest, ok := strings.Cut(text, begin)
	got, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s has no block %s", path, block)
	}
	if os.Getenv("MBP_REWRITE") == "1" {
		if err := os.WriteFile(path, []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if got != want {
		t.Errorf("block %s of %s is not what was measured; MBP_REWRITE=1 writes it", block, path)
	}
}

// defaultsOf keeps the titles and the lines of the defaults.
func defaultsOf(table string) string {
	var b strings.Builder
	title, events := "", false
	for _, line := range strings.Split(table, "\n") {
		switch name, _, _ := strings.Cut(line, "  "); {
		case strings.HasPrefix(line, "events / keys"):
			events = true
		case line == "":
			events = events && b.Len() == 0
		case events:
			b.WriteString(line + "\n")
		case strings.HasSuffix(name, " *"):
			b.WriteString("\n" + title + "\n" + line + "\n")
		case !strings.HasPrefix(line, " "):
			title = line
		}
	}
	return b.String()
}
