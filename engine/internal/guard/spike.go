package guard

import "github.com/mbp-market/mbp/engine/internal/fixed"

// SpikeParams bound how far a price may move in a short time.
type SpikeParams struct {
	Move fixed.Price // ppm of a credit tolerated within Span, 1..999,999; 0: off
	Span int64       // µs, 1 µs..1 h
	Cool int64       // µs that a market cools after a spike, 0..24 h
}

// spikeSlots are the sub-slots kept: the open one and eight closed ones, each an
// eighth of the span.
const spikeSlots = 9

// Spike remembers the lowest and the highest price of an outcome over the last
// span, and whether the market cools. What moved within Span is always seen; a
// move that took up to an eighth of a span longer may be.
type Spike struct {
	open  int64 // start of the open sub-slot, µs
	until int64 // end of the cool-down, µs; 0 if there was none
	last  uint32
	head  uint8 // index of the open sub-slot
	lo    [spikeSlots]uint32
	hi    [spikeSlots]uint32
}

// Peek says whether a price (1..999,999) published at now (µs) is a spike, and
// whether it would start a cool-down (Raise).
func (s *Spike) Peek(p SpikeParams, now int64, price fixed.Price) Verdict {
	if p.Move == 0 {
		return Verdict{}
	}
	if s.last == 0 {
		return Verdict{Bound: int64(p.Move)}
	}
	kept := spikeSlots // sub-slots that are still within the window
	if width := p.width(); now-s.open >= width {
		kept -= int(min((now-s.open)/width, spikeSlots))
	}
	lo, hi := s.last, s.last
	for at := int(s.head); kept > 0; kept-- { // newest first
		lo, hi = min(lo, s.lo[at]), max(hi, s.hi[at])
		if at--; at < 0 {
			at = spikeSlots - 1
		}
	}
	return s.judge(p, now, price, lo, hi)
}

func (p SpikeParams) width() int64 { return (p.Span + spikeSlots - 2) / (spikeSlots - 1) }

func (s *Spike) judge(p SpikeParams, now int64, price fixed.Price, lo, hi uint32) Verdict {
	moved := max(int64(price)-int64(lo), int64(hi)-int64(price))
	over := moved > int64(p.Move)
	return Verdict{over, over && now >= s.until, moved, int64(p.Move)}
}

// Charge folds in a price (1..999,999) published at now (µs) and returns what
// Peek would have said. If Raise is set, a cool-down of Cool starts now, and the
// window starts anew at this price, so that one move is told once. A spike
// during a cool-down neither raises nor prolongs it.
func (s *Spike) Charge(p SpikeParams, now int64, price fixed.Price) Verdict {
	v := s.Peek(p, now, price)
	if p.Move == 0 {
		return v
	}
	at := uint32(price)
	switch {
	case v.Raise:
		s.start(now, at)
		s.until = now + p.Cool
	case s.last == 0:
		s.start(now, at)
	default:
		s.roll(p.width(), now)
		s.lo[s.head], s.hi[s.head] = min(s.lo[s.head], at), max(s.hi[s.head], at)
	}
	s.last = at
	return v
}

// start begins the window with one price, as if it had always been that.
func (s *Spike) start(now int64, price uint32) {
	s.open, s.head = now, 0
	for i := range s.lo {
		s.lo[i], s.hi[i] = price, price
	}
}

// roll opens the sub-slot of now; the ones before it start with the last price.
func (s *Spike) roll(width, now int64) {
	if now-s.open < width {
		return
	}
	gone := (now - s.open) / width
	for range min(gone, spikeSlots) {
		s.head = (s.head + 1) % spikeSlots
		s.lo[s.head], s.hi[s.head] = s.last, s.last
	}
	s.open += gone * width
}

const spikeSize = 8 + 8 + 4 + 8*spikeSlots

// Append adds the canonical form to b, the newest sub-slot first.
func (s *Spike) Append(to []byte) []byte {
	to = put32(put64(put64(to, s.open), s.until), s.last)
	for i := range spikeSlots {
		at := (int(s.head) + spikeSlots - i) % spikeSlots
		to = put32(put32(to, s.lo[at]), s.hi[at])
	}
	return to
}

// Load reads what Append wrote and returns the bytes after it; false if they
// are not the form of any Spike, which is then left as it was.
func (s *Spike) Load(from []byte) ([]byte, bool) {
	if len(from) < spikeSize {
		return from, false
	}
	n := Spike{open: get64(from), until: get64(from[8:]), last: get32(from[16:])}
	valid := n.open >= 0 && n.until >= 0 && n.last < fixed.One
	for i := range spikeSlots {
		at := (spikeSlots - i) % spikeSlots
		n.lo[at], n.hi[at] = get32(from[20+8*i:]), get32(from[24+8*i:])
		valid = valid && n.lo[at] <= n.hi[at] && n.hi[at] < fixed.One && (n.last != 0) == (n.lo[at] != 0)
	}
	if !valid || n.last == 0 && n != (Spike{}) {
		return from, false
	}
	*s = n
	return from[spikeSize:], true
}
