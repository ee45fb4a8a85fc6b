package crowd

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
	"github.com/mbp-market/mbp/sim/playback"
	"github.com/mbp-market/mbp/sim/world"
)

func testWorld(traders, markets int) *world.World {
	w := &world.World{BaseURL: "http://127.0.0.1:1"}
	for i := range markets {
		w.Markets = append(w.Markets, world.Market{Market: engine.MarketID(i + 1), Weight: 1 / float64(markets)})
	}
	for i := range traders {
		w.Traders = append(w.Traders, world.Trader{Account: engine.AccountID(i + 1), Key: "mbp_" + fmt.Sprint(i)})
	}
	return w
}

// answers is a venue that says whatever a test drew, and remembers the orders.
type answers struct {
	mu      sync.Mutex
	markets []engine.Market
	say     func(o engine.PlaceOrder) (engine.OrderFilled, error)
	orders  []engine.PlaceOrder
	keys    map[string]bool
	at      map[engine.AccountID][]time.Time
}

func newAnswers(markets int, say func(engine.PlaceOrder) (engine.OrderFilled, error)) *answers {
	v := &answers{say: say, keys: map[string]bool{}, at: map[engine.AccountID][]time.Time{}}
	for i := range markets {
		v.markets = append(v.markets, engine.Market{
			Market: engine.MarketID(i + 1), State: engine.Open,
			Outcomes: []engine.OutcomeState{{Outcome: engine.Yes, Price: engine.One / 2}, {Outcome: engine.No, Price: engine.One / 2}},
		})
	}
	return v
}

func (v *answers) Markets(context.Context, engine.MarketID, engine.MarketID) ([]engine.Market, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.markets), nil
}

func (v *answers) Holdings(_ context.Context, a playback.Account) (engine.Account, error) {
	return engine.Account{Account: a.ID, Available: 1000 * engine.One}, nil
}

func (v *answers) Order(_ context.Context, _ playback.Account, o engine.PlaceOrder, key string) (playback.Fill, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.orders = append(v.orders, o)
	v.keys[key] = true
	v.at[o.Account] = append(v.at[o.Account], time.Now())
	f, err := v.say(o)
	if err == nil {
		v.markets[o.Market-1].Outcomes[0].Price = yes(f.PriceAfter, f.Outcome)
	}
	return playback.Fill{OrderFilled: f}, err
}

// filled fills everything at one half and leaves the price where it is told.
func filled(o engine.PlaceOrder, after engine.Price) engine.OrderFilled {
	f := engine.OrderFilled{Account: o.Account, Market: o.Market, Outcome: o.Outcome, Side: o.Side, Amount: o.Amount, Shares: o.Shares, PriceAfter: after}
	if o.Side == engine.Buy {
		f.Shares = engine.Shares(o.Amount) * 2
	} else {
		f.Amount = engine.Micros(o.Shares) / 2
	}
	return f
}

func refusal(code string, status int) error {
	return &client.Problem{Status: status, Code: code, Seq: 7, Instance: "/v1/decisions/7"}
}

// TestEqualAnswersEqualOrders: with equal seeds and equal answers the plans are
// equal; whatever the answers are, nobody orders twice in a round, spends more
// than the budget, sells what he does not hold, or bids beyond the bounds.
func TestEqualAnswersEqualOrders(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := testWorld(rapid.IntRange(1, 30).Draw(t, "traders"), rapid.IntRange(1, 5).Draw(t, "markets"))
		seed := rapid.Uint64().Draw(t, "seed")
		credits := engine.Micros(rapid.Int64Range(0, int64(engine.MaxAmount)).Draw(t, "credits"))
		one, two := newCrowd(w, seed), newCrowd(w, seed)
		for i := range w.Traders {
			one.endow(i, engine.Account{Available: credits}, nil)
			two.endow(i, engine.Account{Available: credits}, nil)
		}
		for range rapid.IntRange(1, 30).Draw(t, "rounds") {
			views := make([]view, len(w.Markets))
			for i := range views {
				views[i] = view{rapid.IntRange(0, 9).Draw(t, "open") > 0, engine.Price(rapid.Int64Range(10_000, 990_000).Draw(t, "price"))}
			}
			most := rapid.IntRange(1, 20).Draw(t, "most")
			wishes := one.plan(views, most)
			if again := two.plan(views, most); !reflect.DeepEqual(wishes, again) {
				t.Fatalf("%+v\n%+v", wishes, again)
			}
			if len(wishes) > most {
				t.Fatalf("%d orders, %d were wanted", len(wishes), most)
			}
			checkWishes(t, one, views, wishes)
			for _, x := range wishes {
				if rapid.Bool().Draw(t, "accepted") {
					f := filled(x.order, engine.One/2)
					one.learn(x, f)
					two.learn(x, f)
				}
			}
		}
		if !slices.Equal(one.truth.now, two.truth.now) {
			t.Fatal("the truth is not the seed's alone")
		}
	})
}

func checkWishes(t *rapid.T, c *crowd, views []view, wishes []intent) {
	seen := map[int]bool{}
	for _, x := range wishes {
		o, tr := x.order, c.traders[x.trader]
		if seen[x.trader] || !views[x.market].open || o.TIF != engine.IOC || o.Account != tr.account.ID || o.Market != c.markets[x.market].Market {
			t.Fatalf("%+v", x)
		}
		seen[x.trader] = true
		if o.Limit != 0 && (o.Limit < lowest || o.Limit > highest) {
			t.Fatalf("the limit of %+v", o)
		}
		if o.Side == engine.Buy && (o.Amount < minStake || o.Amount > min(tr.cash, maxStake) || o.Shares != 0) {
			t.Fatalf("%+v with %d credits", o, tr.cash)
		}
		if have := tr.held[holding{x.market, o.Outcome}]; o.Side == engine.Sell && (o.Shares < minHolding || o.Shares > have || o.Amount != 0) {
			t.Fatalf("%+v of %d shares", o, have)
		}
	}
}

// TestBelief: a value trader never pays, nor lets the price run, beyond what he
// believes, and believes something near the truth.
func TestBelief(t *testing.T) {
	c := newCrowd(testWorld(400, 1), 3)
	c.truth.now[0] = 700_000
	bought, limits := 0, int64(0)
	for i := range c.traders {
		c.traders[i].cash = 1000 * engine.One
		for _, price := range []engine.Price{100_000, 500_000, 900_000} {
			x, some := c.byBelief(i, 0, price)
			want := engine.Yes
			if price == 900_000 {
				want = engine.No
			}
			if !some || x.order.Outcome != want || x.order.Limit <= yes(price, want) {
				t.Fatalf("at %d: %+v, %v", price, x, some)
			}
			if want == engine.Yes {
				bought++
				limits += int64(x.order.Limit)
			}
		}
	}
	if mean := limits / int64(bought); mean < 690_000 || mean > 710_000 {
		t.Errorf("they believe in %d on average, the truth is 700000", mean)
	}
	// Who holds the outcome that is too dear sells it first, down to his belief.
	c.traders[0].held[holding{0, engine.Yes}] = 5 * engine.One
	if x, some := c.byBelief(0, 0, 900_000); !some || x.order.Side != engine.Sell || x.order.Outcome != engine.Yes || x.order.Limit >= 900_000 || x.order.Limit < 500_000 {
		t.Errorf("%+v, %v", x, some)
	}
}

func TestFollow(t *testing.T) {
	c := newCrowd(testWorld(1, 1), 1)
	x := &c.traders[0]
	x.cash = 100 * engine.One
	for _, r := range []struct {
		past, now engine.Price
		some      bool
		outcome   engine.Outcome
		limit     engine.Price
	}{
		{500_000, 501_999, false, 0, 0},
		{500_000, 510_000, true, engine.Yes, 540_000},
		{500_000, 490_000, true, engine.No, 540_000},
		{900_000, 970_000, true, engine.Yes, highest},
	} {
		w, some := c.follow(x, 0, r.past, r.now)
		if some != r.some || some && (w.order.Outcome != r.outcome || w.order.Limit != r.limit || w.order.Amount != engine.One) {
			t.Errorf("%+v: %+v, %v", r, w, some)
		}
	}
	x.held[holding{0, engine.Yes}] = engine.One
	if w, _ := c.follow(x, 0, 500_000, 490_000); w.order.Side != engine.Sell || w.order.Outcome != engine.Yes || w.order.Limit != 460_000 {
		t.Errorf("%+v", w)
	}
}

func TestStylesAndBudgets(t *testing.T) {
	c := newCrowd(testWorld(10_000, 1), 1)
	var n [styles]int
	for i := range c.traders {
		n[c.traders[i].style]++
		c.endow(i, engine.Account{Available: 100 * engine.One, Positions: []engine.Position{{Market: 1, Outcome: engine.No, Shares: 7}, {Market: 9, Shares: 8}}}, map[engine.MarketID]int{1: 0})
		if x := c.traders[i]; x.cash < 5*engine.One || x.cash > 20*engine.One || !maps.Equal(x.held, map[holding]engine.Shares{{0, engine.No}: 7}) {
			t.Fatalf("%+v", x)
		}
	}
	for s, want := range mix {
		if got := n[s]; got < want*100-200 || got > want*100+200 {
			t.Errorf("%d of 10000 are %s, want %d %%", got, styleNames[s], want)
		}
	}
}

// TestPace: no account comes near its rate, however few they are.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newAnswers(3, func(o engine.PlaceOrder) (engine.OrderFilled, error) { return filled(o, engine.One/4), nil })
		r, err := Play(t.Context(), v, Config{World: testWorld(4, 3), Orders: 100, Seed: 2, Concurrency: 4})
		if err != nil || r.Placed != 100 || r.Accepted != 100 || len(v.orders) != 100 || len(v.keys) != 100 {
			t.Fatalf("%+v, %v", r, err)
		}
		for id, at := range v.at {
			for i := 1; i < len(at); i++ {
				if gap := at[i].Sub(at[i-1]); gap < 125*time.Millisecond {
					t.Errorf("%s orders %s after its last order", id, gap)
				}
			}
		}
	})
}

// TestReportCounts: every order is in exactly one place, by style, by market and
// by reason, and waits for a rate are no refusals.
func TestReportCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		v := newAnswers(2, func(o engine.PlaceOrder) (engine.OrderFilled, error) {
			switch n++; n % 5 {
			case 0:
				return engine.OrderFilled{}, refusal("price_limit", 422)
			case 1:
				return engine.OrderFilled{}, refusal("rate_limited", 429)
			}
			return filled(o, 300_000), nil
		})
		told := 0
		r, err := Play(t.Context(), v, Config{World: testWorld(20, 2), Orders: 500, Seed: 1, Concurrency: 2, Progress: func(done, all int) {
			if told++; done > all || all != 500 {
				t.Errorf("%d of %d", done, all)
			}
		}})
		if err != nil || r.Interrupted || r.Placed != 500 || r.Accepted+r.Rejected["price_limit"] != 500 || len(r.Rejected) != 1 || told == 0 {
			t.Fatalf("%+v, %v, told %d times", r, err, told)
		}
		if r.Waits == 0 || r.Decisions != r.Placed+r.Waits || r.Decisions != n || r.Latency.Count != n || len(v.keys) != n {
			t.Errorf("%d decisions and %d waits of %d answers", r.Decisions, r.Waits, n)
		}
		placed, accepted, passes, traders := 0, 0, 0, 0
		for _, s := range r.Styles {
			placed, accepted, passes, traders = placed+s.Placed, accepted+s.Accepted, passes+s.Passes, traders+s.Traders
			if s.Placed != s.Accepted+s.Rejected["price_limit"] {
				t.Errorf("%+v", s)
			}
		}
		if placed != 500 || accepted != r.Accepted || passes != r.Passes || traders != 20 {
			t.Errorf("styles: %d placed, %d accepted, %d passes, %d traders", placed, accepted, passes, traders)
		}
		if m := r.Markets; m[0].Placed+m[1].Placed != 500 || m[0].PriceBefore != engine.One/2 || m[0].TruthBefore == m[0].TruthAfter {
			t.Errorf("%+v", m)
		}
		var text strings.Builder
		r.Text(&text)
		for _, want := range []string{"20 traders in 2 markets, seed 1", "500 orders", "price_limit", "momentum", "mkt_2"} {
			if !strings.Contains(text.String(), want) {
				t.Errorf("the text has no %q:\n%s", want, text.String())
			}
		}
	})
}

// TestStops: a stop, a venue that fails, closed markets and a crowd without
// credits end a run with a true report.
func TestStops(t *testing.T) {
	good := Config{World: testWorld(20, 2), Orders: 500, Seed: 1, Concurrency: 2}
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		n := 0
		v := newAnswers(2, func(o engine.PlaceOrder) (engine.OrderFilled, error) {
			if n++; n == 50 {
				stop()
			}
			return filled(o, 300_000), nil
		})
		r, err := Play(ctx, v, good)
		if !errors.Is(err, context.Canceled) || !r.Interrupted || r.Placed < 50 || r.Placed != len(v.orders) || r.Markets[0].PriceAfter != 300_000 {
			t.Errorf("%+v, %v", r, err)
		}
		n = 0
		broken := newAnswers(2, func(o engine.PlaceOrder) (engine.OrderFilled, error) {
			if n++; n == 30 {
				return engine.OrderFilled{}, refusal("failed", 503)
			}
			return filled(o, 300_000), nil
		})
		if r, err := Play(t.Context(), broken, good); client.CodeOf(err) != "failed" || !r.Interrupted || r.Accepted != r.Placed || r.Placed < 20 {
			t.Errorf("%+v, %v", r, err)
		}
		closing := newAnswers(2, nil)
		closing.say = func(o engine.PlaceOrder) (engine.OrderFilled, error) {
			for i := range closing.markets {
				closing.markets[i].State = engine.Paused
			}
			return filled(o, 300_000), nil
		}
		if r, err := Play(t.Context(), closing, good); !errors.Is(err, errClosed) || r.Placed == 0 {
			t.Errorf("%+v, %v", r, err)
		}
		if r, err := Play(t.Context(), poor{newAnswers(2, nil)}, good); !errors.Is(err, errIdle) || r.Placed != 0 || r.Passes < maxIdle {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

// poor is a venue whose accounts are empty.
type poor struct{ *answers }

func (poor) Holdings(context.Context, playback.Account) (engine.Account, error) {
	return engine.Account{}, nil
}

func TestRefusals(t *testing.T) {
	good := Config{World: testWorld(4, 2), Orders: 1, Concurrency: 1}
	for what, bend := range map[string]func(*Config){
		"no world":      func(c *Config) { c.World = nil },
		"no orders":     func(c *Config) { c.Orders = 0 },
		"no slots":      func(c *Config) { c.Concurrency = 0 },
		"no traders":    func(c *Config) { c.World.Traders = nil },
		"a lost market": func(c *Config) { c.World.Markets[0].Market = 77 },
	} {
		cfg := good
		cfg.World = testWorld(4, 2)
		bend(&cfg)
		if r, err := Play(t.Context(), newAnswers(2, nil), cfg); err == nil || r != nil {
			t.Errorf("%s passes: %+v", what, r)
		}
	}
}
