package attack

import (
	"github.com/mbp-market/mbp/engine"
)

// The rules that kinds of attack might raise.
var (
	floodRules = []string{engine.RuleOrderRate, engine.RuleAccountBurst, engine.RuleBurst}
	pushRules  = []string{RuleGuard}
	washRules  = []string{engine.RuleWash}
	selfRules  = []string{engine.RuleSelfTrade}
)

// All returns the attacks that are measured, those that nobody is meant to see
// among them.
func All() []Attack {
	return []Attack{
		{"nobody: honest trading for two hours", nil, 2 * hour, func(*stage) {}},
		flood("flood: 1 account, 50/s for 60 s", 1, 50, minute),
		flood("flood: 50 accounts, 50/s for 60 s", 50, 50, minute),
		flood("flood: 50 accounts, 1000/s for 10 s", 50, 1000, 10*second),
		flood("slow flood: 1 account, 8/s for 10 min", 1, 8, 10*minute),
		flood("slow flood: 1 account, 3/s for 10 min", 1, 3, 10*minute),
		flood("slow flood: 1 account, 1/s for 10 min", 1, 1, 10*minute),
		{"layering: 1 account, 9 orders/s placed and cancelled for 5 min", floodRules, 5 * minute, layering},
		push("pump: 40 points in 20 s", 400_000, 20*second),
		push("pump: 10 points in 20 s", 100_000, 20*second),
		push("push: 2 points in 20 s, held", 20_000, 20*second),
		push("slow pump: 40 points in 10 min", 400_000, 10*minute),
		push("creep: 10 points in 60 min", 100_000, 60*minute),
		wash("wash pair: every 30 s, sizes within 2 %", 2, 30*second, 20_000, true),
		wash("wash pair: every 30 s, sizes within 15 %", 2, 30*second, 150_000, true),
		wash("wash pair: every 25 min", 2, 25*minute, 20_000, true),
		wash("wash pair: each with the pool", 2, 30*second, 20_000, false),
		wash("wash ring of 3 accounts", 3, 30*second, 20_000, true),
		selfTrading("self-trading bot: every minute", minute),
		selfTrading("self-trading bot: every 4 min", 4*minute),
		selfTrading("self-trading bot: every 15 min", 15*minute),
	}
}

// flood sends small orders, on either outcome, at a rate per second.
func flood(name string, accounts int, rate float64, lasts engine.Time) Attack {
	return Attack{name, floodRules, lasts, func(s *stage) {
		s.actors = append(s.actors, &actor{Began, func() engine.Time {
			s.attack(&engine.PlaceOrder{
				Account: attacker(s.rand.IntN(accounts)), Outcome: engine.Outcome(s.rand.IntN(2)), Side: engine.Buy, TIF: engine.IOC, Amount: engine.One / 20,
			})
			return s.now + s.pause(1000*rate)
		}})
	}}
}

// layering places orders that shall be seen and not filled, and takes each back
// before the next one.
func layering(s *stage) {
	s.actors = append(s.actors, &actor{Began, func() engine.Time {
		s.give(&engine.CancelAll{Account: attacker(0), Market: 1})
		s.attack(&engine.PlaceOrder{
			Account: attacker(0), Outcome: engine.Yes, Side: engine.Buy, TIF: engine.GTC, Shares: 500 * engine.One,
			Limit: s.price() - 5_000 - engine.Price(s.rand.Int64N(5_000)), PostOnly: true,
		})
		return s.now + second/9 + engine.Time(s.rand.Int64N(1000))
	}})
}

// push buys every two seconds until the price stands where it is wanted, and
// leaves it there. Five minutes later nothing that comes is counted.
func push(name string, points engine.Price, within engine.Time) Attack {
	return Attack{name, pushRules, within + 5*minute, func(s *stage) {
		var from engine.Price
		s.actors = append(s.actors, &actor{Began + engine.Time(s.rand.Int64N(int64(10*second))), func() engine.Time {
			if from == 0 {
				from = s.price()
			}
			done := min(s.now-Began, within)
			to := min(from+points*engine.Price(done)/engine.Price(within), 980_000)
			if s.price() < to {
				s.attack(&engine.PlaceOrder{
					Account: attacker(0), Outcome: engine.Yes, Side: engine.Buy, TIF: engine.IOC, Amount: 100_000 * engine.One, Limit: to,
				})
			}
			if s.now-Began >= within+2*second {
				return 0
			}
			return s.now + 2*second
		}})
	}}
}

// wash hands about a hundred shares around: whoever holds them offers them just
// above the price, where the next one takes them before anybody else. Through the
// pool, they sell and buy there instead, and never meet.
func wash(name string, accounts int, every engine.Time, spread int64, meet bool) Attack {
	return Attack{name, washRules, 90 * minute, func(s *stage) {
		holder := 0
		s.actors = append(s.actors, &actor{Began, func() engine.Time {
			from, to := attacker(holder), attacker((holder+1)%accounts)
			if s.run.Orders == 0 {
				s.give(&engine.SplitSets{Account: from, Market: 1, Amount: 200 * engine.One})
			}
			shares := engine.Shares(100 * (engine.One + s.rand.Int64N(2*spread+1) - spread))
			limit := s.price() + 5 // five ppm: the pool sells a fraction of a share up to there
			sell := &engine.PlaceOrder{Account: from, Side: engine.Sell, TIF: engine.GTC, Shares: shares, Limit: limit, PostOnly: true}
			buy := &engine.PlaceOrder{Account: to, Side: engine.Buy, TIF: engine.IOC, Shares: shares, Limit: limit}
			if !meet {
				sell.TIF, sell.Limit, sell.PostOnly, buy.Limit = engine.IOC, 0, false, 0
			}
			s.attack(sell)
			s.attack(buy)
			s.give(&engine.CancelAll{Account: from, Market: 1})
			holder = (holder + 1) % accounts
			return s.now + every*2/3 + engine.Time(s.rand.Int64N(int64(every*2/3)))
		}})
	}}
}

// selfTrading offers shares and buys them from itself, every so often for an hour.
func selfTrading(name string, every engine.Time) Attack {
	return Attack{name, selfRules, hour, func(s *stage) {
		s.actors = append(s.actors, &actor{Began, func() engine.Time {
			if s.run.Orders == 0 {
				s.give(&engine.SplitSets{Account: attacker(0), Market: 1, Amount: 100 * engine.One})
			}
			limit := s.price() + 5
			s.attack(&engine.PlaceOrder{Account: attacker(0), Side: engine.Sell, TIF: engine.GTC, Shares: 20 * engine.One, Limit: limit, PostOnly: true})
			s.attack(&engine.PlaceOrder{Account: attacker(0), Side: engine.Buy, TIF: engine.IOC, Shares: 20 * engine.One, Limit: limit})
			s.give(&engine.CancelAll{Account: attacker(0), Market: 1})
			return s.now + every/2 + engine.Time(s.rand.Int64N(int64(every)))
		}})
	}}
}
