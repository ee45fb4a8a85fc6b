package offline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/mbp-market/mbp/cmd/mbp/notary"
	"github.com/mbp-market/mbp/engine/audit"
	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/replay"
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
	all, archived := f.log.Segments()
	out := journalFound{f.log.First(), f.log.Next(), records, all, archived, f.log.Torn()}
	found.Found = out
	found.said = fmt.Sprintf("%d records from %d on, %s in %d segments, %d of them in the archive", records, out.First, size(f.log.Bytes()), all, archived)
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
	out, err := replay.Run(ctx, f.log, replay.Options{})
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
	found.Found = out
	found.said = fmt.Sprintf("%d decisions folded, every invariant holds; state %s", out.Decisions, out.State)
	return nil
}

// checkAudit compares journal, tree and checkpoints. Its own reader is opened after
// the checkpoints are listed, because a server that runs signs more.
func checkAudit(ctx context.Context, f *fsck, found *finding) error {
	out, err := notary.Check(ctx, f.data, func(signed uint64) (audit.Records, error) { return f.reader(signed, f.meter.progress) })
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
