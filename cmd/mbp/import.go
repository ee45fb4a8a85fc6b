package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/mbp-market/mbp/cmd/mbp/exact"
	"github.com/mbp-market/mbp/cmd/mbp/remote"
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
	"github.com/mbp-market/mbp/sim/playback"
	"github.com/mbp-market/mbp/sim/tape"
)

func importCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "import", Short: "Bring recorded data into a server"}
	cmd.AddCommand(importTradesCommand())
	return cmd
}

// tradesImport is what `mbp import trades` was told.
type tradesImport struct {
	remote.Connection
	options   tape.Options
	play      playback.Config
	template  string
	liquidity exact.Amount
	report    string
}

func importTradesCommand() *cobra.Command {
	x := &tradesImport{}
	cmd := &cobra.Command{
		Use:   "trades FILE",
		Short: "Play a recorded stream of real trades into a server",
		Long: `Play a recorded stream of trades (CSV, plain or gzip) into a running server with
the key of an admin. Each market and each account of the recording becomes one
here; each row that really traded becomes an immediate-or-cancel order:

  BUY         spends the row's amount on its outcome (or buys its shares)
  SELL        sells the row's shares; who does not hold them here buys as many
              shares of the other outcome, which is the same position
  no side     the tick rule: price up buys YES for the amount, price down buys as
              many NO shares, unchanged goes on as before
  no outcome  the outcome whose probability lies nearer to the row's price
  no size     an order that carries the price to where the row says it went
  no account  one of --accounts synthetic ones of the source

Rows that did not trade are counted and left out. A market opens at the price
before its first row; its depth is fitted to the recording. Titles come from
markets.csv.gz beside FILE, if it is there.

Repeating the command with the same file and options plays nothing twice: it
goes on where it stopped, for twelve hours (the server remembers a day). Ctrl-C
stops and reports.`,
		Example: `  mbp import trades trades.csv.gz --key-file mbp-data/admin.key --json report.json
  mbp import trades trades.csv.gz --key-file mbp-data/admin.key --speed 60`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return x.run(ctx, args[0], cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	x.Reach(f)
	f.StringVar(&x.report, "json", "", "`file` for the report as JSON")
	f.IntVar(&x.options.Limit, "limit", 0, "play only the first `n` rows that traded")
	f.IntVar(&x.options.Synthetic, "accounts", 500, "accounts of a source for its rows without one")
	f.Uint64Var(&x.options.Seed, "seed", 1, "spreads rows without an account; another seed is another run")
	f.Var(&x.liquidity, "liquidity", "credits in every market (default: fitted to the recording)")
	f.StringVar(&x.template, "template", playback.Template().Name(), "market template, `id@version`; the default one has no price guard and is added if absent")
	f.Float64Var(&x.play.Speed, "speed", 0, "play `n` times as fast as it happened (0: as fast as the server answers)")
	f.DurationVar(&x.play.MaxGap, "max-gap", 10*time.Minute, "with --speed: a longer pause in the recording counts as this")
	f.BoolVar(&x.play.Wait, "wait", true, "wait when an account is rate_limited; else count the row as rejected")
	f.IntVar(&x.play.Concurrency, "concurrency", 64, "orders under way at once")
	return cmd
}

func (x *tradesImport) run(ctx context.Context, file string, stdout, stderr io.Writer) error {
	if x.play.Concurrency < 1 || x.options.Synthetic < 1 || x.options.Limit < 0 || x.play.Speed < 0 || x.play.MaxGap <= 0 {
		return usage(errors.New("--concurrency, --accounts and --max-gap are above zero, --limit and --speed are not negative"))
	}
	cl, err := x.Open()
	if err != nil {
		return err
	}
	if x.options.Template, err = x.findTemplate(ctx, cl); err != nil {
		return err
	}
	x.options.Liquidity = x.liquidity.Credits()
	if x.play.Tape, err = tape.Load(ctx, file, x.options); err != nil {
		return err
	}
	t := x.play.Tape
	fmt.Fprintf(stderr, "%d rows, %d to play, %d markets, %d accounts\n", t.Rows, len(t.Trades), len(t.Markets), len(t.Accounts))
	x.play.Options = x.options
	x.play.Progress = progress(stderr, "rows")
	report, err := playback.Play(ctx, playback.NewRemote(cl), x.play)
	if report == nil {
		return err
	}
	return tell(stdout, report, x.report, err)
}

// progress says on w how many of what are done, and how fast.
func progress(w io.Writer, what string) func(done, all int) {
	began := time.Now()
	return func(done, all int) {
		fmt.Fprintf(w, "%7d of %d %s, %.0f %s/s\n", done, all, what, float64(done)/time.Since(began).Seconds(), what)
	}
}

// tell prints the report of a run that ended with err, and writes it as JSON to
// the file if that is named: what was done before an interrupt is worth knowing.
func tell(stdout io.Writer, report interface{ Text(io.Writer) }, file string, err error) error {
	report.Text(stdout)
	if file != "" {
		err = errors.Join(err, writeReport(file, report))
	}
	return err
}

// findTemplate returns the version whose bounds hold.
func (x *tradesImport) findTemplate(ctx context.Context, cl *client.Client) (engine.Template, error) {
	list, err := cl.Templates(ctx)
	if err != nil {
		return engine.Template{}, err
	}
	for _, t := range list.Templates {
		if t.Name() == x.template {
			return t, nil
		}
	}
	own := playback.Template()
	if x.template != own.Name() {
		return engine.Template{}, usage(fmt.Errorf("the server has no template %s; see mbp template list", x.template))
	}
	_, err = cl.AddTemplate(ctx, own)
	return own, err
}

func writeReport(name string, r any) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode report: %w", err)
	}
	if err := os.WriteFile(name, append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}
