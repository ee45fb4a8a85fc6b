package backup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/mbp-market/mbp/cmd/mbp/exit"
	"github.com/mbp-market/mbp/cmd/mbp/machine"
	"github.com/mbp-market/mbp/cmd/mbp/notary"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/journal/file"
	"github.com/mbp-market/mbp/engine/journal/postgres"
	"github.com/mbp-market/mbp/engine/snapshot"
)

// RestoreCommand restores a backup.
func RestoreCommand() *cobra.Command {
	var from, data, key, database string
	var seq uint64
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "restore",
		Short: "Make a data folder from a backup, up to any decision of it",
		Long: `Make the data folder of a server from a backup: the journal up to a decision, a
snapshot of the state after it, and the checkpoints up to it. Every file of the
backup is compared with its manifest, every record is decoded and folded from the
first one on, and the state has to have the hash that the backup's snapshots and
manifest say, before the folder gets its name.

With --to-seq the decisions after that one are left out: they are gone from what is
restored, though clients may have their answers, and checkpoints that signed them
stay in the backup.

Who was erased by a decision up to there is not brought back. Who was erased later
is: erase them again before anybody is let in (docs/runbooks/privacy.md).

--signing-key brings back audit/signing.key, without which a server does not go on
signing where checkpoints are. mbp journal copy --from file:DIR --to postgres://…
brings the restored journal into an empty database. admin.key is not needed: its digest is in the journal.

Exit codes: 0 it is restored, 1 it is not, 2 wrong usage or no backup there.`,
		Example: "  mbp restore --from /mnt/backup/2026-11-30 --data mbp-data --signing-key /mnt/safe/signing.key\n" +
			"  mbp restore --from /mnt/backup/2026-11-30 --data before-the-accident --to-seq 123456",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			if database != "" {
				return exit.BadUsage(fmt.Errorf("a backup is restored into a folder: leave --journal out, and then mbp journal copy --from file:%s --to %s", data, postgres.Redact(database)))
			}
			m, err := restore(ctx, from, data, key, seq)
			if err != nil {
				return fmt.Errorf("restore: %w", err)
			}
			return m.tell(cmd.OutOrStdout(), "restored", asJSON)
		},
	}
	f := cmd.Flags()
	f.StringVar(&from, "from", "", "`folder` of a backup")
	f.StringVar(&data, "data", "", "data `folder` to make; it is absent or empty")
	f.Uint64Var(&seq, "to-seq", 0, "the last `decision` to restore; 0: all")
	f.StringVar(&key, "signing-key", "", "`file` with a copy of audit/signing.key")
	f.StringVar(&database, "journal", "", "")
	_ = f.MarkHidden("journal") // who asks for it is told what to do
	f.BoolVar(&asJSON, "json", false, "print the result as JSON")
	_ = errors.Join(cmd.MarkFlagRequired("from"), cmd.MarkFlagRequired("data")) // they exist
	return cmd
}

// restore makes a data folder.
//
// The crash story: everything is written into a folder beside, which gets its name
// at the end; a crash before that leaves the folder beside, which the next restore
// removes and makes anew.
func restore(ctx context.Context, from, data, key string, seq uint64) (*manifest, error) {
	m, err := readManifest(from)
	if err != nil {
		return nil, exit.BadUsage(err)
	}
	if seq == 0 {
		seq = m.Seq
	}
	if seq > m.Seq {
		return nil, exit.BadUsage(fmt.Errorf("the backup ends at decision %d", m.Seq))
	}
	if err := absent(data); err != nil {
		return nil, exit.BadUsage(err)
	}
	if err := m.check(from); err != nil {
		return nil, fmt.Errorf("the backup is not what its manifest says: %w", err)
	}
	beside := filepath.Clean(data) + ".restoring"
	if err := errors.Join(os.RemoveAll(beside), machine.DataFolder(beside)); err != nil {
		return nil, err
	}
	state, err := m.fill(ctx, from, beside, key, seq)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(syncDirs(beside), os.Rename(beside, data), syncDirs(data)); err != nil {
		return nil, err
	}
	out := &manifest{Version: manifestVersion, Seq: seq, At: state.At(), EngineVersion: state.Version(), State: state.Hash(), Verifier: m.Verifier}
	return out, nil
}

// absent makes sure that nothing has the name of the folder to make. An empty folder
// is removed.
func absent(data string) error {
	info, err := os.Lstat(data)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil && info.IsDir() {
		err = os.Remove(data)
	} else if err == nil {
		err = errors.New("it is no folder")
	}
	if err != nil {
		return fmt.Errorf("%s is there, and is not an empty folder: %w", data, err)
	}
	return nil
}

// fill writes journal, snapshot and checkpoints, and folds what it wrote.
func (m *manifest) fill(ctx context.Context, from, to, key string, seq uint64) (*core.State, error) {
	backup, err := openCopy(from)
	if err != nil {
		return nil, err
	}
	if err := rewrite(ctx, backup, notary.Journal(to), seq); err != nil {
		return nil, fmt.Errorf("write the journal: %w", err)
	}
	state, err := m.verify(ctx, from, to, seq)
	if err != nil {
		return nil, fmt.Errorf("what was restored does not hold: %w", err)
	}
	store, err := snapshot.OpenStore(file.OS{}, Snapshots(to))
	if err != nil {
		return nil, err
	}
	if _, err := store.Write(state); err != nil {
		return nil, err
	}
	if _, err := notary.CopySigned(from, to, seq); err != nil {
		return nil, fmt.Errorf("copy the checkpoints: %w", err)
	}
	if err := copyTexts(from, to, state.Erasures(0)); err != nil {
		return nil, fmt.Errorf("copy the store of texts: %w", err)
	}
	if key != "" {
		err = notary.Bring(to, key, m.Verifier)
	}
	return state, err
}

// verify folds the restored journal from its first record, and compares the state
// with each snapshot of the backup that it passes, and with the manifest at its end.
func (m *manifest) verify(ctx context.Context, from, to string, seq uint64) (*core.State, error) {
	log, err := openCopy(to)
	if err != nil {
		return nil, err
	}
	all, err := snapshot.ReadStore(file.ReadOnly{}, Snapshots(from)).List()
	if err != nil {
		return nil, err
	}
	state := core.New()
	for i := len(all) - 1; i >= 0 && uint64(all[i].Seq) <= seq; i-- {
		if err := foldOn(ctx, log, state, uint64(all[i].Seq)); err != nil {
			return nil, err
		}
		if got := state.Hash(); got != all[i].Hash {
			return nil, fmt.Errorf("after decision %d the state is %s, and the snapshot says %s", all[i].Seq, got, all[i].Hash)
		}
	}
	if err := foldOn(ctx, log, state, seq); err != nil {
		return nil, err
	}
	if got := state.Hash(); seq == m.Seq && got != m.State {
		return nil, fmt.Errorf("the state is %s, and the manifest says %s", got, m.State)
	}
	return state, nil
}
