package twap

import (
	"encoding/binary"

	"github.com/mbp-market/mbp/engine/internal/fixed"
)

// maxEdge bounds the edges that are read: µs of every time still fit.
const maxEdge = 1 << 39

// Append adds the canonical form of all that later calls depend on: big-endian
// integers, the sums of the slots from the newest back as far as the market is
// old and the guard looks.
func (g *Guard) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(g.edge))
	b = binary.BigEndian.AppendUint32(b, uint32(g.price))
	// What prices earlier in the open slot add to, or take from, a whole slot of the
	// present one.
	b = binary.BigEndian.AppendUint64(b, g.cum-g.marks[g.edge%slots]-uint64(g.price)*uint64(g.at-g.edge*SlotMicros))
	kept := min(g.edge-(g.start+SlotMicros-1)/SlotMicros, slots-1) // whole slots; −1 before the first edge
	b = append(b, uint8(kept+1))
	if kept < slots-1 {
		b = binary.BigEndian.AppendUint64(b, uint64(g.start))
	}
	for e := g.edge; e > g.edge-kept; e-- {
		b = binary.BigEndian.AppendUint64(b, g.marks[e%slots]-g.marks[(e-1)%slots])
	}
	if kept >= 0 && kept < slots-1 { // the part of a slot that the market began in
		b = binary.BigEndian.AppendUint64(b, g.marks[(g.edge-kept)%slots])
	}
	b = binary.BigEndian.AppendUint64(b, g.variance)
	b = append(b, g.samples, g.still, g.run, 0)
	if g.diverged {
		b[len(b)-1] = 1
	}
	b = append(b, uint8(g.edge+1-g.begin))
	if g.begin <= g.edge {
		b = binary.BigEndian.AppendUint64(b, g.marks[g.edge%slots]-g.from)
		b = binary.BigEndian.AppendUint64(b, g.ref.sum)
		b = binary.BigEndian.AppendUint64(b, g.ref.span)
	}
	return b
}

// reader takes big-endian integers off bytes, and zeros from their end on.
type reader struct {
	b     []byte
	short bool
}

func (r *reader) take(n int) (v uint64) {
	if len(r.b) < n {
		r.b, r.short = nil, true
		return 0
	}
	for _, x := range r.b[:n] {
		v = v<<8 | uint64(x)
	}
	r.b = r.b[n:]
	return v
}

// Load reads what Append wrote and returns the bytes after it; false if they are
// not the form of any guard that was started, which is then left as it was. What
// is read behaves as the original does, though its sums may begin elsewhere.
func (g *Guard) Load(from []byte) ([]byte, bool) {
	r := reader{b: from}
	var n Guard
	n.edge = int64(r.take(8))
	n.price = fixed.Price(r.take(4))
	moved := r.take(8)
	kept := int64(r.take(1)) - 1
	if kept < slots-1 {
		n.start = int64(r.take(8))
	}
	if r.short || uint64(n.edge) > maxEdge || n.price < 1 || n.price >= fixed.One || n.start < 0 || n.start/SlotMicros > n.edge ||
		kept != min(n.edge-(n.start+SlotMicros-1)/SlotMicros, slots-1) {
		return from, false
	}
	n.sums(&r, kept)
	n.at = max(n.edge*SlotMicros, n.start)
	if moved != 0 { // there was another price earlier in the open slot
		n.at = max(n.edge*SlotMicros+1, n.start)
	}
	n.cum = n.marks[n.edge%slots] + moved + uint64(n.price)*uint64(n.at-n.edge*SlotMicros)
	if !n.judged(&r) || r.short {
		return from, false
	}
	*g = n
	return r.b, true
}

// sums reads the sums of the slots that are kept. Where some are not, the first
// sum is any: only differences count.
func (g *Guard) sums(r *reader, kept int64) {
	for i := range max(kept, 0) { // the sum of a slot, at its end for now
		g.marks[(g.edge-i)%slots] = r.take(8)
	}
	sum := uint64(0)
	if kept >= 0 && kept < slots-1 {
		sum = r.take(8)
	}
	if kept >= 0 {
		g.marks[(g.edge-kept)%slots] = sum
	}
	for e := g.edge - kept + 1; kept > 0 && e <= g.edge; e++ {
		sum += g.marks[e%slots]
		g.marks[e%slots] = sum
	}
}

// judged reads what the guard judges by, and reports whether it can be.
func (g *Guard) judged(r *reader) bool {
	g.variance = r.take(8)
	g.samples, g.still, g.run = uint8(r.take(1)), uint8(r.take(1)), uint8(r.take(1))
	diverged, open := r.take(1), int64(r.take(1))
	g.diverged, g.begin = diverged == 1, g.edge+1-open
	if g.variance > 1<<60 || g.samples > armSamples || g.still > memorySlots || diverged > 1 || open > memorySlots || g.begin < 0 {
		return false
	}
	if open == 0 {
		return true
	}
	g.from = g.marks[g.edge%slots] - r.take(8)
	g.ref = mean{r.take(8), r.take(8)}
	return g.ref.span >= 1 && g.ref.span < 1<<30 && g.ref.sum < 1<<50
}
