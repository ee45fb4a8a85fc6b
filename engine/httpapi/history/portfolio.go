package history

import (
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/wire"
)

// Profit is what was made of a market, or of all of them: realised by what came out
// of it, unrealised by what its holdings would be worth at the pool's prices.
type Profit struct {
	Paid       engine.Micros `json:"paid_micros"`     // into it, fees included
	Received   engine.Micros `json:"received_micros"` // out of it
	Fees       engine.Micros `json:"fees_micros"`     // of what was paid
	Cost       engine.Micros `json:"cost_micros"`     // of what is held
	Value      engine.Micros `json:"value_micros"`    // of what is held
	Realised   engine.Micros `json:"realised_micros"`
	Unrealised engine.Micros `json:"unrealised_micros"`
	Profit     engine.Micros `json:"profit_micros"` // the sum of the two
}

func (p *Profit) add(q Profit) {
	p.Paid += q.Paid
	p.Received += q.Received
	p.Fees += q.Fees
	p.Cost += q.Cost
	p.Value += q.Value
	p.Realised += q.Realised
	p.Unrealised += q.Unrealised
	p.Profit += q.Profit
}

// sum adds up what an account made of all its markets.
func (a *account) sum() (v Profit) {
	for _, p := range a.holdings {
		v.add(p.profit())
	}
	return v
}

// Holding is what an account made of a market.
type Holding struct {
	Market engine.MarketID    `json:"market"`
	State  engine.MarketState `json:"state"`
	Profit
	Positions []Position `json:"positions"`
	Units     *Liquidity `json:"liquidity,omitempty"`
}

// Position is what an account holds of an outcome.
type Position struct {
	Outcome engine.Outcome `json:"outcome"`
	Shares  engine.Shares  `json:"shares_micros"`
	Cost    engine.Micros  `json:"cost_micros"`
	Price   engine.Price   `json:"price_micros"`
	Value   engine.Micros  `json:"value_micros"`
}

// Liquidity is what an account provides.
type Liquidity struct {
	Units engine.Shares `json:"units_micros"`
	Cost  engine.Micros `json:"cost_micros"`
	Value engine.Micros `json:"value_micros"`
}

// Portfolio is what an account made of all markets that it touched, and a page of
// them, the one that it touched last first.
type Portfolio struct {
	Seq     engine.Seq       `json:"seq"`
	Account engine.AccountID `json:"account"`
	Granted engine.Micros    `json:"granted_micros"` // credits that were issued to it
	Profit
	Markets []Holding `json:"markets"`
	Next    uint64    `json:"next,omitempty"` // the value of before that goes on
}

// Portfolio answers with an account's profit.
func (h *History) Portfolio(r *wire.Request) (any, error) {
	doc := Portfolio{Markets: []Holding{}}
	r.ID("account", &doc.Account)
	before, limit := uint64(r.Positive("before")), int(r.Within("limit", maxPage, normalPage))
	open := r.Bool("open")
	if err := r.End(); err != nil {
		return nil, err
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	doc.Seq = h.seq
	a := h.account(doc.Account)
	if a == nil {
		return nil, missing(engine.AccountNotFound, h.seq)
	}
	doc.Granted, doc.Profit = a.granted, a.sum()
	for i := len(a.holdings) - 1; i >= 0; i-- {
		p, place := a.holdings[i], uint64(i)+1
		if open && p.gone() || before != 0 && place >= before {
			continue
		}
		if len(doc.Markets) == limit {
			doc.Next = place + 1
			break
		}
		doc.Markets = append(doc.Markets, p.seen())
	}
	return doc, nil
}

func (p *holding) seen() Holding {
	m := p.market
	v := Holding{Market: m.id, State: m.state, Profit: p.profit(), Positions: []Position{}}
	if p.gone() {
		return v
	}
	for i, q := range p.shares {
		if q != 0 {
			v.Positions = append(v.Positions, Position{m.kind.Of(i), q, p.cost[i], m.price(i), worth(q, m.price(i))})
		}
	}
	if p.units != 0 {
		v.Units = &Liquidity{p.units, p.provided, m.liquidity(p.units)}
	}
	return v
}
