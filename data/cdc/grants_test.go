package cdc

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mbp-market/mbp/data/cdc/cdctest"
	"github.com/mbp-market/mbp/data/cdc/lake"
	"github.com/mbp-market/mbp/engine"
)

// TestGroupNamesStayOutOfTheLake: no file of it holds one, plain or in the decoded rows;
// a group has the same pseudonym wherever it is named, and another one in another
// journal.
func TestGroupNamesStayOutOfTheLake(t *testing.T) {
	history, log, dir := newHistory(t, 1, 8), openLog(t), t.TempDir()
	if err := cdctest.Write(log, history, 16); err != nil {
		t.Fatal(err)
	}
	p, _ := newPipeline(t, lake.OS(dir))
	if err := p.Run(t.Context(), Follow(log, 0)); err != nil {
		t.Fatal(err)
	}
	names := []string{"board", "staff", "guests", "audit"}
	ids := map[any]int{}
	for _, r := range written(t, p, dir, tableGroups) {
		ids[r["group_id"]]++
		for _, v := range r {
			for _, name := range names {
				if text, is := v.(string); is && strings.Contains(text, name) {
					t.Errorf("a row names %s: %v", name, r)
				}
			}
		}
	}
	if len(ids) != len(names) || ids[GroupID(firstKey(history), "staff")] < 3 {
		t.Errorf("the pseudonyms: %v", ids)
	}
	other, err := cdctest.History(1, engine.Time(start)+1, 8)
	if err != nil {
		t.Fatal(err)
	}
	if GroupID(firstKey(other), "staff") == GroupID(firstKey(history), "staff") {
		t.Error("two journals call a group the same")
	}
	files := 0
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		b, err := os.ReadFile(path)
		for _, name := range names[2:] { // no other text has these
			if bytes.Contains(b, []byte(name)) {
				t.Errorf("%s holds %s", path, name)
			}
		}
		return err
	})
	if err != nil || files < 6 {
		t.Errorf("%d files: %v", files, err)
	}
}

func firstKey(history []*engine.Decision) engine.Digest {
	return history[0].Command.(*engine.Initialise).Admin.SHA256
}
