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
	"path/filepath"
	"slices"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/mbp-market/mbp/cmd/mbp/exit"
	"github.com/mbp-market/mbp/cmd/mbp/notary"
	"github.com/mbp-market/mbp/cmd/mbp/table"
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/journal/file"
	"github.com/mbp-market/mbp/engine/snapshot"
	"github.com/mbp-market/mbp/engine/texts"
)

// segmentSize is that of a backup's journal: the largest batch fits, and the last
// segment wastes little.
const segmentSize = 16 << 20

// BackupCommand makes a backup.
func BackupCommand() *cobra.Command {
	var from place
	var to string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "backup",
		Short: "Copy the journal of a server up to one decision",
		Long: `Write a backup into a new folder: the journal up to one decision, the newest
snapshot up to it, a snapshot of the state after it, the signed checkpoints of the
audit tree up to it, the store of texts, and a manifest with the SHA-256 of each
file. The server may run meanwhile. What is copied is decoded and folded, so that a backup is made only
of a journal that holds.

Beside a running server the cut is the newest checkpoint of its audit tree, or the
last commit of the database that --journal names. Snapshots and checkpoints are in
the data folder of a server: beside --journal they are copied from the folder that
--data names, and else not at all. mbp restore makes a data folder with the journal
in it, and mbp journal copy brings that into a database.

The store of texts holds personal data, and a backup keeps it after an erasure:
docs/runbooks/privacy.md says for how long, and what a restore does about it.

No secret is in a backup: keep copies of admin.key, person.salt and audit/signing.key
elsewhere.
The lake is not in it, either; it is made again from the journal.

Exit codes: 0 the backup is complete, 1 it is not, 2 wrong usage or no journal there.`,
		Example: "  mbp backup --data mbp-data --to /mnt/backup/2026-11-30\n  mbp backup --journal postgres://mbp@db.example/mbp --data mbp-data --to /mnt/backup/2026-11-30",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			var err error
			if from.data, err = table.Folder(cmd, from.journal, from.data); err != nil {
				return err
			}
			m, err := write(ctx, from, to, slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil)))
			if err != nil {
				return fmt.Errorf("backup: %w", err)
			}
			return m.tell(cmd.OutOrStdout(), "backup", asJSON)
		},
	}
	from.bind(cmd)
	f := cmd.Flags()
	f.StringVar(&to, "to", "", "`folder` for the backup, which is not there yet")
	f.BoolVar(&asJSON, "json", false, "print the manifest without its files as JSON")
	_ = cmd.MarkFlagRequired("to") // it exists
	return cmd
}

func (m *manifest) tell(w io.Writer, what string, asJSON bool) error {
	if asJSON {
		short := *m
		short.Files = nil
		return json.NewEncoder(w).Encode(short)
	}
	_, err := fmt.Fprintf(w, "%s of %d decisions, the last at %s; state %s\n", what, m.Seq, m.At, m.State)
	return err
}

// write writes a backup.
func write(ctx context.Context, from place, to string, logger *slog.Logger) (_ *manifest, err error) {
	log, end, err := from.open()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, end()) }()
	last := log.Next() - 1
	if last == 0 {
		return nil, exit.BadUsage(errors.New("the journal is empty"))
	}
	if log.First() != 1 && from.archive == "" {
		return nil, exit.BadUsage(fmt.Errorf("the journal begins at decision %d: name the archive that has those before it", log.First()))
	}
	if err := os.Mkdir(to, 0o700); err != nil {
		return nil, exit.BadUsage(err)
	}
	if err := rewrite(ctx, log, notary.Journal(to), last); err != nil {
		return nil, fmt.Errorf("copy the journal: %w", err)
	}
	state, err := copySnapshots(ctx, from.data, to, last, logger)
	if err != nil {
		return nil, fmt.Errorf("copy the snapshot: %w", err)
	}
	m := &manifest{Version: manifestVersion, Seq: last, At: state.At(), EngineVersion: state.Version(), State: state.Hash()}
	if from.data != "" {
		if m.Verifier, err = notary.CopySigned(from.data, to, last); err != nil {
			return nil, fmt.Errorf("copy the checkpoints: %w", err)
		}
	}
	// The last, so that it has every text that the journal up to the cut names.
	if from.data != "" {
		if err := copyTexts(from.data, to, nil); err != nil {
			return nil, fmt.Errorf("copy the store of texts: %w", err)
		}
	}
	for _, dir := range []string{notary.Journal(to), Snapshots(to)} {
		if err := dropLock(dir); err != nil {
			return nil, err
		}
	}
	if err := m.seal(to); err != nil {
		return nil, err
	}
	return m, m.check(to)
}

// rewrite appends the records of a log up to a sequence to a journal in a new
// folder. Records that shared an append share one again, as far as a batch goes: what
// is read of them is the same, to the time of their append.
func rewrite(ctx context.Context, from interface {
	Read(from uint64, fn func(journal.Record) error) error
}, dir string, last uint64) (err error) {
	to, err := file.Open(file.Config{Dir: dir, SegmentSize: segmentSize})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	w := writer{log: to}
	err = from.Read(1, func(r journal.Record) error {
		switch {
		case r.Seq > last:
			return journal.ErrStop
		case r.Seq != w.next():
			return fmt.Errorf("record %d comes where %d belongs; older ones may be in the archive", r.Seq, w.next())
		case ctx.Err() != nil:
			return ctx.Err()
		}
		return w.add(r)
	})
	if err = errors.Join(err, w.flush()); err == nil && w.next() != last+1 {
		err = fmt.Errorf("the journal ends at %d, before %d", w.next()-1, last)
	}
	return err
}

// writer gathers records into batches.
type writer struct {
	log   journal.Log
	at    int64
	batch [][]byte
	bytes int
}

// next is the sequence of the next record.
func (w *writer) next() uint64 { return w.log.Next() + uint64(len(w.batch)) }

func (w *writer) add(r journal.Record) error {
	if len(w.batch) > 0 && (r.At != w.at || len(w.batch) == journal.MaxBatchRecords || w.bytes+len(r.Payload) > journal.MaxBatchBytes) {
		if err := w.flush(); err != nil {
			return err
		}
	}
	w.at, w.bytes = r.At, w.bytes+len(r.Payload)
	w.batch = append(w.batch, append([]byte(nil), r.Payload...))
	return nil
}

func (w *writer) flush() error {
	if len(w.batch) == 0 {
		return nil
	}
	err := w.log.Append(w.log.Next(), w.at, w.batch)
	w.batch, w.bytes = w.batch[:0], 0
	return err
}

// copyTexts copies the store of texts without what concerns accounts that were
// erased. A data folder of a server without one has none.
func copyTexts(from, to string, erased []engine.AccountID) error {
	entries, err := texts.Read(file.ReadOnly{}, filepath.Join(from, texts.Folder))
	if err != nil || entries == nil {
		return err
	}
	kept := entries[:0]
	for _, e := range entries {
		if !slices.ContainsFunc(erased, func(id engine.AccountID) bool { return e.Concerns(id, nil) }) {
			kept = append(kept, e)
		}
	}
	return texts.Write(file.OS{}, filepath.Join(to, texts.Folder), kept)
}

// dropLock removes the lock file of a journal that is closed: it is no part of it.
func dropLock(dir string) error {
	err := os.Remove(filepath.Join(dir, "LOCK"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// copySnapshots writes the newest snapshot of a data folder up to a sequence and one of the state at
// it, which it folds from the backup's own journal.
func copySnapshots(ctx context.Context, data, to string, last uint64, logger *slog.Logger) (*core.State, error) {
	state := core.New()
	if data != "" {
		var err error
		if state, err = before(snapshot.ReadStore(file.ReadOnly{}, Snapshots(data)), last, logger); err != nil {
			return nil, err
		}
	}
	store, err := snapshot.OpenStore(file.OS{}, Snapshots(to))
	if err != nil {
		return nil, err
	}
	if state.Seq() != 0 {
		if _, err := store.Write(state); err != nil {
			return nil, err
		}
	}
	copied, err := openCopy(to)
	if err != nil {
		return nil, err
	}
	if err := foldOn(ctx, copied, state, last); err != nil {
		return nil, err
	}
	_, err = store.Write(state)
	return state, err
}
