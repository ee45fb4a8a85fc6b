package remote

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/mbp-market/mbp/cmd/mbp/exact"
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
)

func accountCommand() *cobra.Command {
	c := &Connection{}
	cmd := &cobra.Command{Use: "account", Short: "Make, show and fund trading accounts"}
	c.Bind(cmd)
	create := &cobra.Command{
		Use: "create", Short: "Open a trading account", Args: cobra.NoArgs,
		RunE: verb(c, func(ctx context.Context, cl *client.Client, _ []string) (*client.Decision, error) {
			return cl.OpenAccount(ctx, c.calls()...)
		}, showDecision),
	}
	show := &cobra.Command{
		Use: "show [ACCOUNT]", Short: "Show an account, by default the key's own", Args: cobra.MaximumNArgs(1),
		RunE: verb(c, func(ctx context.Context, cl *client.Client, args []string) (*client.Account, error) {
			id, err := AccountOf(ctx, cl, args)
			if err != nil {
				return nil, err
			}
			return cl.Account(ctx, id)
		}, showAccount),
	}
	var amount exact.Amount
	grant := &cobra.Command{
		Use: "grant ACCOUNT --amount CREDITS", Short: "Issue credits to an account", Args: cobra.ExactArgs(1),
		Example: `  mbp account grant acc_1 --amount 1000`,
		RunE: verb(c, func(ctx context.Context, cl *client.Client, args []string) (*client.Decision, error) {
			id, err := idArg[engine.AccountID](args)
			if err != nil {
				return nil, err
			}
			return cl.Grant(ctx, id, amount.Credits(), c.calls()...)
		}, showDecision),
	}
	grant.Flags().Var(&amount, "amount", "credits to issue")
	_ = grant.MarkFlagRequired("amount") // the flag is there
	c.bindKey(create, grant)
	cmd.AddCommand(create, show, grant)
	return cmd
}
