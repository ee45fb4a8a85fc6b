package guard_test

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mbp-market/mbp/engine/internal/fixed"
	"github.com/mbp-market/mbp/engine/internal/guard"
	"github.com/mbp-market/mbp/tests/given"
)

// event is a row of the real data: an order, and a trade if it was executed.
type event struct {
	at                      int64
	source, account, market string
	traded                  bool
	price                   fixed.Price  // published after it; 0: unknown
	shares                  fixed.Shares // of YES, negative if it was sold; 0: unknown
	limit                   float64      // of a GJP order, 0..100
	buy                     bool         // the same
}

func number(s string) float64 {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0
	}
	return v
}

func micros(t *testing.T, layout, s string) int64 {
	t.Helper()
	at, err := time.Parse(layout, s)
	if err != nil {
		t.Fatal(err)
	}
	return at.UnixMicro()
}

func ppm(p float64) fixed.Price {
	if p <= 0 {
		return 0
	}
	return min(max(fixed.Price(math.Round(p*1e6)), 1), fixed.One-1)
}

// trades are the rows of trades.csv.gz in the order of time. Redemptions are
// not orders. Betfair's in-play trades are a source of their own: a goal moves a
// price as no rumour does.
func trades(t *testing.T) []event {
	var out []event
	given.Rows(t, given.RealData(t, "trades.csv.gz"), func(row func(string) string) {
		status := row("status")
		if status == "redemption_or_legacy" {
			return
		}
		e := event{at: micros(t, time.RFC3339Nano, row("ts")), source: row("source"), market: row("market_id"), account: row("account")}
		if e.source == "betfair" && status == "inplay" {
			e.source = "betfair in play"
		}
		e.traded = !strings.HasPrefix(status, "limit_")
		if e.price = ppm(number(row("price_after"))); e.price == 0 {
			e.price = ppm(number(row("price")))
			if row("outcome") == "NO" && e.price != 0 {
				e.price = fixed.One - e.price
			}
		}
		e.shares = fixed.Shares(math.Abs(number(row("shares"))) * 1e6)
		before, after := number(row("price_before")), number(row("price_after"))
		switch {
		case row("side") != "" && row("outcome") != "":
			if (row("side") == "SELL") != (row("outcome") == "NO") {
				e.shares = -e.shares
			}
		case before > 0 && after < before:
			e.shares = -e.shares
		case before <= 0 || after == before:
			e.shares = 0
		}
		out = append(out, e)
	})
	return out
}

// orders are the rows of orders.csv.gz: limit orders with times to the minute,
// so that a minute's orders count as simultaneous.
func orders(t *testing.T) []event {
	var out []event
	given.Rows(t, given.RealData(t, "orders.csv.gz"), func(row func(string) string) {
		out = append(out, event{
			at: micros(t, "2006-01-02T15:04:05", row("ts_naive_minute")), source: "gjp", account: row("account"),
			market: row("book") + "/" + row("market_id") + "/" + row("stock"), limit: number(row("price")), buy: row("side") == "BUY",
			shares: fixed.Shares(number(row("quantity")) * 1e6),
		})
	})
	return out
}

var sources = []string{"gjp", "manifold_mmm", "lmsr_replication", "polymarket_fed", "betfair", "betfair in play"}

// counts is a cell of the table: alarms, and the accounts or markets that had
// one.
type counts struct {
	alarms int
	keys   map[string]bool
}

// report collects lines of cells, one column a source.
type report struct {
	strings.Builder
	events []event
}

func (r *report) head(title string) {
	fmt.Fprintf(r, "\n%s\n%-44s", title, "")
	for _, s := range sources {
		fmt.Fprintf(r, " %16s", s)
	}
	r.WriteByte('\n')
}

// line runs one rule over all events. The rule is given the key's events in
// order; it says whether an event is looked at and whether it raised an alarm.
func (r *report) line(name string, rule func(e event) (key string, alarm bool)) {
	cells := map[string]*counts{}
	looked := map[string]bool{}
	for _, e := range r.events {
		key, alarm := rule(e)
		if key == "" {
			continue
		}
		looked[e.source] = true
		c := cells[e.source]
		if c == nil {
			c = &counts{keys: map[string]bool{}}
			cells[e.source] = c
		}
		if alarm {
			c.alarms++
			c.keys[key] = true
		}
	}
	fmt.Fprintf(r, "%-44s", name)
	for _, s := range sources {
		cell := "-"
		if looked[s] {
			cell = fmt.Sprintf("%d/%d", cells[s].alarms, len(cells[s].keys))
		}
		fmt.Fprintf(r, " %16s", cell)
	}
	r.WriteByte('\n')
}

func byAccount(e event) string {
	if e.account == "" {
		return ""
	}
	return e.source + "/" + e.account
}

func byMarket(e event) string { return e.market }

func byTrader(e event) string {
	if !e.traded || e.source == "gjp" {
		return ""
	}
	return byAccount(e)
}

func seconds(us int64) string { return strconv.FormatFloat(float64(us)/1e6, 'g', -1, 64) + " s" }

// mark says which line of the table is the default.
func mark(is bool) string {
	if is {
		return " *"
	}
	return ""
}

func (r *report) rates(title string, key func(event) string, shipped guard.Rate, others ...guard.Rate) {
	r.head(title)
	for _, rate := range append([]guard.Rate{shipped}, others...) {
		kept := map[string]int64{}
		name := fmt.Sprintf("one in %s, %d at once%s", seconds(rate.Interval), rate.Burst, mark(rate == shipped))
		r.line(name, func(e event) (string, bool) {
			k := key(e)
			if k == "" {
				return "", false
			}
			v := rate.Peek(kept[k], e.at)
			if !v.Over {
				kept[k] = rate.Charge(kept[k], e.at)
			}
			return k, v.Over
		})
	}
}

func (r *report) bursts(title string, key func(event) string, shipped guard.BurstParams, others ...guard.BurstParams) {
	r.head(title)
	for _, p := range append([]guard.BurstParams{shipped}, others...) {
		kept := map[string]*guard.Burst{}
		name := fmt.Sprintf("mean + %d sigma, floor %d, memory 2^%d%s", p.Sigmas, p.Floor, p.Shift, mark(p == shipped))
		r.line(name, func(e event) (string, bool) {
			k := key(e)
			if k == "" {
				return "", false
			}
			if kept[k] == nil {
				kept[k] = &guard.Burst{}
			}
			return k, kept[k].Charge(p, e.at).Raise
		})
	}
}

func (r *report) spikes(shipped guard.SpikeParams, others ...guard.SpikeParams) {
	r.head("spike: cool-downs / markets (prices of trades; what a cool-down would have stopped still moves the price)")
	for _, p := range append([]guard.SpikeParams{shipped}, others...) {
		kept := map[string]*guard.Spike{}
		name := fmt.Sprintf("%d ppm in %s, cool %s%s", p.Move, seconds(p.Span), seconds(p.Cool), mark(p == shipped))
		r.line(name, func(e event) (string, bool) {
			if !e.traded || e.price == 0 || e.source == "gjp" {
				return "", false
			}
			if kept[e.market] == nil {
				kept[e.market] = &guard.Spike{}
			}
			return e.market, kept[e.market].Charge(p, e.at, e.price).Raise
		})
	}
}

// ids gives names the numbers of the engine.
type ids map[string]uint32

func (m ids) of(name string) uint32 {
	if m[name] == 0 {
		m[name] = uint32(len(m) + 1)
	}
	return m[name]
}

// washes: the real trades do not name the counterparty. Two stand-ins: the last
// account that traded the other way in that market, and, as an upper bound, one
// counterparty that met every trade of an account.
func (r *report) washes(crowd bool, title string, shipped guard.WashParams, others ...guard.WashParams) {
	r.head(title)
	for _, p := range append([]guard.WashParams{shipped}, others...) {
		kept, names, markets := map[string]*guard.Wash{}, ids{}, ids{}
		last := map[string]event{} // by market and direction
		name := fmt.Sprintf("%d changes in %s, sizes within %d %%%s", p.Times, seconds(p.Window), p.Tolerance/10_000, mark(p == shipped))
		charge := func(k string, e event, party uint32, shares fixed.Shares) bool {
			if kept[k] == nil {
				kept[k] = &guard.Wash{}
			}
			return kept[k].Charge(p, e.at, guard.Fill{Party: party, Market: markets.of(e.market), Shares: shares}).Raise
		}
		r.line(name, func(e event) (string, bool) {
			k := byTrader(e)
			if k == "" || e.shares == 0 {
				return "", false
			}
			if crowd {
				return k, charge(k, e, 1, e.shares)
			}
			other, ok := last[e.market+strconv.FormatBool(e.shares < 0)]
			last[e.market+strconv.FormatBool(e.shares > 0)] = e
			if !ok || byTrader(other) == k {
				return k, false
			}
			raised := charge(k, e, names.of(byTrader(other)), e.shares)
			return k, charge(byTrader(other), e, names.of(k), -e.shares) || raised
		})
	}
}

// selves: an order meets an earlier one of the same account and stock on the
// other side at a crossing price. When orders were filled or cancelled is
// unknown; all of them rest for the time given.
func (r *report) selves(rest int64, shipped guard.SelfParams, others ...guard.SelfParams) {
	r.head(fmt.Sprintf("self-trade attempts: signals / accounts (every order rests for %d h)", rest/hour))
	for _, p := range append([]guard.SelfParams{shipped}, others...) {
		kept, resting := map[string]*guard.Self{}, map[string][]event{}
		r.line(fmt.Sprintf("%d in %s%s", p.Times, seconds(p.Window), mark(p == shipped)), func(e event) (string, bool) {
			if e.source != "gjp" {
				return "", false
			}
			k, book := byAccount(e), byAccount(e)+e.market
			meets := false
			for _, o := range resting[book] {
				meets = meets || e.at-o.at <= rest && o.buy != e.buy && (e.buy && e.limit >= o.limit || !e.buy && e.limit <= o.limit)
			}
			resting[book] = append(resting[book], e)
			if !meets {
				return k, false
			}
			if kept[k] == nil {
				kept[k] = &guard.Self{}
			}
			return k, kept[k].Charge(p, e.at).Raise
		})
	}
}

// TestHonest holds, per rule and candidate, how often the rule raised an alarm
// on real trades and orders, all of which count as honest.
func TestHonest(t *testing.T) {
	r := &report{events: append(orders(t), trades(t)...)}
	d := guard.Defaults()
	r.WriteString("What each rule says about real trades and orders. A cell is alarms/accounts (or markets) with an alarm;\n- means that the source cannot be judged by the rule; * marks the default.\n")
	r.head("events / keys looked at")
	for _, k := range []struct {
		name string
		key  func(event) string
	}{{"orders with an account", byAccount}, {"orders on a market", byMarket}, {"trades with an account", byTrader}} {
		r.line(k.name, func(e event) (string, bool) { return k.key(e), k.key(e) != "" })
	}
	r.measure(d)
	given.Golden(t, "testdata/honest.txt", r.String())
	given.Block(t, abusePage, "honest", "```text\n"+defaultsOf(r.String())+"```\n")
}

func (r *report) measure(d guard.Params) {
	rate := func(interval, burst int64) guard.Rate { return guard.Rate{Interval: interval, Burst: burst} }
	burst := func(p guard.BurstParams, sigmas, floor int64, shift uint8) guard.BurstParams {
		p.Sigmas, p.Floor, p.Shift = sigmas, floor, shift
		return p
	}
	r.rates("orders of an account: refused / accounts", byAccount, d.AccountOrders,
		rate(second, 30), rate(second, 10), rate(second, 5), rate(10*second, 30), rate(10*second, 10), rate(10*second, 5))
	r.rates("orders on a market: refused / markets", byMarket, d.MarketOrders,
		rate(second/100, 100), rate(second/10, 100), rate(second/10, 30), rate(second, 30), rate(second, 10))
	r.rates("trades of an account: refused / accounts", byTrader, d.AccountTrades,
		rate(second/5, 50), rate(second, 20), rate(second, 10), rate(10*second, 10), rate(minute, 10))
	a, m := d.AccountBurst, d.MarketBurst
	r.bursts("bursts of an account: episodes / accounts", byAccount, a,
		burst(a, 8, 3, 6), burst(a, 8, 5, 6), burst(a, 8, 10, 6), burst(a, 8, 15, 6), burst(a, 8, 30, 6), burst(a, 4, 10, 6), burst(a, 8, 10, 8))
	r.bursts("bursts on a market: episodes / markets", byMarket, m,
		burst(m, 8, 10, 8), burst(m, 8, 20, 8), burst(m, 8, 30, 8), burst(m, 8, 75, 8), burst(m, 8, 100, 8),
		burst(m, 4, 50, 4), burst(m, 8, 50, 4), burst(m, 4, 50, 6), burst(m, 6, 50, 6), burst(m, 8, 50, 6),
		burst(m, 4, 50, 8), burst(m, 6, 50, 8), burst(m, 12, 50, 8))
	var spikes []guard.SpikeParams
	for _, span := range []int64{10 * second, minute, 5 * minute} {
		for _, move := range []fixed.Price{50_000, 100_000, 150_000, 200_000, 250_000, 300_000, 400_000} {
			if p := (guard.SpikeParams{Move: move, Span: span, Cool: d.Spike.Cool}); p != d.Spike {
				spikes = append(spikes, p)
			}
		}
	}
	r.spikes(d.Spike, spikes...)
	wash := func(times, window, tolerance int64) guard.WashParams {
		return guard.WashParams{Times: times, Window: window, Tolerance: tolerance, MinShares: d.Wash.MinShares}
	}
	candidates := []guard.WashParams{
		wash(1, 7*day, 1_000_000), wash(2, 7*day, 1_000_000), wash(2, 10*minute, 100_000), wash(2, hour, 50_000), wash(2, hour, 100_000), wash(3, hour, 100_000),
		wash(4, day, 100_000), wash(4, hour, 500_000), wash(4, hour, 1_000_000),
	}
	r.washes(false, "wash, counterparty = last one the other way: signals / accounts", d.Wash, candidates...)
	r.washes(true, "wash, one counterparty for all (upper bound): signals / accounts", d.Wash, candidates...)
	self := func(times, window int64) guard.SelfParams { return guard.SelfParams{Times: times, Window: window} }
	for _, rest := range []int64{hour, 365 * day} {
		r.selves(rest, d.Self, self(1, minute), self(2, 10*minute), self(4, 10*minute), self(5, 10*minute), self(3, hour), self(5, hour), self(8, hour))
	}
}

// defaultsOf keeps the titles and the lines of the defaults.
func defaultsOf(table string) string {
	var b strings.Builder
	title, events := "", false
	for _, line := range strings.Split(table, "\n") {
		switch name, _, _ := strings.Cut(line, "  "); {
		case strings.HasPrefix(line, "events / keys"):
			events = true
		case line == "":
			events = events && b.Len() == 0
		case events:
			b.WriteString(line + "\n")
		case strings.HasSuffix(name, " *"):
			b.WriteString("\n" + title + "\n" + line + "\n")
		case !strings.HasPrefix(line, " "):
			title = line
		}
	}
	return b.String()
}
