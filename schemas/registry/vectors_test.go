package registry

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/mbp-market/mbp/tests/given"
)

// vectors returns a file of the shared vectors, or skips. They are other
// projects' cases: run against, never copied.
func vectors(t *testing.T, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(given.Vectors(t, filepath.Join("confluent", name)))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// byDiffAlone judges without the house rules (closed objects, allow-listed
// keywords, named types), so that the rule table itself is put to the test.
func byDiffAlone(old, new []byte) bool {
	o, errOld := parseObject(old)
	n, errNew := parseObject(new)
	return errOld == nil && errNew == nil && len(Breaking(diff(o, n))) == 0
}

func TestSoundnessHolesAreClosed(t *testing.T) {
	var cases []struct {
		ID      string          `json:"id"`
		Old     json.RawMessage `json:"original_schema"`
		New     json.RawMessage `json:"update_schema"`
		Witness json.RawMessage `json:"witness"`
	}
	if err := json.Unmarshal(vectors(t, "soundness-holes.json"), &cases); err != nil {
		t.Fatal(err)
	}
	alone := 0
	for _, c := range cases {
		list, err := Check(c.Old, c.New)
		if err == nil && len(Breaking(list)) == 0 {
			t.Errorf("%s passed although %s becomes invalid", c.ID, c.Witness)
		}
		if !byDiffAlone(c.Old, c.New) {
			alone++
		}
	}
	t.Logf("%d of %d holes refused, %d of them by the differences alone", len(cases), len(cases), alone)
	if len(cases) != 16 {
		t.Errorf("expected 16 holes, the file has %d", len(cases))
	}
}

func TestConfluentVectors(t *testing.T) {
	var cases []struct {
		Description string          `json:"description"`
		Old         json.RawMessage `json:"original_schema"`
		New         json.RawMessage `json:"update_schema"`
		Compatible  bool            `json:"compatible"`
	}
	if err := json.Unmarshal(vectors(t, "diff-schema-examples.json"), &cases); err != nil {
		t.Fatal(err)
	}
	var tally tally
	for _, c := range cases {
		tally.judge(t, c.Description, c.Old, c.New, c.Compatible)
	}
	tally.log(t)
}

func TestApicurioVectors(t *testing.T) {
	var file struct {
		Tests []struct {
			ID            string          `json:"id"`
			Enabled       bool            `json:"enabled"`
			Compatibility string          `json:"compatibility"`
			Old           json.RawMessage `json:"original"`
			New           json.RawMessage `json:"updated"`
		} `json:"tests"`
	}
	if err := json.Unmarshal(vectors(t, "apicurio-compatibility-test-data.json"), &file); err != nil {
		t.Fatal(err)
	}
	var tally tally
	for _, c := range file.Tests {
		if !c.Enabled {
			continue
		}
		backward := c.Compatibility == "backward" || c.Compatibility == "both"
		tally.judge(t, c.ID, c.Old, c.New, backward)
	}
	tally.log(t)
}

// tally counts verdicts beside the other registry's.
type tally struct{ compatible, incompatible, accepted, refusedAlone, acceptedAlone int }

func (a *tally) judge(t *testing.T, id string, old, new []byte, compatible bool) {
	t.Helper()
	list, err := Check(old, new)
	ok, alone := err == nil && len(Breaking(list)) == 0, byDiffAlone(old, new)
	if !compatible {
		a.incompatible++
		if ok {
			t.Errorf("%q is incompatible but passed", id)
		}
		if !alone {
			a.refusedAlone++
		}
		return
	}
	a.compatible++
	if ok {
		a.accepted++
	}
	if alone {
		a.acceptedAlone++
	}
}

func (a *tally) log(t *testing.T) {
	t.Helper()
	t.Logf("incompatible: %d, all refused (%d by the differences alone)", a.incompatible, a.refusedAlone)
	t.Logf("compatible there: %d, of which we accept %d; without the house rules %d", a.compatible, a.accepted, a.acceptedAlone)
}
