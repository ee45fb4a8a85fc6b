package enginetest

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestScripts runs the behaviours of the market: testdata/*.txt, one rule each.
func TestScripts(t *testing.T) { Run(t, "testdata") }

// Every script states its rule before anything else, for a reader who knows none
// of the language.
func TestScriptsStateTheirRule(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join("testdata", "*.txt"))
	if len(files) < 60 {
		t.Fatalf("there are %d scripts", len(files))
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		rule, _, _ := strings.Cut(string(b), "\naccounts ")
		if !strings.HasPrefix(rule, "# ") || len(rule) < 40 || strings.Contains(rule, separator) {
			t.Errorf("%s does not begin with its rule", f)
		}
		if !strings.Contains(string(b), "\n"+separator+"\n") {
			t.Errorf("%s shows nothing", f)
		}
	}
}

// The language says what is wrong with a line, and by its number.
func TestErrorsNameTheLine(t *testing.T) {
	for script, want := range map[string]string{
		"accounts ana=1\nfly":                                 `line 2: "fly" is not a verb`,
		"accounts ana=1\nbuy yes amount=1 by=bob":             `line 2: by="bob" is not an account`,
		"accounts ana=1 bob=0.0000001":                        "line 1: \"0.0000001\" is not a number of at most six decimals",
		"accounts ana=1\nmarket rain prize=1 by=ana":          "line 2: what is prize=?",
		"accounts ana=1\nmarket rain price=0.5 now by=ana":    `line 2: what is "now"?`,
		"accounts ana=1\ncancel #1 by=ana":                    `line 2: "#1" is not an order`,
		"wait -1s":                                            "line 1: time runs forwards",
		"repeat 5000 wait 1s":                                 "line 1: it is: repeat",
		"accounts ana=1\nbatch\n  split 1 by=ana\n":           "cannot be in a batch",
		"accounts ana=1\nbatch\n  fly\n":                      `line 3: "fly" cannot be in a batch`,
		"show rain":                                           `line 1: "rain" is nothing to show`,
		"accounts ana=1\nmarket rain price=0.5 by=ana\nbatch": "",
	} {
		_, err := Play([]byte(script))
		if want == "" {
			if err == nil || !strings.Contains(err.Error(), "without a line ----") {
				t.Errorf("%q: %v, its end is missing", script, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", script, err, want)
		}
	}
}

// FuzzPlay feeds the language with anything: a script is played or refused, and
// whatever it commands, the engine's invariants hold.
func FuzzPlay(f *testing.F) {
	files, _ := filepath.Glob(filepath.Join("testdata", "*.txt"))
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		out, err := Play(script)
		if err != nil {
			if errors.Is(err, ErrBroken) {
				t.Fatal(err)
			}
			return
		}
		again, err := Play(out)
		if err != nil || string(again) != string(out) {
			t.Fatalf("what a script says when it is played again differs: %v\n%s\n%s", err, out, again)
		}
	})
}
