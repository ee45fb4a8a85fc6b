package remote

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/spf13/cobra"

	"github.com/mbp-market/mbp/cmd/mbp/exact"
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
)

// orderFlags are what a quote and an order are told.
type orderFlags struct {
	client.Order
	amount, shares exact.Amount
	limit          exact.Price
}

func (o *orderFlags) bind(cmd *cobra.Command) {
	f := cmd.Flags()
	f.Var(&o.amount, "amount", "credits to spend, the fee not included; buys only")
	f.Var(&o.shares, "shares", "`shares` to buy or to sell")
	f.Var(&o.limit, "limit", "price that the order may reach, between 0 and 1; by default the template's bounds")
	wordVar(f, &o.TIF, "tif", "`how long` it lasts: ioc fills what the limit allows; fok all or nothing; the rest of gtc waits at the limit, of gtd until --expires (default ioc, gtc with --post-only, gtd with --expires)")
	wordVar(f, &o.Expires, "expires", "when the rest of the order leaves the book, RFC 3339 `time`")
	f.BoolVar(&o.PostOnly, "post-only", false, "refuse the order if it would trade at once")
	wordVar(f, &o.SelfTrade, "self-trade", "`what to do` on meeting an own order: cancel_newest (default), cancel_oldest or decrement")
	cmd.MarkFlagsOneRequired("amount", "shares")
	cmd.MarkFlagsMutuallyExclusive("amount", "shares")
	choices(cmd, "tif", "ioc", "fok", "gtc", "gtd")
	choices(cmd, "self-trade", "cancel_newest", "cancel_oldest", "decrement")
}

// order reads MARKET OUTCOME SIDE and the flags.
func (o *orderFlags) order(args []string) (client.Order, error) {
	x := o.Order
	x.Amount, x.Shares, x.Limit = o.amount.Credits(), o.shares.Shares(), engine.Price(o.limit)
	var err error
	if x.Market, err = idArg[engine.MarketID](args); err != nil {
		return x, err
	}
	if err := errors.Join(x.Outcome.UnmarshalText([]byte(args[1])), x.Side.UnmarshalText([]byte(args[2]))); err != nil {
		return x, usage(err)
	}
	switch {
	case x.TIF != 0:
	case x.Expires != 0:
		x.TIF = engine.GTD
	case x.PostOnly:
		x.TIF = engine.GTC
	default:
		x.TIF = engine.IOC
	}
	switch {
	case x.TIF.Rests() && x.Limit == 0:
		return x, usage(errors.New("an order that may wait needs a --limit to wait at"))
	case (x.TIF == engine.GTD) != (x.Expires != 0):
		return x, usage(errors.New("--tif gtd and --expires go together"))
	case x.PostOnly && !x.TIF.Rests():
		return x, usage(errors.New("--post-only needs an order that may wait: --tif gtc or gtd"))
	}
	return x, nil
}

func quoteCommand() *cobra.Command {
	c, o := &Connection{}, &orderFlags{}
	cmd := &cobra.Command{
		Use:   "quote MARKET OUTCOME buy|sell (--amount CREDITS | --shares SHARES)",
		Short: "Say what an order would get now",
		Long: `Say what an order would get now: what it fills from pool and book, at which
price, the fee on top of it, and what of it would wait. What the account holds
does not count.`,
		Example: `  mbp quote mkt_1 YES buy --amount 10.5
  mbp quote mkt_1 YES buy --shares 20 --limit 0.4 --tif gtc`,
		Args: cobra.ExactArgs(3),
		RunE: verb(c, func(ctx context.Context, cl *client.Client, args []string) (*client.Quote, error) {
			x, err := o.order(args)
			if err != nil {
				return nil, err
			}
			return cl.Quote(ctx, x)
		}, showQuote),
	}
	complete(cmd, c.markets, c.outcomes, these("buy", "sell"))
	c.Bind(cmd)
	o.bind(cmd)
	return cmd
}

func orderCommand() *cobra.Command {
	c, o := &Connection{}, &orderFlags{}
	cmd := &cobra.Command{
		Use:   "order MARKET OUTCOME buy|sell (--amount CREDITS | --shares SHARES)",
		Short: "Buy or sell shares of an outcome; look after what waits in the book",
		Long: `Buy or sell shares of an outcome with the account of the API key. An order fills
at once as far as its limit allows (ioc), or whole or not at all (fok); the rest
of a gtc or gtd order waits in the book at its limit, and what it needs stays
reserved.`,
		Example: `  mbp order mkt_1 YES buy --amount 10.5
  mbp order mkt_1 YES buy --amount 10.5 --limit 0.6 --tif fok
  mbp order mkt_1 YES buy --amount 10.5 --if-seq 4711
  mbp order mkt_1 YES sell --shares 18.181818
  mbp order mkt_1 YES buy --shares 20 --limit 0.4 --tif gtc
  mbp order mkt_1 NO sell --shares 20 --limit 0.7 --post-only --expires 2027-12-24T00:00:00Z
  mbp order list && mbp order cancel ord_12`,
		Args: cobra.ExactArgs(3),
		RunE: verb(c, func(ctx context.Context, cl *client.Client, args []string) (*client.Decision, error) {
			x, err := o.order(args)
			if err != nil {
				return nil, err
			}
			return cl.PlaceOrder(ctx, x, c.calls()...)
		}, showDecision),
	}
	complete(cmd, c.markets, c.outcomes, these("buy", "sell"))
	c.Bind(cmd)
	c.bindKey(cmd)
	o.bind(cmd)
	cmd.Flags().Uint64Var((*uint64)(&o.IfSeq), "if-seq", 0, "refuse the order unless the market is as at this `sequence`, that of a quote")
	show := &cobra.Command{
		Use: "show ORDER", Short: "Show the decision that took an order", Args: cobra.ExactArgs(1),
		RunE: verb(c, func(ctx context.Context, cl *client.Client, args []string) (*client.Decision, error) {
			id, err := idArg[engine.OrderID](args)
			if err != nil {
				return nil, err
			}
			return cl.Order(ctx, id)
		}, showDecision),
	}
	complete(show, c.orders)
	cmd.AddCommand(orderListCommand(c), show, orderAmendCommand(c), orderCancelCommand(c), orderCancelAllCommand(c))
	return cmd
}

func orderCancelCommand(c *Connection) *cobra.Command {
	cmd := &cobra.Command{
		Use: "cancel ORDER", Short: "Take an order out of the book", Args: cobra.ExactArgs(1),
		Example: "  mbp order cancel ord_12",
		RunE: verb(c, func(ctx context.Context, cl *client.Client, args []string) (*client.Decision, error) {
			id, err := idArg[engine.OrderID](args)
			if err != nil {
				return nil, err
			}
			return cl.CancelOrder(ctx, id, c.calls()...)
		}, showDecision),
	}
	complete(cmd, c.orders)
	c.bindKey(cmd)
	return cmd
}

func orderCancelAllCommand(c *Connection) *cobra.Command {
	var market engine.MarketID
	cmd := &cobra.Command{
		Use: "cancel-all", Short: "Take all orders of the account out of the book", Args: cobra.NoArgs,
		Example: "  mbp order cancel-all --market mkt_1",
		RunE: verb(c, func(ctx context.Context, cl *client.Client, _ []string) (*client.Decision, error) {
			return cl.CancelAll(ctx, market, c.calls()...)
		}, showDecision),
	}
	wordVar(cmd.Flags(), &market, "market", "those of this `market` only")
	c.bindKey(cmd)
	return cmd
}

func orderAmendCommand(c *Connection) *cobra.Command {
	var shares exact.Amount
	var limit exact.Price
	cmd := &cobra.Command{
		Use: "amend ORDER --shares SHARES [--limit PRICE]", Short: "Change what waits in the book", Args: cobra.ExactArgs(1),
		Long: `Change how many shares of an order wait, and at which limit. A smaller size at
the same limit keeps its place in the queue; anything else is a new order with a
new id in place of the old one, which stays if the new one is refused.`,
		Example: `  mbp order amend ord_12 --shares 10
  mbp order amend ord_12 --shares 10 --limit 0.45`,
		RunE: verb(c, func(ctx context.Context, cl *client.Client, args []string) (*client.Decision, error) {
			id, err := idArg[engine.OrderID](args)
			if err != nil {
				return nil, err
			}
			return cl.AmendOrder(ctx, id, shares.Shares(), engine.Price(limit), c.calls()...)
		}, showDecision),
	}
	cmd.Flags().Var(&shares, "shares", "`shares` that shall wait from now on")
	cmd.Flags().Var(&limit, "limit", "new limit; as it is by default")
	_ = cmd.MarkFlagRequired("shares") // the flag is there
	complete(cmd, c.orders)
	c.bindKey(cmd)
	return cmd
}

func orderListCommand(c *Connection) *cobra.Command {
	var account engine.AccountID
	cmd := &cobra.Command{
		Use: "list", Short: "List the account's orders in the book, the oldest first", Args: cobra.NoArgs,
		RunE: verb(c, func(ctx context.Context, cl *client.Client, _ []string) (*client.OrderList, error) {
			return cl.Orders(ctx, account)
		}, showOrders),
	}
	wordVar(cmd.Flags(), &account, "account", "those of this `account`; needs a role that may see it")
	return cmd
}

// books are the books of one outcome, or of all of a market.
type books []*client.Book

// MarshalJSON writes one book as the server did, several as a list.
func (b books) MarshalJSON() ([]byte, error) {
	if len(b) == 1 {
		return json.Marshal(b[0])
	}
	return json.Marshal([]*client.Book(b))
}

func bookCommand() *cobra.Command {
	c := &Connection{}
	depth := 20
	cmd := &cobra.Command{
		Use: "book MARKET [OUTCOME]", Short: "Show what waits in the book", Args: cobra.RangeArgs(1, 2),
		Long: `Show the best levels of the book of an outcome, or of each outcome of the market.
The book of NO is that of YES seen from the other side: who waits to buy YES at
0.4 waits to sell NO at 0.6.`,
		Example: "  mbp book mkt_1 YES\n  mbp book mkt_2 --depth 5",
		RunE: verb(c, func(ctx context.Context, cl *client.Client, args []string) (books, error) {
			id, err := idArg[engine.MarketID](args)
			if err != nil {
				return nil, err
			}
			outcomes, err := outcomesOf(ctx, cl, id, args[1:])
			if err != nil {
				return nil, err
			}
			var all books
			for _, o := range outcomes {
				b, err := cl.Book(ctx, id, o, depth)
				if err != nil {
					return nil, err
				}
				all = append(all, b)
			}
			return all, nil
		}, showBooks),
	}
	complete(cmd, c.markets, c.outcomes)
	c.Bind(cmd)
	cmd.Flags().IntVar(&depth, "depth", depth, "how many levels a side, up to 100")
	return cmd
}

// outcomesOf returns the outcome that is named, or all of the market.
func outcomesOf(ctx context.Context, cl *client.Client, id engine.MarketID, named []string) ([]engine.Outcome, error) {
	if len(named) == 1 {
		o, err := idArg[engine.Outcome](named)
		return []engine.Outcome{o}, err
	}
	m, err := cl.Market(ctx, id)
	if err != nil {
		return nil, err
	}
	var all []engine.Outcome
	for i := range m.Outcomes {
		all = append(all, m.Outcomes[i].Outcome)
	}
	return all, nil
}
