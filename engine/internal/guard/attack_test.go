package guard_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/mbp-market/mbp/engine/internal/fixed"
	"github.com/mbp-market/mbp/engine/internal/guard"
	"github.com/mbp-market/mbp/tests/given"
)

// abusePage shows what was measured here.
const abusePage = "../../../docs/spec/abuse.md"

const (
	seeds = 200         // simulations of each attack
	began = 30 * minute // when the attack starts, after honest trading
)

// sighting is when a rule first raised an alarm (µs; 0: never) in one run.
type sighting map[string]int64

func (s sighting) see(rule string, at int64, alarm bool) {
	if alarm && s[rule] == 0 {
		s[rule] = at
	}
}

// wait is an exponential waiting time for a rate per second.
func wait(r *rand.Rand, rate float64) int64 { return int64(r.ExpFloat64() / rate * float64(second)) }

// flood runs one market: twenty honest accounts send an order every five seconds
// between them, then attackers send orders at a rate that pace gives per second
// of the attack. What Rate refuses still counts in the bursts.
func flood(r *rand.Rand, d guard.Params, attackers int, lasts int64, pace func(second float64) float64) sighting {
	seen := sighting{}
	tat, market := map[int]int64{}, int64(0)
	account, whole := map[int]*guard.Burst{}, guard.Burst{}
	order := func(now int64, who int) {
		v := d.AccountOrders.Peek(tat[who], now)
		seen.see("order_rate", now, v.Over)
		if !v.Over {
			tat[who] = d.AccountOrders.Charge(tat[who], now)
		}
		v = d.MarketOrders.Peek(market, now)
		seen.see("market_rate", now, v.Over)
		if !v.Over {
			market = d.MarketOrders.Charge(market, now)
		}
		if account[who] == nil {
			account[who] = &guard.Burst{}
		}
		seen.see("burst (account)", now, account[who].Charge(d.AccountBurst, now).Raise)
		seen.see("burst (market)", now, whole.Charge(d.MarketBurst, now).Raise)
	}
	end := began + lasts
	honest, attack := int64(1), began
	for honest < end || attack < end {
		if honest < attack {
			order(honest, r.IntN(20))
			honest += 1 + wait(r, 0.2)
		} else {
			order(attack, 100+r.IntN(attackers))
			attack += 1 + wait(r, pace(float64(attack-began)/1e6))
		}
	}
	return seen
}

func steady(rate float64) func(float64) float64 { return func(float64) float64 { return rate } }

// pump lets a price wander by up to 0.2 points every five seconds and then pushes
// it up by 40 points within the time given, a push every two seconds.
func pump(r *rand.Rand, within int64) sighting {
	p := guard.Defaults().Spike
	seen := sighting{}
	var s guard.Spike
	price := fixed.Price(200_000 + r.Int64N(200_000))
	for now := int64(1); now < began+within; now += 2 * second {
		if now >= began {
			price += fixed.Price(400_000 * 2 * second / within)
		} else {
			price += fixed.Price(r.Int64N(4_001) - 2_000)
		}
		price = min(max(price, 10_000), 990_000)
		seen.see("spike", now, s.Charge(p, now, price).Raise)
	}
	return seen
}

// washing lets accounts hand about a hundred shares around in a ring, every half
// minute for an hour; two accounts are a pair. Between two of its trades each
// account trades with honest others, on average so often.
func washing(r *rand.Rand, accounts int, others float64, spread float64) sighting {
	p := guard.Defaults().Wash
	seen := sighting{}
	kept := map[uint32]*guard.Wash{}
	fill := func(now int64, buyer, seller uint32, shares fixed.Shares) bool {
		raised := false
		for _, side := range []struct{ who, party uint32 }{{buyer, seller}, {seller, buyer}} {
			if kept[side.who] == nil {
				kept[side.who] = &guard.Wash{}
			}
			signed := shares
			if side.who == seller {
				signed = -shares
			}
			raised = kept[side.who].Charge(p, now, guard.Fill{Party: side.party, Market: 1, Shares: signed}).Raise || raised
		}
		return raised
	}
	holder := 0
	for now := began; now < began+hour; now += second * (20 + r.Int64N(21)) {
		for a := range accounts {
			for n := others * r.Float64() * 2; n > r.Float64(); n-- {
				fill(now, uint32(a+1), uint32(100+r.IntN(50)), fixed.One*fixed.Shares(10+r.IntN(200)))
			}
		}
		next := (holder + 1) % accounts
		shares := fixed.Shares(100 * fixed.One * (1 + spread*(2*r.Float64()-1)))
		seen.see("wash", now, fill(now, uint32(next+1), uint32(holder+1), shares))
		holder = next
	}
	return seen
}

// meeting lets an account meet its own orders every so often for an hour.
func meeting(r *rand.Rand, every int64) sighting {
	p := guard.Defaults().Self
	seen := sighting{}
	var s guard.Self
	for now := began; now < began+hour; now += every/2 + r.Int64N(every) {
		seen.see("self_trade", now, s.Charge(p, now).Raise)
	}
	return seen
}

// attacks are the simulations, with the rules that might see each.
var attacks = []struct {
	name  string
	rules []string
	run   func(*rand.Rand) sighting
}{
	{"flood: 1 account, 50/s for 60 s", floodRules, func(r *rand.Rand) sighting { return flood(r, guard.Defaults(), 1, minute, steady(50)) }},
	{"flood: 50 accounts, 50/s for 60 s", floodRules, func(r *rand.Rand) sighting { return flood(r, guard.Defaults(), 50, minute, steady(50)) }},
	{"flood: 50 accounts, 1000/s for 10 s", floodRules, func(r *rand.Rand) sighting { return flood(r, guard.Defaults(), 50, 10*second, steady(1000)) }},
	{"slow flood: 1 account, 3/s for 10 min", floodRules, func(r *rand.Rand) sighting { return flood(r, guard.Defaults(), 1, 10*minute, steady(3)) }},
	{"slow flood: 1 account, 1/s for 10 min", floodRules, func(r *rand.Rand) sighting { return flood(r, guard.Defaults(), 1, 10*minute, steady(1)) }},
	{"ramp: 50 accounts, 0.2/s to 20/s in 10 min", floodRules, func(r *rand.Rand) sighting {
		return flood(r, guard.Defaults(), 50, 10*minute, func(at float64) float64 { return 0.2 + at*19.8/600 })
	}},
	{"ramp: 50 accounts, 0.2/s to 20/s in 3 h", floodRules, func(r *rand.Rand) sighting {
		return flood(r, guard.Defaults(), 50, 3*hour, func(at float64) float64 { return 0.2 + at*19.8/10_800 })
	}},
	{"pump: 40 points in 20 s", []string{"spike"}, func(r *rand.Rand) sighting { return pump(r, 20*second) }},
	{"pump: 40 points in 60 s", []string{"spike"}, func(r *rand.Rand) sighting { return pump(r, minute) }},
	{"slow pump: 40 points in 10 min", []string{"spike"}, func(r *rand.Rand) sighting { return pump(r, 10*minute) }},
	{"wash pair: sizes within 2 %", []string{"wash"}, func(r *rand.Rand) sighting { return washing(r, 2, 0, 0.02) }},
	{"wash pair: sizes within 5 %, 1 trade between", []string{"wash"}, func(r *rand.Rand) sighting { return washing(r, 2, 1, 0.05) }},
	{"wash pair: sizes within 15 %, 1 trade between", []string{"wash"}, func(r *rand.Rand) sighting { return washing(r, 2, 1, 0.15) }},
	{"wash pair: sizes within 5 %, 8 trades between", []string{"wash"}, func(r *rand.Rand) sighting { return washing(r, 2, 8, 0.05) }},
	{"wash ring of 3 accounts", []string{"wash"}, func(r *rand.Rand) sighting { return washing(r, 3, 0, 0.02) }},
	{"self-trading: every minute", []string{"self_trade"}, func(r *rand.Rand) sighting { return meeting(r, minute) }},
	{"self-trading: every 4 minutes", []string{"self_trade"}, func(r *rand.Rand) sighting { return meeting(r, 4*minute) }},
	{"self-trading: every 15 minutes", []string{"self_trade"}, func(r *rand.Rand) sighting { return meeting(r, 15*minute) }},
}

var floodRules = []string{"order_rate", "market_rate", "burst (account)", "burst (market)"}

// TestAttacks holds, for the defaults, how many of the simulated attacks each
// rule sees and after how long, and how often it cried before the attack.
func TestAttacks(t *testing.T) {
	var b strings.Builder
	fmt.Fprintf(&b, "What the defaults see of simulated attacks, %d seeds each; delays in seconds from the start of the attack.\n\n", seeds)
	fmt.Fprintf(&b, "%-48s %-16s %8s %10s %10s %10s\n", "attack", "rule", "seen", "median", "worst", "too early")
	for _, a := range attacks {
		delays, early := map[string][]int64{}, map[string]int{}
		for seed := range uint64(seeds) {
			seen := a.run(rand.New(rand.NewPCG(seed, 14)))
			for rule, at := range seen {
				if !slices.Contains(a.rules, rule) {
					t.Fatalf("%s raised %s, which its row does not list", a.name, rule)
				}
				if at < began {
					early[rule]++
				} else {
					delays[rule] = append(delays[rule], at-began)
				}
			}
		}
		for _, rule := range a.rules {
			row(&b, a.name, rule, delays[rule], early[rule])
		}
	}
	ramps(&b)
	given.Golden(t, "testdata/attacks.txt", b.String())
	given.Block(t, abusePage, "attacks", "```text\n"+b.String()+"```\n")
}

// ramps shows what memory and sigmas do against a ramp, which teaches the
// baseline while it rises.
func ramps(b *strings.Builder) {
	fmt.Fprintf(b, "\n%-48s %-16s %8s %10s %10s %10s\n", "ramp: 50 accounts, 0.2/s to 20/s in 10 min", "rule", "seen", "median", "worst", "too early")
	for _, shift := range []uint8{4, 6, 8} {
		for _, sigmas := range []int64{4, 6, 8, 12} {
			d := guard.Defaults()
			d.MarketBurst.Shift, d.MarketBurst.Sigmas = shift, sigmas
			var delays []int64
			early := 0
			for seed := range uint64(seeds) {
				seen := flood(rand.New(rand.NewPCG(seed, 14)), d, 50, 10*minute, func(at float64) float64 { return 0.2 + at*19.8/600 })
				if at := seen["burst (market)"]; at >= began {
					delays = append(delays, at-began)
				} else if at > 0 {
					early++
				}
			}
			row(b, fmt.Sprintf("mean + %d sigma, floor %d, memory 2^%d%s", sigmas, d.MarketBurst.Floor, shift, mark(d == guard.Defaults())), "burst (market)", delays, early)
		}
	}
}

func row(b *strings.Builder, name, rule string, delays []int64, early int) {
	slices.Sort(delays)
	median, worst := "-", "-"
	if n := len(delays); n > 0 {
		median, worst = fmt.Sprintf("%.1f", float64(delays[n/2])/1e6), fmt.Sprintf("%.1f", float64(delays[n-1])/1e6)
	}
	fmt.Fprintf(b, "%-48s %-16s %8d %10s %10s %10d\n", name, rule, len(delays), median, worst, early)
}
