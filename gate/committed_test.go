package gate

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"testing/fstest"
	"time"
)

// committedSheet is the sheet that people read.
func committedSheet(t *testing.T) Sheet {
	t.Helper()
	b, err := os.ReadFile("../obs/ops/obs/measurement_s4.csv")
	if err != nil {
		t.Fatal(err)
	}
	sheet, err := ReadSheet(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return sheet
}

// TestCommittedSheet: it can be read, and is as strict as the floor.
func TestCommittedSheet(t *testing.T) {
	sheet := committedSheet(t)
	for _, profile := range []string{Smoke, Full} {
		v := Verdict{Profile: profile, Rows: make([]RowVerdict, len(sheet.Rows))}
		holdFloor(&v, sheet)
		for i, r := range v.Rows {
			if r.State == Error {
				name := r.KPI
				if i < len(sheet.Rows) {
					name = sheet.Rows[i].KPI
				}
				t.Errorf("%s in %s: %s", name, profile, r.Reason)
			}
		}
	}
}

// TestPrometheusUnderstandsTheSheet asks a real, empty Prometheus every question
// of the committed sheet. Each has to be a valid one, and its answer one that
// the judge reads as no data: neither an error nor a value out of nothing.
func TestPrometheusUnderstandsTheSheet(t *testing.T) {
	base := startPrometheus(t)
	end := time.Now().UTC().Truncate(time.Millisecond)
	evidence := fstest.MapFS{}
	sheet := committedSheet(t)
	load := Window{Start: end.Add(-time.Hour), End: end}
	for _, r := range sheet.Rows {
		for _, q := range r.Queries(load) {
			evidence[q.Path] = &fstest.MapFile{Data: ask(t, base, q)}
			f := promValue(evidence, q.Path, q, r.worse)
			if f.state != NoData {
				t.Errorf("%s: %s %q (%s)", q.Expr, f.state, f.value, f.reason)
			}
		}
	}
	// And a question that has an answer is read exactly, at its time.
	for expr, want := range map[string]string{"vector(0.1)": "0.1", "scalar(vector(1e-9))": "0.000000001", "sum(vector(1) or vector(2))": "1"} {
		q := Query{Path: "prom/x.json", Expr: expr, At: end}
		evidence[q.Path] = &fstest.MapFile{Data: ask(t, base, q)}
		if f := promValue(evidence, q.Path, q, Row{}.worse); f.value != want {
			t.Errorf("%s: %q %s (%s), want %s", expr, f.value, f.state, f.reason, want)
		}
	}
	q := Query{Path: "prom/x.json", Expr: "vector(7)", Start: load.Start.Add(5 * time.Minute), End: load.End, Step: 5 * time.Minute}
	evidence[q.Path] = &fstest.MapFile{Data: ask(t, base, q)}
	if f := promValue(evidence, q.Path, q, Row{}.worse); f.value != "7" {
		t.Errorf("a range: %+v", f)
	}
	up := sheet.Queries(load)[0]
	evidence[up.Path] = &fstest.MapFile{Data: ask(t, base, up)}
	if a, f := readAnswer(evidence, up.Path); f.state != "" || a.Data.ResultType != "matrix" {
		t.Errorf("%s: a %q, %+v", up.Expr, a.Data.ResultType, f)
	}
}

// ask puts a query the way the collector does.
func ask(t *testing.T, base string, q Query) []byte {
	t.Helper()
	v := url.Values{"query": {q.Expr}}
	path := "/api/v1/query"
	if q.Step > 0 {
		path = "/api/v1/query_range"
		v.Set("start", unix(q.Start))
		v.Set("end", unix(q.End))
		v.Set("step", fmt.Sprint(q.Step.Seconds()))
	} else {
		v.Set("time", unix(q.At))
	}
	res, err := http.Get(base + path + "?" + v.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// startPrometheus runs the pinned Prometheus, scraping nothing, until the test
// ends.
func startPrometheus(t *testing.T) string {
	t.Helper()
	bin, err := filepath.Abs("../.tools/bin/prometheus")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(bin); err != nil {
		t.Skip("prometheus is not installed: make tools")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(config, []byte("global: {scrape_interval: 2s}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	var log bytes.Buffer
	cmd := exec.CommandContext(ctx, bin, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address)
	cmd.Stderr = &log
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	base := "http://" + address
	for tick := time.NewTicker(50 * time.Millisecond); ; {
		res, err := http.Get(base + "/-/ready")
		if err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				tick.Stop()
				return base
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("prometheus is not ready after a minute")
		}
	}
}
