// Package table is the journal in a PostgreSQL database as the verbs read it that
// need no server. It promises what the reader of a folder promises: beside a process
// that decides nothing is handed out that is not committed, and damage is told with
// its sequence. It refuses to make tables, to write, and a database that has fewer
// decisions than a checkpoint says.
package table

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/mbp-market/mbp/cmd/mbp/exit"
	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/journal/postgres"
)

// Flag gives a verb the flag --journal, beside its --data and --archive.
func Flag(cmd *cobra.Command, into *string) {
	cmd.Flags().StringVar(into, "journal", "", "`URL` of the PostgreSQL database that holds the journal; of the data folder only what was named with --data is looked at then")
	cmd.MarkFlagsMutuallyExclusive("journal", "archive") // a database releases nothing
}

// Folder is the data folder that a verb looks at, as it was told in its flags: beside a
// database only one that was named, because the default may be another server's, and
// that is there.
func Folder(cmd *cobra.Command, journal, data string) (string, error) {
	if journal == "" {
		return data, nil
	}
	if !cmd.Flags().Changed("data") {
		return "", nil
	}
	_, err := os.Stat(data)
	if err != nil {
		err = exit.BadUsage(fmt.Errorf("data folder: %w", err))
	}
	return data, err
}

// Reader reads the journal in a database. One goroutine uses it.
type Reader struct {
	*postgres.Log
	url   string
	bytes int64
}

// Open opens the journal in a database, of which holds records are known to be
// durable. An error that is not of usage says what does not hold. Who opens it closes
// it.
func Open(url string, holds uint64) (*Reader, error) {
	log, err := postgres.Follow(postgres.Config{URL: url, Existing: true})
	var corrupt *journal.CorruptError
	switch {
	case errors.As(err, &corrupt):
		return nil, err
	case err != nil:
		return nil, exit.BadUsage(err)
	case log.Next() <= holds:
		return nil, errors.Join(&journal.CorruptError{
			Place: postgres.Place(url), Offset: int64(log.Next()), Seq: log.Next(), Reason: fmt.Sprintf("%d records were signed", holds),
		}, log.Close())
	}
	return &Reader{Log: log, url: url}, nil
}

// Check reads every row up to where the journal ended when it was opened, gives each
// that does not hold to damage, and returns how many records are whole.
func (r *Reader) Check(ctx context.Context, damage func(*journal.CorruptError)) (records uint64, err error) {
	out, err := postgres.Examine(ctx, r.url, r.Next(), damage)
	r.bytes = out.Bytes
	return out.Records, err
}

// Bytes is the size of all records that Check has read, without what the database
// keeps beside them.
func (r *Reader) Bytes() int64 { return r.bytes }
