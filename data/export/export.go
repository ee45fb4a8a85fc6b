// Package export writes what the journal holds as tables for people who count
// elsewhere: trades, decisions, and what accounts hold, as CSV or Parquet.
//
// It promises: a row for each side of each trade and for each decision in the range
// that was asked for, in journal order, none missing and none twice; the same
// journal and range give the same bytes; memory is bounded whatever the range,
// because rows are written while the journal is read. Amounts are whole numbers of
// micros, in CSV too: no spreadsheet rounds them.
//
// It refuses personal data: accounts and principals are pseudonyms, as in the
// journal. A file that ends early is no file: the caller reports the error.
//
// CSV follows RFC 4180, with times in RFC 3339 and nothing for null.
package export

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"sort"
	"strconv"

	"github.com/mbp-market/mbp/data/cdc/lake"
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/schemas/registry"
)

// The tables and formats.
const (
	Trades    = "trades"
	Positions = "positions"
	Decisions = "decisions"

	CSV     = "csv"
	Parquet = "parquet"
)

// version of the tables' columns: they only grow within a major version.
const version = "1.0.0"

// Query is what to write. First and Last bound the sequences, From and Until the
// times; zero is no bound, but for Last, which has to be a decision that is there.
type Query struct {
	Table       string
	Format      string
	First, Last engine.Seq  // both of them included
	From, Until engine.Time // from on, before until
}

// Holding is a row of positions.
type Holding struct {
	Seq     engine.Seq // as of which it is
	Account engine.AccountID
	engine.Position
}

// Source is where decisions come from.
type Source interface {
	// Read calls fn with the decisions from a sequence on, in order and without
	// gaps, until fn fails, and returns that error. It may also end by itself.
	Read(ctx context.Context, from engine.Seq, fn func(*engine.Decision) error) error
	// Find returns one decision.
	Find(seq engine.Seq) (*engine.Decision, error)
	// Holdings calls fn with what every account holds after a decision, in order of
	// accounts, until fn fails.
	Holdings(ctx context.Context, after engine.Seq, fn func(Holding) error) error
}

// ErrQuery wraps every error about what was asked for.
var ErrQuery = errors.New("export")

// Validate says what is wrong with a query.
func (q *Query) Validate() error {
	switch {
	case q.Table != Trades && q.Table != Positions && q.Table != Decisions:
		return fmt.Errorf("%w: the table is trades, positions or decisions", ErrQuery)
	case q.Format != CSV && q.Format != Parquet:
		return fmt.Errorf("%w: the format is csv or parquet", ErrQuery)
	case q.First > q.Last && q.Last != 0:
		return fmt.Errorf("%w: the first sequence is not above the last", ErrQuery)
	case q.From != 0 && q.Until != 0 && q.From > q.Until:
		return fmt.Errorf("%w: from is not after until", ErrQuery)
	case q.Table == Positions && (q.First > 1 || q.From != 0):
		return fmt.Errorf("%w: positions stand at the end of a range, which has no beginning", ErrQuery)
	}
	return nil
}

// Write writes what was asked for. What w got before an error is no table.
func Write(ctx context.Context, w io.Writer, src Source, q Query) error {
	if err := q.Validate(); err != nil {
		return err
	}
	first, last, err := span(src, q)
	if err != nil {
		return err
	}
	s := schemaOf(q.Table)
	out := sink(&csvSink{w: csv.NewWriter(w)})
	if q.Format == Parquet {
		out = lake.NewStream(w, s)
	} else if err := out.Write(head(s)); err != nil {
		return err
	}
	switch {
	case first > last: // nothing is in the range
	case q.Table == Positions:
		err = src.Holdings(ctx, last, func(h Holding) error { return out.Write(h.row()) })
	case q.Table == Trades:
		err = each(ctx, src, first, last, (&tradeRows{src: src, out: out}).take)
	default:
		err = each(ctx, src, first, last, func(d *engine.Decision) error { return writeDecision(out, d) })
	}
	if err != nil {
		return fmt.Errorf("export %s: %w", q.Table, err)
	}
	return out.Close()
}

// errEnd ends the reading of a range.
var errEnd = errors.New("end of the range")

func each(ctx context.Context, src Source, first, last engine.Seq, fn func(*engine.Decision) error) error {
	next := first
	err := src.Read(ctx, first, func(d *engine.Decision) error {
		if d.Seq != next {
			return fmt.Errorf("decision %d comes where %d should", d.Seq, next)
		}
		if err := fn(d); err != nil {
			return err
		}
		if next++; d.Seq == last {
			return errEnd
		}
		return nil
	})
	if errors.Is(err, errEnd) {
		return nil
	}
	if err == nil {
		err = fmt.Errorf("the journal ends before decision %d", next)
	}
	return err
}

// span is the range of sequences that a query means. Times never run backwards, so
// the decisions of a span of time lie together.
func span(src Source, q Query) (first, last engine.Seq, err error) {
	first, last = max(q.First, 1), q.Last
	find := func(t engine.Time) engine.Seq {
		return first + engine.Seq(sort.Search(int(last-first+1), func(i int) bool {
			if err != nil {
				return true
			}
			d, e := src.Find(first + engine.Seq(i))
			if e != nil {
				err = e
				return true
			}
			return d.At >= t
		}))
	}
	if q.Until != 0 && last >= first {
		last = find(q.Until) - 1
	}
	if q.From != 0 && last >= first {
		first = find(q.From)
	}
	return first, last, err
}

// sink takes rows.
type sink interface {
	Write(values []any) error
	Close() error
}

// csvSink writes rows as lines.
type csvSink struct {
	w    *csv.Writer
	room []string
}

func (c *csvSink) Write(values []any) error {
	c.room = c.room[:0]
	for _, v := range values {
		text := "" // null
		switch x := v.(type) {
		case string:
			text = x
		case int64:
			text = strconv.FormatInt(x, 10)
		case engine.Time:
			text = x.String()
		}
		c.room = append(c.room, text)
	}
	return c.w.Write(c.room)
}

func (c *csvSink) Close() error {
	c.w.Flush()
	return c.w.Error()
}

func head(s *registry.Schema) []any {
	out := make([]any, len(s.Columns))
	for i := range s.Columns {
		out[i] = s.Columns[i].Name
	}
	return out
}
