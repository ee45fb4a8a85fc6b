package httpapi

import (
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
)

// latencyBuckets in seconds. 0.8 is the bound of R1 and must be an edge: the
// share of requests within it is then exact.
var latencyBuckets = []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2}

// classes of an answer; 429 is a class of its own and not in 4xx.
var classes = []string{"2xx", "4xx", "429", "5xx"}

type metrics struct {
	latency  prometheus.Histogram
	requests *prometheus.CounterVec
	admitted prometheus.Counter
	internal prometheus.Counter
	panics   prometheus.Counter
	streams  prometheus.Gauge
	dropped  prometheus.Counter
	shed     prometheus.Counter
	held     prometheus.Counter
	faults   prometheus.Gauge
}

// newMetrics registers the series and creates every label, so that what has not
// happened reads as zero and not as absent.
func newMetrics(r prometheus.Registerer, routes []string) (*metrics, error) {
	m := &metrics{
		latency:  prometheus.NewHistogram(prometheus.HistogramOpts{Name: "dec_latency_seconds", Help: "Time from the receipt of an order that passed authentication and its rate, a batch that of all its items, to its written answer.", Buckets: latencyBuckets}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "http_requests_total", Help: "Answered requests by route and class of the status; redirects and not-modified count as 2xx."}, []string{"route", "class"}),
		admitted: prometheus.NewCounter(prometheus.CounterOpts{Name: "dec_admitted_total", Help: "Mutations through the edge, since the process started, counted when the writer begins to decide them: not repetitions, conflicts and revoked keys. Equals dec_journalled_total unless requests are under way or lost."}),
		internal: prometheus.NewCounter(prometheus.CounterOpts{Name: "http_internal_errors_total", Help: "Errors that nobody foresaw; each is in the log."}),
		panics:   prometheus.NewCounter(prometheus.CounterOpts{Name: "http_panics_total", Help: "Panics of handlers; each is in the log."}),
		streams:  prometheus.NewGauge(prometheus.GaugeOpts{Name: "http_streams", Help: "Open event streams."}),
		dropped:  prometheus.NewCounter(prometheus.CounterOpts{Name: "http_streams_dropped_total", Help: "Event streams ended because the client was too slow."}),
		shed:     prometheus.NewCounter(prometheus.CounterOpts{Name: "http_shed_total", Help: "Requests refused by a limit that the mode shed had lowered."}),
		held:     prometheus.NewCounter(prometheus.CounterOpts{Name: "http_quotes_held_total", Help: "Quotes that the streams held back because of the mode; the last one of each market goes out."}),
		faults:   prometheus.NewGauge(prometheus.GaugeOpts{Name: "mbp_faults_enabled", Help: "1 while the process can be told to misbehave; this build cannot."}),
	}
	for _, route := range routes {
		for _, class := range classes {
			m.requests.WithLabelValues(route, class)
		}
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.latency, m.requests, m.admitted, m.internal, m.panics, m.streams, m.dropped, m.shed, m.held, m.faults} {
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

// recorder keeps the status for the metrics, and who asks.
type recorder struct {
	http.ResponseWriter
	status    int
	principal string // empty until the key is known
}

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// measured counts the answers of a route, sets the headers that every answer
// carries, and turns a panic into a 500.
func (a *API) measured(route string, next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := &recorder{ResponseWriter: w}
		defer func() {
			p := recover()
			aborted := p == http.ErrAbortHandler //nolint:errorlint // the sentinel is compared as net/http does
			if aborted && r.Context().Err() != nil {
				panic(p) // the client has left: nothing was answered, so nothing counts
			}
			switch {
			case aborted:
				rec.status = http.StatusInternalServerError
			case p != nil:
				a.panicked(rec, r, route, p)
			case rec.status == 0:
				rec.status = http.StatusOK // net/http sends it for a handler that wrote nothing
			}
			a.metrics.requests.WithLabelValues(route, classOf(rec.status)).Inc()
			if aborted {
				panic(p) // net/http cuts the connection
			}
		}()
		h := rec.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		next(rec, r)
	})
}

// panicked logs a panic and answers 500 if nothing was answered yet.
func (a *API) panicked(rec *recorder, r *http.Request, route string, p any) {
	a.metrics.panics.Inc()
	a.log.LogAttrs(r.Context(), slog.LevelError, "handler panicked",
		slog.String("route", route), slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
	if rec.status == 0 {
		a.fail(rec, r, &refusal{code: codeInternal})
	}
	rec.status = http.StatusInternalServerError
}
