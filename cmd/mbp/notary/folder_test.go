package notary

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestKeyIsNotReplaced: a key that is gone while checkpoints are there is never
// made anew, whatever the folder is called.
func TestKeyIsNotReplaced(t *testing.T) {
	for _, name := range []string{"plain", "a[bc]", "a[b", "*"} {
		data := filepath.Join(t.TempDir(), name)
		if err := os.Mkdir(data, 0o700); err != nil {
			t.Fatal(err)
		}
		if key, err := Open(data, true); err != nil || key == nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := os.WriteFile(filepath.Join(Dir(data), "checkpoint.00000000000000000007"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(Dir(data), keyName)); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(data, true); err == nil || !strings.Contains(err.Error(), "1 checkpoints") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
