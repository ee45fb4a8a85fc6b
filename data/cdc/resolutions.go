package cdc

import (
	"fmt"

	"github.com/mbp-market/mbp/engine"
)

// resolution adds the row of an event about the end of a market.
func (f *fold) resolution(t *touched, e engine.Event) error {
	switch x := e.(type) {
	case *engine.FactReported:
		t.step("c", "reported", x.Market, outcome(x.Outcome, x.Value), x.FactsSHA256, nil)
	case *engine.ResolutionProposed:
		of := f.told[x.Market]
		if of == nil {
			return fmt.Errorf("market %s is not in the folded state", x.Market)
		}
		of.proposal = x
		t.step("c", "proposed", x.Market, outcome(x.Outcome, x.Value), x.EvidenceSHA256, effective(x.EffectiveAt))
	case *engine.ResolutionApproved:
		return f.judged(t, "approved", x.Market, nil)
	case *engine.ResolutionRejected:
		return f.judged(t, "rejected", x.Market, nil)
	case *engine.ResolutionDisputed:
		return f.judged(t, "disputed", x.Market, &x.EvidenceSHA256)
	case *engine.SettlementStarted:
		of := f.told[x.Market]
		if of == nil {
			return fmt.Errorf("market %s is not in the folded state", x.Market)
		}
		of.ending = x
		if cancelled(x) {
			t.step("c", "canceled", x.Market, upshot(x), x.EvidenceSHA256, nil)
		} else {
			t.step("u", "started", x.Market, upshot(x), x.EvidenceSHA256, effective(x.EffectiveAt))
		}
	case *engine.SettlementStepped:
		return f.settled(t, x)
	default:
		return fmt.Errorf("event %s is unknown to the change capture", e.Type())
	}
	return nil
}

// judged adds the row of what somebody said about the proposal; own is evidence
// of their own.
func (f *fold) judged(t *touched, phase string, id engine.MarketID, own *engine.Digest) error {
	of := f.told[id]
	if of == nil || of.proposal == nil {
		return fmt.Errorf("market %s has no proposal in the folded state", id)
	}
	p := of.proposal
	evidence := p.EvidenceSHA256
	if own != nil {
		evidence = *own
	}
	t.step("u", phase, id, outcome(p.Outcome, p.Value), evidence, effective(p.EffectiveAt))
	return nil
}

// settled adds the row of a piece of the settlement: what holders got, and what
// was recovered from them.
func (f *fold) settled(t *touched, x *engine.SettlementStepped) error {
	of := f.told[x.Market]
	if of == nil || of.ending == nil {
		return fmt.Errorf("market %s is not being settled in the folded state", x.Market)
	}
	var paid, recovered engine.Micros
	accounts := int64(0)
	for _, p := range x.Payouts {
		if p.Credits > 0 {
			paid += p.Credits
			accounts++
		} else {
			recovered -= p.Credits
		}
	}
	word, _ := x.Phase.MarshalText()
	columns := t.step("u", "settled", x.Market, upshot(of.ending), of.ending.EvidenceSHA256, effective(of.ending.EffectiveAt))
	columns["payout_micros"], columns["accounts_paid"], columns["recovered_micros"] = int64(paid), accounts, int64(recovered)
	columns["step"] = string(word)
	return nil
}

// named is an outcome, and the value of a scalar market.
type named struct {
	outcome string
	value   any
	ending  any
}

func outcome(o engine.Outcome, value int64) named {
	n := named{outcome: o.String()}
	if o == engine.Long {
		n.value = value
	}
	return n
}

// cancelled reports whether a market ends without an outcome.
func cancelled(x *engine.SettlementStarted) bool {
	return x.Ending == engine.EndByPrice || x.Ending == engine.EndByRefund
}

// upshot is what a market ends with.
func upshot(x *engine.SettlementStarted) named {
	n := named{outcome: engine.None.String()}
	if !cancelled(x) {
		n = outcome(x.Outcome, x.Value)
	}
	n.ending = ending(x.Ending)
	return n
}

func effective(t engine.Time) any { return orNull(int64(t)) }

// step adds a row of mbp_resolutions and returns its columns.
func (t *touched) step(op, phase string, m engine.MarketID, n named, evidence engine.Digest, effective any) map[string]any {
	columns := map[string]any{
		"market": m.String(), "phase": phase, "outcome": n.outcome, "evidence_sha256": evidence.String(), "principal": t.d.Principal,
		"payout_micros": int64(0), "accounts_paid": int64(0), "value": n.value, "effective_at": effective, "ending": n.ending,
		"step": nil, "recovered_micros": int64(0),
	}
	t.rest = append(t.rest, change{tableResolutions, op, columns})
	return columns
}
