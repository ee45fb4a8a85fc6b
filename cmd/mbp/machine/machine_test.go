package machine

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestDataFolder: every folder that is made is synced into its parent and open to
// its owner alone.
func TestDataFolder(t *testing.T) {
	root := t.TempDir()
	var synced []string
	sync := func(dir string) error { synced = append(synced, dir); return nil }
	dir := filepath.Join(root, "a", "b", "data")
	if err := dataFolder(dir+"/", sync); err != nil {
		t.Fatal(err)
	}
	for d := dir; d != root; d = filepath.Dir(d) {
		if !slices.Contains(synced, filepath.Dir(d)) {
			t.Errorf("%s is not synced, only %v", filepath.Dir(d), synced)
		}
		if info, err := os.Stat(d); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v %v", d, err, info.Mode())
		}
	}
	synced = nil
	if err := dataFolder(dir, sync); err != nil || !slices.Equal(synced, []string{filepath.Dir(dir)}) {
		t.Errorf("a folder that is there: %v, synced %v", err, synced)
	}
	broken := errors.New("disk is gone")
	if err := dataFolder(filepath.Join(root, "x"), func(string) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	if err := os.Chmod(dir, 0o707); err != nil {
		t.Fatal(err)
	}
	if err := dataFolder(dir, sync); err == nil || !strings.Contains(err.Error(), "chmod o-w") {
		t.Errorf("a folder that anybody may write to: %v", err)
	}
	file := filepath.Join(root, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := dataFolder(file, sync); err == nil || !strings.Contains(err.Error(), "not a folder") {
		t.Errorf("%v", err)
	}
}

// TestNotOwn: a file of this user is its own, and nobody else's.
func TestNotOwn(t *testing.T) {
	other := filepath.Join(t.TempDir(), "other")
	if err := WriteSecret(other, "secret"); err != nil {
		t.Fatal(err)
	}
	if b, err := ReadOwn(other); err != nil || string(b) != "secret\n" {
		t.Errorf("%q %v", b, err)
	}
	if err := WriteSecret(other, "second"); !errors.Is(err, os.ErrExist) {
		t.Errorf("a name that is taken: %v", err)
	}
	info, err := os.Stat(other)
	if err != nil {
		t.Fatal(err)
	}
	if why := notOwn(info, os.Geteuid()); why != "" {
		t.Errorf("our own file is %s", why)
	}
	if why := notOwn(info, os.Geteuid()+1); !strings.Contains(why, "another user") {
		t.Errorf("somebody else's file is %q", why)
	}
}

// TestReplace: a secret gets a successor and is kept; whatever a crash leaves, the next
// call ends, with the same two; and none is made for one that is not there, or while the
// one before is still kept.
func TestReplace(t *testing.T) {
	read := func(name string) string { b, _ := os.ReadFile(name); return string(b) }
	fresh := func() (name, was string) {
		t.Helper()
		name = filepath.Join(t.TempDir(), "salt")
		if _, err := Secret(name, true); err != nil {
			t.Fatal(err)
		}
		return name, read(name)
	}
	name, was := fresh()
	done := func(what string) {
		t.Helper()
		if err := Replace(name); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if now := read(name); now == was || now == "" || read(Before(name)) != was || read(next(name)) != "" {
			t.Errorf("%s: %q, before %q of %q", what, now, read(Before(name)), was)
		}
	}
	done("at once")
	if err := Replace(name); !errors.Is(err, ErrReplacing) {
		t.Errorf("twice: %v", err)
	}
	for n := range 45 { // the successor torn anywhere, or whole
		name, was = fresh()
		_, text := fresh()
		if err := os.WriteFile(next(name), []byte(text[:min(n, len(text))]), 0o600); err != nil {
			t.Fatal(err)
		}
		if n == 44 {
			done("after the successor was made")
			if read(name) != text {
				t.Error("the successor is another one")
			}
			continue
		}
		done("while the successor was made")
	}
	name, was = fresh()
	if err := os.Rename(name, Before(name)); err != nil {
		t.Fatal(err)
	}
	if err := Replace(name); !errors.Is(err, ErrReplacing) {
		t.Errorf("a secret that is lost got a successor: %v", err)
	}
	if _, err := Secret(next(name), true); err != nil {
		t.Fatal(err)
	}
	done("after the first rename")
	if err := Replace(filepath.Join(t.TempDir(), "salt")); !errors.Is(err, ErrNoSecret) {
		t.Errorf("one that was never there: %v", err)
	}
}
