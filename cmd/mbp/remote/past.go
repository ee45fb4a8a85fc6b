package remote

import (
	"cmp"
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/mbp-market/mbp/cmd/mbp/exact"
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
)

// pastFlags are what the verbs about the past are told.
type pastFlags struct {
	client.Past
	outcome engine.Outcome
}

// span adds the flags that every list of the past has.
func (p *pastFlags) span(cmd *cobra.Command) {
	f := cmd.Flags()
	wordVar(f, &p.From, "from", "nothing before this RFC 3339 `time`")
	wordVar(f, &p.Until, "until", "only what is before this RFC 3339 `time`")
	f.Uint64Var(&p.Before, "before", 0, "go on where a page ended, with the `number` that it told")
	f.IntVar(&p.Limit, "limit", 0, "at most so many rows (default 100)")
}

// kinds adds the flags that lists of trades and orders have.
func (p *pastFlags) kinds(cmd *cobra.Command) {
	wordVar(cmd.Flags(), &p.outcome, "outcome", "of this `outcome` only")
	wordVar(cmd.Flags(), &p.Side, "side", "`buy or sell` only")
	choices(cmd, "side", "buy", "sell")
}

// past returns what was asked for.
func (p *pastFlags) past(cmd *cobra.Command) client.Past {
	out := p.Past
	if cmd.Flags().Changed("outcome") {
		out.Outcome = &p.outcome
	}
	return out
}

// AccountOf reads the account that a verb is about, by default the key's own. A
// key without one is an error of usage.
func AccountOf(ctx context.Context, cl *client.Client, args []string) (engine.AccountID, error) {
	if len(args) == 1 {
		return idArg[engine.AccountID](args)
	}
	me, err := cl.Me(ctx)
	if err != nil {
		return 0, err
	}
	if me.Account == 0 {
		return 0, usage(fmt.Errorf("the key of %s has no account; name one", me.Principal))
	}
	return me.Account, nil
}

func portfolioCommand() *cobra.Command {
	c, p, open := &Connection{}, &pastFlags{}, false
	cmd := &cobra.Command{
		Use:   "portfolio [ACCOUNT]",
		Short: "Show what an account made of its markets, by default the key's own",
		Long: `Show what an account made of its markets. Realised is what came out of a market
less what went in, plus the average cost of what is still held; unrealised is what
that is worth at the pool's prices, less its cost.`,
		Example: `  mbp portfolio
  mbp portfolio acc_7 --open`,
		Args: cobra.MaximumNArgs(1),
		RunE: verb(c, func(ctx context.Context, cl *client.Client, args []string) (*client.Portfolio, error) {
			id, err := AccountOf(ctx, cl, args)
			if err != nil {
				return nil, err
			}
			return cl.Portfolio(ctx, id, open, p.Past)
		}, showPortfolio),
	}
	c.Bind(cmd)
	f := cmd.Flags()
	f.BoolVar(&open, "open", false, "only markets that have not paid out")
	f.Uint64Var(&p.Before, "before", 0, "go on where a page ended, with the `number` that it told")
	f.IntVar(&p.Limit, "limit", 0, "at most so many markets (default 100)")
	return cmd
}

func historyCommand() *cobra.Command {
	c := &Connection{}
	cmd := &cobra.Command{Use: "history", Short: "Show how prices moved, what was traded, orders that are over, and credits that were granted"}
	c.Bind(cmd)
	cmd.AddCommand(candlesCommand(c), tradesCommand(c), pastOrdersCommand(c), pastGrantsCommand(c))
	return cmd
}

func candlesCommand(c *Connection) *cobra.Command {
	p, interval := &pastFlags{}, ""
	cmd := &cobra.Command{
		Use: "candles MARKET OUTCOME", Short: "How the price of an outcome moved, the newest first", Args: cobra.ExactArgs(2),
		Example: `  mbp history candles mkt_1 YES --interval 1h`,
		RunE: verb(c, func(ctx context.Context, cl *client.Client, args []string) (*client.CandlePage, error) {
			id, err := idArg[engine.MarketID](args)
			if err != nil {
				return nil, err
			}
			if err := p.outcome.UnmarshalText([]byte(args[1])); err != nil {
				return nil, usage(err)
			}
			return cl.Candles(ctx, id, p.outcome, interval, p.Past)
		}, showCandles),
	}
	complete(cmd, c.markets, c.outcomes)
	cmd.Flags().StringVar(&interval, "interval", "1m", "`length` of a candle: 1m, 5m, 1h or 1d")
	choices(cmd, "interval", "1m", "5m", "1h", "1d")
	p.span(cmd)
	return cmd
}

func tradesCommand(c *Connection) *cobra.Command {
	p, market := &pastFlags{}, engine.MarketID(0)
	cmd := &cobra.Command{
		Use: "trades [ACCOUNT]", Short: "What an account traded, or with --on everybody on a market, the newest first", Args: cobra.MaximumNArgs(1),
		Example: `  mbp history trades --market mkt_1 --side buy
  mbp history trades --on mkt_1`,
	}
	cmd.RunE = verb(c, func(ctx context.Context, cl *client.Client, args []string) (*client.TradePage, error) {
		if market != 0 {
			return cl.MarketTrades(ctx, market, p.past(cmd))
		}
		id, err := AccountOf(ctx, cl, args)
		if err != nil {
			return nil, err
		}
		return cl.AccountTrades(ctx, id, p.past(cmd))
	}, showTrades)
	wordVar(cmd.Flags(), &market, "on", "everybody's trades on this `market`")
	wordVar(cmd.Flags(), &p.Market, "market", "of this `market` only")
	cmd.MarkFlagsMutuallyExclusive("on", "market")
	p.kinds(cmd)
	p.span(cmd)
	return cmd
}

func pastOrdersCommand(c *Connection) *cobra.Command {
	p := &pastFlags{}
	cmd := &cobra.Command{
		Use: "orders [ACCOUNT]", Short: "Orders of an account that are over, the last to end first", Args: cobra.MaximumNArgs(1),
	}
	cmd.RunE = verb(c, func(ctx context.Context, cl *client.Client, args []string) (*client.PastOrderPage, error) {
		id, err := AccountOf(ctx, cl, args)
		if err != nil {
			return nil, err
		}
		return cl.PastOrders(ctx, id, p.past(cmd))
	}, showPastOrders)
	wordVar(cmd.Flags(), &p.Market, "market", "of this `market` only")
	p.kinds(cmd)
	p.span(cmd)
	return cmd
}

func pastGrantsCommand(c *Connection) *cobra.Command {
	p := &pastFlags{}
	cmd := &cobra.Command{
		Use: "grants [ACCOUNT]", Short: "Credits that an account was granted, the newest first", Args: cobra.MaximumNArgs(1),
		Long: `Credits that an account was granted, by a schedule (mbp grants) or by an operator. They
are no profit: mbp portfolio counts them apart.`,
		Example: `  mbp history grants
  mbp history grants acc_7 --from 2026-01-01T00:00:00Z`,
		RunE: verb(c, func(ctx context.Context, cl *client.Client, args []string) (*client.GrantPage, error) {
			id, err := AccountOf(ctx, cl, args)
			if err != nil {
				return nil, err
			}
			return cl.AccountGrants(ctx, id, p.Past)
		}, showGrants),
	}
	p.span(cmd)
	return cmd
}

// more says how to go on.
func more(w io.Writer, next uint64) {
	if next != 0 {
		fmt.Fprintf(w, "more with --before %d\n", next)
	}
}

func showPortfolio(w io.Writer, p *client.Portfolio) {
	fmt.Fprintf(w, "%s made %s credits: %s realised, %s unrealised on holdings worth %s; %s paid in fees, %s granted\n", paint(w, bold, p.Account.String()),
		exact.Format(p.Profit.Profit), exact.Format(p.Realised), exact.Format(p.Unrealised), exact.Format(p.Value), exact.Format(p.Fees), exact.Format(p.Granted))
	if len(p.Markets) == 0 {
		return
	}
	rows := [][]string{{"MARKET", "STATE", "HOLDS", "COST", "VALUE", "REALISED", "UNREALISED", "PROFIT"}}
	for _, m := range p.Markets {
		holds := ""
		for _, x := range m.Positions {
			holds += fmt.Sprintf("%s %s, ", exact.Format(x.Shares), x.Outcome)
		}
		if m.Liquidity != nil {
			holds += exact.Format(m.Liquidity.Units) + " units, "
		}
		rows = append(rows, []string{
			m.Market.String(), m.State.String(), cmp.Or(holds[:max(0, len(holds)-2)], "-"), exact.Format(m.Cost), exact.Format(m.Value),
			exact.Format(m.Realised), exact.Format(m.Unrealised), exact.Format(m.Profit.Profit),
		})
	}
	table(w, rows)
	more(w, p.Next)
}

func showCandles(w io.Writer, p *client.CandlePage) {
	rows := [][]string{{"START", "OPEN", "HIGH", "LOW", "CLOSE", "VOLUME", "TRADES"}}
	for _, x := range p.Candles {
		rows = append(rows, []string{
			x.Start.String(), exact.Format(x.Open), exact.Format(x.High), exact.Format(x.Low), exact.Format(x.Close), exact.Format(x.Volume), fmt.Sprint(x.Trades),
		})
	}
	table(w, rows)
	more(w, p.Next)
}

func showTrades(w io.Writer, p *client.TradePage) {
	rows := [][]string{{"AT", "MARKET", "OUTCOME", "SIDE", "SHARES", "AMOUNT", "FEE", "PRICE AFTER", "ORDER", "ROLE"}}
	for _, x := range p.Trades {
		order := "-"
		if x.Order != 0 {
			order = x.Order.String()
		}
		rows = append(rows, []string{
			x.At.String(), x.Market.String(), x.Outcome.String(), x.Side.String(), exact.Format(x.Shares), exact.Format(x.Amount), exact.Format(x.Fee),
			exact.Format(x.After), order, cmp.Or(x.Role, "-"),
		})
	}
	table(w, rows)
	more(w, p.Next)
}

func showPastOrders(w io.Writer, p *client.PastOrderPage) {
	rows := [][]string{{"ORDER", "MARKET", "OUTCOME", "SIDE", "TIF", "LIMIT", "ASKED", "FILLED", "AMOUNT", "ENDED", "BY"}}
	for _, x := range p.Orders {
		asked := exact.Format(x.Asked)
		if x.Spend != 0 {
			asked = "for " + exact.Format(x.Spend)
		}
		rows = append(rows, []string{
			x.Order.String(), x.Market.String(), x.Outcome.String(), x.Side.String(), wordOf(x.TIF), orNone(x.Limit), asked, exact.Format(x.Filled),
			exact.Format(x.Amount), x.Ended.String(), x.End,
		})
	}
	table(w, rows)
	more(w, p.Next)
}

func showGrants(w io.Writer, p *client.GrantPage) {
	rows := [][]string{{"AT", "CREDITS", "SCHEDULE", "PERIOD", "DECISION"}}
	for _, x := range p.Grants {
		period := "-"
		if x.Period != 0 {
			period = x.Period.String()
		}
		rows = append(rows, []string{x.At.String(), exact.Format(x.Amount), cmp.Or(x.Schedule, "by an operator"), period, fmt.Sprint(x.Seq)})
	}
	table(w, rows)
	fmt.Fprintf(w, "%s credits granted in all\n", exact.Format(p.Granted))
	more(w, p.Next)
}
