package main

import (
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// scriptSigned runs a program that prints a checkpoint until that covers as many
// decisions: `signed SIZE PROGRAM [ARG…]`.
func scriptSigned(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if ts.Exec(args[1], args[2:]...) != nil {
			continue
		}
		if lines := strings.Split(ts.ReadFile("stdout"), "\n"); len(lines) > 2 {
			if size, err := strconv.Atoi(lines[1]); err == nil && size >= want {
				return
			}
		}
	}
	ts.Fatalf("no checkpoint of %d decisions: %s", want, ts.ReadFile("stderr"))
}

// scriptSetenv sets a variable to the line in a file: `setenv NAME FILE`.
func scriptSetenv(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile(args[1])))
}

// scriptReplace writes a file with the first of something replaced: `replace FILE
// OLD NEW OUT`.
func scriptReplace(ts *testscript.TestScript, _ bool, args []string) {
	was := ts.ReadFile(args[0])
	is := strings.Replace(was, args[1], args[2], 1)
	if is == was {
		ts.Fatalf("%s has no %q", args[0], args[1])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[3]), []byte(is), 0o600))
}
