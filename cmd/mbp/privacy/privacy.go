// Package privacy is the verbs about what people write and about what is held on
// them: clarify and note add texts, privacy shows what is held on a person, has it
// forgotten, and lists and frees the persons whom a salt leads to.
//
// It promises that the API is used through its Go client alone, and that an erasure
// is asked for by the name of the account, twice, because nothing brings it back. It
// refuses texts on the command line, where other users of the machine see them: they
// come from a file or from standard input.
package privacy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/mbp-market/mbp/cmd/mbp/exit"
	"github.com/mbp-market/mbp/cmd/mbp/remote"
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
)

// maxText is the most bytes of a text that is read; the server takes fewer.
const maxText = 64 << 10

// Commands returns the verbs.
func Commands() []*cobra.Command {
	return []*cobra.Command{clarifyCommand(), noteCommand(), privacyCommand()}
}

// words are how a verb gets its text.
type words struct {
	file  string
	allow bool
}

func (w *words) bind(cmd *cobra.Command) {
	cmd.Flags().StringVar(&w.file, "text-file", "-", "`file` with the text, - for standard input")
	cmd.Flags().BoolVar(&w.allow, "allow-personal-data", false, "as a moderator, let a text pass in which personal data is suspected; it goes on record")
}

// read returns the text without the line ends at its end.
func (w *words) read(stdin io.Reader) (string, error) {
	in := stdin
	if w.file != "-" {
		f, err := os.Open(w.file)
		if err != nil {
			return "", exit.BadUsage(err)
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, maxText))
	if err != nil {
		return "", fmt.Errorf("read the text: %w", err)
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}

func (w *words) calls() []client.Call {
	if !w.allow {
		return nil
	}
	return []client.Call{client.AllowPersonalData()}
}

// decided prints what a mutation came to.
func decided(c *remote.Connection, w io.Writer, d *client.Decision, what string) error {
	if c.JSON() {
		return json.NewEncoder(w).Encode(d) //nolint:gosec // these decisions have no secret, and it would be for who asks
	}
	_, err := fmt.Fprintf(w, "decision %d: %s\n", d.Seq, what)
	return err
}

func clarifyCommand() *cobra.Command {
	c, w := &remote.Connection{}, &words{}
	cmd := &cobra.Command{
		Use:   "clarify MARKET",
		Short: "Add a text to what a market's title says",
		Long: `Add a text of at most 1,000 bytes to a market, until it ends: sixteen at most.
Nothing is taken back. Everybody who sees the market sees it.`,
		Example: `  echo "Snow counts once it stays until the evening." | mbp clarify mkt_1`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var id engine.MarketID
			if err := id.UnmarshalText([]byte(args[0])); err != nil {
				return exit.BadUsage(err)
			}
			return add(cmd, c, w, id.String()+" is clarified", func(ctx context.Context, cl *client.Client, text string) (*client.Decision, error) {
				return cl.Clarify(ctx, id, text, w.calls()...)
			})
		},
	}
	c.Bind(cmd)
	w.bind(cmd)
	return cmd
}

func noteCommand() *cobra.Command {
	c, w := &remote.Connection{}, &words{}
	cmd := &cobra.Command{
		Use:   "note SEQ",
		Short: "Add a text to a decision: why it was, what the evidence shows",
		Long: `Add a text of at most 1,000 bytes to a decision. The text is in a store that can
forget; the journal has its id. Whoever may read the decision's notes sees it:
operators, resolvers, moderators, auditors, admins, and who asked for the decision.`,
		Example: "  mbp note 1204 --text-file why.txt\n  mbp decision show 1204",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			seq, err := strconv.ParseUint(args[0], 10, 63)
			if err != nil || seq == 0 {
				return exit.BadUsage(fmt.Errorf("%q is not a sequence", args[0]))
			}
			return add(cmd, c, w, "decision "+args[0]+" has a note", func(ctx context.Context, cl *client.Client, text string) (*client.Decision, error) {
				return cl.NoteDecision(ctx, engine.Seq(seq), text, w.calls()...)
			})
		},
	}
	c.Bind(cmd)
	w.bind(cmd)
	return cmd
}

// add reads a text and has it added.
func add(cmd *cobra.Command, c *remote.Connection, w *words, what string, ask func(context.Context, *client.Client, string) (*client.Decision, error)) error {
	cl, err := c.Open()
	if err != nil {
		return err
	}
	text, err := w.read(cmd.InOrStdin())
	if err != nil {
		return err
	}
	d, err := ask(cmd.Context(), cl, text)
	if err != nil {
		return err
	}
	return decided(c, cmd.OutOrStdout(), d, what)
}

func privacyCommand() *cobra.Command {
	c := &remote.Connection{}
	cmd := &cobra.Command{Use: "privacy", Short: "Show what is held on a person, and have it forgotten"}
	c.Bind(cmd)
	show := &cobra.Command{
		Use:   "show ACCOUNT",
		Short: "Show what is held on the person of an account beside the journal",
		Long: `Show the keys that stand for an account, whether a person of the identity provider
is linked with it, and the texts by and about that person: what the LGPD's article 18
gives a person a right to see. Decisions, trades and positions are in mbp account,
mbp history and mbp export. Texts that others wrote are for an admin to look through
before they are handed over; the person itself is shown its own.`,
		Example: "  mbp privacy show acc_7 --profile admin --json > acc_7.json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withAccount(c, args, func(cl *client.Client, id engine.AccountID) error {
				doc, err := cl.PersonalData(cmd.Context(), id)
				if err != nil {
					return err
				}
				if c.JSON() {
					return json.NewEncoder(cmd.OutOrStdout()).Encode(doc)
				}
				return tell(cmd.OutOrStdout(), doc)
			})
		},
	}
	var sure string
	erase := &cobra.Command{
		Use:   "erase ACCOUNT --sure ACCOUNT",
		Short: "End an account and forget who it was",
		Long: `Revoke the keys of an account, end its sessions, cancel its open orders, and forget
who it was: the link to the person, and the texts by and about it. Nothing brings
them back. The journal keeps its decisions, under a pseudonym that leads nowhere;
replay, audit tree and mbp fsck hold. Credits and positions stay with the account,
which is nobody's: pay out before. See docs/runbooks/privacy.md for backups.`,
		Example: "  mbp privacy erase acc_7 --sure acc_7 --profile admin",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if sure != args[0] {
				return exit.BadUsage(errors.New("name the account in --sure, too: nothing brings it back"))
			}
			return withAccount(c, args, func(cl *client.Client, id engine.AccountID) error {
				d, err := cl.ErasePerson(cmd.Context(), id)
				if err != nil {
					return err
				}
				return decided(c, cmd.OutOrStdout(), d, id.String()+" is nobody's, and what was held is erased")
			})
		},
	}
	erase.Flags().StringVar(&sure, "sure", "", "the `account` again")
	cmd.AddCommand(show, erase, personsCommand(c), replaceSaltCommand())
	return cmd
}

func withAccount(c *remote.Connection, args []string, do func(*client.Client, engine.AccountID) error) error {
	var id engine.AccountID
	if err := id.UnmarshalText([]byte(args[0])); err != nil {
		return exit.BadUsage(err)
	}
	cl, err := c.Open()
	if err != nil {
		return err
	}
	return do(cl, id)
}

func tell(w io.Writer, doc *client.PersonalData) error {
	state := "is a person's"
	if doc.Erased {
		state = "is nobody's"
	}
	fmt.Fprintf(w, "%s %s; ", doc.Account, state)
	if doc.Identity {
		fmt.Fprintln(w, "a person of the identity provider is linked with it")
	} else {
		fmt.Fprintln(w, "no person of the identity provider is linked with it")
	}
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, k := range doc.Keys {
		fmt.Fprintf(t, "key\t%s\t%s\t%s\n", k.SHA256.String()[:12], k.Principal, strings.Join(k.Roles.Names(), ", "))
	}
	for _, x := range doc.Texts {
		of := x.Market.String()
		if x.Decision != 0 {
			of = fmt.Sprintf("decision %d", x.Decision)
		}
		fmt.Fprintf(t, "%s\t%s\t%s of %s\t%q\n", x.Kind, x.At, x.By, of, x.Text)
	}
	return t.Flush()
}
