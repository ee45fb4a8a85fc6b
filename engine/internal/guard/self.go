package guard

// SelfParams bound how often an account's orders may meet its own.
type SelfParams struct {
	Times  int64 // meetings that raise the signal, 1..8; 0: off
	Window int64 // µs within which they count, 1 µs..24 h if Times is not 0
}

const selfTimes = 8

// Self remembers when an account's orders last met its own. Self-trade
// prevention stops each such meeting; an account that goes on trying shows
// volume that it does not want to be bound by.
type Self struct {
	n     uint8            // times kept
	times [selfTimes]int64 // µs, the oldest first
}

// Peek says whether a meeting at now (µs) completes the signal.
func (s *Self) Peek(p SelfParams, now int64) Verdict {
	if p.Times == 0 {
		return Verdict{}
	}
	seen := int64(1)
	for _, at := range s.times[:s.n] {
		if now-at <= p.Window {
			seen++
		}
	}
	over := seen >= p.Times
	return Verdict{over, over, seen, p.Times}
}

// Charge counts a meeting at now (µs) and returns what Peek would have said. The
// signal forgets the meetings, so the next one needs as many again.
func (s *Self) Charge(p SelfParams, now int64) Verdict {
	v := s.Peek(p, now)
	switch {
	case p.Times == 0:
	case v.Over:
		*s = Self{}
	case s.n == selfTimes:
		copy(s.times[:], s.times[1:])
		s.times[selfTimes-1] = now
	default:
		s.times[s.n] = now
		s.n++
	}
	return v
}

const selfSize = 1 + 8*selfTimes

// Append adds the canonical form to b.
func (s *Self) Append(to []byte) []byte {
	to = append(to, s.n)
	for _, at := range s.times {
		to = put64(to, at)
	}
	return to
}

// Load reads what Append wrote and returns the bytes after it; false if they
// are not the form of any Self, which is then left as it was.
func (s *Self) Load(from []byte) ([]byte, bool) {
	if len(from) < selfSize || from[0] > selfTimes {
		return from, false
	}
	n := Self{n: from[0]}
	for i := range n.times {
		n.times[i] = get64(from[1+8*i:])
		if n.times[i] < 0 || i >= int(n.n) && n.times[i] != 0 || i > 0 && i < int(n.n) && n.times[i] < n.times[i-1] {
			return from, false
		}
	}
	*s = n
	return from[selfSize:], true
}
