// Package backup is the verbs that copy a data folder and bring it back: snapshots
// of the state, backups beside a running server, and restores to any decision.
//
// It promises that a backup is one cut: everything in it belongs to the decisions up
// to one sequence, and every file of it has its SHA-256 in a manifest; that a
// restore checks all of that, and folds what it restored, before it says that it is
// done; and that a server needs no stop. It refuses to write into a folder that has
// a journal, and to call anything a backup that it has not read back.
package backup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/mbp-market/mbp/cmd/mbp/exit"
	"github.com/mbp-market/mbp/cmd/mbp/notary"
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/catchup"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/journal/file"
	"github.com/mbp-market/mbp/engine/snapshot"
)

// Snapshots is the folder of the snapshots within a data folder.
func Snapshots(data string) string { return filepath.Join(data, "snapshots") }

// openSource opens the journal of a data folder for reading, beside a server if one
// runs there: what it hands out is durable. archive is the folder of segments that
// were released; empty: none were.
func openSource(data, archive string) (*file.Reader, error) {
	dir := notary.Journal(data)
	if _, err := os.Stat(dir); err != nil {
		return nil, exit.BadUsage(fmt.Errorf("no journal: %w", err))
	}
	key, err := notary.Open(data, false)
	if err != nil {
		return nil, exit.BadUsage(err)
	}
	holds, err := notary.Holds(data, key)
	if err != nil {
		return nil, exit.BadUsage(err)
	}
	log, err := file.OpenReader(file.ReaderConfig{Dir: dir, Archive: archive, Holds: holds})
	if notary.Damage(err) {
		return nil, notary.Explain(err, data, holds)
	}
	if err != nil {
		return nil, exit.BadUsage(err)
	}
	return log, nil
}

// openCopy opens the journal of a backup, or of a folder that is being restored.
func openCopy(dir string) (*file.Reader, error) {
	return file.OpenReader(file.ReaderConfig{Dir: notary.Journal(dir)})
}

// foldOn folds up to a decision, which must be there, and checks every invariant.
func foldOn(ctx context.Context, log catchup.Log, state *core.State, last uint64) error {
	if uint64(state.Seq()) < last {
		if _, err := catchup.Fold(log, state, last, func(*engine.Decision, int64) error { return ctx.Err() }); err != nil {
			return err
		}
	}
	if uint64(state.Seq()) != last {
		return fmt.Errorf("the journal ends at decision %d, and %d was wanted", state.Seq(), last)
	}
	return state.Check()
}

// before returns the state of the newest snapshot that is not after a decision; the
// empty one if there is none.
func before(store *snapshot.Store, last uint64, logger *slog.Logger) (*core.State, error) {
	all, err := store.List()
	if err != nil {
		return nil, err
	}
	for _, i := range all {
		if uint64(i.Seq) > last {
			continue
		}
		state, _, err := store.Load(i)
		var damaged *snapshot.DamagedError
		if errors.As(err, &damaged) {
			logger.Error("a snapshot cannot be used", "err", err)
			continue
		}
		return state, err
	}
	return core.New(), nil
}
