// Package mbp_test holds the house rules that a compiler cannot: who may
// import whom, how deep the tree goes, how large a function may grow, and that
// every package says what it promises. Each rule carries its reason, so that
// the failure explains itself. The rules are DESIGN.md's table in the form
// that fails a build.
package mbp_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"
	"testing"
)

const module = "github.com/mbp-market/mbp"

// importRule says which packages of this module a package may import. The
// longest matching from decides; a package that none matches is a fault, so a
// new domain is a deliberate line here.
type importRule struct {
	from   string   // package path below the module, with everything under it
	may    []string // packages below the module, each with everything under it
	reason string
}

var importRules = []importRule{
	{"engine", []string{"engine/internal"}, "the vocabulary is plain data: it knows neither the machine nor its log"},
	{"engine/core", []string{"engine", "engine/internal"}, "the core is a pure state machine: it knows neither its log nor its edge"},
	{"engine/internal", []string{"engine/internal"}, "leaves know only leaves"},
	{"engine/internal/fault", []string{"engine", "engine/internal"}, "what is wrong with a command is told of the engine's words"},
	{"engine/internal/fold", []string{"engine", "engine/internal"}, "the state is made of decisions, so it speaks their vocabulary"},
	{"engine/internal/ahead", []string{"engine", "engine/internal"}, "it looks at what folding decisions will need, so it reads them and the state"},
	{"engine/internal/look", []string{"engine", "engine/internal"}, "what is told of the state is told in the engine's words"},
	{"engine/internal/posting", []string{"engine", "engine/internal"}, "the double entry is that of the engine's events"},
	{"engine/internal/conduct", []string{"engine", "engine/internal"}, "behaviour is held against the state, in the engine's words"},
	{"engine/internal/hook", []string{"engine", "engine/internal"}, "what a webhook may become is said in the engine's words"},
	{"engine/internal/steward", []string{"engine", "engine/internal"}, "accounts are decided about by looking at the state, in the engine's words"},
	{"engine/internal/house", []string{"engine", "engine/internal"}, "what the house decides looks at the state, in the engine's words"},
	{"engine/internal/quorum", []string{"engine", "engine/internal"}, "reports on the truth are in the engine's words"},
	{"engine/internal/intact", []string{"engine", "engine/internal"}, "what a state must not be is said in the engine's words"},
	{"engine/journal", []string{"engine", "engine/journal"}, "the log stores what the engine decides and knows nobody above it"},
	{"engine/catchup", []string{"engine", "engine/core", "engine/journal"}, "a fold of the log needs its records and the machine, and neither writer nor disk"},
	{"engine/sequencer", []string{"engine", "engine/catchup", "engine/core", "engine/journal"}, "the writer drives engine and log; edges come to it, not it to them"},
	{"engine/audit", []string{"engine", "engine/journal"}, "a notary of the log reads records and times; it decides nothing"},
	{"engine/snapshot", []string{"engine", "engine/catchup", "engine/core", "engine/journal"}, "it folds the log itself, so that it can find out the writer; it must not know it"},
	{"engine/texts", []string{"engine", "engine/journal"}, "the store that forgets stands beside the log, and must not be needed to read it"},
	{"engine/replay", []string{"engine", "engine/core", "engine/journal"}, "an audit needs the log and the machine, not the writer that made it"},
	{"engine/httpapi", []string{"engine", "engine/audit", "engine/core", "engine/sequencer", "engine/texts", "engine/webhook"}, "the edge talks to the sequencer, the read model, the notary and the store of texts, never to the disk"},
	{"engine/webhook", []string{"engine", "engine/core", "engine/httpapi/news", "engine/httpapi/wire", "engine/journal", "engine/resolver/reach", "engine/sequencer"}, "delivery follows the durable log as the streams do, with their documents, and never the writer's memory"},
	{"engine/webhook/sign", nil, "whoever receives signed messages needs nothing else of ours"},
	{"engine/httpapi/client", []string{"engine", "engine/webhook/sign"}, "a client knows the edge by its wire alone"},
	{"engine/resolver", []string{"engine"}, "rules are evaluated outside the core, which gets a proposal: they need the engine's words and nothing that runs it"},
	{"engine/enginetest", []string{"engine", "engine/core"}, "the script language speaks the engine's public words only"},
	{"data", []string{"data", "engine", "engine/core", "engine/journal", "schemas"}, "readers of the log: they need its records and the schemas, nothing that can write"},
	{"schemas", []string{"schemas"}, "the registry serves any table of anybody"},
	{"obs/telemetry", nil, "everybody logs, so it may need nobody"},
	{"gate", []string{"gate"}, "the gate judges any system; a gate that imports what it judges is no judge"},
	{"fe", nil, "the panel is embedded bytes"},
	{"docs/examples", []string{"engine", "engine/httpapi/client"}, "an example shows what anybody can do from outside"},
	{"sim", []string{"sim", "engine", "engine/core", "engine/httpapi/client"}, "simulated traders use the engine's public face"},
	{"tests", nil, "what all tests stand on must not need what they test"},
	{"tests/linear", []string{"engine", "engine/core", "engine/httpapi/client"}, "a history is judged by what clients saw and by what the engine says it means, never by how it was made"},
	{"tests/perf/edge", []string{"engine", "engine/httpapi/client", "tests/perf/bounds"}, "the edge is measured from outside, by what a client sees of a process"},
	{"tests/perf/limits", []string{"cmd/mbp/machine", "engine", "engine/audit", "engine/httpapi", "engine/journal", "engine/sequencer", "tests/perf/bounds"}, "the durable path is measured with its real parts, each as its own package offers it"},
	{"tests/perf/pgjournal", []string{"engine", "engine/journal", "engine/sequencer", "tests/pg"}, "the writer on its journal in a real database beside the database alone"},
	{"tests/perf/restart", []string{"engine", "engine/catchup", "engine/core", "engine/journal", "engine/sequencer", "engine/snapshot"}, "a start is measured with its real parts, each as its own package offers it"},
	{"tools", nil, "the set-up runs before anything else is built"},
	{"ci", nil, "CI runs the suites; it is not one"},
	{"cmd/mbp", []string{"engine", "data", "schemas", "obs", "fe", "sim"}, "the only place that wires the platform; the gate stays out of it"},
	{"cmd/prega", []string{"gate"}, "the only place that wires the gate; the platform stays out of it"},
}

// pureBans are standard packages that would let the world into the engine.
var pureBans = map[string]string{
	"context": "a pure function cannot be cancelled", "crypto/rand": "randomness arrives as data",
	"database/sql": "no I/O", "log": "the engine returns, it does not tell", "log/slog": "the engine returns, it does not tell",
	"math/rand": "randomness arrives as data", "math/rand/v2": "randomness arrives as data", "net": "no I/O", "net/http": "no I/O",
	"os": "no I/O", "os/exec": "no I/O", "sync": "one goroutine owns the state", "sync/atomic": "one goroutine owns the state",
	"syscall": "no I/O",
}

// pureTime is what the engine may use of package time: the text form of its
// own times. Anything else would bring in a clock.
var pureTime = map[string]bool{"Time": true, "UnixMicro": true, "Parse": true, "RFC3339Nano": true}

// pkg is what `go list -json` says about a package.
type pkg struct {
	ImportPath, Name, Dir              string
	GoFiles, TestGoFiles, XTestGoFiles []string
	Imports                            []string
}

// path is the package path below the module; empty for the root.
func (p pkg) path() string { return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/") }

func goList(t *testing.T, args ...string) []pkg {
	t.Helper()
	out, err := exec.Command("go", append([]string{"list", "-json=ImportPath,Name,Dir,GoFiles,TestGoFiles,XTestGoFiles,Imports"}, args...)...).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %s", exit.Stderr)
		}
		t.Fatal(err)
	}
	var pkgs []pkg
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
}

func under(path, prefix string) bool { return path == prefix || strings.HasPrefix(path, prefix+"/") }

// mayImport finds the rule for from and applies it to an import of ours.
func mayImport(from, to string) (bool, string) {
	var rule *importRule
	for i, r := range importRules {
		if under(from, r.from) && (rule == nil || len(r.from) > len(rule.from)) {
			rule = &importRules[i]
		}
	}
	if rule == nil {
		return false, "no rule names this domain; decide and add one to importRules"
	}
	for _, ok := range rule.may {
		// "engine" opens its vocabulary, not the roles around it.
		if to == ok || (ok != "engine" || rule.from == "cmd/mbp") && under(to, ok) {
			return true, ""
		}
	}
	return under(to, rule.from) && rule.from != "engine", rule.reason
}

func TestImportsFlowOneWay(t *testing.T) {
	for _, p := range goList(t, "./...") {
		if p.path() == "" {
			continue
		}
		for _, imp := range p.Imports {
			if to, ours := strings.CutPrefix(imp, module+"/"); ours {
				if ok, reason := mayImport(p.path(), to); !ok {
					t.Errorf("%s imports %s: %s", p.path(), to, reason)
				}
				continue
			}
			if p.path() != "engine" && p.path() != "engine/core" && !under(p.path(), "engine/internal") {
				continue
			}
			if reason, banned := pureBans[imp]; banned {
				t.Errorf("%s imports %s: %s", p.path(), imp, reason)
			} else if strings.Contains(strings.Split(imp, "/")[0], ".") {
				t.Errorf("%s imports %s: the engine depends on the standard library alone", p.path(), imp)
			}
		}
	}
}

func TestEngineHasNoClock(t *testing.T) {
	for _, p := range goList(t, "./engine", "./engine/core", "./engine/internal/...") {
		for _, name := range p.GoFiles {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(f, func(n ast.Node) bool {
				if sel, ok := n.(*ast.SelectorExpr); ok {
					if x, ok := sel.X.(*ast.Ident); ok && x.Name == "time" && !pureTime[sel.Sel.Name] {
						t.Errorf("%s/%s uses time.%s: time arrives as data, in microseconds", p.path(), name, sel.Sel.Name)
					}
				}
				return true
			})
		}
	}
}

// TestImportRule proves that the rule bites and where it lets pass.
func TestImportRule(t *testing.T) {
	for _, c := range []struct {
		from, to string
		want     bool
	}{
		{"engine", "engine/internal/amm", true},
		{"engine", "engine/journal", false},
		{"engine", "schemas", false},
		{"engine", "engine/core", false},
		{"engine/core", "engine/internal/book", true},
		{"engine/core", "engine/journal", false},
		{"engine/sequencer", "engine/core", true},
		{"engine/httpapi/client", "engine/core", false},
		{"engine/internal/book", "engine", false},
		{"engine/journal/file", "engine/journal", true},
		{"engine/audit", "engine/journal/file", true},
		{"engine/audit", "engine/sequencer", false},
		{"engine/journal/file", "engine/sequencer", false},
		{"engine/httpapi", "engine/journal", false},
		{"engine/httpapi/client", "engine", true},
		{"engine/httpapi/client", "engine/sequencer", false},
		{"sim/world", "engine/httpapi/client", true},
		{"sim/world", "engine", true},
		{"sim/world", "engine/httpapi", false},
		{"sim/world", "engine/sequencer", false},
		{"data/cdc", "engine/journal", true},
		{"data/cdc", "engine/sequencer", false},
		{"gate/evidence", "gate", true},
		{"gate", "engine", false},
		{"cmd/prega", "engine", false},
		{"cmd/mbp", "engine/journal/file", true},
		{"cmd/mbp", "gate", false},
		{"tests/given", "engine", false},
		{"newdomain", "engine", false},
	} {
		if got, reason := mayImport(c.from, c.to); got != c.want {
			t.Errorf("%s imports %s: allowed=%v (%s), want %v", c.from, c.to, got, reason, c.want)
		}
	}
}

func TestPackageNamesAndDepth(t *testing.T) {
	std := map[string]string{}
	for _, p := range goList(t, "std") {
		if !strings.Contains(p.ImportPath, "internal") && !strings.HasPrefix(p.ImportPath, "vendor/") {
			std[p.Name] = p.ImportPath
		}
	}
	for _, p := range goList(t, "./...") {
		if p.path() == "" || len(p.GoFiles) == 0 {
			continue
		}
		if twin, taken := std[p.Name]; taken && p.Name != "main" {
			t.Errorf("%s is named like the standard library's %s: every reader and every import would need an alias", p.path(), twin)
		}
		if strings.Count(p.path(), "/") > 2 {
			t.Errorf("%s is more than three levels deep: a path is read with its name", p.path())
		}
	}
}

// minDoc is the shortest comment, in bytes, that can state a promise and a
// refusal; a shorter one only repeats the name.
const minDoc = 160

func TestPackagesSayWhatTheyPromise(t *testing.T) {
	for _, p := range goList(t, "./...") {
		doc := 0
		for _, name := range p.GoFiles {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			doc += len(f.Doc.Text())
		}
		if len(p.GoFiles) > 0 && doc < minDoc {
			t.Errorf("%s: package comment of %d bytes; say what it promises, what it refuses and what it follows", p.ImportPath, doc)
		}
	}
}

// The size limits. They keep branches in parents and arithmetic in leaves.
const (
	maxFunction = 70   // lines, outside tests
	maxFile     = 500  // lines, tests too
	maxPackage  = 2500 // lines, outside tests
	maxMain     = 25   // lines of func main
	maxScript   = 29   // lines of a shell script; longer means Go
)

// tooLarge lists what is over a limit today, with its size. It only shrinks:
// what grows fails, what is no longer over must leave, a smaller size must be
// written down.
var tooLarge = map[string]int{}

func TestSizesOnlyShrink(t *testing.T) {
	over := map[string]int{}
	note := func(what string, size, limit int) {
		if size > limit {
			over[what] = size
		}
	}
	for _, p := range goList(t, "./...") {
		total := 0
		for _, name := range slices.Concat(p.GoFiles, p.TestGoFiles, p.XTestGoFiles) {
			lines := measure(t, filepath.Join(p.Dir, name), filepath.Join(p.path(), name), note)
			if !strings.HasSuffix(name, "_test.go") {
				total += lines
			}
		}
		note(p.path(), total, maxPackage)
	}
	for _, what := range sortedKeys(over) {
		if allowed, listed := tooLarge[what]; !listed {
			t.Errorf("%s has %d lines; split it", what, over[what])
		} else if over[what] > allowed {
			t.Errorf("%s grew from %d to %d lines; it is only allowed to shrink", what, allowed, over[what])
		}
	}
	for _, what := range sortedKeys(tooLarge) {
		if over[what] < tooLarge[what] {
			t.Errorf("%s shrank below %d lines: lower it in tooLarge, or remove it", what, tooLarge[what])
		}
	}
}

// measure notes the sizes in one file and returns its lines; generated files
// count nothing.
func measure(t *testing.T, path, name string, note func(string, int, int)) int {
	t.Helper()
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, path, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	if ast.IsGenerated(f) {
		return 0
	}
	lines := fset.File(f.Pos()).LineCount()
	note(name, lines, maxFile)
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || strings.HasSuffix(name, "_test.go") {
			continue
		}
		size := fset.Position(fn.End()).Line - fset.Position(fn.Pos()).Line + 1
		limit := maxFunction
		if f.Name.Name == "main" && fn.Recv == nil && fn.Name.Name == "main" {
			limit = maxMain
		}
		note(name+" "+fn.Name.Name, size, limit)
	}
	return lines
}

func sortedKeys(m map[string]int) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// marker finds notes to self. Work that is not done belongs into an issue.
var marker = regexp.MustCompile(`\b(` + "TO" + `DO|FIX` + `ME|XX` + `X)\b`)

// proseAndCode are the kinds of file a reader of the repository reads.
var proseAndCode = map[string]bool{
	".go": true, ".ts": true, ".js": true, ".mjs": true, ".css": true, ".html": true, ".py": true, ".sh": true,
	".sql": true, ".yml": true, ".yaml": true, ".md": true, ".tla": true, ".cfg": true, "": true,
}

// ours calls see with every file of the repository that people write.
func ours(t *testing.T, see func(path string, content []byte)) {
	t.Helper()
	skip := map[string]bool{".git": true, ".tools": true, "node_modules": true, "bin": true, "out": true, "dist": true, "target": true, "testdata": true}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && skip[d.Name()]:
			return fs.SkipDir
		case !d.Type().IsRegular() || !proseAndCode[filepath.Ext(path)]:
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		see(path, b)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestNoNotesToSelf(t *testing.T) {
	ours(t, func(path string, content []byte) {
		for i, line := range bytes.Split(content, []byte("\n")) {
			if marker.Match(line) {
				t.Errorf("%s:%d: %s", path, i+1, bytes.TrimSpace(line))
			}
		}
	})
}

func TestShellScriptsStayThin(t *testing.T) {
	ours(t, func(path string, content []byte) {
		first, _, _ := bytes.Cut(content, []byte("\n"))
		if !bytes.HasPrefix(first, []byte("#!")) || !bytes.Contains(first, []byte("sh")) {
			return
		}
		if lines := bytes.Count(content, []byte("\n")); lines > maxScript {
			t.Errorf("%s has %d lines: longer than %d means Go", path, lines, maxScript)
		}
		if info, err := os.Stat(path); err != nil || info.Mode()&0o111 == 0 {
			t.Errorf("%s is not executable", path)
		}
	})
}

// TestBothSpellingsHold keeps the two folders reachable under either name.
func TestBothSpellingsHold(t *testing.T) {
	for link, want := range map[string]string{"ops": "obs/ops", "analytics": "data/analytics"} {
		got, err := os.Readlink(link)
		if err != nil || got != want {
			t.Errorf("%s is %q (%v), want a link to %s", link, got, err, want)
		}
	}
}

// TestOnlyNamedModules keeps the table of ADR-004 and go.mod equal: a direct
// dependency without a reason is a fault.
func TestOnlyNamedModules(t *testing.T) {
	adr, err := os.ReadFile("docs/adr/ADR-004-Dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	direct := 0
	for _, line := range strings.Split(string(mod), "\n") {
		fields := strings.Fields(line)
		if len(fields) != 2 || !strings.HasPrefix(fields[1], "v") || !strings.Contains(fields[0], ".") {
			continue
		}
		direct++
		name := strings.TrimPrefix(fields[0], "golang.org/")
		if !bytes.Contains(adr, []byte("`"+fields[0]+"`")) && !bytes.Contains(adr, []byte("`"+name+"`")) {
			t.Errorf("go.mod requires %s, which ADR-004 does not name", fields[0])
		}
	}
	if direct == 0 {
		t.Error("no direct dependency found in go.mod: the test reads it wrongly")
	}
}

// TestModuleIgnoresNode: npm packages may contain Go files, and ./... must not
// build them.
func TestModuleIgnoresNode(t *testing.T) {
	b, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"./node_modules", "./.tools", "./out"} {
		if !bytes.Contains(b, []byte(fmt.Sprintf("\t%s\n", dir))) {
			t.Errorf("go.mod does not ignore %s", dir)
		}
	}
}
