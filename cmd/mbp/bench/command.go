package bench

import (
	"encoding/json"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/mbp-market/mbp/cmd/mbp/exit"
	"github.com/mbp-market/mbp/cmd/mbp/remote"
)

// Command measures a server.
func Command() *cobra.Command {
	c := &remote.Connection{}
	cfg := Config{Rate: 100, Time: 10 * time.Second}
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Load a server of your own, and say how fast it decides",
		Long: `Load a server on this machine with the key of an admin: make a market and as many
traders as the rate needs, send orders at that rate, and say how long each took from
when it was due until its decision was durable. The keys are revoked at the end; the
market and the accounts stay, as everything does that was decided.

The server's own limits hold: codes such as too_many_requests and rate_limited say
that more was asked than it allows (see --trader-rate of mbp serve).`,
		Example: "  mbp bench --rate 200 --for 30s --key-file mbp-data/admin.key",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := cfg.Validate(); err != nil {
				return exit.BadUsage(err)
			}
			cl, err := c.Open()
			if err != nil {
				return err
			}
			if err := Own(cl.URL()); err != nil {
				return exit.BadUsage(err)
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			cfg.Progress = cmd.ErrOrStderr()
			r, err := Run(ctx, cl, cfg)
			if err != nil {
				return err
			}
			if c.JSON() {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(r)
			}
			r.Text(cmd.OutOrStdout())
			return nil
		},
	}
	c.Bind(cmd)
	cmd.Flags().IntVar(&cfg.Rate, "rate", cfg.Rate, "`orders` a second")
	cmd.Flags().DurationVar(&cfg.Time, "for", cfg.Time, "how long")
	return cmd
}
