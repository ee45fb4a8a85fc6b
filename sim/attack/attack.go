// Package attack lets seeded attackers loose on an engine in this process, with
// its policy and its template as shipped, and measures what it says: which rule
// raises an abuse event or trips the price guard, how long after the attack began,
// and whether it names an attacker.
//
// It promises: equal seeds give equal runs; attackers use nothing but the commands
// that every trader has, through the engine's public face; honest traders trade
// before and during each attack, so that an alarm that comes too early or names
// one of them is counted against the rule. It refuses to tune anything: what the
// shipped bounds do not see is a row with a zero.
//
// The leaf study of the detectors alone is docs/spec/abuse.md. The attacks follow
// the manipulations of Article 12 and Annex I of Regulation (EU) No 596/2014:
// layering, ramping, wash trades, and orders without the intent to trade.
package attack

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
)

// RuleGuard stands for GuardTripped, beside the rules of AbuseRaised.
const RuleGuard = "price_guard"

// Times of a run.
const (
	second = engine.Time(1_000_000)
	minute = 60 * second
	hour   = 60 * minute
	// Began is when an attack starts, after honest trading.
	Began = 30 * minute
)

// The people of a run.
const (
	honest    = 20                     // traders
	most      = 50                     // attackers
	wealth    = 1_000_000 * engine.One // of each of them
	liquidity = 10_000 * engine.One    // of the market: a credit moves it by half a hundredth of a point
)

// Sighting is what one rule said in a run.
type Sighting struct {
	First engine.Time // when it first raised an alarm after the attack began, from its begin; only if Seen
	Seen  bool
	Early int // alarms before the attack
	Wrong int // alarms that name no attacker, of the rules that name accounts
}

// Run is what came of one run.
type Run struct {
	Sightings map[string]Sighting
	Orders    int // of the attackers
	Refused   int // of them, by the rules
}

// Attack is one way to misuse a market.
type Attack struct {
	Name  string
	Rules []string // those that it might raise; any other is a fault
	lasts engine.Time
	cast  func(*stage) // adds the attackers
}

// actor acts at next and returns when it wants to act again; not after next means
// never.
type actor struct {
	next engine.Time
	act  func() engine.Time
}

// stage is a market with its traders.
type stage struct {
	rand   *rand.Rand
	state  *core.State
	now    engine.Time // since the run began
	d      engine.Decision
	actors []*actor
	run    Run
	fair   engine.Price // what honest traders believe on average
	err    error
}

// epoch is where the times of a run begin for the engine.
const epoch = engine.Time(1_767_355_200_000_000) // 2026-01-02T12:00:00Z

// Run plays the attack once.
func (a Attack) Run(seed uint64) (Run, error) {
	s := &stage{rand: rand.New(rand.NewPCG(seed, 0x617474)), state: core.New(), fair: engine.One / 2, run: Run{Sightings: map[string]Sighting{}}} //nolint:gosec // runs are repeatable
	s.open()
	s.actors = append(s.actors, &actor{next: second, act: s.honestly})
	a.cast(s)
	for end := Began + a.lasts; s.err == nil; {
		next := slices.MinFunc(s.actors, func(x, y *actor) int { return int(x.next - y.next) })
		if next.next > end {
			break
		}
		s.now = next.next
		if at := next.act(); at > s.now {
			next.next = at
		} else {
			next.next = end + 1
		}
	}
	for rule := range s.run.Sightings {
		if !slices.Contains(a.Rules, rule) {
			return s.run, fmt.Errorf("%s, seed %d, raised %s, which it does not list", a.Name, seed, rule)
		}
	}
	return s.run, s.err
}

// open makes accounts and market.
func (s *stage) open() {
	s.give(&engine.Initialise{
		Policy: engine.DefaultPolicy(), Template: engine.DefaultTemplate(),
		Admin: engine.Key{SHA256: engine.Digest{31: 1}, Principal: "admin", Roles: engine.RoleAdmin},
	})
	for i := range engine.AccountID(1 + honest + most) {
		s.give(&engine.OpenAccount{})
		s.give(&engine.GrantCredits{Account: i + 1, Amount: wealth})
	}
	s.give(&engine.OpenMarket{Template: engine.DefaultTemplate().Name(), Title: "attacked", Creator: 1, Liquidity: liquidity, Price: engine.One / 2})
	for i := range engine.AccountID(honest) {
		s.give(&engine.SplitSets{Account: 2 + i, Market: 1, Amount: 1000 * engine.One})
	}
}

// attacker returns the account of the i-th attacker, from 0.
func attacker(i int) engine.AccountID { return engine.AccountID(2 + honest + i) }

func attacks(a engine.AccountID) bool { return a >= attacker(0) }

// give decides what is due and then a command, and looks at what came of it.
func (s *stage) give(c engine.Command) engine.Code {
	for s.err == nil {
		due := s.state.Due(epoch + s.now)
		if due == nil {
			break
		}
		s.step(engine.System, due)
	}
	s.step("trader", c)
	return s.d.Code
}

func (s *stage) step(principal string, c engine.Command) {
	if s.err != nil {
		return
	}
	if s.err = s.state.Step(engine.Request{At: epoch + s.now, Principal: principal, Command: c}, &s.d); s.err != nil {
		return
	}
	for _, e := range s.d.Events {
		switch x := e.(type) {
		case *engine.AbuseRaised:
			named := x.Rule != engine.RuleBurst && x.Rule != engine.RuleSpike // these are about the market
			s.see(x.Rule, named && !attacks(x.Account) && !attacks(x.Other))
		case *engine.GuardTripped:
			s.see(RuleGuard, false)
		}
	}
}

func (s *stage) see(rule string, wrong bool) {
	x := s.run.Sightings[rule]
	switch {
	case s.now < Began:
		x.Early++
	case wrong:
		x.Wrong++
	case !x.Seen:
		x.Seen, x.First = true, s.now-Began
	}
	s.run.Sightings[rule] = x
}

// attack is give for an order of an attacker, which is counted.
func (s *stage) attack(x *engine.PlaceOrder) engine.Code {
	x.Market = 1
	code := s.give(x)
	s.run.Orders++
	switch code {
	case engine.RateLimited, engine.MarketFrozen, engine.CoolingDown, engine.SelfTrades:
		s.run.Refused++
	}
	return code
}

// price is the published price of YES.
func (s *stage) price() engine.Price {
	m, _ := s.state.Market(1, epoch+s.now)
	return m.PriceOf(engine.Yes)
}

// pause is an exponential waiting time for a rate in events per 1000 seconds, at
// least a microsecond.
func (s *stage) pause(rate float64) engine.Time {
	return 1 + engine.Time(s.rand.ExpFloat64()/rate*1000*float64(second))
}

// honestly lets an honest trader trade towards what traders believe: one order in
// five seconds between them, of one to ten credits.
func (s *stage) honestly() engine.Time {
	s.fair = min(max(s.fair+engine.Price(s.rand.Int64N(401)-200), 300_000), 700_000)
	x := &engine.PlaceOrder{
		Account: engine.AccountID(2 + s.rand.IntN(honest)), Market: 1, Side: engine.Buy, TIF: engine.IOC,
		Amount: engine.Micros(engine.One + s.rand.Int64N(9*engine.One)),
	}
	gap := int64(s.fair - s.price()) // a point off makes it five per cent likelier that somebody corrects it
	if up := s.rand.Int64N(engine.One) < engine.One/2+5*gap; !up {
		x.Outcome = engine.No
	}
	if s.rand.IntN(2) == 0 {
		x.Outcome, x.Side, x.Amount, x.Shares = x.Outcome.Other(), engine.Sell, 0, engine.Shares(x.Amount)
	}
	s.give(x)
	return s.now + s.pause(200)
}
