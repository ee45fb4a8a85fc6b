package fe

import (
	"errors"
	"io/fs"
	"path"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
)

func TestPanelSaysThatItWasNotBuilt(t *testing.T) {
	_, err := panel(fstest.MapFS{"web/dist/.keep": {}})
	if !errors.Is(err, ErrNotBuilt) {
		t.Fatalf("error %v, want ErrNotBuilt", err)
	}
}

func TestPanelIsRootedAtItsIndex(t *testing.T) {
	files, err := panel(fstest.MapFS{"web/dist/index.html": {Data: []byte("page")}})
	if err != nil {
		t.Fatal(err)
	}
	if b, err := fs.ReadFile(files, "index.html"); err != nil || string(b) != "page" {
		t.Fatalf("index.html: %q, %v", b, err)
	}
}

// built returns the panel in this binary, or skips: the Go tests of a clone
// without Node have nothing to look at.
func built(t *testing.T) fs.FS {
	t.Helper()
	files, err := Panel()
	if err != nil {
		t.Skipf("run `make web` first: %v", err)
	}
	return files
}

var (
	reference = regexp.MustCompile(`(?:src|href)="([^"]*)"`)
	script    = regexp.MustCompile(`(?s)<script([^>]*)>(.*?)</script>`)
)

// TestPanelRunsUnderItsPolicy: what the policy forbids must not be in the page,
// and what the page refers to must be in the binary.
func TestPanelRunsUnderItsPolicy(t *testing.T) {
	files := built(t)
	b, err := fs.ReadFile(files, "index.html")
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	for _, inline := range []string{"<style", " style=", " onclick=", " onload=", "javascript:", "data:"} {
		if strings.Contains(page, inline) {
			t.Errorf("index.html contains %q", inline)
		}
	}
	scripts := script.FindAllStringSubmatch(page, -1)
	if len(scripts) == 0 {
		t.Error("index.html has no script")
	}
	for _, s := range scripts {
		if !strings.Contains(s[1], "src=") || strings.TrimSpace(s[2]) != "" {
			t.Errorf("inline script: %s", s[0])
		}
	}
	for _, ref := range reference.FindAllStringSubmatch(page, -1) {
		name, local := strings.CutPrefix(ref[1], "/")
		if !local {
			t.Errorf("%s is not of this origin", ref[1])
		} else if _, err := fs.Stat(files, name); err != nil {
			t.Errorf("%s is referred to and not in the binary", ref[1])
		}
	}
}

// hashed is a name that changes with its content.
var hashed = regexp.MustCompile(`-[A-Za-z0-9_-]{8}\.(js|css)$`)

func TestPanelFilesMayBeCachedForEver(t *testing.T) {
	err := fs.WalkDir(built(t), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || d.IsDir():
			return err
		case path.Dir(name) == "assets" && hashed.MatchString(name):
		case name == "index.html" || name == "favicon.svg" || name == ".keep":
		default:
			t.Errorf("%s carries no hash of its content", name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestPolicy(t *testing.T) {
	for _, c := range []struct{ rum, want string }{
		{"", "connect-src 'self';"},
		{"http://127.0.0.1:9314/rum", "connect-src 'self' http://127.0.0.1:9314;"},
		{"https://rum.example/a?b", "connect-src 'self' https://rum.example;"},
	} {
		got, err := Policy(c.rum)
		if err != nil || !strings.Contains(got, c.want) {
			t.Errorf("Policy(%q) = %q, %v; want %q in it", c.rum, got, err, c.want)
		}
		if strings.Contains(got, "unsafe") || !strings.HasPrefix(got, "default-src 'none'; ") {
			t.Errorf("Policy(%q) = %q", c.rum, got)
		}
	}
	for _, bad := range []string{"/rum", "rum.example", "ftp://x/", "http://", "http://a b/", "https:;script-src *", "https://a;script-src", "https://a,b"} {
		if got, err := Policy(bad); err == nil {
			t.Errorf("Policy(%q) = %q, want an error", bad, got)
		}
	}
}
