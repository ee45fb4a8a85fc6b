// Package httpapi is the edge: REST under /v1, the live streams, the panel's
// files, health and metrics, on one http.Handler.
//
// It promises: nobody without a valid API key, token of the identity provider or
// session reads or writes under /v1; a
// mutation is answered only when its decision is durable, and a repetition with
// the same idempotency key gets the same answer; every refusal is a problem
// document with a stable code; what a handler answers is what openapi.yaml says;
// a client that goes away, or is slow, costs nobody but itself.
//
// It refuses: bodies that are not exactly the documented JSON, requests beyond
// the sequencer's intake, the rate of their key or principal, or what is admitted of
// everybody together (429 at once, never a queue of its own), connections beyond a limit, foreign origins (no CORS), and secrets or
// bodies in its log.
//
// It follows RFC 9110 (HTTP), RFC 6750 (bearer keys), RFC 9457 (problem
// documents), the draft on the Idempotency-Key header, and the WHATWG definition
// of server-sent events.
package httpapi

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/httpapi/admit"
	"github.com/mbp-market/mbp/engine/httpapi/history"
	"github.com/mbp-market/mbp/engine/httpapi/identity"
	"github.com/mbp-market/mbp/engine/httpapi/lastday"
	"github.com/mbp-market/mbp/engine/httpapi/meter"
	"github.com/mbp-market/mbp/engine/httpapi/personal"
	"github.com/mbp-market/mbp/engine/httpapi/problem"
	"github.com/mbp-market/mbp/engine/httpapi/rate"
	"github.com/mbp-market/mbp/engine/httpapi/signin"
	"github.com/mbp-market/mbp/engine/httpapi/sockets"
	"github.com/mbp-market/mbp/engine/httpapi/stream"
	"github.com/mbp-market/mbp/engine/httpapi/tally"
	"github.com/mbp-market/mbp/engine/httpapi/wire"
	"github.com/mbp-market/mbp/engine/sequencer"
)

// Sequencer is what the edge needs of the single writer and its read model.
type Sequencer interface {
	// Submit returns once the request's decision is durable.
	Submit(ctx context.Context, r sequencer.Request) (sequencer.Answer, error)
	// SubmitAll is Submit for requests that are decided in order, or not at all.
	SubmitAll(ctx context.Context, rs []sequencer.Request) ([]sequencer.Answer, error)
	// View calls fn with the read model; fn neither keeps nor changes it.
	View(fn func(*core.State))
	// Quote is the dry run of an order on the read model.
	Quote(x *engine.PlaceOrder) sequencer.Quote
	// Durable is the last sequence on disk that View shows.
	Durable() engine.Seq
	// Wait returns once View shows a sequence, or with the error of ctx.
	Wait(ctx context.Context, seq engine.Seq) error
	// Decision reads one decision back.
	Decision(seq engine.Seq) (sequencer.Committed, error)
	// Follow calls fn with every durable decision from a sequence on.
	Follow(ctx context.Context, from engine.Seq, fn func(sequencer.Committed) error) error
	// Now is the engine's time.
	Now() engine.Time
	// CountOrchestrationError counts a request that got no decision or no answer.
	CountOrchestrationError(stage string)
}

var _ Sequencer = (*sequencer.Sequencer)(nil)

// Defaults and bounds.
const (
	// DefaultMaxBody is far above the largest command, a title of 512 bytes.
	DefaultMaxBody = 64 << 10
	// DefaultMaxStreams bounds the open streams: each costs a goroutine, a socket
	// and a buffer of some kilobytes.
	DefaultMaxStreams = 1024
	// DefaultMaxStreamsPerKey lets one person have a few tabs open.
	DefaultMaxStreamsPerKey = 8
	// submitTimeout is when the edge stops waiting for a decision. The sequencer
	// answers within milliseconds; it is the last net under a stuck disk.
	submitTimeout = 10 * time.Second
	// minSeqWait is how long a read waits for the sequence it asked for.
	minSeqWait = time.Second
	// minSeqAhead is the farthest sequence that a read waits for: more than is
	// decided meanwhile.
	minSeqAhead = 10_000
)

// Config of the edge. Sequencer, Registerer, Gatherer and Logger are required.
type Config struct {
	Sequencer  Sequencer
	Registerer prometheus.Registerer
	Gatherer   prometheus.Gatherer // what /metrics shows
	Logger     *slog.Logger        // redacting: see obs/telemetry

	Identity Identity // who gets in but by API key

	// Audit is the audit tree; nil: there is none, and its routes say so.
	Audit Audit

	// LastDays remembers when keys were last used; nil: nobody does.
	LastDays *lastday.Days

	// Texts is the store that can forget; nil: there is none, and texts are refused.
	Texts personal.Texts
	// Webhooks delivers to endpoints of others; nil: nobody does, and there are no routes of them.
	Webhooks Webhooks

	// Export writes the tables of /v1/exports; nil: there are none, and the route says so.
	Export Export

	// Panel is the built panel with index.html at its root; nil, or without that
	// file, shows a page that says how to build it.
	Panel       fs.FS
	PanelPolicy string // Content-Security-Policy that the panel's files run under
	PanelConfig PanelConfig
	// Ready says why the process cannot serve; nil means that it can, and a Notice that
	// it can and that something is amiss. Anybody is told the Notice, or the NotReady in
	// the error, and nothing else of it: whoever makes it logs it.
	Ready func() error

	MaxBody          int64 // bytes of a request body; 64 KiB
	MaxStreams       int   // open streams in all; 1,024
	MaxStreamsPerKey int   // open streams of one API key; 8
	MaxIntake        int   // mutations that the writer takes at once, for the mode shed to divide; sequencer.DefaultQueue

	// To cancel orders has an allowance of its own, as large; a batch counts as many
	// mutations as it has items, and a read of much as many reads as it costs.
	Rates admit.Rates
}

func (c *Config) validate() error {
	var errs []error
	if c.Sequencer == nil || c.Registerer == nil || c.Gatherer == nil || c.Logger == nil {
		errs = append(errs, errors.New("Sequencer, Registerer, Gatherer and Logger are required"))
	}
	if c.MaxBody < 0 || c.MaxStreams < 0 || c.MaxStreamsPerKey < 0 || c.MaxIntake < 0 {
		errs = append(errs, errors.New("limits must not be negative"))
	}
	if c.Panel != nil && c.PanelPolicy == "" {
		errs = append(errs, errors.New("a panel needs its PanelPolicy"))
	}
	return errors.Join(append(errs, c.Rates.Validate())...)
}

// API is the handler. Create it with New; Run feeds its streams.
type API struct {
	cfg      Config
	seq      Sequencer
	log      *slog.Logger
	metrics  *meter.Metrics
	streams  *stream.Server
	door     *identity.Door
	signin   *signin.Handlers
	mux      *http.ServeMux
	nowhere  http.Handler // answers 404
	draining atomic.Bool

	gate      *admit.Gate
	tooFast   refusals                    // refusals of who asks too often
	pressing  refusals                    // of whom because everybody does
	waiting   *rate.Places[engine.Digest] // reads of a key that wait for a sequence
	underway  atomic.Int64                // mutations that were handed to the writer
	refused   tally.Tally
	noting    time.Duration // between summaries of what was refused; tally.Every but in tests
	drain     sync.Once
	drained   chan struct{} // closed by Drain
	history   *history.History
	personal  *personal.Keeper
	exporting chan struct{} // holds one for each export that is being written
}

// New checks the configuration and registers routes and metrics. It starts
// nothing.
func New(cfg Config) (*API, error) {
	if err := cfg.validate(); err != nil {
		return nil, errors.Join(errors.New("httpapi"), err)
	}
	if cfg.MaxBody == 0 {
		cfg.MaxBody = DefaultMaxBody
	}
	if cfg.MaxStreams == 0 {
		cfg.MaxStreams = DefaultMaxStreams
	}
	if cfg.MaxStreamsPerKey == 0 {
		cfg.MaxStreamsPerKey = DefaultMaxStreamsPerKey
	}
	if cfg.MaxIntake == 0 {
		cfg.MaxIntake = sequencer.DefaultQueue
	}
	a := &API{
		cfg: cfg, seq: cfg.Sequencer, log: cfg.Logger, mux: http.NewServeMux(),
		gate: admit.New(cfg.Rates), waiting: rate.NewPlaces[engine.Digest](maxWaiters),
		noting: tally.Every, drained: make(chan struct{}), history: history.New(), exporting: make(chan struct{}, maxExports),
	}
	a.personal = personal.New(cfg.Texts, a.seq, a.log)
	a.tooFast = newRefusals(problem.TooMany, "nothing was read or decided; ask again later")
	a.pressing = newRefusals(problem.Overloaded, notDecided)
	if err := a.openDoor(); err != nil {
		return nil, err
	}
	routes := a.routes()
	m, err := meter.New(cfg.Registerer, labels(routes))
	if err != nil {
		return nil, errors.Join(errors.New("httpapi: register metrics"), err)
	}
	a.metrics = m
	a.streams = stream.New(stream.Config{Source: a.seq, Metrics: m, Log: a.log, Most: cfg.MaxStreams, MostOfOne: cfg.MaxStreamsPerKey})
	a.mount(routes)
	return a, nil
}

// Run feeds the streams and the history from the durable decisions until ctx ends, which is no
// error.
func (a *API) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return a.streams.Run(ctx) })
	g.Go(func() error { a.remember(ctx); return nil })
	g.Go(func() error { return a.personal.Run(ctx) })
	g.Go(func() error { a.refused.Run(ctx, a.seq, a.noting, a.drained, a.log); return nil })
	return g.Wait()
}

// listen answers with a live stream, of all markets, of the one in the path, or of the
// account there: to its holder, and to who may read it.
func (a *API) listen(w http.ResponseWriter, c *call) {
	l := stream.Listener{
		Key: c.key.SHA256, Holds: func(now time.Time) bool { return a.door.Holds(c.key, now) },
		Read: func(decisions int) { a.charge(c, decisions/decisionsPerToken) },
	}
	form, err := wire.ParseQuery("")
	if err == nil {
		c.reads(form)
		if strings.Contains(c.route.path, "{market}") {
			c.ID("market", &l.Topic.Market)
		}
		if strings.Contains(c.route.path, "{account}") {
			c.ID("account", &l.Topic.Account)
		}
		err = c.End()
	}
	if err == nil && !c.privileged() && l.Topic.Account != c.key.Account {
		err = &problem.Refusal{Code: problem.Forbidden, Detail: "the account is not the API key's own"}
	}
	if err == nil {
		err = a.streams.Serve(w, c.r, l)
	}
	if err != nil {
		a.fail(w, c.r, err)
	}
}

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.HasPrefix(r.URL.Path, "/") { // as for a proxy, of which the mux would say it in plain words
		a.nowhere.ServeHTTP(w, r)
		return
	}
	a.mux.ServeHTTP(w, r)
}

// Drain makes /readyz fail, refuses new mutations and streams with 503, and ends
// the streams that are open. Requests that were admitted are answered.
func (a *API) Drain() {
	a.draining.Store(true)
	a.drain.Do(func() { close(a.drained) })
	a.streams.Close()
}

// Bounds of a connection. A body of 64 KiB needs no more time on any line; the
// answer to a mutation comes after at most submitTimeout.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 15 * time.Second
	writeTimeout      = submitTimeout + 20*time.Second
	idleTimeout       = time.Minute // a client that goes on asks more often
	maxHeader         = 16 << 10
)

// NewServer returns a server with the edge's time limits, for a listener of
// sockets.Limit. Its own complaints, which may name a peer's address, go through
// the logger.
func NewServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ConnState:         sockets.State,
		ConnContext:       sockets.Context,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}
