package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/hub"
	"github.com/mbp-market/mbp/engine/httpapi/news"
	"github.com/mbp-market/mbp/engine/httpapi/problem"
	"github.com/mbp-market/mbp/engine/httpapi/sockets"
	"github.com/mbp-market/mbp/engine/httpapi/wire"
	"github.com/mbp-market/mbp/engine/sequencer"
)

const (
	// snapshotBytes bounds a snapshot, but for its last market, to what one line
	// carries in seconds; older markets are at /v1/markets.
	snapshotBytes = 2 << 20
	// snapshotAge is how old a snapshot may be that one more stream begins with; the
	// decisions since then follow it.
	snapshotAge = time.Second
	// snapshotTries is how often a stream begins anew whose client takes longer for a
	// snapshot than the decisions since then are remembered.
	snapshotTries = 3
	// lineBytes is what the kernel keeps of a stream that its client does not read: half
	// a second of the release gate. Without it a client would be megabytes behind before
	// anybody knew, and thousands of them gigabytes.
	lineBytes = 64 << 10
)

// Run feeds the streams and the history from the durable decisions until ctx ends, which is no
// error.
func (a *API) Run(ctx context.Context) error {
	at := a.seq.Durable()
	after := at - min(at, hub.Remembered)
	a.hub.Begin(after, at)
	defer a.hub.Close()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { a.beat(ctx); return nil })
	g.Go(func() error { a.remember(ctx); return nil })
	g.Go(func() error { a.release(ctx); return nil })
	g.Go(func() error { return a.personal.Run(ctx) })
	g.Go(func() error { a.refused.Run(ctx, a.seq, a.noting, a.drained, a.log); return nil })
	g.Go(func() error {
		err := a.follow(ctx, after)
		if err != nil && ctx.Err() == nil && a.hub.Position() == after && after < at {
			// They may be in an archive. Who comes back gets a snapshot.
			a.log.WarnContext(ctx, "what the streams told before is not remembered", "err", err)
			a.hub.Begin(at, at)
			err = a.follow(ctx, at)
		}
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("follow decisions for the streams: %w", err)
		}
		return nil
	})
	return g.Wait()
}

// follow hands every decision after one to the streams. Those from before this process
// began are handed out again, so that a stream goes on across a restart; their quotes
// tell where the markets stand now.
func (a *API) follow(ctx context.Context, after engine.Seq) error {
	return a.seq.Follow(ctx, after+1, func(c sequencer.Committed) error { return a.publish(ctx, c.Decision) })
}

// beat tells every stream the last sequence, in order with the decisions.
func (a *API) beat(ctx context.Context) {
	tick := time.NewTicker(a.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			a.thinner.mu.Lock()
			a.metrics.Dropped.Add(float64(a.hub.Broadcast(news.Heartbeat(a.hub.Position()))))
			a.thinner.mu.Unlock()
		}
	}
}

// publish hands a decision to the streams.
func (a *API) publish(ctx context.Context, d *engine.Decision) error {
	n := news.Of(d)
	if n.None() && !n.Degrades {
		a.metrics.Dropped.Add(float64(a.hub.Broadcast(hub.Frame{Seq: d.Seq})))
		return nil
	}
	if err := a.seq.Wait(ctx, d.Seq); err != nil {
		return fmt.Errorf("read model at decision %d: %w", d.Seq, err)
	}
	a.thinner.mu.Lock()
	defer a.thinner.mu.Unlock()
	a.thin(d, &n)
	text, err := n.Encode(d,
		func(id engine.MarketID) news.Quote { return a.quoteOf(id, d.Seq, d.At) },
		func(id engine.MarketID) news.Market { return a.marketAt(id, d.Seq) })
	if err != nil {
		return err
	}
	a.metrics.Dropped.Add(float64(a.hub.Broadcast(hub.Frame{Seq: d.Seq, Text: text})))
	return nil
}

func (a *API) quoteOf(id engine.MarketID, seq engine.Seq, at engine.Time) news.Quote {
	return news.Quote{Seq: seq, Market: id, Outcomes: a.marketAt(id, seq).Outcomes, At: at}
}

func (a *API) marketAt(id engine.MarketID, seq engine.Seq) news.Market {
	doc := news.Market{Seq: seq}
	if _, looks, _ := a.look(id, 1, 1); len(looks) == 1 {
		doc.Market = looks[0].Market()
	}
	return doc
}

// serveStream answers GET /v1/stream.
func (a *API) serveStream(w http.ResponseWriter, c *call) {
	after, err := news.After(c.r)
	if err == nil && c.r.URL.RawQuery != "" {
		err = wire.Malformed("the stream takes no query; resume with the header Last-Event-ID")
	}
	if err != nil {
		a.fail(w, c.r, err)
		return
	}
	s, err := a.hub.Enter(c.key.SHA256)
	if err != nil {
		a.fail(w, c.r, noStream(err))
		return
	}
	defer a.hub.Leave(s)
	a.metrics.Streams.Inc()
	defer a.metrics.Streams.Dec()
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // a proxy in between must not collect
	sockets.Narrow(c.r.Context(), lineBytes)
	w.WriteHeader(http.StatusOK)
	if c.r.Method == http.MethodHead {
		return
	}
	if last, missed, ok := a.begin(w, c, s, after); ok {
		a.pump(w, c, s, last, missed)
	}
}

// noStream says why there is no stream now.
func noStream(err error) error {
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
func (a *API) begin(w http.ResponseWriter, c *call, s *hub.Stream, after engine.Seq) (last engine.Seq, missed []*hub.Frame, ok bool) {
	if after != 0 && after <= a.hub.Position() {
		if missed, ok := a.hub.Join(s, after); ok {
			last := after
			if n := len(missed); n > 0 {
				last = missed[n-1].Seq
			}
			beat := news.Heartbeat(last)
			return after, append(missed, &beat), true
		}
	}
	for range snapshotTries {
		first, err := a.snapshot()
		if err != nil {
			a.log.ErrorContext(c.r.Context(), "encode snapshot", "err", err)
			return 0, nil, false
		}
		if !news.Send(w, first.Text) {
			return 0, nil, false
		}
		if missed, ok := a.hub.Join(s, first.Seq); ok {
			return first.Seq, missed, true
		}
	}
	a.metrics.Dropped.Inc()
	return 0, nil, false
}

// snapshots keeps the last one, for the streams that begin soon after.
type snapshots struct {
	mu    sync.Mutex // held while one is made: whoever comes meanwhile takes it, too
	last  hub.Frame
	taken time.Time
}

// snapshot returns the newest markets as the first event of a stream, at most
// snapshotAge old.
func (a *API) snapshot() (hub.Frame, error) {
	a.snapshots.mu.Lock()
	defer a.snapshots.mu.Unlock()
	if k := &a.snapshots; k.last.Text == nil || time.Since(k.taken) > snapshotAge || !a.hub.Remembers(k.last.Seq) {
		begin := time.Now()
		next, err := a.encodeSnapshot()
		if err != nil {
			return hub.Frame{}, err
		}
		k.last, k.taken = next, begin
	}
	return a.snapshots.last, nil
}

// encodeSnapshot looks at markets in chunks, so some may be newer than its
// sequence, which is that of the first look: the events that follow tell where a
// market stands, not by how much it moved, and tell it once more.
func (a *API) encodeSnapshot() (hub.Frame, error) {
	seq, _, next := a.look(1, 1, 0)
	var markets [][]byte // the newest first
	for size := 0; next > 0 && size < snapshotBytes; {
		_, looks, _ := a.look(next, -1, lookOutcomes)
		next -= engine.MarketID(len(looks))
		for i := range looks {
			b, err := json.Marshal(looks[i].Market())
			if err != nil {
				return hub.Frame{}, err
			}
			if markets, size = append(markets, b), size+len(b); size >= snapshotBytes {
				break
			}
		}
	}
	slices.Reverse(markets)
	text := fmt.Appendf(nil, "id: %d\nevent: snapshot\ndata: {\"seq\":%d,\"markets\":[", seq, seq)
	text = append(text, bytes.Join(markets, []byte(","))...)
	return hub.Frame{Seq: seq, Text: append(text, "]}\n\n"...)}, nil
}

// pump writes the frames after a decision until the client goes, its key is
// revoked, or the hub ends the stream.
func (a *API) pump(w http.ResponseWriter, c *call, s *hub.Stream, last engine.Seq, waiting []*hub.Frame) {
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
		if beat {
			if !a.door.Holds(c.key, time.Now()) {
				return
			}
		}
		clear(waiting) // their texts go when the last stream has sent them
		var open bool
		if waiting, open = s.Next(c.r.Context(), waiting[:0]); !open {
			return
		}
	}
}
