package postgres

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/mbp-market/mbp/engine/journal"
)

const (
	// firstPage and fullPage are how many rows one query asks for: few for who wants
	// one record, many for who reads everything.
	firstPage = 8
	fullPage  = 1024
	// pageBytes bounds the payloads of a page in memory; a page that is longer is cut.
	pageBytes = journal.MaxBatchBytes
	// readRetry is the time between two attempts to read.
	readRetry = 100 * time.Millisecond
)

// page is a run of rows in memory.
type page struct {
	rows  []row
	bytes []byte // their payloads, one after the other
	ask   int    // how many the next query asks for
}

// selectPage reads a run of the table, from the row that holds a sequence, if there is
// one.
const selectPage = `SELECT seq, at, crc, records, payload FROM mbp.record
WHERE seq >= coalesce((SELECT max(seq) FROM mbp.record WHERE seq <= $1::bigint), $1::bigint) AND seq < $2::bigint
ORDER BY seq LIMIT $3::bigint`

// Read implements journal.Log. It holds no connection while fn works.
func (l *Log) Read(from uint64, fn func(journal.Record) error) error {
	l.mu.RLock()
	first, next, closed := l.first, l.next, l.closed
	l.mu.RUnlock()
	if closed {
		return journal.ErrClosed
	}
	if from == 0 {
		from = first
	}
	if from < first {
		return fmt.Errorf("read from %d: %w", from, journal.ErrArchived)
	}
	p := page{ask: firstPage}
	for from < next {
		if err := l.fetch(&p, from, next); err != nil {
			return fmt.Errorf("read record %d: %w", from, err)
		}
		begin := from
		for _, r := range p.rows {
			var err error
			if from, err = l.hand(r, from, fn); errors.Is(err, journal.ErrStop) {
				return nil
			} else if err != nil {
				return err
			}
		}
		if from == begin {
			return l.corrupt(from, "it is not there")
		}
	}
	return nil
}

// hand gives the records of a row to fn, from a sequence on, and returns the one that
// follows them. A row that ends before it has none.
func (l *Log) hand(r row, from uint64, fn func(journal.Record) error) (uint64, error) {
	switch {
	case r.seq > from:
		return from, l.corrupt(from, fmt.Sprintf("the next row begins with %d", r.seq))
	case r.next() <= from:
		return from, nil
	case r.sum() != r.crc:
		return from, l.corrupt(from, "the checksum of its row is another")
	}
	l.saw(mark{r.seq, r.crc})
	err := r.each(func(payload []byte) error {
		seq := r.seq
		if r.seq++; seq < from {
			return nil
		}
		from = seq + 1
		return fn(journal.Record{Seq: seq, At: r.at, Payload: payload})
	})
	if errors.Is(err, errForm) {
		return from, l.corrupt(from, err.Error())
	}
	return from, err
}

func (l *Log) corrupt(seq uint64, reason string) error {
	if l.isClosed() {
		return journal.ErrClosed
	}
	return &journal.CorruptError{Place: "table mbp.record", Offset: int64(seq), Seq: seq, Reason: reason}
}

// saw remembers the newest row that somebody has got.
func (l *Log) saw(m mark) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if m.seq > l.seen.seq {
		l.seen = m
	}
}

// fetch fills the page with the records from a sequence on. A database that is away
// for a while, because a replica of it is promoted, is waited for: readers are many,
// and each would have to.
func (l *Log) fetch(p *page, from, next uint64) error {
	for end := time.Now().Add(l.cfg.Patience); ; {
		err := l.fetchOnce(p, from, next)
		if err == nil || errors.Is(err, journal.ErrClosed) || time.Now().After(end) {
			return err
		}
		select {
		case <-l.ended:
			return journal.ErrClosed
		case <-time.After(readRetry):
		}
	}
}

func (l *Log) fetchOnce(p *page, from, next uint64) error {
	ctx, cancel := context.WithTimeout(context.Background(), lookTime)
	defer cancel()
	conn, err := l.pool.Acquire(ctx)
	if err != nil {
		if l.isClosed() {
			return journal.ErrClosed
		}
		return err
	}
	defer conn.Release()
	return p.query(ctx, conn, from, next)
}

func (p *page) query(ctx context.Context, conn *pgxpool.Conn, from, next uint64) error {
	if _, err := conn.Conn().Prepare(ctx, "page", selectPage); err != nil {
		return err
	}
	p.rows, p.bytes = p.rows[:0], p.bytes[:0]
	rows := conn.Conn().PgConn().ExecPrepared(ctx, "page", [][]byte{int64Param(int64(from)), int64Param(int64(next)), int64Param(int64(p.ask))}, binaryFormat, binaryFormat)
	var ends []int
	be, cut := binary.BigEndian, false
	for rows.NextRow() {
		v := rows.Values()
		if cut = cut || len(p.bytes)+len(v[4]) > pageBytes && len(p.rows) > 0; cut {
			continue // the rest is asked for again
		}
		p.rows = append(p.rows, row{seq: be.Uint64(v[0]), at: int64(be.Uint64(v[1])), crc: be.Uint32(v[2]), records: be.Uint32(v[3])})
		p.bytes = append(p.bytes, v[4]...)
		ends = append(ends, len(p.bytes))
	}
	if _, err := rows.Close(); err != nil {
		return err
	}
	start := 0
	for i, end := range ends {
		p.rows[i].payload = p.bytes[start:end:end]
		start = end
	}
	if p.ask = min(4*p.ask, fullPage); cut {
		p.ask = max(1, len(p.rows)/2)
	}
	return nil
}
