// Package audit proves what the journal holds: every record is a leaf of an RFC
// 6962 Merkle tree, whose root is signed every few seconds.
//
// It promises: who holds a signed checkpoint and the verifier key can check,
// offline and without trusting the server, that a record is in the log at its
// place (Inclusion), and that a later log continues the one that was signed
// (Consistency); the same records give the same tree, whichever journal stores
// them; hashing follows the journal and is never waited for; and a log that ends
// before a signed checkpoint, or differs from one near its end, is not opened.
//
// It refuses to sign a tree that does not continue the last one it signed, and to
// hand out a proof that does not hold. It cannot see what was lost after the last
// checkpoint, and it trusts whoever holds the private key: that a log is not
// re-written together with its checkpoints is known only to who keeps one of them
// elsewhere.
//
// Trees and proofs follow RFC 6962, their storage Crosby and Wallach (USENIX
// Security 2009, 3.3) as in golang.org/x/mod/sumdb/tlog; checkpoints are signed
// notes (golang.org/x/mod/sumdb/note) in the form of C2SP tlog-checkpoint.
// docs/spec/audit.md has every byte.
package audit

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/mbp-market/mbp/engine/journal"
)

// Records is the part of journal.Log that is needed; its methods may be called
// while another goroutine appends.
type Records interface {
	First() uint64
	Next() uint64
	Read(from uint64, fn func(journal.Record) error) error
}

// The errors that say what the caller has to do.
var (
	// ErrLost: the journal is not the one that was signed. Bring back the journal
	// from a copy; or move the audit folder aside, which begins a new tree under a
	// new name and leaves the old checkpoints as the proof of what was lost.
	ErrLost = errors.New("the journal does not hold what a checkpoint has signed")
	// ErrNotCovered: no checkpoint covers the record yet; ask again later.
	ErrNotCovered = errors.New("no checkpoint covers it yet")
	// ErrArchived: the record is not in the journal any more; prove it where the
	// archive and a copy of the tree are.
	ErrArchived = journal.ErrArchived
	// ErrRange: the sizes to prove growth between are no range.
	ErrRange = errors.New("from must be at least 1, and at most to")
	// ErrInvalid: a proof, checkpoint or key is not what it says it is.
	ErrInvalid = errors.New("it does not hold")
)

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
}

// appendLeaf appends what the hash of a record's leaf is taken over: the zero byte
// of RFC 6962, the sequence as eight bytes, big-endian, and the payload.
//
// The sequence binds the record to its place even for who does not check the
// index. The time at which a batch was handed to the journal (Record.At) is left
// out: it measures the storage, and a copy into another journal, a restore or a
// takeover may set it anew. The time of the decision is in the payload. Batches,
// check values and segments are the storage's own, too.
func appendLeaf(b []byte, seq uint64, payload []byte) []byte {
	return append(binary.BigEndian.AppendUint64(append(b, 0), seq), payload...)
}

// leafHash hashes what appendLeaf gave: tlog.RecordHash without its allocation.
func leafHash(leaf []byte) tlog.Hash { return sha256.Sum256(leaf) }

// LeafHash returns the hash of a record's leaf: SHA-256 over a zero byte, the
// sequence as eight bytes, big-endian, and the payload.
func LeafHash(seq uint64, payload []byte) tlog.Hash {
	return leafHash(appendLeaf(make([]byte, 0, leafHead+len(payload)), seq, payload))
}

// leafHead is the bytes of a leaf before its payload.
const leafHead = 1 + 8

// levels is more than any tree has: records are counted in 63 bits.
const levels = 64

// frontier is the right edge of a tree: the roots of its full subtrees, one for
// each bit of its size. It is all that is needed to grow.
type frontier struct {
	size uint64
	at   [levels]tlog.Hash // by level; valid where size has the bit
}

// add appends the leaf of the next record, and to out the hashes that it
// completes, in the order of tlog.StoredHashIndex.
func (f *frontier) add(leaf tlog.Hash, out []tlog.Hash) []tlog.Hash {
	out = append(out, leaf)
	level := 0
	for ; f.size>>level&1 == 1; level++ {
		leaf = tlog.NodeHash(f.at[level], leaf)
		out = append(out, leaf)
	}
	f.at[level] = leaf
	f.size++
	return out
}

// root returns the root of the tree, which must not be empty.
func (f *frontier) root() (root tlog.Hash) {
	started := false
	for level := range levels {
		if f.size>>level&1 == 0 {
			continue
		}
		if !started {
			root, started = f.at[level], true
			continue
		}
		root = tlog.NodeHash(f.at[level], root)
	}
	return root
}

// loadFrontier reads the edge of the tree of a size.
func loadFrontier(size uint64, from tlog.HashReader) (frontier, error) {
	f := frontier{size: size}
	var at []int
	var indexes []int64
	for level := range levels {
		if size>>level&1 == 1 {
			at = append(at, level)
			indexes = append(indexes, tlog.StoredHashIndex(level, int64(size>>level)-1))
		}
	}
	hashes, err := from.ReadHashes(indexes)
	if err != nil {
		return f, err
	}
	for i, level := range at {
		f.at[level] = hashes[i]
	}
	return f, nil
}
