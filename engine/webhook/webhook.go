// Package webhook tells endpoints of others what is decided: a follower of the durable
// log for each, with a signed request for what they asked for.
//
// It promises: everything that an endpoint asked for reaches it at least once and in
// the order of decisions, nothing that is not durable reaches anybody, and the same
// message has the same id and the same bytes whenever it is sent; an endpoint that is
// slow, hangs, redirects or answers without end costs a request of bounded time and
// size, and holds up neither the writer nor another endpoint; what waits for it is
// nowhere but in the journal, so that it costs no memory; one that takes nothing for an
// hour fails, on record, until somebody resumes it.
//
// It refuses redirects, proxies, answers beyond a few kilobytes, addresses that are not
// public (after names are resolved), and to deliver while another process decides.
//
// The form is that of the Standard Webhooks specification; see package sign.
package webhook

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/sequencer"
	"github.com/mbp-market/mbp/engine/webhook/sign"
)

const (
	// KeySize is the bytes of the installation's key.
	KeySize = 32
	// Overlap is how long the secret before signs, too: a day to bring the new one to
	// the receiver.
	Overlap = 24 * time.Hour
	// maxAttempts is after how many failures of one message its endpoint fails: with
	// the pauses between them about an hour and a half, longer than a restart of it.
	maxAttempts = 24
	// firstPause and lastPause are between two attempts; each is twice the one before.
	firstPause = time.Second
	lastPause  = 5 * time.Minute
	// timeout bounds an attempt, from the name's look-up to the end of the answer. The
	// specification says 15 to 30 seconds.
	timeout = 15 * time.Second
	// noteEvery is how often the journal is told how far an endpoint is that was told
	// something: what a takeover without the folder sends again.
	noteEvery = 10 * time.Minute
	// saveEvery is how often the places are written to the folder, if they have moved:
	// what a crash sends again.
	saveEvery = time.Second
)

// Writer is what delivery needs of the sequencer.
type Writer interface {
	View(fn func(*core.State))
	Durable() engine.Seq
	Follow(ctx context.Context, from engine.Seq, fn func(sequencer.Committed) error) error
	Submit(ctx context.Context, r sequencer.Request) (sequencer.Answer, error)
	Leading() <-chan struct{}
}

// Config of a Dispatcher. Writer, Dir, Registerer and Logger are required.
type Config struct {
	Writer     Writer
	Dir        string         // folder of the places, made if absent
	Key        []byte         // KeySize secret bytes of the installation; nil: nothing is delivered, and no secret is told
	Networks   []netip.Prefix // reachable beside what is public; in one of loopback, plain http is spoken, too
	TLS        *tls.Config    // nil: Go's defaults
	Registerer prometheus.Registerer
	Logger     *slog.Logger
	Pace       Pace // zero: the constants of this package
}

// Pace is how long things take.
type Pace struct {
	First, Last time.Duration // pauses between attempts
	Attempts    int           // until an endpoint fails
	Timeout     time.Duration // of an attempt
	Note, Save  time.Duration
}

func (p Pace) withDefaults() Pace {
	if p == (Pace{}) {
		p = Pace{firstPause, lastPause, maxAttempts, timeout, noteEvery, saveEvery}
	}
	return p
}

// Dispatcher delivers. Make it with New and run it once.
type Dispatcher struct {
	cfg     Config
	client  *http.Client
	places  *places
	logs    *logs
	metrics *metrics

	mu      sync.Mutex
	workers map[engine.WebhookID]*worker // guarded by mu
}

// New checks the configuration, reads places and attempts and registers the metrics. It starts
// nothing.
func New(cfg Config) (*Dispatcher, error) {
	if cfg.Writer == nil || cfg.Dir == "" || cfg.Registerer == nil || cfg.Logger == nil {
		return nil, errors.New("webhook: Writer, Dir, Registerer and Logger are required")
	}
	if cfg.Key != nil && len(cfg.Key) != KeySize {
		return nil, fmt.Errorf("webhook: a key has %d bytes, not %d", KeySize, len(cfg.Key))
	}
	cfg.Pace = cfg.Pace.withDefaults()
	p, err := openPlaces(cfg.Dir, cfg.Logger)
	if err != nil {
		return nil, fmt.Errorf("webhook: %w", err)
	}
	l, err := openLogs(cfg.Dir, cfg.Logger)
	if err != nil {
		return nil, fmt.Errorf("webhook: %w", err)
	}
	x := &Dispatcher{cfg: cfg, places: p, logs: l, workers: map[engine.WebhookID]*worker{}}
	x.client = newClient(cfg)
	if x.metrics, err = newMetrics(cfg.Registerer, x); err != nil {
		return nil, fmt.Errorf("webhook: %w", err)
	}
	return x, nil
}

// Secret returns what messages of a generation are signed with, in text form. It is
// empty without a key.
func (x *Dispatcher) Secret(id engine.WebhookID, generation uint32) string {
	if x.cfg.Key == nil {
		return ""
	}
	return sign.Text(x.secret(id, generation))
}

// secret is HMAC-SHA-256 of id and generation under the installation's key: nobody who
// has some secrets knows more of another one than of 256 random bits.
func (x *Dispatcher) secret(id engine.WebhookID, generation uint32) []byte {
	h := hmac.New(sha256.New, x.cfg.Key)
	h.Write([]byte("mbp webhook secret 1\n"))
	_ = binary.Write(h, binary.BigEndian, uint64(id)) // a hash takes what it gets
	_ = binary.Write(h, binary.BigEndian, generation)
	return h.Sum(nil)
}

// secrets are those that sign now: the one of the generation, and for a while the one
// before.
func (x *Dispatcher) secrets(w *engine.Webhook, now time.Time) [][]byte {
	out := [][]byte{x.secret(w.ID, w.Generation)}
	if w.Generation > 1 && now.Sub(w.RotatedAt.Time()) < Overlap {
		out = append(out, x.secret(w.ID, w.Generation-1))
	}
	return out
}

// Run delivers from when this process decides until ctx ends, which is no error.
func (x *Dispatcher) Run(ctx context.Context) error {
	select {
	case <-x.cfg.Writer.Leading():
	case <-ctx.Done():
		return nil
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { x.places.run(ctx, x.cfg.Pace.Save); return nil })
	g.Go(func() error { return x.lead(ctx) })
	err := g.Wait()
	x.logs.close()
	if late := x.places.save(); late != nil {
		x.cfg.Logger.Warn("the places of webhooks are not saved; something is sent again after the next start", "err", late)
	}
	return err
}

// lead has a worker for each webhook that is active, and follows who is.
func (x *Dispatcher) lead(ctx context.Context) error {
	defer x.reconcile(ctx, nil) // the last thing: workers end
	var now []engine.Webhook
	at := engine.Seq(0)
	look := func() {
		x.cfg.Writer.View(func(s *core.State) { now, at = s.Webhooks(), s.Seq() })
		x.reconcile(ctx, append([]engine.Webhook{}, now...)) // nil is the end
	}
	look()
	err := x.cfg.Writer.Follow(ctx, at+1, func(c sequencer.Committed) error {
		for _, e := range c.Decision.Events {
			set, is := e.(*engine.WebhookSet)
			if is && set.Change != engine.WebhookTest && set.Change != engine.WebhookPlace {
				look()
			}
		}
		return nil
	})
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("follow decisions for webhooks: %w", err)
}

// reconcile ends the workers of webhooks that are another than they were, or no more,
// waits for them, and starts those that are missing.
func (x *Dispatcher) reconcile(ctx context.Context, now []engine.Webhook) {
	want := map[engine.WebhookID]*engine.Webhook{}
	for i := range now {
		if w := &now[i]; w.State == engine.WebhookActive && x.cfg.Key != nil {
			want[w.ID] = w
		}
	}
	var ended []*worker
	x.mu.Lock()
	for id, old := range x.workers {
		if w := want[id]; w == nil || !old.serves(w) {
			old.end()
			ended = append(ended, old)
			delete(x.workers, id)
		}
	}
	x.mu.Unlock()
	for _, old := range ended {
		<-old.done
	}
	if now != nil { // else it is the end of the process, not that of the webhooks
		x.places.keep(now)
		x.logs.keep(now)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for id, w := range want {
		if x.workers[id] == nil && ctx.Err() == nil {
			x.workers[id] = x.start(ctx, *w)
		}
	}
}

// Status is how an endpoint does.
type Status struct {
	After    engine.Seq `json:"delivered_seq"` // it has everything up to this decision
	Failures int        `json:"failures"`      // of the message that is being sent, one after the other
	Attempts []Attempt  `json:"attempts"`      // the last ones, the newest first
}

// Status returns how an endpoint does, or did when it was sent something last; false if
// this process sends nothing, or never sent it anything.
func (x *Dispatcher) Status(id engine.WebhookID) (Status, bool) {
	x.mu.Lock()
	w := x.workers[id]
	x.mu.Unlock()
	if w != nil {
		return w.status(), true
	}
	select {
	case <-x.cfg.Writer.Leading():
	default:
		return Status{}, false // what another process sends is not known here
	}
	past := x.logs.newest(id)
	return Status{After: x.places.after(id), Attempts: past}, past != nil
}

// all returns the workers of now.
func (x *Dispatcher) all() []*worker {
	x.mu.Lock()
	defer x.mu.Unlock()
	out := make([]*worker, 0, len(x.workers))
	for _, w := range x.workers {
		out = append(out, w)
	}
	return slices.Clip(out)
}
