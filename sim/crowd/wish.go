package crowd

import (
	"math/rand/v2"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/sim/playback"
	"github.com/mbp-market/mbp/sim/world"
)

// style is how a trader decides.
type style uint8

const (
	value    style = iota // trades towards a belief about the truth
	noise                 // trades for no reason that the market could know
	momentum              // buys what has risen
	closer                // opens a position and sells it again
	styles
)

// styleNames are the names of the styles in reports.
var styleNames = [styles]string{"value", "noise", "momentum", "closer"}

// mix is how many of a hundred traders have each style.
var mix = [styles]int{55, 20, 12, 13}

// How they trade; shares of something are in ppm.
const (
	budgetLow    = 50_000 // of the credits of the account
	budgetHigh   = 200_000
	kelly        = 100_000 // of what Kelly's rule says: nobody here knows how wrong he is
	noiseStake   = 20_000  // of the budget left, at most
	followStake  = 10_000
	opinion      = 40_000 // deviation of a trader's standing opinion on a market
	look         = 20_000 // deviation of each look at it
	margin       = 10_000 // a belief has to be this far from the price
	move         = 2_000  // a rise or fall that is worth following
	chase        = 30_000 // how far the follower lets the price run
	lookback     = 3      // rounds, over which a move is seen
	lowest       = 20_000
	highest      = 980_000                        // what anybody bids or asks
	minStake     = engine.Micros(engine.One / 10) // smaller orders are not worth a decision
	minHolding   = engine.Shares(engine.One / 10)
	maxStake     = engine.Micros(10_000 * engine.One) // a tenth of the largest order of a market
	maxHolding   = engine.Shares(10_000 * engine.One) // sold at once
	maxBatch     = 256                                // orders of a round: between two looks at the prices
	batchOfCrowd = 4                                  // a round takes at most one in so many traders
)

// view is what anybody sees of a market when a round begins.
type view struct {
	open  bool
	price engine.Price // of YES
}

// intent is an order that a trader wants to place.
type intent struct {
	trader, market int
	order          engine.PlaceOrder
}

// holding names a position.
type holding struct {
	market  int
	outcome engine.Outcome
}

type trader struct {
	account playback.Account
	style   style
	budget  int64                     // ppm of the credits of the account
	cash    engine.Micros             // what is left to spend
	held    map[holding]engine.Shares // looked up, never ranged over
}

// crowd decides what everybody wants. It does no I/O; one goroutine owns it.
type crowd struct {
	seed    uint64
	markets []world.Market
	weights []int64 // cumulative
	truth   *truths
	traders []trader
	rand    *rand.Rand
	deck    []int    // traders whose turn comes, reshuffled when it is used up
	past    [][]view // the last rounds, newest last, at most lookback+1
	passes  [styles]int
}

func newCrowd(w *world.World, seed uint64) *crowd {
	c := &crowd{seed: seed, markets: w.Markets, truth: newTruths(seed, len(w.Markets)), rand: source(seed, streamWishes)}
	sum := int64(0)
	for _, m := range w.Markets {
		sum += max(int64(m.Weight*float64(engine.One)), 1)
		c.weights = append(c.weights, sum)
	}
	made := source(seed, streamTraders)
	for _, t := range w.Traders {
		x := trader{
			account: playback.Account{ID: t.Account, Secret: t.Key}, held: map[holding]engine.Shares{},
			budget: budgetLow + made.Int64N(budgetHigh-budgetLow+1),
		}
		for n := made.IntN(100); n >= mix[x.style]; x.style++ {
			n -= mix[x.style]
		}
		c.traders = append(c.traders, x)
	}
	return c
}

// endow tells a trader what the account has: a part of the credits is for
// trading here, and every position in these markets.
func (c *crowd) endow(i int, a engine.Account, index map[engine.MarketID]int) {
	t := &c.traders[i]
	t.cash = part(a.Available, t.budget)
	for _, p := range a.Positions {
		if m, ours := index[p.Market]; ours {
			t.held[holding{m, p.Outcome}] = p.Shares
		}
	}
}

// plan lets the truth take a step and asks the next traders what they want, at
// most so many orders and one of each trader.
func (c *crowd) plan(views []view, most int) []intent {
	c.truth.walk()
	c.past = append(c.past, views)
	if len(c.past) > lookback+1 {
		c.past = c.past[1:]
	}
	if len(c.deck) == 0 {
		c.deck = c.rand.Perm(len(c.traders))
	}
	n := min(most, len(c.deck), maxBatch, max(len(c.traders)/batchOfCrowd, 1))
	var wishes []intent
	for _, i := range c.deck[:n] {
		t := &c.traders[i]
		if w, some := c.wish(i, c.pick(), views); some {
			w.trader = i
			w.order.Account, w.order.Market, w.order.TIF = t.account.ID, c.markets[w.market].Market, engine.IOC
			wishes = append(wishes, w)
		} else {
			c.passes[t.style]++
		}
	}
	c.deck = c.deck[n:]
	return wishes
}

// pick draws a market by its share of the flow.
func (c *crowd) pick() int {
	at := c.rand.Int64N(c.weights[len(c.weights)-1])
	for i, sum := range c.weights {
		if at < sum {
			return i
		}
	}
	return len(c.weights) - 1
}

// wish asks one trader about one market.
func (c *crowd) wish(i, m int, views []view) (intent, bool) {
	t := &c.traders[i]
	if !views[m].open {
		return intent{}, false
	}
	if t.cash < minStake {
		return c.sellSome(t, views)
	}
	switch t.style {
	case noise:
		outcome := engine.Outcome(c.rand.IntN(2))
		if c.rand.IntN(3) == 0 && t.held[holding{m, outcome}] >= minHolding {
			return c.sell(t, m, outcome, 0)
		}
		return c.buy(t, m, outcome, part(t.cash, c.rand.Int64N(noiseStake)+1), 0)
	case momentum:
		return c.follow(t, m, c.past[0][m].price, views[m].price)
	case closer:
		if w, some := c.sellSome(t, views); some {
			return w, true
		}
	}
	return c.byBelief(i, m, views[m].price)
}

// follow buys the outcome that has become dearer, and sells the other one first.
func (c *crowd) follow(t *trader, m int, past, now engine.Price) (intent, bool) {
	outcome := engine.Yes
	if now < past {
		outcome, past, now = engine.No, engine.One-past, engine.One-now
	}
	switch {
	case now-past < move:
		return intent{}, false
	case t.held[holding{m, outcome.Other()}] >= minHolding:
		return c.sell(t, m, outcome.Other(), engine.One-now-chase)
	}
	return c.buy(t, m, outcome, part(t.cash, followStake), now+chase)
}

// byBelief trades towards what the trader believes, no further: the belief is
// the limit of the order. Who holds the outcome that looks too dear sells it
// before he pays for the other one.
func (c *crowd) byBelief(i, m int, price engine.Price) (intent, bool) {
	t := &c.traders[i]
	standing := bell(source(c.seed, streamOpinions+uint64(i*len(c.markets)+m)), opinion)
	belief := clamp(c.truth.now[m]+engine.Price(standing+bell(c.rand, look)), lowest, highest)
	outcome := engine.Yes
	if belief < price {
		outcome, belief, price = engine.No, engine.One-belief, engine.One-price
	}
	if belief-price < margin {
		return intent{}, false
	}
	if t.held[holding{m, outcome.Other()}] >= minHolding {
		return c.sell(t, m, outcome.Other(), engine.One-belief)
	}
	edge := int64(belief-price) * int64(engine.One) / int64(engine.One-price) // Kelly's share
	return c.buy(t, m, outcome, part(part(t.cash, kelly), edge), belief)
}

func (c *crowd) buy(t *trader, m int, o engine.Outcome, stake engine.Micros, limit engine.Price) (intent, bool) {
	if limit != 0 {
		limit = clamp(limit, lowest, highest)
	}
	stake = min(max(stake, minStake), t.cash, maxStake)
	return intent{market: m, order: engine.PlaceOrder{Outcome: o, Side: engine.Buy, Amount: stake, Limit: limit}}, true
}

func (c *crowd) sell(t *trader, m int, o engine.Outcome, limit engine.Price) (intent, bool) {
	if limit != 0 {
		limit = clamp(limit, lowest, highest)
	}
	shares := min(t.held[holding{m, o}], maxHolding)
	return intent{market: m, order: engine.PlaceOrder{Outcome: o, Side: engine.Sell, Shares: shares, Limit: limit}}, true
}

// sellSome sells one position of an open market, any.
func (c *crowd) sellSome(t *trader, views []view) (intent, bool) {
	first := c.rand.IntN(2 * len(views))
	for i := range 2 * len(views) {
		n := (first + i) % (2 * len(views))
		h := holding{n / 2, engine.Outcome(n % 2)}
		if views[h.market].open && t.held[h] >= minHolding {
			return c.sell(t, h.market, h.outcome, 0)
		}
	}
	return intent{}, false
}

// learn tells the trader what the order traded.
func (c *crowd) learn(w intent, f engine.OrderFilled) {
	t := &c.traders[w.trader]
	h := holding{w.market, f.Outcome}
	if f.Side == engine.Buy {
		t.cash -= f.Amount
		t.held[h] += f.Shares
		return
	}
	t.cash += f.Amount
	t.held[h] -= f.Shares
}
