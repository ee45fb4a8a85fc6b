package remote

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/mbp-market/mbp/cmd/mbp/exact"
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
)

func marketCommand() *cobra.Command {
	c := &Connection{}
	cmd := &cobra.Command{
		Use:   "market",
		Short: "Open, watch and resolve markets",
		Long: `Open, watch and resolve markets. A market goes from draft to open; it may be
paused, or frozen by its price guard; it closes; an outcome is proposed, approved
or disputed; then it settles and is resolved, or it is cancelled.`,
	}
	c.Bind(cmd)
	show := &cobra.Command{
		Use: "show MARKET", Short: "Show a market", Args: cobra.ExactArgs(1),
		RunE: verb(c, func(ctx context.Context, cl *client.Client, args []string) (*client.Market, error) {
			id, err := idArg[engine.MarketID](args)
			if err != nil {
				return nil, err
			}
			return cl.Market(ctx, id)
		}, showMarket),
	}
	complete(show, c.markets)
	cmd.AddCommand(
		marketCreateCommand(c), marketListCommand(c), show,
		c.onMarket("activate", "Open a draft", (*client.Client).Activate),
		marketPauseCommand(c),
		c.onMarket("resume", "Reopen a paused market", (*client.Client).Resume),
		c.onMarket("reopen", "Reopen a market that its price guard froze", (*client.Client).Reopen),
		marketCloseTimeCommand(c),
		c.onMarket("close", "End trading for good; it is not a resolution", (*client.Client).Close),
		marketCancelCommand(c), marketProposeCommand(c),
		marketApproveCommand(c), marketRejectCommand(c), marketDisputeCommand(c), marketReportCommand(c),
		setsCommand(c, "split", "Turn credits into complete sets: one share of each outcome for a credit", (*client.Client).Split),
		setsCommand(c, "merge", "Turn complete sets back into credits", (*client.Client).Merge),
		liquidityCommand(c),
	)
	return cmd
}

func marketCloseTimeCommand(c *Connection) *cobra.Command {
	var at engine.Time
	never := false
	cmd := &cobra.Command{
		Use: "close-time MARKET (--at TIME | --never)", Short: "Move the time at which a market closes by itself, or take it away", Args: cobra.ExactArgs(1),
		Example: "  mbp market close-time mkt_1 --at 2027-12-24T00:00:00Z",
		RunE: verb(c, func(ctx context.Context, cl *client.Client, args []string) (*client.Decision, error) {
			id, err := idArg[engine.MarketID](args)
			if err != nil {
				return nil, err
			}
			return cl.ChangeClose(ctx, id, at, c.calls()...)
		}, showDecision),
	}
	complete(cmd, c.markets)
	wordVar(cmd.Flags(), &at, "at", "close at this RFC 3339 `time`, which is not over")
	cmd.Flags().BoolVar(&never, "never", false, "let it stay open until somebody closes it")
	cmd.MarkFlagsOneRequired("at", "never")
	cmd.MarkFlagsMutuallyExclusive("at", "never")
	c.bindKey(cmd)
	return cmd
}

// onMarket makes a verb that needs nothing but the market.
func (c *Connection) onMarket(name, short string, do func(*client.Client, context.Context, engine.MarketID, ...client.Call) (*client.Decision, error)) *cobra.Command {
	cmd := &cobra.Command{
		Use: name + " MARKET", Short: short, Args: cobra.ExactArgs(1), Example: "  mbp market " + name + " mkt_1",
		RunE: verb(c, func(ctx context.Context, cl *client.Client, args []string) (*client.Decision, error) {
			id, err := idArg[engine.MarketID](args)
			if err != nil {
				return nil, err
			}
			return do(cl, ctx, id, c.calls()...)
		}, showDecision),
	}
	complete(cmd, c.markets)
	c.bindKey(cmd)
	return cmd
}

func marketPauseCommand(c *Connection) *cobra.Command {
	orders := false
	cmd := c.onMarket("pause", "Halt trading until it is resumed", func(cl *client.Client, ctx context.Context, id engine.MarketID, calls ...client.Call) (*client.Decision, error) {
		return cl.Pause(ctx, id, orders, calls...)
	})
	cmd.Flags().BoolVar(&orders, "cancel-orders", false, "cancel what waits in the book, too")
	return cmd
}

// marketFlags are what market create is told.
type marketFlags struct {
	engine.OpenMarket
	liquidity exact.Amount
	price     exact.Price
	prices    exact.Prices
	min, max  exact.Value
}

func (m *marketFlags) bind(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&m.Template, "template", engine.DefaultTemplate().Name(), "`id@version` of its template")
	f.StringVar(&m.Title, "title", "", "the question, one line")
	wordVar(f, &m.Creator, "creator", "`account` that seeds the pools")
	f.Var(&m.liquidity, "liquidity", "credits that seed the pools")
	f.Var(&m.price, "price", "opening price of YES or LONG, between 0 and 1; 0.5 by default")
	f.StringArrayVar(&m.Outcomes, "outcome", nil, "`label` of an outcome of a categorical market; once for each, in their order")
	f.Var(&m.prices, "prices", "opening `prices` of the outcomes, such as 0.5,0.3,0.2; equal by default")
	f.Var(&m.min, "min", "`value` at which LONG of a scalar market pays nothing")
	f.Var(&m.max, "max", "`value` at which LONG of a scalar market pays one credit")
	wordVar(f, &m.CloseAt, "close-at", "when trading ends, RFC 3339 `time`; never by default")
	f.BoolVar(&m.Draft, "draft", false, "seed it, but do not open it before mbp market activate")
	for _, name := range []string{"title", "creator", "liquidity"} {
		_ = cmd.MarkFlagRequired(name) // fails only for a flag that is not there
	}
	cmd.MarkFlagsMutuallyExclusive("outcome", "price")
	cmd.MarkFlagsMutuallyExclusive("outcome", "max")
	cmd.MarkFlagsMutuallyExclusive("outcome", "min")
	cmd.MarkFlagsMutuallyExclusive("prices", "price")
}

// market is the command that the flags ask for.
func (m *marketFlags) market() engine.OpenMarket {
	x := m.OpenMarket
	x.Liquidity, x.Price, x.Prices = m.liquidity.Credits(), engine.Price(m.price), m.prices
	x.Min, x.Max = int64(m.min), int64(m.max)
	if x.Price == 0 && len(x.Outcomes) == 0 {
		x.Price = engine.One / 2
	}
	return x
}

func marketCreateCommand(c *Connection) *cobra.Command {
	m := &marketFlags{}
	cmd := &cobra.Command{
		Use:   "create --title TEXT --creator ACCOUNT --liquidity CREDITS",
		Short: "Open a market with the creator's credits as its liquidity",
		Long: `Open a market with the creator's credits as its liquidity. Its template says
which kind it is, and which bounds hold:

  binary       YES and NO; one of them pays a credit for each share
  categorical  as many outcomes as there are --outcome; one of them pays
  scalar       LONG and SHORT share the credit by where the value ends up between
               --min and --max`,
		Example: `  mbp market create --title 'Rain in Lisbon on 24 December' --creator acc_1 --liquidity 500 --price 0.3 --close-at 2027-12-24T00:00:00Z
  mbp market create --template categorical@1.0.0 --title 'Who wins?' --outcome Ana --outcome Bob --outcome 'Somebody else' --prices 0.5,0.3,0.2 --creator acc_1 --liquidity 500
  mbp market create --template scalar@1.0.0 --title 'Inflation in June, per cent' --min -1 --max 10 --creator acc_1 --liquidity 500 --draft`,
		Args: cobra.NoArgs,
		RunE: verb(c, func(ctx context.Context, cl *client.Client, _ []string) (*client.Decision, error) {
			return cl.OpenMarket(ctx, m.market(), c.calls()...)
		}, showDecision),
	}
	m.bind(cmd)
	c.bindKey(cmd)
	return cmd
}

func marketListCommand(c *Connection) *cobra.Command {
	var after engine.MarketID
	limit := 50
	cmd := &cobra.Command{
		Use: "list", Short: "List markets in the order of their ids", Args: cobra.NoArgs,
		RunE: verb(c, func(ctx context.Context, cl *client.Client, _ []string) (*client.MarketPage, error) {
			return cl.Markets(ctx, after, limit)
		}, func(w io.Writer, p *client.MarketPage) {
			showMarkets(w, p.Markets)
			if p.Next != 0 {
				fmt.Fprintln(w, paint(w, grey, "more: --after "+p.Next.String()))
			}
		}),
	}
	wordVar(cmd.Flags(), &after, "after", "the first one comes after this `market`")
	cmd.Flags().IntVar(&limit, "limit", limit, "how many at most, up to 500")
	return cmd
}

// setsCommand splits or merges complete sets.
func setsCommand(c *Connection, name, short string, do func(*client.Client, context.Context, engine.MarketID, engine.Micros, ...client.Call) (*client.Decision, error)) *cobra.Command {
	var amount exact.Amount
	cmd := c.onMarket(name, short, func(cl *client.Client, ctx context.Context, id engine.MarketID, calls ...client.Call) (*client.Decision, error) {
		return do(cl, ctx, id, amount.Credits(), calls...)
	})
	cmd.Use += " --amount CREDITS"
	cmd.Example += " --amount 10"
	cmd.Flags().Var(&amount, "amount", "credits, and so many sets")
	_ = cmd.MarkFlagRequired("amount") // the flag is there
	return cmd
}

func liquidityCommand(c *Connection) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "liquidity",
		Short: "Give liquidity to a market, and take it back",
		Long: `Give liquidity to a market, and take it back, at unchanged prices. Who gives
credits gets units of the liquidity, and what the pools do not need as shares; the
units bring a part of the fees, and their part of the pools when they go back.`,
	}
	add := setsCommand(c, "add", "Put credits into the pools, for units of the liquidity", (*client.Client).AddLiquidity)
	add.Example = "  mbp market liquidity add mkt_1 --amount 10"
	add.Flags().Lookup("amount").Usage = "credits to put in"
	var units exact.Amount
	remove := c.onMarket("remove", "Give units back for their part of the pools", func(cl *client.Client, ctx context.Context, id engine.MarketID, calls ...client.Call) (*client.Decision, error) {
		return cl.RemoveLiquidity(ctx, id, units.Shares(), calls...)
	})
	remove.Use += " --units UNITS"
	remove.Example = "  mbp market liquidity remove mkt_1 --units 10"
	remove.Flags().Var(&units, "units", "`units` to give back")
	_ = remove.MarkFlagRequired("units") // the flag is there
	cmd.AddCommand(add, remove)
	return cmd
}
