package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
	"github.com/mbp-market/mbp/engine/httpapi/history"
	"github.com/mbp-market/mbp/engine/httpapi/problem"
	"github.com/mbp-market/mbp/engine/httpapi/wire"
	"github.com/mbp-market/mbp/engine/sequencer"
)

// TestPastThroughTheClient: what an order made is read back at once, by its owner
// with order and role, by everybody without.
func TestPastThroughTheClient(t *testing.T) {
	e := start(t, options{})
	e.market(e.funded(10_000))
	maker, taker := e.funded(1000), e.funded(1000)
	bob, ana := e.as(e.key("maker", engine.RoleTrader, maker)), e.as(e.key("taker", engine.RoleTrader, taker))
	ctx := t.Context()
	rested := done[client.Decision](t)(bob.PlaceOrder(ctx, client.Order{Market: 1, Outcome: engine.No, Side: engine.Buy, TIF: engine.GTC, Shares: 50 * engine.One, Limit: 450_000}))
	taken := done[client.Decision](t)(ana.PlaceOrder(ctx, client.Order{Market: 1, Outcome: engine.Yes, Side: engine.Buy, TIF: engine.IOC, Shares: 400 * engine.One}))

	mine := done[client.TradePage](t)(ana.AccountTrades(ctx, taker, client.Past{}))
	if len(mine.Trades) != 1 || mine.Trades[0].Role != "taker" || mine.Trades[0].Order != engine.OrderOf(taken.Seq, 0) || mine.Trades[0].Shares == 0 {
		t.Errorf("%+v", mine)
	}
	outcome := engine.No
	theirs := done[client.TradePage](t)(bob.AccountTrades(ctx, maker, client.Past{Market: 1, Outcome: &outcome, Side: engine.Buy, From: 1, Until: e.seq.Now() + 1_000_000, Limit: 5}))
	if len(theirs.Trades) != 1 || theirs.Trades[0].Role != "maker" || theirs.Trades[0].Order != engine.OrderOf(rested.Seq, 0) || theirs.Trades[0].Shares != 50*engine.One {
		t.Errorf("%+v", theirs)
	}
	tape := done[client.TradePage](t)(bob.MarketTrades(ctx, 1, client.Past{}))
	if len(tape.Trades) != 1 || tape.Trades[0].Order != 0 || tape.Trades[0].Role != "" || tape.Trades[0].Amount != mine.Trades[0].Amount {
		t.Errorf("%+v", tape)
	}
	candles := done[client.CandlePage](t)(bob.Candles(ctx, 1, engine.Yes, "1d", client.Past{}))
	if len(candles.Candles) != 1 || candles.Candles[0].Trades != 1 || candles.Candles[0].Close != mine.Trades[0].After || candles.Candles[0].Open != engine.One/2 {
		t.Errorf("%+v", candles)
	}
	orders := done[client.PastOrderPage](t)(bob.PastOrders(ctx, maker, client.Past{}))
	if len(orders.Orders) != 1 || orders.Orders[0].End != "filled" || orders.Orders[0].Filled != 50*engine.One {
		t.Errorf("%+v", orders)
	}
	p := done[client.Portfolio](t)(ana.Portfolio(ctx, taker, true, client.Past{}))
	a := done[client.Account](t)(ana.Account(ctx, taker))
	if p.Granted-p.Paid != a.Available || p.Cost != p.Paid || len(p.Markets) != 1 || p.Markets[0].Positions[0].Shares != mine.Trades[0].Shares || p.Profit.Profit != p.Value-p.Paid {
		t.Errorf("%+v of %+v", p, a)
	}
}

// TestPastIsReadFromTheJournal: a server that starts later tells the same, and one
// that is not there yet says so.
func TestPastIsReadFromTheJournal(t *testing.T) {
	e := start(t, options{})
	owner := e.funded(10_000)
	e.market(owner)
	ana := e.key("ana", engine.RoleTrader, owner)
	for i := range 20 {
		if r := e.post("/v1/orders", ana, strings.Replace(buyTen, "YES", []string{"YES", "NO"}[i%2], 1)); r.status != http.StatusCreated {
			t.Fatal(r.body)
		}
	}
	late := history.New()
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- late.Run(ctx, e.seq.Follow) }()
	if err := late.Wait(ctx, e.seq.Durable()); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-ran; err != nil {
		t.Error(err)
	}
	for path, read := range map[string]func(*wire.Request) (any, error){
		"/v1/accounts/acc_1/trades": late.AccountTrades, "/v1/accounts/acc_1/orders": late.AccountOrders, "/v1/accounts/acc_1/portfolio": late.Portfolio,
		"/v1/markets/mkt_1/trades": late.MarketTrades, "/v1/markets/mkt_1/candles?outcome=YES": late.Candles,
	} {
		address, query, _ := strings.Cut(path, "?")
		form, err := wire.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := read(&wire.Request{Form: form, Path: func(string) string { return strings.Split(address, "/")[3] }})
		want, _ := json.Marshal(doc)
		if got := e.get(path, ana).body; err != nil || got != string(want)+"\n" || !strings.Contains(got, "micros") {
			t.Errorf("%s: %v\n%s\n%s", path, err, want, got)
		}
	}
	e.api.history = history.New() // of a server that has just started
	if r := e.get("/v1/accounts/acc_1/trades", ana); r.status != http.StatusPreconditionFailed || r.code(t) != problem.Behind {
		t.Errorf("%d %s", r.status, r.body)
	}
}

// pastless refuses to tell its decisions from the first one on.
type pastless struct{ Sequencer }

func (p pastless) Follow(ctx context.Context, from engine.Seq, fn func(sequencer.Committed) error) error {
	if from == 1 {
		return errors.New("the first segment is gone")
	}
	return p.Sequencer.Follow(ctx, from, fn)
}

// TestHistoryMayFail: trading goes on, and the log says why the past cannot be read.
func TestHistoryMayFail(t *testing.T) {
	e := start(t, options{seq: func(s Sequencer) Sequencer { return pastless{s} }})
	owner := e.funded(10_000)
	e.market(owner)
	if r := e.post("/v1/orders", e.key("ana", engine.RoleTrader, owner), buyTen); r.status != http.StatusCreated {
		t.Error(r.body)
	}
	if r := e.get("/v1/markets/mkt_1/trades", e.admin); r.code(t) != problem.Behind {
		t.Errorf("%d %s", r.status, r.body)
	}
	if !strings.Contains(e.logs.String(), "the first segment is gone") {
		t.Error(e.logs)
	}
}
