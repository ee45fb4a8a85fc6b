package fold

import (
	"math"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/internal/book"
	"github.com/mbp-market/mbp/engine/internal/dump"
	"github.com/mbp-market/mbp/engine/internal/fixed"
	"github.com/mbp-market/mbp/engine/internal/guard"
	"github.com/mbp-market/mbp/engine/internal/twap"
)

// Bounds of what is read.
const (
	maxTitle     = 512     // bytes
	maxLabel     = 128     // bytes
	maxPrincipal = 64      // bytes
	maxPeople    = 1 << 24 // principals behind a proposal, and others
)

// markets codes what is not in the ledger. A template is called by its place, from
// zero.
func (c coder) markets() {
	s := c.s
	places := make(map[*engine.Template]uint32, len(s.Templates))
	for i, t := range s.Templates {
		places[t] = uint32(i)
	}
	id := uint32(0)
	dump.List(c.Codec, &s.Markets, math.MaxInt32, func(m **Market) {
		id++
		of := uint32(0)
		if !c.Decoding {
			of = places[(*m).Template]
		}
		num(c, &of)
		if !c.Decoding {
			c.market(*m)
			return
		}
		*m = &Market{ID: engine.MarketID(id), Balance: s.Ledger.Market(id), claimOf: map[engine.AccountID]int32{}}
		if int64(of) >= int64(len(s.Templates)) || (*m).Balance == nil || !(*m).from(s.Templates[of]) {
			c.Fail("market %d does not fit its template, or is not in the ledger", id)
			return
		}
		c.market(*m)
	})
	if c.Decoding && s.Ledger.Markets() != len(s.Markets) {
		c.Fail("%d markets, %d in the ledger", len(s.Markets), s.Ledger.Markets())
	}
}

// from gives a market its template and what follows from that, and reports whether
// it has as many outcomes as markets of its kind can have.
func (m *Market) from(t *engine.Template) bool {
	m.Template, m.Kind = t, t.Kind
	books := m.Outcomes()
	if t.Kind != engine.Categorical {
		if books != 2 {
			return false
		}
		books = 1
	}
	m.Books, m.Guards, m.Spikes = make([]book.Book, books), make([]twap.Guard, books), make([]guard.Spike, books)
	return true
}

// Stand sets where an order of the market stands, and returns its book.
func (m *Market) Stand(o *book.Order) *book.Book {
	i := engine.Outcome(o.Outcome).Index()
	o.Price, o.Bid = o.Limit, o.Sell == m.Mirrored(i)
	if m.Mirrored(i) {
		o.Price = engine.One - o.Limit
	}
	if len(m.Books) > 1 {
		o.Book = uint8(i)
	}
	return m.Book(i)
}

func (c coder) market(m *Market) {
	c.Text(&m.Title, maxTitle)
	dump.List(c.Codec, &m.Labels, engine.MaxOutcomes, func(l *string) { c.Text(l, maxLabel) })
	num(c, &m.Creator)
	num(c, &m.Moved)
	signed(c, &m.Min, &m.Max)
	signed(c, &m.OpenedAt, &m.CloseAt, &m.since, &m.Cooling)
	num(c, &m.State)
	signed(c, &m.open, &m.Rate, &m.Trades)
	num(c, &m.Flags)
	c.Form(&m.Burst)
	for i := range m.Guards {
		c.Form(&m.Guards[i])
		c.Form(&m.Spikes[i])
	}
	dump.List(c.Codec, &m.Prices, engine.MaxOutcomes, func(p *engine.Price) { signed(c, p) })
	signed(c, &m.Volume, &m.lpHeld)
	c.wide(&m.lpRate)
	c.marks(&m.marks)
	dump.List(c.Codec, &m.claims, math.MaxInt32, func(x *claim) {
		num(c, &x.account)
		c.wide(&x.rate)
		signed(c, &x.owed)
		c.marks(&x.past)
	})
	for i := range m.claims {
		m.claimOf[m.claims[i].account] = int32(i)
	}
	dump.List(c.Codec, &m.facts, maxPeople, func(f *Fact) {
		c.Text(&f.Principal, maxPrincipal)
		num(c, &f.Outcome)
		signed(c, &f.Value)
		num(c, &f.Cancel)
		signed(c, &f.At)
		c.Raw(f.Rule[:])
	})
	c.event(&m.Proposal.ResolutionProposed)
	signed(c, &m.Proposal.At)
	c.people(&m.Proposal.Backers)
	c.Flag(&m.Proposal.Reported)
	c.people(&m.Disputes)
	num(c, &m.Drain)
	m.Gate.Code(c.Codec)
	num(c, &m.Sift)
	c.ending(m)
	if c.Decoding {
		c.fits(m)
	}
}

// fits refuses what no market can be, as far as looking at it later would panic.
func (c coder) fits(m *Market) {
	e, n := &m.End, m.Outcomes()
	switch {
	case c.Err != nil:
	case m.Moved > c.s.Seq:
		c.Fail("market %d moved at %d", m.ID, m.Moved)
	case len(m.claimOf) != len(m.claims):
		c.Fail("market %d has two claims of an account", m.ID)
	case m.State < engine.Open || m.State > engine.Canceled || c.s.Account(m.Creator) == nil || len(m.Prices) != n:
		c.Fail("market %d is in state %d, of account %d, with %d prices", m.ID, m.State, m.Creator, len(m.Prices))
	case m.Kind == engine.Categorical && len(m.Labels) != n || m.Kind != engine.Categorical && len(m.Labels) != 0:
		c.Fail("market %d has %d labels", m.ID, len(m.Labels))
	case e.next < 0 || e.next > m.Balance.Holders() || len(e.Payouts) != 0 && len(e.Payouts) != n || e.past != nil && m.State != engine.Settling:
		c.Fail("the end of market %d does not fit", m.ID)
	}
}

func (c coder) people(v *[]string) {
	dump.List(c.Codec, v, maxPeople, func(s *string) { c.Text(s, maxPrincipal) })
}

func (c coder) wide(v *fixed.U128) {
	num(c, &v.Hi)
	num(c, &v.Lo)
}

func (c coder) marks(v *[]mark) {
	dump.List(c.Codec, v, math.MaxInt32, func(k *mark) {
		signed(c, &k.at)
		c.wide(&k.rate)
		signed(c, &k.sum)
		signed(c, &k.of)
	})
}

func (c coder) ending(m *Market) {
	e := &m.End
	num(c, &e.How)
	num(c, &e.Outcome)
	dump.List(c.Codec, &e.Payouts, engine.MaxOutcomes, func(p *engine.Price) { signed(c, p) })
	if c.Decoding && e.How == engine.EndByRefund {
		e.Payouts = []engine.Price{} // none, which is not the same as not yet
	}
	c.Raw(e.evidence[:])
	signed(c, &e.effectiveAt)
	signed(c, &e.pot, &e.recovered, &e.due, &e.fees)
	num(c, &e.Phase)
	e.next = c.Len(e.next, math.MaxInt32)
	m.Balance.CodePast(c.Codec, &e.past)
	p := &e.portions
	signed(c, &p.pools, &p.fees, &p.earned, &p.creator)
	signed(c, &p.units)
}
