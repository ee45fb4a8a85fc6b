package export

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/mbp-market/mbp/data/cdc/cdctest"
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/journal/file"
)

const start = engine.Time(1_700_000_000_000_000)

// history writes a market day into a journal.
func history(t *testing.T) ([]*engine.Decision, Source) {
	t.Helper()
	decisions, err := cdctest.History(3, start, 1500)
	if err != nil {
		t.Fatal(err)
	}
	log, err := file.Open(file.Config{Dir: t.TempDir(), SegmentSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	if err := cdctest.Write(log, decisions, 256); err != nil {
		t.Fatal(err)
	}
	return decisions, OverLog(log)
}

// lines exports as CSV and reads it back; the first line is the head.
func lines(t *testing.T, src Source, q Query) [][]string {
	t.Helper()
	q.Format = CSV
	var b bytes.Buffer
	if err := Write(t.Context(), &b, src, q); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&b).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// sides are the trades as the engine's own books tell them: what a resting order
// trades is looked up in the state before the decision, not in the journal.
func sides(t *testing.T, decisions []*engine.Decision) (out []string) {
	t.Helper()
	s := core.New()
	for _, d := range decisions {
		_, batch := d.Command.(*engine.Batch)
		for _, e := range d.Events {
			x, is := e.(*engine.OrderFilled)
			if !is || x.Shares == 0 {
				continue
			}
			out = append(out, fmt.Sprint(d.Seq, x.Order, "taker", x.Account, x.Outcome, x.Side, int64(x.Shares), int64(x.Amount), int64(x.Fee)))
			for _, f := range x.Fills {
				if f.Maker == 0 {
					continue
				}
				o, waits := s.Order(f.Maker)
				if !waits && batch {
					continue // it came to rest in an item before
				}
				out = append(out, fmt.Sprint(d.Seq, f.Maker, "maker", f.Account, o.Outcome, o.Side, int64(f.Shares), int64(f.Counter), 0))
			}
		}
		if err := s.Evolve(d); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// TestTradesAreTheEngines: each side of each trade has its row, whether the resting
// order is remembered or looked up, and a range has exactly its part of the whole.
func TestTradesAreTheEngines(t *testing.T) {
	decisions, src := history(t)
	last := engine.Seq(len(decisions))
	whole := lines(t, src, Query{Table: Trades, Last: last})
	var got []string
	for _, r := range whole[1:] {
		got = append(got, fmt.Sprint(r[0], r[2], r[3], r[4], r[6], r[7], r[8], r[9], r[10]))
	}
	want := sides(t, decisions)
	for i := range want {
		want[i] = strings.Join(strings.Fields(want[i]), "")
	}
	for i := range got {
		got[i] = strings.Join(strings.Fields(got[i]), "")
	}
	if makers := strings.Count(strings.Join(got, " "), "maker"); !slices.Equal(got, want) || makers < 5 {
		t.Fatalf("%d rows, %d of makers; the engine tells %d", len(got), makers, len(want))
	}
	var pieces [][]string
	for first := engine.Seq(1); first <= last; first += 97 { // most orders rested before their piece began
		pieces = append(pieces, lines(t, src, Query{Table: Trades, First: first, Last: min(first+96, last)})[1:]...)
	}
	if !slices.EqualFunc(pieces, whole[1:], slices.Equal) {
		t.Errorf("%d rows in pieces, %d in all", len(pieces), len(whole)-1)
	}
	middle := decisions[len(decisions)/2].At
	before, after := lines(t, src, Query{Table: Trades, Last: last, Until: middle}), lines(t, src, Query{Table: Trades, Last: last, From: middle})
	if len(before) < 2 || len(after) < 2 || len(before)+len(after)-1 != len(whole) || before[len(before)-1][1] >= middle.String() || after[1][1] < middle.String() {
		t.Errorf("%d rows before %s, %d after, %d in all", len(before), middle, len(after), len(whole))
	}
}

// TestDecisionsAndPositions: every decision has its document, and positions are
// what the engine's accounts hold at the end of the range.
func TestDecisionsAndPositions(t *testing.T) {
	decisions, src := history(t)
	last := engine.Seq(len(decisions))
	rows := lines(t, src, Query{Table: Decisions, First: 5, Last: last})
	if len(rows) != len(decisions)-3 || rows[1][0] != "5" || !strings.HasPrefix(rows[1][7], `{"seq":5,`) || rows[len(rows)-1][0] != fmt.Sprint(last) {
		t.Errorf("%d rows for %d decisions: %v", len(rows), len(decisions), rows[1])
	}
	for _, at := range []engine.Seq{last / 2, last} {
		s := core.New()
		for _, d := range decisions[:at] {
			if err := s.Evolve(d); err != nil {
				t.Fatal(err)
			}
		}
		var want [][]string
		for id := range engine.AccountID(s.AccountCount()) {
			a, _ := s.Account(id + 1)
			for _, p := range a.Positions {
				want = append(want, []string{fmt.Sprint(at), a.Account.String(), p.Market.String(), p.Outcome.String(), fmt.Sprint(int64(p.Shares)), fmt.Sprint(int64(p.Reserved))})
			}
		}
		if got := lines(t, src, Query{Table: Positions, Last: at})[1:]; len(want) == 0 || !slices.EqualFunc(got, want, slices.Equal) {
			t.Errorf("at %d: %d positions, want %d", at, len(got), len(want))
		}
	}
}

// TestParquetSaysTheSame: a Parquet file has the rows of the CSV file, in groups,
// and is the same twice.
func TestParquetSaysTheSame(t *testing.T) {
	decisions, src := history(t)
	for table := range columns {
		q := Query{Table: table, Format: Parquet, Last: engine.Seq(len(decisions))}
		var b, again bytes.Buffer
		if err := errors.Join(Write(t.Context(), &b, src, q), Write(t.Context(), &again, src, q)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(b.Bytes(), again.Bytes()) {
			t.Errorf("%s: the same range has other bytes", table)
		}
		f, err := parquet.OpenFile(bytes.NewReader(b.Bytes()), int64(b.Len()))
		if err != nil {
			t.Fatal(err)
		}
		var got [][]string
		for _, g := range f.RowGroups() {
			rows := g.Rows()
			room := make([]parquet.Row, 100)
			for {
				n, err := rows.ReadRows(room)
				for _, r := range room[:n] {
					got = append(got, cells(table, r))
				}
				if err != nil || n == 0 {
					break
				}
			}
			rows.Close()
		}
		if want := lines(t, src, q)[1:]; !slices.EqualFunc(got, want, slices.Equal) {
			t.Errorf("%s: %d rows of Parquet, %d of CSV", table, len(got), len(want))
		}
	}
}

func cells(table string, r parquet.Row) (out []string) {
	for i, v := range r {
		switch {
		case v.IsNull():
			out = append(out, "")
		case columns[table][i].kind == moment:
			out = append(out, engine.Time(v.Int64()).String())
		case columns[table][i].kind == number:
			out = append(out, fmt.Sprint(v.Int64()))
		default:
			out = append(out, string(v.ByteArray()))
		}
	}
	return out
}

// TestWhatIsRefused: queries that mean nothing, ranges beyond the journal, and a
// reader that has gone.
func TestWhatIsRefused(t *testing.T) {
	decisions, src := history(t)
	last := engine.Seq(len(decisions))
	for _, q := range []Query{
		{Table: "accounts", Format: CSV, Last: last}, {Table: Trades, Format: "xls", Last: last}, {Table: Trades, Format: CSV, First: 9, Last: 8},
		{Table: Trades, Format: CSV, Last: last, From: 2, Until: 1}, {Table: Positions, Format: CSV, First: 2, Last: last}, {Table: Positions, Format: CSV, From: 1, Last: last},
	} {
		if err := Write(t.Context(), new(bytes.Buffer), src, q); !errors.Is(err, ErrQuery) {
			t.Errorf("%+v: %v", q, err)
		}
	}
	if err := Write(t.Context(), new(bytes.Buffer), src, Query{Table: Decisions, Format: CSV, Last: last + 1}); err == nil || errors.Is(err, ErrQuery) {
		t.Errorf("the journal has no decision %d: %v", last+1, err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for table := range columns {
		if err := Write(gone, new(bytes.Buffer), src, Query{Table: table, Format: Parquet, Last: last}); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", table, err)
		}
	}
	empty := lines(t, src, Query{Table: Trades, Last: last, From: decisions[last-1].At + 1})
	if len(empty) != 1 || len(empty[0]) != len(columns[Trades]) {
		t.Errorf("a range without trades has its head alone: %v", empty)
	}
}
