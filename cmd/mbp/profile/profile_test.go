package profile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func at(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "mbp", "profiles.yaml")
	t.Setenv("MBP_PROFILES", name)
	return name
}

// TestProfilesAreKept: what is saved is read back, for its owner alone, whatever an
// interrupted save left beside it.
func TestProfilesAreKept(t *testing.T) {
	name := at(t)
	f, err := Load()
	if err != nil || len(f.Profiles) != 0 || f.Use != "" {
		t.Fatalf("%+v, %v", f, err)
	}
	one := Profile{URL: "http://127.0.0.1:8420", KeyFile: "/keys/one"}
	for _, n := range []string{"b", "a"} {
		if err := f.Put(n, one); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Save(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name+".next", []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.Save(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(name)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	got, err := Load()
	if err != nil || got.Use != "b" || strings.Join(got.Names(), " ") != "a b" || got.Profiles["a"] != one {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := got.Find("c"); err == nil {
		t.Error("a profile that nobody made is found")
	}
}

// TestProfilesOfOthers: a file that somebody else could have written names servers
// of theirs, and what is no file of profiles is refused.
func TestProfilesOfOthers(t *testing.T) {
	name := at(t)
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	const good = "use: a\nprofiles:\n    a:\n        url: http://x\n        key_file: /k\n"
	for text, want := range map[string]string{
		good:                                    "",
		good + "more: 1\n":                      "more",
		strings.Replace(good, "/k", "k", 1):     "absolute",
		strings.Replace(good, "http", "ftp", 1): "url",
		strings.Replace(good, "    a:", "    'a b':", 1): "name",
		"# " + strings.Repeat("x", maxFile):              "bytes",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%.60q: %v, want %q", text, err, want)
		}
	}
	if err := os.WriteFile(name, []byte(good), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(); err == nil || !strings.Contains(err.Error(), "open to other users") {
		t.Errorf("%v", err)
	}
}

// TestTooManyProfiles: the bound holds for new ones, not for changes.
func TestTooManyProfiles(t *testing.T) {
	f := File{}
	p := Profile{URL: "http://x", KeyFile: "/k"}
	for i := range maxProfiles {
		if err := f.Put("p"+strings.Repeat("x", i%60)+string(rune('a'+i/60)), p); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Put("one-more", p); err == nil {
		t.Error("there is no bound")
	}
	if err := f.Put("pa", p); err != nil {
		t.Error(err)
	}
}
