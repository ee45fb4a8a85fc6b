package history

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/problem"
	"github.com/mbp-market/mbp/engine/httpapi/wire"
	"github.com/mbp-market/mbp/engine/sequencer"
)

type reader func(*wire.Request) (any, error)

// ask reads as the edge does.
func ask(t *testing.T, read reader, id, query string) (any, error) {
	t.Helper()
	f, err := wire.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	return read(&wire.Request{Form: f, Path: func(string) string { return id }})
}

// pages reads page after page of so many rows and returns the rows as JSON.
func pages(t *testing.T, read reader, id, query string, limit int) (rows []string) {
	t.Helper()
	for before, n := uint64(0), 0; ; n++ {
		q := fmt.Sprintf("%s&limit=%d", query, limit)
		if before != 0 {
			q += fmt.Sprintf("&before=%d", before)
		}
		doc, err := ask(t, read, id, q)
		if err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		var page struct {
			Candles, Trades, Orders, Markets []json.RawMessage
			Next                             uint64
		}
		if err := json.Unmarshal(b, &page); err != nil {
			t.Fatal(err)
		}
		got := slices.Concat(page.Candles, page.Trades, page.Orders, page.Markets)
		for _, row := range got {
			rows = append(rows, string(row))
		}
		if len(got) > limit || page.Next != 0 && before != 0 && page.Next >= before || n > 10_000 {
			t.Fatalf("page %d of %s has %d rows and goes on at %d after %d", n, q, len(got), page.Next, before)
		}
		if before = page.Next; before == 0 {
			return rows
		}
	}
}

// point is what the reference remembers: where a decision left a price, and what
// was traded.
type point struct {
	at     engine.Time
	price  engine.Price
	volume engine.Micros
	trades uint32
}

// candlesOf makes candles from all points, the way a reader of the tape would.
func candlesOf(points []point, every int64) (out []Candle) {
	last := points[0].price
	for _, p := range points {
		start := p.at - p.at%engine.Time(every)
		if p.price == last && p.trades == 0 && len(out) > 0 {
			continue
		}
		if len(out) == 0 || out[0].Start != start {
			out = slices.Insert(out, 0, Candle{Start: start, Open: last, High: last, Low: last})
		}
		c := &out[0]
		c.High, c.Low, c.Close = max(c.High, p.price), min(c.Low, p.price), p.price
		c.Volume += p.volume
		c.Trades += p.trades
		last = p.price
	}
	return out
}

// TestPages: candles are those that the tape gives, in pages of any size; trades and
// orders are complete, in order, and of whoever asked.
func TestPages(t *testing.T) {
	w := newWorld(t, New())
	for range 3 {
		w.account(2000)
	}
	tape := map[engine.MarketID][][]point{}
	for _, k := range []engine.MarketKind{engine.Binary, engine.Categorical, engine.Scalar} {
		id := w.market(k, 3, 1)
		tape[id] = make([][]point, w.outcomes(id))
		w.tell(id, tape[id], nil)
	}
	r := rand.New(rand.NewPCG(1, 2))
	taken := map[engine.AccountID]int{}
	for range 500 {
		w.now += engine.Time(r.Int64N(int64(300 * second)))
		c := w.wish(r)
		if _, batch := c.(*engine.Batch); batch {
			continue // it moves a price twice, and the reference sees the state behind it only
		}
		fills := map[engine.MarketID]*engine.OrderFilled{}
		for _, e := range w.do("boot", c).Events {
			x, is := e.(*engine.OrderFilled)
			if !is || x.Shares == 0 {
				continue
			}
			fills[x.Market] = x
			taken[x.Account]++
			for _, f := range x.Fills {
				if f.Maker != 0 {
					taken[f.Account]++
				}
			}
		}
		for id, t := range tape {
			w.tell(id, t, fills[id])
		}
	}
	for id, outcomes := range tape {
		m, _ := w.s.Market(id, w.now)
		for i, o := range m.Outcomes {
			for k, every := range lengths {
				var want []string
				for _, c := range candlesOf(outcomes[i], every) {
					b, _ := json.Marshal(c)
					want = append(want, string(b))
				}
				query := "outcome=" + o.Outcome.String() + "&interval=" + words[k]
				for _, limit := range []int{7, maxCandles} {
					if got := pages(t, w.h.Candles, id.String(), query, limit); !slices.Equal(got, want) {
						t.Fatalf("%s %s:\n%v\nwant\n%v", id, query, got, want)
					}
				}
			}
		}
	}
	for id := range engine.AccountID(w.traders) {
		account := (id + 1).String()
		trades := pages(t, w.h.AccountTrades, account, "", maxPage)
		if len(trades) != taken[id+1] || taken[id+1] == 0 || !slices.Equal(trades, pages(t, w.h.AccountTrades, account, "", 3)) {
			t.Errorf("%s has %d trades in one page and %d made", account, len(trades), taken[id+1])
		}
		whole := pages(t, w.h.AccountOrders, account, "", maxPage)
		if len(whole) == 0 || !slices.Equal(whole, pages(t, w.h.AccountOrders, account, "", 1)) {
			t.Errorf("%s: orders differ by the size of the page", account)
		}
		parts := 0
		for _, side := range []string{"buy", "sell"} {
			for m := range tape {
				parts += len(pages(t, w.h.AccountTrades, account, "side="+side+"&market="+m.String(), 2))
			}
		}
		if parts != len(trades) {
			t.Errorf("%s: %d trades by market and side, %d in all", account, parts, len(trades))
		}
		if got := pages(t, w.h.Portfolio, account, "", 2); len(got) != len(w.h.accounts[id].holdings) {
			t.Errorf("%s: %d markets in pages, %d in all", account, len(got), len(w.h.accounts[id].holdings))
		}
	}
}

func (w *world) outcomes(id engine.MarketID) int {
	m, _ := w.s.Market(id, w.now)
	return len(m.Outcomes)
}

// tell adds where a market stands, and what was traded, to its tape.
func (w *world) tell(id engine.MarketID, tape [][]point, x *engine.OrderFilled) {
	m, _ := w.s.Market(id, w.now)
	for i, o := range m.Outcomes {
		p := point{w.now, o.Price, 0, 0}
		if x != nil && (m.Kind != engine.Categorical || x.Outcome == o.Outcome) {
			p.volume, p.trades = x.Amount, 1
		}
		tape[i] = append(tape[i], p)
	}
}

// TestOldRowsMakeRoom: what is kept is bounded, a page ends where rows have made
// room, and a cursor that leads into them or to rows of others gives nothing.
func TestOldRowsMakeRoom(t *testing.T) {
	h := New()
	h.trades.size, h.over.size, h.candles[0].size = 16, 8, 4
	w := newWorld(t, h)
	ana, bob := w.account(2000), w.account(2000)
	m := w.market(engine.Binary, 2, ana)
	for i := range 40 {
		w.now += 61 * second
		of := ana
		if i%2 == 0 {
			of = bob
		}
		w.do("boot", &engine.PlaceOrder{Account: of, Market: m, Outcome: engine.Yes, Side: engine.Buy, TIF: engine.IOC, Amount: engine.One})
	}
	rows := func(read reader, id, query string) int { return len(pages(t, read, id, query, 5)) }
	if n := rows(h.MarketTrades, m.String(), ""); n != 16 || h.trades.len() != 16 {
		t.Errorf("%d trades of the market, %d kept", n, h.trades.len())
	}
	if n := rows(h.AccountTrades, ana.String(), ""); n != 8 {
		t.Errorf("%d trades of the account", n)
	}
	if n := rows(h.AccountOrders, ana.String(), ""); n != 4 {
		t.Errorf("%d orders of the account", n)
	}
	if n := rows(h.Candles, m.String(), "outcome=NO"); n != 4 {
		t.Errorf("%d candles", n)
	}
	last := h.accounts[ana-1].trade
	for _, before := range []uint64{1, 2, last - 30, last, last + 5, 1 << 60} { // gone, of bob, not there yet
		doc, err := ask(t, h.AccountTrades, ana.String(), fmt.Sprint("before=", before))
		if err != nil || len(doc.(Trades).Trades) != 0 || doc.(Trades).Next != 0 {
			t.Errorf("before %d: %v %+v", before, err, doc)
		}
	}
}

// TestUnknownNames: what does not exist is refused by the engine's words, what does
// not parse as malformed.
func TestUnknownNames(t *testing.T) {
	w := newWorld(t, New())
	ana := w.account(1000)
	m := w.market(engine.Categorical, 3, ana)
	for _, c := range []struct {
		read      reader
		id, query string
		want      engine.Code // 0: malformed
	}{
		{w.h.Candles, "mkt_9", "outcome=O1", engine.MarketNotFound},
		{w.h.Candles, m.String(), "outcome=O4", engine.InvalidCommand},
		{w.h.Candles, m.String(), "outcome=YES", engine.InvalidCommand},
		{w.h.Candles, m.String(), "outcome=O1&interval=2m", 0},
		{w.h.Candles, m.String(), "outcome=O1&limit=1441", 0},
		{w.h.Candles, m.String(), "", 0},
		{w.h.MarketTrades, "mkt_9", "", engine.MarketNotFound},
		{w.h.MarketTrades, m.String(), "market=mkt_1", 0},
		{w.h.AccountTrades, "acc_9", "", engine.AccountNotFound},
		{w.h.AccountOrders, "acc_9", "", engine.AccountNotFound},
		{w.h.AccountOrders, "acc_1", "before=0", 0},
		{w.h.AccountOrders, "acc_1", "side=both", 0},
		{w.h.Portfolio, "acc_9", "", engine.AccountNotFound},
		{w.h.Portfolio, "acc_1", "limit=501", 0},
		{w.h.Portfolio, "acc", "", 0},
	} {
		_, err := ask(t, c.read, c.id, c.query)
		var no *problem.Refusal
		var fault *wire.Fault
		if errors.As(err, &no) && no.Code == c.want.String() && no.Seq == w.h.Seq() || c.want == 0 && errors.As(err, &fault) {
			continue
		}
		t.Errorf("%s?%s: %v", c.id, c.query, err)
	}
}

// TestRun: the model is fed in order, waits for what is asked of it, and stops on a
// log with a gap.
func TestRun(t *testing.T) {
	decisions := []*engine.Decision{{Seq: 1}, {Seq: 2}, {Seq: 4}}
	h, fed := New(), make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	waited := make(chan error, 1)
	go func() { waited <- h.Wait(ctx, 2) }()
	err := h.Run(ctx, func(_ context.Context, from engine.Seq, fn func(sequencer.Committed) error) error {
		defer close(fed)
		for _, d := range decisions[from-1:] {
			if err := fn(sequencer.Committed{Decision: d}); err != nil {
				return err
			}
		}
		return nil
	})
	if <-fed; err == nil || h.Seq() != 2 {
		t.Errorf("the gap before 4: %v at %d", err, h.Seq())
	}
	if err := <-waited; err != nil {
		t.Errorf("2 is there: %v", err)
	}
	if got := h.Wait(ctx, 3); !errors.Is(got, err) {
		t.Errorf("3 never comes, and who waits gets %v", got)
	}
	cancel()
	if err := New().Wait(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("1 never comes: %v", err)
	}
	if err := New().Run(ctx, func(ctx context.Context, _ engine.Seq, _ func(sequencer.Committed) error) error { return ctx.Err() }); err != nil {
		t.Errorf("the end is no error: %v", err)
	}
}
