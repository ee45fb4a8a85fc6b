package stage

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/mbp-market/mbp/gate"
)

// maxAnswer bounds one HTTP answer that is kept.
const maxAnswer = 32 << 20

// client talks to services on this machine only: no proxy stands between.
var client = &http.Client{Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true}, Timeout: 30 * time.Second}

func httpGet(ctx context.Context, url string) (status int, body []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, nil, err
	}
	res, err := client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	body, err = io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err == nil && len(body) > maxAnswer {
		err = fmt.Errorf("the answer is larger than %d bytes", maxAnswer)
	}
	return res.StatusCode, body, err
}

// prometheus is the base URL of this run's Prometheus.
func (r *runner) prometheus() (string, error) { return r.scope.Expand(r.cfg.Prometheus) }

// queryURL is the HTTP question for a query of the sheet.
func queryURL(base string, q gate.Query) string {
	v := url.Values{"query": {q.Expr}}
	path := "/api/v1/query"
	if q.Step > 0 {
		path = "/api/v1/query_range"
		v.Set("start", seconds(q.Start))
		v.Set("end", seconds(q.End))
		v.Set("step", strconv.FormatFloat(q.Step.Seconds(), 'f', -1, 64))
	} else {
		v.Set("time", seconds(q.At))
	}
	return base + path + "?" + v.Encode()
}

func seconds(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64) }

// collect asks Prometheus everything the sheet wants to know and keeps the raw
// answers. A question without an answer leaves <path>.error.txt, so that the
// row is NO_DATA and says why; the others are asked all the same.
func (r *runner) collect(ctx context.Context, j job) outcome {
	if r.run.Load == nil {
		return notRun("there was no load, so there is no window to ask about")
	}
	base, err := r.prometheus()
	if err != nil {
		return failed("%v", err)
	}
	f, err := os.Open(filepath.Join(r.evi, filepath.FromSlash(gate.SheetFile)))
	if err != nil {
		return failed("open the sheet: %v", err)
	}
	defer f.Close()
	sheet, err := gate.ReadSheet(f)
	if err != nil {
		return failed("%v", err)
	}
	type ask struct{ path, url string }
	var asks []ask
	for _, q := range sheet.Queries(*r.run.Load) {
		asks = append(asks, ask{q.Path, queryURL(base, q)})
	}
	asks = append(asks, ask{"prom/buildinfo.json", base + "/api/v1/status/buildinfo"}, ask{"prom/rules.json", base + "/api/v1/rules"},
		ask{"prom/targets.json", base + "/api/v1/targets?state=active"})
	silent, first := 0, ""
	for i, a := range asks {
		if ctx.Err() != nil {
			break
		}
		r.ui.live(fmt.Sprintf("question %d of %d", i+1, len(asks)))
		if err := r.ask(ctx, a.path, a.url); err != nil {
			silent++
			if first == "" {
				first = fmt.Sprintf("%s: %v", a.path, err)
			}
		}
	}
	j.rec.Argv = []string{"GET", r.cfg.Prometheus + "/api/v1/query", strconv.Itoa(len(asks)) + " questions"}
	if silent > 0 {
		return failed("%d of %d questions to Prometheus got no answer; the first: %s", silent, len(asks), first)
	}
	return ok()
}

// ask keeps one raw answer. An answer that is Prometheus's own refusal is kept
// too: the judge reads it as ERROR, not as silence.
func (r *runner) ask(ctx context.Context, path, url string) error {
	status, body, err := httpGet(ctx, url)
	if err == nil && json.Valid(body) && len(body) > 0 {
		// Rules and targets name files of this machine; no other answer does.
		if err := r.write(path, r.scrubBytes(body)); err != nil {
			return err
		}
	}
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("status %d: %s", status, clip(strings.TrimSpace(string(body)), 300))
	}
	if err != nil {
		_ = r.write(strings.TrimSuffix(path, ".json")+".error.txt", []byte(err.Error()+"\n"))
	}
	return err
}

// write writes a file of evidence.
func (r *runner) write(path string, b []byte) error {
	to := filepath.Join(r.evi, filepath.FromSlash(path))
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.WriteFile(to, b, 0o644); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// wait asks until the query gives at least one sample: comparisons in PromQL
// drop what does not hold.
func (r *runner) wait(ctx context.Context, j job) outcome {
	base, err := r.prometheus()
	if err != nil {
		return failed("%v", err)
	}
	j.rec.Argv = []string{"wait until", j.Query}
	u := base + "/api/v1/query?" + url.Values{"query": {j.Query}}.Encode()
	last := "no answer"
	tick := time.NewTicker(pollEvery * 5)
	defer tick.Stop()
	for {
		var doc struct {
			Error string `json:"error"`
			Data  struct {
				Result []json.RawMessage `json:"result"`
			} `json:"data"`
		}
		status, body, err := httpGet(ctx, u)
		switch {
		case err != nil && ctx.Err() == nil:
			last = err.Error()
		case err == nil && json.Unmarshal(body, &doc) == nil && len(doc.Data.Result) > 0:
			return ok()
		case err == nil && doc.Error != "":
			return failed("%s: status %d: %s", j.Query, status, doc.Error)
		case err == nil:
			last = fmt.Sprintf("status %d without a sample", status)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			r.ui.note(fmt.Sprintf("%s: %s (%s)", j.full, j.Query, last))
			return failed("never true: %s (%s)", j.Query, last)
		}
	}
}
