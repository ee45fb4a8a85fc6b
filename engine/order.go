package engine

import "github.com/mbp-market/mbp/engine/internal/amm"

func (x *PlaceOrder) fault() string {
	switch {
	case x.Outcome > No:
		return "outcome is YES or NO"
	case x.Side != Buy && x.Side != Sell:
		return "side is buy or sell"
	case x.TIF != IOC && x.TIF != FOK:
		return "tif is ioc or fok"
	case x.Limit < 0 || x.Limit >= One:
		return "limit_price_micros lies in 1..999999"
	case x.Amount < 0 || x.Amount > MaxAmount || x.Shares < 0 || x.Shares > MaxAmount:
		return "amount_micros and shares_micros lie in 1..2^52"
	case (x.Amount == 0) == (x.Shares == 0):
		return "exactly one of amount_micros and shares_micros is needed"
	case x.Side == Sell && x.Shares == 0:
		return "a sale names shares_micros"
	}
	return ""
}

// Quote is the dry run of an order at a time: what PlaceOrder would fill at this
// state, and the code it would get. It looks at the market alone, not at what
// the account holds; with an account it looks at that, too. The order rate does
// not count.
func (s *State) Quote(x *PlaceOrder, now Time) (OrderFilled, Code, string) {
	var f OrderFilled
	if fault := x.fault(); fault != "" {
		return f, InvalidCommand, fault
	}
	if x.Account != 0 && s.account(x.Account) == nil {
		return f, AccountNotFound, ""
	}
	code, detail := s.fill(max(now, s.at), x, x.Account != 0, &f)
	return f, code, detail
}

// fill walks the pool for an order. funded says that the account must cover it.
// On OK f is complete but for the order's id.
func (s *State) fill(now Time, x *PlaceOrder, funded bool, f *OrderFilled) (Code, string) {
	m := s.market(x.Market)
	switch {
	case m == nil:
		return MarketNotFound, ""
	case m.state != Open:
		return MarketNotOpen, ""
	case m.closeAt != 0 && now >= m.closeAt:
		return MarketClosed, ""
	case x.Amount > m.template.MaxOrder || Micros(x.Shares) > m.template.MaxOrder:
		return TemplateBounds, "the order is above the template's max_order_micros"
	}
	if funded && x.Side == Buy && x.Amount > s.account(x.Account).available {
		return InsufficientFunds, ""
	}
	if funded && x.Side == Sell && x.Shares > m.held(x.Account, x.Outcome) {
		return InsufficientShares, ""
	}
	pool := m.side(x.Outcome)
	trade, whole := walk(pool, x, m)
	switch {
	case x.TIF == FOK && !whole:
		return FOKUnfilled, ""
	case trade.Amount == 0 && trade.Shares == 0:
		return PriceLimit, ""
	case trade.Amount == 0 || trade.Shares == 0:
		return TooSmall, ""
	case funded && x.Side == Buy && trade.Amount > s.account(x.Account).available:
		return InsufficientFunds, ""
	}
	*f = OrderFilled{
		Account: x.Account, Market: x.Market, Outcome: x.Outcome, Side: x.Side,
		Amount: trade.Amount, Shares: trade.Shares, Average: trade.Average(x.Side == Buy),
		PoolYes: trade.After.Own, PoolNo: trade.After.Other,
	}
	f.PriceBefore, _ = pool.Prices()
	f.PriceAfter, _ = trade.After.Prices()
	if x.Outcome == No {
		f.PoolYes, f.PoolNo = f.PoolNo, f.PoolYes
	}
	return OK, ""
}

// walk trades up to the limit and the template's bounds; whole says that nothing
// of the order is left.
func walk(pool amm.Pair, x *PlaceOrder, m *market) (trade amm.Trade, whole bool) {
	low, high := m.bounds(x.Outcome)
	if x.Side == Sell {
		q := min(x.Shares, pool.RoomToSell(max(low, x.Limit)))
		if q == 0 {
			return amm.Trade{}, false
		}
		return pool.Sell(q), q == x.Shares
	}
	if x.Limit != 0 {
		high = min(high, x.Limit)
	}
	room := pool.RoomToBuy(high)
	switch {
	case room == 0:
		return amm.Trade{}, false
	case x.Shares == 0:
		spend := min(x.Amount, room)
		return pool.Buy(spend), spend == x.Amount
	}
	if t := pool.BuyShares(x.Shares); t.Amount <= room {
		return t, true
	}
	return pool.Buy(room), false
}
