package guard

import "github.com/mbp-market/mbp/engine/internal/fixed"

// WashParams bound how often two accounts may trade back and forth.
type WashParams struct {
	Times     int64        // changes of direction that raise the signal, 1..8; 0: off
	Window    int64        // µs within which they count, 1 µs..24 h if Times is not 0
	Tolerance int64        // ppm of the larger by which the two sizes may differ, 0..1,000,000; no policy changes it
	MinShares fixed.Shares // micro-shares; smaller fills are not looked at, 0..2^52; no policy changes it
}

const washRuns = 8

// Fill is one meeting of an account with another account's order. Its sign is
// the account's own direction in Outcome: on a binary market the buyer of NO in
// a mint is told as the seller of YES, so that a mint followed by a burn between
// the same two accounts is a change of direction. Fills against the pool have
// no party and are not told.
type Fill struct {
	Party   uint32 // the other account
	Market  uint32
	Outcome uint16
	Shares  fixed.Shares // micro-shares bought, up to 2^52; sold if negative
}

// Wash remembers the last eight runs of an account's fills. A run is what the
// account bought from (or sold to) one party in one outcome without a fill in
// the other direction between; so an order that was filled in pieces is one run.
// A run changes direction if its size comes to within Tolerance of the opposite
// run before it. The signal is Times such changes with one party, over all
// markets, within Window.
//
// Charge both accounts of a fill, each with its own direction: two accounts that
// take turns at taking show no change in a history of takers. What it does not
// see: rings of three or more, and a pair that puts eight runs with others
// between its own.
type Wash struct {
	head uint8 // index of the newest run
	runs [washRuns]run
}

type run struct {
	at            int64        // time of its last fill, µs
	shares        fixed.Shares // bought, or sold if negative; 0: no run
	party, market uint32
	outcome       uint16
	changed       bool // it reversed the run before it
}

// found is what one pass over the runs says about a fill.
type found struct {
	grow    int          // index of the run that the fill adds to; −1: a new one
	shares  fixed.Shares // of the run with the fill
	changed bool         // the run reverses the one before it
	changes int64        // with this fill
}

func (w *Wash) find(p WashParams, now int64, f Fill) found {
	res := found{grow: -1, shares: f.Shares}
	var near, far *run // the newest run in this outcome and the one before it
	for i := range uint8(washRuns) {
		at := (w.head - i) % washRuns
		r := &w.runs[at]
		if r.party != f.Party || r.shares == 0 || now-r.at > p.Window {
			continue
		}
		if r.changed {
			res.changes++
		}
		switch {
		case r.market != f.Market || r.outcome != f.Outcome:
		case near == nil:
			near = r
			if (r.shares < 0) == (f.Shares < 0) {
				res.grow = int(at)
				res.shares = min(max(r.shares+f.Shares, -fixed.MaxPool), fixed.MaxPool)
				res.changed = r.changed
			}
		case far == nil:
			far = r
		}
	}
	if res.grow < 0 {
		// The new run takes the place of the oldest.
		if o := &w.runs[(w.head+1)%washRuns]; o.shares != 0 && o.party == f.Party && now-o.at <= p.Window && o.changed {
			res.changes--
		}
		far = near
	}
	if !res.changed && far != nil && opposite(far.shares, res.shares, p.Tolerance) {
		res.changed = true
		res.changes++
	}
	return res
}

// opposite reports whether a and b have different signs and sizes that differ by
// at most tolerance ppm of the larger.
func opposite(a, b fixed.Shares, tolerance int64) bool {
	if (a < 0) == (b < 0) {
		return false
	}
	x, y := size(a), size(b)
	return !fixed.Mul(max(x, y), uint64(tolerance)).Less(fixed.Mul(max(x, y)-min(x, y), fixed.One))
}

func size(s fixed.Shares) uint64 { return uint64(max(s, -s)) }

func (p WashParams) verdict(r found) Verdict {
	over := r.changes >= p.Times
	return Verdict{over, over, r.changes, p.Times}
}

// Peek says whether a fill at now (µs) completes the signal.
func (w *Wash) Peek(p WashParams, now int64, f Fill) Verdict {
	if p.Times == 0 {
		return Verdict{}
	}
	if size(f.Shares) < max(uint64(p.MinShares), 1) {
		return Verdict{Bound: p.Times}
	}
	return p.verdict(w.find(p, now, f))
}

// Charge folds in a fill at now (µs) and returns what Peek would have said. The
// signal forgets the runs with that party, so the next one needs as many changes
// again.
func (w *Wash) Charge(p WashParams, now int64, f Fill) Verdict {
	if p.Times == 0 {
		return Verdict{}
	}
	if size(f.Shares) < max(uint64(p.MinShares), 1) {
		return Verdict{Bound: p.Times}
	}
	res := w.find(p, now, f)
	v := p.verdict(res)
	if v.Over {
		for i := range w.runs {
			if w.runs[i].party == f.Party {
				w.runs[i] = run{}
			}
		}
		return v
	}
	if res.grow < 0 {
		w.head = (w.head + 1) % washRuns
		res.grow = int(w.head)
	}
	r := &w.runs[res.grow]
	r.at, r.shares, r.changed = now, res.shares, res.changed
	r.party, r.market, r.outcome = f.Party, f.Market, f.Outcome
	return v
}

const (
	runSize  = 8 + 8 + 4 + 4 + 2 + 1
	washSize = washRuns * runSize
)

// Append adds the canonical form to b, the newest run first.
func (w *Wash) Append(to []byte) []byte {
	for i := range washRuns {
		r := &w.runs[(int(w.head)+washRuns-i)%washRuns]
		to = put32(put32(put64(put64(to, r.at), int64(r.shares)), r.party), r.market)
		changed := byte(0)
		if r.changed {
			changed = 1
		}
		to = append(to, byte(r.outcome>>8), byte(r.outcome), changed)
	}
	return to
}

// Load reads what Append wrote and returns the bytes after it; false if they
// are not the form of any Wash, which is then left as it was.
func (w *Wash) Load(from []byte) ([]byte, bool) {
	if len(from) < washSize {
		return from, false
	}
	var n Wash
	for i := range washRuns {
		b := from[i*runSize:]
		r := run{
			at: get64(b), shares: fixed.Shares(get64(b[8:])), party: get32(b[16:]), market: get32(b[20:]),
			outcome: uint16(b[24])<<8 | uint16(b[25]), changed: b[26] == 1,
		}
		if r.at < 0 || size(r.shares) > fixed.MaxPool || b[26] > 1 || r.shares == 0 && r != (run{}) {
			return from, false
		}
		n.runs[(washRuns-i)%washRuns] = r
	}
	*w = n
	return from[washSize:], true
}
