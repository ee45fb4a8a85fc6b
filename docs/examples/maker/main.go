// Command maker is an example: a market maker of a market with two outcomes. It
// promises to quote both sides of YES around the price, to lean away from what it
// holds, to quote again when the price moves, and to take its orders back at its end.
// It refuses to be clever: it is a beginning for a bot of your own.
//
//	MBP_KEY_FILE=demo/keys/ben.key go run ./docs/examples/maker mkt_1
package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
)

const (
	spread = 20_000          // micros a share on either side of the price: two points
	size   = 10 * engine.One // shares of each quote
	lean   = 10_000          // micros away for each quote's worth of shares held too many
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "maker:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	var market engine.MarketID
	if err := market.UnmarshalText([]byte(os.Args[len(os.Args)-1])); err != nil {
		return err
	}
	key, err := os.ReadFile(os.Getenv("MBP_KEY_FILE"))
	if err != nil {
		return err
	}
	c, err := client.New(cmp.Or(os.Getenv("MBP_URL"), "http://127.0.0.1:8420"), strings.TrimSpace(string(key)))
	if err != nil {
		return err
	}
	me, err := c.Me(ctx)
	if err != nil {
		return err
	}
	if _, err := c.Split(ctx, market, 3*size); err != nil { // shares of both outcomes to sell
		return err
	}
	defer c.CancelAll(context.WithoutCancel(ctx), market) //nolint:errcheck // the market may have ended
	var at engine.Price                                   // where it quoted last
	err = c.Stream(ctx, 0, func(e client.Event) error {
		if e.Kind == "heartbeat" {
			return nil
		}
		m, err := c.Market(ctx, market)
		if err != nil || m.State != engine.Open || max(m.Outcomes[0].Price-at, at-m.Outcomes[0].Price) < lean/2 {
			return err
		}
		at = m.Outcomes[0].Price
		return quote(ctx, c, me.Account, market, at)
	})
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// quote replaces both orders in one decision.
func quote(ctx context.Context, c *client.Client, account engine.AccountID, market engine.MarketID, price engine.Price) error {
	a, err := c.Account(ctx, account)
	if err != nil {
		return err
	}
	var held engine.Shares // of YES, less those of NO
	for _, p := range a.Positions {
		if p.Market == market {
			held += p.Shares * engine.Shares(1-2*int64(p.Outcome)) // Yes is 0, No is 1
		}
	}
	middle := price - engine.Price(int64(held)*lean/size)
	order := client.Order{Market: market, Outcome: engine.Yes, TIF: engine.GTC, PostOnly: true, Shares: size}
	bid, ask := order, order
	bid.Side, bid.Limit = engine.Buy, min(max(middle-spread, 10_000), price-1)
	ask.Side, ask.Limit = engine.Sell, max(min(middle+spread, 990_000), price+1)
	d, err := c.Batch(ctx, []client.Item{{CancelAll: true}, {Place: &bid}, {Place: &ask}})
	if err == nil {
		fmt.Printf("%d: price %d, bid %d, ask %d, holding %d\n", d.Seq, price, bid.Limit, ask.Limit, held)
	}
	return err
}
