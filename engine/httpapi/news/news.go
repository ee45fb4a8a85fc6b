// Package news is what decisions tell the live streams, and how it is written: the
// trades of a decision, then where each market that it touched stands.
//
// It promises: a trade tells what was traded and not by whom; only the last event of
// a decision carries its sequence as the id, so that a client cut off in between
// resumes before the decision; a write takes bounded time, or the client is gone. It
// refuses to look at any state: who publishes says where a market stands.
//
// The form is that of server-sent events in the WHATWG standard.
package news

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/hub"
	"github.com/mbp-market/mbp/engine/httpapi/wire"
)

const (
	// BeatEvery bounds how long a stream is silent.
	BeatEvery = 5 * time.Second
	// writeTimeout is how long one write to a stream may take: a client that reads
	// nothing for two heartbeats is gone.
	writeTimeout = 2 * BeatEvery
	// Piece is how many bytes one write takes, for which the client has
	// writeTimeout: a slow line is slow, a silent client is gone.
	Piece = 64 << 10
)

// Trade tells of a fill and not of whose it is.
type Trade struct {
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

// TradeOf tells of a fill of a decision.
func TradeOf(d *engine.Decision, x *engine.OrderFilled) Trade {
	return Trade{d.Seq, x.Market, x.Outcome, x.Side, x.Amount, x.Shares, x.Average, x.Fee, d.At}
}

// Quote tells where a decision left a market's prices, pools and books, as the
// read model has them; it may be a decision ahead.
type Quote struct {
	Seq      engine.Seq            `json:"seq"`
	Market   engine.MarketID       `json:"market"`
	Outcomes []engine.OutcomeState `json:"outcomes"`
	At       engine.Time           `json:"decided_at"`
}

// appendJSON appends what json.Marshal writes; at is the text form of the trade's time.
func (t *Trade) appendJSON(b, at []byte) []byte {
	b = wire.AppendInt(b, `{"seq":`, int64(t.Seq))
	b = wire.AppendMarket(append(b, `,"market":`...), t.Market)
	b = wire.AppendWord(append(b, `,"outcome":`...), t.Outcome.String())
	b = wire.AppendWord(append(b, `,"side":`...), t.Side.String())
	b = wire.AppendInt(b, `,"amount_micros":`, int64(t.Amount))
	b = wire.AppendInt(b, `,"shares_micros":`, int64(t.Shares))
	b = wire.AppendInt(b, `,"average_price_micros":`, int64(t.Average))
	b = wire.AppendInt(b, `,"fee_micros":`, int64(t.Fee))
	return append(append(append(b, `,"decided_at":`...), at...), '}')
}

// appendJSON appends what json.Marshal writes.
func (q *Quote) appendJSON(b []byte) []byte {
	b = wire.AppendInt(b, `{"seq":`, int64(q.Seq))
	b = wire.AppendMarket(append(b, `,"market":`...), q.Market)
	b = append(b, `,"outcomes":[`...)
	for i := range q.Outcomes {
		o := &q.Outcomes[i]
		if i > 0 {
			b = append(b, ',')
		}
		b = wire.AppendWord(append(b, `{"outcome":`...), o.Outcome.String())
		if o.Label != "" {
			b = wire.AppendText(append(b, `,"label":`...), o.Label)
		}
		b = wire.AppendInt(b, `,"price_micros":`, int64(o.Price))
		b = wire.AppendInt(b, `,"twap_micros":`, int64(o.TWAP))
		b = wire.AppendInt(b, `,"twap_1m_micros":`, int64(o.TWAP1))
		b = wire.AppendInt(b, `,"twap_15m_micros":`, int64(o.TWAP15))
		b = wire.AppendInt(b, `,"pool_micros":`, int64(o.Pool))
		b = wire.AppendInt(b, `,"depth_micros":`, int64(o.Depth))
		b = wire.AppendOptional(b, `,"best_bid_micros":`, int64(o.Bid))
		b = append(wire.AppendOptional(b, `,"best_ask_micros":`, int64(o.Ask)), '}')
	}
	return append(wire.AppendTime(append(b, `],"decided_at":`...), q.At), '}')
}

// Market is a market with the sequence it was looked at.
type Market struct {
	Seq engine.Seq `json:"seq"`
	engine.Market
}

// News is what a decision tells the streams: trades, then where each market it
// touched stands.
type News struct {
	Trades  []*engine.OrderFilled
	Quotes  []engine.MarketID // their prices, pools or books moved
	Markets []engine.MarketID // opened, clarified, or in another state

	Degrades bool // the mode or its rule is another
}

// Of returns what a decision tells.
func Of(d *engine.Decision) (n News) {
	add := func(list *[]engine.MarketID, id engine.MarketID) {
		if !slices.Contains(*list, id) {
			*list = append(*list, id)
		}
	}
	for _, e := range d.Events {
		switch x := e.(type) {
		case *engine.OrderFilled:
			if x.Shares > 0 {
				if n.Trades == nil {
					n.Trades = make([]*engine.OrderFilled, 0, len(d.Events))
				}
				n.Trades = append(n.Trades, x)
			}
			add(&n.Quotes, x.Market)
		case *engine.OrderRested:
			add(&n.Quotes, x.Market)
		case *engine.OrderReduced:
			add(&n.Quotes, x.Market)
		case *engine.OrdersClosed:
			for _, o := range x.Orders {
				add(&n.Quotes, o.Market)
			}
		case *engine.LiquidityAdded:
			add(&n.Quotes, x.Market)
		case *engine.LiquidityRemoved:
			add(&n.Quotes, x.Market)
		case *engine.MarketOpened:
			add(&n.Markets, x.Market)
		case *engine.MarketGroupsSet:
			add(&n.Markets, x.Market)
		case *engine.CloseChanged:
			add(&n.Markets, x.Market)
		case *engine.MarketStateChanged:
			add(&n.Markets, x.Market)
		case *engine.MarketClarified:
			add(&n.Markets, x.Market)
		case *engine.ModeSet, *engine.PolicySet:
			n.Degrades = true
		}
	}
	return n
}

// None reports that it tells nothing of any market.
func (n *News) None() bool { return len(n.Trades)+len(n.Quotes)+len(n.Markets) == 0 }

// About returns the markets that it tells of, each once. Where there was a trade its quote
// may be held back.
func (n *News) About() []engine.MarketID {
	ids := slices.Concat(n.Quotes, n.Markets)
	for i, x := range n.Trades {
		if i == 0 || x.Market != n.Trades[i-1].Market { // most of a batch are of one
			ids = append(ids, x.Market)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// Only returns what it tells of one market.
func (n *News) Only(id engine.MarketID) (of News) {
	for _, x := range n.Trades {
		if x.Market == id {
			of.Trades = append(of.Trades, x)
		}
	}
	if slices.Contains(n.Quotes, id) {
		of.Quotes = []engine.MarketID{id}
	}
	if slices.Contains(n.Markets, id) {
		of.Markets = []engine.MarketID{id}
	}
	return of
}

// Encode writes the events of a decision. quote and market say where a market stands.
func (n *News) Encode(d *engine.Decision, quote func(engine.MarketID) Quote, market func(engine.MarketID) Market) ([]byte, error) {
	room := wire.Borrow()
	defer wire.Return(room)
	text := *room
	var word [32]byte
	at := wire.AppendTime(word[:0], d.At)
	left := len(n.Trades) + len(n.Quotes) + len(n.Markets)
	for _, x := range n.Trades {
		left--
		t := TradeOf(d, x)
		text = end(t.appendJSON(begin(text, d.Seq, left == 0, "trade"), at))
	}
	for _, id := range n.Quotes {
		left--
		text = Append(text, d.Seq, left == 0, quote(id))
	}
	for _, id := range n.Markets {
		left--
		b, err := json.Marshal(market(id))
		if err != nil {
			return nil, fmt.Errorf("encode market %s at decision %d: %w", id, d.Seq, err)
		}
		text = end(append(begin(text, d.Seq, left == 0, "market"), b...))
	}
	*room = text
	return bytes.Clone(text), nil // as large as it is: it is remembered
}

// Append encodes a quote; the last event of a frame carries the id.
func Append(text []byte, seq engine.Seq, last bool, q Quote) []byte {
	return end(q.appendJSON(begin(text, seq, last, "quote")))
}

func begin(text []byte, seq engine.Seq, last bool, name string) []byte {
	if last {
		text = append(strconv.AppendUint(append(text, "id: "...), uint64(seq), 10), '\n')
	}
	return append(append(append(text, "event: "...), name...), "\ndata: "...)
}

func end(text []byte) []byte { return append(text, "\n\n"...) }

// Heartbeat tells a stream the last sequence.
func Heartbeat(at engine.Seq) hub.Frame {
	return hub.Frame{Seq: at, Beat: true, Text: fmt.Appendf(nil, "id: %d\nevent: heartbeat\ndata: {\"seq\":%d}\n\n", at, at)}
}

// Gap says that what was decided after one sequence and up to another one was not told,
// and will not be: the server does not remember it. A snapshot follows, which carries the
// id.
func Gap(after, seq engine.Seq) []byte {
	return fmt.Appendf(nil, "event: gap\ndata: {\"after\":%d,\"seq\":%d}\n\n", after, seq)
}

// After reads where a client wants to go on; 0 is the beginning.
func After(r *http.Request) (engine.Seq, error) {
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

// pieces are buffers for what goes out in one write, by size. A stream has one only while
// it writes; but a thread may lose its processor in a write, and then others take theirs,
// until most of some thousands of streams have one. So each takes the smallest that holds
// what it has.
var pieces = [...]struct {
	size int
	pool sync.Pool
}{{size: 4 << 10}, {size: 16 << 10}, {size: Piece}}

// SendAll writes frames to a stream, many in one piece, and reports whether the client
// took them. One that is alone goes out as it is.
func SendAll(w http.ResponseWriter, frames []*hub.Frame) bool {
	if len(frames) == 1 {
		return Send(w, frames[0].Text)
	}
	total := 0
	for _, f := range frames {
		total += len(f.Text)
	}
	class := 0
	for pieces[class].size < min(total, Piece) {
		class++
	}
	piece, used := pieces[class].pool.Get().(*[]byte)
	if !used {
		b := make([]byte, 0, pieces[class].size)
		piece = &b
	}
	defer pieces[class].pool.Put(piece)
	text := (*piece)[:0]
	for _, f := range frames {
		if len(text)+len(f.Text) > Piece {
			if !Send(w, text) {
				return false
			}
			text = text[:0]
		}
		if len(f.Text) > Piece {
			if !Send(w, f.Text) {
				return false
			}
			continue
		}
		text = append(text, f.Text...)
	}
	return Send(w, text)
}

// Send writes to a stream in pieces, and reports whether the client took them.
func Send(w http.ResponseWriter, text []byte) bool {
	out := http.NewResponseController(w)
	for piece := range slices.Chunk(text, Piece) {
		if out.SetWriteDeadline(time.Now().Add(writeTimeout)) != nil {
			return false
		}
		if _, err := w.Write(piece); err != nil || out.Flush() != nil {
			return false
		}
	}
	return true
}
