package twap

import "github.com/mbp-market/mbp/engine/internal/fixed"

// Params are the bounds of a guard; a market's template holds them.
type Params struct {
	Window   int64 // µs of open time of one window, a multiple of 10 s, 10 s..15 min; 0: nothing is judged
	Bound    int64 // ppm that a window's mean may diverge, 1..1,000,000; 10,000 = 1.0 %
	Relative bool  // the divergence is relative to the average, instead of in probability points
	Outliers int64 // samples in a row outside the band that trip, 1..90; 0: trip (b) is off
	Floor    int64 // ppm that a standard deviation counts at least, 0..1,000,000
}

// The kinds of Trip.
const (
	None       = 0
	Divergence = 1 // (a) two windows in a row diverge from the average
	Band       = 2 // (b) Outliers samples in a row lie outside the band
)

// Trip says which condition of the guard is complete and by how much.
type Trip struct {
	Kind     uint8       // None, Divergence or Band
	Observed int64       // the last distance, ppm, rounded up: of a credit, or of the average if relative
	Bound    int64       // that it exceeds, ppm, rounded down
	Mean     fixed.Price // of the window or sample, rounded down
	TWAP     fixed.Price // the five-minute average at its start, rounded down
}

const (
	// twapSlots make the average that prices are held against: five minutes.
	twapSlots = 30
	// memorySlots are the 15 minutes of the variance. Its weight is 2/(n+1), with
	// which a sample is as old on average as in a flat window of n; so many samples
	// in a row without any deviation clear it.
	memorySlots = 90
	// armSamples must be in the variance before it judges.
	armSamples = 10
	// quietSlots of one price bring a guard to rest: the average equals the price
	// after twapSlots, the variance is clear memorySlots later, and so is a window
	// (at most memorySlots long) that began under another average, and the next.
	quietSlots = twapSlots + 2*memorySlots
)

// Guard watches the price of one outcome. It judges at the edges of the 10 s
// slots: a sample is the mean of a whole slot (the market's first is none, it has
// nothing to be held against), windows of Params.Window follow one
// another from the first edge at or after Start or Restart. What a window or a
// sample is held against is the five-minute average at its own start (less if the
// market is younger; the price it starts with if it has no past). A condition that
// goes on completes again at every edge. Use Start; a Guard is copied by
// assignment.
type Guard struct {
	Ring
	variance uint64 // mean square of sample − average, in 2^-20 ppm², at most 2^60
	begin    int64  // slot edge at which the present window begins; edge+1 if that is still to come
	from     uint64 // Σ price·dt at begin
	ref      mean   // the five-minute average at begin
	samples  uint8  // in the variance; saturates at armSamples
	still    uint8  // samples in a row that equalled the average; saturates at memorySlots
	run      uint8  // samples in a row outside the band; saturates
	diverged bool   // the window before the present one did
}

// Start begins the history at a time (µs of open time, ≥ 0) with a price.
func (g *Guard) Start(now int64, p fixed.Price) {
	*g = Guard{}
	g.Ring.Start(now, p)
	g.afresh(now)
}

// Peek returns what Observe would, and changes nothing.
func (g *Guard) Peek(p Params, now int64) Trip {
	if now < (g.edge+1)*SlotMicros {
		return Trip{}
	}
	next := *g
	return next.Observe(p, now)
}

// Observe judges the slots and windows that ended at or before now (µs) and
// returns the first trip that they complete. Params should stay the same during a
// market's life; a change counts from the present window on.
func (g *Guard) Observe(p Params, now int64) Trip {
	if now < (g.edge+1)*SlotMicros {
		return Trip{}
	}
	if p.Window <= 0 {
		g.skip(now)
		return Trip{}
	}
	return g.close(&p, now)
}

// Set records that the price is p from now (µs) on. Observe comes before it: what
// ended since then and was not observed is never judged, as after Restart. A price
// set at the very start is the one that the market starts with.
func (g *Guard) Set(now int64, p fixed.Price) {
	if now <= g.start {
		g.Start(g.start, p)
		return
	}
	now = max(now, g.edge*SlotMicros)
	if now >= (g.edge+1)*SlotMicros {
		g.skip(now)
	}
	if p != g.price {
		g.Ring.Set(now, p)
	}
}

// Restart begins windows and outliers afresh after a market was reopened; the
// averages and the variance keep their history. A slot under way is not judged.
func (g *Guard) Restart(now int64) {
	g.skip(max(now, g.at, g.edge*SlotMicros))
}

// skip closes slots without judging them.
func (g *Guard) skip(now int64) {
	g.close(nil, now)
	g.afresh(now)
}

// afresh puts the first window at the first slot edge at or after now, which lies
// in the newest slot.
func (g *Guard) afresh(now int64) {
	g.run, g.diverged = 0, false
	g.begin, g.from, g.ref = g.edge+1, 0, mean{}
	if now == g.edge*SlotMicros {
		g.open(g.edge)
	}
}

// open begins a window at slot edge e.
func (g *Guard) open(e int64) {
	g.begin, g.from, g.ref = e, g.marks[e%slots], g.average(e)
}

// average returns the five-minute average at slot edge e, one of the newest two.
func (g *Guard) average(e int64) mean {
	first, base := max((e-twapSlots)*SlotMicros, g.start), uint64(0)
	if first > g.start {
		base = g.marks[(e-twapSlots)%slots]
	}
	if span := e*SlotMicros - first; span > 0 {
		return mean{g.marks[e%slots] - base, uint64(span)}
	}
	return mean{uint64(g.price), 1}
}

// close advances to the last slot edge at or before now and judges, if p is not
// nil, what ended on the way.
func (g *Guard) close(p *Params, now int64) (first Trip) {
	last := now / SlotMicros
	flat := (g.at + SlotMicros - 1) / SlotMicros // first edge from which there was one price
	for e := g.edge + 1; e <= min(last, flat+quietSlots); e++ {
		g.marks[e%slots] = g.sum(e * SlotMicros)
		g.edge = e
		if t := g.step(p, e, e > flat+twapSlots); first.Kind == None {
			first = t
		}
	}
	if last > g.edge {
		g.jump(p, last)
	}
	return first
}

// jump advances a guard at rest, whatever the number of slots: every sum is that
// of the one price, nothing diverges and nothing changes but the time.
func (g *Guard) jump(p *Params, last int64) {
	g.mark(last)
	if p != nil {
		w := p.slots()
		g.begin += (last - g.begin) / w * w
		g.from = g.sum(g.begin * SlotMicros)
		g.ref = mean{uint64(g.price) * twapSlots * SlotMicros, twapSlots * SlotMicros}
	}
}

// step takes in the slot that ends at edge e, the newest. It is level if the slot
// and the average before it are known to be of one price.
func (g *Guard) step(p *Params, e int64, level bool) (t Trip) {
	switch {
	case level:
		g.run = 0
		g.learn(true, 0)
	case (e-1)*SlotMicros > g.start: // a whole slot with an average before it
		sample, ref := mean{g.marks[e%slots] - g.marks[(e-1)%slots], SlotMicros}, g.average(e-1)
		d := sample.ofSample(ref)
		q := d.fine()
		if p != nil && e > g.begin {
			t = g.judgeSample(p, sample, ref, d, q)
		}
		g.learn(d.zero(), q)
	}
	switch {
	case e == g.begin:
		g.open(e)
	case p != nil && e-g.begin >= p.slots():
		window := mean{g.marks[e%slots] - g.from, uint64(e-g.begin) * SlotMicros}
		if a := g.judgeWindow(p, window); a.Kind != None {
			t = a
		}
		g.open(e)
	}
	return t
}

// slots returns the length of a window, 1..90 slots.
func (p *Params) slots() int64 { return min(max(p.Window/SlotMicros, 1), memorySlots) }
