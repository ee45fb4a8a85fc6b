package main

import (
	"context"
	"encoding"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
)

// orderFlags are what a quote and an order are told.
type orderFlags struct {
	amount, shares amountFlag
	limit          priceFlag
	tif, expires   string
	selfTrade      string
	postOnly       bool
}

func (o *orderFlags) bind(cmd *cobra.Command) {
	f := cmd.Flags()
	f.Var(&o.amount, "amount", "credits to spend; buys only")
	f.Var(&o.shares, "shares", "shares to buy or to sell")
	f.Var(&o.limit, "limit", "price that the order may reach, between 0 and 1; by default the template's bounds")
	f.StringVar(&o.tif, "tif", "ioc", "ioc: fill what the limit allows; fok: all or nothing; gtc: the rest waits at the limit; gtd: until --expires")
	f.StringVar(&o.expires, "expires", "", "when the rest of a gtd order leaves the book, RFC 3339 `time`")
	f.BoolVar(&o.postOnly, "post-only", false, "refuse the order if it would trade at once")
	f.StringVar(&o.selfTrade, "self-trade", "cancel_newest", "on meeting an own order: cancel_newest, cancel_oldest or decrement")
	cmd.MarkFlagsOneRequired("amount", "shares")
	cmd.MarkFlagsMutuallyExclusive("amount", "shares")
}

// order reads MARKET OUTCOME SIDE and the flags.
func (o *orderFlags) order(args []string) (client.Order, error) {
	x := client.Order{Amount: engine.Micros(o.amount.micros), Shares: engine.Shares(o.shares.micros), Limit: o.limit.price, TIF: engine.IOC}
	var err error
	if x.Market, err = idArg[engine.MarketID](args); err != nil {
		return x, err
	}
	if err := x.Outcome.UnmarshalText([]byte(args[1])); err != nil {
		return x, usage(err)
	}
	if err := x.Side.UnmarshalText([]byte(args[2])); err != nil {
		return x, usage(err)
	}
	x.PostOnly = o.postOnly
	for _, v := range []struct {
		text string
		into encoding.TextUnmarshaler
	}{{o.tif, &x.TIF}, {o.expires, &x.Expires}, {o.selfTrade, &x.SelfTrade}} {
		if v.text == "" {
			continue
		}
		if err := v.into.UnmarshalText([]byte(v.text)); err != nil {
			return x, usage(err)
		}
	}
	return x, nil
}

func quoteCommand() *cobra.Command {
	c, o := &connection{}, &orderFlags{}
	cmd := &cobra.Command{
		Use:     "quote MARKET OUTCOME buy|sell (--amount CREDITS | --shares SHARES)",
		Short:   "Say what an order would get now",
		Example: `  mbp quote mkt_1 YES buy --amount 10.5`,
		Args:    cobra.ExactArgs(3),
		RunE: verb(c, func(ctx context.Context, cl *client.Client, args []string) (*client.Quote, error) {
			x, err := o.order(args)
			if err != nil {
				return nil, err
			}
			return cl.Quote(ctx, x)
		}, showQuote),
	}
	c.bind(cmd)
	o.bind(cmd)
	return cmd
}

func orderCommand() *cobra.Command {
	c, o := &connection{}, &orderFlags{}
	cmd := &cobra.Command{
		Use:   "order MARKET OUTCOME buy|sell (--amount CREDITS | --shares SHARES)",
		Short: "Buy or sell shares of an outcome",
		Long: `Buy or sell shares of an outcome with the account of the API key. An order fills
at once as far as its limit allows (ioc), or whole or not at all (fok); the rest
of a gtc or gtd order waits in the book at its limit.`,
		Example: `  mbp order mkt_1 YES buy --amount 10.5
  mbp order mkt_1 YES buy --amount 10.5 --limit 0.6 --tif fok
  mbp order mkt_1 YES sell --shares 18.181818`,
		Args: cobra.ExactArgs(3),
		RunE: verb(c, func(ctx context.Context, cl *client.Client, args []string) (*client.Decision, error) {
			x, err := o.order(args)
			if err != nil {
				return nil, err
			}
			return cl.PlaceOrder(ctx, x, c.calls()...)
		}, showDecision),
	}
	c.bind(cmd)
	c.bindKey(cmd)
	o.bind(cmd)
	cmd.AddCommand(orderCancelCommand(c), orderCancelAllCommand(c), orderListCommand(c))
	return cmd
}

func orderCancelCommand(c *connection) *cobra.Command {
	cmd := &cobra.Command{
		Use: "cancel ORDER", Short: "Take an order out of the book", Args: cobra.ExactArgs(1),
		RunE: verb(c, func(ctx context.Context, cl *client.Client, args []string) (*client.Decision, error) {
			id, err := idArg[engine.OrderID](args)
			if err != nil {
				return nil, err
			}
			return cl.CancelOrder(ctx, id, c.calls()...)
		}, showDecision),
	}
	c.bindKey(cmd)
	return cmd
}

func orderCancelAllCommand(c *connection) *cobra.Command {
	var market string
	cmd := &cobra.Command{
		Use: "cancel-all", Short: "Take all orders of the account out of the book", Args: cobra.NoArgs,
		RunE: verb(c, func(ctx context.Context, cl *client.Client, _ []string) (*client.Decision, error) {
			var id engine.MarketID
			if market != "" {
				if err := id.UnmarshalText([]byte(market)); err != nil {
					return nil, usage(err)
				}
			}
			return cl.CancelAll(ctx, id, c.calls()...)
		}, showDecision),
	}
	cmd.Flags().StringVar(&market, "market", "", "those of this `market` only")
	c.bindKey(cmd)
	return cmd
}

func orderListCommand(c *connection) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the account's orders in the book", Args: cobra.NoArgs,
		RunE: verb(c, func(ctx context.Context, cl *client.Client, _ []string) (*client.OrderList, error) {
			return cl.Orders(ctx, 0)
		}, showOrders),
	}
}

func bookCommand() *cobra.Command {
	c := &connection{}
	depth := 20
	cmd := &cobra.Command{
		Use: "book MARKET OUTCOME", Short: "Show what waits in the book of an outcome", Args: cobra.ExactArgs(2),
		Example: "  mbp book mkt_1 YES",
		RunE: verb(c, func(ctx context.Context, cl *client.Client, args []string) (*client.Book, error) {
			id, err := idArg[engine.MarketID](args)
			if err != nil {
				return nil, err
			}
			var o engine.Outcome
			if err := o.UnmarshalText([]byte(args[1])); err != nil {
				return nil, usage(err)
			}
			return cl.Book(ctx, id, o, depth)
		}, showBook),
	}
	c.bind(cmd)
	cmd.Flags().IntVar(&depth, "depth", depth, "how many levels a side, up to 100")
	return cmd
}

func decisionCommand() *cobra.Command {
	c := &connection{}
	cmd := &cobra.Command{Use: "decision", Short: "Read decisions back"}
	c.bind(cmd)
	show := &cobra.Command{
		Use: "show SEQ", Short: "Show a decision", Args: cobra.ExactArgs(1),
		RunE: verb(c, func(ctx context.Context, cl *client.Client, args []string) (*client.Decision, error) {
			seq, err := strconv.ParseUint(args[0], 10, 63)
			if err != nil || seq == 0 {
				return nil, usage(fmt.Errorf("%q is not a sequence", args[0]))
			}
			return cl.Decision(ctx, engine.Seq(seq))
		}, showDecision),
	}
	var after uint64
	limit := 100
	list := &cobra.Command{
		Use: "list", Short: "List decisions in order", Args: cobra.NoArgs,
		RunE: verb(c, func(ctx context.Context, cl *client.Client, _ []string) (*client.DecisionPage, error) {
			return cl.Decisions(ctx, engine.Seq(after), limit)
		}, showDecisions),
	}
	list.Flags().Uint64Var(&after, "after", 0, "the first one comes after this `sequence`")
	list.Flags().IntVar(&limit, "limit", limit, "how many at most, up to 1000")
	cmd.AddCommand(show, list)
	return cmd
}
