// Package keyring is the verbs of mbp that make, list and end API keys.
//
// It promises that a secret is made here, in a new file of its owner alone, before its
// digest is registered, and never travels but to authenticate; that a file stays where
// the server may know its key. It refuses secrets on the command line, and to show one.
// Keys are what RFC 6750 calls bearer tokens.
package keyring

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mbp-market/mbp/cmd/mbp/exit"
	"github.com/mbp-market/mbp/cmd/mbp/machine"
	"github.com/mbp-market/mbp/cmd/mbp/remote"
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
)

// Command is key with its verbs.
func Command() *cobra.Command {
	c := &remote.Connection{}
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
		RunE: remote.Verb(c, func(ctx context.Context, cl *client.Client, _ []string) (*client.Decision, error) {
			return key.register(ctx, cl, out)
		}, remote.ShowDecision),
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
		RunE: remote.Verb(c, func(ctx context.Context, cl *client.Client, args []string) (*client.Decision, error) {
			var digest engine.Digest
			if err := digest.UnmarshalText([]byte(args[0])); err != nil {
				return nil, exit.BadUsage(err)
			}
			return cl.RevokeKey(ctx, digest, c.Calls()...)
		}, remote.ShowDecision),
	}
	c.BindKey(revoke)
	after, all := 0, false
	list := &cobra.Command{
		Use: "list", Short: "List the keys that are not revoked", Args: cobra.NoArgs,
		Long: `List the keys that are not revoked, expired ones too, and the persons whom the
identity provider vouches for. The secret of a key begins with mbp_ and its ID.

A key was last used on the day of UTC that stands there, as far as the server knows
that is asked: it remembers days beside the log, and forgets nothing but, by a crash,
the last hour. A key that shows - since long is one to revoke.`,
		RunE: remote.Verb(c, func(ctx context.Context, cl *client.Client, _ []string) (*client.KeyPage, error) {
			return keys(ctx, cl, after, all)
		}, showKeys),
	}
	list.Flags().IntVar(&after, "after", 0, "begin after this place; each page says the next one")
	list.Flags().BoolVar(&all, "all", false, "every page, one after the other")
	cmd.AddCommand(add, list, revoke)
	return cmd
}

// pageSize is the most keys that the server gives at once.
const pageSize = 1000

// keys returns a page, or all that come from there on, as of the last one.
func keys(ctx context.Context, cl *client.Client, after int, all bool) (*client.KeyPage, error) {
	page, err := cl.Keys(ctx, after, pageSize)
	for err == nil && all && page.Next != 0 {
		var more *client.KeyPage
		if more, err = cl.Keys(ctx, page.Next, pageSize); err == nil {
			more.Keys = append(page.Keys, more.Keys...)
			page = more
		}
	}
	return page, err
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
		return nil, exit.BadUsage(err)
	}
	if r.account != "" {
		if err := k.Account.UnmarshalText([]byte(r.account)); err != nil {
			return nil, exit.BadUsage(err)
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

func showKeys(w io.Writer, p *client.KeyPage) {
	rows := [][]string{{"ID", "PRINCIPAL", "ROLES", "ACCOUNT", "EXPIRES", "LAST USED", "SHA256"}}
	for _, k := range p.Keys {
		row := []string{k.ID, k.Principal, strings.Join(k.Roles.Names(), ","), "", "", cmp.Or(k.LastUsed, "-"), k.SHA256.String()}
		if k.Account != 0 {
			row[3] = k.Account.String()
		}
		if k.ExpiresAt != 0 {
			row[4] = k.ExpiresAt.String()
		}
		rows = append(rows, row)
	}
	remote.ShowTable(w, rows)
	if p.Next != 0 {
		fmt.Fprintf(w, "more: --after %d\n", p.Next)
	}
}
