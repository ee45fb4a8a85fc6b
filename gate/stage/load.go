package stage

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/mbp-market/mbp/gate"
)

// k6's execution states, as its status API numbers them.
const (
	k6Running  = 7 // scenarios run
	k6Teardown = 8 // and are over
)

// saidEvery is how often the load tells how it goes where nobody sees a live
// line.
const saidEvery = 10 * time.Second

// load runs k6 and takes the load window from its own status: from the moment
// its scenarios begin until they are over. Set-up and teardown are no load. It
// then waits until Prometheus must have scraped everything up to the end.
func (r *runner) load(ctx context.Context, j job) outcome {
	url, err := r.scope.Expand(j.URL)
	if err != nil {
		return failed("%v", err)
	}
	p, o := r.launchStep(j)
	if p == nil {
		return o
	}
	var w loadWatch
	w.follow(ctx, r, p, url)
	o = r.await(ctx, j, p)
	if w.start.IsZero() {
		if o.state == gate.StepOK {
			o = failed("k6 never said that a scenario runs, so there is no load window")
		}
		return o
	}
	if w.end.IsZero() {
		w.end = p.ended
	}
	r.ui.live("waiting for the last scrape")
	select {
	case <-time.After(time.Duration(r.cfg.Settle)):
	case <-ctx.Done(): // a load that was cut short is asked about all the same
	}
	window := gate.Window{Start: w.start.UTC().Truncate(time.Millisecond), End: w.end.UTC().Truncate(time.Millisecond)}
	r.mu.Lock()
	r.run.Load = &window
	r.mu.Unlock()
	if err := r.writeRun(); err != nil {
		return failed("%v", err)
	}
	return o
}

// loadWatch follows a k6 process.
type loadWatch struct {
	start, end time.Time
	said       time.Time
}

// follow polls until the process ends. k6 ends by itself; an answer that does
// not come is not an end.
func (w *loadWatch) follow(ctx context.Context, r *runner, p *process, url string) {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	seen := time.Now()
	for {
		select {
		case <-p.done:
			return
		case <-ctx.Done():
			w.end = time.Now() // cut short; what k6 does while it stops is no load
			return
		case <-tick.C:
		}
		var doc struct {
			Data struct {
				Attributes struct {
					Status int `json:"status"`
				} `json:"attributes"`
			} `json:"data"`
		}
		if !getJSON(ctx, url+"/v1/status", &doc) {
			continue
		}
		now := time.Now()
		switch s := doc.Data.Attributes.Status; {
		case s == k6Running && w.start.IsZero():
			// It began after the last poll that did not see it: the earlier
			// bound keeps every request inside the window.
			w.start = seen
			r.ui.note("load: the scenario has begun")
			w.said = now
		case s >= k6Teardown && w.end.IsZero() && !w.start.IsZero():
			w.end = now
		}
		seen = now
		if !w.start.IsZero() && w.end.IsZero() {
			w.tell(ctx, r, url, now)
		}
	}
}

// tell shows the figures of the load: every second on a terminal, every ten
// seconds elsewhere.
func (w *loadWatch) tell(ctx context.Context, r *runner, url string, now time.Time) {
	every := saidEvery
	if r.ui.tty {
		every = time.Second
	}
	if now.Sub(w.said) < every {
		return
	}
	w.said = now
	var doc struct {
		Data []struct {
			ID         string `json:"id"`
			Attributes struct {
				Sample map[string]float64 `json:"sample"`
			} `json:"attributes"`
		} `json:"data"`
	}
	if !getJSON(ctx, url+"/v1/metrics", &doc) {
		return
	}
	metric := map[string]map[string]float64{}
	for _, m := range doc.Data {
		metric[m.ID] = m.Attributes.Sample
	}
	it, d := metric["iterations"], metric["http_req_duration"]
	line := fmt.Sprintf("%3.0f s of %d  %.0f iterations  %.1f/s  p95 %.1f ms  %.0f dropped", now.Sub(w.start).Seconds(),
		r.cfg.Profiles[r.Profile].LoadSeconds, it["count"], it["rate"], d["p(95)"], metric["dropped_iterations"]["count"])
	if r.ui.tty {
		r.ui.live(line)
	} else {
		r.ui.note("load: " + line)
	}
}

// getJSON reads one answer of a local API; false if there is none.
func getJSON(ctx context.Context, url string, into any) bool {
	status, body, err := httpGet(ctx, url)
	return err == nil && status == http.StatusOK && json.Unmarshal(body, into) == nil
}
