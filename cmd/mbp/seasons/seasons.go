// Package seasons is the verbs of mbp about seasons: which there are, who won most in
// them, opening and ending them, and whether an account wants to be seen there.
//
// It promises that standings are read page by page, whole where that is asked for, that
// times are read and written in UTC, and that each answer can be had as a table for people
// or as the server's JSON. It refuses to say who is behind an account: the server does not
// know it either. Names and exit codes follow the Command Line Interface Guidelines
// (clig.dev), as those of package remote.
package seasons

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/mbp-market/mbp/cmd/mbp/exact"
	"github.com/mbp-market/mbp/cmd/mbp/remote"
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
)

// Command is mbp season.
func Command() *cobra.Command {
	c := &remote.Connection{}
	cmd := &cobra.Command{
		Use:   "season",
		Short: "Compare accounts over a span of time",
		Long: `Compare accounts over a span of time. A season has a begin and an end; at each of them
the server counts what every account has: its credits, its shares at the published
prices, and its part of pools. Profit is what an account has at the end, less what it had
at the begin and was granted meanwhile (mbp grants, mbp account grant).

Trading goes on while accounts are counted; what counts is one moment, which mbp season
list shows. When a season is over its standings stand. While it runs they are worked out
every few seconds.

Accounts that trade for the house do not belong among people: hide them with
mbp season hide. Whoever has a key of another role than trader is not ranked anyway.`,
	}
	c.Bind(cmd)
	cmd.AddCommand(list(c), open(c), end(c), standings(c), ranking(c, "hide", false), ranking(c, "show", true))
	return cmd
}

func list(c *remote.Connection) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the seasons in the order of their begins", Args: cobra.NoArgs,
		RunE: remote.Verb(c, func(ctx context.Context, cl *client.Client, _ []string) (*client.Seasons, error) {
			return cl.Seasons(ctx)
		}, func(w io.Writer, all *client.Seasons) {
			if len(all.Seasons) == 0 {
				fmt.Fprintln(w, "there is no season; mbp season open --help says how one is opened")
				return
			}
			rows := [][]string{{"SEASON", "STATE", "BEGIN", "END", "RANKED"}}
			for i := range all.Seasons {
				x, ranked := &all.Seasons[i], "-"
				if x.State == engine.SeasonEnded {
					ranked = strconv.Itoa(x.Accounts)
				}
				rows = append(rows, []string{x.Name, x.State.String(), moment(x.BeganAt, x.Start), moment(x.EndedAt, x.End), ranked})
			}
			remote.ShowTable(w, rows)
		}),
	}
}

// moment is when something was, or when it is to be.
func moment(was *engine.Time, planned engine.Time) string {
	if was != nil {
		planned = *was
	}
	return planned.Time().Format("2006-01-02 15:04:05Z")
}

func open(c *remote.Connection) *cobra.Command {
	var start, end remote.Moment
	cmd := &cobra.Command{
		Use: "open SEASON --end TIME", Short: "Announce a season", Args: cobra.ExactArgs(1),
		Long: `Announce a season. It begins at once if no start is said. No two seasons overlap; where
one begins at the moment at which another ends, both count the same moment, and nothing
falls between them. At most 12 are announced or run, and the last 12 that ended are kept.

While deadlines are held (mbp clock) no season begins or ends; that comes afterwards.`,
		Example: `  mbp season open spring --start 2026-03-01 --end 2026-06-01
  mbp season open finals --end 2026-06-15T18:00:00Z`,
		RunE: remote.Verb(c, func(ctx context.Context, cl *client.Client, args []string) (*client.Decision, error) {
			return cl.OpenSeason(ctx, client.NewSeason{Name: args[0], Start: start.At, End: end.At}, c.Calls()...)
		}, remote.ShowDecision),
	}
	f := cmd.Flags()
	f.Var(&start, "start", "the `day` (its midnight in UTC) or RFC 3339 time at which it begins; at once by default")
	f.Var(&end, "end", "the `day` or RFC 3339 time at which it ends")
	_ = cmd.MarkFlagRequired("end") // fails only for a flag that is not there
	c.BindKey(cmd)
	return cmd
}

func end(c *remote.Connection) *cobra.Command {
	cmd := &cobra.Command{
		Use: "end SEASON", Short: "End a season now, or withdraw one that has not begun", Args: cobra.ExactArgs(1),
		Long: `End a season now: its standings are those of this moment, and stand. One that has not
begun is withdrawn and leaves nothing. One that is over stays as it is.`,
		Example: "  mbp season end spring",
		RunE: remote.Verb(c, func(ctx context.Context, cl *client.Client, args []string) (*client.Decision, error) {
			return cl.EndSeason(ctx, args[0], c.Calls()...)
		}, remote.ShowDecision),
	}
	complete(c, cmd, func(x *engine.Season) bool { return x.State <= engine.SeasonRunning })
	c.BindKey(cmd)
	return cmd
}

// most is how many lines standings show where not all are asked for.
const most = 20

func standings(c *remote.Connection) *cobra.Command {
	var limit int
	var all bool
	cmd := &cobra.Command{
		Use: "standings SEASON", Short: "Show who won most in a season", Args: cobra.ExactArgs(1),
		Long: `Show who won most in a season. Equal profits have the same rank, and who neither won nor
lost is not listed. A missing rank is somebody's who does not want to be seen any more,
or was erased. The line of the API key's own account comes first.`,
		Example: `  mbp season standings spring
  mbp season standings spring --all --json`,
		RunE: remote.Verb(c, func(ctx context.Context, cl *client.Client, args []string) (*client.Standings, error) {
			page := limit
			if all {
				page = 500
			}
			got, err := cl.Standings(ctx, args[0], 0, page)
			for next := got; err == nil && all && next.Next != 0; {
				if next, err = cl.Standings(ctx, args[0], next.Next, page); err == nil {
					got.Standings, got.Next = append(got.Standings, next.Standings...), next.Next
				}
			}
			return got, err
		}, show),
	}
	cmd.Flags().IntVar(&limit, "limit", most, "show at most so many `lines`, up to 500")
	cmd.Flags().BoolVar(&all, "all", false, "show every line")
	complete(c, cmd, func(x *engine.Season) bool { return x.State != engine.SeasonAnnounced })
	return cmd
}

func show(w io.Writer, s *client.Standings) {
	what := "as of " + s.AsOf.Time().Format("2006-01-02 15:04:05Z")
	switch {
	case s.Final:
		what = "final, " + what
	case s.Season.State == engine.SeasonAnnounced:
		what = "begins " + moment(nil, s.Season.Start)
	}
	fmt.Fprintf(w, "%s %s\n", remote.Paint(w, remote.Bold, s.Season.Name), what)
	if s.Own != nil {
		fmt.Fprintf(w, "  you: rank %d with %s\n", s.Own.Rank, signed(s.Own.Profit))
	}
	if len(s.Standings) == 0 {
		fmt.Fprintln(w, "  nobody has won or lost anything")
		return
	}
	rows := [][]string{{"RANK", "ACCOUNT", "PROFIT"}}
	for _, x := range s.Standings {
		rows = append(rows, []string{strconv.Itoa(x.Rank), x.Account.String(), signed(x.Profit)})
	}
	remote.ShowTable(w, rows)
	if s.Next != 0 {
		fmt.Fprintln(w, "there are more; --all shows every line")
	}
}

// signed is a profit or a loss in credits.
func signed(m engine.Micros) string {
	if m < 0 {
		return "-" + exact.Format(-m)
	}
	return "+" + exact.Format(m)
}

func ranking(c *remote.Connection, verb string, ranked bool) *cobra.Command {
	short, long := "Let an account stand in standings again", `Let an account stand in standings again: those of seasons that end from now on, and
those that ended in which it stood.`
	if !ranked {
		short, long = "Keep an account out of standings", `Keep an account out of all standings, of seasons that ended, too; the ranks of others
stay. Everybody may say so of their own account, and an operator of any: the house's own
accounts, which make markets, do not compete with people.`
	}
	cmd := &cobra.Command{
		Use: verb + " [ACCOUNT]", Short: short, Args: cobra.MaximumNArgs(1), Long: long,
		Example: "  mbp season " + verb + " acc_7",
		RunE: remote.Verb(c, func(ctx context.Context, cl *client.Client, args []string) (*client.Decision, error) {
			id, err := remote.AccountOf(ctx, cl, args)
			if err != nil {
				return nil, err
			}
			return cl.SetRanking(ctx, id, ranked, c.Calls()...)
		}, remote.ShowDecision),
	}
	c.BindKey(cmd)
	return cmd
}

// complete lets the shell complete the name of a season.
func complete(c *remote.Connection, cmd *cobra.Command, of func(*engine.Season) bool) {
	c.CompleteBy(cmd, func(ctx context.Context, cl *client.Client) (names []string) {
		all, err := cl.Seasons(ctx)
		if err != nil {
			return nil
		}
		for i := range all.Seasons {
			if x := &all.Seasons[i]; of(x) {
				names = append(names, cobra.CompletionWithDesc(x.Name, x.State.String()+" until "+x.End.Time().Format(time.DateOnly)))
			}
		}
		return names
	})
}
