package playback

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/sim/tape"
)

// Report says what became of a tape.
type Report struct {
	SHA256      engine.Digest  `json:"sha256"` // of the recording
	Interrupted bool           `json:"interrupted"`
	Rows        int            `json:"rows"`
	Executed    int            `json:"executed"`            // rows that really traded
	Trades      int            `json:"trades"`              // rows to play
	Played      int            `json:"played"`              // accepted + rejected
	Accepted    int            `json:"accepted"`            // filled here, whole or in part
	Rejected    map[string]int `json:"rejected"`            // by code
	Skipped     map[string]int `json:"skipped"`             // rows that are not played, by reason
	Notes       map[string]int `json:"notes"`               // how played rows were read
	Replayed    int            `json:"replayed"`            // of the accepted: an earlier run had played them
	Waits       int            `json:"rate_limit_waits"`    // times that an account's rate, or a busy venue, made an order wait
	Decisions   int            `json:"decisions"`           // fresh decisions on orders
	Markets     int            `json:"markets"`             // opened
	Accounts    int            `json:"accounts"`            // made
	Seconds     float64        `json:"seconds"`             // in all
	RowsPerSec  float64        `json:"rows_per_second"`     // played
	Latency     Spread         `json:"latency_ms"`          // of a decision, as the trader sees it
	Sources     []SourceReport `json:"sources"`             // in the order of the recording
	Comparison  string         `json:"price_comparison_is"` // what the prices below mean
}

// SourceReport is the part of one source.
type SourceReport struct {
	Source   string         `json:"source"`
	AMM      bool           `json:"amm"`
	Rows     int            `json:"rows"`
	Executed int            `json:"executed"`
	Accepted int            `json:"accepted"`
	Rejected map[string]int `json:"rejected"`
	Skipped  map[string]int `json:"skipped"`
	Price    *Spread        `json:"price_difference_points,omitempty"`  // |ours − theirs| after the trade
	Impact   *Spread        `json:"impact_difference_points,omitempty"` // |our move − their move|, makers only
}

// Spread describes many values.
type Spread struct {
	Count  int     `json:"count"`
	Mean   float64 `json:"mean"`
	Median float64 `json:"p50"`
	P95    float64 `json:"p95"`
	P99    float64 `json:"p99"`
	Max    float64 `json:"max"`
}

const comparison = "absolute differences in probability points of YES over accepted rows that carry prices; " +
	"rows played to their price are left out; a maker's depth is fitted to one purchase of each market, every other row is a free comparison"

// SpreadOf sorts values and describes them in units of 1/per.
func SpreadOf[T ~int64](values []T, per float64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	slices.Sort(values)
	sum := 0.0
	for _, v := range values {
		sum += float64(v)
	}
	at := func(percent int) float64 { // nearest rank
		return float64(values[max((len(values)*percent+99)/100, 1)-1]) / per
	}
	return Spread{
		Count: len(values), Mean: sum / float64(len(values)) / per, Median: at(50), P95: at(95), P99: at(99),
		Max: float64(values[len(values)-1]) / per,
	}
}

// tally counts while lanes play.
type tally struct {
	mu      sync.Mutex
	tape    *tape.Tape
	out     Report
	latency []time.Duration
	price   [][]engine.Price // by source
	impact  [][]engine.Price
}

func newTally(t *tape.Tape) *tally {
	y := &tally{tape: t, price: make([][]engine.Price, len(t.Sources)), impact: make([][]engine.Price, len(t.Sources))}
	y.out = Report{
		SHA256: t.SHA256, Rows: t.Rows, Trades: len(t.Trades), Comparison: comparison,
		Rejected: map[string]int{}, Skipped: map[string]int{}, Notes: map[string]int{},
	}
	for _, s := range t.Sources {
		y.out.Executed += s.Executed
		for reason, n := range s.Skipped {
			y.out.Skipped[reason] += n
		}
		y.out.Sources = append(y.out.Sources, SourceReport{
			Source: s.Name, AMM: s.AMM, Rows: s.Rows, Executed: s.Executed, Rejected: map[string]int{}, Skipped: maps.Clone(s.Skipped),
		})
	}
	return y
}

func (y *tally) opened() { y.mu.Lock(); y.out.Markets++; y.mu.Unlock() }
func (y *tally) joined() { y.mu.Lock(); y.out.Accounts++; y.mu.Unlock() }
func (y *tally) waited() { y.mu.Lock(); y.out.Waits++; y.mu.Unlock() }

func (y *tally) decided(d time.Duration) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.out.Decisions++
	y.latency = append(y.latency, d)
}

func (y *tally) rejected(t *tape.Trade, code string) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.played(t)
	y.out.Rejected[code]++
	y.out.Sources[t.Source].Rejected[code]++
}

func (y *tally) accepted(t *tape.Trade, f Fill, opposite bool) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.played(t)
	y.out.Accepted++
	src := &y.out.Sources[t.Source]
	src.Accepted++
	if f.Replayed {
		y.out.Replayed++
	}
	if opposite {
		y.out.Notes["sold_as_opposite"]++
	}
	if t.After == 0 || t.Notes&tape.ToPrice != 0 {
		return
	}
	before, after := yes(f.PriceBefore, f.Outcome), yes(f.PriceAfter, f.Outcome)
	y.price[t.Source] = append(y.price[t.Source], apart(after, t.After))
	if src.AMM && t.Before != 0 {
		y.impact[t.Source] = append(y.impact[t.Source], apart(after-before, t.After-t.Before))
	}
}

func (y *tally) played(t *tape.Trade) {
	y.out.Played++
	for i, name := range tape.NoteNames {
		if t.Notes&(1<<i) != 0 {
			y.out.Notes[name]++
		}
	}
}

func yes(p engine.Price, o engine.Outcome) engine.Price {
	if o == engine.No {
		return engine.One - p
	}
	return p
}

func apart(a, b engine.Price) engine.Price { return max(a-b, b-a) }

// Point is a probability point in the unit of prices.
const Point = float64(engine.One) / 100

func (y *tally) report(took time.Duration, interrupted bool) *Report {
	y.mu.Lock()
	defer y.mu.Unlock()
	r := y.out
	r.Interrupted = interrupted
	r.Seconds = took.Seconds()
	r.RowsPerSec = float64(r.Played) / max(r.Seconds, 1e-9)
	r.Latency = SpreadOf(y.latency, float64(time.Millisecond))
	for i := range r.Sources {
		if len(y.price[i]) > 0 {
			s := SpreadOf(y.price[i], Point)
			r.Sources[i].Price = &s
		}
		if len(y.impact[i]) > 0 {
			s := SpreadOf(y.impact[i], Point)
			r.Sources[i].Impact = &s
		}
	}
	return &r
}

// Text writes the report for people.
func (r *Report) Text(w io.Writer) {
	fmt.Fprintf(w, "recording    %d rows, %d executed, sha256 %s\n", r.Rows, r.Executed, r.SHA256)
	if r.Interrupted {
		fmt.Fprintf(w, "INTERRUPTED  after %d of %d rows; repeat the command to go on\n", r.Played, r.Trades)
	}
	fmt.Fprintf(w, "played       %d rows in %.1f s (%.0f rows/s): %d accepted, %d rejected\n", r.Played, r.Seconds, r.RowsPerSec, r.Accepted, r.Played-r.Accepted)
	fmt.Fprintf(w, "rejected     %s\n", Counts(r.Rejected))
	fmt.Fprintf(w, "skipped      %s\n", Counts(r.Skipped))
	fmt.Fprintf(w, "read as      %s\n", Counts(r.Notes))
	fmt.Fprintf(w, "venue        %d markets, %d accounts, %d fresh decisions, %d replayed, %d waits for a rate\n", r.Markets, r.Accounts, r.Decisions, r.Replayed, r.Waits)
	fmt.Fprintf(w, "latency      p50 %.2f ms, p95 %.2f ms, p99 %.2f ms, max %.2f ms\n\n", r.Latency.Median, r.Latency.P95, r.Latency.P99, r.Latency.Max)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "source\trows\texecuted\taccepted\trejected\tprice: n\tmean\tmedian\tp95\timpact: n\tmean\tmedian\tp95\t")
	for _, s := range r.Sources {
		rejected := 0
		for _, n := range s.Rejected {
			rejected += n
		}
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%s\t%s\t\n", s.Source, s.Rows, s.Executed, s.Accepted, rejected, points(s.Price), points(s.Impact))
	}
	if err := t.Flush(); err != nil {
		return // terminal output has nowhere to report its failure
	}
	fmt.Fprintf(w, "\nPrices: %s.\n", r.Comparison)
}

func points(s *Spread) string {
	if s == nil {
		return "-\t-\t-\t-"
	}
	return fmt.Sprintf("%d\t%.2f\t%.2f\t%.2f", s.Count, s.Mean, s.Median, s.P95)
}

// Counts lists numbers by name, for people.
func Counts(m map[string]int) string {
	if len(m) == 0 {
		return "none"
	}
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, fmt.Sprintf("%s %d", k, m[k]))
	}
	return strings.Join(parts, ", ")
}
