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
