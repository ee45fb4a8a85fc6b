package postgres

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/mbp-market/mbp/engine/journal"
)

// Examined is what Examine has read.
type Examined struct {
	Records uint64 // that are whole
	Bytes   int64  // of their payloads
}

// everyRow reads the table once, in order.
const everyRow = `SELECT seq, at, crc, records, payload FROM mbp.record WHERE $1::bigint = 0 OR seq < $1::bigint ORDER BY seq`

// Examine reads every row of the table in a database, as of one moment, and goes on
// behind what does not hold: each row whose checksum or form is another, and each gap
// or overlap, is given to fault with the sequence of the first record that is
// concerned. before ends it, as Log.Next has it; 0: it ends with the lease. It needs no
// Log, so that a table which Follow refuses can be looked at, and changes nothing.
func Examine(ctx context.Context, url string, before uint64, fault func(*journal.CorruptError)) (out Examined, err error) {
	config, err := parse(url, "examine")
	if err != nil {
		return out, fmt.Errorf("examine journal: %w", err)
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return out, fmt.Errorf("examine journal: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	w := &walker{want: 1, fault: fault}
	err = pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		var next int64
		if err := tx.QueryRow(ctx, "SELECT next FROM mbp.lease").Scan(&next); err != nil {
			return err
		}
		if err := w.walk(ctx, tx, before); err != nil {
			return err
		}
		if before != 0 {
			next = int64(before)
		}
		w.end(uint64(next))
		return nil
	})
	if err != nil {
		return w.out, fmt.Errorf("examine journal: %w", err)
	}
	return w.out, nil
}

// walker looks at the rows of a table in order.
type walker struct {
	want  uint64 // sequence that the next row has to begin with; 0: the row before does not say
	bad   row    // that row
	why   string // what is wrong with it
	out   Examined
	fault func(*journal.CorruptError)
}

func (w *walker) walk(ctx context.Context, tx pgx.Tx, before uint64) error {
	const name = "everyRow"
	if _, err := tx.Prepare(ctx, name, everyRow); err != nil {
		return err
	}
	rows := tx.Conn().PgConn().ExecPrepared(ctx, name, [][]byte{int64Param(int64(before))}, binaryFormat, binaryFormat)
	be := binary.BigEndian
	for rows.NextRow() {
		v := rows.Values()
		w.row(row{seq: be.Uint64(v[0]), at: int64(be.Uint64(v[1])), crc: be.Uint32(v[2]), records: be.Uint32(v[3]), payload: v[4]})
	}
	_, err := rows.Close()
	return err
}

func (w *walker) row(r row) {
	w.follows(r.seq)
	why := ""
	switch err := r.each(func([]byte) error { return nil }); {
	case r.sum() != r.crc:
		why = "the checksum of its row is another"
	case err != nil:
		why = err.Error()
	}
	if why != "" {
		w.want, w.bad, w.why = 0, row{seq: r.seq}, why
		return
	}
	w.want = r.next()
	w.out.Records += uint64(r.records)
	w.out.Bytes += int64(len(r.payload))
}

// follows looks at what lies between the last row and a sequence that is there.
func (w *walker) follows(seq uint64) {
	switch {
	case w.want == 0:
		w.tell(w.bad.seq, fmt.Sprintf("%s; decisions %d to %d cannot be read", w.why, w.bad.seq, max(seq, w.bad.seq+1)-1))
	case seq > w.want:
		w.tell(w.want, fmt.Sprintf("decisions %d to %d are not there", w.want, seq-1))
	case seq < w.want:
		w.tell(seq, fmt.Sprintf("a row begins with %d, and the one before it ends with %d", seq, w.want-1))
	}
}

// end looks at what lies between the last row and where the journal goes on.
func (w *walker) end(next uint64) {
	if w.want > next {
		w.tell(next, fmt.Sprintf("the journal goes on with %d, and there are decisions up to %d", next, w.want-1))
		return
	}
	w.follows(next)
}

func (w *walker) tell(seq uint64, why string) {
	w.fault(&journal.CorruptError{Place: "table mbp.record", Offset: int64(seq), Seq: seq, Reason: why})
}
