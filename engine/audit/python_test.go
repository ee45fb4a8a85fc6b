package audit

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mbp-market/mbp/engine/journal/faultfs"
)

// TestPythonVerifier runs the program that docs/spec/audit.md prints: a second
// implementation of everything that a stranger checks.
func TestPythonVerifier(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skipf("SKIPPED, no Python: %v", err)
	}
	page, err := os.ReadFile("../../docs/spec/audit.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(page), "```python\n")
	program, _, found := strings.Cut(after, "```")
	if !found {
		t.Fatal("the page has no program")
	}
	dir := t.TempDir()
	script := filepath.Join(dir, "verify.py")
	if err := os.WriteFile(script, []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	verify := func(b []byte, key string) (string, error) {
		name := filepath.Join(dir, "proof.json")
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(context.Background(), python, script, name, key).CombinedOutput()
		return string(out), err
	}
	key, log, fs := testKey(t), records(11), faultfs.New()
	x := signedTree(t, fs, log, key)
	v := key.Verifier().String()
	var good []byte
	for seq := uint64(1); seq <= 11; seq++ {
		p, err := x.Prove(seq)
		if err != nil {
			t.Fatal(err)
		}
		if good, err = Marshal(p); err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf("record %d of 11: %x\n", seq, log.payloads[seq-1])
		if out, err := verify(good, v); err != nil || out != want {
			t.Fatalf("%v: %q, want %q", err, out, want)
		}
	}
	for name, change := range map[string][2]string{
		"another sequence":  {`"seq":11`, `"seq":10`},
		"no sequence":       {`"seq":11`, `"seq":0`},
		"beyond the end":    {`"seq":11`, `"seq":12`},
		"another record":    {`"record":"A`, `"record":"B`},
		"another leaf":      {`"leaf_hash":"`, `"leaf_hash":"AAAA`},
		"a shorter path":    {`"proof":["`, `"proof":[],"rest":["`},
		"another size":      {`\n11\n`, `\n12\n`},
		"another time":      {`decided_at 2`, `decided_at 3`},
		"another origin":    {`"checkpoint":"mbp-audit-`, `"checkpoint":"mbp-other-`},
		"one more line":     {`\n\n`, `\nx\n\n`},
		"another signature": {`=\n"}`, `=\n— x abc=\n"}`},
	} {
		bad := strings.Replace(string(good), change[0], change[1], 1)
		if bad == string(good) {
			t.Fatalf("%s: nothing to change in %s", name, good)
		}
		if out, err := verify([]byte(bad), v); err == nil || strings.HasPrefix(out, "record") {
			t.Errorf("%s: it passes: %s", name, out)
		}
	}
	if out, err := verify(good, testKey(t).Verifier().String()); err == nil {
		t.Errorf("the key of another log: it passes: %s", out)
	}
}
