package core

import (
	"slices"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/internal/form"
	"github.com/mbp-market/mbp/engine/internal/hook"
	"github.com/mbp-market/mbp/engine/internal/house"
	"github.com/mbp-market/mbp/engine/internal/steward"
)

// Step decides on a request and folds the decision: what a writer does with each
// request. The error is that of Evolve.
func (s *State) Step(req engine.Request, d *engine.Decision) error {
	if b, ok := req.Command.(*engine.Batch); ok && s.begin(req, d) {
		return s.batch(b, d)
	}
	s.Decide(req, d)
	return s.f.Evolve(d)
}

// Decide writes the decision on a request into d, which it resets; it changes
// nothing in the state. The request's time must not be before the state's.
// Evolve the decision before the next one. A Batch needs Step, because each of
// its items is decided after the one before took effect; Decide rejects it.
func (s *State) Decide(req engine.Request, d *engine.Decision) {
	if !s.begin(req, d) {
		return
	}
	s.decide(d, d.Command)
}

// decide writes what comes of a command, a batch's item or one alone.
func (s *State) decide(d *engine.Decision, c engine.Command) {
	s.dispatch(d, c)
	if d.Code != engine.OK && !tells(d.Code) {
		d.Events = d.Events[:0]
	}
}

// tells reports whether a rejection may carry an AbuseRaised.
func tells(c engine.Code) bool { return c == engine.RateLimited || c == engine.SelfTrades }

// begin resets d and reports whether the command can be looked at.
func (s *State) begin(req engine.Request, d *engine.Decision) bool {
	req.At = max(req.At, s.f.At)
	d.Reset(s.f.Seq+1, req)
	if req.Principal != engine.System && !form.Principal(req.Principal) {
		d.Principal, d.Command = "unknown", &engine.Malformed{}
	} else if req.Command == nil || !engine.Recordable(req.Command) {
		d.Command = &engine.Malformed{}
	}
	if _, is := d.Command.(*engine.Malformed); is {
		d.Reject(engine.InvalidCommand, "the principal has another form, or a text is longer than any valid one")
		return false
	}
	if _, first := req.Command.(*engine.Initialise); first == s.f.Init {
		d.Reject(engine.WrongState, "")
		return false
	}
	return true
}

// batch decides and folds item after item.
func (s *State) batch(b *engine.Batch, d *engine.Decision) error {
	if len(b.Items) == 0 {
		d.Reject(engine.InvalidCommand, "items: a batch has 1..50 items")
		return s.f.Evolve(d)
	}
	if err := s.f.Fold(d); err != nil {
		return err
	}
	item := engine.Decision{}
	defer func() { s.item, s.worked = 0, 0 }()
	if s.kept == nil {
		s.kept = make([]engine.OrderFilled, 0, engine.BatchLimit)
	}
	s.kept = s.kept[:0] // of the batch before
	folded := 0         // events
	for i, x := range b.Items {
		item.Reset(d.Seq, d.Request)
		s.item, s.walk.count = i, 0
		s.decide(&item, x)
		s.worked += s.walk.count // refused or not: it took the time
		result := engine.Result{Code: item.Code, Detail: item.Detail, Events: uint32(len(item.Events))}
		for _, e := range item.Events {
			if c, is := e.(*engine.OrdersClosed); is {
				s.worked += len(c.Orders)
			}
			d.Add(s.keep(e))
		}
		d.Results = append(d.Results, result)
		var err error
		if folded, err = s.f.FoldItem(d, i, folded); err != nil {
			return err
		}
	}
	return nil
}

// keep copies the events whose memory the next item uses again. Fills are copied to
// memory that the next batch uses again.
func (s *State) keep(e engine.Event) engine.Event {
	switch x := e.(type) {
	case *engine.OrderFilled:
		if len(s.kept) == cap(s.kept) {
			return copied(x)
		}
		s.kept = append(s.kept, *x)
		c := &s.kept[len(s.kept)-1]
		c.Fills, c.Met = slices.Clone(x.Fills), slices.Clone(x.Met)
		return c
	case *engine.OrderRested:
		c := *x
		return &c
	}
	return e
}

// copied is a fill that shares no memory with x.
func copied(x *engine.OrderFilled) *engine.OrderFilled {
	c := *x
	c.Fills, c.Met = slices.Clone(x.Fills), slices.Clone(x.Met)
	return &c
}

func (s *State) dispatch(d *engine.Decision, c engine.Command) {
	switch x := c.(type) {
	case *engine.PlaceOrder:
		s.placeOrder(d, x)
	case *engine.CancelOrder:
		s.cancelOrder(d, x)
	case *engine.CancelAll:
		s.cancelAll(d, x)
	case *engine.AmendOrder:
		s.amendOrder(d, x)
	case *engine.SplitSets:
		s.splitSets(d, x)
	case *engine.MergeSets:
		s.mergeSets(d, x)
	case *engine.AddLiquidity:
		s.addLiquidity(d, x)
	case *engine.RemoveLiquidity:
		s.removeLiquidity(d, x)
	case *engine.SettleMarket:
		s.settle(d, x)
	case *engine.PayGrants:
		steward.PayGrants(s.f, d, x)
	case *engine.CountSeason:
		steward.CountSeason(s.f, d)
	case *engine.Tick:
		s.tick(d)
	case *engine.Batch:
		d.Reject(engine.WrongState, "a batch is decided item by item")
	default:
		s.dispatchMarket(d, c)
	}
}

func (s *State) dispatchMarket(d *engine.Decision, c engine.Command) {
	switch x := c.(type) {
	case *engine.OpenMarket:
		s.openMarket(d, x)
	case *engine.OpenMarketFor:
		s.openMarketFor(d, x)
	case *engine.SetMarketGroups:
		s.setMarketGroups(d, x)
	case *engine.ActivateMarket:
		s.activate(d, x)
	case *engine.PauseMarket:
		s.pause(d, x)
	case *engine.ResumeMarket:
		s.reopen(d, x.Market, x)
	case *engine.ReopenMarket:
		s.reopen(d, x.Market, x)
	case *engine.ChangeClose:
		s.changeClose(d, x)
	case *engine.CloseMarket:
		s.closeMarket(d, x)
	case *engine.ReportFact:
		s.reportFact(d, x)
	case *engine.ProposeResolution:
		s.propose(d, x)
	case *engine.ApproveResolution:
		s.approve(d, x)
	case *engine.RejectResolution:
		s.rejectResolution(d, x)
	case *engine.DisputeResolution:
		s.dispute(d, x)
	case *engine.CancelMarket:
		s.cancelMarket(d, x)
	case *engine.ClarifyMarket:
		s.clarify(d, x)
	default:
		s.dispatchHouse(d, c)
	}
}

func (s *State) dispatchHouse(d *engine.Decision, c engine.Command) {
	switch x := c.(type) {
	case *engine.Initialise:
		house.Initialise(s.f, d, x)
	case *engine.AddTemplate:
		house.AddTemplate(s.f, d, x)
	case *engine.AddKey:
		house.AddKey(s.f, d, x)
	case *engine.RevokeKey:
		house.RevokeKey(s.f, d, x)
	case *engine.OpenAccount:
		house.OpenAccount(s.f, d)
	case *engine.SetGrantSchedule:
		steward.SetSchedule(s.f, d, x)
	case *engine.EndGrantSchedule:
		steward.EndSchedule(s.f, d, x)
	case *engine.OpenSeason:
		steward.OpenSeason(s.f, d, x)
	case *engine.EndSeason:
		steward.EndSeason(s.f, d, x)
	case *engine.SetRanking:
		steward.SetRanking(s.f, d, x)
	case *engine.SetAccountGroups:
		steward.SetAccountGroups(s.f, d, x)
	case *engine.GrantCredits:
		house.Grant(s.f, d, x)
	case *engine.SetPolicy:
		house.SetPolicy(s.f, d, x)
	case *engine.RollbackPolicy:
		house.RollbackPolicy(s.f, d)
	case *engine.SetMode:
		house.SetMode(s.f, d, x)
	case *engine.SetDeadlines:
		house.SetDeadlines(s.f, d, x)
	case *engine.Moderate:
		house.Moderate(s.f, d, x)
	case *engine.UndoModeration:
		house.UndoModeration(s.f, d, x)
	case *engine.UpgradeEngine:
		house.Upgrade(s.f, d, x)
	case *engine.AllowText:
		allowText(d, x)
	case *engine.NoteDecision:
		s.noteDecision(d, x)
	case *engine.ErasePerson:
		s.erasePerson(d, x)
	case *engine.AddWebhook:
		hook.Add(d, x, s.f.Webhooks, func(id engine.MarketID) bool { return s.f.Market(id) != nil })
	case *engine.ChangeWebhook:
		hook.Change(d, x, s.f.Webhooks)
	case *engine.NoteRefusals:
		house.NoteRefusals(d, x)
	}
}

// RetryAfter returns the µs from now until the account may order again.
func (s *State) RetryAfter(id engine.AccountID, now engine.Time) int64 {
	a := s.f.Account(id)
	if a == nil {
		return 0
	}
	wait := s.f.OrderRate().RetryAfter(a.Orders, int64(now))
	if s.f.Policy.TradeInterval != 0 {
		wait = max(wait, s.f.TradeRate().RetryAfter(a.Trades, int64(now)))
	}
	return wait
}
