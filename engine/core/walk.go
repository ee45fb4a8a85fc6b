package core

import (
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/internal/amm"
	"github.com/mbp-market/mbp/engine/internal/book"
	"github.com/mbp-market/mbp/engine/internal/fixed"
	"github.com/mbp-market/mbp/engine/internal/fold"
	"github.com/mbp-market/mbp/engine/internal/posting"
)

// walk is what an order trades: along the pool to the next resting price or its
// own limit, then the resting orders there at their price, and so on. The pool
// is exact to 2^-32 micros on the way; whole micros come out at the end, rounded
// against the taker and so that the market's credits cover its complete sets to
// the micro. One walk serves the quote, the fill-or-kill count and execution.
type walk struct {
	// the order
	m       *fold.Market
	outcome int
	sell    bool
	byCost  bool             // a buy that names the credits to spend
	want    int64            // micros of credits or of shares that are left to trade, self-trade decrements off
	limit   engine.Price     // no price beyond this
	account engine.AccountID // 0: nobody in particular
	mode    engine.SelfTrade
	ignore  engine.OrderID // is being replaced
	over    engine.Time    // an order that waits until then or for less is not met
	most    int            // resting orders to meet

	// how far it is
	pool    amm.Walk
	count   int           // resting orders met
	cost    fixed.Fine    // of the book fills, exact
	odd     fixed.Fine    // of the pool's credits, what the last maker is paid instead
	shares  engine.Shares // of the book fills
	covered engine.Micros // what the makers add to or take from the taker's side, in whole micros
	minted  engine.Shares // of the book fills, those that make or burn sets
	charged engine.Micros // by the fills so far: cumulative amounts are rounded, not each fill's
	fills   []engine.Fill
	met     []engine.Met
	done    bool // the order is used up
	itself  bool // stopped before an own order
	full    bool // stopped after the most resting orders

	// what comes out
	amount     engine.Micros
	total      engine.Shares
	fee, lpFee engine.Micros
	sets       engine.Micros
	poolShares engine.Shares
	matched    bool // a resting order traded
}

// run walks. The order's fields are set; the rest is reset.
func (w *walk) run(s *State) {
	w.count, w.done, w.itself, w.full, w.matched = 0, false, false, false, false
	w.cost, w.odd, w.shares, w.covered, w.minted, w.charged = fixed.Fine{}, fixed.Fine{}, 0, 0, 0, 0
	w.fills, w.met = w.fills[:0], w.met[:0]
	w.pool.Begin(w.m.Balance.Pools(), w.outcome, w.sell)
	cursor := s.cursor(w)
	for {
		o, has := w.next(&cursor)
		target := w.limit
		if has {
			target = w.price(o)
		}
		w.along(target)
		if w.done || !has || w.meet(o) {
			break
		}
	}
	w.finish()
}

// cursor walks the side of the book that the order could meet.
func (s *State) cursor(w *walk) book.Cursor {
	if s.cut {
		return book.Over(s.opposite)
	}
	bid := w.sell == w.m.Mirrored(w.outcome) // the side of the taker in the book
	return s.f.Orders.Cursor(w.m.Book(w.outcome), !bid)
}

// next returns the next resting order within the limit.
func (w *walk) next(c *book.Cursor) (*book.Order, bool) {
	for {
		o, ok := c.Next()
		switch {
		case !ok || w.beyond(w.price(o)):
			return nil, false
		case engine.OrderID(o.ID) == w.ignore || o.Expires != 0 && o.Expires <= int64(w.over):
			continue
		}
		return o, true
	}
}

// price is the price of a resting order, of the taker's outcome.
func (w *walk) price(o *book.Order) engine.Price {
	if w.m.Mirrored(w.outcome) {
		return engine.One - o.Price
	}
	return o.Price
}

func (w *walk) beyond(p engine.Price) bool {
	if w.sell {
		return p < w.limit
	}
	return p > w.limit
}

// along moves the pool towards a price by what is left of the order.
func (w *walk) along(target engine.Price) {
	before, beforeShares := w.pool.Totals()
	var stopped bool
	credits, shares := w.pool.Exact()
	switch {
	case w.byCost:
		budget := fixed.FromMicros(w.want).Sub(w.cost) // exact, and in whole micros with what the makers need
		budget = budget.Min(fixed.FromMicros(w.want - int64(w.covered)))
		if !credits.Less(budget) {
			w.done = true
			return
		}
		_, _, stopped = w.pool.Spend(budget.Sub(credits), target)
	default:
		left := fixed.FromMicros(w.want - int64(w.shares))
		if !shares.Less(left) {
			w.done = true
			return
		}
		if w.sell {
			_, _, stopped = w.pool.Give(left.Sub(shares), target)
		} else {
			_, _, stopped = w.pool.Take(left.Sub(shares), target)
		}
	}
	w.done = !stopped
	sets, out := w.pool.Totals()
	if sets != before || out != beforeShares {
		w.add(engine.Fill{Shares: out - beforeShares})
	}
}

// meet trades with a resting order and reports whether the walk ends there.
func (w *walk) meet(o *book.Order) bool {
	if w.count == w.most {
		w.full = true
		return true
	}
	w.count++
	p := w.price(o)
	q := w.affordable(p)
	own := engine.AccountID(o.Account) == w.account && w.account != 0
	w.done = q < o.Shares // what is left buys no micro-share here, nor anywhere further on
	if w.done && w.byCost && !own {
		w.odd = w.oddment(p)
		q = w.affordable(p)
	}
	q = min(q, o.Shares)
	if own && q > 0 {
		return w.meetOwn(o, p, q)
	}
	cost, covered, counter := w.with(o, p, q)
	for w.byCost && q > 0 && w.charge(cost, covered) > engine.Micros(w.want) { // the makers' rounding overran the budget
		w.done = true
		q--
		cost, covered, counter = w.with(o, p, q)
	}
	if q < 1 { // nothing is given here in place of the pool
		w.odd = fixed.Fine{}
		return true
	}
	w.cost, w.covered, w.shares, w.matched = cost, covered, w.shares+q, true
	if o.Sell == w.sell {
		w.minted += q
	}
	w.add(engine.Fill{Maker: engine.OrderID(o.ID), Account: engine.AccountID(o.Account), Shares: q, Counter: counter})
	return w.done
}

// oddment is what the pool has charged at most for the part of a micro-share
// that the taker does not get from it, as the pool gives out whole ones. The
// last maker gives it instead, so that the taker is one rounding short and not two.
// It is less than the credits of the walk: for what they are rounded up by, the
// pool gives shares, one for one.
func (w *walk) oddment(p engine.Price) fixed.Fine {
	_, exact := w.pool.Exact()
	_, out := w.pool.Totals()
	if whole := fixed.FromMicros(int64(out)); whole.Less(exact) {
		return exact.Sub(whole).MulDiv(uint64(p), engine.One)
	}
	return fixed.Fine{}
}

// add notes a fill, with what it adds to the taker's side. Two pieces along the
// pool with nothing traded between them are one.
func (w *walk) add(f engine.Fill) {
	total := w.charge(w.cost, w.covered)
	f.Amount, w.charged = total-w.charged, total
	if n := len(w.fills); n > 0 && f.Maker == 0 && w.fills[n-1].Maker == 0 {
		w.fills[n-1].Amount, w.fills[n-1].Shares = w.fills[n-1].Amount+f.Amount, w.fills[n-1].Shares+f.Shares
		return
	}
	w.fills = append(w.fills, f)
}

// affordable is how many shares at a price the rest of the order is good for.
func (w *walk) affordable(p engine.Price) engine.Shares {
	if !w.byCost {
		_, out := w.pool.Totals()
		return engine.Shares(w.want) - w.shares - out
	}
	credits, _ := w.pool.Exact()
	spent := credits.Add(w.cost).Sub(w.odd)
	budget := fixed.FromMicros(w.want)
	if !spent.Less(budget) {
		return 0
	}
	return engine.Shares(budget.Sub(spent).MulDiv(engine.One, uint64(p)).Floor())
}

// with returns the totals after trading q shares at p with an order: the exact
// cost of all book fills, what the makers cover, and what this maker pays or
// receives.
func (w *walk) with(o *book.Order, p engine.Price, q engine.Shares) (cost fixed.Fine, covered, counter engine.Micros) {
	counter = posting.Counterpart(o, q)
	own := counter // a transfer: the maker gives or takes the taker's credits
	if o.Sell == w.sell {
		own = engine.Micros(q) - counter // a set is minted or burnt between the two
	}
	piece := fixed.FromMicros(int64(q)).MulDiv(uint64(p), engine.One)
	if !w.sell {
		piece = fixed.FromMicros(int64(q)).MulDivCeil(uint64(p), engine.One)
	}
	return w.cost.Add(piece), w.covered + own, counter
}

// charge is the taker's side in whole micros, given the exact cost of the book
// fills and what the makers cover.
func (w *walk) charge(cost fixed.Fine, covered engine.Micros) engine.Micros {
	credits, _ := w.pool.Exact()
	sets, _ := w.pool.Totals()
	exact := credits.Add(cost).Sub(w.odd)
	if w.sell {
		return min(engine.Micros(exact.Floor()), sets+covered)
	}
	return max(engine.Micros(exact.Ceil()), sets+covered)
}

// meetOwn prevents a trade with an order of the same account.
func (w *walk) meetOwn(o *book.Order, p engine.Price, q engine.Shares) bool {
	switch w.mode {
	case engine.CancelOldest:
		w.met = append(w.met, engine.Met{Order: engine.OrderID(o.ID), Shares: o.Shares})
		return false
	case engine.Decrement:
		w.met = append(w.met, engine.Met{Order: engine.OrderID(o.ID), Shares: q})
		if w.byCost { // never below what is spent already, by the rounding of either
			w.want = max(w.want-posting.Scaled(q, p, true), int64(w.charge(w.cost, w.covered)))
		} else {
			w.want -= int64(q)
		}
		w.done = q < o.Shares
		return w.done
	default:
		w.itself = true
		return true
	}
}

// finish rounds what was traded and adds the fees.
func (w *walk) finish() {
	w.sets, w.poolShares = w.pool.Totals()
	w.total = w.poolShares + w.shares
	w.amount = w.charge(w.cost, w.covered)
	if n := len(w.fills); n > 0 { // a step below a micro of the pool is no fill of its own
		w.fills[n-1].Amount += w.amount - w.charged
	}
	rule := &w.m.Template.Fee
	w.fee = 0
	if rule.Kind != engine.FeeNone {
		for i := range w.fills {
			w.fee += feeOf(rule, &w.fills[i])
		}
	}
	w.lpFee = engine.Micros(posting.Scaled(engine.Shares(w.fee), engine.Price(rule.LP), false))
}

// feeOf is the taker's fee on a fill, rounded up: with the fill's own price
// a/s, rate·p·(1−p)·s is rate·a·(s−a)/s.
func feeOf(rule *engine.FeeRule, f *engine.Fill) engine.Micros {
	a, q := uint64(max(f.Amount, 0)), uint64(f.Shares)
	if a == 0 || q == 0 {
		return 0
	}
	a = min(a, q)
	if rule.Kind == engine.FeeNotional {
		return engine.Micros(fixed.Mul(a, uint64(rule.Rate)).CeilDiv(engine.One))
	}
	n, rest := fixed.Mul(a, q-a).MulSmall(uint64(rule.Rate)).QuoRem(q)
	if rest != 0 { // ⌈⌈n/q⌉/10⁶⌉ = ⌈n/(q·10⁶)⌉
		n = n.Add(fixed.U128{Lo: 1})
	}
	return engine.Micros(n.CeilDiv(engine.One))
}

// left is what is not traded, in shares; of a buy that names credits, what they
// buy at a price.
func (w *walk) left(p engine.Price) engine.Shares {
	if !w.byCost {
		return engine.Shares(w.want) - w.total
	}
	if rest := w.want - int64(w.amount); rest > 0 {
		v, _ := fixed.Mul(uint64(rest), engine.One).QuoRem(uint64(p))
		return engine.Shares(min(v.Lo, engine.MaxAmount))
	}
	return 0
}
