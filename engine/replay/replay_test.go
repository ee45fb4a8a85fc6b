package replay_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/replay"
)

var verify = replay.Options{Verify: true}

// TestHistoriesVerify: what a real core decided is decided again.
func TestHistoriesVerify(t *testing.T) {
	codes := map[engine.Code]int{}
	for seed := range uint64(20) {
		h := play(seed, 400)
		for code, n := range h.codes {
			codes[code] += n
		}
		for _, o := range []replay.Options{{}, verify} {
			got, err := replay.Run(t.Context(), h, o)
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			want := uint64(0)
			if o.Verify {
				want = got.Decisions
			}
			if got.Decisions != uint64(len(h.records)) || got.Verified != want || got.FoldedOnly != 0 || got.State != h.state.Hash() || got.Last != h.state.At() || got.Version != engine.Version {
				t.Fatalf("seed %d: %+v", seed, got)
			}
			again, err := replay.Run(t.Context(), h, replay.Options{Want: got.Records})
			if err != nil || again.Records != got.Records {
				t.Fatalf("seed %d: %+v %v", seed, again, err)
			}
		}
	}
	for _, must := range []engine.Code{engine.OK, engine.InsufficientFunds, engine.InsufficientShares, engine.PriceLimit, engine.MarketNotOpen, engine.WrongState} {
		if codes[must] == 0 {
			t.Errorf("no history came to %s: %v", must, codes)
		}
	}
}

// with returns the history with other records, numbered as they stand.
func with(records []journal.Record, renumber bool) *history {
	out := &history{records: slices.Clone(records)}
	for i := range out.records {
		if renumber {
			out.records[i].Seq = uint64(i) + 1
		}
	}
	return out
}

// found wants a fault at a sequence.
func found(t *testing.T, what string, h *history, seq uint64) {
	t.Helper()
	var f *replay.Fault
	if _, err := replay.Run(t.Context(), h, verify); !errors.As(err, &f) || f.Seq != engine.Seq(seq) {
		t.Fatalf("%s: %v, want a fault at %d", what, err, seq)
	}
}

// asked is a record without its verdict: what was asked, by whom and when.
func asked(seq uint64, payload []byte) ([]byte, bool) {
	d, err := engine.Decode(engine.Seq(seq), payload)
	if err != nil {
		return nil, false
	}
	d.Code, d.Detail, d.Events, d.Results = engine.WrongState, "", nil, nil
	return d.Append(nil), true
}

// TestEveryByte changes a bit of each byte of some records. What does not decode, or
// is another verdict on the same request, is found in its place; another request is
// found there or later, or makes another digest.
func TestEveryByte(t *testing.T) {
	h := play(3, 120)
	good, err := replay.Run(t.Context(), h, verify)
	if err != nil {
		t.Fatal(err)
	}
	verdicts, requests := 0, 0
	for i := 0; i < len(h.records); i += 3 {
		rec := h.records[i]
		before, _ := asked(rec.Seq, rec.Payload)
		for at := range rec.Payload {
			bad := bytes.Clone(rec.Payload)
			bad[at] ^= 1 << (at % 8)
			x := with(h.records, false)
			x.records[i].Payload = bad
			after, decodes := asked(rec.Seq, bad)
			if !decodes || bytes.Equal(before, after) {
				found(t, "a changed verdict", x, rec.Seq)
				verdicts++
				continue
			}
			requests++
			got, err := replay.Run(t.Context(), x, verify)
			var f *replay.Fault
			if errors.As(err, &f) && f.Seq >= engine.Seq(rec.Seq) || err == nil && got.Records != good.Records {
				continue
			}
			t.Fatalf("record %d, byte %d: %+v %v", rec.Seq, at, got, err)
		}
	}
	if verdicts < 1000 || requests < 1000 {
		t.Errorf("%d verdicts and %d requests were changed", verdicts, requests)
	}
}

// TestChangedDecisions: a decision that decodes and folds, but is not what the
// rules say, is found in its place and named.
func TestChangedDecisions(t *testing.T) {
	h := play(5, 200)
	changed := map[string]int{}
	for i, rec := range h.records {
		d, err := engine.Decode(engine.Seq(rec.Seq), rec.Payload)
		if err != nil {
			t.Fatal(err)
		}
		for what, change := range map[string]func(*engine.Decision) bool{
			"code": func(d *engine.Decision) bool { d.Code, d.Events = d.Code^1, nil; return len(d.Results) == 0 },
			"fill": func(d *engine.Decision) bool {
				f := d.Filled()
				if f == nil {
					return false
				}
				f.PriceAfter++ // no balance depends on it
				return true
			},
			"less": func(d *engine.Decision) bool {
				if len(d.Events) == 0 || len(d.Results) != 0 {
					return false
				}
				d.Events = d.Events[:len(d.Events)-1]
				return true
			},
		} {
			x := d.Clone()
			if !change(x) {
				continue
			}
			changed[what]++
			bad := with(h.records, false)
			bad.records[i].Payload = x.Append(nil)
			found(t, what, bad, rec.Seq)
			if _, err := replay.Run(t.Context(), bad, verify); !strings.Contains(err.Error(), "was decided otherwise: ") {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
	if len(changed) != 3 || changed["fill"] < 20 {
		t.Errorf("%v", changed)
	}
}

// TestMissingAndExtraRecords: a gap, a repetition, and a record that is not the
// decision on what stands before it.
func TestMissingAndExtraRecords(t *testing.T) {
	h := play(8, 200)
	good, err := replay.Run(t.Context(), h, verify)
	if err != nil {
		t.Fatal(err)
	}
	n, later := len(h.records), 0
	for i := 1; i < n-1; i++ {
		seq := uint64(i) + 1
		found(t, "a gap", with(slices.Delete(slices.Clone(h.records), i, i+1), false), seq)
		found(t, "a repetition", with(slices.Insert(slices.Clone(h.records), i, h.records[i-1]), false), seq-1)

		// The log numbers its records itself: then what comes after tells.
		for _, x := range []*history{
			with(slices.Delete(slices.Clone(h.records), i, i+1), true),
			with(slices.Insert(slices.Clone(h.records), i, h.records[i]), true),
		} {
			got, err := replay.Run(t.Context(), x, verify)
			var f *replay.Fault
			switch {
			case errors.As(err, &f) && f.Seq >= engine.Seq(seq):
				later++
			case err != nil || got.Records == good.Records:
				t.Fatalf("record %d: %+v %v", seq, got, err)
			}
		}
	}
	if later < n {
		t.Errorf("only %d of %d were found by what comes after", later, 2*n)
	}
	for _, x := range []*history{with(h.records[:n-1], false), with(append(slices.Clone(h.records), again(h)), false)} {
		if _, err := replay.Run(t.Context(), x, replay.Options{Want: good.Records}); err == nil || !strings.Contains(err.Error(), "other records") {
			t.Errorf("a journal with another end: %v", err)
		}
	}
}

// again is one honest record more.
func again(h *history) journal.Record {
	h.give("admin", &engine.OpenAccount{})
	last := h.records[len(h.records)-1]
	h.records = h.records[:len(h.records)-1]
	return last
}

// TestSkippedDeadline: a journal whose writer passed over a deadline is not as it
// should be, although each of its decisions is.
func TestSkippedDeadline(t *testing.T) {
	h := play(1, 0)
	h.step("trader", &engine.PlaceOrder{
		Account: 2, Market: 1, Outcome: engine.Yes, Side: engine.Buy, TIF: engine.GTD, Shares: engine.One, Limit: 100_000, Expires: h.now + 1_000_000,
	})
	h.now += 2_000_000
	if _, err := replay.Run(t.Context(), h, verify); err != nil {
		t.Fatal(err)
	}
	h.step("trader", &engine.CancelAll{Account: 3})
	found(t, "no tick", h, uint64(len(h.records)))
}

// TestOtherRules: what rules decided that this binary does not know is folded, and
// counted.
func TestOtherRules(t *testing.T) {
	h := play(2, 20)
	before := len(h.records)
	at := engine.Seq(before + 1)
	up := &engine.Decision{}
	up.Reset(at, engine.Request{At: h.now, Principal: "admin", Command: &engine.UpgradeEngine{Version: engine.Version + 1}})
	up.Add(&engine.EngineUpgraded{Version: engine.Version + 1})
	odd := &engine.Decision{} // by rules that refuse it
	odd.Reset(at+1, engine.Request{At: h.now, Principal: "admin", Command: &engine.OpenAccount{}})
	odd.Reject(engine.LimitReached, "")
	for _, d := range []*engine.Decision{up, odd} {
		h.records = append(h.records, journal.Record{Seq: uint64(d.Seq), Payload: d.Append(nil)})
	}
	got, err := replay.Run(t.Context(), h, verify)
	if err != nil || got.Verified != uint64(before) || got.FoldedOnly != 2 || got.Version != engine.Version+1 {
		t.Errorf("%+v %v", got, err)
	}
	found(t, "the same before the upgrade", with(append(slices.Clone(h.records[:before]), h.records[before+1]), true), uint64(before)+1)
}

// TestEnds: what ends a replay before its end.
func TestEnds(t *testing.T) {
	h := play(4, 50)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := replay.Run(ctx, h, verify); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	corrupt := &journal.CorruptError{Place: "segment", Seq: 3}
	if _, err := replay.Run(t.Context(), failing{h, corrupt}, verify); !errors.Is(err, error(corrupt)) {
		t.Errorf("%v", err)
	}
	got, err := replay.Run(t.Context(), &history{}, verify)
	if err != nil || got.Decisions != 0 || got.State != core.New().Hash() {
		t.Errorf("an empty journal: %+v %v", got, err)
	}
}

// failing is a source that is damaged.
type failing struct {
	*history
	err error
}

func (f failing) Read(uint64, func(journal.Record) error) error { return f.err }
