package twap_test

import (
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mbp-market/mbp/engine/internal/fixed"
	"github.com/mbp-market/mbp/tests/given"
)

// The families of series, in the order of the tables.
var families = []string{
	"exchange, before the off", "exchange, in play", "prediction AMM", "prediction LMSR", "prediction CLOB",
	"forecast sites", "crypto 2016-18", "BTC 2026 (dydx)", "EURUSD, gold",
}

// series is what one price did, from its first change to its last.
type series struct {
	family, name string
	at           []int64 // µs
	price        []fixed.Price
	pauses       [][2]int64 // real halts, µs; they are not open time
	halts        []int64    // begins of halts, the off and the end, µs
}

func (s *series) add(at int64, p fixed.Price) {
	if i := len(s.at) - 1; i >= 0 && at < s.at[i] {
		at = s.at[i]
	}
	s.at, s.price = append(s.at, at), append(s.price, p)
}

func micros(t *testing.T, s string) int64 {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		t.Fatal(err)
	}
	return at.UnixMicro()
}

func number(s string) float64 {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0
	}
	return v
}

func ppm(p float64) fixed.Price {
	return min(max(fixed.Price(math.Round(p*fixed.One)), 1), fixed.One-1)
}

// timeline is what a betting exchange said about a market.
type timeline struct {
	pauses [][2]int64
	halts  []int64
	off    int64 // begin of play; 0 if the market never went in play
}

func timelines(t *testing.T) map[string]*timeline {
	out := map[string]*timeline{}
	since := map[string]int64{}
	given.Rows(t, given.RealData(t, "market_events.csv.gz"), func(row func(string) string) {
		id, at, status := row("market_id"), micros(t, row("ts")), row("status")
		m := out[id]
		if m == nil {
			m = &timeline{}
			out[id] = m
		}
		if begin := since[id]; begin != 0 && status != "SUSPENDED" {
			m.pauses = append(m.pauses, [2]int64{begin, at})
			delete(since, id)
		}
		if status == "SUSPENDED" {
			since[id] = at
		}
		goes := row("in_play") == "1" && m.off == 0
		if goes {
			m.off = at
		}
		if status != "OPEN" || goes {
			m.halts = append(m.halts, at)
		}
	})
	return out
}

// book collects series by name; those of an exchange are split at the off.
type book struct {
	order []*series
	named map[string]*series
	lines map[string]*timeline
}

func (b *book) add(family, name string, at int64, p fixed.Price) {
	key := family + "/" + name
	s := b.named[key]
	if s == nil {
		s = &series{family: family, name: name}
		b.named[key] = s
		b.order = append(b.order, s)
	}
	s.add(at, p)
}

func (b *book) exchange(name string, at int64, p fixed.Price) {
	market := name[:strings.LastIndex(name, ":")]
	line := b.lines[market]
	if line == nil {
		return // it is not known when it was in play
	}
	family := families[0]
	if line.off != 0 && at >= line.off {
		family = families[1]
	}
	b.add(family, name, at, p)
	s := b.named[family+"/"+name]
	s.pauses, s.halts = line.pauses, line.halts
}

// realSeries reads every series of prices, and the trades of those that are not
// among them. A price that is no probability is scaled to open at one half.
func realSeries(t *testing.T) []*series {
	b := &book{named: map[string]*series{}, lines: timelines(t)}
	scale, priced := map[string]float64{}, map[string]bool{}
	given.Rows(t, given.RealData(t, "prices.csv.gz"), func(row func(string) string) {
		name, at, p := row("series"), micros(t, row("ts")), number(row("price"))
		priced[name] = true
		switch source, _, _ := strings.Cut(name, ":"); source {
		case "betfair":
			b.exchange(name, at, ppm(p))
		case "pm":
			b.add(families[5], name, at, ppm(p))
		default:
			if scale[name] == 0 {
				scale[name] = 0.5 / p
			}
			family := families[6]
			if strings.Contains(name, "dydx") {
				family = families[7]
			} else if strings.Contains(name, "oanda") {
				family = families[8]
			}
			b.add(family, name, at, ppm(p*scale[name]))
		}
	})
	given.Rows(t, given.RealData(t, "trades.csv.gz"), func(row func(string) string) {
		status, source, name := row("status"), row("source"), row("market_id")
		if status == "redemption_or_legacy" || strings.HasPrefix(status, "limit_") || strings.Contains(status, "cancel") || priced[name] {
			return
		}
		p := number(row("price_after"))
		if p == 0 {
			if p = number(row("price")); row("outcome") == "NO" {
				p = 1 - p
			}
		}
		at := micros(t, row("ts"))
		switch {
		case p <= 0 || p >= 1:
		case source == "betfair":
			b.exchange(name, at, ppm(p))
		case strings.HasPrefix(source, "manifold"):
			b.add(families[2], name, at, ppm(p))
		case source == "lmsr_replication":
			b.add(families[3], name, at, ppm(p))
		case source == "polymarket_fed":
			b.add(families[4], name, at, ppm(p))
		}
	})
	return b.order
}
