package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/mbp-market/mbp/cmd/mbp/exact"
	"github.com/mbp-market/mbp/cmd/mbp/remote"
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/sim/world"
)

func seedCommand() *cobra.Command {
	c := &remote.Connection{}
	cfg := world.Config{}
	out := ""
	cmd := &cobra.Command{
		Use:   "seed --out FILE",
		Short: "Build a market world: accounts with keys, markets, a resolution, an abuse event",
		Long: `Build a market world on a running server, through its API, with the key of an
admin: markets that a company would ask, one of which gets at least thirty
percent of the flow; accounts with credits and keys, whose secrets are made here;
a group of traders, and a season of thirty days unless there is one; one more market that two principals resolve with evidence; one account that runs
into its order rate, which must raise an abuse event.

FILE (mode 0600) says who can trade where, with the secrets. Equal seeds give
equal questions, prices and weights.`,
		Example: `  mbp seed --key-file mbp-data/admin.key --accounts 1000 --markets 20 --seed 1 --out world.json`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if out == "" {
				return usage(errors.New("--out says where the secrets go"))
			}
			cl, err := c.Open()
			if err != nil {
				return err
			}
			began := time.Now()
			cfg.Progress = func(step string, n int, took time.Duration) {
				fmt.Fprintf(cmd.ErrOrStderr(), "%6d  %s in %.1f s\n", n, step, took.Seconds())
			}
			w, err := world.Build(cmd.Context(), cl, cfg)
			if err != nil {
				return err
			}
			if err := w.Save(out); err != nil {
				return err
			}
			took := time.Since(began).Seconds()
			if c.JSON() {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(struct {
					Accounts int             `json:"accounts"`
					Markets  int             `json:"markets"`
					Resolved engine.MarketID `json:"resolved_market"`
					Payouts  engine.Micros   `json:"payouts_micros"`
					Abuse    engine.Seq      `json:"abuse_decision"`
					Seconds  float64         `json:"seconds"`
					File     string          `json:"file"`
				}{len(w.Traders), len(w.Markets), w.Resolved, w.Payouts, w.Abuse, took, out})
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%d traders in %d markets; %s is resolved and paid %s credits; decision %d raised the abuse event; %s written in %.1f s\n",
				len(w.Traders), len(w.Markets), w.Resolved, exact.Format(w.Payouts), w.Abuse, out, took)
			return nil
		},
	}
	c.Bind(cmd)
	f := cmd.Flags()
	f.IntVar(&cfg.Accounts, "accounts", 1000, "trading accounts")
	f.IntVar(&cfg.Markets, "markets", 20, "open markets")
	f.Uint64Var(&cfg.Seed, "seed", 1, "what questions, prices and weights are drawn from")
	f.IntVar(&cfg.Concurrency, "concurrency", 32, "requests under way at once")
	f.StringVar(&out, "out", "", "`file` to write, mode 0600")
	return cmd
}
