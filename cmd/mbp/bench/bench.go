// Package bench loads a server that the caller owns, for a bounded time and at a
// stated rate, and says how fast it decided.
//
// It promises an open loop: an order is due at its own time, and its latency counts
// from then, so that a server that stalls is not flattered by a client that waits
// for it; what was asked of the server and what it answered is counted by code; the
// keys that were made for it are revoked at the end.
//
// It refuses servers on other machines, and loads beyond its bounds: it is a
// measurement of an own installation and no weapon. What it made, a market and its
// traders, stays in the journal, as everything does. The reasons for an open loop
// are in Tene, "How NOT to Measure Latency" (2013).
package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
)

// Bounds of a load.
const (
	// MaxRate is above what a durable journal on one disk needs to show.
	MaxRate = 2000
	// MaxTime keeps a forgotten load from filling a disk.
	MaxTime = 5 * time.Minute
	// perTrader is below the order rate that the default policy allows an account.
	perTrader = 8
	// waiting bounds the orders under way: more than a server leaves unanswered for
	// a second at the highest rate.
	waiting = 2 * MaxRate
	// credits of a trader: more than the fees and the spread of its orders cost.
	credits = 10_000 * engine.One
	// size of an order, in credits or shares.
	size = engine.One
)

// Config is a load.
type Config struct {
	Rate     int           // orders a second
	Time     time.Duration // how long
	Progress io.Writer     // a line for each step
}

// Validate reports every fault at once.
func (c *Config) Validate() error {
	var errs []error
	if c.Rate < 1 || c.Rate > MaxRate {
		errs = append(errs, fmt.Errorf("rate lies in 1..%d", MaxRate))
	}
	if c.Time < time.Second || c.Time > MaxTime {
		errs = append(errs, fmt.Errorf("for lies in 1s..%s", MaxTime))
	}
	return errors.Join(errs...)
}

// Report is what came of a load.
type Report struct {
	Market  engine.MarketID `json:"market"`
	Traders int             `json:"traders"`
	Rate    int             `json:"rate"` // asked for, orders a second
	Seconds float64         `json:"seconds"`
	Sent    int             `json:"sent"`
	Late    int             `json:"late"`  // were not sent, because too many were under way
	Codes   map[string]int  `json:"codes"` // what was answered; ok is a fill
	P50     float64         `json:"p50_ms"`
	P95     float64         `json:"p95_ms"`
	P99     float64         `json:"p99_ms"`
	Max     float64         `json:"max_ms"`
}

// Accepted is how many orders were decided with ok.
func (r *Report) Accepted() int { return r.Codes["ok"] }

// Text writes the report for people.
func (r *Report) Text(w io.Writer) {
	fmt.Fprintf(w, "%d orders in %.1f s on %s by %d traders: %d ok, %.0f a second\n", r.Sent, r.Seconds, r.Market, r.Traders, r.Accepted(), float64(r.Accepted())/r.Seconds)
	fmt.Fprintf(w, "  p50 %.1f ms, p95 %.1f ms, p99 %.1f ms, max %.1f ms, from when each was due\n", r.P50, r.P95, r.P99, r.Max)
	for code, n := range r.Codes {
		if code != "ok" {
			fmt.Fprintf(w, "  %d %s\n", n, code)
		}
	}
	if r.Late > 0 {
		fmt.Fprintf(w, "  %d were not sent: %d were under way\n", r.Late, waiting)
	}
}

// Own refuses a server on another machine.
func Own(base string) error {
	u, err := url.Parse(base)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(u.Hostname()); u.Hostname() == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("%s is another machine; a load is for a server of your own, on this one", u.Host)
}

// trader is one account with its key.
type trader struct {
	*client.Client
	digest engine.Digest
	turn   int // of its four orders; owned by the sender
}

// Run loads the server with the key of an admin.
func Run(ctx context.Context, admin *client.Client, cfg Config) (*Report, error) {
	if err := errors.Join(cfg.Validate(), Own(admin.URL())); err != nil {
		return nil, err
	}
	market, traders, err := prepare(ctx, admin, cfg)
	defer revoke(context.WithoutCancel(ctx), admin, traders) // whatever became of the rest
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(cfg.Progress, "%d orders a second for %s on %s\n", cfg.Rate, cfg.Time, market)
	r := load(ctx, market, traders, cfg)
	r.Market, r.Traders, r.Rate = market, len(traders), cfg.Rate
	return r, nil
}

// prepare makes a market of its own, and traders with credits and keys.
func prepare(ctx context.Context, admin *client.Client, cfg Config) (engine.MarketID, []*trader, error) {
	n := (cfg.Rate + perTrader - 1) / perTrader
	fmt.Fprintf(cfg.Progress, "making a market and %d traders\n", n)
	house, err := account(ctx, admin, 100*credits)
	if err != nil {
		return 0, nil, err
	}
	d, err := admin.OpenMarket(ctx, engine.OpenMarket{Template: engine.DefaultTemplate().Name(), Title: "Load of a measurement", Creator: house, Liquidity: 100 * credits, Price: engine.One / 2})
	if err != nil {
		return 0, nil, err
	}
	market, err := d.Market()
	if err != nil {
		return 0, nil, err
	}
	var traders []*trader
	for range n {
		a, err := account(ctx, admin, credits)
		if err != nil {
			return market, traders, err
		}
		secret, digest, err := client.NewSecret()
		if err != nil {
			return market, traders, err
		}
		if _, err := admin.AddKey(ctx, engine.Key{SHA256: digest, Principal: fmt.Sprintf("bench-%d", a), Roles: engine.RoleTrader, Account: a}); err != nil {
			return market, traders, err
		}
		traders = append(traders, &trader{Client: admin.As(secret).With(client.NoRetry()), digest: digest})
	}
	return market, traders, nil
}

func account(ctx context.Context, admin *client.Client, n engine.Micros) (engine.AccountID, error) {
	d, err := admin.OpenAccount(ctx)
	if err != nil {
		return 0, err
	}
	a, err := d.Account()
	if err != nil {
		return 0, err
	}
	_, err = admin.Grant(ctx, a, n)
	return a, err
}

// revoke ends the keys. One that stays is told by its digest in the journal, and
// trades with credits that only a measurement made.
func revoke(ctx context.Context, admin *client.Client, traders []*trader) {
	for _, t := range traders {
		_, _ = admin.RevokeKey(ctx, t.digest)
	}
}

// order is the next one of a trader: it buys either outcome and sells it again, so
// that the price goes nowhere and no credits are used up.
func (t *trader) order(m engine.MarketID) client.Order {
	o := client.Order{Market: m, Side: engine.Buy, TIF: engine.IOC, Outcome: engine.Yes, Shares: engine.Shares(size)}
	if t.turn%4 >= 2 {
		o.Outcome = engine.No
	}
	if t.turn%2 == 1 {
		o.Side = engine.Sell
	}
	t.turn++
	return o
}

// load sends each order when it is due.
func load(ctx context.Context, market engine.MarketID, traders []*trader, cfg Config) *Report {
	all := int(cfg.Time.Seconds() * float64(cfg.Rate))
	gap := time.Second / time.Duration(cfg.Rate)
	r := &Report{Codes: map[string]int{}}
	var mu sync.Mutex
	var took []time.Duration
	var wg sync.WaitGroup
	places := make(chan struct{}, waiting)
	begin := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for i := range all {
		due := begin.Add(time.Duration(i) * gap)
		timer.Reset(time.Until(due))
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		if ctx.Err() != nil {
			break
		}
		select {
		case places <- struct{}{}:
		default:
			r.Late++
			continue
		}
		t := traders[i%len(traders)]
		o := t.order(market)
		r.Sent++
		wg.Go(func() {
			defer func() { <-places }()
			_, err := t.PlaceOrder(ctx, o)
			d, code := time.Since(due), "ok"
			if err != nil {
				code = cmp.Or(client.CodeOf(err), "no_answer")
			}
			mu.Lock()
			defer mu.Unlock()
			r.Codes[code]++
			took = append(took, d)
		})
	}
	wg.Wait()
	r.Seconds = time.Since(begin).Seconds()
	slices.Sort(took)
	r.P50, r.P95, r.P99, r.Max = quantile(took, 500), quantile(took, 950), quantile(took, 990), quantile(took, 1000)
	return r
}

// quantile is the nearest rank in milliseconds, of thousandths.
func quantile(sorted []time.Duration, of int) float64 {
	if len(sorted) == 0 {
		return 0
	}
	i := max(0, (len(sorted)*of+999)/1000-1)
	return float64(sorted[i].Microseconds()) / 1000
}
