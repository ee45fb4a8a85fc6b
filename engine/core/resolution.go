package core

import (
	"slices"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/internal/fault"
	"github.com/mbp-market/mbp/engine/internal/fold"
	"github.com/mbp-market/mbp/engine/internal/quorum"
	"github.com/mbp-market/mbp/engine/internal/steward"
)

func (s *State) propose(d *engine.Decision, x *engine.ProposeResolution) {
	if why := fault.Evidence(x.EvidenceURI, x.EvidenceSHA256); why != "" {
		d.Reject(engine.InvalidCommand, why)
		return
	}
	m := s.in(d, x.Market, x)
	if m == nil {
		return
	}
	if why := fault.Truth(m.Kind, m.Outcomes(), x.Outcome, x.Value); why != "" {
		d.Reject(engine.InvalidCommand, why)
		return
	}
	switch {
	case x.EffectiveAt < 0 || x.EffectiveAt != 0 && (x.EffectiveAt < m.OpenedAt || x.EffectiveAt > d.At):
		d.Reject(engine.InvalidCommand, "effective_at lies between the market's opening and now")
		return
	case x.EffectiveAt != 0 && !m.Balance.Reaches(int64(x.EffectiveAt)):
		d.Reject(engine.VoidWindowExceeded, "")
		return
	}
	s.named(d, m, &engine.ResolutionProposed{
		Market: x.Market, Outcome: x.Outcome, Value: x.Value, EvidenceURI: x.EvidenceURI, EvidenceSHA256: x.EvidenceSHA256,
		RuleSHA256: x.RuleSHA256, EffectiveAt: x.EffectiveAt,
	}, 1, false)
}

// named adds the events of a proposal that so many principals stand behind.
func (s *State) named(d *engine.Decision, m *fold.Market, e *engine.ResolutionProposed, backers int64, reported bool) {
	e.FinalAt = d.At + engine.Time(m.Template.Truth.DisputeWindow)
	d.Add(e)
	d.Add(&engine.MarketStateChanged{Market: m.ID, From: m.State, To: engine.Proposed})
	if backers >= m.Needed(reported) && e.FinalAt <= d.At {
		s.finalise(d, m, e)
	}
}

func (s *State) approve(d *engine.Decision, x *engine.ApproveResolution) {
	m := s.in(d, x.Market, x)
	if m == nil {
		return
	}
	p := &m.Proposal
	for _, b := range p.Backers {
		if b == d.Principal {
			d.Reject(engine.SameApprover, "")
			return
		}
	}
	d.Add(&engine.ResolutionApproved{Market: x.Market, Outcome: p.Outcome, EvidenceSHA256: p.EvidenceSHA256})
	if int64(len(p.Backers))+1 >= m.Needed(p.Reported) && s.passed(d.At, p.FinalAt) {
		s.finalise(d, m, &p.ResolutionProposed)
	}
}

// finalise adds the events that end a market as was proposed; it is in state
// proposed then.
func (s *State) finalise(d *engine.Decision, m *fold.Market, p *engine.ResolutionProposed) {
	e := &engine.SettlementStarted{
		Market: m.ID, Ending: engine.EndByOutcome, Outcome: p.Outcome, Value: p.Value, EffectiveAt: p.EffectiveAt, EvidenceSHA256: p.EvidenceSHA256,
		Pot: m.Pot(),
	}
	switch {
	case p.Cancel != 0:
		e.Ending, e.Payouts = m.Cancelled(p.Cancel, d.At)
	case p.EffectiveAt != 0:
		e.Ending, e.Payouts = engine.EndByVoid, m.Payouts(p.Outcome, p.Value)
	default:
		e.Payouts = m.Payouts(p.Outcome, p.Value)
	}
	d.Add(&engine.MarketStateChanged{Market: m.ID, From: engine.Proposed, To: engine.Settling, Drain: m.Resting() != 0})
	d.Add(e)
}

func (s *State) rejectResolution(d *engine.Decision, x *engine.RejectResolution) {
	m := s.in(d, x.Market, x)
	if m == nil {
		return
	}
	d.Add(&engine.ResolutionRejected{Market: x.Market, Outcome: m.Proposal.Outcome, EvidenceSHA256: m.Proposal.EvidenceSHA256})
	if m.Over(d.At) && !s.f.DueHeld {
		m.Move(d, engine.Closed, true)
	} else { // what is over closes when deadlines go on
		m.Move(d, engine.Paused, false)
	}
}

func (s *State) dispute(d *engine.Decision, x *engine.DisputeResolution) {
	if why := fault.Evidence(x.EvidenceURI, x.EvidenceSHA256); why != "" {
		d.Reject(engine.InvalidCommand, why)
		return
	}
	m := s.in(d, x.Market, x)
	switch {
	case m == nil:
	case s.passed(d.At, m.Proposal.FinalAt):
		d.Reject(engine.WrongState, "the dispute window is over")
	case x.Account != 0 && s.f.Account(x.Account) == nil:
		d.Reject(engine.AccountNotFound, "")
	case x.Account != 0 && !m.Concerns(x.Account):
		d.Reject(engine.InsufficientShares, "who holds nothing of the market cannot dispute its outcome")
	case slices.Contains(m.Disputes, d.Principal):
		d.Reject(engine.WrongState, "the principal has disputed this market before")
	case m.Stands():
		d.Reject(engine.WrongState, "the proposal stands: it was looked at again after a dispute")
	default:
		d.Add(&engine.ResolutionDisputed{Market: x.Market, EvidenceURI: x.EvidenceURI, EvidenceSHA256: x.EvidenceSHA256})
		m.Move(d, engine.Disputed, false)
	}
}

func (s *State) reportFact(d *engine.Decision, x *engine.ReportFact) {
	if why := fault.Evidence(x.EvidenceURI, x.FactsSHA256); why != "" {
		d.Reject(engine.InvalidCommand, why)
		return
	}
	m := s.in(d, x.Market, x)
	if m == nil {
		return
	}
	t := &m.Template.Truth
	reporter := false
	for _, r := range t.Reporters {
		reporter = reporter || r == d.Principal
	}
	why := fault.Said(m.Kind, m.Outcomes(), x.Outcome, x.Value, x.Cancel)
	switch {
	case !reporter:
		d.Reject(engine.NotFound, "the market's template does not name this reporter")
		return
	case why != "":
		d.Reject(engine.InvalidCommand, why)
		return
	case x.RuleSHA256 == engine.Digest{}:
		d.Reject(engine.InvalidCommand, "rule_sha256 is missing")
		return
	case x.ObservedAt < 1 || x.ObservedAt > d.At || int64(d.At-x.ObservedAt) > t.MaxAge:
		d.Reject(engine.InvalidCommand, "observed_at is in the future or older than max_age_us")
		return
	}
	d.Add(&engine.FactReported{
		Market: x.Market, Outcome: x.Outcome, Value: x.Value, ObservedAt: x.ObservedAt,
		EvidenceURI: x.EvidenceURI, RuleSHA256: x.RuleSHA256, FactsSHA256: x.FactsSHA256, Cancel: x.Cancel,
	})
	mine := quorum.Fact{Principal: d.Principal, Outcome: x.Outcome, Value: x.Value, Cancel: x.Cancel, At: x.ObservedAt, Rule: x.RuleSHA256}
	group := m.Agreeing(mine, d.At)
	if n := int64(len(group)); n >= t.Quorum && m.Against(group, d.At) < t.Quorum { // else two quorums disagree: people decide
		s.named(d, m, &engine.ResolutionProposed{
			Market: x.Market, Outcome: x.Outcome, Value: quorum.Median(group), EvidenceURI: x.EvidenceURI,
			EvidenceSHA256: x.FactsSHA256, RuleSHA256: x.RuleSHA256, Cancel: x.Cancel,
		}, n, true)
	}
}

func (s *State) cancelMarket(d *engine.Decision, x *engine.CancelMarket) {
	if why := fault.Evidence(x.EvidenceURI, x.EvidenceSHA256); why != "" {
		d.Reject(engine.InvalidCommand, why)
		return
	}
	if x.Kind != engine.CancelPrice && x.Kind != engine.CancelRefund {
		d.Reject(engine.InvalidCommand, "kind is price or refund")
		return
	}
	m := s.in(d, x.Market, x)
	if m == nil {
		return
	}
	e := &engine.SettlementStarted{Market: m.ID, Outcome: engine.None, EvidenceSHA256: x.EvidenceSHA256, Pot: m.Pot()}
	e.Ending, e.Payouts = m.Cancelled(x.Kind, d.At)
	m.Move(d, engine.Settling, true)
	d.Add(e)
}

// passed reports whether a time has come that a command could end something by.
// While deadlines are held none has: what is final cannot be taken back.
func (s *State) passed(now, at engine.Time) bool { return now >= at && !s.f.DueHeld }

// tick acts on the deadlines that have come: all orders that expire, or one
// market's.
func (s *State) tick(d *engine.Decision) {
	if d.Principal != engine.System {
		d.Reject(engine.WrongState, "")
		return
	}
	entries := s.f.Due.Due(int64(d.At), engine.WorkLimit, nil)
	if len(entries) == 0 || s.f.DueHeld {
		d.Reject(engine.WrongState, "")
		return
	}
	if first := entries[0]; first.Kind == fold.DueGrant {
		steward.Begun(s.f, d, s.f.Scheduled(first.ID))
		return
	} else if first.Kind == fold.DueSeason {
		steward.Turned(s.f, d)
		return
	} else if first.Kind != fold.DueExpiry {
		s.deadline(d, s.f.Market(engine.MarketID(first.ID)), first.Kind, engine.Time(first.At))
		return
	}
	e := &engine.OrdersClosed{Reason: engine.ByExpiry}
	for _, x := range entries {
		o, ok := s.f.Orders.Get(x.ID)
		if x.Kind != fold.DueExpiry || !ok {
			break
		}
		e.Orders = append(e.Orders, steward.Closed(o))
	}
	d.Add(e)
}

// deadline acts on one deadline of a market.
func (s *State) deadline(d *engine.Decision, m *fold.Market, kind uint8, at engine.Time) {
	switch kind {
	case fold.DueClose:
		m.Move(d, engine.Closed, true)
	case fold.DueReopen:
		m.Move(d, engine.Open, false)
	case fold.DueFinal:
		s.finalise(d, m, &m.Proposal.ResolutionProposed)
	case fold.DueSLA:
		d.Add(&engine.SLABreached{Market: m.ID, State: m.State, Since: at - engine.Time(m.Template.Truth.SLA)})
	}
}
