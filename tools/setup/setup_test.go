package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// testHouse is a clone and a cache in temporary folders, with one lock.
func testHouse(t *testing.T) *house {
	t.Helper()
	root := t.TempDir()
	write(t, filepath.Join(root, "go.mod"), "module "+modulePath+"\n")
	write(t, filepath.Join(root, "the.lock"), "tool==1\n")
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	h, err := newHouse(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// fakeGroup builds bin/tool with the lock's content and counts its builds.
func fakeGroup(builds *atomic.Int32) group {
	return group{
		name: "tool", locks: []string{"the.lock"}, recipe: "copy",
		links:     binLinks("bin", []string{"tool"}),
		toolchain: func(*house) (string, error) { return "chain 1", nil },
		build: func(_ context.Context, h *house, dir string, _ *sink) error {
			builds.Add(1)
			b, err := os.ReadFile(filepath.Join(h.root, "the.lock"))
			if err != nil {
				return err
			}
			if err := os.Mkdir(filepath.Join(dir, "bin"), 0o750); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(dir, "bin", "tool"), b, 0o600)
		},
		verify: func(context.Context, *house, string) ([]item, error) { return []item{{Name: "tool"}}, nil },
	}
}

func TestSecondRunBuildsNothing(t *testing.T) {
	h, builds := testHouse(t), atomic.Int32{}
	g := fakeGroup(&builds)
	for range 3 {
		if err := install(t.Context(), h, []group{g}, io.Discard); err != nil {
			t.Fatal(err)
		}
	}
	if builds.Load() != 1 {
		t.Errorf("built %d times, want once", builds.Load())
	}
	b, err := os.ReadFile(filepath.Join(h.root, ".tools", "bin", "tool"))
	if err != nil || string(b) != "tool==1\n" {
		t.Errorf("linked tool reads %q, %v", b, err)
	}
}

func TestChangedLockBuildsAgainAndMovesTheLink(t *testing.T) {
	h, builds := testHouse(t), atomic.Int32{}
	g := fakeGroup(&builds)
	for _, lock := range []string{"tool==1\n", "tool==2\n", "tool==1\n"} {
		write(t, filepath.Join(h.root, "the.lock"), lock)
		if err := install(t.Context(), h, []group{g}, io.Discard); err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(filepath.Join(h.root, ".tools", "bin", "tool")); err != nil || string(b) != lock {
			t.Errorf("linked tool reads %q (%v), the lock says %q", b, err, lock)
		}
	}
	if builds.Load() != 2 {
		t.Errorf("built %d times, want 2: the first lock's folder was still there", builds.Load())
	}
}

func TestHashCoversEverythingThatDecidesTheContent(t *testing.T) {
	h := testHouse(t)
	g := fakeGroup(new(atomic.Int32))
	seen := map[string]string{}
	add := func(what string, g group) {
		sum, err := h.hash(g)
		if err != nil {
			t.Fatal(err)
		}
		if twin, dup := seen[sum]; dup {
			t.Errorf("%s has the hash of %s", what, twin)
		}
		seen[sum] = what
	}
	add("base", g)
	renamed, recipe, chain := g, g, g
	renamed.name = "other"
	add("another name", renamed)
	recipe.recipe = "move"
	add("another recipe", recipe)
	chain.toolchain = func(*house) (string, error) { return "chain 2", nil }
	add("another toolchain", chain)
	write(t, filepath.Join(h.root, "the.lock"), "tool==2\n")
	add("another lock", g)
}

// TestInterruptedBuildIsNotTrusted kills the build between its files and its
// stamp: what is left must be rebuilt, never linked.
func TestInterruptedBuildIsNotTrusted(t *testing.T) {
	h, builds := testHouse(t), atomic.Int32{}
	g := fakeGroup(&builds)
	dir, err := h.dir(g)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "bin", "tool"), "half")
	if err := install(t.Context(), h, []group{g}, io.Discard); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(filepath.Join(h.root, ".tools", "bin", "tool")); string(b) != "tool==1\n" {
		t.Errorf("linked tool reads %q: the half-built folder was trusted", b)
	}
}

func TestFailedBuildLeavesNothing(t *testing.T) {
	h := testHouse(t)
	g := fakeGroup(new(atomic.Int32))
	boom := errors.New("boom")
	g.build = func(_ context.Context, _ *house, dir string, _ *sink) error {
		write(t, filepath.Join(dir, "bin", "tool"), "half")
		return boom
	}
	if err := install(t.Context(), h, []group{g}, io.Discard); !errors.Is(err, boom) {
		t.Fatalf("got %v, want the build's error", err)
	}
	dir, err := h.dir(g)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, filepath.Join(h.root, ".tools", "bin", "tool")} {
		if _, err := os.Lstat(path); !os.IsNotExist(err) {
			t.Errorf("%s exists after a failed build (%v)", path, err)
		}
	}
}

func TestBuildThatForgetsAFileFails(t *testing.T) {
	h := testHouse(t)
	g := fakeGroup(new(atomic.Int32))
	g.build = func(context.Context, *house, string, *sink) error { return nil }
	if err := install(t.Context(), h, []group{g}, io.Discard); err == nil {
		t.Error("a build that produced nothing was stamped")
	}
}

func TestTwoClonesAtOnceBuildOnce(t *testing.T) {
	first, builds := testHouse(t), atomic.Int32{}
	g := fakeGroup(&builds)
	var wg sync.WaitGroup
	for range 8 {
		root := t.TempDir()
		write(t, filepath.Join(root, "the.lock"), "tool==1\n")
		clone := *first
		clone.root = root
		wg.Go(func() {
			if err := install(t.Context(), &clone, []group{g}, io.Discard); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if builds.Load() != 1 {
		t.Errorf("8 clones built %d times", builds.Load())
	}
}

func TestCheckNamesEachDifference(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(t *testing.T, h *house, dir string)
		want  string
	}{
		"nothing":      {func(*testing.T, *house, string) {}, ""},
		"changed byte": {func(t *testing.T, _ *house, dir string) { write(t, filepath.Join(dir, "bin", "tool"), "tool==x\n") }, "was changed after it was installed"},
		"no link": {func(t *testing.T, h *house, _ string) {
			if err := os.Remove(filepath.Join(h.root, ".tools", "bin", "tool")); err != nil {
				t.Fatal(err)
			}
		}, "does not link to the cache"},
		"new lock": {func(t *testing.T, h *house, _ string) { write(t, filepath.Join(h.root, "the.lock"), "tool==9\n") }, "not installed for the present locks"},
	} {
		t.Run(name, func(t *testing.T) {
			h := testHouse(t)
			g := fakeGroup(new(atomic.Int32))
			if err := install(t.Context(), h, []group{g}, io.Discard); err != nil {
				t.Fatal(err)
			}
			dir, err := h.dir(g)
			if err != nil {
				t.Fatal(err)
			}
			c.spoil(t, h, dir)
			_, err = verifyGroup(t.Context(), h, g)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestSymlinkNeverReplacesAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "node_modules")
	write(t, filepath.Join(path, "mine"), "precious")
	if err := symlink("/elsewhere", path); err == nil {
		t.Error("a folder was replaced by a link")
	}
}

func TestLanesFailTogetherAndNameTheFirst(t *testing.T) {
	boom := errors.New("boom")
	var after atomic.Int32
	groups := []group{{name: "a", lane: laneCPU}, {name: "b", lane: laneCPU}, {name: "c", lane: laneNetwork}}
	err := runLanes(t.Context(), groups, func(ctx context.Context, g group) error {
		switch g.name {
		case "a":
			return boom
		case "b":
			after.Add(1)
			return nil
		}
		<-ctx.Done()
		return ctx.Err()
	})
	if !errors.Is(err, boom) || errors.Is(err, context.Canceled) || after.Load() != 0 {
		t.Errorf("err=%v, groups run after the failure: %d", err, after.Load())
	}
}

func TestPickAndFlags(t *testing.T) {
	got, err := pick(catalogue(), "k6, node")
	if err != nil || len(got) != 2 || got[0].name != "node" || got[1].name != "k6" {
		t.Errorf("pick: %v, %v", got, err)
	}
	if _, err := pick(catalogue(), "k7"); err == nil {
		t.Error("an unknown group was accepted")
	}
	for _, args := range [][]string{{"extra"}, {"-json", "x"}, {"-nope"}} {
		if _, err := parse(args, io.Discard); err == nil {
			t.Errorf("%q was accepted", args)
		}
	}
}

func TestAtLeast(t *testing.T) {
	for _, c := range []struct {
		have, want string
		ok         bool
	}{
		{"3.11.7", "3.11.0", true},
		{"3.9.18", "3.11.0", false},
		{"20.11.0", "20.11.0", true},
		{"20.10.9", "20.11.0", false},
		{"22", "20.11.0", true},
		{"", "3.11.0", false},
	} {
		if got := atLeast(c.have, c.want); got != c.ok {
			t.Errorf("atLeast(%q, %q) = %v", c.have, c.want, got)
		}
	}
}

// TestEveryGoToolIsPinned reads the real tool modules: each must require the
// module that its packages come from.
func TestEveryGoToolIsPinned(t *testing.T) {
	root, err := findRoot(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, tool := range goTools {
		module, version, err := tool.required(filepath.Join(root, "tools", tool.name))
		if err != nil || !strings.HasPrefix(version, "v") {
			t.Errorf("%s: %s %s %v", tool.name, module, version, err)
		}
	}
	if err := pinsAgree(root); err != nil {
		t.Error(err)
	}
}

func TestUntarStaysInside(t *testing.T) {
	for name, header := range map[string]*tar.Header{
		"parent":   {Name: "../evil", Typeflag: tar.TypeReg, Mode: 0o600, Size: 1},
		"absolute": {Name: "/evil", Typeflag: tar.TypeReg, Mode: 0o600, Size: 1},
		"link":     {Name: "link", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"},
		"huge":     {Name: "huge", Typeflag: tar.TypeReg, Mode: 0o600, Size: maxUnpacked + 1},
	} {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		if err := w.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		path := filepath.Join(dir, "a.tar")
		write(t, path, b.String()+"x")
		if err := untar(path, t.TempDir()); err == nil {
			t.Errorf("%s: unpacked", name)
		}
	}
}
