package fold

import (
	"errors"
	"fmt"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/internal/amm"
	"github.com/mbp-market/mbp/engine/internal/book"
	"github.com/mbp-market/mbp/engine/internal/due"
	"github.com/mbp-market/mbp/engine/internal/guard"
	"github.com/mbp-market/mbp/engine/internal/ledger"
	"github.com/mbp-market/mbp/engine/internal/repeat"
)

// ErrFold wraps every error of Evolve: the decision does not follow from the
// state it meets. The state is not usable any more; the log is damaged or was
// written by something else.
var ErrFold = errors.New("decision does not fold")

// ErrLedger means that a decision would break the ledger: the log was not
// written by this engine, or the engine is broken. Stop.
var ErrLedger = ledger.ErrLedger

// Evolve folds a decision into the state. Decisions come in order, without gaps.
// It never decides: what was decided stands, whatever today's rules say.
func (s *State) Evolve(d *engine.Decision) error {
	if err := s.Change(d); err != nil {
		return err
	}
	s.Remember(d)
	return nil
}

// Change is Evolve without Remember. The two share nothing, so that another
// goroutine can do the other half, of the same decisions in the same order.
func (s *State) Change(d *engine.Decision) error {
	if err := s.advance(d); err != nil {
		return err
	}
	b, batch := d.Command.(*engine.Batch)
	if !batch {
		s.charge(d.At, d.Command, d.Code)
		return s.events(d, d.Events)
	}
	if want := len(b.Items); len(d.Results) != want && (d.Code == engine.OK || len(d.Results) != 0) {
		return fmt.Errorf("%w: sequence %d: %d results of %d items", ErrFold, d.Seq, len(d.Results), want)
	}
	first := 0
	for i := range d.Results {
		var err error
		if first, err = s.FoldItem(d, i, first); err != nil {
			return err
		}
	}
	return nil
}

// Fold advances sequence and time, and remembers the request.
func (s *State) Fold(d *engine.Decision) error {
	if err := s.advance(d); err != nil {
		return err
	}
	s.Remember(d)
	return nil
}

// Remember remembers the request of a decision, if it had a key.
func (s *State) Remember(d *engine.Decision) {
	if d.Key != (engine.Tag{}) {
		s.Repeats.Remember(d.Principal, repeat.Tag(d.Key), repeat.Entry{Input: repeat.Tag(d.Input), Seq: uint64(d.Seq), At: int64(d.At)})
	}
}

func (s *State) advance(d *engine.Decision) error {
	if d.Seq != s.Seq+1 {
		return fmt.Errorf("%w: sequence %d comes after sequence %d", ErrFold, d.Seq, s.Seq)
	}
	if d.At < s.At {
		return fmt.Errorf("%w: sequence %d: its time %s is before %s", ErrFold, d.Seq, d.At, s.At)
	}
	s.Seq, s.At = d.Seq, d.At
	return nil
}

// FoldItem folds the result of one item of a batch, whose events begin at first, and
// returns where they end.
func (s *State) FoldItem(d *engine.Decision, i, first int) (last int, err error) {
	last = first + int(d.Results[i].Events)
	if last > len(d.Events) {
		return 0, fmt.Errorf("%w: sequence %d: item %d has more events than there are", ErrFold, d.Seq, i)
	}
	s.charge(d.At, d.Command.(*engine.Batch).Items[i], d.Results[i].Code) //nolint:forcetypeassert // the caller looked
	return last, s.events(d, d.Events[first:last])
}

func (s *State) events(d *engine.Decision, events []engine.Event) error {
	for _, e := range events {
		if err := s.event(d, e); err != nil {
			return fmt.Errorf("%w: sequence %d: %w", ErrFold, d.Seq, err)
		}
		s.moved(e)
	}
	if _, is := d.Command.(*engine.Tick); is && d.Code == engine.OK && len(events) == 0 {
		s.Due.Pop() // nothing came of it: it must not come again
	}
	return nil
}

// Amended returns the order that an amendment is about, nil if the account has
// none of that id.
func (s *State) Amended(x *engine.AmendOrder) *book.Order {
	if o, waits := s.Orders.Get(uint64(x.Order)); waits && o.Account == uint32(x.Account) {
		return o
	}
	return nil
}

// Reduces reports whether an amendment only takes shares off its order. That is no
// order anew: like a cancellation it keeps to no rate.
func (s *State) Reduces(x *engine.AmendOrder) bool {
	o := s.Amended(x)
	return o != nil && (x.Limit == 0 || x.Limit == o.Limit) && x.Shares > 0 && x.Shares < o.Shares
}

// charge counts an order, or an amendment that is an order anew, against the rates
// of its account and its market. What a rate itself refused does not count, or a
// flood could keep its account shut for ever.
func (s *State) charge(at engine.Time, c engine.Command, code engine.Code) {
	var of engine.AccountID
	var m *Market
	switch x := c.(type) {
	case *engine.PlaceOrder:
		of, m = x.Account, s.Market(x.Market)
	case *engine.AmendOrder:
		if s.Reduces(x) {
			return
		}
		of = x.Account
		if o := s.Amended(x); o != nil {
			m = s.Market(engine.MarketID(o.Market))
		}
	}
	a, now := s.Account(of), int64(at)
	if a == nil || code == engine.RateLimited {
		return
	}
	a.Orders = s.OrderRate().Charge(a.Orders, now)
	a.Flags &^= OrderRateOn
	if code == engine.SelfTrades && s.Policy.SelfTrades.Times != 0 {
		a.Attempts.Charge(s.SelfParams(), now)
	}
	if s.Policy.AccountBurst.Sigmas != 0 && code == engine.OK {
		if a.Burst == nil {
			a.Burst = &guard.Burst{}
		}
		a.Burst.Charge(s.AccountBurstParams(), now)
	}
	if m == nil {
		return
	}
	if r := m.OrderRate(); r.Interval != 0 {
		m.Rate = r.Charge(m.Rate, now)
		m.Flags &^= MarketRateOn
	}
	if s.Policy.Burst.Sigmas != 0 && code == engine.OK {
		m.Burst.Charge(s.BurstParams(), now)
	}
}

func (s *State) event(d *engine.Decision, e engine.Event) error {
	switch x := e.(type) {
	case *engine.OrderFilled:
		return s.orderFilled(d, x)
	case *engine.OrderRested:
		return s.orderRested(d, x)
	case *engine.OrdersClosed:
		return s.ordersClosed(d, x)
	case *engine.OrderReduced:
		return s.orderReduced(d, x)
	case *engine.AbuseRaised:
		return s.abuseRaised(d, x)
	case *engine.AccountOpened:
		if int(x.Account) != len(s.Accounts)+1 || s.Ledger.OpenAccount() != uint32(x.Account) {
			return fmt.Errorf("account %s is not the next one", x.Account)
		}
		s.Accounts = append(s.Accounts, Account{})
		return nil
	case *engine.CreditsGranted:
		return s.grants(d, []engine.Payout{{Account: x.Account, Credits: x.Amount}})
	case *engine.MarketOpened:
		return s.opened(d, x)
	}
	if done, err := s.houseEvent(d, e); done || err != nil {
		return err
	}
	return s.marketEvent(d, e)
}

// houseEvent folds what is of no market; done says that it was such an event.
func (s *State) houseEvent(d *engine.Decision, e engine.Event) (done bool, err error) {
	switch x := e.(type) {
	case *engine.PolicySet:
		switch {
		case x.Rollback && len(s.Before) > 0:
			s.Before = s.Before[:len(s.Before)-1]
		case s.Init:
			if len(s.Before) == maxPolicies {
				s.Before = append(s.Before[:0], s.Before[1:]...)
			}
			s.Before = append(s.Before, s.Policy)
		}
		s.Policy, s.Init = x.Policy, true
	case *engine.TemplateAdded:
		s.Templates = append(s.Templates, new(x.Template))
	case *engine.KeyAdded:
		if _, known := s.Keys[x.Key.SHA256]; !known { // else it was revoked, and is let in again
			s.Added = append(s.Added, x.Key.SHA256)
		}
		s.employs(s.Keys[x.Key.SHA256], -1)
		s.Keys[x.Key.SHA256] = new(x.Key)
		s.employs(&x.Key, 1)
	case *engine.KeyRevoked:
		s.employs(s.Keys[x.SHA256], -1)
		s.Keys[x.SHA256] = nil
	case *engine.WebhookSet:
		s.setWebhook(x)
	case *engine.ModeSet:
		s.Mode = x.Mode
	case *engine.DeadlinesSet:
		s.DueHeld = x.Held
	case *engine.EngineUpgraded:
		s.Version = x.Version
	case *engine.Moderated:
		c := *x
		s.Moderations.Add(d.Seq, 0, &c)
		s.ranking(x.Account)
		if a := s.Account(x.Account); x.Action != engine.DismissAbuse && a != nil {
			a.Limited, a.by = x.Until, d.Seq
		} else if x.Action == engine.DismissAbuse {
			s.Abuses.Put(x.Abuse, true)
		}
	case *engine.ModerationUndone:
		return true, s.undone(x)
	case *engine.TextsAllowed, *engine.DecisionNoted: // for who reads the log
	case *engine.PersonErased:
		return true, s.personErased(d, x)
	default:
		return s.groupsEvent(d, e)
	}
	return true, nil
}

func (s *State) undone(x *engine.ModerationUndone) error {
	m, known := s.Moderations.Get(x.Decision)
	if !known {
		return fmt.Errorf("there is no moderation at sequence %d", x.Decision)
	}
	s.Moderations.Drop(x.Decision)
	s.ranking(m.Account)
	if a := s.Account(m.Account); m.Action != engine.DismissAbuse && a != nil && a.by == x.Decision {
		a.Limited, a.by = s.limited(m.Account)
	} else if m.Action == engine.DismissAbuse {
		s.Abuses.Put(m.Abuse, false)
	}
	return nil
}

// personErased revokes the keys of an account, forgets its groups and its standings, and
// limits it for good: no act of moderation that is taken back lets it trade again.
func (s *State) personErased(d *engine.Decision, x *engine.PersonErased) error {
	a := s.Account(x.Account)
	s.ranking(x.Account)
	if a == nil || !s.Told.Erase(uint32(x.Account)) {
		return fmt.Errorf("account %s cannot be erased", x.Account)
	}
	for _, k := range x.Keys {
		if s.Keys[k] == nil {
			return fmt.Errorf("account %s has no key %s", x.Account, k)
		}
		s.employs(s.Keys[k], -1)
		s.Keys[k] = nil
	}
	a.Limited, a.by = engine.Forever, d.Seq
	s.Roster.Forget(uint32(x.Account))
	s.Seasons.Forget(uint32(x.Account))
	return nil
}

// limited is until when, and by which decision, an account is limited: by the
// latest that is remembered and was not taken back.
func (s *State) limited(id engine.AccountID) (until engine.Time, by engine.Seq) {
	s.Moderations.Each(func(seq engine.Seq, m *engine.Moderated) {
		if m.Action != engine.DismissAbuse && m.Account == id {
			until, by = m.Until, seq
		}
	})
	return until, by
}

func (s *State) abuseRaised(d *engine.Decision, x *engine.AbuseRaised) error {
	a, m := s.Account(x.Account), s.Market(x.Market)
	of := x.Market
	if m == nil {
		of = 0 // a refused order may name any market
	}
	s.Abuses.Add(d.Seq, uint32(of), false)
	switch {
	case x.Rule == engine.RuleOrderRate && a != nil:
		a.Flags |= OrderRateOn
	case x.Rule == engine.RuleTradeRate && a != nil:
		a.Flags |= TradeRateOn
	case x.Rule == engine.RuleMarketRate && m != nil:
		m.Flags |= MarketRateOn
	}
	return nil
}

func (s *State) opened(d *engine.Decision, x *engine.MarketOpened) error {
	t := s.Template(x.Template)
	n := len(x.Pools)
	if int(x.Market) != len(s.Markets)+1 || t == nil || s.Account(x.Creator) == nil || n < 2 || n > engine.MaxOutcomes || len(x.Prices) != n ||
		t.Kind != engine.Categorical && n != 2 {
		return fmt.Errorf("market %s does not fit", x.Market)
	}
	if s.Ledger.OpenMarket(n, ledger.RingLimits{Deltas: int(t.End.VoidTrades), Window: remembers(t)}) != uint32(x.Market) {
		return fmt.Errorf("market %s is not the ledger's next one", x.Market)
	}
	m := &Market{
		ID: x.Market, Title: x.Title, Labels: x.Outcomes, Creator: x.Creator, Min: x.Min, Max: x.Max,
		OpenedAt: d.At, CloseAt: x.CloseAt, State: engine.Open, since: d.At, Balance: s.Ledger.Market(uint32(x.Market)),
		claimOf: map[engine.AccountID]int32{},
	}
	if x.Draft {
		m.State = engine.Draft
	}
	m.from(t)
	s.Markets = append(s.Markets, m)
	s.entry.Opening(x)
	if err := s.post(d, m); err != nil {
		return err
	}
	m.settleClaim(x.Creator, d.At)
	m.unitsChanged(d.At)
	m.Prices = amm.Prices(m.Balance.Pools(), nil)
	for i := range m.Guards {
		m.Guards[i].Start(0, x.Prices[i])
		m.Spikes[i].Charge(m.SpikeParams(), int64(d.At), x.Prices[i])
	}
	for _, p := range m.Balance.Pools() {
		if p < 1 {
			return fmt.Errorf("market %s has an empty pool", x.Market)
		}
	}
	s.closes(m, m.CloseAt)
	return nil
}

// closes sets when a market closes by itself, 0 for never.
func (s *State) closes(m *Market, at engine.Time) {
	s.Due.Drop(DueClose, uint64(m.ID))
	if m.CloseAt = at; at != 0 {
		s.Due.Set(due.Entry{At: int64(at), Kind: DueClose, ID: uint64(m.ID)})
	}
}

func (s *State) stateChanged(d *engine.Decision, m *Market, x *engine.MarketStateChanged) error {
	if m.State != x.From || x.To < engine.Open || x.To > engine.Canceled {
		return fmt.Errorf("market %s cannot go from %s to %s", x.Market, x.From, x.To)
	}
	s.marked(m)
	if m.State == engine.Open {
		m.open = m.OpenTime(d.At)
	}
	if m.State == engine.Frozen {
		s.Due.Drop(DueReopen, uint64(m.ID))
	}
	m.State = x.To
	if err := s.entered(d, m, x.From); err != nil {
		return err
	}
	if x.Drain {
		m.Drain, m.Sift = drainReason(x.To), 0
	}
	if x.Drain || x.To == engine.Settling {
		s.owes(m)
	}
	return nil
}

// entered does what goes with a market's new state: clocks and deadlines.
func (s *State) entered(d *engine.Decision, m *Market, from engine.MarketState) error {
	id, t := uint64(m.ID), &m.Template.Truth
	switch m.State {
	case engine.Open:
		m.since = d.At
		if from == engine.Frozen {
			for i := range m.Guards {
				m.Guards[i].Restart(m.open)
			}
		}
	case engine.Frozen:
		if after := m.Template.Guard.ReopenAfter; after != 0 {
			s.Due.Set(due.Entry{At: int64(d.At) + after, Kind: DueReopen, ID: id})
		}
	case engine.Closed:
		s.Due.Drop(DueClose, id)
		if !m.Over(d.At) { // closed by command: its time is over now, whatever comes of a proposal
			m.CloseAt = d.At
		}
		if t.SLA != 0 {
			s.Due.Set(due.Entry{At: int64(d.At) + t.SLA, Kind: DueSLA, ID: id})
		}
	case engine.Paused:
		s.closes(m, m.CloseAt)
	case engine.Proposed:
		s.Due.Drop(DueClose, id)
	case engine.Disputed:
		s.Due.Drop(DueFinal, id)
	case engine.Settling:
		for kind := DueClose; kind <= DueSLA; kind++ {
			s.Due.Drop(kind, id)
		}
	case engine.Resolved, engine.Canceled:
		if m.Balance.Collateral() != 0 || m.Balance.Supply(0) != 0 {
			return fmt.Errorf("%w: market %s ends with %d of collateral", ErrLedger, m.ID, m.Balance.Collateral())
		}
		m.End.past = nil
		m.Balance.Seal()
		s.finished(m)
	}
	return nil
}

// owes puts a market behind those that owe work, unless it is there.
func (s *State) owes(m *Market) {
	for _, id := range s.Work {
		if id == m.ID {
			return
		}
	}
	s.Work = append(s.Work, m.ID)
}

func drainReason(to engine.MarketState) engine.Reason {
	if to == engine.Paused {
		return engine.ByPause
	}
	return engine.ByEnd
}

// finished takes a market out of those that owe work.
func (s *State) finished(m *Market) {
	for i, id := range s.Work {
		if id == m.ID {
			s.Work = append(s.Work[:i], s.Work[i+1:]...)
			return
		}
	}
}

// priced notes what the pools' new prices mean for the averages.
func (s *State) priced(m *Market, at engine.Time) {
	m.Prices = amm.Prices(m.Balance.Pools(), m.Prices[:0])
	p, now := m.GuardParams(), m.OpenTime(at)
	for i := range m.Guards {
		if p.Window != 0 {
			m.Guards[i].Observe(p, now)
		}
		m.Guards[i].Set(now, m.Prices[i])
	}
}
