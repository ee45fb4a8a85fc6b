package playback

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
	"github.com/mbp-market/mbp/sim/tape"
)

const header = "ts,source,market_id,account,outcome,side,amount,shares,price,price_before,price_after,limit_price,status\n"

var options = tape.Options{Seed: 1, Synthetic: 10, Template: Template()}

// record loads a recording of rows, one a second.
func record(t *testing.T, rows ...string) *tape.Tape {
	t.Helper()
	var b strings.Builder
	b.WriteString(header)
	for i, r := range rows {
		fmt.Fprintf(&b, "%s,%s\n", time.Date(2026, 1, 2, 12, 0, i, 0, time.UTC).Format(time.RFC3339), r)
	}
	path := filepath.Join(t.TempDir(), "trades.csv")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	tp, err := tape.Load(context.Background(), path, options)
	if err != nil {
		t.Fatal(err)
	}
	return tp
}

// busy is a recording of n purchases and sales in four markets.
func busy(t *testing.T, n int) *tape.Tape {
	t.Helper()
	var rows []string
	for i := range n {
		side, size := "BUY", "5,"
		if i%5 == 4 {
			side, size = "SELL", ",3"
		}
		rows = append(rows, fmt.Sprintf("lmsr,m%d,a%d,%s,%s,%s,,0.5,0.51,,filled", i%4, i%9, []string{"YES", "NO"}[i%2], side, size))
	}
	return record(t, rows...)
}

func config(tp *tape.Tape) Config { return Config{Tape: tp, Options: options, Concurrency: 4} }

func mustPlay(t *testing.T, v Venue, cfg Config) *Report {
	t.Helper()
	r, err := Play(context.Background(), v, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestTwicePlaysOnce: a second run finds every answer of the first and changes
// nothing, whoever's turn comes first.
func TestTwicePlaysOnce(t *testing.T) {
	tp, v := busy(t, 400), newInProcess(time.Second)
	first := mustPlay(t, v, config(tp))
	fresh, hash := v.fresh, v.state.Hash()
	second := mustPlay(t, v, config(tp))
	if first.Accepted != 400 || first.Replayed != 0 || first.Markets != 4 || first.Accounts != 9 {
		t.Errorf("first run %+v", first)
	}
	if v.fresh != fresh || v.state.Hash() != hash || second.Accepted != 400 || second.Replayed != 400 || second.Decisions != 0 {
		t.Errorf("second run took %d decisions: %+v", v.fresh-fresh, second)
	}
	other := options
	other.Seed = 2
	cfg := config(tp)
	cfg.Options = other
	if third := mustPlay(t, v, cfg); third.Replayed != 0 || third.Accepted != 400 {
		t.Errorf("another seed %+v", third)
	}
}

// stopAfter ends a context after some orders.
type stopAfter struct {
	Venue
	left atomic.Int64
	stop func()
}

func (s *stopAfter) Order(ctx context.Context, a Account, o engine.PlaceOrder, key string) (Fill, error) {
	if s.left.Add(-1) == 0 {
		s.stop()
	}
	return s.Venue.Order(ctx, a, o, key)
}

// TestStopAndGoOn: an interrupted run, repeated, ends with the same orders as
// an undisturbed one.
func TestStopAndGoOn(t *testing.T) {
	tp, v := busy(t, 300), newInProcess(time.Second)
	ctx, cancel := context.WithCancel(context.Background())
	s := &stopAfter{Venue: v, stop: cancel}
	s.left.Store(70)
	r, err := Play(ctx, s, config(tp))
	if !errors.Is(err, context.Canceled) || !r.Interrupted || r.Played == 0 || r.Played >= 300 {
		t.Fatalf("%v, %+v", err, r)
	}
	whole := mustPlay(t, v, config(tp))
	if whole.Interrupted || whole.Accepted != 300 || whole.Replayed < r.Accepted || whole.Replayed == 300 {
		t.Errorf("%+v", whole)
	}
	trades := int64(0)
	for id := engine.MarketID(1); int(id) <= v.state.MarketCount(); id++ {
		m, _ := v.state.Market(id, v.now)
		trades += m.Trades
	}
	if trades != 300 {
		t.Errorf("%d trades in the markets", trades)
	}
}

// TestShortSale: what the trader does not hold is bought on the other side, and
// the pool ends where the sale would have left it.
func TestShortSale(t *testing.T) {
	tp := record(t,
		"lmsr,m,ana,YES,BUY,50,,,0.5,0.6,,filled",
		"lmsr,m,ana,YES,SELL,,20,,0.6,0.55,,filled",
		"lmsr,m,bob,YES,SELL,,20,,0.55,0.5,,filled",
		"lmsr,n,bob,NO,SELL,,20,,0.5,0.55,,filled")
	v := newInProcess(time.Second)
	r := mustPlay(t, v, config(tp))
	if r.Accepted != 4 || r.Notes["sold_as_opposite"] != 2 || r.Decisions != 6 || len(r.Rejected) != 0 {
		t.Errorf("%+v", r)
	}
	sold := newInProcess(time.Second)
	mustPlay(t, sold, config(record(t, "lmsr,m,ana,YES,BUY,50,,,0.5,0.6,,filled", "lmsr,m,ana,YES,SELL,,20,,0.6,0.55,,filled", "lmsr,m,ana,YES,SELL,,20,,0.55,0.5,,filled")))
	a, b := threeTrades(t, v), threeTrades(t, sold)
	if d := a.PriceOf(engine.Yes) - b.PriceOf(engine.Yes); d < -1 || d > 1 {
		t.Errorf("YES at %d after a short sale, %d after a sale", a.PriceOf(engine.Yes), b.PriceOf(engine.Yes))
	}
}

// threeTrades returns the market that has three trades.
func threeTrades(t *testing.T, v *inProcess) engine.Market {
	t.Helper()
	for id := engine.MarketID(1); int(id) <= v.state.MarketCount(); id++ {
		if m, _ := v.state.Market(id, v.now); m.Trades == 3 {
			return m
		}
	}
	t.Fatal("no market has three trades")
	return engine.Market{}
}

// TestRate: an account above its rate waits and loses nothing, or is counted.
func TestRate(t *testing.T) {
	var rows []string
	for range 60 {
		rows = append(rows, "lmsr,m,ana,YES,BUY,1,,,0.5,0.5,,filled")
	}
	tp := record(t, rows...)
	r := mustPlay(t, newInProcess(time.Microsecond), config(tp))
	if r.Accepted != 30 || !maps.Equal(r.Rejected, map[string]int{"rate_limited": 30}) || r.Waits != 0 {
		t.Errorf("without waiting: %+v", r)
	}
	synctest.Test(t, func(t *testing.T) {
		v := newInProcess(30 * time.Millisecond)
		cfg := config(tp)
		cfg.Wait = true
		r := mustPlay(t, v, cfg)
		if r.Accepted != 60 || len(r.Rejected) != 0 || r.Waits == 0 {
			t.Errorf("waiting: %+v", r)
		}
		fresh := v.fresh
		if r := mustPlay(t, v, cfg); r.Replayed != 60 || r.Waits != 0 || v.fresh != fresh {
			t.Errorf("waiting, again: %+v", r)
		}
	})
}

// failing refuses some things.
type failing struct {
	Venue
	creator, account, market, order error
}

func (f *failing) Creator(ctx context.Context, key string, c engine.Micros) (Account, error) {
	if f.creator != nil {
		return Account{}, f.creator
	}
	return f.Venue.Creator(ctx, key, c)
}

func (f *failing) Account(ctx context.Context, key string, c engine.Micros) (Account, error) {
	if f.account != nil {
		return Account{}, f.account
	}
	return f.Venue.Account(ctx, key, c)
}

func (f *failing) Market(ctx context.Context, m engine.OpenMarket, key string) (engine.MarketID, error) {
	if f.market != nil {
		return 0, f.market
	}
	return f.Venue.Market(ctx, m, key)
}

func (f *failing) Order(ctx context.Context, a Account, o engine.PlaceOrder, key string) (Fill, error) {
	if f.order != nil {
		return Fill{}, f.order
	}
	return f.Venue.Order(ctx, a, o, key)
}

// TestFailures: refusals are counted under their code; a venue that does not
// answer ends the playback with what happened so far.
func TestFailures(t *testing.T) {
	refused := &client.Problem{Status: 409, Code: "limit_reached", Seq: 3, Instance: "/v1/decisions/3"}
	down := errors.New("connection refused")
	for name, c := range map[string]struct {
		venue    failing
		rejected map[string]int
		err      error
	}{
		"a refused order":    {failing{order: refused}, map[string]int{"limit_reached": 40}, nil},
		"a refused market":   {failing{market: refused}, map[string]int{"market_limit_reached": 40}, nil},
		"a refused account":  {failing{account: refused}, map[string]int{"account_limit_reached": 40}, nil},
		"a refused creator":  {failing{creator: refused}, nil, refused},
		"a forgotten run":    {failing{creator: ErrForgotten}, nil, ErrForgotten},
		"no answer":          {failing{order: down}, nil, down},
		"no market's answer": {failing{market: down}, nil, down},
		"no account":         {failing{account: down}, nil, down},
		"fail-stop":          {failing{order: &client.Problem{Status: 503, Code: "failed"}}, nil, &client.Problem{}},
		"a revoked key":      {failing{order: &client.Problem{Status: 401, Code: "unauthenticated"}}, nil, &client.Problem{}},
		"a stranger":         {failing{order: &client.Problem{Status: 404, Code: "http_404"}}, nil, &client.Problem{}},
	} {
		c.venue.Venue = newInProcess(time.Second)
		r, err := Play(context.Background(), &c.venue, config(busy(t, 40)))
		var p *client.Problem
		switch want := (*client.Problem)(nil); {
		case c.err == nil && err != nil, c.err != nil && err == nil:
			t.Errorf("%s: %v", name, err)
		case errors.As(c.err, &want) && !errors.As(err, &p), c.err != nil && want == nil && !errors.Is(err, c.err):
			t.Errorf("%s: %v, want %v", name, err, c.err)
		case c.err == nil && !maps.Equal(r.Rejected, c.rejected):
			t.Errorf("%s: rejected %v, want %v", name, r.Rejected, c.rejected)
		case r.Interrupted != (c.err != nil) || r.Played > 40:
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// ordered checks that each market's rows come one at a time and in order.
type ordered struct {
	Venue
	t    *testing.T
	mu   sync.Mutex
	last map[engine.MarketID]engine.Micros
	most int
	now  int
}

func (v *ordered) Order(ctx context.Context, a Account, o engine.PlaceOrder, key string) (Fill, error) {
	v.mu.Lock()
	v.now++
	v.most = max(v.most, v.now)
	if o.Amount <= v.last[o.Market] {
		v.t.Errorf("%s: %d after %d", o.Market, o.Amount, v.last[o.Market])
	}
	v.last[o.Market] = o.Amount
	v.mu.Unlock()
	time.Sleep(time.Millisecond) // the venue takes its time, under synctest
	v.mu.Lock()
	v.now--
	v.mu.Unlock()
	return v.Venue.Order(ctx, a, o, key)
}

func TestOrderWithinMarketsAndBound(t *testing.T) {
	var rows []string
	for i := range 200 {
		rows = append(rows, fmt.Sprintf("lmsr,m%d,a%d,YES,BUY,%d,,,,,,filled", i%20, i, i+1))
	}
	tp := record(t, rows...)
	synctest.Test(t, func(t *testing.T) {
		v := &ordered{Venue: newInProcess(time.Second), t: t, last: map[engine.MarketID]engine.Micros{}}
		if r := mustPlay(t, v, config(tp)); r.Played != 200 {
			t.Errorf("%+v", r)
		}
		if v.most != 4 {
			t.Errorf("%d orders at once, want 4", v.most)
		}
	})
}

// TestSpeed: with a speed, rows come when they happened, long pauses cut.
func TestSpeed(t *testing.T) {
	tp := busy(t, 61) // a minute
	tp.Trades[60].At += 3_600_000_000
	synctest.Test(t, func(t *testing.T) {
		cfg := config(tp)
		cfg.Speed, cfg.MaxGap = 60, 10*time.Minute
		began, seen := time.Now(), 0
		cfg.Progress = func(done, all int) {
			if seen++; done > all || all != 61 {
				t.Errorf("%d of %d", done, all)
			}
		}
		mustPlay(t, newInProcess(time.Second), cfg)
		if took := time.Since(began).Round(100 * time.Millisecond); took != 11*time.Second || seen != 5 { // 59 s + 10 min, ÷ 60
			t.Errorf("took %v, %d reports of progress", took, seen)
		}
	})
	for _, cfg := range []Config{{Tape: tp}, {Tape: tp, Concurrency: 1, Speed: -1}, {Tape: tp, Concurrency: 1, Speed: 1}} {
		if _, err := Play(context.Background(), newInProcess(1), cfg); err == nil {
			t.Errorf("%+v passes", cfg)
		}
	}
}

// TestReport: the comparison of prices, by hand. The tape says 0.50 → 0.80 for
// 100 credits, which fits a depth of 100; here 0.5 → 0.8 comes out, too. The
// second purchase would go from 0.80 to 0.90 there, here to 0.862.
func TestReport(t *testing.T) {
	tp := record(t, "lmsr,m,ana,YES,BUY,100,,,0.5,0.8,,filled", "lmsr,m,ana,YES,BUY,50,,,0.8,0.9,,filled", "book,n,ana,NO,BUY,0.5,,,0.5,0.4,,filled")
	r := mustPlay(t, newInProcess(time.Second), config(tp))
	s := r.Sources[0]
	if s.Price.Count != 2 || s.Price.Max != 3.7931 || s.Price.Median != 0 || s.Impact.Max != 3.7931 || s.Impact.Mean != 3.7931/2 {
		t.Errorf("price %+v, impact %+v", s.Price, s.Impact)
	}
	if b := r.Sources[1]; b.Price == nil || b.Impact != nil || b.Price.Max < 9.9 || b.Price.Max > 10 {
		t.Errorf("%+v", b.Price)
	}
	if got := SpreadOf([]time.Duration{5, 1, 4, 2, 3}, 1); got != (Spread{Count: 5, Mean: 3, Median: 3, P95: 5, P99: 5, Max: 5}) {
		t.Errorf("%+v", got)
	}
	var text strings.Builder
	r.Interrupted = true
	r.Text(&text)
	for _, want := range []string{"3 rows, 3 executed", "INTERRUPTED", "3 accepted, 0 rejected", "lmsr", "book", r.SHA256.String()} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the report does not say %q:\n%s", want, &text)
		}
	}
}
