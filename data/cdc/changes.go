package cdc

import (
	"context"
	"fmt"

	"github.com/mbp-market/mbp/engine"
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
// its state, the TWAP and the depth behind a price. The state is rebuilt from
// the first decision at every start, so a row is the same whenever it is
// written.
type fold struct {
	state *engine.State
}

// take folds one decision and returns the rows it makes.
func (f *fold) take(c Committed) (decided, error) {
	d := c.Decision
	out := decided{seq: uint64(d.Seq), decided: int64(d.At), committed: c.At}
	if err := f.state.Evolve(d); err != nil {
		return out, err
	}
	for _, e := range d.Events {
		changes, err := f.changes(d, e)
		if err != nil {
			return out, fmt.Errorf("decision %d: %w", d.Seq, err)
		}
		out.changes = append(out.changes, changes...)
	}
	return out, nil
}

// changes lists every event by name: one that nobody thought of stops the
// pipeline instead of missing in the lake.
func (f *fold) changes(d *engine.Decision, e engine.Event) ([]change, error) {
	switch x := e.(type) {
	case *engine.PolicySet, *engine.TemplateAdded, *engine.KeyAdded, *engine.KeyRevoked, *engine.AccountOpened, *engine.CreditsGranted:
		return nil, nil // no hot table is about them
	case *engine.MarketOpened:
		m, err := f.market(x.Market, d.At)
		if err != nil {
			return nil, err
		}
		return append([]change{marketRow(m, engine.Open, "c", x.Type())}, quoteRows(m, "c", x.Type(), x.Price, x.PoolYes, x.PoolNo)...), nil
	case *engine.MarketStateChanged:
		m, err := f.market(x.Market, d.At)
		return []change{marketRow(m, x.To, "u", x.Type())}, err
	case *engine.OrderFilled:
		if x.PriceAfter == x.PriceBefore {
			return nil, nil // a quote is a price that changed
		}
		m, err := f.market(x.Market, d.At)
		yes := x.PriceAfter
		if x.Outcome == engine.No {
			yes = engine.One - yes
		}
		return quoteRows(m, "u", x.Type(), yes, x.PoolYes, x.PoolNo), err
	case *engine.ResolutionProposed:
		return resolutionRow(d, "proposed", x.Market, x.Outcome, x.EvidenceSHA256, nil), nil
	case *engine.ResolutionRejected:
		return resolutionRow(d, "rejected", x.Market, x.Outcome, x.EvidenceSHA256, nil), nil
	case *engine.ResolutionApproved:
		return resolutionRow(d, "approved", x.Market, x.Outcome, x.EvidenceSHA256, nil), nil
	case *engine.PayoutsMade:
		m, err := f.market(x.Market, d.At)
		return resolutionRow(d, "settled", x.Market, x.Outcome, x.EvidenceSHA256, received(x, m.Creator)), err
	case *engine.AbuseRaised:
		return []change{f.abuseRow(x)}, nil
	}
	return nil, fmt.Errorf("event %s is unknown to the change capture", e.Type())
}

func (f *fold) market(id engine.MarketID, now engine.Time) (engine.Market, error) {
	m, ok := f.state.Market(id, now)
	if !ok {
		return m, fmt.Errorf("market %s is not in the folded state", id)
	}
	return m, nil
}

func marketRow(m engine.Market, state engine.MarketState, op, cause string) change {
	columns := map[string]any{
		"market": m.Market.String(), "template": m.Template, "title": m.Title, "state": state.String(), "creator": m.Creator.String(),
		"liquidity_micros": int64(m.Liquidity), "close_at": nil, "cause": cause,
	}
	if m.CloseAt != nil {
		columns["close_at"] = int64(*m.CloseAt)
	}
	return change{tableMarkets, op, columns}
}

// quoteRows are the rows of both outcomes: the prices of a binary market move
// together.
func quoteRows(m engine.Market, op, cause string, yes engine.Price, poolYes, poolNo engine.Shares) []change {
	row := func(o engine.Outcome, price, twap engine.Price) change {
		return change{tableQuotes, op, map[string]any{
			"market": m.Market.String(), "outcome": o.String(), "price_micros": int64(price), "pool_yes_micros": int64(poolYes),
			"pool_no_micros": int64(poolNo), "cause": cause, "twap_micros": int64(twap), "depth_micros": int64(m.Depth),
		}}
	}
	return []change{row(engine.Yes, yes, m.TWAP), row(engine.No, engine.One-yes, engine.One-m.TWAP)}
}

// received sums what each account got. The last decision of a market pays the
// pool's shares to the creator, who may be among the holders, too.
func received(x *engine.PayoutsMade, creator engine.AccountID) map[engine.AccountID]engine.Micros {
	paid := map[engine.AccountID]engine.Micros{}
	for _, p := range x.Payouts {
		if p.Credits > 0 {
			paid[p.Account] += p.Credits
		}
	}
	if x.PoolCredits > 0 {
		paid[creator] += x.PoolCredits
	}
	return paid
}

func resolutionRow(d *engine.Decision, phase string, m engine.MarketID, o engine.Outcome, evidence engine.Digest, paid map[engine.AccountID]engine.Micros) []change {
	op := "u"
	if phase == "proposed" {
		op = "c"
	}
	total := engine.Micros(0)
	for _, credits := range paid {
		total += credits
	}
	return []change{{tableResolutions, op, map[string]any{
		"market": m.String(), "phase": phase, "outcome": o.String(), "evidence_sha256": evidence.String(), "principal": d.Principal,
		"payout_micros": int64(total), "accounts_paid": int64(len(paid)),
	}}}
}

// abuseRow leaves the market out if there is none of that name: a refused order
// may name anything.
func (f *fold) abuseRow(x *engine.AbuseRaised) change {
	columns := map[string]any{
		"account": x.Account.String(), "market": nil, "rule": x.Rule, "severity": x.Severity, "action": x.Action,
		"observed": x.Observed, "bound": x.Bound,
	}
	if _, exists := f.state.Market(x.Market, 0); exists {
		columns["market"] = x.Market.String()
	}
	return change{tableAbuse, "c", columns}
}
