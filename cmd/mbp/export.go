package main

import (
	"context"
	"encoding"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/mbp-market/mbp/cmd/mbp/offline"
	"github.com/mbp-market/mbp/cmd/mbp/remote"
	"github.com/mbp-market/mbp/data/export"
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
	"github.com/mbp-market/mbp/engine/journal"
)

// exportRequest is what `mbp export` was told.
type exportRequest struct {
	conn        remote.Connection
	query       export.Query
	first, last uint64
	from, until string
	data, out   string
	archive     string
	journal     string
}

func exportCommand() *cobra.Command {
	x := &exportRequest{}
	cmd := &cobra.Command{
		Use:   "export trades|positions|decisions",
		Short: "Write trades, positions or decisions as CSV or Parquet",
		Long: `Write a table as CSV or Parquet: a row for each side of each trade, for each
holding of each account, or for each decision with its document. Amounts are whole
numbers of micros; accounts and principals are pseudonyms, as in the journal.

A server writes positions as they are now. With --data its journal is read here, or
with --journal that in a database, and positions are those after the last decision of
the range.

With --out the file appears whole or not at all.`,
		Example: `  mbp export trades --from 2026-11-01T00:00:00Z --until 2026-12-01T00:00:00Z > november.csv
  mbp export decisions --first 1 --last 1000 --format parquet --out decisions.parquet
  mbp export positions --data mbp-data --until 2026-12-01T00:00:00Z`,
		Args:      cobra.ExactArgs(1),
		ValidArgs: []string{export.Trades, export.Positions, export.Decisions},
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			x.query.Table = args[0]
			return x.run(ctx, cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	x.conn.Reach(f)
	f.StringVar(&x.query.Format, "format", export.CSV, "csv or parquet")
	f.Uint64Var(&x.first, "first", 0, "first `sequence` of the range")
	f.Uint64Var(&x.last, "last", 0, "last `sequence` of the range; by default the newest")
	f.StringVar(&x.from, "from", "", "nothing decided before this RFC 3339 `time`")
	f.StringVar(&x.until, "until", "", "only what was decided before this RFC 3339 `time`")
	f.StringVar(&x.data, "data", "", "read the `folder` of a server, running or not, instead of asking one")
	f.StringVar(&x.archive, "archive", "", "with --data, the `folder` of its released segments")
	f.StringVar(&x.out, "out", "", "new `file` to write; standard output by default")
	f.StringVar(&x.journal, "journal", "", "read the journal in the PostgreSQL database at this `URL` instead of asking a server")
	cmd.MarkFlagsMutuallyExclusive("data", "journal", "url")
	cmd.MarkFlagsMutuallyExclusive("archive", "journal")
	return cmd
}

func (x *exportRequest) run(ctx context.Context, stdout io.Writer) error {
	q := &x.query
	q.First, q.Last = engine.Seq(x.first), engine.Seq(x.last)
	for text, into := range map[string]encoding.TextUnmarshaler{x.from: &q.From, x.until: &q.Until} {
		if text == "" {
			continue
		}
		if err := into.UnmarshalText([]byte(text)); err != nil {
			return usage(err)
		}
	}
	if err := q.Validate(); err != nil {
		return usage(err)
	}
	write := x.ask
	if x.data != "" || x.journal != "" {
		write = x.read
	}
	if x.out == "" {
		return write(ctx, stdout)
	}
	return whole(x.out, func(w io.Writer) error { return write(ctx, w) })
}

// ask has a running server write.
func (x *exportRequest) ask(ctx context.Context, w io.Writer) error {
	c, err := x.conn.Open()
	if err != nil {
		return err
	}
	return c.Export(ctx, w, client.Export(x.query))
}

// read writes from the journal of a folder, or from that in a database.
func (x *exportRequest) read(ctx context.Context, w io.Writer) (err error) {
	log, close, err := offline.Open(x.journal, x.data, x.archive)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, close()) }()
	end := engine.Seq(log.Next() - 1)
	if x.query.Last == 0 {
		x.query.Last = end
	} else if x.query.Last > end {
		return usage(fmt.Errorf("the journal ends with decision %d", end))
	}
	err = export.Write(ctx, w, export.OverLog(log), x.query)
	if errors.Is(err, journal.ErrArchived) {
		return usage(fmt.Errorf("%w: this one begins with decision %d; name the archive with --archive", err, log.First()))
	}
	return err
}

// whole makes a new file that is complete or absent: it is written under another
// name in its folder, synced, and then linked, which fails if there is one already.
// A crash in between leaves the other name behind.
func whole(path string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".part-*")
	if err != nil {
		return usage(err)
	}
	defer func() { _ = os.Remove(f.Name()) }() // after the link it has its other name
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil {
		return usage(fmt.Errorf("make the file: %w", err))
	}
	return nil
}
