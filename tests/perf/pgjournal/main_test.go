package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/mbp-market/mbp/tests/pg"
)

// TestBothSidesWork: a short run measures both sides. What it measures on a machine
// that does other things is not judged here.
func TestBothSidesWork(t *testing.T) {
	pg.Bin(t)
	var out, errs bytes.Buffer
	code := run(t.Context(), []string{"-rounds", "1", "-each", "100ms"}, &out, &errs)
	if code == notRun || strings.Count(out.String(), "bare loop") != 2 {
		t.Errorf("exit code %d\n%s%s", code, &out, &errs)
	}
}

func TestWrongUsage(t *testing.T) {
	for _, args := range [][]string{{"-rounds", "0"}, {"-each", "1ms"}, {"-loud"}} {
		if code := run(t.Context(), args, &bytes.Buffer{}, &bytes.Buffer{}); code != notRun {
			t.Errorf("%q: exit code %d", args, code)
		}
	}
}
