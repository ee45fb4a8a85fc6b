package offline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/mbp-market/mbp/cmd/mbp/exit"
	"github.com/mbp-market/mbp/cmd/mbp/table"
	"github.com/mbp-market/mbp/engine/replay"
)

// again is what `mbp replay` was told.
type again struct {
	replay.Options
	place
	want   string
	asJSON bool
}

// ReplayCommand folds a journal again.
func ReplayCommand() *cobra.Command {
	x := &again{}
	cmd := &cobra.Command{
		Use:   "replay",
		Short: "Fold a journal again, and decide it again",
		Long: `Read the journal of a data folder, or of a database, from its first decision, fold
it, check the ledger and every invariant, and print the hash of the state and the digest of all
records. Nothing is written. Beside a running server, what is read ends before the
last batch, unless a signed checkpoint covers that: its sync may not be over.

With --verify each command is decided again, too: the decision must have the same
bytes as the one in the journal, no deadline may have been passed over, and the
state that decided must end with the same hash as the one that folded. Commands of
a version of the rules that this binary does not decide by are folded only, and
counted. What does not hold is named by its sequence.

With --records the digest must be that of a copy: nothing was added at the end, or
is gone from there.

Exit codes: 0 all of it holds, 1 it does not, 2 wrong usage or no journal there.`,
		Example: "  mbp replay --data mbp-data --verify\n  mbp replay --journal postgres://mbp@db.example/mbp\n  mbp replay --data mbp-data --json | jq -r .records_sha256",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			var err error
			if x.data, err = table.Folder(cmd, x.journal, x.data); err != nil {
				return err
			}
			x.Progress = func(done, total uint64) { fmt.Fprintf(cmd.ErrOrStderr(), "%d of %d decisions\n", done, total) }
			return x.run(ctx, cmd.OutOrStdout())
		},
	}
	x.bind(cmd)
	f := cmd.Flags()
	f.BoolVar(&x.Verify, "verify", false, "decide every command again and compare")
	f.StringVar(&x.want, "records", "", "the `digest` that all records must have together")
	f.BoolVar(&x.asJSON, "json", false, "print the result as JSON")
	return cmd
}

func (x *again) run(ctx context.Context, stdout io.Writer) (err error) {
	if x.want != "" {
		if err := x.Want.UnmarshalText([]byte(x.want)); err != nil {
			return exit.BadUsage(err)
		}
	}
	log, err := x.open(nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	out, err := replay.Run(ctx, log, x.Options)
	if err != nil {
		return fmt.Errorf("replay: %w", err)
	}
	if x.asJSON {
		return json.NewEncoder(stdout).Encode(out)
	}
	fmt.Fprintf(stdout, "%d decisions, the last at %s; state %s; records %s\n", out.Decisions, out.Last, out.State, out.Records)
	if x.Verify {
		fmt.Fprintf(stdout, "%d decided again with the same bytes, %d folded only; both states are equal\n", out.Verified, out.FoldedOnly)
	}
	return nil
}
