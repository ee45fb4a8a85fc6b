// Package membership holds the verbs of mbp about groups: which an account is in, which
// a market is for, and which markets the account of a key may trade.
//
// It promises that a list of groups is set as a whole, so that what is said is what
// holds, and that each answer can be had as text for people or as the server's JSON. It
// refuses to guess: to take all groups away one says so. Names and exit codes follow
// the Command Line Interface Guidelines (clig.dev), as those of package remote.
package membership

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mbp-market/mbp/cmd/mbp/exit"
	"github.com/mbp-market/mbp/cmd/mbp/remote"
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
)

// verb is what the verbs have in common.
type verb struct {
	remote.Connection
	key   string // of idempotency
	set   []string
	deny  []string
	clear bool
}

// ask makes a RunE of what is asked of the server and how people read the answer.
func ask[T any](v *verb, do func(context.Context, *client.Client, []string) (T, error), show func(io.Writer, T)) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		cl, err := v.Open()
		if err != nil {
			return err
		}
		doc, err := do(cmd.Context(), cl, args)
		if err != nil {
			return err
		}
		if v.JSON() {
			return json.NewEncoder(cmd.OutOrStdout()).Encode(doc)
		}
		show(cmd.OutOrStdout(), doc)
		return nil
	}
}

func (v *verb) calls() []client.Call {
	if v.key == "" {
		return nil
	}
	return []client.Call{client.Key(v.key)}
}

func decided(w io.Writer, d *client.Decision) { fmt.Fprintf(w, "decision %d: done\n", d.Seq) }

func list(groups []string, none string) string {
	if len(groups) == 0 {
		return none
	}
	return strings.Join(groups, ", ")
}

// Command is mbp groups.
func Command() *cobra.Command {
	v := &verb{}
	cmd := &cobra.Command{
		Use:   "groups",
		Short: "Say who may trade which market",
		Long: `Say who may trade which market. An account is in groups, which an operator gives
it or its owner's identity provider tells; a market may be for some groups, and not
for others. Who is in a group that a market denies may not trade it, whatever else
they are in: their orders leave its book with the decision that makes it so.`,
	}
	v.Bind(cmd)
	cmd.AddCommand(v.account(), v.market(), v.tradable())
	return cmd
}

func (v *verb) account() *cobra.Command {
	cmd := &cobra.Command{
		Use: "account ACCOUNT [--set GROUP[,GROUP] | --clear]", Short: "Show or set the groups that an account is in", Args: cobra.ExactArgs(1),
		Example: "  mbp groups account acc_7 --set board,staff",
		RunE: func(cmd *cobra.Command, args []string) error {
			var id engine.AccountID
			if err := id.UnmarshalText([]byte(args[0])); err != nil {
				return exit.BadUsage(err)
			}
			if len(v.set) == 0 && !v.clear {
				return ask(v, func(ctx context.Context, cl *client.Client, _ []string) (*client.AccountGroups, error) {
					return cl.AccountGroups(ctx, id)
				}, func(w io.Writer, g *client.AccountGroups) {
					fmt.Fprintf(w, "given  %s\ntold   %s\n", list(g.Given, "none"), list(g.Told, "none"))
				})(cmd, args)
			}
			return ask(v, func(ctx context.Context, cl *client.Client, _ []string) (*client.Decision, error) {
				return cl.SetAccountGroups(ctx, id, v.set, v.calls()...)
			}, decided)(cmd, args)
		},
	}
	cmd.Flags().StringSliceVar(&v.set, "set", nil, "all `groups` that it is given from now on")
	v.bind(cmd, "set")
	return cmd
}

func (v *verb) market() *cobra.Command {
	cmd := &cobra.Command{
		Use: "market MARKET [--allow GROUP[,GROUP]] [--deny GROUP[,GROUP]] [--clear]", Short: "Show or set the groups that a market is for", Args: cobra.ExactArgs(1),
		Example: "  mbp groups market mkt_3 --deny board,audit",
		RunE: func(cmd *cobra.Command, args []string) error {
			var id engine.MarketID
			if err := id.UnmarshalText([]byte(args[0])); err != nil {
				return exit.BadUsage(err)
			}
			if len(v.set)+len(v.deny) == 0 && !v.clear {
				return ask(v, func(ctx context.Context, cl *client.Client, _ []string) (*client.MarketGroups, error) {
					return cl.MarketGroups(ctx, id)
				}, func(w io.Writer, g *client.MarketGroups) {
					fmt.Fprintf(w, "allow  %s\ndeny   %s\n", list(g.Allow, "everybody"), list(g.Deny, "nobody"))
				})(cmd, args)
			}
			return ask(v, func(ctx context.Context, cl *client.Client, _ []string) (*client.Decision, error) {
				return cl.SetMarketGroups(ctx, id, v.set, v.deny, v.calls()...)
			}, decided)(cmd, args)
		},
	}
	cmd.Flags().StringSliceVar(&v.set, "allow", nil, "the `groups` that may trade it; everybody without any")
	cmd.Flags().StringSliceVar(&v.deny, "deny", nil, "the `groups` that may not, whatever else they are in")
	v.bind(cmd, "allow", "deny")
	v.CompleteMarkets(cmd)
	return cmd
}

// bind adds what makes a setting one.
func (v *verb) bind(cmd *cobra.Command, settings ...string) {
	cmd.Flags().BoolVar(&v.clear, "clear", false, "take all groups away")
	cmd.Flags().StringVar(&v.key, "idempotency-key", "", "repeat safely: the same `key` and content give the first answer again")
	for _, name := range settings {
		cmd.MarkFlagsMutuallyExclusive("clear", name)
	}
}

func (v *verb) tradable() *cobra.Command {
	return &cobra.Command{
		Use: "tradable", Short: "List the markets that the account of the key may trade now", Args: cobra.NoArgs,
		RunE: ask(v, func(ctx context.Context, cl *client.Client, _ []string) ([]engine.Market, error) {
			all := []engine.Market{}
			for after := engine.MarketID(0); ; {
				page, err := cl.TradableMarkets(ctx, after, 0)
				if err != nil {
					return nil, err
				}
				all = append(all, page.Markets...)
				if after = page.Next; after == 0 {
					return all, nil
				}
			}
		}, func(w io.Writer, all []engine.Market) {
			for i := range all {
				fmt.Fprintf(w, "%-8s %s\n", all[i].Market, all[i].Title)
			}
		}),
	}
}
