// Package stream serves the live streams, of all markets, of one, and of an account: it
// follows the durable decisions, has each one's news written once, and brings every
// client to where its stream goes on.
//
// It promises: after a snapshot, or after the decision that a client names, every
// decision that is news to it, in order and each once; where that cannot be, an event
// that says so, and a snapshot; a heartbeat with the last sequence that was looked at
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
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/httpapi/hub"
	"github.com/mbp-market/mbp/engine/httpapi/meter"
	"github.com/mbp-market/mbp/engine/httpapi/news"
	"github.com/mbp-market/mbp/engine/httpapi/own"
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
	Decision(seq engine.Seq) (sequencer.Committed, error)
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
	reading   chan struct{} // holds one for each client for which the journal is read
	deepest   engine.Seq    // how many decisions are read for one; maxRead but in tests
}

// New makes a server. It starts nothing.
func New(c Config) *Server {
	return &Server{
		Every: news.BeatEvery, src: c.Source, metrics: c.Metrics, log: c.Log, hub: hub.New(c.Most, c.MostOfOne), thinner: newThinner(),
		reading: make(chan struct{}, maxReaders), deepest: maxRead,
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
	f := hub.Frame{Seq: d.Seq}
	f.Accounts, f.Ends = own.Touched(d)
	defer s.dismiss(d)
	if n.None() && !n.Degrades && len(f.Accounts) == 0 && !f.Ends {
		s.broadcast(f)
		return nil
	}
	if err := s.src.Wait(ctx, d.Seq); err != nil {
		return fmt.Errorf("read model at decision %d: %w", d.Seq, err)
	}
	s.thinner.mu.Lock()
	defer s.thinner.mu.Unlock()
	s.thin(d, &n)
	var err error
	if f.Text, err = s.encode(d, &n); err != nil {
		return err
	}
	about := n.About()
	for _, id := range about {
		text := f.Text
		if len(about) > 1 {
			only := n.Only(id)
			if text, err = s.encode(d, &only); err != nil {
				return err
			}
		}
		f.Markets = append(f.Markets, hub.Part{Market: id, Text: text})
	}
	s.broadcast(f)
	return nil
}

// encode writes the news of a decision.
func (s *Server) encode(d *engine.Decision, n *news.News) ([]byte, error) {
	return n.Encode(d,
		func(id engine.MarketID) news.Quote { return s.quoteOf(id, d.Seq, d.At) },
		func(id engine.MarketID) news.Market { return s.marketAt(id, d.Seq) })
}

// dismiss ends the streams of those who lose the right to them by a decision. Who is
// frozen may read on, and comes back for it.
func (s *Server) dismiss(d *engine.Decision) {
	for _, e := range d.Events {
		switch x := e.(type) {
		case *engine.KeyRevoked:
			s.hub.End(x.SHA256, 0)
		case *engine.PersonErased:
			s.hub.End(engine.Digest{}, x.Account)
			for _, k := range x.Keys {
				s.hub.End(k, 0)
			}
		case *engine.Moderated:
			if x.Action == engine.Freeze {
				s.hub.End(engine.Digest{}, x.Account)
			}
		}
	}
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

// Listener is who asks for a stream, and of what.
type Listener struct {
	Topic hub.Topic
	Key   engine.Digest            // of which only so many streams are open
	Holds func(now time.Time) bool // it still may listen
	Read  func(decisions int)      // so many are read from the journal for it
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
	if err := s.exists(l.Topic); err != nil {
		return err
	}
	to, err := s.hub.Enter(l.Key, l.Topic)
	if err != nil {
		return refusal(err)
	}
	defer s.hub.Leave(to)
	if !l.Holds(time.Now()) { // it was lost since it was looked at: from here on, dismiss finds the stream
		return &problem.Refusal{Code: problem.Unauthenticated}
	}
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
	if last, missed, ok := s.begin(r.Context(), w, l, to, after); ok {
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

// exists says that there is no such market or account.
func (s *Server) exists(t hub.Topic) (err error) {
	s.src.View(func(st *core.State) {
		switch {
		case int(t.Market) > st.MarketCount():
			err = &problem.Refusal{Code: engine.MarketNotFound.String(), Seq: st.Seq()}
		case int(t.Account) > st.AccountCount():
			err = &problem.Refusal{Code: engine.AccountNotFound.String(), Seq: st.Seq()}
		}
	})
	return err
}

// pump writes the frames after a decision until the client goes, its key is
// revoked, or the hub ends the stream.
func (s *Server) pump(ctx context.Context, w http.ResponseWriter, l Listener, from *hub.Stream, last engine.Seq, waiting []*hub.Frame) {
	for {
		for some := range slices.Chunk(waiting, hub.Gather) {
			beat, next := false, some[:0]
			for _, f := range some {
				if f.Seq > last || (f.Beat || f.Again) && f.Seq == last {
					last = f.Seq
					f, err := s.filled(f, l.Topic)
					if err != nil {
						s.log.ErrorContext(ctx, "tell an account of a decision", "seq", last, "err", err)
						return
					}
					if len(f.Text) > 0 {
						next = append(next, f)
					}
				}
				beat = beat || f.Beat
			}
			if !news.SendAll(w, next) {
				return
			}
			if beat && !l.Holds(time.Now()) {
				return
			}
			clear(some) // their texts go when the last stream has sent them
		}
		var open bool
		if waiting, open = from.Next(ctx, waiting[:0]); !open {
			return
		}
	}
}

// filled returns a frame with its text: what an account is told is written for itself.
func (s *Server) filled(f *hub.Frame, t hub.Topic) (*hub.Frame, error) {
	if t.Account == 0 || f.Beat {
		return f, nil
	}
	c, err := s.src.Decision(f.Seq)
	if err != nil {
		return nil, err
	}
	text, err := own.Encode(c.Decision, t.Account, world{s.src})
	return &hub.Frame{Seq: f.Seq, Text: text}, err
}
