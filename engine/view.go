package engine

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/mbp-market/mbp/engine/internal/repeat"
	"github.com/mbp-market/mbp/engine/internal/wire"
)

// Market is what anybody may know of a market.
type Market struct {
	Market    MarketID    `json:"market"`
	Template  string      `json:"template"`
	Title     string      `json:"title"`
	State     MarketState `json:"state"`
	Creator   AccountID   `json:"creator"`
	Liquidity Micros      `json:"liquidity_micros"`
	CloseAt   *Time       `json:"close_at"`
	PriceYes  Price       `json:"yes_price_micros"`
	PriceNo   Price       `json:"no_price_micros"`
	TWAP      Price       `json:"twap_micros"` // of YES over the last five minutes
	PoolYes   Shares      `json:"pool_yes_micros"`
	PoolNo    Shares      `json:"pool_no_micros"`
	Depth     Micros      `json:"depth_micros"` // credits that move a price by two points
	Volume    Micros      `json:"volume_micros"`
	Trades    int64       `json:"trades"`
	Outcome   *Outcome    `json:"outcome"` // once its resolution is approved
}

// Account is what a trading account holds.
type Account struct {
	Account   AccountID  `json:"account"`
	Available Micros     `json:"available_micros"`
	Positions []Position `json:"positions"`
}

// Position is a holding of shares.
type Position struct {
	Market  MarketID `json:"market"`
	Outcome Outcome  `json:"outcome"`
	Shares  Shares   `json:"shares_micros"`
}

const (
	depthBand  = 20_000 // ppm: depth at two points
	twapWindow = 300    // seconds
)

// MarketCount returns how many markets there are; their ids are 1..MarketCount.
func (s *State) MarketCount() int { return len(s.markets) }

// AccountCount returns how many accounts there are.
func (s *State) AccountCount() int { return len(s.accounts) }

// Market returns what anybody may know of a market at a time.
func (s *State) Market(id MarketID, now Time) (Market, bool) {
	m := s.market(id)
	if m == nil {
		return Market{}, false
	}
	v := Market{
		Market: m.id, Template: m.template.Name(), Title: m.title, State: m.state, Creator: m.creator, Liquidity: m.liquidity,
		TWAP: m.twap.Mean(int64(now), twapWindow), PoolYes: m.pool.Own, PoolNo: m.pool.Other, Volume: m.volume, Trades: m.trades,
	}
	if m.closeAt != 0 {
		at := m.closeAt
		v.CloseAt = &at
	}
	if m.resolution.decided {
		o := m.resolution.outcome
		v.Outcome = &o
	}
	if m.state == Resolved { // the pool is gone; the price is what a share was worth
		v.PriceYes, v.PriceNo = One-1, 1
		if m.resolution.outcome == No {
			v.PriceYes, v.PriceNo = 1, One-1
		}
		return v, true
	}
	v.PriceYes, v.PriceNo = m.pool.Prices()
	v.Depth = m.pool.Depth(depthBand, m.template.MinPrice, m.template.MaxPrice)
	return v, true
}

// Account returns what an account holds; its markets in the order in which it
// first held shares of them.
func (s *State) Account(id AccountID) (Account, bool) {
	a := s.account(id)
	if a == nil {
		return Account{}, false
	}
	v := Account{Account: id, Available: a.available, Positions: []Position{}}
	for _, mid := range a.markets {
		for o := Yes; o <= No; o++ {
			if q := s.market(mid).held(id, o); q != 0 {
				v.Positions = append(v.Positions, Position{Market: mid, Outcome: o, Shares: q})
			}
		}
	}
	return v, true
}

// Templates returns the registered template versions in order.
func (s *State) Templates() []Template { return append([]Template(nil), s.templates...) }

// Key returns a valid API key by the digest of its secret.
func (s *State) Key(sha256 Digest) (Key, bool) {
	k := s.keys[sha256]
	if k == nil {
		return Key{}, false
	}
	return *k, true
}

// Issued returns all credits ever granted. At any time they equal the available
// credits of all accounts plus the collateral of all markets.
func (s *State) Issued() Micros { return s.issued }

// Hash returns a digest of everything a later decision can depend on. Equal
// journals give equal hashes on every platform.
func (s *State) Hash() Digest {
	h := sha256.New()
	var b []byte
	num := func(vs ...int64) {
		for _, v := range vs {
			b = binary.AppendVarint(b, v)
		}
	}
	text := func(s string) { b = append(binary.AppendUvarint(b, uint64(len(s))), s...) }
	flush := func() { h.Write(b); b = b[:0] }
	c := wire.Codec{}
	s.policy.fields(&c)
	for i := range s.templates {
		s.templates[i].fields(&c)
	}
	for _, d := range s.added {
		c.Raw(d[:])
		if k := s.keys[d]; k != nil {
			k.fields(&c)
		}
	}
	b = c.B
	num(int64(s.seq), int64(s.at), int64(s.issued), int64(len(s.accounts)), int64(len(s.markets)))
	for i := range s.accounts {
		a := &s.accounts[i]
		flagged := int64(0)
		if a.flagged {
			flagged = 1
		}
		num(int64(a.available), a.tat, flagged, int64(len(a.markets)))
		flush()
	}
	for _, m := range s.markets {
		text(m.template.Name())
		text(m.title)
		text(m.resolution.proposer)
		b = append(b, m.resolution.evidence[:]...)
		num(int64(m.creator), int64(m.liquidity), int64(m.closeAt), int64(m.state), int64(m.pool.Own), int64(m.pool.Other),
			int64(m.supply[Yes]), int64(m.supply[No]), int64(m.collateral), int64(m.volume), m.trades,
			int64(m.resolution.outcome), int64(m.resolution.paid), int64(m.twap.Mean(int64(s.at), twapWindow)), int64(len(m.holders)))
		for _, x := range m.holders {
			num(int64(x.account), int64(x.shares[Yes]), int64(x.shares[No]))
		}
		flush()
	}
	for _, id := range s.settling {
		num(int64(id))
	}
	s.repeats.Each(func(k Tag, e repeat.Entry) {
		b = append(append(b, k[:]...), e.Input[:]...)
		num(int64(e.Seq), e.At)
		flush()
	})
	flush()
	return Digest(h.Sum(nil))
}
