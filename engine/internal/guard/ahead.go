package guard

// Ahead touches the memory of a detector that will be charged soon, so that several
// wait for it once. It changes nothing, and what it returns means nothing.
func (s *Self) Ahead() uint64 { return uint64(s.times[selfTimes-1]) }

// Ahead is as that of Self.
func (b *Burst) Ahead() uint64 { return uint64(b.open) }

// Ahead is as that of Self.
func (s *Spike) Ahead() uint64 { return uint64(s.open) ^ uint64(s.hi[spikeSlots-1]) }
