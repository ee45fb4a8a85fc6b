package privacy

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/mbp-market/mbp/cmd/mbp/exit"
	"github.com/mbp-market/mbp/cmd/mbp/machine"
	"github.com/mbp-market/mbp/cmd/mbp/remote"
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
)

// pageSize is the most keys that the server gives at once.
const pageSize = 1000

// SaltFile is the name of the secret in a data folder under which persons are found.
const SaltFile = "person.salt"

// computable is a person whose pseudonym a salt leads to.
type computable struct {
	Account   engine.AccountID `json:"account"`
	Principal string           `json:"principal"`
	LinkedAt  engine.Time      `json:"linked_at,omitzero"` // zero: the pseudonym itself follows from the salt
}

func personsCommand(c *remote.Connection) *cobra.Command {
	var before string
	cmd := &cobra.Command{
		Use:   "persons",
		Short: "List the persons whose pseudonym a salt leads to",
		Long: `List the persons of the identity provider who came before there was a store that can
forget: their pseudonyms follow from person.salt, so that whoever has the salt and
knows a person finds the account, also after an erasure.

mbp privacy replace-salt ends that: see there. Meanwhile --before and the time of that
start lists everybody who has not come since.`,
		Example: "  mbp privacy persons --profile admin\n  mbp privacy persons --before 2026-12-01T08:00:00Z --json --profile admin",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var since engine.Time
			if before != "" {
				at, err := time.Parse(time.RFC3339Nano, before)
				if err != nil {
					return exit.BadUsage(fmt.Errorf("%q is not an RFC 3339 time: %w", before, err))
				}
				since = engine.Time(at.UnixMicro())
			}
			cl, err := c.Open()
			if err != nil {
				return err
			}
			found, err := computables(cmd.Context(), cl, since)
			if err != nil {
				return err
			}
			if c.JSON() {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(found)
			}
			return list(cmd.OutOrStdout(), found)
		},
	}
	cmd.Flags().StringVar(&before, "before", "", "also list who was linked before this `time`, RFC 3339: when the salt was replaced")
	return cmd
}

// computables asks for every person on record.
func computables(ctx context.Context, cl *client.Client, before engine.Time) ([]computable, error) {
	out := []computable{}
	for after, more := 0, true; more; {
		page, err := cl.Keys(ctx, after, pageSize)
		if err != nil {
			return nil, err
		}
		for _, k := range page.Keys {
			if !k.Identity || k.Account == 0 {
				continue
			}
			held, err := cl.PersonalData(ctx, k.Account)
			if err != nil {
				return nil, fmt.Errorf("ask for %s: %w", k.Account, err)
			}
			if !held.Identity || held.LinkedAt < before {
				out = append(out, computable{k.Account, k.Principal, held.LinkedAt})
			}
		}
		after, more = page.Next, page.Next != 0
	}
	return out, nil
}

func list(w io.Writer, found []computable) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	salted := 0
	for _, p := range found {
		how := "linked " + p.LinkedAt.String()
		if p.LinkedAt == 0 {
			salted++
			how = "the pseudonym follows from the salt"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", p.Account, p.Principal, how)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	switch {
	case len(found) == 0:
		fmt.Fprintln(w, "nobody: every person is linked by the store alone")
	case salted > 0:
		fmt.Fprintf(w, "%d of them can be found by whoever has the salt; mbp privacy replace-salt --help says how to end that\n", salted)
	}
	return nil
}

func replaceSaltCommand() *cobra.Command {
	var data string
	cmd := &cobra.Command{
		Use:   "replace-salt",
		Short: "Have persons found by another salt, so that the one before can be destroyed",
		Long: `Put another person.salt into a data folder, and keep the one before as
person.salt.before. Stop the server before, each of them if several share a journal, and
copy both files to the others; start them then.

Whoever comes from then on is linked by the store and the new salt alone, and keeps the
account. Once mbp privacy persons --before lists nobody, or nobody is waited for any
more, destroy person.salt.before and all copies of it, and start again: what the journal
has of persons who came before there was a store leads nowhere then, and an erasure of
one of them is whole. Who has not come by then is somebody new, with an empty account;
who was shut out by a revoked key before there was a store has to be shut out again, by
the groups of the provider.

A crash in the middle leaves a server that does not start; run this again.`,
		Example: "  mbp privacy replace-salt --data /var/lib/mbp",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			name := filepath.Join(data, SaltFile)
			if err := machine.Replace(name); err != nil {
				return exit.BadUsage(err)
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s is another one; %s is needed until everybody has come\n", name, machine.Before(name))
			return err
		},
	}
	cmd.Flags().StringVar(&data, "data", "mbp-data", "`folder` of a server that does not run")
	return cmd
}
