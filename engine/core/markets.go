package core

import (
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/internal/amm"
	"github.com/mbp-market/mbp/engine/internal/conduct"
	"github.com/mbp-market/mbp/engine/internal/fault"
	"github.com/mbp-market/mbp/engine/internal/fold"
	"github.com/mbp-market/mbp/engine/internal/form"
)

// allowed is the table of what may be done to a market in which state. Trading is
// not here, it is possible in one state (tradable); nor are commands that look at
// orders or deadlines, whatever the state.
var allowed = map[string][]engine.MarketState{
	"activate_market":    {engine.Draft},
	"pause_market":       {engine.Open, engine.Frozen},
	"resume_market":      {engine.Paused},
	"reopen_market":      {engine.Frozen},
	"change_close":       {engine.Draft, engine.Open, engine.Paused, engine.Frozen},
	"set_market_groups":  {engine.Draft, engine.Open, engine.Paused, engine.Frozen},
	"close_market":       {engine.Open, engine.Paused, engine.Frozen},
	"report_fact":        {engine.Open, engine.Paused, engine.Frozen, engine.Closed},
	"propose_resolution": {engine.Open, engine.Paused, engine.Frozen, engine.Closed, engine.Disputed},
	"approve_resolution": {engine.Proposed},
	"reject_resolution":  {engine.Proposed, engine.Disputed},
	"dispute_resolution": {engine.Proposed},
	"clarify_market":     {engine.Draft, engine.Open, engine.Paused, engine.Frozen, engine.Closed, engine.Proposed, engine.Disputed},
	"cancel_market":      {engine.Draft, engine.Open, engine.Paused, engine.Frozen, engine.Closed, engine.Proposed, engine.Disputed},
}

// in returns the market if the command may be given in its state, and rejects
// otherwise.
func (s *State) in(d *engine.Decision, id engine.MarketID, c engine.Command) *fold.Market {
	m := s.f.Market(id)
	if m == nil {
		d.Reject(engine.MarketNotFound, "")
		return nil
	}
	for _, st := range allowed[c.Type()] {
		if m.State == st {
			return m
		}
	}
	d.Reject(engine.WrongState, "")
	return nil
}

func (s *State) openMarket(d *engine.Decision, x *engine.OpenMarket) {
	t, creator := s.f.Template(x.Template), s.f.Account(x.Creator)
	switch {
	case x.Liquidity < 1 || x.Liquidity > engine.MaxAmount:
		d.Reject(engine.InvalidCommand, "liquidity_micros lies in 1..2^52")
	case x.CloseAt < 0 || x.CloseAt != 0 && x.CloseAt <= d.At:
		d.Reject(engine.InvalidCommand, "close_at is not in the future")
	case t == nil:
		d.Reject(engine.TemplateNotFound, "")
	case creator == nil:
		d.Reject(engine.AccountNotFound, "")
	case s.Erased(x.Creator):
		d.Reject(engine.WrongState, "the account was erased")
	case !form.Title(x.Title, t.MaxTitle):
		d.Reject(engine.TemplateBounds, "title is one line of 1..max_title bytes without control characters")
	case x.Liquidity < t.MinLiquidity || x.Liquidity > t.MaxLiquidity:
		d.Reject(engine.TemplateBounds, "liquidity_micros lies in min_liquidity_micros..max_liquidity_micros")
	case t.MaxDuration != 0 && (x.CloseAt == 0 || int64(x.CloseAt-d.At) > t.MaxDuration):
		d.Reject(engine.TemplateBounds, "close_at lies within max_duration_us")
	case x.Liquidity > s.f.Ledger.Available(uint32(x.Creator)):
		d.Reject(engine.InsufficientFunds, "")
	case int64(len(s.f.Markets)) >= s.f.Policy.MaxMarkets:
		d.Reject(engine.LimitReached, "")
	default:
		prices, why := fault.Opening(t, x)
		if why != "" {
			d.Reject(engine.InvalidCommand, why)
			return
		}
		for _, p := range prices {
			if p <= t.MinPrice || p >= t.MaxPrice {
				d.Reject(engine.TemplateBounds, "an opening price lies between min_price_micros and max_price_micros")
				return
			}
		}
		pools := amm.Open(x.Liquidity, prices, nil)
		d.Add(&engine.MarketOpened{
			Market:   engine.MarketID(len(s.f.Markets) + 1),
			Template: x.Template, Title: x.Title, Creator: x.Creator, Liquidity: x.Liquidity, CloseAt: x.CloseAt,
			Outcomes: x.Outcomes, Pools: pools, Prices: amm.Prices(pools, nil), Min: x.Min, Max: x.Max, Draft: x.Draft,
		})
	}
}

func (s *State) activate(d *engine.Decision, x *engine.ActivateMarket) {
	if m := s.in(d, x.Market, x); m != nil {
		if m.Over(d.At) {
			d.Reject(engine.MarketClosed, "")
			return
		}
		m.Move(d, engine.Open, false)
	}
}

func (s *State) pause(d *engine.Decision, x *engine.PauseMarket) {
	if m := s.in(d, x.Market, x); m != nil {
		m.Move(d, engine.Paused, x.CancelOrders)
	}
}

// reopen lets a paused or a frozen market trade again.
func (s *State) reopen(d *engine.Decision, id engine.MarketID, c engine.Command) {
	m := s.in(d, id, c)
	switch {
	case m == nil:
	case m.Over(d.At):
		d.Reject(engine.MarketClosed, "")
	case m.Drain != 0:
		d.Reject(engine.Draining, "")
	default:
		m.Move(d, engine.Open, false)
	}
}

func (s *State) closeMarket(d *engine.Decision, x *engine.CloseMarket) {
	if m := s.in(d, x.Market, x); m != nil {
		m.Move(d, engine.Closed, true)
	}
}

// changeClose moves a close time that is not over to one that is not, within the
// template's bound on the whole life of a market.
func (s *State) changeClose(d *engine.Decision, x *engine.ChangeClose) {
	m := s.in(d, x.Market, x)
	switch {
	case m == nil:
	case m.Over(d.At):
		d.Reject(engine.MarketClosed, "")
	case x.CloseAt < 0 || x.CloseAt != 0 && x.CloseAt <= d.At:
		d.Reject(engine.InvalidCommand, "close_at is not in the future")
	case m.Template.MaxDuration != 0 && (x.CloseAt == 0 || int64(x.CloseAt-m.OpenedAt) > m.Template.MaxDuration):
		d.Reject(engine.TemplateBounds, "close_at lies within max_duration_us")
	case x.CloseAt == m.CloseAt:
		d.Reject(engine.WrongState, "")
	default:
		d.Add(&engine.CloseChanged{Market: x.Market, From: m.CloseAt, To: x.CloseAt})
	}
}

// sets checks a split or merge and returns the market.
func (s *State) sets(d *engine.Decision, a engine.AccountID, id engine.MarketID, amount engine.Micros) *fold.Market {
	m := s.f.Market(id)
	switch {
	case s.f.Account(a) == nil:
		d.Reject(engine.AccountNotFound, "")
		return nil
	case amount < 1 || amount > engine.MaxAmount:
		d.Reject(engine.InvalidCommand, "amount_micros lies in 1..2^52")
		return nil
	}
	if d.Code, d.Detail = s.tradable(d.At, m, a); d.Code != engine.OK {
		return nil
	}
	if amount > m.Template.MaxOrder {
		d.Reject(engine.TemplateBounds, "amount_micros is above the template's max_order_micros")
		return nil
	}
	return m
}

func (s *State) splitSets(d *engine.Decision, x *engine.SplitSets) {
	m := s.sets(d, x.Account, x.Market, x.Amount)
	switch {
	case m == nil:
	case x.Amount > s.f.Ledger.Available(uint32(x.Account)):
		d.Reject(engine.InsufficientFunds, "")
	case m.Template.Risk.MaxInterest != 0 && m.Balance.Collateral()+x.Amount > m.Template.Risk.MaxInterest:
		d.Reject(engine.InterestLimit, "")
	case s.overweight(m, x.Account, x.Amount, nil):
		d.Reject(engine.PositionLimit, "")
	default:
		d.Add(&engine.SetsSplit{Account: x.Account, Market: x.Market, Amount: x.Amount})
		conduct.Trip(d, m)
	}
}

func (s *State) mergeSets(d *engine.Decision, x *engine.MergeSets) {
	m := s.sets(d, x.Account, x.Market, x.Amount)
	if m == nil {
		return
	}
	for o := range m.Outcomes() {
		if free, _ := m.Held(x.Account, o); free < engine.Shares(x.Amount) {
			d.Reject(engine.InsufficientShares, "")
			return
		}
	}
	d.Add(&engine.SetsMerged{Account: x.Account, Market: x.Market, Amount: x.Amount})
	conduct.Trip(d, m)
}

// overweight reports whether complete sets, less what the pools take of them,
// would carry an account over the caps of the template.
func (s *State) overweight(m *fold.Market, a engine.AccountID, amount engine.Micros, taken []engine.Shares) bool {
	for o := range m.Outcomes() {
		more := engine.Shares(amount)
		if taken != nil {
			more -= taken[o]
		}
		if s.within(m, a, m.Kind.Of(o), more, amount, 0) != engine.OK {
			return true
		}
	}
	return false
}

const dustCrosses = "so little liquidity would move the price across a waiting order"

// crosses reports whether the pools, with so much more or less in each, would
// publish a price on the wrong side of a waiting order. Amounts below a credit are
// asked: rounded up to a micro they are out of proportion, and many of them would
// walk the price for nothing.
func crosses(m *fold.Market, change []engine.Shares, sign engine.Shares) bool {
	var pools [engine.MaxOutcomes]engine.Shares
	var room [engine.MaxOutcomes]engine.Price
	n := copy(pools[:], m.Balance.Pools())
	for o, q := range change {
		pools[o] += sign * q
	}
	for o, p := range amm.Prices(pools[:n], room[:0]) {
		if bid, ask := m.Best(o); bid > p || ask != 0 && ask < p {
			return true
		}
	}
	return false
}

func (s *State) addLiquidity(d *engine.Decision, x *engine.AddLiquidity) {
	m := s.sets(d, x.Account, x.Market, x.Amount)
	if m == nil {
		return
	}
	largest := engine.Shares(0)
	for _, p := range m.Balance.Pools() {
		largest = max(largest, p)
	}
	taken, units := amm.Add(m.Balance.Pools(), x.Amount, m.Balance.Units(), nil)
	switch {
	case x.Amount > s.f.Ledger.Available(uint32(x.Account)):
		d.Reject(engine.InsufficientFunds, "")
	case units < 1:
		d.Reject(engine.TooSmall, "")
	case engine.Micros(largest)+x.Amount > m.Template.MaxLiquidity:
		d.Reject(engine.TemplateBounds, "the pools would pass the template's max_liquidity_micros")
	case m.Template.Risk.MaxInterest != 0 && m.Balance.Collateral()+x.Amount > m.Template.Risk.MaxInterest:
		d.Reject(engine.InterestLimit, "")
	case s.overweight(m, x.Account, x.Amount, taken):
		d.Reject(engine.PositionLimit, "")
	case x.Amount < engine.One && crosses(m, taken, 1):
		d.Reject(engine.TooSmall, dustCrosses)
	default:
		d.Add(&engine.LiquidityAdded{Account: x.Account, Market: x.Market, Amount: x.Amount, Taken: taken, Units: units})
		conduct.Trip(d, m)
	}
}

func (s *State) removeLiquidity(d *engine.Decision, x *engine.RemoveLiquidity) {
	m := s.sets(d, x.Account, x.Market, engine.Micros(x.Units))
	if m == nil {
		return
	}
	i, ok := m.Balance.Index(uint32(x.Account))
	total := m.Balance.Units()
	if !ok || m.Balance.UnitsOf(i) < x.Units {
		d.Reject(engine.InsufficientShares, "")
		return
	}
	given := amm.Remove(m.Balance.Pools(), x.Units, total, nil)
	amount, left := given[0], engine.Shares(0)
	for o, p := range m.Balance.Pools() {
		amount, left = min(amount, given[o]), max(left, p-given[o])
	}
	switch {
	case engine.Micros(left) < m.Template.MinLiquidity || x.Units == total:
		d.Reject(engine.TemplateBounds, "what stays would be below the template's min_liquidity_micros")
	case x.Units < engine.One && x.Units != m.Balance.UnitsOf(i) && crosses(m, given, -1):
		d.Reject(engine.TooSmall, dustCrosses)
	default:
		d.Add(&engine.LiquidityRemoved{
			Account: x.Account, Market: x.Market, Units: x.Units, Given: given, Amount: engine.Micros(amount),
		})
		conduct.Trip(d, m)
	}
}
