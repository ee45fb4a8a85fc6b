// Package steering is the verbs of mbp for those who run it as a whole: the limits in force,
// how much service it gives, its deadlines, and where all credits are.
//
// It promises that what people read is exact and complete, limits that are switched off
// too, and that each answer can be had as the server's JSON. It refuses to change a part
// of a bundle of limits: one is read from a file as a whole, so that what is in force is
// what somebody has seen. Names and exit codes follow the Command Line Interface
// Guidelines (clig.dev), as those of package remote.
package steering

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/mbp-market/mbp/cmd/mbp/exact"
	"github.com/mbp-market/mbp/cmd/mbp/exit"
	"github.com/mbp-market/mbp/cmd/mbp/remote"
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
)

// Commands returns the verbs in the order in which the help lists them.
func Commands() []*cobra.Command {
	return []*cobra.Command{policyCommand(), modeCommand(), clockCommand(), houseCommand()}
}

func policyCommand() *cobra.Command {
	c := &remote.Connection{}
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Show and change the limits of the whole platform",
		Long: `Show and change the bundle of limits of the whole platform: order rates,
capacities, and when abuse is raised. A change is a decision, and the bundle
before can be put back.`,
	}
	c.Bind(cmd)
	show := &cobra.Command{
		Use: "show", Short: "Show the bundle in force", Args: cobra.NoArgs,
		Example: "  mbp policy show --json | jq .policy > policy.json",
		RunE: remote.Verb(c, func(ctx context.Context, cl *client.Client, _ []string) (*client.Policy, error) {
			return cl.Policy(ctx)
		}, showPolicy),
	}
	set := &cobra.Command{
		Use: "set FILE", Short: "Put another bundle in force, from a JSON document", Args: cobra.ExactArgs(1),
		Long:    "Put another bundle in force. The document is the policy of `mbp policy show --json`,\nwith every limit in it.",
		Example: "  mbp policy set policy.json",
		RunE: remote.Verb(c, func(ctx context.Context, cl *client.Client, args []string) (*client.Decision, error) {
			p, err := remote.ReadDocument[engine.Policy](args[0])
			if err != nil {
				return nil, err
			}
			return cl.SetPolicy(ctx, p, c.Calls()...)
		}, remote.ShowDecision),
	}
	rollback := &cobra.Command{
		Use: "rollback", Short: "Put the bundle before back in force", Args: cobra.NoArgs,
		RunE: remote.Verb(c, func(ctx context.Context, cl *client.Client, _ []string) (*client.Decision, error) {
			return cl.RollbackPolicy(ctx, c.Calls()...)
		}, remote.ShowDecision),
	}
	c.BindKey(set, rollback)
	cmd.AddCommand(show, set, rollback)
	return cmd
}

func modeCommand() *cobra.Command {
	c := &remote.Connection{}
	reason := ""
	cmd := &cobra.Command{
		Use:   "mode normal|lite|shed|read_only --reason TEXT",
		Short: "Change how much of its service the platform gives",
		Long: `Change how much of its service the platform gives:

  normal     all of it
  lite       streams tell once in a while where prices and books stand
  shed       the same, and less reading and trading is admitted; to cancel is not
  read_only  nothing trades; orders can still be cancelled

mbp policy show says which mode it is.`,
		Example: "  mbp mode read_only --reason 'disk of the journal is being replaced'",
		Args:    cobra.ExactArgs(1),
		RunE: remote.Verb(c, func(ctx context.Context, cl *client.Client, args []string) (*client.Decision, error) {
			var m engine.Mode
			if err := m.UnmarshalText([]byte(args[0])); err != nil {
				return nil, exit.BadUsage(err)
			}
			return cl.SetMode(ctx, m, reason, c.Calls()...)
		}, remote.ShowDecision),
	}
	remote.CompleteWords(cmd, "normal", "lite", "shed", "read_only")
	c.Bind(cmd)
	c.BindKey(cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "why, one line of at most 128 bytes")
	_ = cmd.MarkFlagRequired("reason") // the flag is there
	return cmd
}

func clockCommand() *cobra.Command {
	c := &remote.Connection{}
	cmd := &cobra.Command{Use: "clock", Short: "Hold deadlines, or confirm the time and let them go on"}
	c.Bind(cmd)
	add := func(use, short, long, example string, held bool) {
		reason := ""
		sub := &cobra.Command{
			Use: use + " --reason TEXT", Short: short, Long: long, Example: example, Args: cobra.NoArgs,
			RunE: remote.Verb(c, func(ctx context.Context, cl *client.Client, _ []string) (*client.Decision, error) {
				return cl.SetDeadlines(ctx, held, reason, c.Calls()...)
			}, remote.ShowDecision),
		}
		sub.Flags().StringVar(&reason, "reason", "", "why, one line of at most 128 bytes")
		_ = sub.MarkFlagRequired("reason") // the flag is there
		c.BindKey(sub)
		cmd.AddCommand(sub)
	}
	add("hold", "Hold deadlines: nothing happens because a time has come", `Hold deadlines: nothing expires, closes, reopens, becomes final or is overdue until
somebody confirms the time. Trading goes on. An order whose time is over stays in the
book and can be met.`, "  mbp clock hold --reason 'the time server is being replaced'", true)
	add("confirm", "Confirm that the server's clock is right, and let deadlines go on", `Confirm that the server's wall clock is right. Engine time goes on with it, and what
is due by then happens at once, in order, and cannot be taken back: first see what
time it is (mbp house show tells engine time, date -u on the server the wall clock).`, "  mbp clock confirm --reason 'compared with two time servers'", false)
	return cmd
}

func houseCommand() *cobra.Command {
	c := &remote.Connection{}
	cmd := &cobra.Command{Use: "house", Short: "Show how the platform as a whole stands, and upgrade its rules"}
	c.Bind(cmd)
	show := &cobra.Command{
		Use: "show", Short: "Show mode, rules, and where all credits are", Args: cobra.NoArgs,
		Long: `Show mode, rules, and where all credits are. What was issued is what traders have,
what markets hold as collateral, fees and the dust of rounding, and what is the
income of the house.`,
		RunE: remote.Verb(c, func(ctx context.Context, cl *client.Client, _ []string) (*client.House, error) {
			return cl.House(ctx)
		}, showHouse),
	}
	upgrade := &cobra.Command{
		Use: "upgrade VERSION", Short: "Let the rules of another version decide from now on", Args: cobra.ExactArgs(1),
		Long: `Let the rules of another version decide from now on. There is no way back: first
run a binary that knows the rules everywhere (mbp house show says which it knows).`,
		Example: "  mbp house upgrade 2",
		RunE: remote.Verb(c, func(ctx context.Context, cl *client.Client, args []string) (*client.Decision, error) {
			v, err := strconv.ParseUint(args[0], 10, 32)
			if err != nil {
				return nil, exit.BadUsage(fmt.Errorf("%q is not a version of the rules", args[0]))
			}
			return cl.UpgradeEngine(ctx, uint32(v), c.Calls()...)
		}, remote.ShowDecision),
	}
	c.BindKey(upgrade)
	cmd.AddCommand(show, upgrade)
	return cmd
}

// showPolicy writes the bundle as lines of name and value, durations as such.
func showPolicy(w io.Writer, p *client.Policy) {
	x := &p.Policy
	fmt.Fprintf(w, "policy %s, mode %s, sha256 %s\n", remote.Paint(w, remote.Bold, x.Version), p.Mode, p.SHA256)
	span := func(us int64) string { return (time.Duration(us) * time.Microsecond).String() }
	// Zero switches these off; every other limit is at least one.
	unless := func(zero int64, off, format string, values ...any) string {
		if zero == 0 {
			return off
		}
		return fmt.Sprintf(format, values...)
	}
	burst := func(b engine.BurstRule) string {
		return unless(b.Sigmas, "off", "above %d orders in ten seconds and %d deviations above its own mean", b.Floor, b.Sigmas)
	}
	for _, line := range [][2]string{
		{"orders", fmt.Sprintf("one in %s on average, %d at once, for each account", span(x.OrderInterval), x.OrderBurst)},
		{"trades", unless(x.TradeInterval, "no limit", "one in %s on average, %d at once", span(x.TradeInterval), x.TradeBurst)},
		{"waiting", fmt.Sprintf("%d orders of an account; one order meets at most %d", x.MaxOpenOrders, x.MaxFills)},
		{"capacity", fmt.Sprintf("%d accounts, %d markets, %d keys, %d templates", x.MaxAccounts, x.MaxMarkets, x.MaxKeys, x.MaxTemplates)},
		{"burst", "of an account " + burst(x.AccountBurst) + "; of a market " + burst(x.Burst)},
		{"wash", unless(x.Wash.Times, "off", "%d changes of direction within %s", x.Wash.Times, span(x.Wash.Window))},
		{"self-trade", unless(x.SelfTrades.Times, "off", "%d meetings with own orders within %s", x.SelfTrades.Times, span(x.SelfTrades.Window))},
		{"degraded", fmt.Sprintf("quotes on the streams once in %s; shed divides what is admitted by %d", span(x.Degrade.PushInterval), x.Degrade.ShedDivisor)},
	} {
		fmt.Fprintf(w, "  %-10s %s\n", line[0], line[1])
	}
}

// showHouse writes how the platform as a whole stands.
func showHouse(w io.Writer, h *client.House) {
	fmt.Fprintf(w, "mode %s, rules of version %d decide, the server knows them up to %d\n", remote.Paint(w, remote.Bold, h.Mode.String()), h.Rules, h.Newest)
	deadlines := "deadlines are acted on"
	if h.Held {
		deadlines = remote.Paint(w, remote.Amber, "deadlines are held until an operator confirms the time")
	}
	fmt.Fprintf(w, "engine time %s, %s\n", h.Time, deadlines)
	rows := [][]string{{"WHERE THE CREDITS ARE", "CREDITS"}}
	for _, x := range []struct {
		name   string
		amount engine.Micros
	}{
		{"issued", h.Issued}, {"accounts", h.Accounts}, {"market:collateral", h.Collateral}, {"market:fees", h.Fees},
		{"market:rounding", h.Rounding}, {"platform", h.Platform},
	} {
		rows = append(rows, []string{x.name, exact.Format(x.amount)})
	}
	remote.ShowTable(w, rows)
}
