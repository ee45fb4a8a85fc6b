package main

import (
	"os"
	"path/filepath"

	"github.com/rogpeppe/go-internal/testscript"
)

// scriptSpoil changes a byte in the middle of the one file that a pattern names:
// `spoil PATTERN`.
func scriptSpoil(ts *testscript.TestScript, _ bool, args []string) {
	names, err := filepath.Glob(ts.MkAbs(args[0]))
	ts.Check(err)
	if len(names) != 1 {
		ts.Fatalf("%d files are called %s", len(names), args[0])
	}
	b, err := os.ReadFile(names[0])
	ts.Check(err)
	b[len(b)/2] ^= 1
	ts.Check(os.WriteFile(names[0], b, 0o600))
}
