package offline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/mbp-market/mbp/cmd/mbp/backup"
	"github.com/mbp-market/mbp/cmd/mbp/notary"
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/audit"
	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/journal/file"
	"github.com/mbp-market/mbp/engine/replay"
	"github.com/mbp-market/mbp/engine/snapshot"
)

// journalFound is what checkJournal says.
type journalFound struct {
	First    uint64 `json:"first"`
	Next     uint64 `json:"next"`
	Records  uint64 `json:"records"`
	Segments int    `json:"segments"`
	Archived int    `json:"archived_segments"`
	Torn     int64  `json:"torn_bytes"` // after the end: what a crash left, or an append under way
}

// checkJournal reads every segment, and goes on behind damage.
func checkJournal(ctx context.Context, f *fsck, found *finding) error {
	records, err := f.log.Check(ctx, found.damage)
	out := journalFound{First: f.log.First(), Next: f.log.Next(), Records: records}
	found.said = fmt.Sprintf("%d records from %d on, %s", records, out.First, size(f.log.Bytes()))
	if in, ok := f.log.(folder); ok {
		out.Segments, out.Archived = in.Segments()
		out.Torn = in.Torn()
		found.said += fmt.Sprintf(" in %d segments, %d of them in the archive", out.Segments, out.Archived)
	} else {
		found.said += " in the database"
	}
	found.Found = out
	if out.Torn > 0 {
		found.said += fmt.Sprintf("; %d bytes of an unfinished batch after the end", out.Torn)
	}
	return err
}

// checkLedger folds the journal and looks at the state: conservation, balances,
// and every other invariant.
func checkLedger(ctx context.Context, f *fsck, found *finding) error {
	if first := f.log.First(); first > 1 {
		return fmt.Errorf("the journal begins at sequence %d; say --archive, so that it can be folded from the first", first)
	}
	var kept []snapshot.Info
	if f.data != "" {
		var err error
		if kept, err = f.snapshots().List(); err != nil {
			return err
		}
	}
	hashes := make(map[engine.Seq]engine.Digest, len(kept))
	for _, i := range kept {
		hashes[i.Seq] = engine.Digest{}
	}
	said := newWords()
	out, err := replay.Run(ctx, f.log, replay.Options{Hashes: hashes, See: said.see})
	var wrong *replay.Fault
	var corrupt *journal.CorruptError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &wrong):
		found.fault(fault{Seq: uint64(wrong.Seq), Reason: wrong.Reason.Error()})
	case errors.As(err, &corrupt):
		found.damage(corrupt)
	case err != nil:
		found.fault(fault{Seq: f.log.Next() - 1, Reason: err.Error()})
	}
	if f.folded = hashes; err == nil {
		f.words = said
	}
	found.Found = out
	found.said = fmt.Sprintf("%d decisions folded, every invariant holds; state %s", out.Decisions, out.State)
	return nil
}

// snapshots is the folder of snapshots; one that is absent has none.
func (f *fsck) snapshots() *snapshot.Store {
	return snapshot.ReadStore(file.ReadOnly{}, backup.Snapshots(f.data))
}

// snapshotFound is what checkSnapshots says.
type snapshotFound struct {
	Whole int        `json:"whole"` // every byte of them is as it was written
	Same  int        `json:"same"`  // and the journal folds to them
	Last  engine.Seq `json:"last"`  // the newest of them; 0: there is none
	Bytes int64      `json:"bytes"`
}

// checkSnapshots reads every snapshot and compares it with the fold of the ledger's
// check. A server that runs writes more and removes old ones meanwhile: what is gone
// is passed over, and what is beyond the durable end is read, not compared.
func checkSnapshots(ctx context.Context, f *fsck, found *finding) error {
	store := f.snapshots()
	kept, err := store.List()
	if err != nil {
		return err
	}
	var out snapshotFound
	for _, i := range kept {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		_, full, err := store.Load(i)
		var damaged *snapshot.DamagedError
		switch {
		case errors.As(err, &damaged):
			found.fault(fault{Seq: uint64(i.Seq), Reason: damaged.Error()})
			continue
		case errors.Is(err, os.ErrNotExist) && f.log.Held():
			continue
		case err != nil:
			return err
		}
		out.Whole++
		out.Bytes += full.Size
		out.Last = max(out.Last, i.Seq)
		want, known := f.folded[i.Seq]
		switch {
		case uint64(i.Seq) >= f.log.Next() && !f.log.Held():
			found.fault(fault{Seq: uint64(i.Seq), Reason: "snapshot " + i.Name() + " is of a decision that the journal does not have"})
		case !known || want == (engine.Digest{}):
		case want != full.Hash:
			found.fault(fault{Seq: uint64(i.Seq), Reason: fmt.Sprintf("snapshot %s is not the state that the journal folds to, which is %s", i.Name(), want)})
		default:
			out.Same++
		}
	}
	found.Found, found.Bytes = out, out.Bytes
	found.said = fmt.Sprintf("%d snapshots are whole, %s, and %d of them are what the journal folds to", out.Whole, size(out.Bytes), out.Same)
	return nil
}

// checkAudit compares journal, tree and checkpoints. Its own reader is opened after
// the checkpoints are listed, because a server that runs signs more.
func checkAudit(ctx context.Context, f *fsck, found *finding) error {
	var log reader
	out, err := notary.Check(ctx, f.data, func(signed uint64) (_ audit.Records, err error) {
		if log, err = f.reader(signed, f.meter.progress); err != nil {
			return nil, err
		}
		return log, nil
	})
	if log != nil {
		err = errors.Join(err, log.Close())
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, notary.ErrNone) {
		return fmt.Errorf("%w; a server that keeps none is checked with --audit=false", err)
	}
	for _, each := range joined(err) {
		var corrupt *journal.CorruptError
		if errors.As(each, &corrupt) {
			found.damage(corrupt)
			continue
		}
		found.fault(fault{Reason: each.Error()})
	}
	found.Found = out
	found.said = fmt.Sprintf("%d records and %d hashes of the tree are the same, %d checkpoints hold, the newest of %d records", out.Records, out.Hashes, out.Checkpoints, out.Signed)
	return nil
}

// joined takes apart what errors.Join put together.
func joined(err error) []error {
	if err == nil {
		return nil
	}
	if all, ok := err.(interface{ Unwrap() []error }); ok {
		return all.Unwrap()
	}
	return []error{err}
}

// meter tells a terminal how far a check is.
type meter struct {
	w     io.Writer // nil: nobody looks
	name  string
	began time.Time
	last  time.Time
}

// meterEvery is how often the line changes: more is only noise.
const meterEvery = 200 * time.Millisecond

// newMeter returns a meter that writes to w if that is a terminal.
func newMeter(w io.Writer) *meter {
	m := &meter{}
	if f, ok := w.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			m.w = w
		}
	}
	return m
}

func (m *meter) begin(name string) { m.name, m.began = name, time.Now() }

// progress is for file.ReaderConfig.
func (m *meter) progress(done, total int64) {
	if m.w == nil || total == 0 || time.Since(m.last) < meterEvery {
		return
	}
	m.last = time.Now()
	rate := int64(float64(done) / max(time.Since(m.began).Seconds(), 1e-3))
	fmt.Fprintf(m.w, "\r\x1b[K%s %d%% of %s, %s/s", m.name, 100*done/total, size(total), size(rate))
}

// clear takes the line away.
func (m *meter) clear() {
	if m.w != nil {
		fmt.Fprint(m.w, "\r\x1b[K")
	}
}
