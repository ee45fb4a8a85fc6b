package file

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/mbp-market/mbp/engine/journal"
)

// A batch is one frame, little-endian, at an offset that is a multiple of 8:
//
//	 0  magic  u32
//	 4  size   u32   bytes of the frame with its padding
//	 8  count  u32   records, at least 1
//	12  check  u32   CRC-32C over segment id, salt, this header with check = 0, table
//	16  first  u64   sequence of the first record
//	24  at     i64   µs UTC
//	32  table  count × {length u32, CRC-32C u32 over segment id, salt, sequence, payload}
//	    payloads one after the other, then up to 7 bytes of padding
//
// Every byte but the padding is under a check value, and each check value is
// salted with the segment's id and its random salt, and with the sequence: an
// intact frame of another place, or of an earlier life of the same disk blocks,
// does not pass.
const (
	frameMagic  = 0x4642424d // "MBBF"
	frameHeader = 32
	tableEntry  = 8
	alignment   = 8
	maxFrame    = frameHeader + journal.MaxBatchRecords*tableEntry + journal.MaxBatchBytes + alignment
)

// crcTable is read-only.
var crcTable = crc32.MakeTable(crc32.Castagnoli)

// errNoFrame is wrapped by every reason why bytes are not a frame.
var errNoFrame = errors.New("no intact batch")

// frame is a decoded view into a buffer.
type frame struct {
	size  int // bytes with padding
	count int
	first uint64
	at    int64
	table []byte // count × tableEntry
	body  []byte // the payloads, possibly cut short if only the head was read
}

// frameSize returns the bytes of a frame with n records of total payload bytes.
func frameSize(n, total int) int {
	return align(frameHeader + n*tableEntry + total)
}

func align(n int) int { return (n + alignment - 1) &^ (alignment - 1) }

// saltCRC returns the start value of the check values of a segment.
func saltCRC(id, salt uint64) uint32 {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[0:], id)
	binary.LittleEndian.PutUint64(b[8:], salt)
	return crc32.Checksum(b[:], crcTable)
}

func recordCRC(base uint32, seq uint64, payload []byte) uint32 {
	crc := ^base
	for range 8 { // as crc32.Update of the 8 bytes, for which they would have to be on the heap
		crc, seq = crcTable[byte(crc)^byte(seq)]^crc>>8, seq>>8
	}
	return crc32.Update(^crc, crcTable, payload)
}

// headCRC covers header and table; head must have its check field zeroed.
func headCRC(base uint32, head []byte) uint32 { return crc32.Update(base, crcTable, head) }

// appendFrame appends the frame of a batch that CheckBatch has accepted.
func appendFrame(b []byte, base uint32, first uint64, at int64, payloads [][]byte) []byte {
	start, total := len(b), 0
	for _, p := range payloads {
		total += len(p)
	}
	size := frameSize(len(payloads), total)
	b = binary.LittleEndian.AppendUint32(b, frameMagic)
	b = binary.LittleEndian.AppendUint32(b, uint32(size))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(payloads)))
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint64(b, first)
	b = binary.LittleEndian.AppendUint64(b, uint64(at))
	for i, p := range payloads {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(p)))
		b = binary.LittleEndian.AppendUint32(b, recordCRC(base, first+uint64(i), p))
	}
	binary.LittleEndian.PutUint32(b[start+12:], headCRC(base, b[start:]))
	for _, p := range payloads {
		b = append(b, p...)
	}
	for len(b)-start < size {
		b = append(b, 0)
	}
	return b
}

// frameExtent reads size and count of a frame from its first frameHeader bytes
// without checking them against any check value; room is how many bytes of the
// segment are left.
func frameExtent(b []byte, room int64) (size, count int, err error) {
	if len(b) < frameHeader || binary.LittleEndian.Uint32(b) != frameMagic {
		return 0, 0, fmt.Errorf("%w: no magic", errNoFrame)
	}
	size64, count64 := int64(binary.LittleEndian.Uint32(b[4:])), int64(binary.LittleEndian.Uint32(b[8:]))
	if size64 > maxFrame || size64 > room || size64%alignment != 0 {
		return 0, 0, fmt.Errorf("%w: size %d", errNoFrame, size64)
	}
	if count64 < 1 || count64 > journal.MaxBatchRecords || frameHeader+count64*tableEntry >= size64 {
		return 0, 0, fmt.Errorf("%w: %d records", errNoFrame, count64)
	}
	return int(size64), int(count64), nil
}

// decodeHead decodes and checks header and table. b holds at least these; what
// follows them becomes body.
func decodeHead(b []byte, base uint32, room int64) (frame, error) {
	size, count, err := frameExtent(b, room)
	if err != nil {
		return frame{}, err
	}
	head := frameHeader + count*tableEntry
	if len(b) < head {
		return frame{}, fmt.Errorf("%w: head is cut", errNoFrame)
	}
	var zero [4]byte
	crc := headCRC(base, b[:12])
	crc = crc32.Update(crc, crcTable, zero[:])
	crc = crc32.Update(crc, crcTable, b[16:head])
	if crc != binary.LittleEndian.Uint32(b[12:]) {
		return frame{}, fmt.Errorf("%w: check value of the head differs", errNoFrame)
	}
	f := frame{
		size: size, count: count, table: b[frameHeader:head],
		first: binary.LittleEndian.Uint64(b[16:]), at: int64(binary.LittleEndian.Uint64(b[24:])),
	}
	total := 0
	for i := range count {
		n := f.length(i)
		if n == 0 || n > journal.MaxRecord {
			return frame{}, fmt.Errorf("%w: record of %d bytes", errNoFrame, n)
		}
		total += n
	}
	if frameSize(count, total) != size {
		return frame{}, fmt.Errorf("%w: size %d does not fit its records", errNoFrame, size)
	}
	f.body = b[head:min(len(b), head+total)]
	return f, nil
}

// decodeFrame decodes and checks a whole frame at the start of b.
func decodeFrame(b []byte, base uint32) (frame, error) {
	f, err := decodeHead(b, base, int64(len(b)))
	if err != nil {
		return f, err
	}
	err = f.each(base, 0, func(journal.Record) error { return nil })
	return f, err
}

func (f frame) length(i int) int {
	return int(binary.LittleEndian.Uint32(f.table[i*tableEntry:]))
}

// end returns the sequence after the last record of the frame.
func (f frame) end() uint64 { return f.first + uint64(f.count) }

// each checks the records from index from on and hands them to fn.
func (f frame) each(base uint32, from int, fn func(journal.Record) error) error {
	off := 0
	for i := range f.count {
		n := f.length(i)
		if i >= from {
			if off+n > len(f.body) {
				return fmt.Errorf("%w: record %d is cut", errNoFrame, i)
			}
			r := journal.Record{Seq: f.first + uint64(i), At: f.at, Payload: f.body[off : off+n : off+n]}
			if recordCRC(base, r.Seq, r.Payload) != binary.LittleEndian.Uint32(f.table[i*tableEntry+4:]) {
				return fmt.Errorf("%w: check value of record %d differs", errNoFrame, i)
			}
			if err := fn(r); err != nil {
				return err
			}
		}
		off += n
	}
	return nil
}
