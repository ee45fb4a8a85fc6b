package postgres

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/mbp-market/mbp/engine/journal"
)

const (
	keepBuffer = 1 << 20 // bytes; a larger encoding buffer is dropped after its batch
	// firstPage and fullPage are how many records one query asks for: few for who
	// wants one, many for who reads everything.
	firstPage = 64
	fullPage  = 4096
	// pageBytes bounds the payloads of a page in memory; a page that is longer is cut.
	pageBytes = journal.MaxBatchBytes
	// readRetry is the time between two attempts to read.
	readRetry = 100 * time.Millisecond
)

// The types of array elements in the binary protocol.
const (
	oidBytea = 17
	oidInt4  = 23
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum is the CRC-32C of a record with its place.
func checksum(seq uint64, at int64, payload []byte) uint32 {
	var head [16]byte
	binary.BigEndian.PutUint64(head[:8], seq)
	binary.BigEndian.PutUint64(head[8:], uint64(at))
	return crc32.Update(crc32.Checksum(head[:], castagnoli), castagnoli, payload)
}

// encode makes the parameters of an append, valid until the next one, and returns
// the checksum of the last record. Two arrays carry the batch: checksums and
// payloads.
func (l *Log) encode(first uint64, at int64, payloads [][]byte) (params [][]byte, last uint32) {
	be := binary.BigEndian
	b := be.AppendUint64(l.buf[:0], uint64(l.epoch))
	b = be.AppendUint64(b, first)
	b = be.AppendUint64(b, uint64(l.cfg.Lease.Microseconds()))
	b = be.AppendUint64(b, uint64(at))
	b = be.AppendUint64(b, uint64(len(payloads)))
	b = appendArrayHead(b, oidInt4, len(payloads))
	for i, p := range payloads {
		last = checksum(first+uint64(i), at, p)
		b = be.AppendUint32(b, 4)
		b = be.AppendUint32(b, last)
	}
	split := len(b)
	b = appendArrayHead(b, oidBytea, len(payloads))
	for _, p := range payloads {
		b = be.AppendUint32(b, uint32(len(p)))
		b = append(b, p...)
	}
	l.buf = b
	return [][]byte{b[0:8], b[8:16], b[16:24], b[24:32], b[40:split], b[split:], b[32:40]}, last
}

// appendArrayHead begins a one-dimensional array without nulls.
func appendArrayHead(b []byte, oid uint32, n int) []byte {
	for _, word := range [...]uint32{1, 0, oid, uint32(n), 1} {
		b = binary.BigEndian.AppendUint32(b, word)
	}
	return b
}

// page is a run of records in memory.
type page struct {
	records []journal.Record
	crcs    []uint32
	bytes   []byte // their payloads, one after the other
	ask     int    // how many the next query asks for
}

// selectPage reads a run of the table.
const selectPage = "SELECT seq, at, crc, payload FROM mbp.record WHERE seq >= $1::bigint AND seq < $2::bigint ORDER BY seq LIMIT $3::bigint"

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
		for i, r := range p.records {
			if r.Seq != from {
				return l.corrupt(from, fmt.Sprintf("the next row is %d", r.Seq))
			}
			if checksum(r.Seq, r.At, r.Payload) != p.crcs[i] {
				return l.corrupt(from, "its checksum is another")
			}
			l.saw(mark{r.Seq, p.crcs[i]})
			if err := fn(r); errors.Is(err, journal.ErrStop) {
				return nil
			} else if err != nil {
				return err
			}
			from++
		}
		if len(p.records) == 0 {
			return l.corrupt(from, "it is not there")
		}
	}
	return nil
}

func (l *Log) corrupt(seq uint64, reason string) error {
	if l.isClosed() {
		return journal.ErrClosed
	}
	return &journal.CorruptError{Place: "table mbp.record", Offset: int64(seq), Seq: seq, Reason: reason}
}

// saw remembers the newest record that somebody has got.
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
	p.records, p.crcs, p.bytes = p.records[:0], p.crcs[:0], p.bytes[:0]
	rows := conn.Conn().PgConn().ExecPrepared(ctx, "page", [][]byte{int64Param(int64(from)), int64Param(int64(next)), int64Param(int64(p.ask))}, binaryFormat, binaryFormat)
	var ends []int
	cut := false
	for rows.NextRow() {
		v := rows.Values()
		if cut = cut || len(p.bytes)+len(v[3]) > pageBytes && len(p.records) > 0; cut {
			continue // the rest is asked for again
		}
		p.records = append(p.records, journal.Record{Seq: binary.BigEndian.Uint64(v[0]), At: int64(binary.BigEndian.Uint64(v[1]))})
		p.crcs = append(p.crcs, binary.BigEndian.Uint32(v[2]))
		p.bytes = append(p.bytes, v[3]...)
		ends = append(ends, len(p.bytes))
	}
	if _, err := rows.Close(); err != nil {
		return err
	}
	start := 0
	for i, end := range ends {
		p.records[i].Payload = p.bytes[start:end:end]
		start = end
	}
	if p.ask = min(4*p.ask, fullPage); cut {
		p.ask = max(1, len(p.records)/2)
	}
	return nil
}
