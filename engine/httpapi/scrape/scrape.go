// Package scrape gathers metrics for those who ask for them over HTTP.
//
// It promises: the page of metrics in Prometheus' text format, gathered by one
// request at a time and shared by all that come meanwhile and shortly after, so
// that its cost does not depend on how many ask. It refuses to show half a page:
// what cannot be gathered is an error, whose reason is in the log.
//
// It follows the exposition format 0.0.4 of Prometheus.
package scrape

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Age is how old a page may be. Prometheus asks every few seconds.
const Age = 250 * time.Millisecond

// ErrGather is for whoever scrapes; the log has the reason.
var ErrGather = errors.New("gather the metrics")

// Exposition keeps the last page. It is safe for concurrent use.
type Exposition struct {
	gather http.Handler
	ask    *http.Request // accepts the plain text format, not compressed

	mu    sync.Mutex
	last  *page // nil at first
	taken time.Time
}

// page is an answer that is kept; nobody changes it once it is.
type page struct {
	status int
	header http.Header
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (p *page) Header() http.Header { return p.header }

// WriteHeader implements http.ResponseWriter.
func (p *page) WriteHeader(status int) { p.status = status }

// Write implements http.ResponseWriter.
func (p *page) Write(b []byte) (int, error) { return p.body.Write(b) }

// New gathers from g and tells a logger of what cannot be gathered.
func New(g prometheus.Gatherer, log *slog.Logger) *Exposition {
	return &Exposition{
		ask: &http.Request{Method: http.MethodGet, Header: http.Header{}},
		gather: promhttp.HandlerFor(g, promhttp.HandlerOpts{
			ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelError), DisableCompression: true,
		}),
	}
}

// Page returns the metrics, at most Age old, and their media type. Nobody changes
// them.
func (x *Exposition) Page() (kind string, body []byte, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.last == nil || time.Since(x.taken) > Age {
		p := &page{status: http.StatusOK, header: http.Header{}}
		x.gather.ServeHTTP(p, x.ask)
		x.last, x.taken = p, time.Now()
	}
	if x.last.status != http.StatusOK {
		return "", nil, ErrGather
	}
	return x.last.header.Get("Content-Type"), x.last.body.Bytes(), nil
}

// Serve answers with the page, or hands over why there is none.
func (x *Exposition) Serve(fail func(http.ResponseWriter, *http.Request, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		kind, body, err := x.Page()
		if err != nil {
			fail(w, r, err)
			return
		}
		h := w.Header()
		h.Set("Content-Type", kind)
		h.Set("Content-Length", strconv.Itoa(len(body)))
		h.Set("Cache-Control", "no-store")
		_, _ = w.Write(body) // who left misses nothing
	}
}
