package linear

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/httpapi"
	"github.com/mbp-market/mbp/engine/httpapi/client"
	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/journal/faultfs"
	"github.com/mbp-market/mbp/engine/journal/file"
	"github.com/mbp-market/mbp/engine/sequencer"
	"github.com/mbp-market/mbp/engine/sequencer/nodetest"
)

// inside is a platform in this process, on a disk that loses what was not synced,
// with room for a defect between its parts.
type inside struct {
	t      *testing.T
	log    func(journal.Log) journal.Log       // between writer and log
	edge   func(http.Handler) *httptest.Server // around the edge
	disk   *faultfs.FS
	secret string
	digest engine.Digest

	file   *file.Log
	server *httptest.Server
	end    context.CancelFunc
	done   chan error
}

func newInside(t *testing.T, b bug) *inside {
	t.Helper()
	p := &inside{t: t, disk: faultfs.New(), log: b.log}
	wrap := b.edge
	if wrap == nil {
		wrap = func(h http.Handler) http.Handler { return h }
	}
	p.edge = func(h http.Handler) *httptest.Server { return httptest.NewServer(wrap(h)) }
	var err error
	if p.secret, p.digest, err = client.NewSecret(); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *inside) open() *file.Log {
	p.t.Helper()
	l, err := file.Open(file.Config{Dir: "journal", FS: p.disk, SegmentSize: 1 << 20})
	if err != nil {
		p.t.Fatal(err)
	}
	return l
}

// start runs writer and edge and returns the admin's client.
func (p *inside) start() *client.Client {
	p.t.Helper()
	p.file = p.open()
	var log journal.Log = p.file
	if p.log != nil {
		log = p.log(log)
	}
	q, err := sequencer.New(sequencer.Config{Log: log})
	if err != nil {
		p.t.Fatal(err)
	}
	metrics := prometheus.NewRegistry()
	api, err := httpapi.New(httpapi.Config{Sequencer: q, Registerer: metrics, Gatherer: metrics, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.end, p.done = cancel, make(chan error, 2)
	go func() { p.done <- q.Run(ctx) }()
	go func() { p.done <- api.Run(ctx) }()
	known := false
	q.View(func(s *core.State) { known = s.Initialised() })
	if !known {
		if _, err = q.Submit(ctx, sequencer.Request{Principal: engine.System, Command: &engine.Initialise{
			Policy: engine.DefaultPolicy(), Template: engine.DefaultTemplate(), Admin: engine.Key{SHA256: p.digest, Principal: "admin", Roles: engine.RoleAdmin},
		}}); err != nil {
			p.t.Fatal(err)
		}
	}
	p.server = p.edge(api)
	c, err := client.New(p.server.URL, p.secret)
	if err != nil {
		p.t.Fatal(err)
	}
	return c
}

// kill takes the power: what was not synced is gone, and so are the connections.
func (p *inside) kill() {
	p.t.Helper()
	p.disk.Crash()
	p.server.CloseClientConnections()
	p.end()
	p.server.Close()
	for range 2 {
		<-p.done
	}
	_ = p.file.Close()
	p.disk.Restart(faultfs.KeepNone, 0)
}

// bug is a defect to be found.
type bug struct {
	log  func(journal.Log) journal.Log
	edge func(http.Handler) http.Handler
}

// replay writes a recorded answer.
func replay(w http.ResponseWriter, r *httptest.ResponseRecorder, body []byte) {
	for name, v := range r.Header() {
		if name != "Content-Length" {
			w.Header()[name] = v
		}
	}
	w.WriteHeader(r.Code)
	_, _ = w.Write(body) // the client may be gone
}

var seqField = regexp.MustCompile(`"seq":\d+`)

// stale shows an account as it was a while ago, under the sequence of today.
func stale(h http.Handler) http.Handler {
	var mu sync.Mutex
	old := map[string][]byte{}
	n := 0
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			h.ServeHTTP(w, r)
			return
		}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		body := rec.Body.Bytes()
		mu.Lock()
		if n++; n%10 == 0 && rec.Code == http.StatusOK && old[r.URL.Path] != nil {
			body = seqField.ReplaceAll(old[r.URL.Path], seqField.Find(body))
		} else if n%3 == 0 && rec.Code == http.StatusOK {
			old[r.URL.Path] = bytes.Clone(body)
		}
		mu.Unlock()
		replay(w, rec, body)
	})
}

// doubling decides a repetition once more, under a key of its own.
func doubling(h http.Handler) http.Handler {
	var mu sync.Mutex
	seen := map[string]int{}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := r.Header.Get("Idempotency-Key")
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		mu.Lock()
		seen[key]++
		again := key != "" && seen[key] == 2
		mu.Unlock()
		if again {
			twin := r.Clone(r.Context())
			twin.Header.Set("Idempotency-Key", key+"-again")
			twin.Body = io.NopCloser(bytes.NewReader(body))
			h.ServeHTTP(httptest.NewRecorder(), twin)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		h.ServeHTTP(w, r)
	})
}

// swapping makes two decisions change their answers, now and then.
func swapping(h http.Handler) http.Handler {
	var mu sync.Mutex
	var last *httptest.ResponseRecorder
	n := 0
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			h.ServeHTTP(w, r)
			return
		}
		mine := httptest.NewRecorder()
		h.ServeHTTP(mine, r)
		mu.Lock()
		if n++; n > 40 && n%20 == 0 && last != nil { // the first ones set the market up
			mine, last = last, mine
		} else {
			last = mine
		}
		mu.Unlock()
		replay(w, mine, mine.Body.Bytes())
	})
}

// verdicts plays a load over a platform that loses its power three times.
func verdicts(t *testing.T, b bug) (witness, search error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	p, l, rng := newInside(t, b), NewLoad(), rand.New(rand.NewPCG(3, 4))
	l.Reach(p.start())
	if err := l.Prepare(ctx); err != nil {
		t.Fatal(err)
	}
	under(ctx, t, l, 5, func() {
		for range 3 {
			l.until(ctx, l.History.Known()+engine.Seq(100+rng.IntN(200)))
			p.kill()
			l.Reach(p.start())
		}
		l.until(ctx, l.History.Known()+200)
	})
	p.kill()
	log := p.open()
	ds, err := decisions(log)
	if err := errors.Join(err, log.Close()); err != nil {
		t.Fatal(err)
	}
	ops := l.History.Ops()
	t.Log(len(ds), "decisions,", figures(ops))
	_, search = Search(ops)
	return Witness(ops, ds), search
}

// A platform without a defect passes both, power losses and all.
func TestNoBug(t *testing.T) {
	witness, search := verdicts(t, bug{})
	if err := errors.Join(witness, search); err != nil {
		t.Error(err)
	}
}

// Each planted defect is found by both.
func TestBugs(t *testing.T) {
	for name, b := range map[string]bug{
		"answered before it is durable":  {log: nodetest.Early},
		"keys forgotten by a restart":    {log: nodetest.Forgetful},
		"stale reads":                    {edge: stale},
		"decided once more on a retry":   {edge: doubling},
		"answers given to somebody else": {edge: swapping},
	} {
		t.Run(name, func(t *testing.T) {
			witness, search := verdicts(t, b)
			for who, err := range map[string]error{"the witness check": witness, "porcupine": search} {
				if err == nil {
					t.Errorf("%s is blind to it", who)
					continue
				}
				t.Logf("%s: %s", who, firstLine(err))
			}
		})
	}
}

func firstLine(err error) string {
	line, _, more := bytes.Cut(fmt.Append(nil, err), []byte("\n"))
	if more {
		return string(line) + " …"
	}
	return string(line)
}
