package engine

import (
	"github.com/mbp-market/mbp/engine/internal/amm"
	"github.com/mbp-market/mbp/engine/internal/form"
)

func (s *State) openMarket(d *Decision, x *OpenMarket) {
	t, creator := s.template(x.Template), s.account(x.Creator)
	switch {
	case x.Liquidity < 1 || x.Liquidity > MaxAmount:
		d.reject(InvalidCommand, "liquidity_micros lies in 1..2^52")
	case x.Price < 1 || x.Price >= One:
		d.reject(InvalidCommand, "price_micros lies in 1..999999")
	case x.CloseAt < 0 || x.CloseAt != 0 && x.CloseAt <= d.At:
		d.reject(InvalidCommand, "close_at is not in the future")
	case t == nil:
		d.reject(TemplateNotFound, "")
	case creator == nil:
		d.reject(AccountNotFound, "")
	case !form.Title(x.Title, t.MaxTitle):
		d.reject(TemplateBounds, "title is one line of 1..max_title bytes without control characters")
	case x.Liquidity < t.MinLiquidity || x.Liquidity > t.MaxLiquidity:
		d.reject(TemplateBounds, "liquidity_micros lies in min_liquidity_micros..max_liquidity_micros")
	case x.Price <= t.MinPrice || x.Price >= t.MaxPrice:
		d.reject(TemplateBounds, "price_micros lies between min_price_micros and max_price_micros")
	case x.Liquidity > creator.available:
		d.reject(InsufficientFunds, "")
	case int64(len(s.markets)) >= s.policy.MaxMarkets:
		d.reject(LimitReached, "")
	default:
		pool := amm.Open(x.Liquidity, x.Price)
		price, _ := pool.Prices()
		d.add(&MarketOpened{
			Market:   MarketID(len(s.markets) + 1),
			Template: x.Template, Title: x.Title, Creator: x.Creator, Liquidity: x.Liquidity, CloseAt: x.CloseAt,
			PoolYes: pool.Own, PoolNo: pool.Other, Price: price,
		})
	}
}

// transition moves a market that is in one state to another.
func (s *State) transition(d *Decision, id MarketID, from, to MarketState) {
	if m := s.in(d, id, from); m != nil {
		d.add(&MarketStateChanged{Market: id, From: m.state, To: to})
	}
}

// in returns the market if it is in one of the states, and rejects otherwise.
func (s *State) in(d *Decision, id MarketID, states ...MarketState) *market {
	m := s.market(id)
	if m == nil {
		d.reject(MarketNotFound, "")
		return nil
	}
	for _, st := range states {
		if m.state == st {
			return m
		}
	}
	d.reject(WrongState, "")
	return nil
}

func (s *State) resume(d *Decision, x *ResumeMarket) {
	if m := s.market(x.Market); m != nil && m.closeAt != 0 && d.At >= m.closeAt {
		d.reject(MarketClosed, "")
		return
	}
	s.transition(d, x.Market, Paused, Open)
}

func (s *State) propose(d *Decision, x *ProposeResolution) {
	switch {
	case x.Outcome > No:
		d.reject(InvalidCommand, "outcome is YES or NO")
		return
	case !form.URI(x.EvidenceURI):
		d.reject(InvalidCommand, "evidence_uri is a URI of at most 512 visible ASCII characters")
		return
	case x.EvidenceSHA256 == Digest{}:
		d.reject(InvalidCommand, "evidence_sha256 is missing")
		return
	}
	if m := s.in(d, x.Market, Open, Paused); m != nil {
		d.add(&ResolutionProposed{Market: x.Market, Outcome: x.Outcome, EvidenceURI: x.EvidenceURI, EvidenceSHA256: x.EvidenceSHA256})
		d.add(&MarketStateChanged{Market: x.Market, From: m.state, To: Proposed})
	}
}

func (s *State) approve(d *Decision, x *ApproveResolution) {
	m := s.in(d, x.Market, Proposed)
	if m == nil {
		return
	}
	if d.Principal == m.resolution.proposer {
		d.reject(SameApprover, "")
		return
	}
	d.add(&ResolutionApproved{Market: x.Market, Outcome: m.resolution.outcome, EvidenceSHA256: m.resolution.evidence})
	d.add(&MarketStateChanged{Market: x.Market, From: Proposed, To: Settling})
}

func (s *State) rejectResolution(d *Decision, x *RejectResolution) {
	if m := s.in(d, x.Market, Proposed); m != nil {
		d.add(&ResolutionRejected{Market: x.Market, Outcome: m.resolution.outcome, EvidenceSHA256: m.resolution.evidence})
		d.add(&MarketStateChanged{Market: x.Market, From: Proposed, To: Paused})
	}
}

// settle pays the next holders in the order in which they first held shares;
// the last decision pays the pool to the creator and ends the market.
func (s *State) settle(d *Decision, x *SettleMarket) {
	if d.Principal != System {
		d.reject(WrongState, "")
		return
	}
	m := s.in(d, x.Market, Settling)
	if m == nil {
		return
	}
	r := &m.resolution
	out := &PayoutsMade{Market: x.Market, Outcome: r.outcome, EvidenceSHA256: r.evidence}
	end := min(r.paid+SettleLimit, len(m.holders))
	for _, h := range m.holders[r.paid:end] {
		out.Payouts = append(out.Payouts, Payout{
			Account: h.account, Yes: h.shares[Yes], No: h.shares[No], Credits: Micros(h.shares[r.outcome]),
		})
	}
	d.add(out)
	if end == len(m.holders) {
		out.Last = true
		out.PoolYes, out.PoolNo = m.pool.Own, m.pool.Other
		out.PoolCredits = Micros(m.side(r.outcome).Own)
		d.add(&MarketStateChanged{Market: x.Market, From: Settling, To: Resolved})
	}
}
