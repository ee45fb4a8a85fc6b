package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/mbp-market/mbp/engine/journal"
)

// MaxProof bounds the bytes of a proof as a file: the largest record in base64,
// and a few kilobytes of hashes.
const MaxProof = 2 << 20

// Inclusion proves that a record is in the log at its place. It needs nothing but
// the verifier key to be checked.
type Inclusion struct {
	Seq        uint64      `json:"seq"`
	Record     []byte      `json:"record"` // the payload in the journal
	Leaf       tlog.Hash   `json:"leaf_hash"`
	Proof      []tlog.Hash `json:"proof"`      // from the leaf's sibling up
	Checkpoint string      `json:"checkpoint"` // signed note
}

// Growth proves that the tree of To records continues that of From records.
type Growth struct {
	Seq   uint64      `json:"seq"` // To, as every answer of the API has one
	From  uint64      `json:"from"`
	To    uint64      `json:"to"`
	Proof []tlog.Hash `json:"proof"`
}

// Consistency proves that the log of one checkpoint continues that of another.
type Consistency struct {
	Old   string      `json:"old_checkpoint"` // signed note
	New   string      `json:"new_checkpoint"` // signed note
	Proof []tlog.Hash `json:"proof"`
}

// Marshal writes a proof as its file has it.
func Marshal[T Inclusion | Consistency](proof *T) ([]byte, error) {
	b, err := json.Marshal(proof)
	return append(b, '\n'), err
}

// Unmarshal reads exactly what Marshal writes, so that no byte of a proof can be
// changed without notice.
func Unmarshal[T Inclusion | Consistency](b []byte) (*T, error) {
	if len(b) > MaxProof {
		return nil, invalid("a proof of %d bytes", len(b))
	}
	proof := new(T)
	if err := json.Unmarshal(b, proof); err != nil {
		return nil, invalid("proof: %v", err)
	}
	again, err := Marshal(proof)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(again, b) {
		return nil, invalid("the proof is not in its canonical form")
	}
	return proof, nil
}

// Verify checks the proof and returns the checkpoint that it leads to.
func (p *Inclusion) Verify(v Verifier) (Checkpoint, error) {
	c, err := v.Open([]byte(p.Checkpoint))
	if err != nil {
		return c, err
	}
	return c, p.under(c)
}

// under checks everything but the signature.
func (p *Inclusion) under(c Checkpoint) error {
	if p.Seq == 0 || p.Seq > c.Size {
		return invalid("record %d is not among the %d of the checkpoint", p.Seq, c.Size)
	}
	if p.Leaf != LeafHash(p.Seq, p.Record) {
		return invalid("the leaf hash is not that of the record")
	}
	if err := tlog.CheckRecord(p.Proof, int64(c.Size), c.Root, int64(p.Seq)-1, p.Leaf); err != nil {
		return invalid("record %d is not in the log: %v", p.Seq, err)
	}
	return nil
}

// Verify checks the proof and returns both checkpoints.
func (p *Consistency) Verify(v Verifier) (was, is Checkpoint, err error) {
	if was, err = v.Open([]byte(p.Old)); err != nil {
		return was, is, fmt.Errorf("old: %w", err)
	}
	if is, err = v.Open([]byte(p.New)); err != nil {
		return was, is, fmt.Errorf("new: %w", err)
	}
	g := Growth{From: was.Size, To: is.Size, Proof: p.Proof}
	return was, is, g.Between(was.Root, is.Root)
}

// Between checks that the proof leads from one root to the other.
func (g *Growth) Between(was, is tlog.Hash) error {
	if g.From == 0 || g.From > g.To {
		return invalid("a log of %d records cannot continue one of %d", g.To, g.From)
	}
	if err := tlog.CheckTree(g.Proof, int64(g.To), is, int64(g.From), was); err != nil {
		return invalid("the log of %d records does not continue that of %d: %v", g.To, g.From, err)
	}
	return nil
}

// prove makes the proof of a record under a checkpoint.
func prove(seq uint64, c Signed, hashes tlog.HashReader, log Records) (*Inclusion, error) {
	if seq == 0 || seq > c.Size {
		return nil, fmt.Errorf("prove record %d: %w; the newest ends at %d", seq, ErrNotCovered, c.Size)
	}
	p := &Inclusion{Seq: seq, Checkpoint: string(c.Note)}
	err := log.Read(seq, func(r journal.Record) error {
		if r.Seq == seq {
			p.Record = bytes.Clone(r.Payload)
		}
		return journal.ErrStop
	})
	if err == nil && p.Record == nil {
		err = errors.New("the journal does not have it")
	}
	if err != nil {
		return nil, fmt.Errorf("prove record %d: %w", seq, err)
	}
	p.Leaf = LeafHash(seq, p.Record)
	proof, err := tlog.ProveRecord(int64(c.Size), int64(seq)-1, hashes)
	if err != nil {
		return nil, fmt.Errorf("prove record %d: %w", seq, err)
	}
	p.Proof = append([]tlog.Hash{}, proof...) // of a single record it is empty, which null is not
	if err := p.under(c.Checkpoint); err != nil {
		return nil, fmt.Errorf("prove record %d: journal, tree and checkpoint disagree: %w", seq, err)
	}
	return p, nil
}

// grow makes the proof between two sizes, of which the larger is covered.
func grow(from, to uint64, c Signed, hashes tlog.HashReader) (*Growth, error) {
	if from == 0 || from > to {
		return nil, fmt.Errorf("prove growth from %d to %d: %w", from, to, ErrRange)
	}
	if to > c.Size {
		return nil, fmt.Errorf("prove growth to %d: %w; the newest ends at %d", to, ErrNotCovered, c.Size)
	}
	proof, err := tlog.ProveTree(int64(to), int64(from), hashes)
	if err != nil {
		return nil, fmt.Errorf("prove growth to %d: %w", to, err)
	}
	g := &Growth{Seq: to, From: from, To: to, Proof: append([]tlog.Hash{}, proof...)} // of equal sizes it is empty
	roots := [2]tlog.Hash{}
	for i, size := range []uint64{from, to} {
		if roots[i], err = tlog.TreeHash(int64(size), hashes); err != nil {
			return nil, fmt.Errorf("prove growth to %d: %w", to, err)
		}
	}
	if err = g.Between(roots[0], roots[1]); err == nil && to == c.Size && roots[1] != c.Root {
		err = invalid("the root is not the one that was signed")
	}
	if err != nil {
		return nil, fmt.Errorf("prove growth to %d: tree and checkpoint disagree: %w", to, err)
	}
	return g, nil
}
