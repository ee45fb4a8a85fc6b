package fold

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/internal/amm"
	"github.com/mbp-market/mbp/engine/internal/book"
	"github.com/mbp-market/mbp/engine/internal/due"
	"github.com/mbp-market/mbp/engine/internal/repeat"
)

// hasher writes what a state is made of, in an order of its own.
type hasher struct {
	h hash.Hash
	b []byte
}

func (h *hasher) num(vs ...int64) {
	for _, v := range vs {
		h.b = binary.AppendVarint(h.b, v)
	}
	if len(h.b) > 1<<12 {
		h.flush()
	}
}

func (h *hasher) text(s string) {
	h.num(int64(len(s)))
	h.b = append(h.b, s...)
}

func (h *hasher) raw(b []byte) { h.b = append(h.b, b...) }

func (h *hasher) flush() {
	h.h.Write(h.b)
	h.b = h.b[:0]
}

// Hash returns a digest of everything a later decision can depend on. Equal
// journals give equal hashes on every platform, and so do a state that was folded
// and one that decided.
func (s *State) Hash() engine.Digest {
	h := &hasher{h: sha256.New()}
	h.num(int64(s.Seq), int64(s.At), int64(s.Version), int64(s.Mode), int64(len(s.Before)), int64(len(s.Templates)), int64(len(s.Added)))
	for _, p := range s.Before {
		d := p.Digest()
		h.raw(d[:])
	}
	d := s.Policy.Digest()
	h.raw(d[:])
	for _, t := range s.Templates {
		h.raw(engine.Canonical(&engine.TemplateAdded{Template: *t}))
	}
	for _, d := range s.Added {
		h.raw(d[:])
		if k := s.Keys[d]; k != nil {
			h.raw(engine.Canonical(&engine.KeyAdded{Key: *k}))
		}
	}
	h.num(int64(len(s.Accounts)), int64(len(s.Markets)))
	for i := range s.Accounts {
		h.account(&s.Accounts[i])
	}
	h.flush()
	s.Ledger.Dump(func(b []byte) { h.h.Write(b) })
	for _, m := range s.Markets {
		s.hashMarket(h, m)
	}
	for _, id := range s.Work {
		h.num(int64(id))
	}
	s.Due.Each(func(e due.Entry) { h.num(e.At, int64(e.Kind), int64(e.ID)) })
	s.hashModeration(h)
	s.Repeats.Each(func(who string, k repeat.Tag, e repeat.Entry) {
		h.text(who)
		h.raw(k[:])
		h.raw(e.Input[:])
		h.num(int64(e.Seq), e.At)
	})
	h.flush()
	return engine.Digest(h.h.Sum(nil))
}

func (h *hasher) account(a *Account) {
	h.num(a.Orders, a.Trades, int64(a.Flags), int64(a.Limited), int64(a.by))
	h.b = a.Attempts.Append(h.b)
	if a.Wash != nil {
		h.b = a.Wash.Append(h.b)
	}
	if a.Burst != nil {
		h.b = a.Burst.Append(h.b)
	}
}

func (s *State) hashMarket(h *hasher, m *Market) {
	h.text(m.Template.Name())
	h.text(m.Title)
	for _, l := range m.Labels {
		h.text(l)
	}
	h.num(int64(m.Creator), m.Min, m.Max, int64(m.OpenedAt), int64(m.CloseAt), int64(m.State), m.OpenTime(s.At), int64(m.Cooling), m.Rate,
		int64(m.Flags), int64(m.Volume), m.Trades, int64(m.lpHeld), int64(m.lpRate.Hi), int64(m.lpRate.Lo), int64(m.Drain))
	h.b = m.Burst.Append(h.b)
	for i := range m.Guards {
		h.b = m.Guards[i].Append(h.b)
		h.b = m.Spikes[i].Append(h.b)
	}
	for i := range m.Books {
		s.Orders.Each(&m.Books[i], func(o *book.Order) {
			h.num(int64(o.ID), int64(o.Account), int64(o.Outcome), int64(o.TIF), int64(o.Limit), int64(o.Shares), int64(o.Filled), o.Expires)
		})
	}
	h.marks(m.marks)
	for _, c := range m.claims {
		h.num(int64(c.account), int64(c.rate.Hi), int64(c.rate.Lo), int64(c.owed))
		h.marks(c.past)
	}
	for _, f := range m.facts {
		h.text(f.Principal)
		h.raw(f.Rule[:])
		h.num(int64(f.Outcome), f.Value, int64(f.Cancel), int64(f.At))
	}
	p, e := &m.Proposal, &m.End
	h.raw(engine.Canonical(&p.ResolutionProposed))
	h.num(int64(p.At), int64(len(p.Backers)))
	if p.Reported {
		h.num(1)
	}
	for _, b := range p.Backers {
		h.text(b)
	}
	h.num(int64(len(m.Disputes)))
	for _, b := range m.Disputes {
		h.text(b)
	}
	h.raw(e.evidence[:])
	h.num(int64(e.How), int64(e.Outcome), int64(e.effectiveAt), int64(e.pot), int64(e.recovered), int64(e.due), int64(e.Phase), int64(e.next),
		int64(e.fees), int64(e.portions.pools), int64(e.portions.units), int64(e.portions.fees), int64(e.portions.earned), int64(e.portions.creator))
	for _, v := range e.Payouts {
		h.num(int64(v))
	}
	if e.past != nil {
		h.flush()
		e.past.Dump(func(b []byte) { h.h.Write(b) })
	}
}

func (s *State) hashModeration(h *hasher) {
	s.Moderations.Each(func(q engine.Seq, m *engine.Moderated) {
		h.num(int64(q), int64(m.Action), int64(m.Account), int64(m.Until), int64(m.Abuse))
	})
	s.Abuses.Each(func(q engine.Seq, dismissed bool) {
		word := int64(0)
		if dismissed {
			word = 1
		}
		h.num(int64(q), word, int64(s.Abuses.kept[q].owner))
	})
}

func (h *hasher) marks(marks []mark) {
	h.num(int64(len(marks)))
	for i := range marks {
		k := &marks[i]
		h.num(int64(k.at), int64(k.rate.Hi), int64(k.rate.Lo), int64(k.sum), int64(k.of))
	}
}

// Check looks at everything and says what does not hold: the ledger is conserved,
// what is reserved is what the open orders need, credits back the complete sets,
// the best bid is not above the pool's price nor that above the best ask where
// there is one book, prices are in range. It costs a look at every balance and order.
func (s *State) Check() error {
	if err := s.Ledger.Conserved(); err != nil {
		return err
	}
	type asset struct {
		account uint32
		market  uint32
		outcome int
	}
	want := map[asset]int64{}
	for _, m := range s.Markets {
		for i := range m.Books {
			s.Orders.Each(&m.Books[i], func(o *book.Order) {
				if o.Sell {
					want[asset{o.Account, o.Market, engine.Outcome(o.Outcome).Index()}] += int64(o.Shares)
				} else {
					want[asset{o.Account, 0, 0}] += int64(Held(o))
				}
			})
		}
	}
	for i := range s.Accounts {
		id := uint32(i + 1)
		if got := int64(s.Ledger.Reserved(id)); got != want[asset{id, 0, 0}] {
			return fmt.Errorf("account %d has %d credits reserved, its orders need %d", id, got, want[asset{id, 0, 0}])
		}
	}
	var held Funds
	for _, m := range s.Markets {
		held.add(m.Balance, 1)
		for i := range m.Balance.Holders() {
			for o := range m.Outcomes() {
				a := m.Balance.Holder(i)
				if got := int64(m.Balance.Held(i, o)); got != want[asset{a, uint32(m.ID), o}] {
					return fmt.Errorf("account %d has %d shares of %s reserved, its orders need %d", a, got, m.ID, want[asset{a, uint32(m.ID), o}])
				}
			}
		}
		if err := m.check(); err != nil {
			return fmt.Errorf("market %s: %w", m.ID, err)
		}
	}
	if held != s.Held {
		return fmt.Errorf("markets hold %+v, the state says %+v", held, s.Held)
	}
	return nil
}

var errCrossed = errors.New("a resting order stands across the pool's price")

func (m *Market) check() error {
	if m.State == engine.Settling || m.State == engine.Resolved || m.State == engine.Canceled {
		return nil
	}
	for o := range m.Outcomes() {
		if m.Balance.Supply(o) != engine.Shares(m.Balance.Collateral()) {
			return fmt.Errorf("%d shares of outcome %d are backed by %d credits", m.Balance.Supply(o), o, m.Balance.Collateral())
		}
	}
	var room [engine.MaxOutcomes]engine.Price
	sum := engine.Price(0)
	for i, p := range amm.Prices(m.Balance.Pools(), room[:0]) {
		bid, ask := m.Best(i)
		// With more than two outcomes a trade in one of them moves the prices of the
		// others past orders that wait there; those stay at their own limits.
		if len(m.Books) == 1 && m.State == engine.Open && (bid > p+1 || ask != 0 && ask < p-1) {
			return fmt.Errorf("%w: bid %d, pool %d, ask %d of outcome %d", errCrossed, bid, p, ask, i)
		}
		sum += p
	}
	if sum != engine.One {
		return fmt.Errorf("prices sum to %d", sum)
	}
	return nil
}
