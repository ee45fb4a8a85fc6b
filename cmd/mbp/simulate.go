package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/mbp-market/mbp/engine/httpapi/client"
	"github.com/mbp-market/mbp/sim/crowd"
	"github.com/mbp-market/mbp/sim/world"
)

// simulation is what `mbp simulate` was told.
type simulation struct {
	crowd.Config
	url      string
	fixtures string
	report   string
}

func simulateCommand() *cobra.Command {
	x := &simulation{}
	cmd := &cobra.Command{
		Use:   "simulate --fixtures FILE",
		Short: "Let seeded traders trade on the markets of a world",
		Long: `Let simulated traders trade on a running server, with the accounts, keys and
markets of a FILE that mbp seed wrote. No other key is needed.

Behind each market stands a hidden probability that walks while they trade. Of a
hundred traders

  55 value     believe something near it, and buy what is cheaper or sell what is
               dearer than they believe, a tenth of what Kelly's rule says, with
               their belief as the limit
  20 noise     buy and sell for no reason
  12 momentum  buy what has risen in the last rounds
  13 closer    open a position like a value trader, and sell it again

Everybody has one order in a round at most, and accounts stay below their order
rate. The orders follow from --seed and from what the server answers: on equal
servers, equal seeds trade equally. A second run on the same server goes on from
the prices of the first.

The report says what was accepted and rejected by reason, how long decisions
took, and how far prices stood from the hidden probabilities before and after.
Ctrl-C stops and reports.`,
		Example: `  mbp seed --key-file mbp-data/admin.key --out world.json
  mbp simulate --fixtures world.json --orders 20000 --seed 1 --json report.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return x.run(ctx, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.StringVar(&x.fixtures, "fixtures", "", "`file` of mbp seed: markets, accounts and their keys")
	f.StringVar(&x.url, "url", "", "`URL` of the server (MBP_URL, default: the one in the file)")
	f.IntVar(&x.Orders, "orders", 20_000, "orders to place")
	f.Uint64Var(&x.Seed, "seed", 1, "what probabilities, styles and wishes are drawn from")
	f.IntVar(&x.Concurrency, "concurrency", 64, "orders under way at once; those of one market never are")
	f.StringVar(&x.report, "json", "", "`file` for the report as JSON")
	return cmd
}

func (x *simulation) run(ctx context.Context, stdout, stderr io.Writer) error {
	if x.fixtures == "" {
		return usage(errors.New("--fixtures says who trades where; mbp seed writes the file"))
	}
	if x.Orders < 1 || x.Concurrency < 1 {
		return usage(errors.New("--orders and --concurrency are above zero"))
	}
	w, err := world.Load(x.fixtures)
	if err != nil {
		return usage(err)
	}
	x.World = w
	cl, err := client.New(cmp.Or(x.url, os.Getenv("MBP_URL"), w.BaseURL), w.Traders[0].Key)
	if err != nil {
		return usage(err)
	}
	x.Progress = progress(stderr, "orders")
	report, err := crowd.Play(ctx, crowd.NewRemote(cl), x.Config)
	if report == nil {
		return err
	}
	return tell(stdout, report, x.report, err)
}
