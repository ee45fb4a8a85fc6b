package offline

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/mbp-market/mbp/cmd/mbp/exit"
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/journal/file"
)

// replayed is what a replay found.
type replayed struct {
	Decisions  uint64        `json:"decisions"`
	Verified   uint64        `json:"verified"`    // decided again, with the same bytes
	FoldedOnly uint64        `json:"folded_only"` // of a version of the rules that this binary does not decide by
	Version    uint32        `json:"engine_version"`
	Last       engine.Time   `json:"last_decided_at"`
	StateHash  engine.Digest `json:"state_hash"`
}

// ReplayCommand folds a journal again.
func ReplayCommand() *cobra.Command {
	var data string
	var verify, asJSON bool
	cmd := &cobra.Command{
		Use:   "replay",
		Short: "Fold a journal again, and decide it again",
		Long: `Read the journal of a stopped server from its first decision, fold it, check
the ledger and every invariant, and print the hash of the state.

With --verify each command is decided again, too: the decision must have the same
bytes as the one in the journal, and the state that decided must end with the
same hash as the one that folded. Commands of a version of the rules that this
binary does not decide by are folded only, and counted.

Exit codes: 0 all of it holds, 1 it does not, 2 wrong usage or no journal there.`,
		Example: "  mbp replay --data mbp-data --verify\n  mbp replay --data mbp-data --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return replay(ctx, filepath.Join(data, "journal"), verify, asJSON, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVar(&data, "data", "mbp-data", "`folder` of a server that is not running")
	cmd.Flags().BoolVar(&verify, "verify", false, "decide every command again and compare")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON")
	return cmd
}

func replay(ctx context.Context, dir string, verify, asJSON bool, stdout, stderr io.Writer) (err error) {
	if _, err := os.Stat(dir); err != nil {
		return exit.BadUsage(fmt.Errorf("no journal: %w", err))
	}
	log, err := file.Open(file.Config{Dir: dir})
	if err != nil {
		return exit.BadUsage(err)
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	r := &replayer{ctx: ctx, folded: core.New(), total: log.Next() - 1, progress: stderr}
	if verify {
		r.again = core.New()
	}
	if err := log.Read(1, r.record); err != nil {
		return fmt.Errorf("replay: %w", err)
	}
	out, err := r.result()
	if err != nil {
		return fmt.Errorf("replay: %w", err)
	}
	if asJSON {
		return json.NewEncoder(stdout).Encode(out)
	}
	fmt.Fprintf(stdout, "%d decisions, the last at %s; state %s\n", out.Decisions, out.Last, out.StateHash)
	if verify {
		fmt.Fprintf(stdout, "%d decided again with the same bytes, %d folded only; both states are equal\n", out.Verified, out.FoldedOnly)
	}
	return nil
}

// replayer folds records and, if it shall verify, decides them again.
type replayer struct {
	ctx      context.Context //nolint:containedctx // of one call, which the callback of Read cannot pass on
	folded   *core.State
	again    *core.State // nil: fold only
	d        engine.Decision
	buf      []byte
	out      replayed
	total    uint64
	progress io.Writer
}

const progressEvery = 1_000_000 // decisions

func (r *replayer) record(rec journal.Record) error {
	if r.ctx.Err() != nil {
		return fmt.Errorf("stopped at sequence %d: %w", rec.Seq, r.ctx.Err())
	}
	d, err := engine.Decode(engine.Seq(rec.Seq), rec.Payload)
	if err != nil {
		return err
	}
	if err := r.folded.Evolve(d); err != nil {
		return err
	}
	r.out.Decisions++
	if r.out.Decisions%progressEvery == 0 {
		fmt.Fprintf(r.progress, "%d of %d decisions\n", r.out.Decisions, r.total)
	}
	switch {
	case r.again == nil:
		return nil
	case r.again.Version() > engine.Version:
		r.out.FoldedOnly++
		return r.again.Evolve(d)
	}
	if err := r.again.Step(d.Request, &r.d); err != nil {
		return err
	}
	if r.buf = r.d.Append(r.buf[:0]); !bytes.Equal(r.buf, rec.Payload) {
		return fmt.Errorf("sequence %d: %s was decided as %s with %d events; now it is %s with %d", rec.Seq, d.Command.Type(),
			d.Code, len(d.Events), r.d.Code, len(r.d.Events))
	}
	r.out.Verified++
	return nil
}

// result checks the states at the end.
func (r *replayer) result() (replayed, error) {
	if err := r.folded.Check(); err != nil {
		return replayed{}, err
	}
	r.out.StateHash, r.out.Last, r.out.Version = r.folded.Hash(), r.folded.At(), r.folded.Version()
	if r.again != nil && r.again.Hash() != r.out.StateHash {
		return replayed{}, fmt.Errorf("the state that decided again has hash %s, the folded one %s", r.again.Hash(), r.out.StateHash)
	}
	return r.out, nil
}
