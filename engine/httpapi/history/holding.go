package history

import (
	"math/bits"

	"github.com/mbp-market/mbp/engine"
)

// holding is what an account has of a market, and what it has cost. At any time the
// realised profit is received - paid + the cost of what is still held.
type holding struct {
	market         *market
	shares         []engine.Shares
	cost           []engine.Micros // of the shares
	units          engine.Shares   // of the liquidity
	provided       engine.Micros   // what the units have cost
	paid, received engine.Micros   // credits into the market, fees included, and out of it
	fees           engine.Micros   // of what was paid
	settled        bool            // it was paid out
}

// holding returns what an account has of a market; it begins with nothing.
func (h *History) holding(m *market, of engine.AccountID) *holding {
	p := m.holders[of]
	if p == nil {
		n := len(m.pools)
		p = &holding{market: m, shares: make([]engine.Shares, n), cost: make([]engine.Micros, n)}
		m.holders[of] = p
		a := h.account(of)
		a.holdings = append(a.holdings, p)
	}
	return p
}

// share returns ⌊whole·part/of⌋ for 0 ≤ part ≤ of.
func share[T, P ~int64](whole T, part, of P) T {
	if of <= 0 || part >= of {
		return whole
	}
	hi, lo := bits.Mul64(uint64(whole), uint64(part))
	q, _ := bits.Div64(hi, lo, uint64(of)) // below 2^63: part < of
	return T(q)
}

// worth returns ⌊shares·price⌋.
func worth(q engine.Shares, p engine.Price) engine.Micros {
	hi, lo := bits.Mul64(uint64(q), uint64(p))
	v, _ := bits.Div64(hi, lo, engine.One) // below 2^63: a price is at most one
	return engine.Micros(v)
}

func (p *holding) gain(i int, q engine.Shares, cost engine.Micros) {
	p.shares[i] += q
	p.cost[i] += cost
}

func (p *holding) lose(i int, q engine.Shares) {
	p.cost[i] -= share(p.cost[i], q, p.shares[i])
	p.shares[i] -= q
}

// split spreads the cost of complete sets over the outcomes by their prices; the
// last one takes what rounding leaves.
func (p *holding) split(prices []engine.Price, amount engine.Micros) {
	p.paid += amount
	left := amount
	for i := range p.shares {
		c := worth(engine.Shares(amount), prices[i])
		if i == len(p.shares)-1 {
			c = left
		}
		left -= c
		p.gain(i, engine.Shares(amount), c)
	}
}

func (p *holding) merge(amount engine.Micros) {
	p.received += amount
	for i := range p.shares {
		p.lose(i, engine.Shares(amount))
	}
}

// provide pays for liquidity. The shares that the pools do not take cost what they
// are worth, the units the rest.
func (p *holding) provide(prices []engine.Price, amount engine.Micros, taken []engine.Shares, units engine.Shares) {
	p.paid += amount
	left := amount
	for i, q := range taken {
		more := engine.Shares(amount) - q
		c := min(left, worth(more, prices[i]))
		left -= c
		p.gain(i, more, c)
	}
	p.provided += left
	p.units += units
}

// withdraw is the way back: whole sets are received as credits, the other shares
// cost what they are worth.
func (p *holding) withdraw(prices []engine.Price, x *engine.LiquidityRemoved) {
	p.received += x.Amount
	p.provided -= share(p.provided, x.Units, p.units)
	p.units -= x.Units
	for i, q := range x.Given {
		more := q - engine.Shares(x.Amount)
		p.gain(i, more, worth(more, prices[i]))
	}
}

// took books the taker's side of a trade.
func (p *holding) took(x *engine.OrderFilled) {
	i := x.Outcome.Index()
	p.fees += x.Fee
	p.paid += x.Fee
	if x.Side == engine.Buy {
		p.paid += x.Amount
		p.gain(i, x.Shares, x.Amount+x.Fee)
		return
	}
	p.received += x.Amount
	p.lose(i, x.Shares)
}

// made books the maker's side of a fill.
func (p *holding) made(o *order, f *engine.Fill) {
	i := o.outcome.Index()
	if o.side == engine.Buy {
		p.paid += f.Counter
		p.gain(i, f.Shares, f.Counter)
		return
	}
	p.received += f.Counter
	p.lose(i, f.Shares)
}

// paid books a step of a settlement.
func (h *History) paid(x *engine.SettlementStepped) error {
	for i := range x.Payouts {
		pay := &x.Payouts[i]
		err := h.held(x.Market, pay.Account, func(_ *market, p *holding) {
			if pay.Credits > 0 {
				p.received += pay.Credits
			} else {
				p.paid -= pay.Credits
			}
			p.settled = p.settled || x.Phase == engine.PhasePay
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// gone reports whether nothing is held any more, whatever was: the market has paid
// it out.
func (p *holding) gone() bool {
	return p.settled || p.market.state == engine.Resolved || p.market.state == engine.Canceled
}

// price is what a share counts: the published price, and once the market pays by
// prices, those.
func (m *market) price(i int) engine.Price {
	if m.final != nil {
		return m.final[i]
	}
	return m.prices[i]
}

// liquidity is what units of the liquidity are worth: their part of the pools.
func (m *market) liquidity(units engine.Shares) (v engine.Micros) {
	if units == 0 {
		return 0
	}
	for i, q := range m.pools {
		v += worth(share(q, units, m.units), m.price(i))
	}
	return v
}

// profit sums a holding up.
func (p *holding) profit() Profit {
	v := Profit{Paid: p.paid, Received: p.received, Fees: p.fees}
	if !p.gone() {
		v.Cost, v.Value = p.provided, p.market.liquidity(p.units)
		for i, q := range p.shares {
			v.Cost += p.cost[i]
			v.Value += worth(q, p.market.price(i))
		}
	}
	v.Realised, v.Unrealised = v.Received-v.Paid+v.Cost, v.Value-v.Cost
	v.Profit = v.Realised + v.Unrealised
	return v
}
