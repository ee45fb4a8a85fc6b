package main

import (
	"regexp"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// patience is how long a script waits for what a server does by itself within
// milliseconds.
const patience = 30 * time.Second

// scriptUntil runs a program until its output says something: `until PATTERN PROGRAM
// [ARG…]`. It is for what a server does by itself, after it has answered.
func scriptUntil(ts *testscript.TestScript, _ bool, args []string) {
	pattern := regexp.MustCompile(`(?m)` + args[0])
	for begin := time.Now(); time.Since(begin) < patience; {
		ts.Check(ts.Exec(args[1], args[2:]...))
		if pattern.MatchString(ts.ReadFile("stdout")) {
			return
		}
	}
	ts.Fatalf("%s does not say %q", args[1], args[0])
}
