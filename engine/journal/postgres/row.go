package postgres

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
)

const (
	keepBuffer = 1 << 20 // bytes; a larger encoding buffer is dropped after its batch
	// fullBytes and packBytes bound the payload of a row that holds more than one record:
	// one row with its head fills a page of 8 kB, as long as the batch has so much left,
	// or two do, so that the end of a batch leaves less than half a page. What a row costs,
	// of which its place in the index is most, is paid once for some forty decisions.
	fullBytes = 8000
	packBytes = 4000
	// lengthBytes stand before each record of a row that holds more than one, as
	// before each element of an array in PostgreSQL's protocol.
	lengthBytes = 4
)

// The types of array elements in the binary protocol.
const (
	oidBytea = 17
	oidInt8  = 20
	oidInt4  = 23
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errForm: a row whose checksum is right does not hold what it says.
var errForm = errors.New("the records of its row do not fill it")

// row is a row of the table: one record, or several of one batch, each after its
// length.
type row struct {
	seq     uint64 // of the first record
	at      int64
	crc     uint32
	records uint32
	payload []byte
}

// next is the sequence after the last record of the row.
func (r row) next() uint64 { return r.seq + uint64(r.records) }

// sum is the CRC-32C of a row with its place, and with the number of its records if
// there are more than one.
func (r row) sum() uint32 {
	var head [20]byte
	binary.BigEndian.PutUint64(head[:], r.seq)
	binary.BigEndian.PutUint64(head[8:], uint64(r.at))
	binary.BigEndian.PutUint32(head[16:], r.records)
	n := len(head)
	if r.records == 1 {
		n -= 4
	}
	return crc32.Update(crc32.Checksum(head[:n], castagnoli), castagnoli, r.payload)
}

// each calls fn with the payload of each record, and ends with its error.
func (r row) each(fn func([]byte) error) error {
	if r.records == 1 {
		return fn(r.payload)
	}
	rest := r.payload
	for range r.records {
		if len(rest) < lengthBytes {
			return errForm
		}
		n := binary.BigEndian.Uint32(rest)
		if rest = rest[lengthBytes:]; n == 0 || uint64(n) > uint64(len(rest)) {
			return errForm
		}
		if err := fn(rest[:n:n]); err != nil {
			return err
		}
		rest = rest[n:]
	}
	if len(rest) > 0 {
		return errForm
	}
	return nil
}

// fit returns how many of the payloads, at least one, the next row holds. They have
// left bytes with their lengths.
func fit(payloads [][]byte, left int) (n int) {
	room := packBytes
	if left >= fullBytes {
		room = fullBytes
	}
	for ; n < len(payloads); n++ {
		if room -= lengthBytes + len(payloads[n]); room < 0 {
			break
		}
	}
	return max(n, 1)
}

// appendRow appends the payload of a row after its length, as an element of an array.
func appendRow(b []byte, payloads [][]byte) []byte {
	b = binary.BigEndian.AppendUint32(b, 0)
	begin := len(b)
	for _, p := range payloads {
		if len(payloads) > 1 {
			b = binary.BigEndian.AppendUint32(b, uint32(len(p)))
		}
		b = append(b, p...)
	}
	binary.BigEndian.PutUint32(b[begin-lengthBytes:], uint32(len(b)-begin))
	return b
}

// encode makes the parameters of an append, valid until the next one. l.rows are the
// rows then, without their payloads.
func (l *Log) encode(first uint64, at int64, payloads [][]byte) [][]byte {
	be := binary.BigEndian
	b := appendArrayHead(l.buf[:0], oidBytea, 0)
	l.rows = l.rows[:0]
	left := lengthBytes * len(payloads)
	for _, p := range payloads {
		left += len(p)
	}
	for rest := payloads; len(rest) > 0; {
		n := fit(rest, left)
		begin := len(b) + lengthBytes
		b = appendRow(b, rest[:n])
		if left -= len(b) - begin; n == 1 {
			left -= lengthBytes // which one record alone does not have
		}
		r := row{seq: first, at: at, records: uint32(n), payload: b[begin:]}
		r.crc, r.payload = r.sum(), nil
		l.rows, rest, first = append(l.rows, r), rest[n:], r.next()
	}
	n := len(l.rows)
	be.PutUint32(b[arrayCount:], uint32(n))
	ends := [9]int{0: len(b)}
	b = appendArrayHead(b, oidInt8, n)
	for _, r := range l.rows {
		b = be.AppendUint64(be.AppendUint32(b, 8), r.seq)
	}
	ends[1] = len(b)
	b = appendArrayHead(b, oidInt4, n)
	for _, r := range l.rows {
		b = be.AppendUint32(be.AppendUint32(b, 4), r.crc)
	}
	ends[2] = len(b)
	b = appendArrayHead(b, oidInt4, n)
	for _, r := range l.rows {
		b = be.AppendUint32(be.AppendUint32(b, 4), r.records)
	}
	ends[3] = len(b)
	for i, v := range [...]uint64{uint64(l.epoch), l.rows[0].seq, first, uint64(l.cfg.Lease.Microseconds()), uint64(at)} {
		b = be.AppendUint64(b, v)
		ends[4+i] = len(b)
	}
	l.buf = b
	params := make([][]byte, len(ends))
	for i, start := 0, 0; i < len(ends); i++ {
		params[i], start = b[start:ends[i]], ends[i]
	}
	return params
}

// arrayCount is where in the head of an array the number of its elements stands.
const arrayCount = 12

// appendArrayHead begins a one-dimensional array without nulls.
func appendArrayHead(b []byte, oid uint32, n int) []byte {
	for _, word := range [...]uint32{1, 0, oid, uint32(n), 1} {
		b = binary.BigEndian.AppendUint32(b, word)
	}
	return b
}
