package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/mbp-market/mbp/cmd/mbp/notary"
	"github.com/mbp-market/mbp/engine/audit"
)

// TestAuditFailureStopsNothing: without a folder for its checkpoints the tree
// fails, the metric says so, and decisions go on; with it the tree catches up.
func TestAuditFailureStopsNothing(t *testing.T) {
	r := runPlatform(t)
	signed := func() uint64 { return r.tree.Newest().Size }
	waitFor(t, "a checkpoint", func() bool { return signed() == 1 })
	dir, aside := notary.Dir(r.dir), notary.Dir(r.dir)+".aside"
	if err := os.Rename(dir, aside); err != nil {
		t.Fatal(err)
	}
	failed := func(value string) func() bool {
		return func() bool {
			w := httptest.NewRecorder()
			r.api.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
			return strings.Contains(w.Body.String(), "\nmbp_audit_failed "+value+"\n")
		}
	}
	waitFor(t, "health", failed("0"))
	r.decide(t)
	waitFor(t, "the metric", failed("1"))
	r.decide(t)
	if err := r.ready(); err != nil {
		t.Errorf("not ready: %v", err)
	}
	if err := os.Rename(aside, dir); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the end of the failure", func() bool { return signed() == 3 && failed("0")() })
	report, err := notary.Check(t.Context(), r.dir, func(uint64) (audit.Records, error) { return r.journal, nil })
	if err != nil || report.Records < 3 || report.Checkpoints < 2 {
		t.Errorf("%+v, %v", report, err)
	}
}

// scriptDamage changes a byte of the last record of a journal's first segment:
// `damage DATA`.
func scriptDamage(ts *testscript.TestScript, _ bool, args []string) {
	name := ts.MkAbs(args[0] + "/journal/seg-0000000000000001.log")
	b, err := os.ReadFile(name)
	ts.Check(err)
	at := bytes.LastIndex(b, []byte("admin")) // its principal
	b[at] ^= 1
	ts.Check(os.WriteFile(name, b, 0o600))
}

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
