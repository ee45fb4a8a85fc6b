package httpapi

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

// expositionAge is how old an answer to a scrape may be. /metrics needs no key,
// so what it costs must not depend on how many ask; Prometheus asks every few
// seconds.
const expositionAge = 250 * time.Millisecond

// exposition is the page of metrics in the text format. It is gathered by one
// request at a time and shared by all that come meanwhile and shortly after.
type exposition struct {
	gather http.Handler
	ask    *http.Request // accepts the plain text format, not compressed

	mu    sync.Mutex
	page  *page // the last one; nil at first
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

func newExposition(g prometheus.Gatherer, log *slog.Logger) *exposition {
	return &exposition{
		ask: &http.Request{Method: http.MethodGet, Header: http.Header{}},
		gather: promhttp.HandlerFor(g, promhttp.HandlerOpts{
			ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelError), DisableCompression: true,
		}),
	}
}

// current returns a page that is at most expositionAge old.
func (x *exposition) current() *page {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.page == nil || time.Since(x.taken) > expositionAge {
		p := &page{status: http.StatusOK, header: http.Header{}}
		x.gather.ServeHTTP(p, x.ask)
		x.page, x.taken = p, time.Now()
	}
	return x.page
}

// errGather is told to who scrapes; the log has the reason.
var errGather = errors.New("gather the metrics")

// exposition serves the metrics.
func (a *API) exposition() http.HandlerFunc {
	x := newExposition(a.cfg.Gatherer, a.log)
	return func(w http.ResponseWriter, r *http.Request) {
		p := x.current()
		if p.status != http.StatusOK {
			a.fail(w, r, errGather)
			return
		}
		h := w.Header()
		h.Set("Content-Type", p.header.Get("Content-Type"))
		h.Set("Content-Length", strconv.Itoa(p.body.Len()))
		h.Set("Cache-Control", "no-store")
		_, _ = w.Write(p.body.Bytes()) // who left misses nothing
	}
}
