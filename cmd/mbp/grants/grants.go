// Package grants is the verbs of mbp about credits that are granted by the calendar:
// which schedules are in force, how far their last round came, and setting and ending
// them.
//
// It promises that a schedule is set as a whole, so that what is said is what holds,
// that times are read and written in UTC, which is the calendar of the periods, and that
// each answer can be had as a table for people or as the server's JSON. It refuses to
// grant anything itself: the engine does, once in each period. Names and exit codes
// follow the Command Line Interface Guidelines (clig.dev), as those of package remote.
package grants

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mbp-market/mbp/cmd/mbp/exact"
	"github.com/mbp-market/mbp/cmd/mbp/remote"
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
)

// Command is mbp grants.
func Command() *cobra.Command {
	c := &remote.Connection{}
	cmd := &cobra.Command{
		Use:   "grants",
		Short: "Grant credits by the calendar",
		Long: `Grant credits by the calendar. A schedule gives an amount to every account, or to
those in some groups (mbp groups), once at the begin of each day, week or month of
UTC; the server does it by itself. With a cap an account gets only what it lacks to
it, so that who does not trade does not hoard.

mbp account grant gives credits to one account, once. What an account was given is
in mbp history grants.`,
	}
	c.Bind(cmd)
	cmd.AddCommand(list(c), show(c), set(c), end(c))
	return cmd
}

func list(c *remote.Connection) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the schedules in force, with the period that comes next and the last round", Args: cobra.NoArgs,
		RunE: remote.Verb(c, func(ctx context.Context, cl *client.Client, _ []string) (*client.GrantSchedules, error) {
			return cl.GrantSchedules(ctx)
		}, func(w io.Writer, all *client.GrantSchedules) {
			if len(all.Schedules) == 0 {
				fmt.Fprintln(w, "nothing is granted by the calendar; mbp grants set --help says how")
				return
			}
			rows := [][]string{{"SCHEDULE", "PERIOD", "AMOUNT", "CAP", "FOR", "NEXT", "LAST ROUND"}}
			for i := range all.Schedules {
				x := &all.Schedules[i]
				rows = append(rows, []string{x.Name, word(x.Period), exact.Format(x.Amount), capOf(x), forWhom(x), day(x.Next), round(x.Round)})
			}
			remote.ShowTable(w, rows)
		}),
	}
}

func show(c *remote.Connection) *cobra.Command {
	cmd := &cobra.Command{
		Use: "show SCHEDULE", Short: "Show a schedule, and how far its last round came", Args: cobra.ExactArgs(1),
		Example: "  mbp grants show allowance",
		RunE: remote.Verb(c, func(ctx context.Context, cl *client.Client, args []string) (*client.GrantScheduleAt, error) {
			return cl.GrantSchedule(ctx, args[0])
		}, showOne),
	}
	complete(c, cmd)
	return cmd
}

func showOne(w io.Writer, x *client.GrantScheduleAt) {
	fmt.Fprintf(w, "%s grants %s credits %s to %s\n", remote.Paint(w, remote.Bold, x.Name), exact.Format(x.Amount), word(x.Period), forWhom(&x.GrantSchedule))
	from, until := "", "for ever"
	if x.Start != 0 {
		from = "from " + day(x.Start) + " "
	}
	if x.End != 0 {
		until = "until " + day(x.End)
	}
	lines := [][2]string{{"cap", capOf(&x.GrantSchedule)}, {"runs", from + until}, {"next", day(x.Next)}, {"round", round(x.Round)}}
	if r := x.Round; r != nil {
		lines = append(lines, [2]string{"begun", r.Begun.String()})
		if r.Done != 0 {
			lines = append(lines, [2]string{"done", r.Done.String()})
		}
	}
	for _, line := range lines {
		fmt.Fprintf(w, "  %-6s %s\n", line[0], line[1])
	}
}

// terms are what `mbp grants set` is told.
type terms struct {
	period       engine.Period
	amount, most exact.Amount
	groups       []string
	start, end   remote.Moment
}

func set(c *remote.Connection) *cobra.Command {
	t := &terms{}
	cmd := &cobra.Command{
		Use: "set SCHEDULE --period PERIOD --amount CREDITS", Short: "Put a schedule in force, or other terms of the one of its name", Args: cobra.ExactArgs(1),
		Long: `Put a schedule in force. Of one that is, all terms are replaced, from its next period
on: what is not said does not hold any more. While a round is being granted its terms
stand; try again when mbp grants show says that it is done.

The first grant comes at the begin of the next period: an account that is opened later
gets its first one in the period after. What was missed while the server was down comes
when it is back, period by period. At most 16 schedules are in force.`,
		Example: `  mbp grants set allowance --period monthly --amount 100 --cap 500
  mbp grants set finals --period daily --amount 20 --groups staff,guests --start 2026-06-01 --end 2026-07-01`,
		RunE: remote.Verb(c, func(ctx context.Context, cl *client.Client, args []string) (*client.Decision, error) {
			return cl.SetGrantSchedule(ctx, engine.GrantSchedule{
				Name: args[0], Period: t.period, Amount: t.amount.Credits(), Cap: t.most.Credits(), Groups: t.groups, Start: t.start.At, End: t.end.At,
			}, c.Calls()...)
		}, remote.ShowDecision),
	}
	f := cmd.Flags()
	f.Var((*period)(&t.period), "period", "`daily, weekly or monthly`, by the calendar of UTC")
	f.Var(&t.amount, "amount", "credits to each account")
	f.Var(&t.most, "cap", "credits that nobody is brought above; what waits in orders counts")
	f.StringSliceVar(&t.groups, "groups", nil, "`groups` of the accounts, with commas between them; all accounts by default")
	f.Var(&t.start, "start", "no period that begins before this `day` or RFC 3339 time")
	f.Var(&t.end, "end", "no period that begins at this `day` or RFC 3339 time, or later")
	for _, name := range []string{"period", "amount"} {
		_ = cmd.MarkFlagRequired(name) // fails only for a flag that is not there
	}
	_ = cmd.RegisterFlagCompletionFunc("period", cobra.FixedCompletions([]cobra.Completion{"daily", "weekly", "monthly"}, cobra.ShellCompDirectiveNoFileComp)) // as above
	complete(c, cmd)
	c.BindKey(cmd)
	return cmd
}

func end(c *remote.Connection) *cobra.Command {
	cmd := &cobra.Command{
		Use: "end SCHEDULE", Short: "Grant nothing more by a schedule", Args: cobra.ExactArgs(1),
		Long: `Grant nothing more by a schedule. Who has not got their grant of a round that is going
on does not get it any more; what was granted stays where it is.`,
		Example: "  mbp grants end finals",
		RunE: remote.Verb(c, func(ctx context.Context, cl *client.Client, args []string) (*client.Decision, error) {
			return cl.EndGrantSchedule(ctx, args[0], c.Calls()...)
		}, remote.ShowDecision),
	}
	complete(c, cmd)
	c.BindKey(cmd)
	return cmd
}

// complete lets the shell complete the name of a schedule.
func complete(c *remote.Connection, cmd *cobra.Command) {
	c.CompleteBy(cmd, func(ctx context.Context, cl *client.Client) (names []string) {
		all, err := cl.GrantSchedules(ctx)
		if err != nil {
			return nil
		}
		for i := range all.Schedules {
			x := &all.Schedules[i]
			names = append(names, cobra.CompletionWithDesc(x.Name, exact.Format(x.Amount)+" "+word(x.Period)))
		}
		return names
	})
}

// period is a flag of a period.
type period engine.Period

// String implements pflag.Value.
func (p *period) String() string {
	if *p == 0 {
		return ""
	}
	return word(engine.Period(*p))
}

// Set implements pflag.Value.
func (p *period) Set(s string) error { return (*engine.Period)(p).UnmarshalText([]byte(s)) }

// Type implements pflag.Value.
func (p *period) Type() string { return "word" }

func word(p engine.Period) string {
	b, _ := p.MarshalText() // a period always has one
	return string(b)
}

func capOf(x *client.GrantSchedule) string {
	if x.Cap == 0 {
		return "none"
	}
	return exact.Format(x.Cap)
}

func forWhom(x *client.GrantSchedule) string {
	return cmp.Or(strings.Join(x.Groups, ", "), "everybody")
}

// day is the begin of a period; one that is said otherwise is not cut short.
func day(t engine.Time) string {
	if at := t.Time(); at.Equal(at.Truncate(24 * time.Hour)) {
		return at.Format(time.DateOnly)
	}
	return t.String()
}

// round is how far a round came.
func round(r *client.GrantRound) string {
	switch {
	case r == nil:
		return "none yet"
	case r.Done == 0:
		return fmt.Sprintf("%s: %d of %d accounts seen, %s credits to %d so far", day(r.Period), r.Seen, r.Accounts, exact.Format(r.Amount), r.Paid)
	}
	return fmt.Sprintf("%s: %s credits to %d of %d accounts", day(r.Period), exact.Format(r.Amount), r.Paid, r.Accounts)
}
