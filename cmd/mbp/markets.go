package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
)

func marketCommand() *cobra.Command {
	c := &connection{}
	cmd := &cobra.Command{Use: "market", Short: "Open, watch and resolve markets"}
	c.bind(cmd)
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
	cmd.AddCommand(marketCreateCommand(c), marketListCommand(c), show, marketPauseCommand(c), marketProposeCommand(c))
	for _, v := range []struct {
		use, short string
		do         func(*client.Client, context.Context, engine.MarketID, ...client.Call) (*client.Decision, error)
	}{
		{"activate", "Open a draft", (*client.Client).Activate},
		{"reopen", "Reopen a market that its price guard froze", (*client.Client).Reopen},
		{"close", "End trading for good; it is not a resolution", (*client.Client).Close},
		{"resume", "Reopen a paused market", (*client.Client).Resume},
		{"approve", "Accept the proposed outcome; needs another principal than the proposer", (*client.Client).Approve},
		{"reject", "Drop the proposed outcome; the market is paused then", (*client.Client).Reject},
	} {
		one := &cobra.Command{
			Use: v.use + " MARKET", Short: v.short, Args: cobra.ExactArgs(1),
			RunE: verb(c, func(ctx context.Context, cl *client.Client, args []string) (*client.Decision, error) {
				id, err := idArg[engine.MarketID](args)
				if err != nil {
					return nil, err
				}
				return v.do(cl, ctx, id, c.calls()...)
			}, showDecision),
		}
		c.bindKey(one)
		cmd.AddCommand(one)
	}
	return cmd
}

func marketPauseCommand(c *connection) *cobra.Command {
	orders := false
	cmd := &cobra.Command{
		Use: "pause MARKET", Short: "Halt trading until it is resumed", Args: cobra.ExactArgs(1),
		RunE: verb(c, func(ctx context.Context, cl *client.Client, args []string) (*client.Decision, error) {
			id, err := idArg[engine.MarketID](args)
			if err != nil {
				return nil, err
			}
			return cl.Pause(ctx, id, orders, c.calls()...)
		}, showDecision),
	}
	cmd.Flags().BoolVar(&orders, "cancel-orders", false, "cancel what waits in the book, too")
	c.bindKey(cmd)
	return cmd
}

func marketCreateCommand(c *connection) *cobra.Command {
	m := engine.OpenMarket{}
	var creator, closeAt string
	var liquidity amountFlag
	var price priceFlag
	cmd := &cobra.Command{
		Use:     "create --title TEXT --creator ACCOUNT --liquidity CREDITS",
		Short:   "Open a market with the creator's credits as its liquidity",
		Example: `  mbp market create --title 'Rain in Lisbon on 24 December' --creator acc_1 --liquidity 500 --price 0.3 --close-at 2027-12-24T00:00:00Z`,
		Args:    cobra.NoArgs,
		RunE: verb(c, func(ctx context.Context, cl *client.Client, _ []string) (*client.Decision, error) {
			if err := m.Creator.UnmarshalText([]byte(creator)); err != nil {
				return nil, usage(err)
			}
			if closeAt != "" {
				if err := m.CloseAt.UnmarshalText([]byte(closeAt)); err != nil {
					return nil, usage(err)
				}
			}
			m.Liquidity, m.Price = engine.Micros(liquidity.micros), price.price
			if m.Price == 0 && len(m.Outcomes) == 0 {
				m.Price = engine.One / 2
			}
			return cl.OpenMarket(ctx, m, c.calls()...)
		}, showDecision),
	}
	f := cmd.Flags()
	f.StringVar(&m.Template, "template", engine.DefaultTemplate().Name(), "`id@version` of its template")
	f.StringVar(&m.Title, "title", "", "the question, one line")
	f.StringVar(&creator, "creator", "", "`account` that seeds the pool")
	f.Var(&liquidity, "liquidity", "credits that seed the pool")
	f.Var(&price, "price", "opening price of YES or LONG, between 0 and 1; 0.5 by default")
	f.StringArrayVar(&m.Outcomes, "outcome", nil, "a `label` of a categorical market, once for each of its outcomes")
	f.Int64Var(&m.Min, "min", 0, "`value` at which LONG of a scalar market pays nothing")
	f.Int64Var(&m.Max, "max", 0, "`value` at which LONG of a scalar market pays one credit")
	f.BoolVar(&m.Draft, "draft", false, "do not open it before mbp market activate")
	f.StringVar(&closeAt, "close-at", "", "when trading ends, RFC 3339 `time`; never by default")
	for _, name := range []string{"title", "creator", "liquidity"} {
		_ = cmd.MarkFlagRequired(name) // fails only for a flag that is not there
	}
	c.bindKey(cmd)
	return cmd
}

func marketListCommand(c *connection) *cobra.Command {
	var after string
	limit := 50
	cmd := &cobra.Command{
		Use: "list", Short: "List markets in the order of their ids", Args: cobra.NoArgs,
		RunE: verb(c, func(ctx context.Context, cl *client.Client, _ []string) (*client.MarketPage, error) {
			var id engine.MarketID
			if after != "" {
				if err := id.UnmarshalText([]byte(after)); err != nil {
					return nil, usage(err)
				}
			}
			return cl.Markets(ctx, id, limit)
		}, func(w io.Writer, p *client.MarketPage) {
			showMarkets(w, p.Markets)
			if p.Next != 0 {
				fmt.Fprintln(w, paint(w, grey, "more: --after "+p.Next.String()))
			}
		}),
	}
	cmd.Flags().StringVar(&after, "after", "", "the first one comes after this `market`")
	cmd.Flags().IntVar(&limit, "limit", limit, "how many at most, up to 500")
	return cmd
}

func marketProposeCommand(c *connection) *cobra.Command {
	p := engine.ProposeResolution{}
	var outcome, digest, evidence, effective string
	cmd := &cobra.Command{
		Use:   "propose MARKET (--outcome OUTCOME | --value N) --evidence-uri URI (--evidence FILE | --evidence-sha256 HEX)",
		Short: "Name the outcome with its evidence; trading halts",
		Example: `  mbp market propose mkt_1 --outcome YES --evidence-uri https://example.org/report.pdf --evidence report.pdf
  MBP_KEY_FILE=second.key mbp market approve mkt_1`,
		Args: cobra.ExactArgs(1),
		RunE: verb(c, func(ctx context.Context, cl *client.Client, args []string) (*client.Decision, error) {
			var err error
			if p.Market, err = idArg[engine.MarketID](args); err != nil {
				return nil, err
			}
			if outcome == "" {
				outcome = engine.Long.String()
			}
			if err := p.Outcome.UnmarshalText([]byte(outcome)); err != nil {
				return nil, usage(err)
			}
			if effective != "" {
				if err := p.EffectiveAt.UnmarshalText([]byte(effective)); err != nil {
					return nil, usage(err)
				}
			}
			if p.EvidenceSHA256, err = evidenceDigest(evidence, digest); err != nil {
				return nil, usage(err)
			}
			return cl.Propose(ctx, p, c.calls()...)
		}, showDecision),
	}
	f := cmd.Flags()
	f.StringVar(&outcome, "outcome", "", "YES, NO, or O1, O2, … of a categorical market")
	f.Int64Var(&p.Value, "value", 0, "the `value` of a scalar market")
	f.StringVar(&effective, "effective-at", "", "void what was traded after this `time`, RFC 3339")
	f.StringVar(&p.EvidenceURI, "evidence-uri", "", "where the evidence is published")
	f.StringVar(&evidence, "evidence", "", "the evidence as a `file`, to compute its digest")
	f.StringVar(&digest, "evidence-sha256", "", "its SHA-256 in `hex`, without the file")
	_ = cmd.MarkFlagRequired("evidence-uri") // fails only for a flag that is not there
	cmd.MarkFlagsOneRequired("outcome", "value")
	cmd.MarkFlagsMutuallyExclusive("outcome", "value")
	cmd.MarkFlagsOneRequired("evidence", "evidence-sha256")
	cmd.MarkFlagsMutuallyExclusive("evidence", "evidence-sha256")
	c.bindKey(cmd)
	return cmd
}

func evidenceDigest(file, hex string) (engine.Digest, error) {
	var d engine.Digest
	if file == "" {
		return d, d.UnmarshalText([]byte(hex))
	}
	f, err := os.Open(file)
	if err != nil {
		return d, err
	}
	h := sha256.New()
	_, err = io.Copy(h, f)
	copy(d[:], h.Sum(nil))
	return d, errors.Join(err, f.Close())
}
