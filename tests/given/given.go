// Package given is what tests are given from outside: files that several
// projects share, and golden files beside a test. It promises that what is absent
// skips the test in words that say which variable names its folder, that a golden
// file that differs fails with the first line that does, and that MBP_REWRITE=1
// writes it anew, to be reviewed as a diff. It refuses to know what is tested.
package given

import (
	"compress/gzip"
	"encoding/csv"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// RealData is the path of a file of recorded trading: MBP_REALDATA names the
// folder, shared/data/real beside the project if it is empty. The test is skipped
// where the file is absent.
func RealData(t testing.TB, name string) string {
	t.Helper()
	return shared(t, "MBP_REALDATA", filepath.Join("data", "real"), name)
}

// Vectors is the path of a file or folder of reference vectors: MBP_VECTORS names
// their folder, shared/vectors beside the project if it is empty. The test is
// skipped where it is absent.
func Vectors(t testing.TB, name string) string {
	t.Helper()
	return shared(t, "MBP_VECTORS", "vectors", name)
}

func shared(t testing.TB, env, folder, name string) string {
	t.Helper()
	dir := os.Getenv(env)
	if dir == "" {
		dir = filepath.Join(root(t), "..", "shared", folder)
	}
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("SKIPPED, %s is absent (%s names the folder): %v", name, env, err)
	}
	return path
}

// root is the folder of go.mod; a test runs in that of its package.
func root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	for err == nil {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if filepath.Dir(dir) == dir {
			break
		}
		dir = filepath.Dir(dir)
	}
	t.Fatalf("no go.mod above the test: %v", err)
	return ""
}

// Unzipped is what a file compressed by gzip holds.
func Unzipped(t testing.TB, path string) io.Reader {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return z
}

// Rows calls see with every row of a compressed CSV; row gives the text of a
// column, and is good until see returns. A column that is not there fails the
// test.
func Rows(t testing.TB, path string, see func(row func(column string) string)) {
	t.Helper()
	r := csv.NewReader(Unzipped(t, path))
	head, err := r.Read()
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	r.ReuseRecord = true
	columns := make(map[string]int, len(head))
	for i, c := range head {
		columns[c] = i
	}
	for {
		rec, err := r.Read()
		if errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		see(func(column string) string {
			i, ok := columns[column]
			if !ok {
				t.Fatalf("%s has no column %s", path, column)
			}
			return rec[i]
		})
	}
}

func rewrites() bool { return os.Getenv("MBP_REWRITE") != "" }

// Golden compares with a file beside the test.
func Golden(t testing.TB, path, got string) {
	t.Helper()
	if rewrites() {
		write(t, path, got)
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; MBP_REWRITE=1 writes it", err)
	}
	differs(t, path, got, string(want))
}

// Block compares with what stands in a page between <!-- name --> and the next
// <!-- end -->, each on a line of its own.
func Block(t testing.TB, path, name, got string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := "<!-- "+name+" -->\n", "<!-- end -->\n"
	before, rest, opened := strings.Cut(string(b), begin)
	want, after, closed := strings.Cut(rest, end)
	if !opened || !closed {
		t.Fatalf("%s has no block %s", path, name)
	}
	if rewrites() {
		write(t, path, before+begin+got+end+after)
		return
	}
	differs(t, path+", block "+name, got, want)
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// differs fails with the first line in which two texts differ.
func differs(t testing.TB, what, got, want string) {
	t.Helper()
	if got == want {
		return
	}
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	line := 0
	for line < min(len(g), len(w)) && g[line] == w[line] {
		line++
	}
	at := func(lines []string) string {
		if line < len(lines) {
			return lines[line]
		}
		return "(nothing more)"
	}
	t.Fatalf("%s, line %d; MBP_REWRITE=1 writes it anew:\n got %s\nwant %s", what, line+1, at(g), at(w))
}
