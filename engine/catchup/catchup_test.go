package catchup_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/catchup"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/journal"
)

// list is a log in memory; it can be told to end early, to skip and to fail.
type list struct {
	records [][]byte
	says    uint64 // Next, if not 0
	skips   uint64
	fails   uint64 // sequence at which reading ends with errDisk
}

var errDisk = errors.New("disk")

func (l *list) Next() uint64 { return max(l.says, uint64(len(l.records))+1) }

func (l *list) Read(from uint64, fn func(journal.Record) error) error {
	for seq := max(from, 1); seq <= uint64(len(l.records)); seq++ {
		switch seq {
		case l.skips:
			continue
		case l.fails:
			return errDisk
		}
		payload := append([]byte(nil), l.records[seq-1]...)
		err := fn(journal.Record{Seq: seq, At: int64(seq) * 10, Payload: payload})
		clear(payload) // it is valid only during the call
		if errors.Is(err, journal.ErrStop) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// accounts is a log of n decisions that open accounts, and the state after it.
func accounts(t *testing.T, n int) (*list, *core.State) {
	t.Helper()
	s, l := core.New(), &list{}
	var d engine.Decision
	for i := range n {
		var c engine.Command = &engine.OpenAccount{}
		if i == 0 {
			c = &engine.Initialise{Policy: engine.DefaultPolicy(), Template: engine.DefaultTemplate(), Admin: engine.Key{SHA256: engine.Digest{1}, Principal: "admin", Roles: engine.RoleAdmin}}
		}
		if err := s.Step(engine.Request{At: engine.Time(i + 1), Principal: "boot", Command: c}, &d); err != nil || d.Code != engine.OK {
			t.Fatalf("%v %s %s", err, d.Code, d.Detail)
		}
		l.records = append(l.records, d.Append(nil))
	}
	return l, s
}

// Folding ahead gives the same state as folding one by one, from anywhere up to
// anywhere, and tells of each decision once and in order.
func TestFold(t *testing.T) {
	const n = 3000
	l, want := accounts(t, n)
	for _, from := range []uint64{0, 1, 255, 256, 257, 2999, 3000} {
		s := core.New()
		if folded, err := catchup.Fold(l, s, from, nil); from != 0 && (err != nil || folded != from) {
			t.Fatalf("%d, %v", folded, err)
		}
		seen := uint64(s.Seq())
		_, err := catchup.Fold(l, s, 0, func(d *engine.Decision, at int64) error {
			if seen++; uint64(d.Seq) != seen || at != int64(seen)*10 {
				return fmt.Errorf("decision %d at %d after %d", d.Seq, at, seen-1)
			}
			return nil
		})
		if err != nil || s.Hash() != want.Hash() || seen != n && from != 0 {
			t.Fatalf("from %d: %v, at %d", from, err, s.Seq())
		}
	}
}

// What is wrong is named, and the fold ends there.
func TestFoldRefuses(t *testing.T) {
	const n = 1000
	stop := errors.New("stop")
	for name, c := range map[string]struct {
		change func(*list)
		see    func(*engine.Decision, int64) error
		at     engine.Seq // where the state stays
		want   string
		is     error
	}{
		"a gap":        {func(l *list) { l.skips = 700 }, nil, 512, "record 701 comes where 700 belongs", nil},
		"the disk":     {func(l *list) { l.fails = 600 }, nil, 512, "", errDisk},
		"too short":    {func(l *list) { l.says = 1002 }, nil, 1000, "the log ends at 1000, and said 1001", nil},
		"no decision":  {func(l *list) { l.records[299] = []byte{77} }, nil, 256, "decode decision 300", engine.ErrEncoding},
		"another one":  {func(l *list) { l.records[299] = l.records[0] }, nil, 299, "", core.ErrFold},
		"a panic":      {func(*list) {}, func(*engine.Decision, int64) error { panic("boo") }, 1, "panic: boo", nil},
		"who looks on": {func(*list) {}, func(*engine.Decision, int64) error { return stop }, 1, "", stop},
	} {
		l, _ := accounts(t, n)
		c.change(l)
		s := core.New()
		_, err := catchup.Fold(l, s, 0, c.see)
		if err == nil || c.is != nil && !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.want) || s.Seq() != c.at {
			t.Errorf("%s: %v, at %d", name, err, s.Seq())
		}
	}
}

// A clone is the same and goes its own way.
func TestClone(t *testing.T) {
	l, s := accounts(t, 500)
	c, err := catchup.Clone(s)
	if err != nil || c.Hash() != s.Hash() {
		t.Fatalf("%v", err)
	}
	more, _ := accounts(t, 501)
	l.records = more.records
	if _, err := catchup.Fold(l, c, 0, nil); err != nil || c.Seq() != 501 || s.Seq() != 500 {
		t.Errorf("%v, at %d and %d", err, c.Seq(), s.Seq())
	}
}
