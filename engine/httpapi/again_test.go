package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/hub"
	"github.com/mbp-market/mbp/engine/sequencer"
)

// again is another edge on the same decisions, as after a restart: it has told nobody
// anything yet.
func (e *edge) again(seq func(Sequencer) Sequencer) *edge {
	e.t.Helper()
	r := prometheus.NewRegistry()
	cfg := Config{Sequencer: seq(e.seq), Registerer: r, Gatherer: r, Logger: e.api.log, PanelConfig: PanelConfig{Env: "test"}}
	api, err := New(cfg)
	if err != nil {
		e.t.Fatal(err)
	}
	api.noting = time.Hour
	server := httptest.NewServer(api)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = api.Run(ctx) })
	e.t.Cleanup(func() { api.Drain(); cancel(); wg.Wait(); server.Close() })
	other := &edge{t: e.t, url: server.URL, api: api, seq: e.seq, metrics: r, logs: e.logs, admin: e.admin}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) { // it says 503 until it is ready
		r := other.send(http.MethodHead, "/v1/stream", e.admin, "")
		if r.status == http.StatusOK {
			return other
		}
		if time.Now().After(end) {
			e.t.Fatal(r.status)
		}
	}
}

// TestStreamGoesOnAfterARestart: who comes back to a server that has started meanwhile
// gets every decision after its last one and no snapshot; who was away for longer than
// is remembered gets the same from the journal.
func TestStreamGoesOnAfterARestart(t *testing.T) {
	e := start(t, options{})
	owner := e.funded(1_000_000)
	e.market(owner)
	order := func() engine.Seq {
		return e.submit(&engine.PlaceOrder{Account: owner, Market: 1, Side: engine.Buy, TIF: engine.IOC, Amount: 10}).Seq
	}
	p := engine.DefaultPolicy()
	p.Version, p.OrderInterval, p.OrderBurst = "1.0.1", 1, 1_000_000
	e.submit(&engine.SetPolicy{Policy: p})
	first := order()
	var last engine.Seq
	for range 20 {
		last = order()
	}
	other := e.again(func(q Sequencer) Sequencer { return q })
	next, leave := other.listen(other.admin, fmt.Sprint(first))
	for want := first + 1; want <= last; want++ {
		trade, quote := next(), next()
		if trade.kind != "trade" || quote.kind != "quote" || quote.id != fmt.Sprint(want) || !strings.Contains(trade.data, fmt.Sprintf(`"seq":%d,`, want)) {
			t.Fatalf("after %d came %+v %+v", want-1, trade, quote)
		}
	}
	if beat := next(); beat.kind != "heartbeat" || beat.id != fmt.Sprint(last) {
		t.Errorf("%+v", beat)
	}
	leave()
	many := make([]sequencer.Request, hub.Remembered/4)
	for i := range many {
		many[i] = sequencer.Request{Principal: engine.System, Command: &engine.PlaceOrder{Account: owner, Market: 1, Side: engine.Buy, TIF: engine.IOC, Amount: 10}}
	}
	for range 4 {
		got, err := e.seq.SubmitAll(context.Background(), many)
		if err != nil {
			t.Fatal(err)
		}
		last = got[len(got)-1].Decision.Seq
	}
	late := e.again(func(q Sequencer) Sequencer { return q })
	next, leave = late.listen(late.admin, fmt.Sprint(first))
	defer leave()
	for want := first + 1; want <= last; want++ {
		if trade, quote := next(), next(); trade.kind != "trade" || quote.kind != "quote" || quote.id != fmt.Sprint(want) {
			t.Fatalf("after %d of %d came %+v %+v", want-1, last, trade, quote)
		}
	}
}

// archived has no decision from before it began.
type archived struct {
	Sequencer
	from engine.Seq
}

func (a *archived) Follow(ctx context.Context, from engine.Seq, fn func(sequencer.Committed) error) error {
	if from < a.from {
		return fmt.Errorf("sequence %d is in the archive", from)
	}
	return a.Sequencer.Follow(ctx, from, fn)
}

// TestStreamBeginsWhereTheJournalDoes: where the decisions before the start are gone,
// streams are served from the start on.
func TestStreamBeginsWhereTheJournalDoes(t *testing.T) {
	e := start(t, options{})
	owner := e.funded(100_000)
	e.market(owner)
	at := e.seq.Durable()
	other := e.again(func(q Sequencer) Sequencer { return &archived{q, at + 1} })
	next, leave := other.listen(other.admin, "1")
	defer leave()
	if gap, s := next(), next(); gap.kind != "gap" || gap.data != fmt.Sprintf(`{"after":1,"seq":%d}`, at) || s.kind != "snapshot" || s.id != fmt.Sprint(at) {
		t.Errorf("%+v %+v", gap, s)
	}
	r := e.post("/v1/orders", e.key("ana", engine.RoleTrader, owner), buyTen)
	if trade := next(); r.status != http.StatusCreated || trade.kind != "trade" {
		t.Errorf("%d, then %+v", r.status, trade)
	}
}
