// Package replay folds a journal again from its first record, and decides it
// again: the audit that needs nothing but the log.
//
// It promises: every record is looked at, in order and without gaps; the ledger
// and every invariant hold at the end; and, if it shall verify, each command that
// this binary decides by the rules of its time gives the same bytes as then, no
// deadline was passed over, and the state that decided is the state that folded.
// The first record that does not hold is named by its sequence.
//
// It refuses to repair, to skip, and to write anything. What it cannot see is
// said, too: requests that would have been decided equally, such as a last record
// that is gone, show in Report.Records alone, which is compared with that of a
// copy. It follows the idea of deterministic replay of state machine replication
// (Schneider, ACM Computing Surveys 1990).
package replay

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/journal"
)

// Source is where the records come from; every journal.Log is one. It keeps the
// rules of journal.Log for both methods.
type Source interface {
	Next() uint64
	Read(from uint64, fn func(journal.Record) error) error
}

// Options say how much is done.
type Options struct {
	Verify   bool                     // decide every command again
	Want     engine.Digest            // what Report.Records must be; zero: nothing is known
	Progress func(done, total uint64) // called after each ProgressEvery records; may be nil
	// Hashes has sequences, and gets the hash of the folded state after each of them that
	// is reached; may be nil.
	Hashes map[engine.Seq]engine.Digest
	// See is called with each decision, in order, once it is folded; it keeps nothing of
	// it. It may be nil.
	See func(d *engine.Decision)
}

// ProgressEvery is how many records lie between two calls of Options.Progress.
const ProgressEvery = 1_000_000

// Report says what was found.
type Report struct {
	Decisions  uint64        `json:"decisions"`
	Verified   uint64        `json:"verified"`    // decided again, with the same bytes
	FoldedOnly uint64        `json:"folded_only"` // of a version of the rules that this binary does not decide by
	Version    uint32        `json:"engine_version"`
	Last       engine.Time   `json:"last_decided_at"`
	State      engine.Digest `json:"state_hash"`
	Records    engine.Digest `json:"records_sha256"` // of all records: sequence and length as eight bytes each, then the payload
}

// Fault is the first record that does not hold.
type Fault struct {
	Seq    engine.Seq
	Reason error
}

// Error names the sequence and the reason.
func (f *Fault) Error() string { return fmt.Sprintf("sequence %d: %v", f.Seq, f.Reason) }

// Unwrap returns the reason.
func (f *Fault) Unwrap() error { return f.Reason }

const (
	// batchRecords are handed over at once from who reads to who folds.
	batchRecords = 256
	// aheadBatches bounds what is read and not folded: a few megabytes.
	aheadBatches = 8
)

// batch is a part of the journal on its way to the fold.
type batch struct {
	decisions []*engine.Decision
	payloads  []byte // one behind the other, if they shall be decided again
	ends      []int  // of each payload
}

// Run replays the records of a source. The error is a *Fault for a record that
// does not hold, ctx's error if that ended first, and otherwise that of the
// source or of what has to hold at the end.
//
// Reading, decoding and hashing records run ahead of folding them, in a goroutine
// that ends before Run does.
func Run(ctx context.Context, from Source, o Options) (Report, error) {
	r := &replayer{folded: core.New(), total: from.Next() - 1, options: o}
	read := &reader{ctx: ctx, copies: o.Verify, sum: sha256.New(), full: make(chan *batch, aheadBatches), quit: make(chan struct{})}
	if o.Verify {
		r.again = core.New()
	}
	var failed error
	go func() {
		defer close(read.full)
		failed = read.all(from)
	}()
	var err error
	for b := range read.full {
		if err == nil {
			if err = r.batch(b); err != nil {
				close(read.quit)
			}
		}
	}
	if err == nil { // else what the reader met lies behind it
		err = failed
	}
	if err != nil {
		return Report{}, err
	}
	read.sum.Sum(r.out.Records[:0])
	return r.result()
}

// reader reads, decodes and hashes the records.
type reader struct {
	ctx    context.Context //nolint:containedctx // of one call, which the callback of Read cannot pass on
	copies bool            // of the payloads
	read   uint64
	sum    hash.Hash // of all records that were read
	b      *batch
	full   chan *batch
	quit   chan struct{} // closed when nobody folds any more
}

func (r *reader) all(from Source) error {
	r.b = &batch{}
	err := from.Read(1, r.record)
	if len(r.b.decisions) != 0 { // what came before an error may be at fault itself
		if sent := r.send(); err == nil {
			err = sent
		}
	}
	return err
}

func (r *reader) send() error {
	select {
	case r.full <- r.b:
		r.b = &batch{decisions: make([]*engine.Decision, 0, batchRecords)}
		return nil
	case <-r.quit:
		return errors.New("nobody folds")
	}
}

func (r *reader) record(rec journal.Record) error {
	if err := r.ctx.Err(); err != nil {
		return fmt.Errorf("stopped before sequence %d: %w", rec.Seq, err)
	}
	if want := r.read + 1; rec.Seq > want {
		return &Fault{engine.Seq(want), fmt.Errorf("the record is missing: %d follows %d", rec.Seq, want-1)}
	} else if rec.Seq < want {
		return &Fault{engine.Seq(rec.Seq), fmt.Errorf("one record too many: %d follows %d", rec.Seq, want-1)}
	}
	d, err := engine.Decode(engine.Seq(rec.Seq), rec.Payload)
	if err != nil {
		return &Fault{engine.Seq(rec.Seq), err}
	}
	r.read++
	var head [16]byte
	binary.BigEndian.PutUint64(head[:8], rec.Seq)
	binary.BigEndian.PutUint64(head[8:], uint64(len(rec.Payload)))
	r.sum.Write(head[:])
	r.sum.Write(rec.Payload)
	b := r.b
	if r.copies {
		b.payloads = append(b.payloads, rec.Payload...)
		b.ends = append(b.ends, len(b.payloads))
	}
	if b.decisions = append(b.decisions, d); len(b.decisions) == batchRecords {
		return r.send()
	}
	return nil
}

// replayer is one run.
type replayer struct {
	options Options
	total   uint64
	folded  *core.State
	again   *core.State // nil: fold only
	d       engine.Decision
	buf     []byte
	out     Report
}

// batch decides records again, if it shall, and folds them.
func (r *replayer) batch(b *batch) error {
	remembered, begin := 0, 0
	for i, d := range b.decisions {
		if i%core.Together == 0 {
			r.ahead(b.decisions[i:min(i+core.Together, len(b.decisions))])
		}
		if r.again != nil {
			payload := b.payloads[begin:b.ends[i]]
			begin = b.ends[i]
			if err := r.decide(d, payload); err != nil {
				return &Fault{d.Seq, err}
			}
		}
		if err := r.folded.Change(d); err != nil {
			return &Fault{d.Seq, err}
		}
		if r.options.See != nil {
			r.options.See(d)
		}
		if r.out.Decisions++; r.out.Decisions%ProgressEvery == 0 && r.options.Progress != nil {
			r.options.Progress(r.out.Decisions, r.total)
		}
		if _, wanted := r.options.Hashes[d.Seq]; wanted {
			r.folded.Remember(b.decisions[remembered : i+1])
			remembered = i + 1
			r.options.Hashes[d.Seq] = r.folded.Hash()
		}
	}
	r.folded.Remember(b.decisions[remembered:])
	return nil
}

func (r *replayer) ahead(ds []*engine.Decision) {
	r.folded.Ahead(ds)
	if r.again != nil {
		r.again.Ahead(ds)
	}
}

// decide decides again what d decided, which must give the same bytes. What other
// rules decided is folded instead.
func (r *replayer) decide(d *engine.Decision, payload []byte) error {
	if !decides(r.again, d) {
		r.out.FoldedOnly++
		return r.again.Evolve(d)
	}
	if _, late := r.again.Due(d.At).(*engine.Tick); late && d.Command.Type() != (&engine.Tick{}).Type() {
		return fmt.Errorf("a deadline had come before %s, and no tick was decided", d.Command.Type())
	}
	if err := r.again.Step(d.Request, &r.d); err != nil {
		return err
	}
	if r.buf = r.d.Append(r.buf[:0]); !bytes.Equal(r.buf, payload) {
		return fmt.Errorf("%s was decided otherwise: %s", d.Command.Type(), difference(d, &r.d))
	}
	r.out.Verified++
	return nil
}

// decides reports whether this binary decides by the rules that decided d. The
// upgrade to rules that it does not know is theirs already.
func decides(s *core.State, d *engine.Decision) bool {
	if u, is := d.Command.(*engine.UpgradeEngine); is && u.Version > engine.Version && d.Code == engine.OK {
		return false
	}
	return s.Version() <= engine.Version
}

// difference says where two decisions on one request part.
func difference(was, is *engine.Decision) string {
	switch {
	case was.Code != is.Code:
		return fmt.Sprintf("it was %s, now it is %s", was.Code, is.Code)
	case was.Detail != is.Detail:
		return fmt.Sprintf("its detail was %q, now it is %q", was.Detail, is.Detail)
	case len(was.Events) != len(is.Events):
		return fmt.Sprintf("it had %d events, now it has %d", len(was.Events), len(is.Events))
	}
	for i, e := range was.Events {
		switch now := is.Events[i]; {
		case e.Type() != now.Type():
			return fmt.Sprintf("event %d was %s, now it is %s", i+1, e.Type(), now.Type())
		case !bytes.Equal(engine.Canonical(e), engine.Canonical(now)):
			return fmt.Sprintf("event %d, %s, has other content now", i+1, e.Type())
		}
	}
	return "the same, in other bytes" // a result of a batch, or a form that no encoder writes
}

// result looks at the states at the end.
func (r *replayer) result() (Report, error) {
	if err := r.folded.Check(); err != nil {
		return Report{}, fmt.Errorf("the state at the end: %w", err)
	}
	r.out.State, r.out.Last, r.out.Version = r.folded.Hash(), r.folded.At(), r.folded.Version()
	switch {
	case r.again != nil && r.again.Hash() != r.out.State:
		return Report{}, fmt.Errorf("the state that decided again has hash %s, the folded one %s", r.again.Hash(), r.out.State)
	case r.options.Want != (engine.Digest{}) && r.options.Want != r.out.Records:
		return Report{}, fmt.Errorf("these are %d other records: they have %s, not %s", r.out.Decisions, r.out.Records, r.options.Want)
	}
	return r.out, nil
}
