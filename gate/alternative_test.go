package gate

import (
	"strings"
	"testing"
)

// TestExactlyOneAlternativeRuns: of a step with an input and the one that runs
// unless it is there, one is OK and the other DISABLED; everything else blocks.
func TestExactlyOneAlternativeRuns(t *testing.T) {
	const pair = "  - name: import\n    steps: [{name: trades, argv: [mbp], input: trades.csv}, {name: crowd, argv: [mbp], unless: trades.csv}]\n"
	for _, c := range []struct {
		name, steps, trades, crowd string
		pass                       bool
		reason                     string
	}{
		{"recorded", pair, "OK", "DISABLED", true, ""},
		{"simulated", pair, "DISABLED", "OK", true, ""},
		{"neither", pair, "DISABLED", "DISABLED", false, "neither it nor import.crowd ran: because"},
		{"both", pair, "OK", "OK", false, "import.crowd ran too"},
		{"the other failed", pair, "DISABLED", "FAILED", false, "neither it nor import.crowd ran"},
		{"the other was not there", pair, "NOT_RUN", "DISABLED", false, "neither it nor import.trades ran"},
		{"the other left nothing", pair, "DISABLED", "", false, "neither it nor import.crowd ran"},
		{"of another input", strings.Replace(pair, "unless: trades.csv", "unless: other.csv", 1), "OK", "DISABLED", false, "not an optional step"},
		{"of itself", strings.Replace(pair, "unless: trades.csv", "unless: other.csv, input: that.csv", 1), "OK", "DISABLED", false, "not an optional step"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, Smoke)
			w.set(PolicyFile, strings.Replace(testPolicy, "  - name: import\n    steps: [{argv: [mbp], input: trades.csv}]\n", c.steps, 1))
			w.files["steps/04-import/step.json"] = nil
			for name, state := range map[string]string{"trades": c.trades, "crowd": c.crowd} {
				if state != "" {
					w.set("steps/04-import."+name+"/step.json", `{"stage":"import.`+name+`","state":"`+state+`","reason":"because"}`)
				}
			}
			v := w.judge()
			var reasons []string
			for _, s := range v.Steps {
				if s.Blocks {
					reasons = append(reasons, s.Reason)
				}
			}
			if all := strings.Join(reasons, "\n"); (v.Decision == SmokePass) != c.pass || !strings.Contains(all, c.reason) || c.pass != (all == "") {
				t.Errorf("%s: %q, want %q", v.Decision, all, c.reason)
			}
		})
	}
}
