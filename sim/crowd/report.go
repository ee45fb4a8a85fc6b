package crowd

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/sim/playback"
)

// Report says what a crowd did.
type Report struct {
	Seed         uint64          `json:"seed"`
	Interrupted  bool            `json:"interrupted"`
	Orders       int             `json:"orders"`   // asked for
	Placed       int             `json:"placed"`   // accepted + rejected
	Accepted     int             `json:"accepted"` // filled, whole or in part
	Rejected     map[string]int  `json:"rejected"` // by code
	Passes       int             `json:"passes"`   // times that a trader was asked and wanted nothing
	Waits        int             `json:"rate_limit_waits"`
	Decisions    int             `json:"decisions"` // on orders, those that said rate_limited too
	Rounds       int             `json:"rounds"`
	Seconds      float64         `json:"seconds"`
	OrdersPerSec float64         `json:"orders_per_second"`
	Latency      playback.Spread `json:"latency_ms"`             // of a decision, as the trader sees it
	Before       playback.Spread `json:"distance_before_points"` // |price − hidden truth| of each market when the crowd came
	After        playback.Spread `json:"distance_after_points"`  // and when it left; the truth had walked on
	Ratio        float64         `json:"distance_ratio"`         // mean after ÷ mean before: below 1, prices became more right
	Traders      int             `json:"traders"`
	Styles       []StyleReport   `json:"styles"`
	Markets      []MarketReport  `json:"markets"` // in the order of the world
}

// StyleReport is the part of the traders of one style.
type StyleReport struct {
	Style    string         `json:"style"`
	Traders  int            `json:"traders"`
	Placed   int            `json:"placed"`
	Accepted int            `json:"accepted"`
	Rejected map[string]int `json:"rejected"`
	Passes   int            `json:"passes"`
	Bought   engine.Micros  `json:"bought_micros"` // credits spent
	Sold     engine.Micros  `json:"sold_micros"`   // credits received
}

// MarketReport is what became of one market. Prices and truths are of YES.
type MarketReport struct {
	Market      engine.MarketID `json:"market"`
	Placed      int             `json:"placed"`
	Accepted    int             `json:"accepted"`
	PriceBefore engine.Price    `json:"price_before_micros"`
	PriceAfter  engine.Price    `json:"price_after_micros"`
	TruthBefore engine.Price    `json:"truth_before_micros"`
	TruthAfter  engine.Price    `json:"truth_after_micros"`
}

// tally counts between rounds; one goroutine owns it.
type tally struct {
	out     Report
	rounds  int
	latency []time.Duration
}

func newTally(cfg Config, c *crowd, views []view) *tally {
	y := &tally{out: Report{Seed: cfg.Seed, Orders: cfg.Orders, Traders: len(c.traders), Rejected: map[string]int{}}}
	for _, name := range styleNames {
		y.out.Styles = append(y.out.Styles, StyleReport{Style: name, Rejected: map[string]int{}})
	}
	for _, t := range c.traders {
		y.out.Styles[t.style].Traders++
	}
	for i, m := range c.markets {
		y.out.Markets = append(y.out.Markets, MarketReport{Market: m.Market, PriceBefore: views[i].price, TruthBefore: c.truth.now[i]})
	}
	return y
}

// placed counts an order that was answered.
func (y *tally) placed(s style, w intent, a answer) {
	st, m := &y.out.Styles[s], &y.out.Markets[w.market]
	y.out.Placed++
	st.Placed++
	m.Placed++
	y.out.Waits += a.waits
	y.out.Decisions += len(a.took)
	y.latency = append(y.latency, a.took...)
	if a.err != nil {
		code := codeOf(a.err)
		y.out.Rejected[code]++
		st.Rejected[code]++
		return
	}
	y.out.Accepted++
	st.Accepted++
	m.Accepted++
	if a.fill.Side == engine.Buy {
		st.Bought += a.fill.Amount
	} else {
		st.Sold += a.fill.Amount
	}
}

func (y *tally) report(c *crowd, views []view, took time.Duration, interrupted bool) *Report {
	r := y.out
	r.Interrupted, r.Rounds, r.Seconds = interrupted, y.rounds, took.Seconds()
	r.OrdersPerSec = float64(r.Placed) / max(r.Seconds, 1e-9)
	r.Latency = playback.SpreadOf(y.latency, float64(time.Millisecond))
	var before, after []engine.Price
	for i := range r.Markets {
		m := &r.Markets[i]
		m.PriceAfter, m.TruthAfter = views[i].price, c.truth.now[i]
		before = append(before, apart(m.PriceBefore, m.TruthBefore))
		after = append(after, apart(m.PriceAfter, m.TruthAfter))
	}
	r.Before, r.After = playback.SpreadOf(before, playback.Point), playback.SpreadOf(after, playback.Point)
	r.Ratio = r.After.Mean / max(r.Before.Mean, 1e-4) // a hundredth of a ppm: exact prices cannot become better
	for s, n := range c.passes {
		r.Styles[s].Passes = n
		r.Passes += n
	}
	return &r
}

func apart(a, b engine.Price) engine.Price { return max(a-b, b-a) }

// shown is how many markets the text lists; the JSON document has all.
const shown = 20

// Text writes the report for people.
func (r *Report) Text(w io.Writer) {
	fmt.Fprintf(w, "crowd        %d traders in %d markets, seed %d\n", r.Traders, len(r.Markets), r.Seed)
	if r.Interrupted {
		fmt.Fprintf(w, "INTERRUPTED  after %d of %d orders\n", r.Placed, r.Orders)
	}
	fmt.Fprintf(w, "placed       %d orders in %.1f s (%.0f orders/s, %d rounds): %d accepted, %d rejected\n", r.Placed, r.Seconds, r.OrdersPerSec, r.Rounds, r.Accepted, r.Placed-r.Accepted)
	fmt.Fprintf(w, "rejected     %s\n", playback.Counts(r.Rejected))
	fmt.Fprintf(w, "waits        %d for a rate, %d times a trader wanted nothing\n", r.Waits, r.Passes)
	fmt.Fprintf(w, "latency      p50 %.2f ms, p95 %.2f ms, p99 %.2f ms, max %.2f ms\n", r.Latency.Median, r.Latency.P95, r.Latency.P99, r.Latency.Max)
	fmt.Fprintf(w, "truth        prices were %.2f points away from it on average, now %.2f (%.2f of that)\n\n", r.Before.Mean, r.After.Mean, r.Ratio)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "style\ttraders\tplaced\taccepted\twanted nothing\tbought\tsold\t")
	for _, s := range r.Styles {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%.0f\t%.0f\t\n", s.Style, s.Traders, s.Placed, s.Accepted, s.Passes, credits(s.Bought), credits(s.Sold))
	}
	fmt.Fprintln(t, "\nmarket\tplaced\taccepted\tprice was\ttruth was\tprice is\ttruth is\t")
	for _, m := range r.Markets[:min(len(r.Markets), shown)] {
		fmt.Fprintf(t, "%s\t%d\t%d\t%s\t%s\t%s\t%s\t\n", m.Market, m.Placed, m.Accepted, percent(m.PriceBefore), percent(m.TruthBefore), percent(m.PriceAfter), percent(m.TruthAfter))
	}
	if err := t.Flush(); err != nil {
		return // terminal output has nowhere to report its failure
	}
	if more := len(r.Markets) - shown; more > 0 {
		fmt.Fprintf(w, "and %d markets more\n", more)
	}
}

func credits(m engine.Micros) float64 { return float64(m) / float64(engine.One) }

func percent(p engine.Price) string { return fmt.Sprintf("%.1f %%", float64(p)/playback.Point) }
