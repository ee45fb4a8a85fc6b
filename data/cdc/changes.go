package cdc

import (
	"context"
	"fmt"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
)

// Committed is a decision that the journal made durable.
type Committed struct {
	Decision *engine.Decision
	At       int64 // µs since the Unix epoch: the journal's time of its batch
}

// Source delivers the durable decisions of one journal, from the first one on,
// in order and without gaps.
type Source interface {
	// Next blocks until there is another decision. io.EOF means that there will
	// be none. The caller may keep the decision but does not change it.
	Next(ctx context.Context) (Committed, error)
}

// fold turns decisions into changes. It folds the engine's state beside them,
// because a row tells more than its event: the title of a market that changed
// its state, the prices of all outcomes, the TWAP and the depth behind a price.
// The state is rebuilt from the first decision at every start, or from a snapshot
// and the lake where the first decision is not there any more (see recall), so a row
// is the same whenever it is written.
type fold struct {
	state *core.State
	told  map[engine.MarketID]*told
}

// told is what rows of a market say and the state does not.
type told struct {
	seed     engine.Micros              // credits that seeded the pools
	seeded   bool                       // the lake has said what seed is; see recall
	prices   []engine.Price             // as last published; nil once it ended
	proposal *engine.ResolutionProposed // the last one
	ending   *engine.SettlementStarted  // nil before and after the settlement
}

func newFold() *fold { return &fold{core.New(), map[engine.MarketID]*told{}} }

// touched is what a decision did so far. A market or a price that several events
// changed has one row, with what the decision left.
type touched struct {
	d       *engine.Decision
	markets []touch
	prices  []touch
	rest    []change
	grants  int                 // rows of mbp_grants so far
	seasons int                 // rows of mbp_seasons so far
	turn    turn                // of the count that was under way
	was     map[string][]string // by role and subject: the groups that the decision replaces
}

type touch struct {
	market    engine.MarketID
	op, cause string
}

// note adds a market that a row is to be about, unless there is one.
func note(list *[]touch, m engine.MarketID, op string, e engine.Event) {
	for _, t := range *list {
		if t.market == m {
			return
		}
	}
	*list = append(*list, touch{m, op, e.Type()})
}

// take folds one decision and returns the rows it makes.
func (f *fold) take(c Committed) (decided, error) {
	d := c.Decision
	out := decided{seq: uint64(d.Seq), decided: int64(d.At), committed: c.At}
	t := touched{d: d}
	f.before(&t)
	if err := f.state.Evolve(d); err != nil {
		return out, err
	}
	for _, e := range d.Events {
		if err := f.event(&t, e); err != nil {
			return out, fmt.Errorf("decision %d: %w", d.Seq, err)
		}
	}
	changes, err := f.rows(&t)
	if err != nil {
		return out, fmt.Errorf("decision %d: %w", d.Seq, err)
	}
	out.changes = changes
	return out, nil
}

// rows reads the state after the decision for the markets and prices it touched.
func (f *fold) rows(t *touched) ([]change, error) {
	var out []change
	for _, x := range t.markets {
		m, of, err := f.market(x.market, t.d.At)
		if err != nil {
			return nil, err
		}
		out = append(out, marketRow(m, of, x))
	}
	for _, x := range t.prices {
		m, of, err := f.market(x.market, t.d.At)
		if err != nil {
			return nil, err
		}
		out = append(out, quoteRows(m, of, x)...)
	}
	return append(out, t.rest...), nil
}

// event lists every event by name: one that nobody thought of stops the pipeline
// instead of missing in the lake.
func (f *fold) event(t *touched, e engine.Event) error {
	switch x := e.(type) {
	case *engine.PolicySet, *engine.TemplateAdded, *engine.KeyAdded, *engine.KeyRevoked, *engine.AccountOpened, *engine.MarketSifted, *engine.ModeSet, *engine.DeadlinesSet, *engine.Moderated, *engine.ModerationUndone, *engine.EngineUpgraded,
		*engine.TextsAllowed, *engine.MarketClarified, *engine.DecisionNoted, *engine.PersonErased, *engine.WebhookSet, *engine.RankingSet:
		return nil // no hot table is about them
	case *engine.OrderRested, *engine.OrdersClosed, *engine.OrderReduced, *engine.SetsSplit, *engine.SetsMerged:
		return nil // they move no price
	case *engine.GuardTripped, *engine.Cooled, *engine.SLABreached:
		return nil // what follows from them has its own event
	case *engine.MarketOpened:
		f.told[x.Market] = &told{seed: x.Liquidity}
		note(&t.markets, x.Market, "c", x)
		note(&t.prices, x.Market, "c", x)
	case *engine.CloseChanged:
		note(&t.markets, x.Market, "u", x)
	case *engine.MarketStateChanged:
		note(&t.markets, x.Market, "u", x)
	case *engine.OrderFilled:
		note(&t.prices, x.Market, "u", x)
	case *engine.LiquidityAdded: // keeps the prices, but for rounding
		note(&t.prices, x.Market, "u", x)
	case *engine.LiquidityRemoved:
		note(&t.prices, x.Market, "u", x)
	case *engine.AbuseRaised:
		f.abuse(t, x)
	default:
		if f.granted(t, e) || f.grouped(t, e) || f.seasoned(t, e) {
			return nil
		}
		return f.resolution(t, e)
	}
	return nil
}

func (f *fold) market(id engine.MarketID, now engine.Time) (engine.Market, *told, error) {
	m, ok := f.state.Market(id, now)
	of := f.told[id]
	if !ok || of == nil {
		return m, of, fmt.Errorf("market %s is not in the folded state", id)
	}
	return m, of, nil
}

func marketRow(m engine.Market, of *told, t touch) change {
	columns := map[string]any{
		"market": m.Market.String(), "template": m.Template, "title": m.Title, "state": m.State.String(), "creator": m.Creator.String(),
		"liquidity_micros": int64(of.seed), "close_at": nil, "cause": t.cause, "kind": m.Kind.String(), "outcomes": int64(len(m.Outcomes)),
		"value_min": nil, "value_max": nil, "ending": ending(m.Ending),
	}
	if m.CloseAt != nil {
		columns["close_at"] = int64(*m.CloseAt)
	}
	if m.Kind == engine.Scalar {
		columns["value_min"], columns["value_max"] = m.Min, m.Max
	}
	if m.State == engine.Resolved || m.State == engine.Canceled {
		*of = told{seed: of.seed} // nothing else is to be told of it
	}
	return change{tableMarkets, t.op, columns}
}

// quoteRows are the rows of the outcomes whose published price changed; in a
// market of two outcomes those are both or none.
func quoteRows(m engine.Market, of *told, t touch) []change {
	if of.prices == nil {
		of.prices = make([]engine.Price, len(m.Outcomes))
	}
	var out []change
	for i := range m.Outcomes {
		o := &m.Outcomes[i]
		if o.Price == of.prices[i] {
			continue
		}
		of.prices[i] = o.Price
		columns := map[string]any{
			"market": m.Market.String(), "outcome": o.Outcome.String(), "price_micros": int64(o.Price), "cause": t.cause,
			"pool_yes_micros": nil, "pool_no_micros": nil, "pool_micros": int64(o.Pool), "twap_micros": int64(o.TWAP),
			"depth_micros": int64(o.Depth), "best_bid_micros": orNull(int64(o.Bid)), "best_ask_micros": orNull(int64(o.Ask)),
		}
		if m.Kind != engine.Categorical {
			columns["pool_yes_micros"], columns["pool_no_micros"] = int64(m.Outcomes[0].Pool), int64(m.Outcomes[1].Pool)
		}
		out = append(out, change{tableQuotes, t.op, columns})
	}
	return out
}

// abuse leaves the market out if there is none of that name: a refused order may
// name anything. Of several events of a rule and an account in one decision, the
// first has the row.
func (f *fold) abuse(t *touched, x *engine.AbuseRaised) {
	for _, c := range t.rest {
		if c.table == tableAbuse && c.columns["account"] == x.Account.String() && c.columns["rule"] == x.Rule {
			n, _ := c.columns["events"].(int64)
			c.columns["events"] = n + 1
			return
		}
	}
	columns := map[string]any{
		"account": x.Account.String(), "market": nil, "rule": x.Rule, "severity": x.Severity, "action": x.Action,
		"observed": x.Observed, "bound": x.Bound, "other_account": nil, "events": int64(1),
	}
	if f.told[x.Market] != nil {
		columns["market"] = x.Market.String()
	}
	if x.Other != 0 {
		columns["other_account"] = x.Other.String()
	}
	t.rest = append(t.rest, change{tableAbuse, "c", columns})
}

// orNull is nil for zero.
func orNull(v int64) any {
	if v == 0 {
		return nil
	}
	return v
}

// ending is the word of an ending, nil for none.
func ending(e engine.Ending) any {
	if e == 0 {
		return nil
	}
	b, _ := e.MarshalText()
	return string(b)
}
