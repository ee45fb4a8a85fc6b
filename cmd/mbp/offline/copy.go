package offline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/mbp-market/mbp/cmd/mbp/exit"
	"github.com/mbp-market/mbp/cmd/mbp/machine"
	"github.com/mbp-market/mbp/cmd/mbp/notary"
	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/journal/file"
	"github.com/mbp-market/mbp/engine/journal/postgres"
)

// copyBatch bounds the payloads that one append of a copy takes, in bytes: a copy
// that is broken off loses no more than that.
const copyBatch = 1 << 20

// JournalCommand moves journals.
func JournalCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "journal", Short: "Copy a journal between a folder and a database, and name groups as the lake does"}
	cmd.AddCommand(copyCommand(), groupsCommand())
	return cmd
}

func copyCommand() *cobra.Command {
	var from, to string
	cmd := &cobra.Command{
		Use:   "copy",
		Short: "Copy a journal, and compare the copy",
		Long: `Copy every record of a journal to another place, in order and with its time, and
then read the copy and compare it byte for byte.

A place is file:DIR, where DIR is the data folder of a server, or the URL of a
PostgreSQL database. Nobody may use the place that is copied to; the other one is only
read, beside a running server as far as it was when the copy began. What is there
already must be the beginning of the same journal, and is not copied again: a copy
that was broken off goes on where it ended, and one that was made beside a running
server is brought up to date once that has stopped.

Exit codes: 0 the copy is equal, 1 it is not, 2 wrong usage or no journal there.`,
		Example: `  mbp journal copy --from file:mbp-data --to postgres://mbp@db.example/mbp
  mbp journal copy --from postgres://mbp@db.example/mbp --to file:restored`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			return copyJournal(ctx, from, to, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "`place` that is read: file:DIR or postgres://…")
	cmd.Flags().StringVar(&to, "to", "", "`place` that is written")
	_ = cmd.MarkFlagRequired("from") // the flags are there
	_ = cmd.MarkFlagRequired("to")
	return cmd
}

// openSource opens a place for reading; end releases it.
func openSource(name string) (log Source, end func() error, err error) {
	if dir, ok := strings.CutPrefix(name, "file:"); ok {
		return Open("", dir, "")
	}
	return Open(name, "", "")
}

func openTarget(name string) (journal.Log, error) {
	if dir, ok := strings.CutPrefix(name, "file:"); ok {
		if err := machine.DataFolder(dir); err != nil {
			return nil, exit.BadUsage(err)
		}
		l, err := file.Open(file.Config{Dir: notary.Journal(dir)})
		if err != nil {
			return nil, exit.BadUsage(err)
		}
		return l, nil
	}
	l, err := postgres.Open(postgres.Config{URL: name})
	if err != nil {
		return nil, exit.BadUsage(err)
	}
	return l, nil
}

func copyJournal(ctx context.Context, from, to string, stdout io.Writer) (err error) {
	src, end, err := openSource(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	dst, err := openTarget(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dst.Close()) }()
	if src.First() != 1 {
		return exit.BadUsage(fmt.Errorf("the journal begins at %d; what is before it is in an archive", src.First()))
	}
	had := dst.Next() - 1
	if had >= src.Next() {
		return fmt.Errorf("the copy has %d records, the journal %d", had, src.Next()-1)
	}
	if err := compare(ctx, src, dst); err != nil {
		return err
	}
	if err := transfer(ctx, src, dst); err != nil {
		return err
	}
	if err := compare(ctx, src, dst); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%d records copied after the %d that were there; all %d are equal\n", src.Next()-1-had, had, src.Next()-1)
	return nil
}

// compare reads what is in the copy beside what is in the journal.
func compare(ctx context.Context, src Source, dst journal.Log) error {
	if dst.Next() == 1 {
		return nil
	}
	next, stop := iter.Pull2(records(dst, 1))
	defer stop()
	return src.Read(1, func(want journal.Record) error {
		if want.Seq == dst.Next() {
			return journal.ErrStop
		}
		got, err, ok := next()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return err
		case !ok || got.Seq != want.Seq || got.At != want.At || !bytes.Equal(got.Payload, want.Payload):
			return fmt.Errorf("record %d of the copy is not that of the journal", want.Seq)
		}
		return nil
	})
}

// records are those of a log from a sequence on.
func records(log Source, from uint64) iter.Seq2[journal.Record, error] {
	return func(yield func(journal.Record, error) bool) {
		err := log.Read(from, func(r journal.Record) error {
			if !yield(r, nil) {
				return journal.ErrStop
			}
			return nil
		})
		if err != nil {
			yield(journal.Record{}, err)
		}
	}
}

// transfer appends what the copy lacks. Records of one time are those of one batch,
// or of several, and go into one as far as that may grow.
func transfer(ctx context.Context, src Source, dst journal.Log) error {
	var payloads [][]byte
	var at int64
	size := 0
	flush := func() error {
		if len(payloads) == 0 {
			return nil
		}
		err := dst.Append(dst.Next(), at, payloads)
		payloads, size = payloads[:0], 0
		return err
	}
	if dst.Next() == src.Next() {
		return nil
	}
	err := src.Read(dst.Next(), func(r journal.Record) error {
		if r.At != at || size+len(r.Payload) > copyBatch || len(payloads) == journal.MaxBatchRecords {
			if err := errors.Join(ctx.Err(), flush()); err != nil {
				return err
			}
		}
		at = r.At
		payloads, size = append(payloads, bytes.Clone(r.Payload)), size+len(r.Payload)
		return nil
	})
	if err != nil {
		return err
	}
	return flush()
}
