package stream

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/httpapi/hub"
	"github.com/mbp-market/mbp/engine/httpapi/own"
	"github.com/mbp-market/mbp/engine/httpapi/problem"
	"github.com/mbp-market/mbp/engine/sequencer"
)

// said is an event as it was written.
type said struct{ id, kind, data string }

// read cuts what was written into events.
func read(t *testing.T, text string) (all []said) {
	t.Helper()
	for block := range strings.SplitSeq(strings.TrimSuffix(text, "\n\n"), "\n\n") {
		var e said
		for line := range strings.Lines(block) {
			name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
			switch name {
			case "id":
				e.id = value
			case "event":
				e.kind = value
			case "data":
				e.data = value
			default:
				t.Fatalf("%q is no event", block)
			}
		}
		all = append(all, e)
	}
	return all
}

// facts are what a decision alone says: where a market or an account stands is looked up
// when it is told, so of that only the place counts.
func facts(all []said) (words []string) {
	for _, e := range all {
		switch e.kind {
		case "snapshot", "heartbeat":
		case "quote", "market", "account":
			words = append(words, e.id+" "+e.kind)
		default:
			words = append(words, e.id+" "+e.kind+" "+e.data)
		}
	}
	return words
}

// busy has accounts trade on two markets, and ends one of them.
func (f *feed) busy(accounts []engine.AccountID, turns int) {
	f.t.Helper()
	r := rand.New(rand.NewPCG(7, 7))
	try := func(c engine.Command) {
		got, err := f.seq.Submit(f.t.Context(), sequencer.Request{Principal: engine.System, Command: c})
		if err != nil {
			f.t.Fatalf("%s: %v %+v", c.Type(), err, got)
		}
	}
	order := func() *engine.PlaceOrder {
		x := &engine.PlaceOrder{
			Account: accounts[r.IntN(len(accounts))], Market: engine.MarketID(1 + r.IntN(2)), Outcome: []engine.Outcome{engine.Yes, engine.No}[r.IntN(2)],
			Side: []engine.Side{engine.Buy, engine.Sell}[r.IntN(3)/2], TIF: engine.IOC, Shares: engine.Shares(1+r.Int64N(30)) * engine.One,
		}
		if r.IntN(2) == 0 {
			x.TIF, x.Limit = engine.GTC, engine.Price(400_000+1000*r.Int64N(200))
		}
		return x
	}
	for range turns {
		switch r.IntN(12) {
		case 0:
			try(&engine.CancelAll{Account: accounts[r.IntN(len(accounts))]})
		case 1:
			try(&engine.Batch{Items: []engine.Command{order(), order(), order()}})
		case 2:
			try(&engine.SplitSets{Account: accounts[0], Market: 1, Amount: engine.One})
		case 3:
			try(&engine.MergeSets{Account: accounts[0], Market: 1, Amount: engine.One})
		case 4:
			try(&engine.AddLiquidity{Account: accounts[1], Market: 2, Amount: 3 * engine.One})
		case 5:
			try(&engine.RemoveLiquidity{Account: accounts[1], Market: 2, Units: engine.One})
		case 6:
			try(&engine.GrantCredits{Account: accounts[2], Amount: engine.One})
		default:
			try(order())
		}
	}
	try(&engine.CancelMarket{Market: 2, Kind: engine.CancelRefund, EvidenceURI: "urn:x:1", EvidenceSHA256: engine.Digest{1}})
	for open := true; open; { // the engine ends it by itself, piece by piece
		f.src.View(func(s *core.State) {
			l, _ := s.Look(2, f.src.Now())
			open = l.Market().State != engine.Canceled
		})
	}
}

// traded is a feed on which much has happened, with those who did it.
func traded(t *testing.T, turns int) (f *feed, accounts []engine.AccountID, begun engine.Seq, live func(hub.Topic) string) {
	t.Helper()
	f = start(t, nil)
	p := engine.DefaultPolicy()
	p.Version, p.OrderInterval, p.OrderBurst = "1.0.1", 1, 1_000_000
	f.submit(&engine.SetPolicy{Policy: p})
	creator := f.funded(100_000)
	f.market(creator)
	f.market(creator)
	for range 3 {
		accounts = append(accounts, f.funded(1000))
	}
	begun = f.reach()
	texts := map[hub.Topic]*httptest.ResponseRecorder{}
	var all []*hub.Stream
	var wg sync.WaitGroup
	for _, topic := range topicsOf(accounts) {
		to, w := f.enter(topic), httptest.NewRecorder()
		texts[topic] = w
		last, missed, ok := f.begin(t.Context(), deadlines{w}, always.to(topic), to, begun)
		if !ok {
			t.Fatal("a stream does not begin")
		}
		all = append(all, to)
		wg.Go(func() { f.pump(t.Context(), deadlines{w}, always.to(topic), to, last, missed) })
	}
	f.busy(accounts, turns)
	f.reach()
	for _, to := range all {
		f.hub.Leave(to) // what was sent before still goes out
	}
	wg.Wait()
	return f, accounts, begun, func(topic hub.Topic) string { return texts[topic].Body.String() }
}

func topicsOf(accounts []engine.AccountID) []hub.Topic {
	all := []hub.Topic{{}, {Market: 1}, {Market: 2}}
	for _, a := range accounts {
		all = append(all, hub.Topic{Account: a})
	}
	return all
}

// TestThreeWaysToBeTold: who listened all the time, who comes back while it is
// remembered, and who comes back so late that the journal is read are told the same.
func TestThreeWaysToBeTold(t *testing.T) {
	f, accounts, begun, live := traded(t, 200)
	at := f.Position()
	late := New(Config{Source: f.src, Metrics: f.metrics, Log: f.log, Most: 100, MostOfOne: 100})
	late.hub.Begin(at, at) // it remembers nothing
	for _, topic := range topicsOf(accounts) {
		heard := facts(read(t, live(topic)))
		if len(heard) < 20 {
			t.Errorf("%+v: only %d events", topic, len(heard))
		}
		for way, s := range map[string]*Server{"ring": f.Server, "journal": late} {
			to, w := f.enter(topic), httptest.NewRecorder()
			if s == late {
				var err error
				if to, err = late.hub.Enter(engine.Digest{2}, topic); err != nil {
					t.Fatal(err)
				}
			}
			asked, who := 0, always.to(topic)
			who.Read = func(n int) { asked = n }
			last, missed, ok := s.begin(t.Context(), deadlines{w}, who, to, begun)
			if !ok {
				t.Fatalf("%+v from the %s: it does not begin", topic, way)
			}
			s.hub.Leave(to)
			s.pump(t.Context(), deadlines{w}, who, to, last, missed)
			if want := map[string]int{"ring": 0, "journal": int(at - begun)}[way]; asked != want {
				t.Errorf("%+v from the %s: %d decisions are read, want %d", topic, way, asked, want)
			}
			all := read(t, w.Body.String())
			if got := facts(all); !slices.Equal(got, heard) {
				t.Errorf("%+v from the %s: %d events, live %d\n%s\n%s", topic, way, len(got), len(heard), strings.Join(got, "\n"), strings.Join(heard, "\n"))
			}
			if end := all[len(all)-1]; end.kind != "heartbeat" || end.id != fmt.Sprint(at) {
				t.Errorf("%+v from the %s: it ends with %+v, want a heartbeat at %d", topic, way, end, at)
			}
		}
	}
}

// TestWhatAccountsAreToldAddsUp: who has nothing but the stream of an account knows to
// the micro what it has, and which orders wait.
func TestWhatAccountsAreToldAddsUp(t *testing.T) {
	f, accounts, begun, live := traded(t, 300)
	for _, id := range accounts {
		credits, orders := engine.Micros(1000*engine.One), map[engine.OrderID]engine.Shares{}
		var stand own.Standing
		for _, e := range read(t, live(hub.Topic{Account: id})) {
			var doc struct {
				Role, Change string
				Order        engine.OrderID
				Side         engine.Side
				Amount       engine.Micros `json:"amount_micros"`
				Fee          engine.Micros `json:"fee_micros"`
				Shares       engine.Shares `json:"shares_micros"`
				Credits      engine.Micros `json:"credits_micros"`
			}
			if err := json.Unmarshal([]byte(e.data), &doc); err != nil {
				t.Fatal(err)
			}
			switch {
			case e.kind == "grant", doc.Change == "merged", doc.Change == "removed":
				credits += doc.Amount
			case doc.Change == "split", doc.Change == "added":
				credits -= doc.Amount
			case e.kind == "payout":
				credits += doc.Credits
			case e.kind == "fill":
				if credits -= doc.Fee; doc.Side == engine.Sell {
					credits += doc.Amount
				} else {
					credits -= doc.Amount
				}
				if doc.Role == "maker" {
					orders[doc.Order] -= doc.Shares
				}
			case doc.Change == "rested", doc.Change == "reduced":
				orders[doc.Order] = doc.Shares
			case doc.Change == "met_own":
				orders[doc.Order] -= doc.Shares
			case doc.Change == "closed":
				if orders[doc.Order] != doc.Shares {
					t.Errorf("%s closes with %d shares, it had %d", doc.Order, doc.Shares, orders[doc.Order])
				}
				delete(orders, doc.Order)
			case e.kind == "account":
				if err := json.Unmarshal([]byte(e.data), &stand); err != nil {
					t.Fatal(err)
				}
			}
			if orders[doc.Order] == 0 {
				delete(orders, doc.Order)
			}
		}
		var want engine.Account
		var waiting []engine.OpenOrder
		f.src.View(func(s *core.State) { want, _ = s.Account(id); waiting = s.Orders(id) })
		if credits != want.Available+want.Reserved || stand.Available != want.Available || stand.Reserved != want.Reserved {
			t.Errorf("since %d %s comes to %d, and stands at %d and %d; it has %d and %d", begun, id, credits, stand.Available, stand.Reserved, want.Available, want.Reserved)
		}
		for _, o := range waiting {
			if orders[o.Order] != o.Shares {
				t.Errorf("%s waits with %d shares, the stream says %d", o.Order, o.Shares, orders[o.Order])
			}
			delete(orders, o.Order)
		}
		if len(orders) != 0 {
			t.Errorf("%v do not wait", orders)
		}
	}
}

// TestRightIsLookedAtAgain: a right that is lost while the stream is opened, or while the
// journal is read for it, ends it before anything more is told.
func TestRightIsLookedAtAgain(t *testing.T) {
	f := start(t, nil)
	owner := f.funded(100_000)
	f.market(owner)
	at := f.reach()
	never := always.to(hub.Topic{Account: owner})
	never.Holds = func(time.Time) bool { return false }
	w := httptest.NewRecorder()
	var refused *problem.Refusal
	if err := f.Serve(w, httptest.NewRequest(http.MethodGet, "/", nil), never); !errors.As(err, &refused) || refused.Code != problem.Unauthenticated || w.Body.Len() != 0 {
		t.Errorf("%v after %q", err, w.Body)
	}
	late := New(Config{Source: f.src, Metrics: f.metrics, Log: f.log, Most: 100, MostOfOne: 100})
	late.hub.Begin(at, at)
	to, err := late.hub.Enter(engine.Digest{1}, never.Topic)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, ok := late.begin(t.Context(), deadlines{w}, never, to, 1); ok || w.Body.Len() != 0 {
		t.Errorf("%v, it is told %q", ok, w.Body)
	}
}

// TestGapIsSaid: where what was missed is too much, or too many read already, the client
// is told so, and begins with a snapshot.
func TestGapIsSaid(t *testing.T) {
	f := start(t, nil)
	owner := f.funded(100_000)
	f.market(owner)
	at := f.reach()
	for what, full := range map[string]bool{"it is too deep": false, "others read": true} {
		late := New(Config{Source: f.src, Metrics: f.metrics, Log: f.log, Most: 100, MostOfOne: 100})
		late.hub.Begin(at, at)
		if late.deepest = at - 2; full {
			late.deepest = maxRead
			for range maxReaders {
				late.reading <- struct{}{}
			}
		}
		for _, topic := range topicsOf([]engine.AccountID{owner}) {
			if topic.Market == 2 {
				continue
			}
			to, err := late.hub.Enter(engine.Digest{1}, topic)
			if err != nil {
				t.Fatal(err)
			}
			w := httptest.NewRecorder()
			last, missed, ok := late.begin(t.Context(), deadlines{w}, always.to(topic), to, 1)
			all := read(t, w.Body.String())
			if !ok || last != at || len(missed) != 0 || len(all) != 2 || all[0] != (said{"", "gap", fmt.Sprintf(`{"after":1,"seq":%d}`, at)}) || all[1].kind != "snapshot" || all[1].id != fmt.Sprint(at) {
				t.Errorf("%s, %+v: %v at %d with %d: %+v", what, topic, ok, last, len(missed), all)
			}
			if len(late.reading) != 0 && !full {
				t.Error("a reader has not left")
			}
		}
	}
}
