package notary

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/mbp-market/mbp/cmd/mbp/exit"
	"github.com/mbp-market/mbp/cmd/mbp/remote"
	"github.com/mbp-market/mbp/cmd/mbp/table"
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/audit"
	"github.com/mbp-market/mbp/engine/httpapi/client"
	"github.com/mbp-market/mbp/engine/journal/file"
)

// prover is where proofs come from: a server, or a data folder.
type prover interface {
	checkpoint(ctx context.Context) (string, error)
	prove(ctx context.Context, seq uint64) ([]byte, error)
	grow(ctx context.Context, from, to uint64) ([]tlog.Hash, error)
}

// place is what the verbs are told about it.
type place struct {
	remote.Connection
	data    string
	archive string
	journal string
	key     string
}

func (p *place) bind(cmd *cobra.Command) {
	p.Reach(cmd.Flags())
	cmd.Flags().StringVar(&p.data, "data", "", "`folder` of a server, running or not, or a copy of it; without: ask the server")
	cmd.Flags().StringVar(&p.archive, "archive", "", "`folder` of the released segments of --data")
	table.Flag(cmd, &p.journal)
	cmd.MarkFlagsMutuallyExclusive("archive", "url")
	cmd.MarkFlagsMutuallyExclusive("journal", "url")
	cmd.MarkFlagsMutuallyExclusive("data", "url")
	cmd.MarkFlagsMutuallyExclusive("data", "key-file")
}

func (p *place) bindKey(cmd *cobra.Command) {
	cmd.Flags().StringVar(&p.key, "key", "", "the `verifier` key of the log: see mbp audit verifier")
}

// verifier is the public key that the caller gave, else that of the data folder.
func (p *place) verifier() (audit.Verifier, error) {
	if p.key != "" {
		v, err := audit.ParseVerifier(p.key)
		if err != nil {
			return v, exit.BadUsage(err)
		}
		return v, nil
	}
	key, err := Open(p.data, false)
	if err == nil && key == nil {
		err = fmt.Errorf("%s has no audit tree", p.data)
	}
	if err != nil {
		return audit.Verifier{}, exit.BadUsage(err)
	}
	return key.Verifier(), nil
}

// with calls fn with the prover.
func (p *place) with(fn func(prover) error) (err error) {
	if p.data == "" && p.journal != "" {
		return exit.BadUsage(errors.New("the audit tree lies in the data folder of a server: name that with --data beside --journal"))
	}
	if p.data == "" {
		cl, err := p.Open()
		if err != nil {
			return err
		}
		if p.key == "" {
			return fn(online{cl})
		}
		v, err := p.verifier()
		if err != nil {
			return err
		}
		return fn(checked{online{cl}, v})
	}
	v, err := p.verifier()
	if err != nil {
		return err
	}
	// The checkpoint is read first: what it covers is durable, whatever is added.
	signed, err := audit.SignedSize(file.ReadOnly{}, Dir(p.data), v)
	if err != nil {
		return exit.BadUsage(err)
	}
	log, end, err := p.records(signed)
	if Damage(err) {
		return Explain(err, p.data, signed)
	}
	if err != nil {
		return exit.BadUsage(err)
	}
	defer func() { err = errors.Join(err, end()) }()
	a, err := audit.OpenArchive(nil, Dir(p.data), log, v)
	if err != nil {
		return exit.BadUsage(err)
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	return fn(offline{a})
}

// records opens the journal, of which signed records are known to be durable. end
// releases it.
func (p *place) records(signed uint64) (log audit.Records, end func() error, err error) {
	if p.journal != "" {
		log, err := table.Open(p.journal, signed)
		if err != nil {
			return nil, nil, err
		}
		return log, log.Close, nil
	}
	r, err := file.OpenReader(file.ReaderConfig{Dir: Journal(p.data), Archive: p.archive, Holds: signed})
	return r, func() error { return nil }, err
}

type online struct{ *client.Client }

func (o online) checkpoint(ctx context.Context) (string, error) {
	c, err := o.AuditCheckpoint(ctx)
	if err != nil {
		return "", err
	}
	return c.Checkpoint, nil
}

func (o online) prove(ctx context.Context, seq uint64) ([]byte, error) {
	b, err := o.AuditProof(ctx, engine.Seq(seq))
	return append(b, '\n'), err
}

func (o online) grow(ctx context.Context, from, to uint64) ([]tlog.Hash, error) {
	g, err := o.AuditGrowth(ctx, engine.Seq(from), engine.Seq(to))
	if err != nil {
		return nil, err
	}
	proof := make([]tlog.Hash, len(g.Proof))
	for i, text := range g.Proof {
		if proof[i], err = tlog.ParseHash(text); err != nil {
			return nil, fmt.Errorf("the server's proof: %w", err)
		}
	}
	return proof, nil
}

// checked is a server whose answers have to hold under a key that the caller has.
type checked struct {
	online
	key audit.Verifier
}

func (c checked) checkpoint(ctx context.Context) (string, error) {
	text, err := c.online.checkpoint(ctx)
	if err == nil {
		_, err = c.key.Open([]byte(text))
	}
	return text, err
}

func (c checked) prove(ctx context.Context, seq uint64) ([]byte, error) {
	b, err := c.online.prove(ctx, seq)
	if err != nil {
		return nil, err
	}
	p, err := audit.Unmarshal[audit.Inclusion](b)
	if err == nil {
		_, err = p.Verify(c.key)
	}
	return b, err
}

type offline struct{ *audit.Archive }

func (o offline) checkpoint(context.Context) (string, error) {
	c, err := o.Newest()
	return string(c.Note), err
}

func (o offline) prove(_ context.Context, seq uint64) ([]byte, error) {
	p, err := o.Prove(seq)
	if err != nil {
		return nil, err
	}
	return audit.Marshal(p)
}

func (o offline) grow(_ context.Context, from, to uint64) ([]tlog.Hash, error) {
	g, err := o.Grow(from, to)
	if err != nil {
		return nil, err
	}
	return g.Proof, nil
}

// Command returns `mbp audit`.
func Command() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Prove what the journal holds, and check proofs",
		Long: `Every decision is a leaf of a Merkle tree (RFC 6962) whose root the server signs
every few seconds. With a signed checkpoint and the verifier key anybody can check
that a decision is in the journal, and that a later journal continues the one that
was signed. Keep checkpoints where the server cannot change them.

checkpoint, prove, consistency and verifier ask a server (role auditor), or read a
data folder with --data, beside a running server, too; where the journal is in a
database, that with --journal and the folder of the server whose tree it is with
--data. verify needs neither.`,
		Example: `  mbp audit verifier > log.key; mbp audit checkpoint > monday.checkpoint
  mbp audit prove 1234 > 1234.json && mbp audit verify 1234.json --key "$(cat log.key)"
  mbp audit consistency monday.checkpoint --key "$(cat log.key)" > week.json`,
	}
	cmd.AddCommand(verifierCommand(), checkpointCommand(), proveCommand(), verifyCommand(), consistencyCommand())
	return cmd
}

// publicKey is the verifier key as the place states it.
func (p *place) publicKey(ctx context.Context) (string, error) {
	if p.data != "" {
		v, err := p.verifier()
		return v.String(), err
	}
	cl, err := p.Public()
	if err != nil {
		return "", err
	}
	return cl.AuditVerifier(ctx)
}

func verifierCommand() *cobra.Command {
	p := &place{}
	cmd := &cobra.Command{
		Use: "verifier", Short: "Print the public key of the checkpoints", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			text, err := p.publicKey(cmd.Context())
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), text)
			return err
		},
	}
	p.bind(cmd)
	return cmd
}

func checkpointCommand() *cobra.Command {
	p := &place{}
	cmd := &cobra.Command{
		Use: "checkpoint", Short: "Print the newest signed checkpoint", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(func(from prover) error {
				text, err := from.checkpoint(cmd.Context())
				if err != nil {
					return err
				}
				_, err = io.WriteString(cmd.OutOrStdout(), text)
				return err
			})
		},
	}
	p.bind(cmd)
	p.bindKey(cmd)
	return cmd
}

func proveCommand() *cobra.Command {
	p := &place{}
	cmd := &cobra.Command{
		Use: "prove SEQ", Short: "Prove that a decision is in the journal", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			seq, err := strconv.ParseUint(args[0], 10, 63)
			if err != nil || seq == 0 {
				return exit.BadUsage(fmt.Errorf("%q is not a sequence", args[0]))
			}
			return p.with(func(from prover) error {
				b, err := from.prove(cmd.Context(), seq)
				if err != nil {
					return err
				}
				_, err = cmd.OutOrStdout().Write(b)
				return err
			})
		},
	}
	p.bind(cmd)
	p.bindKey(cmd)
	return cmd
}

func consistencyCommand() *cobra.Command {
	p := &place{}
	cmd := &cobra.Command{
		Use:   "consistency OLD [NEW]",
		Short: "Prove that the journal of one checkpoint continues that of another",
		Long: `Read two files with checkpoints, have the growth between them proven, check that
proof and print it with both. Without NEW the newest checkpoint is taken.

Exit codes: 0 it holds, 1 it does not: the journal was re-written; 2 wrong usage.`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if p.key == "" && p.data == "" {
				return exit.BadUsage(errors.New("--key is missing: a server's own answer would not prove anything"))
			}
			v, err := p.verifier()
			if err != nil {
				return err
			}
			files, err := readCheckpoints(args)
			if err != nil {
				return err
			}
			return p.with(func(from prover) error { return consistency(cmd.Context(), cmd.OutOrStdout(), from, v, files) })
		},
	}
	p.bind(cmd)
	p.bindKey(cmd)
	return cmd
}

func readCheckpoints(names []string) ([]string, error) {
	out := make([]string, 2) // the second is empty if it was not given
	for i, name := range names {
		b, err := readProof(name)
		if err != nil {
			return nil, err
		}
		out[i] = string(b)
	}
	return out, nil
}

func consistency(ctx context.Context, w io.Writer, from prover, v audit.Verifier, files []string) error {
	c := &audit.Consistency{Old: files[0], New: files[1]}
	if c.New == "" {
		newest, err := from.checkpoint(ctx)
		if err != nil {
			return err
		}
		c.New = newest
	}
	was, err := v.Open([]byte(c.Old))
	if err != nil {
		return fmt.Errorf("old: %w", err)
	}
	is, err := v.Open([]byte(c.New))
	if err != nil {
		return fmt.Errorf("new: %w", err)
	}
	if was.Size > is.Size {
		return fmt.Errorf("the old checkpoint has %d records, the new one %d: records are gone, or the two are in the wrong order", was.Size, is.Size)
	}
	if c.Proof, err = from.grow(ctx, was.Size, is.Size); err != nil {
		return err
	}
	if _, _, err := c.Verify(v); err != nil {
		return err
	}
	b, err := audit.Marshal(c)
	if err != nil {
		return err
	}
	_, err = w.Write(b)
	return err
}

// readProof reads a proof or checkpoint that somebody gave.
func readProof(name string) (b []byte, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, exit.BadUsage(err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if b, err = io.ReadAll(io.LimitReader(f, audit.MaxProof+1)); err != nil {
		return nil, exit.BadUsage(err)
	}
	return b, nil
}
