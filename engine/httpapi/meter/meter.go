// Package meter counts what the edge answers: by route and class, with the time that
// orders take, the streams and what a mode holds back.
//
// It promises: every request that gets an answer counts once, one whose handler
// panicked as a 5xx, one whose client left before any answer not at all; every label
// is there from the start, so that what has not happened reads as zero and not as
// absent. It refuses labels that come from outside: only the table's routes.
//
// The names and units follow the conventions of Prometheus.
package meter

import (
	"errors"
	"net/http"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mbp-market/mbp/engine/httpapi/traceid"
)

// latencyBuckets in seconds. 0.8 is the bound of R1 and must be an edge: the
// share of requests within it is then exact.
var latencyBuckets = []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2}

// Classes returns those of an answer; 429 is a class of its own and not in 4xx.
func Classes() []string { return slices.Clone(classes) }

var classes = []string{"2xx", "4xx", "429", "5xx"}

// Metrics are the series of the edge.
type Metrics struct {
	Latency  prometheus.Histogram
	Requests *prometheus.CounterVec
	Admitted prometheus.Counter
	Internal prometheus.Counter
	Panics   prometheus.Counter
	Streams  prometheus.Gauge
	Dropped  prometheus.Counter
	Shed     prometheus.Counter
	Held     prometheus.Counter
	Faults   prometheus.Gauge
}

// New registers the series and creates every label, so that what has not
// happened reads as zero and not as absent.
func New(r prometheus.Registerer, routes []string) (*Metrics, error) {
	m := &Metrics{
		Latency:  prometheus.NewHistogram(prometheus.HistogramOpts{Name: "dec_latency_seconds", Help: "Time from the receipt of an order that passed authentication and its rate, a batch that of all its items, to its written answer.", Buckets: latencyBuckets}),
		Requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "http_requests_total", Help: "Answered requests by route and class of the status; redirects and not-modified count as 2xx."}, []string{"route", "class"}),
		Admitted: prometheus.NewCounter(prometheus.CounterOpts{Name: "dec_admitted_total", Help: "Mutations through the edge, since the process started, counted when the writer begins to decide them: not repetitions, conflicts and revoked keys. Equals dec_journalled_total unless requests are under way or lost."}),
		Internal: prometheus.NewCounter(prometheus.CounterOpts{Name: "http_internal_errors_total", Help: "Errors that nobody foresaw; each is in the log."}),
		Panics:   prometheus.NewCounter(prometheus.CounterOpts{Name: "http_panics_total", Help: "Panics of handlers; each is in the log."}),
		Streams:  prometheus.NewGauge(prometheus.GaugeOpts{Name: "http_streams", Help: "Open event streams."}),
		Dropped:  prometheus.NewCounter(prometheus.CounterOpts{Name: "http_streams_dropped_total", Help: "Event streams ended because the client was too slow."}),
		Shed:     prometheus.NewCounter(prometheus.CounterOpts{Name: "http_shed_total", Help: "Requests refused by a limit that the mode shed had lowered."}),
		Held:     prometheus.NewCounter(prometheus.CounterOpts{Name: "http_quotes_held_total", Help: "Quotes that the streams held back because of the mode; the last one of each market goes out."}),
		Faults:   prometheus.NewGauge(prometheus.GaugeOpts{Name: "mbp_faults_enabled", Help: "1 while the process can be told to misbehave; this build cannot."}),
	}
	for _, route := range routes {
		for _, class := range classes {
			m.Requests.WithLabelValues(route, class)
		}
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.Latency, m.Requests, m.Admitted, m.Internal, m.Panics, m.Streams, m.Dropped, m.Shed, m.Held, m.Faults} {
		errs = append(errs, r.Register(c))
	}
	return m, errors.Join(errs...)
}

func classOf(status int) string {
	switch {
	case status == http.StatusTooManyRequests:
		return "429"
	case status >= 500:
		return "5xx"
	case status >= 400:
		return "4xx"
	}
	return "2xx"
}

// Recorder keeps the status for the metrics, and who asks.
type Recorder struct {
	http.ResponseWriter
	Status    int        // 0: nothing is sent yet
	ID        traceid.ID // by which the request goes
	principal string     // empty until the key is known
}

// WriteHeader implements http.ResponseWriter.
func (r *Recorder) WriteHeader(status int) {
	if r.Status == 0 {
		r.Status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (r *Recorder) Write(b []byte) (int, error) {
	if r.Status == 0 {
		r.Status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (r *Recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// Name tells the recorder of an answer who asks.
func Name(w http.ResponseWriter, principal string) {
	if rec, is := w.(*Recorder); is {
		rec.principal = principal
	}
}

// Principal returns who asks, empty while the key is not known.
func Principal(w http.ResponseWriter) string {
	if rec, is := w.(*Recorder); is {
		return rec.principal
	}
	return ""
}

// ID returns what the request of an answer goes by.
func ID(w http.ResponseWriter) traceid.ID {
	if rec, is := w.(*Recorder); is {
		return rec.ID
	}
	return traceid.ID{}
}

// hsts is for how long browsers come by HTTPS alone: a year (RFC 6797).
const hsts = "max-age=31536000"

// Measured counts the answers of a route, sets the headers that every answer
// carries, and turns a panic into what panicked makes of it: a 500 if nothing was
// answered yet.
func (m *Metrics) Measured(route string, next http.HandlerFunc, panicked func(*Recorder, *http.Request, any)) http.Handler {
	// Made once: to look a counter up, or to set a header, is to make the same again.
	counters := map[string]prometheus.Counter{}
	for _, class := range classes {
		counters[class] = m.Requests.WithLabelValues(route, class)
	}
	nosniff, noReferrer, sameOrigin := []string{"nosniff"}, []string{"no-referrer"}, []string{"same-origin"}
	nothing := []string{"default-src 'none'; frame-ancestors 'none'"}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := &Recorder{ResponseWriter: w, ID: traceid.Of(r.Header)}
		defer func() {
			p := recover()
			aborted := p == http.ErrAbortHandler //nolint:errorlint // the sentinel is compared as net/http does
			if aborted && r.Context().Err() != nil {
				panic(p) // the client has left: nothing was answered, so nothing counts
			}
			switch {
			case aborted:
				rec.Status = http.StatusInternalServerError
			case p != nil:
				m.Panics.Inc()
				panicked(rec, r, p)
				rec.Status = http.StatusInternalServerError
			case rec.Status == 0:
				rec.Status = http.StatusOK // net/http sends it for a handler that wrote nothing
			}
			counters[classOf(rec.Status)].Inc()
			if aborted {
				panic(p) // net/http cuts the connection
			}
		}()
		h := rec.Header()
		h["X-Content-Type-Options"] = nosniff
		h["Referrer-Policy"] = noReferrer
		h["Cross-Origin-Resource-Policy"] = sameOrigin
		h["Cross-Origin-Opener-Policy"] = sameOrigin
		if r.TLS != nil { // behind a proxy, that is the proxy's to say
			h.Set("Strict-Transport-Security", hsts)
		}
		h["Content-Security-Policy"] = nothing
		ids := []string{rec.ID.Parent, rec.ID.Request}
		h[traceid.Parent], h[traceid.Request] = ids[:1:1], ids[1:]
		next(rec, r)
	})
}
