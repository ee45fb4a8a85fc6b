package offline

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/mbp-market/mbp/cmd/mbp/exit"
	"github.com/mbp-market/mbp/cmd/mbp/notary"
	"github.com/mbp-market/mbp/cmd/mbp/table"
	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/journal/file"
	"github.com/mbp-market/mbp/engine/journal/postgres"
)

// place is the data folder that an offline verb reads, or the database that holds the
// journal; then with the folder of one of its servers, or without any.
type place struct {
	data    string
	archive string
	journal string
}

// Source is a journal that is read.
type Source interface {
	First() uint64
	Next() uint64
	Read(from uint64, fn func(journal.Record) error) error
}

// reader is a journal that can say more of itself.
type reader interface {
	Source
	Held() bool   // by a server, when it was opened
	Bytes() int64 // of what Check reads
	Check(ctx context.Context, damage func(*journal.CorruptError)) (records uint64, err error)
	Close() error
}

// folder is the journal in a folder, whose files are opened for each reading.
type folder struct{ *file.Reader }

func (folder) Close() error { return nil }

// bind gives a verb its flags.
func (p *place) bind(cmd *cobra.Command) {
	cmd.Flags().StringVar(&p.data, "data", "mbp-data", "`folder` of a server, running or not, or a copy of it")
	cmd.Flags().StringVar(&p.archive, "archive", "", "`folder` of its released segments; empty: it released none")
	table.Flag(cmd, &p.journal)
}

// open opens the journal for reading, and tells how many decisions the newest
// checkpoint in the folder covers. That is read first: a server that runs meanwhile
// only adds. progress may be nil; a database has none. An error that is not of usage
// says what does not hold.
func (p *place) open(progress func(done, total int64)) (reader, error) {
	if p.journal == "" {
		if _, err := os.Stat(notary.Journal(p.data)); err != nil {
			return nil, exit.BadUsage(fmt.Errorf("no journal: %w", err))
		}
	}
	var holds uint64
	if p.data != "" {
		key, err := notary.Open(p.data, false)
		if err != nil {
			return nil, exit.BadUsage(err)
		}
		if holds, err = notary.Holds(p.data, key); err != nil {
			return nil, exit.BadUsage(err)
		}
	}
	log, err := p.reader(holds, progress)
	if notary.Damage(err) {
		return nil, notary.Explain(err, p.data, holds)
	}
	if err != nil {
		return nil, exit.BadUsage(err)
	}
	return log, nil
}

// reader opens the journal with what is known of its length.
func (p *place) reader(holds uint64, progress func(done, total int64)) (reader, error) {
	if p.journal != "" {
		log, err := table.Open(p.journal, holds)
		if err != nil {
			return nil, err
		}
		return log, nil
	}
	log, err := file.OpenReader(file.ReaderConfig{Dir: notary.Journal(p.data), Archive: p.archive, Holds: holds, Progress: progress})
	if err != nil {
		return nil, err
	}
	return folder{log}, nil
}

// name is where the journal is, for people.
func (p *place) name() string {
	if p.journal != "" {
		return postgres.Place(p.journal)
	}
	return p.data
}

// Open opens a journal for reading, beside a server if one runs there: that in the
// database, if one is named, else that of a data folder. archive is the folder of
// released segments; empty: there is none. end releases the journal.
func Open(database, data, archive string) (log Source, end func() error, err error) {
	p := &place{data: data, archive: archive, journal: database}
	l, err := p.open(nil)
	if err != nil {
		return nil, nil, err
	}
	return l, l.Close, nil
}
