package enginetest

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mbp-market/mbp/tests/given"
)

// scripts are the behaviours of the market: testdata/*.txt, one rule each.
func scripts(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "*.txt"))
	if err != nil || len(files) < 60 {
		t.Fatalf("there are %d scripts (%v)", len(files), err)
	}
	return files
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestScripts plays every script. MBP_REWRITE=1 writes what happens into the
// scripts, to be reviewed as a diff.
func TestScripts(t *testing.T) {
	for _, path := range scripts(t) {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			happens, err := Play(read(t, path))
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			given.Golden(t, path, string(happens))
		})
	}
}

// Every script states its rule before anything else, for a reader who knows none
// of the language.
func TestScriptsStateTheirRule(t *testing.T) {
	for _, f := range scripts(t) {
		script := string(read(t, f))
		rule, _, _ := strings.Cut(script, "\naccounts ")
		if !strings.HasPrefix(rule, "# ") || len(rule) < 40 || strings.Contains(rule, separator) {
			t.Errorf("%s does not begin with its rule", f)
		}
		if !strings.Contains(script, "\n"+separator+"\n") {
			t.Errorf("%s shows nothing", f)
		}
	}
}

// The language says what is wrong with a line, and by its number.
func TestErrorsNameTheLine(t *testing.T) {
	const resting = "accounts ana=100 bob=10\nmarket rain price=0.5 liquidity=50 by=ana\nbuy yes shares=1 limit=0.4 tif=gtc by=bob\n"
	for script, want := range map[string]string{
		"accounts ana=1\nfly":                                           `line 2: "fly" is not a verb`,
		"accounts ana=1\nbuy yes amount=1 by=bob":                       `line 2: by="bob" is not an account`,
		"accounts ana=1 bob=0.0000001":                                  "line 1: \"0.0000001\" is not a number of at most six decimals",
		"accounts ana=1\nmarket rain prize=1 by=ana":                    "line 2: what is prize=?",
		"accounts ana=1\nmarket rain price=0.5 now by=ana":              `line 2: what is "now"?`,
		"accounts ana=1\ncancel #1 by=ana":                              `line 2: "#1" is not an order`,
		"wait -1s":                                                      "line 1: time runs forwards",
		"repeat 5000 wait 1s":                                           "line 1: it is: repeat",
		"accounts ana=1\nbatch\n  split 1 by=ana\n":                     "cannot be in a batch",
		"accounts ana=1\nbatch\n  fly\n":                                `line 3: "fly" cannot be in a batch`,
		"show rain":                                                     `line 1: "rain" is nothing to show`,
		"accounts ana=1\nmarket rain price=0.5 by=ana\nbatch":           "the script ends without a line ----",
		"buy yes amount=1 by=nobody expires=soon":                       `line 1: expires="soon" is not a time like +10m, -10m or @10m`,
		resting + "cancel #1 market=rain by=bob":                        "line 4: what is market=?",
		resting + "amend #1 market=rain by=bob":                         "line 4: what is market=?",
		resting + "cancel #1 by=bob\nmode read_only by=bob market=rain": "line 5: what is market=?",
		"rollback-policy by=ana":                                        "line 1: what is by=?",
		"accounts ana=1\ngrant 1 to=ana by=ana":                         "line 2: what is by=?",
		"dismiss abuse=1 by=ana market=nowhere":                         "line 1: what is market=?",
	} {
		_, err := Play([]byte(script))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", script, err, want)
		}
	}
}

// FuzzPlay feeds the language with anything: a script is played or refused, and
// whatever it commands, the engine's invariants hold.
func FuzzPlay(f *testing.F) {
	for _, path := range scripts(f) {
		f.Add(read(f, path))
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
