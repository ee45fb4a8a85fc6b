// Package ahead looks at what folding the next decisions will need, for a few of them
// at once. A fold by itself waits for the memory dozens of times a decision, each time
// for a place that only the place before names; of several decisions these waits
// overlap, if each step is taken for all of them before the next one (group
// prefetching: Chen, Ailamaki, Gibbons and Mowry, Improving Hash Join Performance
// through Prefetching, ICDE 2004). It promises to change nothing and to take any
// decision, fitting or not; what it does not foresee costs time alone. It refuses to
// fold.
package ahead

import (
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/internal/book"
	"github.com/mbp-market/mbp/engine/internal/fold"
	"github.com/mbp-market/mbp/engine/internal/repeat"
)

// Together is how many decisions are looked at together: about as many looks into
// memory as a processor has under way.
const Together = 16

// maxParties bounds what is looked at of the decisions together: a few each.
const maxParties = 4 * Together

// party is an account that does something in a market, with an order of its, if ID
// is not 0.
type party struct {
	market *fold.Market
	order  book.Ahead
	place  uint32 // among the market's holders
}

// Look holds what is looked at. It is used by one goroutine; the zero value is ready.
type Look struct {
	parties [maxParties]party
	n       int
	seen    uint64 // of all that was touched, so that touching it is not optimised away
}

// Change looks ahead of folding some decisions, at most Together.
func (l *Look) Change(s *fold.State, ds []*engine.Decision) {
	l.n = 0
	for _, d := range ds {
		l.decision(s, d)
	}
	ps, seen := l.parties[:l.n], uint64(0)
	for i := range ps {
		p := &ps[i]
		a := p.order.Account
		seen ^= s.Ledger.AheadOf(a)
		if x := s.Account(engine.AccountID(a)); x != nil {
			seen ^= uint64(x.Orders) ^ x.Attempts.Ahead()
		}
		if p.order.ID != 0 {
			seen ^= p.order.Find(s.Orders)
		}
		seen ^= lines(p.market)
	}
	for i := range ps {
		p := &ps[i]
		m := p.market
		seen ^= m.Balance.Ahead() ^ p.order.Node(s.Orders) ^ uint64(m.Books[0].Len()) ^ uint64(m.Prices[0]) ^ m.Guards[0].Ahead() ^ m.Spikes[0].Ahead()
		if x := s.Account(engine.AccountID(p.order.Account)); x != nil && x.Burst != nil {
			seen ^= x.Burst.Ahead()
		}
	}
	for i := range ps {
		p := &ps[i]
		if p.order.ID != 0 {
			seen ^= p.order.Links(s.Orders, p.market.Books)
		}
		place, sum := p.market.Balance.AheadHolder(p.order.Account)
		p.place = place
		seen ^= sum ^ s.Ledger.AheadJoin(p.order.Account)
	}
	for i := range ps {
		p := &ps[i]
		seen ^= p.market.Balance.AheadPlace(p.place) ^ p.order.Leaf(s.Orders)
	}
	for i := range ps {
		seen ^= ps[i].order.Level(s.Orders)
	}
	for i := range ps {
		seen ^= ps[i].order.Ends(s.Orders)
	}
	l.seen ^= seen
}

// lines touches the cache lines of a market that trading needs.
func lines(m *fold.Market) uint64 {
	return uint64(m.ID) ^ uint64(m.CloseAt) ^ uint64(m.Moved) ^ uint64(len(m.Prices)) ^ uint64(m.Rate) ^ uint64(m.Volume) ^ uint64(m.Drain)
}

// decision adds the parties of a decision.
func (l *Look) decision(s *fold.State, d *engine.Decision) {
	of := engine.AccountID(0)
	switch x := d.Command.(type) {
	case *engine.PlaceOrder:
		if len(d.Events) == 0 {
			l.add(s, x.Market, book.Ahead{Account: uint32(x.Account)})
		}
	case *engine.CancelOrder:
		of = x.Account
	}
	for _, e := range d.Events {
		switch x := e.(type) {
		case *engine.OrderFilled:
			l.add(s, x.Market, book.Ahead{Account: uint32(x.Account)})
			for i := range x.Fills {
				if f := &x.Fills[i]; f.Maker != 0 {
					l.add(s, x.Market, book.Ahead{ID: uint64(f.Maker), Account: uint32(f.Account)})
				}
			}
		case *engine.OrderRested:
			o := book.Order{Outcome: uint8(x.Outcome), Sell: x.Side == engine.Sell, Limit: x.Limit}
			if m := s.Market(x.Market); m != nil && m.Kind.Has(x.Outcome, m.Outcomes()) {
				m.Stand(&o)
				l.add(s, x.Market, book.Ahead{ID: uint64(x.Order), Account: uint32(x.Account), Fresh: true, Book: o.Book, Bid: o.Bid, Price: o.Price})
			}
		case *engine.OrdersClosed:
			for i := range x.Orders {
				c := &x.Orders[i]
				l.add(s, c.Market, book.Ahead{ID: uint64(c.Order), Account: uint32(of)})
			}
		case *engine.OrderReduced:
			l.add(s, x.Market, book.Ahead{ID: uint64(x.Order)})
		}
	}
}

func (l *Look) add(s *fold.State, id engine.MarketID, o book.Ahead) {
	if m := s.Market(id); m != nil && l.n < maxParties {
		l.parties[l.n] = party{market: m, order: o}
		l.n++
	}
}

// Remember remembers the requests of decisions, a few at once.
func Remember(s *repeat.Set, ds []*engine.Decision) {
	var room [2 * repeat.Together]repeat.Request
	rs := room[:0]
	for _, d := range ds {
		if d.Key == (engine.Tag{}) {
			continue
		}
		rs = append(rs, repeat.Request{Principal: d.Principal, Key: repeat.Tag(d.Key), Entry: repeat.Entry{Input: repeat.Tag(d.Input), Seq: uint64(d.Seq), At: int64(d.At)}})
		if len(rs) == len(room) {
			s.RememberAll(rs)
			rs = rs[:0]
		}
	}
	s.RememberAll(rs)
}
