package fold

import "github.com/mbp-market/mbp/engine"

// moved notes what an event changed of what a quote is made of: a market's pools and
// books, or the rules of all markets. States, caps and cool-downs are not among it:
// they refuse an order and never make it another one.
func (s *State) moved(e engine.Event) {
	switch x := e.(type) {
	case *engine.PolicySet, *engine.EngineUpgraded:
		s.Ruled = s.Seq
	case *engine.MarketOpened:
		s.movedOf(x.Market)
	case *engine.OrderFilled:
		s.movedOf(x.Market)
	case *engine.OrderRested:
		s.movedOf(x.Market)
	case *engine.OrderReduced:
		s.movedOf(x.Market)
	case *engine.OrdersClosed:
		for i := range x.Orders {
			s.movedOf(x.Orders[i].Market)
		}
	case *engine.LiquidityAdded:
		s.movedOf(x.Market)
	case *engine.LiquidityRemoved:
		s.movedOf(x.Market)
	}
}

func (s *State) movedOf(id engine.MarketID) { s.Market(id).Moved = s.Seq } // the event was folded, so there is one

// ChangedAt returns the last decision that changed what a quote on the market is
// made of.
func (s *State) ChangedAt(m *Market) engine.Seq { return max(m.Moved, s.Ruled) }
