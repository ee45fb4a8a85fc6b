package tape

import "github.com/mbp-market/mbp/engine"

// Sizes of markets and grants where the recording does not say them.
const (
	// DefaultDepth is the depth of a market whose source does not reveal one.
	DefaultDepth = 1_000 * engine.One
	minDepth     = 10 * engine.One
	maxDepth     = 1_000_000 * engine.One
	// A book's market gets a tenth of everything that was traded in it: most flow
	// is answered by opposite flow.
	flowShare = 10
	// A row without a size may spend ten depths: enough to carry a price from one
	// bound of the default template to the other.
	toPriceDepths = 10
	// A depth is fitted to a trade that moved the price by half a point or more;
	// smaller moves are mostly rounding.
	minMove = 5_000
	// An account gets twice what its rows spend, because prices here differ, and
	// at least and at most this much.
	minCredits = 1_000 * engine.One
	maxCredits = 10_000_000 * engine.One
)

// build makes markets, grants and trades of the rows.
func (l *loader) build() {
	l.scale()
	l.seedMarkets()
	last := make([]engine.Outcome, len(l.tape.Markets)) // of the tick rule
	for i := range l.rows {
		r := &l.rows[i]
		t := Trade{Row: r.n, At: r.at, Source: r.source, Market: r.market, Account: r.account, Before: known(r.before), After: known(r.after)}
		if reason := l.order(r, &t, &last[r.market]); reason != "" {
			l.skip(r.source, reason)
			continue
		}
		l.fund(&t)
		l.tape.Sources[r.source].Trades++
		l.tape.Trades = append(l.tape.Trades, t)
	}
	for i := range l.tape.Accounts {
		a := &l.tape.Accounts[i]
		a.Credits = min(max(2*a.Credits, minCredits), maxCredits)
	}
	if l.opt.Limit > 0 && len(l.tape.Trades) > l.opt.Limit {
		l.tape.Trades = l.tape.Trades[:l.opt.Limit]
	}
	l.rows = nil
}

// scale brings the prices of a source that writes percents to probabilities.
// Elsewhere a price above one is a fault of its row.
func (l *loader) scale() {
	kept := l.rows[:0]
	for _, r := range l.rows {
		src := &l.tape.Sources[r.source]
		percent := src.over > 0 && 2*src.over >= src.priced
		bad := false
		for _, p := range []*int64{&r.price, &r.before, &r.after, &r.limits} {
			switch {
			case *p == unknown:
			case percent:
				*p /= 100
			default:
				bad = bad || *p > engine.One
			}
		}
		if bad {
			l.skip(r.source, "bad_price")
			continue
		}
		kept = append(kept, r)
	}
	l.rows = kept
}

// known is a probability strictly inside 0..1, or 0 for unknown.
func known(p int64) engine.Price {
	if p == unknown {
		return 0
	}
	return engine.Price(min(max(p, 1), int64(engine.One)-1))
}

// seedMarkets opens each market where its first row found it, as deep as the
// recording shows it to be.
func (l *loader) seedMarkets() {
	first := make([]*row, len(l.tape.Markets))
	fitted := make([]int64, len(l.tape.Markets))
	flow := make([]int64, len(l.tape.Markets))
	for i := range l.rows {
		r := &l.rows[i]
		if first[r.market] == nil {
			first[r.market] = r
			l.openAt(r)
		}
		m := &l.tape.Markets[r.market]
		flow[r.market] = min(flow[r.market]+r.amount, maxMicros/2)
		if fitted[r.market] == 0 && l.tape.Sources[m.Source].AMM {
			fitted[r.market] = fit(r, m.Open, r == first[r.market])
		}
	}
	for i := range l.tape.Markets {
		m := &l.tape.Markets[i]
		depth := int64(DefaultDepth)
		switch {
		case first[i] == nil:
			continue // none of its rows can be played
		case l.opt.Liquidity > 0:
			m.Liquidity = l.opt.Liquidity
			m.Depth = engine.Micros(mulDiv(int64(m.Liquidity), ratioOne, ratio(max(m.Open, engine.One-m.Open))))
			continue
		case fitted[i] > 0:
			depth = fitted[i]
		case !l.tape.Sources[m.Source].AMM:
			depth = max(depth, flow[i]/flowShare)
		}
		m.Depth = engine.Micros(min(max(depth, int64(minDepth)), int64(maxDepth)))
		want := engine.Micros(mulDiv(int64(m.Depth), ratio(max(m.Open, engine.One-m.Open)), ratioOne))
		m.Liquidity = min(max(want, l.opt.Template.MinLiquidity), l.opt.Template.MaxLiquidity)
	}
}

// openAt sets the opening price of a market from its first row: the price
// before it, the definition's, the price of the trade, or one half.
func (l *loader) openAt(r *row) {
	m := &l.tape.Markets[r.market]
	def := l.defs[m.ID]
	src := &l.tape.Sources[m.Source]
	src.AMM = src.AMM || maker(def.mechanism, src.Name)
	open := int64(engine.One / 2)
	switch {
	case r.before != unknown:
		open = r.before
	case l.defs != nil && def.title != "" && def.initial != unknown:
		open = def.initial
	case r.price != unknown && r.outcome == int8(engine.No):
		open = int64(engine.One) - r.price
	case r.price != unknown:
		open = r.price
	}
	m.Open = inside(open, &l.opt.Template)
}

// fit is the depth at which this trade would have moved a fixed-product price
// as it did, if it is a purchase: spending a moves √(p/(1−p)) of the bought outcome by a/depth. Only
// the first trade that tells anything is used, so that all later ones compare.
func fit(r *row, open engine.Price, first bool) int64 {
	before, after := known(r.before), known(r.after)
	if before == 0 && first {
		before = open
	}
	if before == 0 || after == 0 || r.amount == 0 || r.side != engine.Buy {
		return 0
	}
	if after < before {
		before, after = engine.One-before, engine.One-after
	}
	if after-before < minMove {
		return 0
	}
	return mulDiv(r.amount, ratioOne, ratio(after)-ratio(before))
}

// order says what a row does here; a reason says why it does nothing.
func (l *loader) order(r *row, t *Trade, last *engine.Outcome) (reason string) {
	o := &t.Order
	o.TIF, o.Side, o.Limit = engine.IOC, engine.Buy, known(r.limits)
	if r.side == 0 {
		return l.tick(r, t, last)
	}
	switch {
	case r.outcome >= 0:
		o.Outcome = engine.Outcome(r.outcome)
	case r.price != unknown && t.Before != 0:
		t.Notes |= OutcomeInferred
		yes, no := r.price-int64(t.Before), r.price-int64(engine.One-t.Before)
		if max(yes, -yes) > max(no, -no) {
			o.Outcome = engine.No
		}
	default:
		return "unknown_outcome"
	}
	switch {
	case r.side == engine.Sell && r.shares > 0:
		o.Side, o.Shares = engine.Sell, engine.Shares(r.shares)
	case r.side == engine.Buy && r.amount > 0:
		o.Amount = engine.Micros(r.amount)
	case r.side == engine.Buy && r.shares > 0:
		o.Shares = engine.Shares(r.shares)
	default:
		return l.toPrice(r, t)
	}
	l.clip(t)
	return ""
}

// tick maps a row without a side.
func (l *loader) tick(r *row, t *Trade, last *engine.Outcome) string {
	o := &t.Order
	t.Notes |= SideInferred
	switch {
	case r.outcome == int8(engine.No):
		return "unknown_side" // a price of YES does not tell who wanted NO
	case t.Before != 0 && t.After > t.Before:
		*last = engine.Yes
	case t.Before != 0 && t.After != 0 && t.After < t.Before:
		*last = engine.No
	}
	o.Outcome = *last
	switch {
	case o.Outcome == engine.Yes && r.amount > 0:
		o.Amount = engine.Micros(r.amount)
	case r.shares > 0:
		o.Shares = engine.Shares(r.shares)
	default:
		return "no_size"
	}
	l.clip(t)
	return ""
}

// toPrice maps a row that has a side and a price but no size.
func (l *loader) toPrice(r *row, t *Trade) string {
	o := &t.Order
	if t.After == 0 {
		return "no_size"
	}
	t.Notes |= ToPrice
	if r.side == engine.Sell {
		o.Outcome = o.Outcome.Other()
	}
	o.Limit = t.After
	if o.Outcome == engine.No {
		o.Limit = engine.One - t.After
	}
	o.Amount = min(toPriceDepths*l.tape.Markets[r.market].Depth, l.opt.Template.MaxOrder)
	return ""
}

func (l *loader) clip(t *Trade) {
	most := l.opt.Template.MaxOrder
	if t.Order.Amount > most || engine.Micros(t.Order.Shares) > most {
		t.Notes |= Clipped
		t.Order.Amount, t.Order.Shares = min(t.Order.Amount, most), min(t.Order.Shares, engine.Shares(most))
	}
}

// fund adds to the account what the order can cost at most: a share costs less
// than a credit, on whichever side it is bought.
func (l *loader) fund(t *Trade) {
	a := &l.tape.Accounts[t.Account]
	a.Credits = min(a.Credits+max(t.Order.Amount, engine.Micros(t.Order.Shares)), maxCredits)
}
