package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/journal/file"
	"github.com/mbp-market/mbp/engine/sequencer"
	"github.com/mbp-market/mbp/engine/texts"
	"github.com/mbp-market/mbp/engine/webhook"
	"github.com/mbp-market/mbp/obs/telemetry"
)

// edge is a running server over a real journal, with keys for every role.
type edge struct {
	t       testing.TB
	url     string
	api     *API
	seq     *sequencer.Sequencer
	metrics *prometheus.Registry
	logs    *lockedBuffer
	admin   string
	stop    context.CancelFunc
	count   int // of idempotency keys
	mu      sync.Mutex

	handlers sync.WaitGroup // requests under way
}

// quiet waits until every handler has returned: an answer reaches the client a
// moment before the counters do.
func (e *edge) quiet() { e.handlers.Wait() }

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// options change a test's edge.
type options struct {
	log  func(journal.Log) journal.Log
	seq  func(Sequencer) Sequencer
	cfg  func(*Config)
	api  func(*API)
	size sequencer.Config // Queue, Now
	web  func(*http.Server)
	idle bool // the writer and the streams do not run
}

func start(t testing.TB, o options) *edge {
	t.Helper()
	l, err := file.Open(file.Config{Dir: t.TempDir(), SegmentSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	var log journal.Log = l
	if o.log != nil {
		log = o.log(l)
	}
	e := &edge{t: t, metrics: prometheus.NewRegistry(), logs: &lockedBuffer{}}
	logger := telemetry.Logger(e.logs, nil, true)
	e.seq, err = sequencer.New(sequencer.Config{Log: log, Queue: o.size.Queue, Now: o.size.Now, Registerer: e.metrics, Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Sequencer: e.seq, Registerer: e.metrics, Gatherer: e.metrics, Logger: logger, PanelConfig: PanelConfig{Env: "test"}}
	if cfg.Texts, err = texts.Open(file.OS{}, t.TempDir()); err != nil {
		t.Fatal(err)
	}
	if cfg.Webhooks, err = webhook.New(webhook.Config{
		Writer: e.seq, Dir: t.TempDir(), Key: make([]byte, webhook.KeySize), Registerer: e.metrics, Logger: logger,
	}); err != nil {
		t.Fatal(err)
	}
	if o.seq != nil {
		cfg.Sequencer = o.seq(e.seq)
	}
	if o.cfg != nil {
		o.cfg(&cfg)
	}
	if e.api, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	e.api.noting = time.Hour // or else a slow test finds a decision more than it made
	if o.api != nil {
		o.api(e.api)
	}
	counted := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.handlers.Add(1)
		defer e.handlers.Done()
		e.api.ServeHTTP(w, r)
	})
	server := httptest.NewUnstartedServer(counted)
	server.Config = NewServer(counted, logger)
	if o.web != nil {
		o.web(server.Config)
	}
	server.Start()
	e.url = server.URL
	t.Cleanup(server.Close)
	if !o.idle {
		e.run()
	}
	return e
}

// run starts the writer and the streams and gives the journal its first
// decision.
func (e *edge) run() {
	e.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	e.stop = cancel
	var wg sync.WaitGroup
	wg.Go(func() { _ = e.seq.Run(ctx) })
	secret, digest, err := client.NewSecret()
	if err != nil {
		e.t.Fatal(err)
	}
	e.admin = secret
	e.submit(&engine.Initialise{Policy: engine.DefaultPolicy(), Template: engine.DefaultTemplate(),
		Admin: engine.Key{SHA256: digest, Principal: "admin", Roles: engine.RoleAdmin}})
	wg.Go(func() { _ = e.api.Run(ctx) })
	for e.api.streams.Position() == 0 { // the streams are there
		runtime.Gosched()
	}
	e.t.Cleanup(func() { e.api.Drain(); cancel(); wg.Wait() })
}

// submit has a command decided without the edge.
func (e *edge) submit(c engine.Command) *engine.Decision {
	e.t.Helper()
	got, err := e.seq.Submit(context.Background(), sequencer.Request{Principal: engine.System, Command: c})
	if err != nil || got.Decision.Code != engine.OK {
		e.t.Fatalf("%s: %v %+v", c.Type(), err, got.Decision)
	}
	return got.Decision
}

// key makes an API key.
func (e *edge) key(principal string, roles engine.Roles, account engine.AccountID) string {
	e.t.Helper()
	secret, digest, err := client.NewSecret()
	if err != nil {
		e.t.Fatal(err)
	}
	e.submit(&engine.AddKey{Key: engine.Key{SHA256: digest, Principal: principal, Roles: roles, Account: account}})
	return secret
}

// funded opens an account with credits.
func (e *edge) funded(credits engine.Micros) engine.AccountID {
	e.t.Helper()
	id := e.submit(&engine.OpenAccount{}).Events[0].(*engine.AccountOpened).Account
	e.submit(&engine.GrantCredits{Account: id, Amount: credits * engine.One})
	return id
}

// categorical opens markets of 64 outcomes.
func (e *edge) categorical(creator engine.AccountID, n int) {
	e.t.Helper()
	x := engine.DefaultTemplate()
	x.ID, x.Kind, x.MinPrice, x.MaxPrice = "many", engine.Categorical, 100, 990_000
	e.submit(&engine.AddTemplate{Template: x})
	open := engine.OpenMarket{Template: x.Name(), Title: "Who", Creator: creator, Liquidity: 1000 * engine.One}
	for i := range engine.MaxOutcomes {
		open.Outcomes = append(open.Outcomes, fmt.Sprint("outcome ", i))
	}
	for range n {
		e.submit(&open)
	}
}

// market opens a market of an account.
func (e *edge) market(creator engine.AccountID) engine.MarketID {
	e.t.Helper()
	d := e.submit(&engine.OpenMarket{Template: "binary@1.0.0", Title: "Rain", Creator: creator, Liquidity: 1000 * engine.One, Price: engine.One / 2})
	return d.Events[0].(*engine.MarketOpened).Market
}

// reply is an answer with its body read.
type reply struct {
	status int
	header http.Header
	body   string
}

func (r reply) doc(t testing.TB) map[string]any {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal([]byte(r.body), &doc); err != nil {
		t.Fatalf("%d %q: %v", r.status, r.body, err)
	}
	return doc
}

// code is the problem's code, or "ok".
func (r reply) code(t testing.TB) string {
	t.Helper()
	code, _ := r.doc(t)["code"].(string)
	return code
}

// straight follows no redirect.
var straight = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// send makes a request; headers are name, value, … and replace the usual ones.
// An empty value removes a header.
func (e *edge) send(method, path, secret, body string, headers ...string) reply {
	e.t.Helper()
	req, err := http.NewRequest(method, e.url+path, strings.NewReader(body))
	if err != nil {
		e.t.Fatal(err)
	}
	if secret != "" {
		req.Header.Set("Authorization", "Bearer "+secret)
	}
	if method != http.MethodGet {
		e.mu.Lock()
		e.count++
		req.Header.Set("Idempotency-Key", fmt.Sprintf("key-%d", e.count))
		e.mu.Unlock()
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		if req.Header.Del(headers[i]); headers[i+1] != "" {
			req.Header.Set(headers[i], headers[i+1])
		}
	}
	res, err := straight.Do(req)
	if err != nil {
		e.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		e.t.Fatal(err)
	}
	return reply{res.StatusCode, res.Header, string(b)}
}

func (e *edge) post(path, secret, body string, headers ...string) reply {
	e.t.Helper()
	return e.send(http.MethodPost, path, secret, body, headers...)
}

func (e *edge) get(path, secret string, headers ...string) reply {
	e.t.Helper()
	return e.send(http.MethodGet, path, secret, "", headers...)
}

// value reads one sample of the registry; labels are name, value, …
func (e *edge) value(name string, labels ...string) float64 {
	e.t.Helper()
	families, err := e.metrics.Gather()
	if err != nil {
		e.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
	next:
		for _, m := range f.GetMetric() {
			have := map[string]string{}
			for _, p := range m.GetLabel() {
				have[p.GetName()] = p.GetValue()
			}
			for i := 0; i < len(labels); i += 2 {
				if have[labels[i]] != labels[i+1] {
					continue next
				}
			}
			if h := m.GetHistogram(); h != nil {
				return float64(h.GetSampleCount())
			}
			return m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	e.t.Fatalf("no sample %s %v", name, labels)
	return 0
}

const buyTen = `{"market":"mkt_1","outcome":"YES","side":"buy","tif":"ioc","amount_micros":10000000}`

func digestOf(secret string) engine.Digest { return client.DigestOf(secret) }
