package gate

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/mbp-market/mbp/tests/given"
)

// broken is a run in which much went wrong, to see how it reads.
func broken(t *testing.T) Verdict {
	w := newWorld(t, Smoke)
	w.values["dec_within_800ms_server_ratio"] = "0.94999999"
	w.values["cdc_lag_within_120s_mbp_quotes"] = ""
	w.up["rum"] = 3
	w.run.Subject.Dirty = true
	w.set("security/govulncheck.db.json", `{"entries":4291,"age_days":96.118234953703701}`)
	w.row("dec_p95_ms")["threshold"] = "900"
	w.set("security/gitleaks.json", `{"findings":2,"history":{"commits":9}}`)
	w.set("steps/03-load.browser/step.json", `{"stage":"load.browser","state":"NOT_RUN","reason":"no browser: install chromium"}`)
	w.files["prom/http_5xx.json"] = nil
	w.run.RunID = "run\x1b[2J-2"
	return w.judge()
}

func TestReportGolden(t *testing.T) {
	given.Golden(t, "testdata/pass.txt", string(Report(newWorld(t, Smoke).judge())))
	v := broken(t)
	given.Golden(t, "testdata/fail.txt", string(Report(v)))
	b, err := v.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	given.Golden(t, "testdata/fail.json", string(b))
}

// TestGoldenRun: the evidence of a good run, as one file that the packer's
// tests use too, is still judged to the byte as when it was written.
func TestGoldenRun(t *testing.T) {
	evidence, sheet := newWorld(t, Smoke).evidence()
	v := judged(t, evidence, sheet, Smoke)
	verdict, err := v.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	evidence[VerdictFile] = &fstest.MapFile{Data: verdict}
	evidence[ReportFile] = &fstest.MapFile{Data: Report(v)}
	files := map[string]string{}
	for path, f := range evidence {
		files[path] = string(f.Data)
	}
	b, err := json.MarshalIndent(files, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	given.Golden(t, "testdata/smoke.json", string(append(b, '\n')))
}

// TestReportColours: colour is all that the terminal's report adds, and nothing
// that a judged program says reaches the terminal as a command.
func TestReportColours(t *testing.T) {
	v := broken(t)
	colour := ReportANSI(v)
	if got := regexp.MustCompile("\x1b\\[[0-9]+m").ReplaceAll(colour, nil); !bytes.Equal(got, Report(v)) || bytes.Equal(colour, got) {
		t.Error("the coloured report says something else")
	}
	if bytes.ContainsRune(Report(v), '\x1b') || strings.Contains(string(colour), "\x1b[2J") {
		t.Error("an escape sequence of the evidence reached the report")
	}
}

func TestShown(t *testing.T) {
	for _, c := range []struct{ value, op, threshold, want string }{
		{"0.9998611111111", ">=", "0.95", "0.999861"},
		{"0.9499999999999", ">=", "0.95", "0.9499999999999"}, // 0.95 would look like a pass
		{"799.99999999", "<=", "800", "800"},
		{"800.00000001", "<=", "800", "800.00000001"},
		{"432000", ">=", "1", "432000"},
		{"1.2345678e+06", ">=", "1", "1234567.8"},
		{"0", "==", "0", "0"},
		{"1e-9", "==", "0", "1e-9"},
	} {
		if got := shown(RowVerdict{Value: c.value, Op: c.op, Threshold: c.threshold}); got != c.want {
			t.Errorf("%s %s %s reads %s, want %s", c.value, c.op, c.threshold, got, c.want)
		}
	}
}
