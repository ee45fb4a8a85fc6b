package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mbp-market/mbp/cmd/mbp/notary"
)

// TestFsckFindsDamage: a flipped bit anywhere in what records, tree and checkpoints
// consist of is found, and told with its file where the journal has it; the folder
// stays as it is.
func TestFsckFindsDamage(t *testing.T) {
	r := runPlatform(t)
	for range 3 {
		r.decide(t)
	}
	waitFor(t, "a checkpoint", func() bool { return r.tree.Newest().Size == 4 })
	if err := r.shut(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	fsck := func() (string, error) {
		var out bytes.Buffer
		err := run(t.Context(), []string{"fsck", "--data", r.dir, "--json"}, &out, &out)
		return out.String(), err
	}
	if said, err := fsck(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	segment := filepath.Join(notary.Journal(r.dir), "seg-0000000000000001.log")
	checkpoints := glob(t, notary.Dir(r.dir)+"/checkpoint.*")
	for name, places := range map[string][]int{
		segment:                         {3, 35, 4096, 4120, -200, -40}, // header, head of the first frame, last records
		notary.Dir(r.dir) + "/tree":     {0, 40, -1},
		checkpoints[len(checkpoints)-1]: {3, -3},
	} {
		whole, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		end := len(whole)
		if name == segment {
			end = len(bytes.TrimRight(whole, "\x00"))
		}
		for _, at := range places {
			if at < 0 {
				at += end
			}
			flip(t, name, at)
			said, err := fsck()
			if err == nil {
				t.Errorf("%s: byte %d was changed, and nothing found\n%s", name, at, said)
			}
			if name == segment && !strings.Contains(said, segment) {
				t.Errorf("byte %d of the segment: the file is not named: %s", at, said)
			}
			if line, _, _ := strings.Cut(said, "\n"); !json.Valid([]byte(line)) {
				t.Errorf("not JSON: %s", said)
			}
			flip(t, name, at)
		}
	}
	if said, err := fsck(); err != nil {
		t.Errorf("after all: %v\n%s", err, said)
	}
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("%s: %v %v", pattern, names, err)
	}
	return names
}

// flip changes one bit of a file, and changes it back the second time.
func flip(t *testing.T, name string, at int) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], int64(at)); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 4
	if _, err := f.WriteAt(b[:], int64(at)); err != nil {
		t.Fatal(err)
	}
}
