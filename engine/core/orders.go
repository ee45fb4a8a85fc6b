package core

import (
	"strconv"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/internal/amm"
	"github.com/mbp-market/mbp/engine/internal/conduct"
	"github.com/mbp-market/mbp/engine/internal/fault"
	"github.com/mbp-market/mbp/engine/internal/fixed"
	"github.com/mbp-market/mbp/engine/internal/fold"
	"github.com/mbp-market/mbp/engine/internal/posting"
	"github.com/mbp-market/mbp/engine/internal/steward"
)

func (s *State) placeOrder(d *engine.Decision, x *engine.PlaceOrder) {
	a := s.f.Account(x.Account)
	if a == nil {
		d.Reject(engine.AccountNotFound, "")
		return
	}
	if conduct.TooFast(s.f, d, a, x) { // before all else: refusals fill the log, too
		return
	}
	if why := fault.Order(x); why != "" {
		d.Reject(engine.InvalidCommand, why)
		return
	}
	s.order(d, x, 0)
}

// order decides on a well-formed order, which may replace another one.
func (s *State) order(d *engine.Decision, x *engine.PlaceOrder, replaces engine.OrderID) {
	w := &s.walk
	if d.Code, d.Detail = s.fill(d.At, x, replaces, true); d.Code != engine.OK {
		if w.m != nil && d.Code == engine.SelfTrades {
			conduct.Attempt(s.f, d, x)
		}
		return
	}
	id := engine.OrderOf(d.Seq, s.item)
	if replaces != 0 {
		s.closeOrders(d, engine.ByAmendment, replaces)
	}
	if w.total != 0 || len(w.met) != 0 {
		s.report(x, id)
		d.Add(&s.filled)
	}
	if s.rested = waiting(x, id, s.resting(x)); s.rested.Shares != 0 {
		d.Add(&s.rested)
	}
	conduct.Signals(s.f, d, x, &conduct.Traded{
		Shares: w.total, After: s.filled.PriceAfter, Fills: w.fills, Matched: w.matched, MetOwn: len(w.met) != 0 || w.itself,
	})
	conduct.Trip(d, s.f.Market(x.Market))
}

// waiting is the event of an order of which so many shares wait; the zero value if
// none do.
func waiting(x *engine.PlaceOrder, id engine.OrderID, q engine.Shares) engine.OrderRested {
	if q < 1 {
		return engine.OrderRested{}
	}
	return engine.OrderRested{
		Order: id, Account: x.Account, Market: x.Market, Outcome: x.Outcome, Side: x.Side, TIF: x.TIF,
		Limit: x.Limit, Shares: q, Expires: x.Expires,
	}
}

// report writes the walk into the event of the order.
func (s *State) report(x *engine.PlaceOrder, id engine.OrderID) {
	w, f := &s.walk, &s.filled
	*f = engine.OrderFilled{
		Order: id, Account: x.Account, Market: x.Market, Outcome: x.Outcome, Side: x.Side,
		Amount: w.amount, Shares: w.total, Fee: w.fee, LPFee: w.lpFee, Average: average(w.amount, w.total, !w.sell),
		Sets: w.sets, PoolShares: w.poolShares, Own: w.itself,
	}
	f.PriceBefore, f.PriceAfter = s.prices(w)
	if w.matched {
		f.Fills = w.fills
	}
	if len(w.met) != 0 {
		f.Met = w.met
	}
}

// prices are the published prices of the walk's outcome before and after it.
func (s *State) prices(w *walk) (before, after engine.Price) {
	var room [engine.MaxOutcomes]engine.Price
	before = w.m.Prices[w.outcome]
	after = amm.Prices(w.pool.Pools(s.pools[:0]), room[:0])[w.outcome]
	return before, after
}

// Quote is the dry run of an order at a time: what PlaceOrder would fill at this
// state and what would wait in the book, and the code it would get. It looks at
// the market alone, not at what the account holds; with an account it looks at
// that, too. Rates do not count.
func (s *State) Quote(x *engine.PlaceOrder, now engine.Time) (engine.OrderFilled, engine.OrderRested, engine.Code, string) {
	if x.Account != 0 && s.f.Account(x.Account) == nil {
		return engine.OrderFilled{}, engine.OrderRested{}, engine.AccountNotFound, ""
	}
	if why := fault.Order(x); why != "" {
		return engine.OrderFilled{}, engine.OrderRested{}, engine.InvalidCommand, why
	}
	code, detail := s.fill(max(now, s.f.At), x, 0, x.Account != 0)
	if code != engine.OK {
		return engine.OrderFilled{}, engine.OrderRested{}, code, detail
	}
	s.report(x, 0)
	return *copied(&s.filled), waiting(x, 0, s.resting(x)), code, detail
}

// fill checks the order against the market and walks. funded says that the
// account must cover it. On OK s.walk holds what it trades.
func (s *State) fill(now engine.Time, x *engine.PlaceOrder, replaces engine.OrderID, funded bool) (engine.Code, string) {
	w := &s.walk
	m := s.f.Market(x.Market)
	w.m = nil
	if code, detail := s.tradable(now, m, x.Account); code != engine.OK {
		return code, detail
	}
	switch at := s.f.ChangedAt(m); {
	case !m.Kind.Has(x.Outcome, m.Outcomes()):
		return engine.InvalidCommand, "the market has no such outcome"
	case x.IfSeq > s.f.Seq:
		return engine.InvalidCommand, "if_seq is not reached yet"
	case x.IfSeq != 0 && x.IfSeq < at:
		return engine.MarketChanged, "by decision " + strconv.FormatUint(uint64(at), 10)
	case now < m.Cooling:
		return engine.CoolingDown, ""
	case x.Expires != 0 && x.Expires <= now:
		return engine.InvalidCommand, "expires_at is not in the future"
	case x.Amount > m.Template.MaxOrder || engine.Micros(x.Shares) > m.Template.MaxOrder:
		return engine.TemplateBounds, "the order is above the template's max_order_micros"
	}
	low, high := m.Bounds(x.Outcome.Index())
	if x.TIF.Rests() && (x.Limit < low || x.Limit > high) {
		return engine.TemplateBounds, "limit_price_micros of a resting order lies within the template's prices"
	}
	w.m, w.outcome, w.sell, w.byCost = m, x.Outcome.Index(), x.Side == engine.Sell, x.Amount != 0
	w.want, w.account, w.mode, w.ignore, w.over = int64(x.Shares), x.Account, x.SelfTrade, replaces, s.overBy(now)
	if w.byCost {
		w.want = int64(x.Amount)
	}
	w.most = min(int(s.f.Policy.MaxFills), s.workLeft())
	w.limit = s.reach(x, low, high)
	if x.PostOnly && s.touches(w) {
		return engine.PostOnlyTakes, ""
	}
	w.run(s)
	if w.full && w.most < int(s.f.Policy.MaxFills) {
		return engine.LimitReached, batchWorked
	}
	if code := s.verdict(x); code != engine.OK {
		return code, ""
	}
	if !funded {
		return engine.OK, ""
	}
	return s.covered(x, replaces), ""
}

// overBy is the time until which an order waits that can be met now. While deadlines
// are held all orders in the book wait, those whose time is over, too: they still
// stand between the pool and whoever comes.
func (s *State) overBy(now engine.Time) engine.Time {
	if s.f.DueHeld {
		return 0
	}
	return now
}

const batchWorked = "the batch has met and cancelled as many orders as one decision may; send this item again"

// workLeft is how many resting orders the decision may still meet or cancel.
func (s *State) workLeft() int { return max(engine.WorkLimit-s.worked, 0) }

// tradable says whether anything may change positions, pool or book depth.
func (s *State) tradable(now engine.Time, m *fold.Market, a engine.AccountID) (engine.Code, string) {
	switch {
	case m == nil:
		return engine.MarketNotFound, ""
	case s.f.Mode == engine.ModeReadOnly:
		return engine.ReadOnly, ""
	case a != 0 && now < s.f.Account(a).Limited:
		return engine.AccountLimited, ""
	case s.barred || a != 0 && !s.f.Admits(m, a):
		return engine.NotEligible, ""
	case m.State == engine.Frozen:
		return engine.MarketFrozen, ""
	case m.State == engine.Closed || m.State == engine.Open && m.CloseAt != 0 && now >= m.CloseAt:
		return engine.MarketClosed, ""
	case m.State != engine.Open:
		return engine.MarketNotOpen, ""
	case m.Drain != 0:
		return engine.Draining, ""
	}
	return engine.OK, ""
}

// reach is the price that the order may move the market to: its limit, the
// template's bounds and the collar, whichever comes first.
func (s *State) reach(x *engine.PlaceOrder, low, high engine.Price) engine.Price {
	w := &s.walk
	if w.m.Template.Collar != 0 {
		now := w.m.Prices[w.outcome]
		low, high = max(low, now-w.m.Template.Collar), min(high, now+w.m.Template.Collar)
	}
	switch {
	case w.sell:
		return max(low, x.Limit)
	case x.Limit != 0:
		return min(high, x.Limit)
	}
	return high
}

// touches reports whether the order would trade at once.
func (s *State) touches(w *walk) bool {
	w.pool.Begin(w.m.Balance.Pools(), w.outcome, w.sell)
	if w.pool.Room(w.limit) {
		return true
	}
	cursor := s.cursor(w)
	_, crossed := w.next(&cursor)
	return crossed
}

// verdict says whether what was walked is what the order wants.
func (s *State) verdict(x *engine.PlaceOrder) engine.Code {
	w := &s.walk
	switch {
	case x.TIF == engine.FOK && (!w.done || w.itself || len(w.met) != 0 && w.mode == engine.Decrement):
		return engine.FOKUnfilled // a decrement is not a fill
	case w.total == 0 && w.amount == 0 && w.itself:
		return engine.SelfTrades
	case s.resting(x) > 0 || len(w.met) != 0:
		return engine.OK
	case w.total == 0 && w.amount == 0 && !w.done:
		return engine.PriceLimit
	case w.total == 0 || w.amount == 0:
		return engine.TooSmall
	}
	return engine.OK
}

// resting is how many shares of the order wait in the book afterwards. The rest
// of an order that the collar or the template's bounds stopped short of its own
// limit does not wait: it would stand across the pool's price.
func (s *State) resting(x *engine.PlaceOrder) engine.Shares {
	w := &s.walk
	if !x.TIF.Rests() || w.done || w.itself || w.full || w.limit != x.Limit {
		return 0
	}
	return min(w.left(x.Limit), engine.MaxAmount-w.total)
}

// covered says whether the account can pay for what the order trades and for
// what waits, and whether the caps allow it.
func (s *State) covered(x *engine.PlaceOrder, replaces engine.OrderID) engine.Code {
	w := &s.walk
	rest := s.resting(x)
	credits := s.f.Ledger.Available(uint32(x.Account))
	free, _ := w.m.Held(x.Account, w.outcome)
	if o, ok := s.f.Orders.Get(uint64(replaces)); ok && replaces != 0 {
		if o.Sell {
			free += o.Shares
		} else {
			credits += posting.Held(o)
		}
	}
	for _, met := range w.met { // self-trade prevention releases
		o, _ := s.f.Orders.Get(uint64(met.Order))
		switch {
		case !o.Sell:
			credits += posting.Held(o) - posting.HeldAfter(o, o.Shares-met.Shares)
		case engine.Outcome(o.Outcome) == x.Outcome: // not the other side of a set that would be burnt
			free += met.Shares
		}
	}
	switch {
	case rest > 0 && replaces == 0 && int64(s.f.Orders.Count(uint32(x.Account))) >= s.f.Policy.MaxOpenOrders:
		return engine.LimitReached
	case w.sell && w.total+rest > free:
		return engine.InsufficientShares
	case w.sell && w.fee > credits+w.amount:
		return engine.InsufficientFunds
	case w.sell:
		return engine.OK
	case w.amount+w.fee+posting.Reserve(rest, x.Limit) > credits:
		return engine.InsufficientFunds
	}
	return s.capped(x, rest)
}

// capped says whether the caps of the template allow a buy.
func (s *State) capped(x *engine.PlaceOrder, rest engine.Shares) engine.Code {
	w, r := &s.walk, &s.walk.m.Template.Risk
	if made := w.sets + engine.Micros(w.minted); r.MaxInterest != 0 && made > 0 && w.m.Balance.Collateral()+made > r.MaxInterest {
		return engine.InterestLimit
	}
	return s.within(w.m, x.Account, x.Outcome, w.total+rest, w.amount+w.fee+posting.Reserve(rest, x.Limit), w.ignore)
}

// within says whether an account may have so many shares of an outcome more, and
// have paid so many credits more into the market. ignore is an order that will
// not wait any more.
func (s *State) within(m *fold.Market, a engine.AccountID, outcome engine.Outcome, more engine.Shares, paid engine.Micros, ignore engine.OrderID) engine.Code {
	r := &m.Template.Risk
	if r.MaxPosition == 0 && r.MaxExposure == 0 {
		return engine.OK
	}
	free, reserved := m.Held(a, outcome.Index())
	position, exposure := free+reserved+more, paid
	if i, ok := m.Balance.Index(uint32(a)); ok {
		exposure += m.Balance.Net(i)
	}
	for o := range s.f.Orders.ByAccount(uint32(a)) { // what waits counts as if it were filled
		if o.Market != uint32(m.ID) || o.Sell || engine.OrderID(o.ID) == ignore {
			continue
		}
		exposure += posting.Held(o)
		if o.Outcome == uint8(outcome) {
			position += o.Shares
		}
	}
	if r.MaxPosition != 0 && position > r.MaxPosition || r.MaxExposure != 0 && exposure > r.MaxExposure {
		return engine.PositionLimit
	}
	return engine.OK
}

// average is what was paid or received per share, rounded against the trader and
// kept inside 1..999,999.
func average(amount engine.Micros, q engine.Shares, bought bool) engine.Price {
	if amount <= 0 || q <= 0 {
		return 0
	}
	paid, per := fixed.Mul(uint64(amount), engine.One), uint64(q)
	if bought {
		paid = paid.Add(fixed.U128{Lo: per - 1})
	}
	v, _ := paid.QuoRem(per)
	if v.Hi != 0 || v.Lo >= engine.One {
		return engine.One - 1
	}
	return max(engine.Price(v.Lo), 1)
}

func (s *State) cancelOrder(d *engine.Decision, x *engine.CancelOrder) {
	if s.f.Account(x.Account) == nil {
		d.Reject(engine.AccountNotFound, "")
		return
	}
	o, ok := s.f.Orders.Get(uint64(x.Order))
	if !ok || o.Account != uint32(x.Account) {
		d.Reject(engine.OrderNotFound, "")
		return
	}
	s.closeOrders(d, engine.ByOwner, x.Order)
}

// closeOrders adds the event for resting orders that leave the book.
func (s *State) closeOrders(d *engine.Decision, why engine.Reason, ids ...engine.OrderID) {
	e := &engine.OrdersClosed{Reason: why, Orders: make([]engine.ClosedOrder, 0, len(ids))}
	for _, id := range ids {
		if o, ok := s.f.Orders.Get(uint64(id)); ok {
			e.Orders = append(e.Orders, steward.Closed(o))
		}
	}
	d.Add(e)
}

func (s *State) cancelAll(d *engine.Decision, x *engine.CancelAll) {
	switch {
	case s.f.Account(x.Account) == nil:
		d.Reject(engine.AccountNotFound, "")
		return
	case x.Market != 0 && s.f.Market(x.Market) == nil:
		d.Reject(engine.MarketNotFound, "")
		return
	}
	e := &engine.OrdersClosed{Reason: engine.ByOwner}
	for o := range s.f.Orders.ByAccount(uint32(x.Account)) { // at most the policy's max_open_orders
		if x.Market != 0 && o.Market != uint32(x.Market) {
			continue
		}
		if len(e.Orders) == s.workLeft() {
			d.Reject(engine.LimitReached, batchWorked)
			return
		}
		e.Orders = append(e.Orders, steward.Closed(o))
	}
	if len(e.Orders) != 0 { // else nothing waits, as it was asked for
		d.Add(e)
	}
}

func (s *State) amendOrder(d *engine.Decision, x *engine.AmendOrder) {
	a := s.f.Account(x.Account)
	if a == nil {
		d.Reject(engine.AccountNotFound, "")
		return
	}
	if s.f.Reduces(x) {
		o, _ := s.f.Orders.Get(uint64(x.Order))
		d.Add(&engine.OrderReduced{Order: x.Order, Account: x.Account, Market: engine.MarketID(o.Market), Shares: x.Shares})
		return
	}
	o := s.f.Amended(x)
	fresh := &engine.PlaceOrder{Account: x.Account, Side: engine.Buy, Shares: x.Shares, Limit: x.Limit}
	if o != nil {
		fresh.Market = engine.MarketID(o.Market)
	}
	switch {
	case conduct.TooFast(s.f, d, a, fresh): // before all else, as for an order
		return
	case o == nil:
		d.Reject(engine.OrderNotFound, "")
		return
	case x.Shares < 1 || x.Shares > engine.MaxAmount || x.Limit < 0 || x.Limit >= engine.One:
		d.Reject(engine.InvalidCommand, "shares_micros lies in 1..2^52 and limit_price_micros in 1..999999")
		return
	}
	if fresh.Limit == 0 {
		fresh.Limit = o.Limit
	}
	if fresh.Limit == o.Limit && x.Shares == o.Shares {
		d.Reject(engine.InvalidCommand, "the order is as it shall be")
		return
	}
	fresh.Outcome, fresh.TIF, fresh.Expires = engine.Outcome(o.Outcome), engine.TIF(o.TIF), engine.Time(o.Expires)
	if o.Sell {
		fresh.Side = engine.Sell
	}
	s.order(d, fresh, x.Order)
}
