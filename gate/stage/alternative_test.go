package stage

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mbp-market/mbp/gate"
)

// TestOneTakesTheOthersPlace: with the input its step runs, without it the one
// that has it in unless; what cannot be looked at is not absent.
func TestOneTakesTheOthersPlace(t *testing.T) {
	h := newHouse(t, `stages:
  - name: feed
    title: t
    steps:
      - {name: real, input: &file "${env.STAGE_INPUT|not/there}/x", argv: ["${tool.helper}", helper, say, x], timeout: 5s}
      - {name: made, unless: *file, argv: ["${tool.helper}", helper, say, x], timeout: 5s}
  - {name: later, title: t, steps: [{after: [feed], argv: ["${tool.helper}", helper, say, x], timeout: 5s}]}
`)
	data := t.TempDir()
	for _, c := range []struct {
		env, real, made string
		bad             int
		prepare         func() error
	}{
		{"", "DISABLED: not asked for", "OK:", 0, func() error { return nil }},
		{"/nonexistent", "DISABLED: not asked for", "OK:", 0, func() error { return nil }},
		{data, "OK:", "DISABLED: not needed: ${env.STAGE_INPUT|not/there}/x is there", 0, func() error {
			return os.WriteFile(filepath.Join(data, "x"), nil, 0o600)
		}},
		{filepath.Join(data, "x"), "DISABLED: not asked for", "NOT_RUN: nobody can say", 1, func() error { return nil }},
	} {
		if err := c.prepare(); err != nil {
			t.Fatal(err)
		}
		t.Setenv("STAGE_INPUT", c.env)
		res, err := Run(context.Background(), h.options())
		if err != nil || len(res.Bad) < c.bad || c.bad == 0 && len(res.Bad) > 0 {
			t.Fatalf("%q: %v, %v", c.env, res.Bad, err)
		}
		for name, want := range map[string]string{"01-feed.real": c.real, "01-feed.made": c.made} {
			state, reason, _ := strings.Cut(want, ": ")
			h.wantStep(name, gate.StepState(strings.TrimSuffix(state, ":")), reason)
		}
		later := gate.StepOK
		if c.bad > 0 {
			later = gate.StepNotRun
		}
		h.wantStep("02-later", later, "")
	}
}
