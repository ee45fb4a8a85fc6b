package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/hub"
	"github.com/mbp-market/mbp/engine/httpapi/wire"
	"github.com/mbp-market/mbp/engine/sequencer"
)

const (
	// heartbeatEvery bounds how long a stream is silent.
	heartbeatEvery = 5 * time.Second
	// streamWriteTimeout is how long one write to a stream may take: a client
	// that reads nothing for two heartbeats is gone.
	streamWriteTimeout = 2 * heartbeatEvery
	// snapshotBytes bounds a snapshot, but for its last market, to what one line
	// carries in seconds; older markets are at /v1/markets.
	snapshotBytes = 2 << 20
	// snapshotAge is how old a snapshot may be that one more stream begins with; the
	// decisions since then follow it.
	snapshotAge = time.Second
	// snapshotTries is how often a stream begins anew whose client takes longer for a
	// snapshot than the decisions since then are remembered.
	snapshotTries = 3
	// sendBytes is how much one write takes, for which the client has
	// streamWriteTimeout: a slow line is slow, a silent client is gone.
	sendBytes = 64 << 10
	// gather is how many waiting frames go out in one write.
	gather = 64
)

// Run feeds the streams from the durable decisions until ctx ends, which is no
// error.
func (a *API) Run(ctx context.Context) error {
	at := a.seq.Durable()
	a.hub.Begin(at)
	defer a.hub.Close()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { a.beat(ctx); return nil })
	g.Go(func() error { return a.release(ctx) })
	g.Go(func() error { a.refused.Run(ctx, a.seq, a.noting, a.drained, a.log); return nil })
	g.Go(func() error {
		err := a.seq.Follow(ctx, at+1, func(c sequencer.Committed) error { return a.publish(ctx, c.Decision) })
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("follow decisions for the streams: %w", err)
		}
		return nil
	})
	return g.Wait()
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
			a.metrics.dropped.Add(float64(a.hub.Broadcast(heartbeat(a.hub.Position()))))
			a.thinner.mu.Unlock()
		}
	}
}

func heartbeat(at engine.Seq) hub.Frame {
	return hub.Frame{Seq: at, Beat: true, Text: fmt.Appendf(nil, "id: %d\nevent: heartbeat\ndata: {\"seq\":%d}\n\n", at, at)}
}

// tradeDoc tells of a fill and not of whose it is.
type tradeDoc struct {
	Seq     engine.Seq      `json:"seq"`
	Market  engine.MarketID `json:"market"`
	Outcome engine.Outcome  `json:"outcome"`
	Side    engine.Side     `json:"side"`
	Amount  engine.Micros   `json:"amount_micros"`
	Shares  engine.Shares   `json:"shares_micros"`
	Average engine.Price    `json:"average_price_micros"`
	Fee     engine.Micros   `json:"fee_micros"`
	At      engine.Time     `json:"decided_at"`
}

// quoteDoc tells where a decision left a market's prices, pools and books, as the
// read model has them; it may be a decision ahead.
type quoteDoc struct {
	Seq      engine.Seq            `json:"seq"`
	Market   engine.MarketID       `json:"market"`
	Outcomes []engine.OutcomeState `json:"outcomes"`
	At       engine.Time           `json:"decided_at"`
}

// publish hands a decision to the streams.
func (a *API) publish(ctx context.Context, d *engine.Decision) error {
	var text []byte
	n := newsOf(d)
	if n.none() && !n.degrades {
		a.metrics.dropped.Add(float64(a.hub.Broadcast(hub.Frame{Seq: d.Seq})))
		return nil
	}
	if err := a.seq.Wait(ctx, d.Seq); err != nil {
		return fmt.Errorf("read model at decision %d: %w", d.Seq, err)
	}
	a.thinner.mu.Lock()
	defer a.thinner.mu.Unlock()
	err := a.thin(d, &n)
	if err != nil {
		return err
	}
	if text, err = a.events(d, &n); err != nil {
		return err
	}
	a.metrics.dropped.Add(float64(a.hub.Broadcast(hub.Frame{Seq: d.Seq, Text: text})))
	return nil
}

// news is what a decision tells the streams: trades, then where each market it
// touched stands.
type news struct {
	trades  []*engine.OrderFilled
	quotes  []engine.MarketID // their prices, pools or books moved
	markets []engine.MarketID // opened, or in another state

	degrades bool // the mode or its rule is another
}

func newsOf(d *engine.Decision) (n news) {
	add := func(list *[]engine.MarketID, id engine.MarketID) {
		if !slices.Contains(*list, id) {
			*list = append(*list, id)
		}
	}
	for _, e := range d.Events {
		switch x := e.(type) {
		case *engine.OrderFilled:
			if x.Shares > 0 {
				n.trades = append(n.trades, x)
			}
			add(&n.quotes, x.Market)
		case *engine.OrderRested:
			add(&n.quotes, x.Market)
		case *engine.OrderReduced:
			add(&n.quotes, x.Market)
		case *engine.OrdersClosed:
			for _, o := range x.Orders {
				add(&n.quotes, o.Market)
			}
		case *engine.LiquidityAdded:
			add(&n.quotes, x.Market)
		case *engine.LiquidityRemoved:
			add(&n.quotes, x.Market)
		case *engine.MarketOpened:
			add(&n.markets, x.Market)
		case *engine.MarketStateChanged:
			add(&n.markets, x.Market)
		case *engine.ModeSet, *engine.PolicySet:
			n.degrades = true
		}
	}
	return n
}

func (n *news) none() bool { return len(n.trades)+len(n.quotes)+len(n.markets) == 0 }

// events encodes what a decision tells. Only the last of its events carries the
// id: a client that is cut off in between resumes before the decision.
func (a *API) events(d *engine.Decision, n *news) ([]byte, error) {
	type named struct {
		name string
		doc  any
	}
	var out []named
	for _, x := range n.trades {
		out = append(out, named{"trade", tradeDoc{d.Seq, x.Market, x.Outcome, x.Side, x.Amount, x.Shares, x.Average, x.Fee, d.At}})
	}
	for _, id := range n.quotes {
		out = append(out, named{"quote", a.quoteOf(id, d.Seq, d.At)})
	}
	for _, id := range n.markets {
		out = append(out, named{"market", a.marketAt(id, d.Seq)})
	}
	var text []byte
	for i, e := range out {
		var err error
		if text, err = appendEvent(text, d.Seq, i == len(out)-1, e.name, e.doc); err != nil {
			return nil, err
		}
	}
	return text, nil
}

// appendEvent encodes one event; the last one of a frame carries the id.
func appendEvent(text []byte, seq engine.Seq, last bool, name string, doc any) ([]byte, error) {
	b, err := json.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("encode %s at decision %d: %w", name, seq, err)
	}
	if last {
		text = fmt.Appendf(text, "id: %d\n", seq)
	}
	return fmt.Appendf(text, "event: %s\ndata: %s\n\n", name, b), nil
}

func (a *API) quoteOf(id engine.MarketID, seq engine.Seq, at engine.Time) quoteDoc {
	return quoteDoc{seq, id, a.marketAt(id, seq).Outcomes, at}
}

func (a *API) marketAt(id engine.MarketID, seq engine.Seq) marketDoc {
	doc := marketDoc{Seq: seq}
	if _, looks, _ := a.look(id, 1, 1); len(looks) == 1 {
		doc.Market = looks[0].Market()
	}
	return doc
}

// serveStream answers GET /v1/stream.
func (a *API) serveStream(w http.ResponseWriter, c *call) {
	after, err := lastEventID(c.r)
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
	a.metrics.streams.Inc()
	defer a.metrics.streams.Dec()
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // a proxy in between must not collect
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
		return &refusal{code: codeStreams, detail: "close a stream of this API key, or come later"}
	case errors.Is(err, hub.ErrStarting):
		return &refusal{code: codeNotLeader, detail: "the server is starting", retryAfter: heartbeatEvery}
	}
	return &refusal{code: codeNotLeader, detail: "the server is shutting down"}
}

// begin brings a client to where its stream goes on: with what it missed, if that
// is remembered, else with a snapshot. The stream joins when the snapshot is out,
// because no buffer would hold what is decided meanwhile; the ring does. It returns
// the last decision that the client has, and what is still to be sent.
func (a *API) begin(w http.ResponseWriter, c *call, s *hub.Stream, after engine.Seq) (last engine.Seq, missed []hub.Frame, ok bool) {
	if after != 0 && after <= a.hub.Position() {
		if missed, ok := a.hub.Join(s, after); ok {
			last := after
			if n := len(missed); n > 0 {
				last = missed[n-1].Seq
			}
			return after, append(missed, heartbeat(last)), true
		}
	}
	for range snapshotTries {
		first, err := a.snapshot()
		if err != nil {
			a.log.ErrorContext(c.r.Context(), "encode snapshot", "err", err)
			return 0, nil, false
		}
		if !send(w, first.Text) {
			return 0, nil, false
		}
		if missed, ok := a.hub.Join(s, first.Seq); ok {
			return first.Seq, missed, true
		}
	}
	a.metrics.dropped.Inc()
	return 0, nil, false
}

// lastEventID reads where a client wants to go on; 0 is the beginning.
func lastEventID(r *http.Request) (engine.Seq, error) {
	text := r.Header.Get("Last-Event-ID")
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return 0, wire.Malformed("Last-Event-ID is not a sequence")
	}
	return engine.Seq(n), nil
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

// send writes to a stream in pieces, and reports whether the client took them.
func send(w http.ResponseWriter, text []byte) bool {
	out := http.NewResponseController(w)
	for piece := range slices.Chunk(text, sendBytes) {
		if out.SetWriteDeadline(time.Now().Add(streamWriteTimeout)) != nil {
			return false
		}
		if _, err := w.Write(piece); err != nil || out.Flush() != nil {
			return false
		}
	}
	return true
}

// pump writes the frames after a decision until the client goes, its key is
// revoked, or the hub ends the stream.
func (a *API) pump(w http.ResponseWriter, c *call, s *hub.Stream, last engine.Seq, waiting []hub.Frame) {
	for {
		var text []byte
		beat := false
		for _, f := range waiting {
			if f.Seq > last || (f.Beat || f.Again) && f.Seq == last {
				text, last = append(text, f.Text...), f.Seq
			}
			beat = beat || f.Beat
			if len(text) >= sendBytes {
				if !send(w, text) {
					return
				}
				text = text[:0]
			}
		}
		if !send(w, text) {
			return
		}
		if beat {
			if _, _, valid := a.lookUp(c.key.SHA256, true); !valid {
				return
			}
		}
		var open bool
		if waiting, open = next(c.r.Context(), s, waiting[:0]); !open {
			return
		}
	}
}

// next waits for frames and takes what is there, at most gather of them.
func next(ctx context.Context, s *hub.Stream, into []hub.Frame) ([]hub.Frame, bool) {
	select {
	case <-ctx.Done():
		return nil, false
	case f, open := <-s.Frames():
		if !open {
			return nil, false
		}
		into = append(into, f)
	}
	for len(into) < gather {
		select {
		case f, open := <-s.Frames():
			if !open {
				return into, true // what was taken goes out first
			}
			into = append(into, f)
		default:
			return into, true
		}
	}
	return into, true
}
