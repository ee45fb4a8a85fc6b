package remote

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/mbp-market/mbp/cmd/mbp/exact"
	"github.com/mbp-market/mbp/cmd/mbp/machine"
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
)

func keyCommand() *cobra.Command {
	c := &Connection{}
	cmd := &cobra.Command{Use: "key", Short: "Make and end API keys"}
	c.Bind(cmd)
	key, out := newKeyRequest{}, ""
	add := &cobra.Command{
		Use:   "new --principal NAME --roles ROLE[,ROLE] --out FILE",
		Short: "Make a secret here and register its digest",
		Long: `Make a secret on this machine, write it to a new file of mode 0600, and register
its SHA-256 digest with the server. The secret itself is never sent but to
authenticate. The file is written first: when the server refuses, it is removed;
when the answer is lost, it stays, because the key may be registered.`,
		Example: `  mbp key new --principal ana --roles trader --account acc_1 --out ana.key`,
		Args:    cobra.NoArgs,
		RunE: verb(c, func(ctx context.Context, cl *client.Client, _ []string) (*client.Decision, error) {
			return key.register(ctx, cl, out)
		}, showDecision),
	}
	f := add.Flags()
	f.StringVar(&key.principal, "principal", "", "pseudonym of who will use it: a-z, 0-9, ., _, -")
	f.StringSliceVar(&key.roles, "roles", nil, "trader, operator, resolver, moderator, auditor, admin, service")
	f.StringVar(&key.account, "account", "", "`account` that it may trade with")
	f.DurationVar(&key.valid, "for", 0, "how long it is valid, for example 720h; 0: until it is revoked")
	f.StringVar(&out, "out", "", "new `file` for the secret")
	for _, name := range []string{"principal", "roles", "out"} {
		_ = add.MarkFlagRequired(name) // fails only for a flag that is not there
	}
	revoke := &cobra.Command{
		Use:     "revoke SHA256",
		Short:   "End a key by the digest of its secret",
		Example: `  mbp key revoke $(tr -d '\n' < ana.key | sha256sum | cut -c-64)`,
		Args:    cobra.ExactArgs(1),
		RunE: verb(c, func(ctx context.Context, cl *client.Client, args []string) (*client.Decision, error) {
			var digest engine.Digest
			if err := digest.UnmarshalText([]byte(args[0])); err != nil {
				return nil, usage(err)
			}
			return cl.RevokeKey(ctx, digest, c.calls()...)
		}, showDecision),
	}
	c.bindKey(revoke)
	var after int
	list := &cobra.Command{
		Use: "list", Short: "List the keys that are not revoked", Args: cobra.NoArgs,
		Long: `List the keys that are not revoked, expired ones too, and the persons whom the
identity provider vouches for. The secret of a key begins with mbp_ and its ID.`,
		RunE: verb(c, func(ctx context.Context, cl *client.Client, _ []string) (*client.KeyPage, error) {
			return cl.Keys(ctx, after, 1000)
		}, showKeys),
	}
	list.Flags().IntVar(&after, "after", 0, "begin after this place; each page says the next one")
	cmd.AddCommand(add, list, revoke)
	return cmd
}

// newKeyRequest is what `mbp key new` was told.
type newKeyRequest struct {
	principal, account string
	roles              []string
	valid              time.Duration
}

func (r newKeyRequest) register(ctx context.Context, cl *client.Client, out string) (*client.Decision, error) {
	k := engine.Key{Principal: r.principal}
	var err error
	if k.Roles, err = engine.ParseRoles(r.roles); err != nil {
		return nil, usage(err)
	}
	if r.account != "" {
		if err := k.Account.UnmarshalText([]byte(r.account)); err != nil {
			return nil, usage(err)
		}
	}
	if r.valid != 0 {
		k.ExpiresAt = engine.Time(time.Now().Add(r.valid).UnixMicro())
	}
	secret, digest, err := client.NewSecret()
	if err != nil {
		return nil, err
	}
	k.SHA256, k.ID = digest, client.IDOf(secret)
	if err := machine.WriteSecret(out, secret); err != nil {
		return nil, fmt.Errorf("write the secret: %w", err)
	}
	d, err := cl.AddKey(ctx, k)
	var p *client.Problem
	switch {
	case err == nil:
		return d, nil
	case errors.As(err, &p) && p.Status < 500:
		return nil, errors.Join(err, os.Remove(out))
	}
	return nil, fmt.Errorf("%w; %s stays, because the key may be registered", err, out)
}

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
			id, err := accountArg(ctx, cl, args)
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
