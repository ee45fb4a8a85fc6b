package ledger

// What Apply will look at, for a caller that is about to apply several: each of these
// touches memory one step further than the one before, and a caller that takes each
// step for all of them waits for the memory once. They change nothing, and what they
// return means nothing but for a place.

// AheadOf touches the credits of an account.
func (l *Ledger) AheadOf(account uint32) uint64 {
	if account-1 >= uint32(len(l.accounts)) {
		return 0
	}
	return uint64(l.accounts[account-1].reserved)
}

// AheadJoin touches where an account notes that it joins a market.
func (l *Ledger) AheadJoin(account uint32) uint64 {
	if account-1 >= uint32(len(l.accounts)) {
		return 0
	}
	ms := l.accounts[account-1].markets
	if len(ms) == 0 {
		return 0
	}
	return uint64(ms[len(ms)-1])
}

// Ahead touches the market itself, one number in each of its cache lines.
func (m *Market) Ahead() uint64 {
	return uint64(m.n) ^ uint64(m.units) ^ uint64(len(m.index.slots)) ^ uint64(len(m.held)) ^ uint64(m.lastAccount) ^ uint64(m.ring.n) ^ m.moves
}

// AheadHolder touches the market's stock, the end of its ring, and where a holder is
// looked for; place is for AheadPlace.
func (m *Market) AheadHolder(account uint32) (place uint32, seen uint64) {
	seen = uint64(m.pools[0])
	if n := len(m.ring.chunks); n != 0 {
		seen ^= uint64(len(m.ring.chunks[n-1]))
	}
	if len(m.index.slots) != 0 {
		place = m.index.slots[m.index.hash(account)]
	}
	return place, seen
}

// AheadPlace touches what a holder has, and what is next in the ring.
func (m *Market) AheadPlace(place uint32) (seen uint64) {
	if n := len(m.ring.chunks); n != 0 {
		if c := m.ring.chunks[n-1]; len(c) != 0 {
			seen = uint64(c[len(c)-1].at)
		}
	}
	i := int(place) - 1
	if i < 0 {
		i = len(m.holders) - 1
	}
	if i < 0 {
		return seen
	}
	return seen ^ uint64(m.holders[i]) ^ uint64(m.net[i]) ^ uint64(m.shares[i*m.n]) ^ uint64(at(m.held, i*m.n))
}
