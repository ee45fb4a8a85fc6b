package guard

import (
	"math/bits"

	"github.com/mbp-market/mbp/engine/internal/fixed"
)

// BurstParams bound the events in a slot of time by the slots before it.
type BurstParams struct {
	Slot   int64 // µs of a slot, > 0; no policy changes the default
	Shift  uint8 // the newest slot weighs 1/2^Shift, 3..10; the memory is about 2^Shift slots; no policy changes it
	Sigmas int64 // deviations above the mean that are tolerated, 1..100; 0: off
	Floor  int64 // events in a slot that are always tolerated, 0..1,000,000
	Arm    int64 // slots that must have passed since the first event, ≥ 0; no policy changes it
}

const (
	scale    = 20              // bits behind the point of the two moments
	maxCount = 1<<scale - 1    // events of a slot beyond this are not told apart
	maxSlots = 1<<32 - 1       // slots since the first event saturate here
	never    = 42              // e^-42 of a moment is nothing: it is below 2^60
	one32    = uint64(1) << 32 // one with 32 bits behind the point
)

// Burst counts the events of an account or a market in slots and compares the
// open slot with the exponentially weighted first and second moment of the
// closed ones. Attempts are charged whether or not they are then refused;
// otherwise a flood that is refused would look calm.
//
// A slot that was over is folded in as its bound, so that a flood cannot teach
// the baseline its own height at once; a lasting change is learned within a few
// times 2^Shift slots and is one episode. Slots in which nothing happened count
// as zeros, all of them in one step.
type Burst struct {
	open   int64  // start of the open slot, µs
	first  uint64 // E[x] of the closed slots, scale bits behind the point
	second uint64 // E[x²], the same
	count  uint32 // events in the open slot
	closed uint32 // slots closed since the first event
	flags  uint8
}

const (
	burstLive    = 1 << iota // an event was seen
	burstOver                // the open slot is over
	burstFlagged             // an episode is running
	burstAll     = 1<<iota - 1
)

// Peek says whether one more event at now (µs) is over.
func (b *Burst) Peek(p BurstParams, now int64) Verdict {
	if p.Sigmas == 0 {
		return Verdict{}
	}
	if b.flags&burstLive != 0 && now-b.open < p.Slot {
		return b.judge(p)
	}
	if p.Floor > 0 { // the first event of a slot
		return Verdict{Observed: 1, Bound: p.Floor}
	}
	next := *b
	next.roll(p, now)
	return next.judge(p)
}

// Charge counts an event at now (µs) and returns what Peek would have said.
// Raise is set on the first event of an episode; the episode ends with the
// first slot that was calm, an empty one too.
func (b *Burst) Charge(p BurstParams, now int64) Verdict {
	if p.Sigmas == 0 {
		return Verdict{}
	}
	b.roll(p, now)
	v := b.judge(p)
	b.count = min(b.count+1, maxCount)
	if v.Over {
		b.flags |= burstOver | burstFlagged
	}
	return v
}

// judge weighs one more event in the open slot: over if it is above the floor
// and its distance from the mean, squared, is above Sigmas² variances.
func (b *Burst) judge(p BurstParams) Verdict {
	x := min(int64(b.count)+1, maxCount)
	calm := Verdict{Observed: x, Bound: p.Floor}
	if x <= p.Floor || int64(b.closed) < p.Arm {
		return calm
	}
	d := x<<scale - int64(b.first)
	if d <= 0 {
		return calm
	}
	spread := b.spread(p.Sigmas)
	if spread.Less(fixed.Mul(uint64(d), uint64(d))) {
		return Verdict{true, b.flags&burstFlagged == 0, x, b.bound(p, spread)}
	}
	return calm
}

// spread is sigmas² · variance with 2·scale bits behind the point. Rounding can
// put the second moment below the square of the first; that is no variance.
func (b *Burst) spread(sigmas int64) fixed.U128 {
	m, s := fixed.Mul(b.second, 1<<scale), fixed.Mul(b.first, b.first)
	if m.Less(s) {
		return fixed.U128{}
	}
	return m.Sub(s).MulSmall(uint64(sigmas * sigmas)) // below 2^80 · 2^14
}

// bound is the largest number of events that is not over, given the spread.
func (b *Burst) bound(p BurstParams, spread fixed.U128) int64 {
	return max(p.Floor, int64((b.first+spread.Sqrt())>>scale))
}

// roll closes the slots that ended at or before now.
func (b *Burst) roll(p BurstParams, now int64) {
	if b.flags&burstLive == 0 {
		*b = Burst{open: now, flags: burstLive}
		return
	}
	if now-b.open < p.Slot {
		return
	}
	gone := (now - b.open) / p.Slot
	x := uint64(b.count)
	if b.flags&burstOver != 0 {
		x = min(x, uint64(b.bound(p, b.spread(p.Sigmas))))
	}
	b.first = blend(b.first, x<<scale, p.Shift)
	b.second = blend(b.second, x*x<<scale, p.Shift)
	if b.flags&burstOver == 0 || gone > 1 {
		b.flags &^= burstFlagged
	}
	if gone > 1 {
		f := fade(p.Shift, gone-1)
		b.first, b.second = shrink(b.first, f), shrink(b.second, f)
	}
	b.flags &^= burstOver
	b.count = 0
	b.closed = uint32(min(int64(b.closed)+gone, maxSlots))
	b.open += gone * p.Slot
}

// blend moves an average to x by 1/2^shift of the way, rounded down.
func blend(avg, x uint64, shift uint8) uint64 {
	return uint64(int64(avg) + (int64(x)-int64(avg))>>shift)
}

// fade is (1 − 1/2^shift)^n with 32 bits behind the point, by squaring: at most
// 16 rounds, because it is nothing after never·2^shift slots.
func fade(shift uint8, n int64) uint64 {
	if n >= never<<shift {
		return 0
	}
	f := one32
	for q := one32 - one32>>shift; n > 0; n >>= 1 {
		if n&1 != 0 {
			f = shrink(f, q)
		}
		q = shrink(q, q)
	}
	return f
}

// shrink is v·f for a factor f ≤ 1 with 32 bits behind the point, rounded down.
func shrink(v, f uint64) uint64 {
	hi, lo := bits.Mul64(v, f)
	return hi<<32 | lo>>32
}

const burstSize = 8 + 8 + 8 + 4 + 4 + 1

// Append adds the canonical form to b.
func (b *Burst) Append(to []byte) []byte {
	to = put64(put64(put64(to, b.open), int64(b.first)), int64(b.second))
	return append(put32(put32(to, b.count), b.closed), b.flags)
}

// Load reads what Append wrote and returns the bytes after it; false if they
// are not the form of any Burst, which is then left as it was.
func (b *Burst) Load(from []byte) ([]byte, bool) {
	if len(from) < burstSize {
		return from, false
	}
	n := Burst{
		open: get64(from), first: uint64(get64(from[8:])), second: uint64(get64(from[16:])),
		count: get32(from[24:]), closed: get32(from[28:]), flags: from[32],
	}
	if n.open < 0 || n.first > maxCount<<scale || n.second > maxCount*maxCount<<scale || n.count > maxCount || n.flags&^burstAll != 0 ||
		n.flags&burstLive == 0 && n != (Burst{}) {
		return from, false
	}
	*b = n
	return from[burstSize:], true
}
