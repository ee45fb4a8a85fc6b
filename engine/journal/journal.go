// Package journal is the log in which every decision becomes durable before it
// is answered. It promises that a batch which Append accepted survives the death
// of the process and of the machine, whole and in its place; that a batch which
// was not accepted is either there whole or not at all after a restart; and that
// damage in the middle of the log is reported, never skipped. It refuses gaps,
// oversized batches, and everything after a first failure. It knows nothing of
// the market: payloads are opaque bytes.
//
// The rules follow write-ahead logging as ARIES describes it (Mohan et al.,
// 1992) and the lessons about failed fsync calls of Rebello et al. (USENIX ATC
// 2020): a failed sync is never retried.
package journal

import (
	"context"
	"errors"
	"fmt"
)

// Limits of one record and of one batch. They bound the memory of a reader and
// the time of one sync: 8 MiB is about 5 ms on a fast disk.
const (
	MaxRecord       = 1 << 20 // bytes of one payload
	MaxBatchRecords = 4096    // records of one batch
	MaxBatchBytes   = 8 << 20 // bytes of all payloads of one batch
)

// Record is one entry of the log as it is read back. Payload is valid only
// during the callback that receives it.
type Record struct {
	Seq     uint64 // position in the log; the first record is 1
	At      int64  // µs since the Unix epoch, UTC: see Log.Append
	Payload []byte
}

// Log is an append-only sequence of records without gaps. One goroutine appends;
// any number may read beside it.
type Log interface {
	// Append makes payloads durable as one all-or-nothing batch with the
	// sequences first, first+1, … and returns only then. first must equal Next.
	// at is the wall time in µs UTC at which the caller hands over the batch,
	// taken before the sync, so that a lag measured from it is never too small.
	// The log does not keep the payloads. Any error is fail-stop: the batch may
	// or may not be found after a restart, and the log refuses every later
	// Append with ErrFailed.
	Append(first uint64, at int64, payloads [][]byte) error
	// Next returns the sequence that the next record must have: one more than
	// the last durable record, 1 on an empty log.
	Next() uint64
	// First returns the sequence of the oldest record in the log: 1 unless older
	// ones were released; Next if there is none.
	First() uint64
	// Read calls fn for the durable records from sequence from (0 means First) up
	// to the last one at the time of the call, in order. It ends early without
	// error when fn returns ErrStop, and with fn's error for any other. A sequence
	// before First is read in the archive, or ErrArchived without one that reaches so
	// far back; damage found while reading is a *CorruptError.
	Read(from uint64, fn func(Record) error) error
	// Close releases the log. Later calls of Append and Read return ErrClosed.
	Close() error
}

// Shared is a log that several processes follow and one at a time holds. Until Take
// has succeeded Append is ErrLocked, and Next is as of the last look, which Await
// takes.
type Shared interface {
	Log
	// Await returns once the log has grown, or might have, and at the latest when the
	// holder's lease ends: free says that it has. An error of the connection may
	// pass; ErrForked and a *CorruptError do not. One goroutine calls it, before Take.
	Await(ctx context.Context) (free bool, err error)
	// Take makes this process the holder, with Next at the end of the log; ErrLocked
	// while another one is. It is nil if this process holds the log already.
	Take() error
}

// MaxUnderWay bounds the batches that a Pipelined log has under way: what a reader of
// the log may find after a crash although nobody was told of it.
const MaxUnderWay = 4

// Pipelined is a log that takes a batch while the one before is on its way, so that
// it never waits for whoever appends. Append is Send and Settle in one, and is ErrBatch
// while something is under way.
type Pipelined interface {
	Log
	// Send hands over a batch as Append does and returns without waiting for it. It
	// follows the one that was sent last, or Next if none is under way. Batches become
	// durable in their order, and none does after one that was not. Any error is
	// fail-stop for all that is under way. Close gives up what is.
	Send(first uint64, at int64, payloads [][]byte) error
	// Settle returns when the oldest batch under way is durable, and Next counts it. It
	// is called once for each Send that has succeeded, beside Send. After its error the
	// log has failed, and so have all batches under way.
	Settle() error
}

// The errors of a log. Each says what the caller has to do.
var (
	// ErrFailed: an earlier append failed, so what is durable is known only
	// after a restart. Stop, open the log again and fold it.
	ErrFailed = errors.New("journal has failed; open it again and fold it")
	// ErrClosed: the log was closed; open it again.
	ErrClosed = errors.New("journal is closed")
	// ErrLocked: another process holds the log; stop that one first.
	ErrLocked = errors.New("journal is held by another process")
	// ErrBatch: the batch breaks a limit or the order of the log; the caller is
	// broken, stop.
	ErrBatch = errors.New("batch is not acceptable")
	// ErrArchived: records from there on were released, and no archive has them; read
	// a copy of it, or start from a snapshot.
	ErrArchived = errors.New("the journal begins later; what is before it is in the archive")
	// ErrForked: the log lacks what was read from it before, as after the loss of a
	// server whose replica did not have it. Stop, open the log again and fold it from
	// the start.
	ErrForked = errors.New("the journal does not hold what was read from it")
	// ErrStop is returned by the callback of Read to end the reading.
	ErrStop = errors.New("stop reading")
)

// CorruptError reports damage that a crash cannot explain. Nothing is repaired:
// restore the named place from a copy.
type CorruptError struct {
	Place  string // file or table
	Offset int64  // byte offset in the file, or row; where the damage begins
	Seq    uint64 // sequence of the first record that cannot be read
	Reason string
}

// Error names the place, the offset and the sequence.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("journal is damaged: %s at offset %d, sequence %d: %s", e.Place, e.Offset, e.Seq, e.Reason)
}

// CheckBatch returns an error that wraps ErrBatch unless a log whose next
// sequence is next may take the batch. Every implementation calls it first.
func CheckBatch(next, first uint64, payloads [][]byte) error {
	if first != next {
		return fmt.Errorf("%w: it starts at sequence %d, the log continues at %d", ErrBatch, first, next)
	}
	if len(payloads) == 0 || len(payloads) > MaxBatchRecords {
		return fmt.Errorf("%w: %d records, must be 1..%d", ErrBatch, len(payloads), MaxBatchRecords)
	}
	total := 0
	for i, p := range payloads {
		if len(p) == 0 || len(p) > MaxRecord {
			return fmt.Errorf("%w: record %d has %d bytes, must be 1..%d", ErrBatch, first+uint64(i), len(p), MaxRecord)
		}
		total += len(p)
	}
	if total > MaxBatchBytes {
		return fmt.Errorf("%w: %d bytes, must be at most %d", ErrBatch, total, MaxBatchBytes)
	}
	return nil
}
