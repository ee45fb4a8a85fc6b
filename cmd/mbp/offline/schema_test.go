package offline

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// compat runs mbp schema compat and returns its exit status and output.
func compat(t *testing.T, args ...string) (status int, out string) {
	t.Helper()
	var b bytes.Buffer
	cmd := SchemaCommand()
	cmd.SetArgs(append([]string{"compat"}, args...))
	cmd.SetOut(&b)
	cmd.SetErr(&b)
	err := cmd.Execute()
	var exit interface{ ExitCode() int }
	switch {
	case err == nil:
	case errors.As(err, &exit):
		status = exit.ExitCode()
	default:
		t.Fatalf("%v: no exit status", err)
	}
	return status, b.String()
}

func TestSchemaCompat(t *testing.T) {
	committed, out := filepath.Join("..", "..", "..", "schemas", "mbp"), t.TempDir()
	jsonFile, diff := filepath.Join(out, "schema", "compat.json"), filepath.Join(out, "schema_diff.txt")
	for _, args := range [][]string{nil, {"--dir", committed, "--base", committed, "--json", jsonFile, "--diff", diff}} {
		if status, text := compat(t, args...); status != 0 || !strings.Contains(text, "breaking 0") {
			t.Errorf("%q: status %d\n%s", args, status, text)
		}
	}
	raw, err := os.ReadFile(jsonFile)
	if err != nil {
		t.Fatal(err)
	}
	var rep struct{ Checked, Breaking, Drift *int }
	if err := json.Unmarshal(raw, &rep); err != nil || rep.Checked == nil || *rep.Checked < 6 || rep.Breaking == nil || *rep.Breaking != 0 || rep.Drift == nil || *rep.Drift != 0 {
		t.Errorf("%v: %s", err, raw)
	}
	if text, err := os.ReadFile(diff); err != nil || !strings.Contains(string(text), "1.1.0 → 1.2.0") {
		t.Errorf("%v: %s", err, text)
	}

	// One byte in a published version, found against the pins and the base.
	broken := filepath.Join(out, "mbp")
	if err := os.CopyFS(broken, os.DirFS(committed)); err != nil {
		t.Fatal(err)
	}
	edit(t, filepath.Join(broken, "quotes", "v1.2.0.json"), `"maximum": 999999`, `"maximum": 899999`)
	if status, text := compat(t, "--dir", broken, "--base", committed); status != 1 || !strings.Contains(text, "VERSION_EDITED") || !strings.Contains(text, "BASE_VERSION_EDITED") || !strings.Contains(text, "MAXIMUM_DECREASED") {
		t.Errorf("status %d\n%s", status, text)
	}
	for _, args := range [][]string{{"--dir", filepath.Join(out, "absent")}, {"--base", out + "/absent"}, {"--json", out}, {"--no-such-flag"}, {"stray"}} {
		if status, text := compat(t, args...); status != 2 {
			t.Errorf("%q: status %d\n%s", args, status, text)
		}
	}
}

func edit(t *testing.T, name, from, to string) {
	t.Helper()
	raw, err := os.ReadFile(name)
	if err != nil || !bytes.Contains(raw, []byte(from)) {
		t.Fatalf("%s: %v", name, err)
	}
	if err := os.WriteFile(name, bytes.Replace(raw, []byte(from), []byte(to), 1), 0o644); err != nil {
		t.Fatal(err)
	}
}
