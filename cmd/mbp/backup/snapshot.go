package backup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/mbp-market/mbp/cmd/mbp/exit"
	"github.com/mbp-market/mbp/cmd/mbp/table"
	"github.com/mbp-market/mbp/engine/journal/file"
	"github.com/mbp-market/mbp/engine/snapshot"
)

// SnapshotCommand writes a snapshot.
func SnapshotCommand() *cobra.Command {
	var from place
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "snapshot",
		Short: "Write a snapshot of the state, from the journal",
		Long: `Fold the journal of a data folder, from its newest snapshot, check the ledger and
every invariant, and write a snapshot of the state, from which the next start of
the server goes on. A running server is not disturbed; it writes snapshots itself,
after every --snapshot-every decisions.

Beside a running server the snapshot is of what is known to be durable: all but the
last batch of decisions. With --journal the journal is that of a database, and the
snapshot is written into the data folder of one of its servers.

Exit codes: 0 it is written, 1 it is not, 2 wrong usage or no journal there.`,
		Example: "  mbp snapshot --data mbp-data",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			var err error
			if from.data, err = table.Folder(cmd, from.journal, from.data); err != nil {
				return err
			}
			if from.data == "" {
				return exit.BadUsage(errors.New("a snapshot lies in the data folder of a server: name that with --data beside --journal"))
			}
			logger := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
			i, err := take(ctx, from, logger)
			if err != nil {
				return fmt.Errorf("snapshot: %w", err)
			}
			return tell(cmd.OutOrStdout(), i, asJSON)
		},
	}
	from.bind(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON")
	return cmd
}

func take(ctx context.Context, from place, logger *slog.Logger) (i snapshot.Info, err error) {
	log, end, err := from.open()
	if err != nil {
		return i, err
	}
	defer func() { err = errors.Join(err, end()) }()
	store, err := snapshot.OpenStore(file.OS{}, Snapshots(from.data))
	if err != nil {
		return i, err
	}
	last := log.Next() - 1
	state, err := before(store, last, logger)
	if err != nil {
		return i, err
	}
	if err := foldOn(ctx, log, state, last); err != nil {
		return i, err
	}
	return store.Write(state)
}

func tell(w io.Writer, i snapshot.Info, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(map[string]any{
			"seq": i.Seq, "decided_at": i.At, "engine_version": i.Version, "state_hash": i.Hash, "bytes": i.Size, "name": i.Name(),
		})
	}
	_, err := fmt.Fprintf(w, "snapshot of decision %d at %s; state %s; %d bytes\n", i.Seq, i.At, i.Hash, i.Size)
	return err
}
