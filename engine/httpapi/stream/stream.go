// Package stream serves the live streams: it follows the durable decisions, has each
// one's news written once, and brings every client to where its stream goes on.
//
// It promises: after a snapshot, or after the decision that a client names, every
// decision that is news, in order and each once; a heartbeat with the last sequence
// when nothing else is said; that nobody waits for a slow client, which is cut off and
// can resume. It refuses to say who may listen, which is the edge's table, and to write
// anything before it knows that there is a stream.
//
// The form is that of server-sent events in the WHATWG standard.
package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/httpapi/hub"
	"github.com/mbp-market/mbp/engine/httpapi/meter"
	"github.com/mbp-market/mbp/engine/httpapi/news"
	"github.com/mbp-market/mbp/engine/httpapi/problem"
	"github.com/mbp-market/mbp/engine/httpapi/roster"
	"github.com/mbp-market/mbp/engine/httpapi/sockets"
	"github.com/mbp-market/mbp/engine/httpapi/wire"
	"github.com/mbp-market/mbp/engine/sequencer"
)

// lineBytes is what the kernel keeps of a stream that its client does not read: half
// a second of the release gate. Without it a client would be megabytes behind before
// anybody knew, and thousands of them gigabytes.
const lineBytes = 64 << 10

// Source is what the streams need of the writer and its read model.
type Source interface {
	View(fn func(*core.State))
	Now() engine.Time
	Durable() engine.Seq
	Wait(ctx context.Context, seq engine.Seq) error
	Follow(ctx context.Context, from engine.Seq, fn func(sequencer.Committed) error) error
}

// Config of the streams. Everything is required.
type Config struct {
	Source  Source
	Metrics *meter.Metrics
	Log     *slog.Logger

	Most, MostOfOne int // open streams, in all and of one key
}

// Server serves the streams. Create it with New; Run feeds it.
type Server struct {
	Every time.Duration // between heartbeats; news.BeatEvery but in tests

	src       Source
	metrics   *meter.Metrics
	log       *slog.Logger
	hub       *hub.Hub
	thinner   thinner
	snapshots snapshots
}

// New makes a server. It starts nothing.
func New(c Config) *Server {
	return &Server{
		Every: news.BeatEvery, src: c.Source, metrics: c.Metrics, log: c.Log, hub: hub.New(c.Most, c.MostOfOne), thinner: newThinner(),
	}
}

// Run feeds the streams from the durable decisions until ctx ends, which is no error.
func (s *Server) Run(ctx context.Context) error {
	at := s.src.Durable()
	after := at - min(at, hub.Remembered)
	s.hub.Begin(after, at)
	defer s.hub.Close()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { s.beat(ctx); return nil })
	g.Go(func() error { s.release(ctx); return nil })
	g.Go(func() error {
		err := s.follow(ctx, after)
		if err != nil && ctx.Err() == nil && s.hub.Position() == after && after < at {
			// They may be in an archive. Who comes back gets a snapshot.
			s.log.WarnContext(ctx, "what the streams told before is not remembered", "err", err)
			s.hub.Begin(at, at)
			err = s.follow(ctx, at)
		}
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("follow decisions for the streams: %w", err)
		}
		return nil
	})
	return g.Wait()
}

// Close ends every stream, and takes no new one.
func (s *Server) Close() { s.hub.Close() }

// Position returns the last decision that the streams were told of.
func (s *Server) Position() engine.Seq { return s.hub.Position() }

// follow hands every decision after one to the streams. Those from before this process
// began are handed out again, so that a stream goes on across a restart; their quotes
// tell where the markets stand now.
func (s *Server) follow(ctx context.Context, after engine.Seq) error {
	return s.src.Follow(ctx, after+1, func(c sequencer.Committed) error { return s.publish(ctx, c.Decision) })
}

// beat tells every stream the last sequence, in order with the decisions.
func (s *Server) beat(ctx context.Context) {
	tick := time.NewTicker(s.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.thinner.mu.Lock()
			s.broadcast(news.Heartbeat(s.hub.Position()))
			s.thinner.mu.Unlock()
		}
	}
}

func (s *Server) broadcast(f hub.Frame) { s.metrics.Dropped.Add(float64(s.hub.Broadcast(f))) }

// publish hands a decision to the streams.
func (s *Server) publish(ctx context.Context, d *engine.Decision) error {
	n := news.Of(d)
	if n.None() && !n.Degrades {
		s.broadcast(hub.Frame{Seq: d.Seq})
		return nil
	}
	if err := s.src.Wait(ctx, d.Seq); err != nil {
		return fmt.Errorf("read model at decision %d: %w", d.Seq, err)
	}
	s.thinner.mu.Lock()
	defer s.thinner.mu.Unlock()
	s.thin(d, &n)
	text, err := n.Encode(d,
		func(id engine.MarketID) news.Quote { return s.quoteOf(id, d.Seq, d.At) },
		func(id engine.MarketID) news.Market { return s.marketAt(id, d.Seq) })
	if err != nil {
		return err
	}
	s.broadcast(hub.Frame{Seq: d.Seq, Text: text})
	return nil
}

func (s *Server) quoteOf(id engine.MarketID, seq engine.Seq, at engine.Time) news.Quote {
	return news.Quote{Seq: seq, Market: id, Outcomes: s.marketAt(id, seq).Outcomes, At: at}
}

func (s *Server) marketAt(id engine.MarketID, seq engine.Seq) news.Market {
	doc := news.Market{Seq: seq}
	if _, looks, _ := roster.Look(s.src, id, 1, 1); len(looks) == 1 {
		doc.Market = looks[0].Market()
	}
	return doc
}

// Listener is who asks for a stream.
type Listener struct {
	Key   engine.Digest            // of which only so many streams are open
	Holds func(now time.Time) bool // it still may listen
}

// Serve answers a request with a stream until its client goes, has no right to it any
// more, or is too slow. An error is why there is none, before anything is written.
func (s *Server) Serve(w http.ResponseWriter, r *http.Request, l Listener) error {
	after, err := news.After(r)
	if err != nil {
		return err
	}
	if r.URL.RawQuery != "" {
		return wire.Malformed("the stream takes no query; resume with the header Last-Event-ID")
	}
	to, err := s.hub.Enter(l.Key)
	if err != nil {
		return refusal(err)
	}
	defer s.hub.Leave(to)
	s.metrics.Streams.Inc()
	defer s.metrics.Streams.Dec()
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // a proxy in between must not collect
	sockets.Narrow(r.Context(), lineBytes)
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return nil
	}
	if last, missed, ok := s.begin(r.Context(), w, to, after); ok {
		s.pump(r.Context(), w, l, to, last, missed)
	}
	return nil
}

// refusal says why there is no stream now.
func refusal(err error) error {
	switch {
	case errors.Is(err, hub.ErrFull):
		return &problem.Refusal{Code: problem.Streams, Detail: "close a stream of this API key, or come later"}
	case errors.Is(err, hub.ErrStarting):
		return &problem.Refusal{Code: problem.NotLeader, Detail: "the server is starting", RetryAfter: time.Second}
	}
	return &problem.Refusal{Code: problem.NotLeader, Detail: "the server is shutting down"}
}

// begin brings a client to where its stream goes on: with what it missed, if that
// is remembered, else with a snapshot. The stream joins when the snapshot is out,
// because no buffer would hold what is decided meanwhile; the ring does. It returns
// the last decision that the client has, and what is still to be sent.
func (s *Server) begin(ctx context.Context, w http.ResponseWriter, to *hub.Stream, after engine.Seq) (last engine.Seq, missed []*hub.Frame, ok bool) {
	if after != 0 && after <= s.hub.Position() {
		if missed, ok := s.hub.Join(to, after); ok {
			last := after
			if n := len(missed); n > 0 {
				last = missed[n-1].Seq
			}
			beat := news.Heartbeat(last)
			return after, append(missed, &beat), true
		}
	}
	for range snapshotTries {
		first, err := s.snapshot()
		if err != nil {
			s.log.ErrorContext(ctx, "encode snapshot", "err", err)
			return 0, nil, false
		}
		if !news.Send(w, first.Text) {
			return 0, nil, false
		}
		if missed, ok := s.hub.Join(to, first.Seq); ok {
			return first.Seq, missed, true
		}
	}
	s.metrics.Dropped.Inc()
	return 0, nil, false
}

// pump writes the frames after a decision until the client goes, its key is
// revoked, or the hub ends the stream.
func (s *Server) pump(ctx context.Context, w http.ResponseWriter, l Listener, from *hub.Stream, last engine.Seq, waiting []*hub.Frame) {
	for {
		beat, next := false, waiting[:0]
		for _, f := range waiting {
			if f.Seq > last || (f.Beat || f.Again) && f.Seq == last {
				next, last = append(next, f), f.Seq
			}
			beat = beat || f.Beat
		}
		if !news.SendAll(w, next) {
			return
		}
		if beat && !l.Holds(time.Now()) {
			return
		}
		clear(waiting) // their texts go when the last stream has sent them
		var open bool
		if waiting, open = from.Next(ctx, waiting[:0]); !open {
			return
		}
	}
}
