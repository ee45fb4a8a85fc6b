package engine

import (
	"github.com/mbp-market/mbp/engine/internal/form"
	"github.com/mbp-market/mbp/engine/internal/guard"
)

// Decide writes the decision on a request into d, which it resets; it changes
// nothing in the state. The request's time must not be before the state's.
// Evolve the decision before the next one.
func (s *State) Decide(req Request, d *Decision) {
	req.At = max(req.At, s.at)
	d.reset(s.seq+1, req)
	if req.Principal != System && !form.Principal(req.Principal) {
		d.Principal, d.Command = "unknown", &Malformed{}
	} else if req.Command == nil || !recordable(req.Command) {
		d.Command = &Malformed{}
	}
	if _, is := d.Command.(*Malformed); is {
		d.reject(InvalidCommand, "the principal has another form, or a text is longer than any valid one")
		return
	}
	if _, first := req.Command.(*Initialise); first == s.init {
		d.reject(WrongState, "")
		return
	}
	s.dispatch(d)
	if d.Code != OK && d.Code != RateLimited {
		d.Events = d.Events[:0]
	}
}

func (s *State) dispatch(d *Decision) {
	switch x := d.Command.(type) {
	case *Initialise:
		s.initialise(d, x)
	case *AddTemplate:
		s.addTemplate(d, x)
	case *AddKey:
		s.addKey(d, x)
	case *RevokeKey:
		s.revokeKey(d, x)
	case *OpenAccount:
		s.openAccount(d)
	case *GrantCredits:
		s.grant(d, x)
	case *OpenMarket:
		s.openMarket(d, x)
	case *PauseMarket:
		s.transition(d, x.Market, Open, Paused)
	case *ResumeMarket:
		s.resume(d, x)
	case *PlaceOrder:
		s.placeOrder(d, x)
	case *ProposeResolution:
		s.propose(d, x)
	case *ApproveResolution:
		s.approve(d, x)
	case *RejectResolution:
		s.rejectResolution(d, x)
	case *SettleMarket:
		s.settle(d, x)
	}
}

func (s *State) initialise(d *Decision, x *Initialise) {
	for _, fault := range []string{x.Policy.fault(), x.Template.fault(), x.Admin.fault()} {
		if fault != "" {
			d.reject(InvalidCommand, fault)
			return
		}
	}
	if x.Admin.Account != 0 {
		d.reject(InvalidCommand, "key: the first key has no account, because there is none yet")
		return
	}
	d.add(&PolicySet{Policy: x.Policy})
	d.add(&TemplateAdded{Template: x.Template})
	d.add(&KeyAdded{Key: x.Admin})
}

func (s *State) addTemplate(d *Decision, x *AddTemplate) {
	switch {
	case x.Template.fault() != "":
		d.reject(InvalidCommand, x.Template.fault())
	case s.template(x.Template.Name()) != nil:
		d.reject(AlreadyExists, "")
	case int64(len(s.templates)) >= s.policy.MaxTemplates:
		d.reject(LimitReached, "")
	default:
		d.add(&TemplateAdded{Template: x.Template})
	}
}

func (s *State) addKey(d *Decision, x *AddKey) {
	_, exists := s.keys[x.Key.SHA256]
	switch {
	case x.Key.fault() != "":
		d.reject(InvalidCommand, x.Key.fault())
	case x.Key.Account != 0 && s.account(x.Key.Account) == nil:
		d.reject(AccountNotFound, "")
	case exists:
		d.reject(AlreadyExists, "")
	case int64(len(s.added)) >= s.policy.MaxKeys:
		d.reject(LimitReached, "")
	default:
		d.add(&KeyAdded{Key: x.Key})
	}
}

func (s *State) revokeKey(d *Decision, x *RevokeKey) {
	k := s.keys[x.SHA256] // revoked keys stay as nil
	if k == nil {
		d.reject(KeyNotFound, "")
		return
	}
	if k.Roles.Has(RoleAdmin) && s.admins() == 1 {
		d.reject(LastAdmin, "")
		return
	}
	d.add(&KeyRevoked{SHA256: x.SHA256})
}

// admins counts the valid keys that may add keys; few revocations ask.
func (s *State) admins() (n int) {
	for _, d := range s.added {
		if k := s.keys[d]; k != nil && k.Roles.Has(RoleAdmin) {
			n++
		}
	}
	return n
}

func (s *State) openAccount(d *Decision) {
	if int64(len(s.accounts)) >= s.policy.MaxAccounts {
		d.reject(LimitReached, "")
		return
	}
	d.add(&AccountOpened{Account: AccountID(len(s.accounts) + 1)})
}

func (s *State) grant(d *Decision, x *GrantCredits) {
	switch {
	case x.Amount < 1 || x.Amount > MaxAmount:
		d.reject(InvalidCommand, "amount_micros lies in 1..2^52")
	case s.account(x.Account) == nil:
		d.reject(AccountNotFound, "")
	case s.issued+x.Amount > MaxAmount: // all credits ever: bounds every balance and pool
		d.reject(LimitReached, "")
	default:
		d.add(&CreditsGranted{Account: x.Account, Amount: x.Amount})
	}
}

func (s *State) placeOrder(d *Decision, x *PlaceOrder) {
	a := s.account(x.Account)
	if a == nil {
		d.reject(AccountNotFound, "")
		return
	}
	rate := s.rate() // before all else: refusals fill the log, too
	if now := int64(d.At); !rate.Allows(a.tat, now) {
		d.reject(RateLimited, "")
		if !a.flagged {
			d.add(&AbuseRaised{
				Account: x.Account, Market: x.Market, Rule: RuleOrderRate, Severity: "low", Action: "limit",
				Observed: a.tat - now, Bound: (rate.Burst - 1) * rate.Interval,
			})
		}
		return
	}
	if fault := x.fault(); fault != "" {
		d.reject(InvalidCommand, fault)
		return
	}
	if d.Code, d.Detail = s.fill(d.At, x, true, &d.fill); d.Code == OK {
		d.fill.Order = OrderID(d.Seq)
		d.add(&d.fill)
	}
}

func (s *State) rate() guard.Rate {
	return guard.Rate{Interval: s.policy.OrderInterval, Burst: s.policy.OrderBurst}
}

// RetryAfter returns the µs from now until the account may order again.
func (s *State) RetryAfter(id AccountID, now Time) int64 {
	a := s.account(id)
	if a == nil {
		return 0
	}
	return s.rate().RetryAfter(a.tat, int64(now))
}
