package season

import "github.com/mbp-market/mbp/engine/internal/fixed"

// Count adds up what every account had at the moment that began it. What changes before
// an account is counted is kept as it was: what the account's credits or its part of a
// market were worth then, once, before the first change.
type Count struct {
	ends, begins *Season
	was          []fixed.Micros // of the season that ends, as Set.base
	from, last   uint32         // accounts still to count
	done         uint32         // markets of the first of them that are counted,
	part         fixed.Micros   // with its credits worth so much

	kept   map[place]fixed.Micros // never ranged over but sorted, as the following
	marks  map[uint32]*Mark       // of markets that changed since
	ranked map[uint32]bool        // who could be ranked then, of those that changed since
}

// place is an account's part of a market; market 0 is its credits.
type place struct{ account, market uint32 }

// Mark is what the shares and the liquidity of a market were worth at the moment.
type Mark struct {
	Prices []fixed.Price // nil: it was paying by its outcome or by prices
	Pools  fixed.Micros  // what the pools were worth
	Units  fixed.Shares  // of liquidity in existence
}

// Counting returns the count that is under way, nil if there is none.
func (s *Set) Counting() *Count { return s.count }

// Seasons returns the names of the season that ends and of the one that begins.
func (c *Count) Seasons() (ends, begins string) {
	if c.ends != nil {
		ends = c.ends.Name
	}
	if c.begins != nil {
		begins = c.begins.Name
	}
	return ends, begins
}

// At returns which account comes next, the last one, how many markets of the next one
// are counted, and what they and its credits were worth.
func (c *Count) At() (next, last, markets uint32, part fixed.Micros) {
	return c.from, c.last, c.done, c.part
}

// Waits reports whether an account is still to be counted.
func (c *Count) Waits(account uint32) bool { return account >= c.from && account <= c.last }

// Marked returns what a market was worth at the moment, nil if it has not changed since.
func (c *Count) Marked(market uint32) *Mark { return c.marks[market] }

// Mark keeps what a market was worth at the moment, before its first change.
func (c *Count) Mark(market uint32, m *Mark) { c.marks[market] = m }

// Kept returns what an account's part of a market was worth at the moment, or its
// credits for market 0; false if they have not changed since.
func (c *Count) Kept(account, market uint32) (fixed.Micros, bool) {
	v, ok := c.kept[place{account, market}]
	return v, ok
}

// Keep keeps it, before the first change.
func (c *Count) Keep(account, market uint32, worth fixed.Micros) {
	c.kept[place{account, market}] = worth
}

// Ranked reports whether an account could be ranked at the moment; changed says whether
// that is kept.
func (c *Count) Ranked(account uint32) (ranked, changed bool) {
	ranked, changed = c.ranked[account]
	return ranked, changed
}

// KeepRanked keeps it, before the first change.
func (c *Count) KeepRanked(account uint32, ranked bool) {
	if _, known := c.ranked[account]; !known && c.Waits(account) {
		c.ranked[account] = ranked
	}
}

// Piece is the next part of a count.
type Piece struct {
	From     uint32         // the first account
	Worth    []fixed.Micros // of it and those after it
	Unranked func(account uint32) bool
	Erased   func(account uint32) bool
	Next     uint32 // the first account not counted; 0: all were
	Markets  uint32 // of Next that are counted,
	Part     fixed.Micros
}

// Count adds a piece to the count that is under way, and ends that with the last one;
// false if the piece is not the next one.
func (s *Set) Count(p *Piece) bool {
	c := s.count
	if c == nil || p.From != c.from || uint64(p.From)+uint64(len(p.Worth)) > uint64(c.last)+1 {
		return false
	}
	after := p.From + uint32(len(p.Worth))
	if p.Next == 0 && after != c.last+1 || p.Next != 0 && (p.Next != after || after > c.last || len(p.Worth) == 0 && p.Markets <= c.done) {
		return false
	}
	var lines []Standing
	for i, worth := range p.Worth {
		account := p.From + uint32(i)
		if c.begins != nil {
			s.base[account-1] += worth
		}
		profit := worth - of(c.was, account)
		if c.ends == nil || profit == 0 || p.Unranked(account) {
			continue
		}
		if p.Erased(account) {
			account = 0
		}
		lines = append(lines, Standing{account, profit})
	}
	if c.ends != nil {
		Sort(lines)
		c.ends.Standings = merged(c.ends.Standings, lines)
	}
	if c.from, c.done, c.part = p.Next, p.Markets, p.Part; p.Next == 0 {
		s.finish()
	}
	return true
}

// merged puts the lines of b, which are in order, between those of a.
func merged(a, b []Standing) []Standing {
	i, j := len(a)-1, len(b)-1
	a = append(a, b...)
	for k := len(a) - 1; j >= 0; k-- {
		if i >= 0 && before(a[i], b[j]) > 0 {
			a[k] = a[i]
			i--
		} else {
			a[k] = b[j]
			j--
		}
	}
	return a
}
