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

	"github.com/spf13/cobra"

	"github.com/mbp-market/mbp/cmd/mbp/exit"
	"github.com/mbp-market/mbp/cmd/mbp/notary"
	"github.com/mbp-market/mbp/cmd/mbp/table"
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/catchup"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/journal/file"
	"github.com/mbp-market/mbp/engine/snapshot"
)

// Snapshots is the folder of the snapshots within a data folder.
func Snapshots(data string) string { return filepath.Join(data, "snapshots") }

// place is what a verb reads: the data folder of a server, or a database that holds
// the journal, with the folder of one of its servers or without any.
type place struct {
	data    string // empty: the database alone
	archive string // folder of segments that were released; empty: none were
	journal string // URL of the database; empty: the journal is in the folder
}

func (p *place) bind(cmd *cobra.Command) {
	cmd.Flags().StringVar(&p.data, "data", "mbp-data", "`folder` of a server, running or not")
	cmd.Flags().StringVar(&p.archive, "archive", "", "`folder` of its released segments; empty: it released none")
	table.Flag(cmd, &p.journal)
}

// source is a journal that is read.
type source interface {
	First() uint64
	Next() uint64
	Read(from uint64, fn func(journal.Record) error) error
}

// open opens the journal for reading, beside a server if one runs there: what it hands
// out is durable. end releases it.
func (p *place) open() (log source, end func() error, err error) {
	if p.journal == "" {
		if _, err := os.Stat(notary.Journal(p.data)); err != nil {
			return nil, nil, exit.BadUsage(fmt.Errorf("no journal: %w", err))
		}
	}
	var holds uint64
	if p.data != "" {
		key, err := notary.Open(p.data, false)
		if err != nil {
			return nil, nil, exit.BadUsage(err)
		}
		if holds, err = notary.Holds(p.data, key); err != nil {
			return nil, nil, exit.BadUsage(err)
		}
	}
	log, end, err = p.reader(holds)
	if notary.Damage(err) {
		return nil, nil, notary.Explain(err, p.data, holds)
	}
	if err != nil {
		return nil, nil, exit.BadUsage(err)
	}
	return log, end, nil
}

// reader opens the journal, of which holds records are known to be durable.
func (p *place) reader(holds uint64) (source, func() error, error) {
	if p.journal != "" {
		log, err := table.Open(p.journal, holds)
		if err != nil {
			return nil, nil, err
		}
		return log, log.Close, nil
	}
	log, err := file.OpenReader(file.ReaderConfig{Dir: notary.Journal(p.data), Archive: p.archive, Holds: holds})
	return log, func() error { return nil }, err
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
