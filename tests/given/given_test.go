package given

import (
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// probe is a test that is watched: how it ended, in its words.
type probe struct {
	testing.TB
	end string
}

func (p *probe) Fatalf(format string, args ...any) { p.stop("failed: " + fmt.Sprintf(format, args...)) }

func (p *probe) Skipf(format string, args ...any) { p.stop("skipped: " + fmt.Sprintf(format, args...)) }

func (p *probe) stop(end string) {
	p.end = end
	runtime.Goexit()
}

// watch runs f as a test and returns how it ended; empty if it passed.
func watch(t *testing.T, f func(testing.TB)) string {
	p := &probe{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(p)
	}()
	<-done
	return p.end
}

func put(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a", "file.txt")
	write(t, path, text)
	return path
}

func TestGolden(t *testing.T) {
	t.Setenv("MBP_REWRITE", "")
	for _, c := range []struct{ name, file, got, end string }{
		{"equal", "a\nb\n", "a\nb\n", ""},
		{"another line", "a\nb\n", "a\nc\n", "line 2"},
		{"a line less", "a\nb\n", "a\n", "line 2"},
		{"a line more", "a\n", "a\nb\n", "line 2"},
		{"no newline at the end", "a\n", "a", "line 2"},
	} {
		path := put(t, c.file)
		end := watch(t, func(t testing.TB) { Golden(t, path, c.got) })
		if (end == "") != (c.end == "") || !strings.Contains(end, c.end) {
			t.Errorf("%s: %q", c.name, end)
		}
	}
	if end := watch(t, func(t testing.TB) { Golden(t, filepath.Join(t.TempDir(), "none"), "") }); !strings.Contains(end, "failed") {
		t.Errorf("no file: %q", end)
	}
	path := put(t, "old\n")
	t.Setenv("MBP_REWRITE", "1")
	Golden(t, path, "new\n")
	if b, err := os.ReadFile(path); err != nil || string(b) != "new\n" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestBlock(t *testing.T) {
	const page = "Title\n<!-- x -->\nfigures\n<!-- end -->\nmore\n<!-- y -->\n1\n<!-- end -->\n"
	path := put(t, page)
	t.Setenv("MBP_REWRITE", "")
	for got, want := range map[string]string{"figures\n": "", "others\n": "line 1", "figures\nmore\n": "line 2"} {
		end := watch(t, func(t testing.TB) { Block(t, path, "x", got) })
		if (end == "") != (want == "") || !strings.Contains(end, want) {
			t.Errorf("%q: %q", got, end)
		}
	}
	if end := watch(t, func(t testing.TB) { Block(t, path, "z", "") }); !strings.Contains(end, "no block z") {
		t.Errorf("%q", end)
	}
	t.Setenv("MBP_REWRITE", "1")
	Block(t, path, "x", "others\n")
	if b, err := os.ReadFile(path); err != nil || string(b) != strings.Replace(page, "figures", "others", 1) {
		t.Errorf("%q, %v", b, err)
	}
}

func TestSharedFilesSkipLoudly(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("MBP_REALDATA", dir)
	t.Setenv("MBP_VECTORS", "")
	if end := watch(t, func(t testing.TB) { RealData(t, "trades.csv.gz") }); !strings.HasPrefix(end, "skipped: SKIPPED, trades.csv.gz is absent (MBP_REALDATA") {
		t.Errorf("%q", end)
	}
	write(t, filepath.Join(dir, "trades.csv.gz"), "")
	if got := RealData(t, "trades.csv.gz"); got != filepath.Join(dir, "trades.csv.gz") {
		t.Error(got)
	}
	if end := watch(t, func(t testing.TB) { Vectors(t, "no such") }); !strings.Contains(end, filepath.Join("shared", "vectors", "no such")) {
		t.Errorf("%q", end)
	}
}

func TestRows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "t.csv.gz")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(f)
	fmt.Fprint(z, "a,b\n1,2\n3,4\n")
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	f.Close()
	got := ""
	Rows(t, path, func(row func(string) string) { got += row("b") + row("a") + " " })
	if got != "21 43 " {
		t.Error(got)
	}
	if end := watch(t, func(t testing.TB) { Rows(t, path, func(row func(string) string) { row("c") }) }); !strings.Contains(end, "no column c") {
		t.Errorf("%q", end)
	}
	plain := put(t, "text that nobody compressed")
	if end := watch(t, func(t testing.TB) { Unzipped(t, plain) }); !strings.Contains(end, "gzip") {
		t.Errorf("%q", end)
	}
}
