package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/httpapi/wire"
	"github.com/mbp-market/mbp/engine/sequencer"
)

const (
	// heartbeatEvery bounds how long a stream is silent.
	heartbeatEvery = 5 * time.Second
	// streamWriteTimeout is how long one write to a stream may take: a client
	// that reads nothing for two heartbeats is gone.
	streamWriteTimeout = 2 * heartbeatEvery
	// snapshotMarkets bounds a snapshot to about 2 MB; older markets are at
	// /v1/markets.
	snapshotMarkets = 5000
	// snapshotChunk is how many markets of a snapshot are looked at in one go: the
	// next batch of decisions waits for that long.
	snapshotChunk = 128
	// gather is how many waiting frames go out in one write.
	gather = 64
)

// Run feeds the streams from the durable decisions until ctx ends, which is no
// error.
func (a *API) Run(ctx context.Context) error {
	at := a.seq.Durable()
	a.hub.begin(at)
	defer a.hub.close()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { a.beat(ctx); return nil })
	g.Go(func() error { return a.release(ctx) })
	g.Go(func() error { a.note(ctx); return nil })
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
			a.metrics.dropped.Add(float64(a.hub.broadcast(heartbeat(a.hub.position()))))
			a.thinner.mu.Unlock()
		}
	}
}

func heartbeat(at engine.Seq) frame {
	return frame{seq: at, beat: true, text: fmt.Appendf(nil, "id: %d\nevent: heartbeat\ndata: {\"seq\":%d}\n\n", at, at)}
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
		a.metrics.dropped.Add(float64(a.hub.broadcast(frame{seq: d.Seq})))
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
	a.metrics.dropped.Add(float64(a.hub.broadcast(frame{seq: d.Seq, text: text})))
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
	now := a.seq.Now()
	a.seq.View(func(s *core.State) { doc.Market, _ = s.Market(id, now) })
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
	s, missed, resumed, err := a.hub.subscribe(c.key.SHA256, after)
	if err != nil {
		a.fail(w, c.r, err)
		return
	}
	defer a.hub.unsubscribe(s)
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
	if !resumed {
		first, err := a.snapshot()
		if err != nil {
			a.log.ErrorContext(c.r.Context(), "encode snapshot", "err", err)
			return
		}
		missed = []frame{first}
	} else {
		last := after
		if n := len(missed); n > 0 {
			last = missed[n-1].seq
		}
		missed = append(missed, heartbeat(last))
	}
	a.pump(w, c, s, missed)
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

// snapshot encodes every market as the first event of a stream. It looks at them
// in chunks, so some may be newer than its sequence: the events that follow tell
// where a market stands, not by how much it moved, and tell it once more.
func (a *API) snapshot() (frame, error) {
	doc := struct {
		Seq     engine.Seq      `json:"seq"`
		Markets []engine.Market `json:"markets"`
	}{}
	var last, end engine.MarketID
	a.seq.View(func(s *core.State) {
		doc.Seq = s.Seq()
		end = engine.MarketID(s.MarketCount())
		last = engine.MarketID(max(0, s.MarketCount()-snapshotMarkets))
	})
	doc.Markets = make([]engine.Market, 0, end-last)
	for ; last < end; last += snapshotChunk {
		now := a.seq.Now()
		a.seq.View(func(s *core.State) {
			doc.Markets = append(doc.Markets, marketsOf(s, last, int(min(snapshotChunk, end-last)), now)...)
		})
	}
	b, err := json.Marshal(doc)
	if err != nil {
		return frame{}, err
	}
	return frame{seq: doc.Seq, text: fmt.Appendf(nil, "id: %d\nevent: snapshot\ndata: %s\n\n", doc.Seq, b)}, nil
}

// pump writes frames until the client goes, its key is revoked, or the hub ends
// the stream.
func (a *API) pump(w http.ResponseWriter, c *call, s *subscriber, waiting []frame) {
	out := http.NewResponseController(w)
	var last engine.Seq
	for {
		var text []byte
		beat := false
		for _, f := range waiting {
			if f.seq > last || (f.beat || f.again) && f.seq == last {
				text, last = append(text, f.text...), f.seq
			}
			beat = beat || f.beat
		}
		if len(text) > 0 {
			if out.SetWriteDeadline(time.Now().Add(streamWriteTimeout)) != nil {
				return
			}
			if _, err := w.Write(text); err != nil || out.Flush() != nil {
				return
			}
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
func next(ctx context.Context, s *subscriber, into []frame) ([]frame, bool) {
	select {
	case <-ctx.Done():
		return nil, false
	case f, open := <-s.frames:
		if !open {
			return nil, false
		}
		into = append(into, f)
	}
	for len(into) < gather {
		select {
		case f, open := <-s.frames:
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
