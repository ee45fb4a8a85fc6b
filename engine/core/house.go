package core

import (
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/internal/fault"
)

func (s *State) initialise(d *engine.Decision, x *engine.Initialise) {
	for _, why := range []string{fault.Policy(&x.Policy), fault.Template(&x.Template), fault.Key(&x.Admin)} {
		if why != "" {
			d.Reject(engine.InvalidCommand, why)
			return
		}
	}
	if x.Admin.Account != 0 || x.Admin.ExpiresAt != 0 || x.Admin.Identity {
		d.Reject(engine.InvalidCommand, "key: the first key has no account, because there is none yet, and lasts")
		return
	}
	d.Add(&engine.PolicySet{Policy: x.Policy})
	d.Add(&engine.TemplateAdded{Template: x.Template})
	d.Add(&engine.KeyAdded{Key: x.Admin})
}

func (s *State) addTemplate(d *engine.Decision, x *engine.AddTemplate) {
	switch {
	case fault.Template(&x.Template) != "":
		d.Reject(engine.InvalidCommand, fault.Template(&x.Template))
	case s.f.Template(x.Template.Name()) != nil:
		d.Reject(engine.AlreadyExists, "")
	case int64(len(s.f.Templates)) >= s.f.Policy.MaxTemplates:
		d.Reject(engine.LimitReached, "")
	default:
		d.Add(&engine.TemplateAdded{Template: x.Template})
	}
}

func (s *State) openAccount(d *engine.Decision) {
	if int64(len(s.f.Accounts)) >= s.f.Policy.MaxAccounts {
		d.Reject(engine.LimitReached, "")
		return
	}
	d.Add(&engine.AccountOpened{Account: engine.AccountID(len(s.f.Accounts) + 1)})
}

func (s *State) grant(d *engine.Decision, x *engine.GrantCredits) {
	switch {
	case x.Amount < 1 || x.Amount > engine.MaxAmount:
		d.Reject(engine.InvalidCommand, "amount_micros lies in 1..2^52")
	case s.f.Account(x.Account) == nil:
		d.Reject(engine.AccountNotFound, "")
	case s.Erased(x.Account):
		d.Reject(engine.WrongState, "the account was erased")
	case s.f.Ledger.Issued()+x.Amount > engine.MaxAmount: // all credits ever: bounds every balance and pool
		d.Reject(engine.LimitReached, "")
	default:
		d.Add(&engine.CreditsGranted{Account: x.Account, Amount: x.Amount})
	}
}

func (s *State) setPolicy(d *engine.Decision, x *engine.SetPolicy) {
	switch {
	case fault.Policy(&x.Policy) != "":
		d.Reject(engine.InvalidCommand, fault.Policy(&x.Policy))
	case x.Policy == s.f.Policy:
		d.Reject(engine.AlreadyExists, "")
	default:
		d.Add(&engine.PolicySet{Policy: x.Policy})
	}
}

func (s *State) rollbackPolicy(d *engine.Decision) {
	if len(s.f.Before) == 0 {
		d.Reject(engine.NotFound, "")
		return
	}
	d.Add(&engine.PolicySet{Policy: s.f.Before[len(s.f.Before)-1], Rollback: true})
}

func (s *State) setMode(d *engine.Decision, x *engine.SetMode) {
	switch {
	case x.Mode > engine.ModeReadOnly:
		d.Reject(engine.InvalidCommand, "mode is normal, lite, shed or read_only")
	case fault.Reason(x.Reason) != "":
		d.Reject(engine.InvalidCommand, fault.Reason(x.Reason))
	case x.Mode == s.f.Mode:
		d.Reject(engine.WrongState, "")
	default:
		d.Add(&engine.ModeSet{Mode: x.Mode, Reason: x.Reason})
	}
}

func (s *State) setDeadlines(d *engine.Decision, x *engine.SetDeadlines) {
	switch {
	case fault.Reason(x.Reason) != "":
		d.Reject(engine.InvalidCommand, fault.Reason(x.Reason))
	case x.Held == s.f.DueHeld:
		d.Reject(engine.WrongState, "")
	default:
		d.Add(&engine.DeadlinesSet{Held: x.Held, Reason: x.Reason})
	}
}

// forgotten says what an abuse event or an act of moderation may be that is not
// found.
const forgotten = "there is none at that sequence, or it is older than what is remembered and stands in the log alone"

func (s *State) moderate(d *engine.Decision, x *engine.Moderate) {
	if why := fault.Evidence(x.EvidenceURI, x.EvidenceSHA256); why != "" {
		d.Reject(engine.InvalidCommand, why)
		return
	}
	until := x.Until
	switch x.Action {
	case engine.LimitAccount, engine.Freeze:
		if x.Action == engine.Freeze {
			if until = engine.Forever; x.Until != 0 {
				d.Reject(engine.InvalidCommand, "until is of limit alone")
				return
			}
		}
		switch {
		case until <= d.At:
			d.Reject(engine.InvalidCommand, "until is not in the future")
			return
		case s.f.Account(x.Account) == nil:
			d.Reject(engine.AccountNotFound, "")
			return
		case s.Erased(x.Account):
			d.Reject(engine.WrongState, "the account was erased")
			return
		}
	case engine.DismissAbuse:
		if dismissed, known := s.f.Abuses.Get(x.Abuse); !known {
			d.Reject(engine.NotFound, forgotten)
			return
		} else if dismissed {
			d.Reject(engine.WrongState, "")
			return
		}
	default:
		d.Reject(engine.InvalidCommand, "action is limit, freeze or dismiss")
		return
	}
	d.Add(&engine.Moderated{
		Action: x.Action, Account: x.Account, Until: until, Abuse: x.Abuse,
		EvidenceURI: x.EvidenceURI, EvidenceSHA256: x.EvidenceSHA256,
	})
}

func (s *State) undoModeration(d *engine.Decision, x *engine.UndoModeration) {
	m, known := s.f.Moderations.Get(x.Decision)
	if !known {
		d.Reject(engine.NotFound, forgotten)
		return
	}
	d.Add(&engine.ModerationUndone{Decision: x.Decision, Action: m.Action, Account: m.Account})
}

func (s *State) upgrade(d *engine.Decision, x *engine.UpgradeEngine) {
	switch {
	case x.Version <= s.f.Version:
		d.Reject(engine.WrongState, "")
	case x.Version > engine.Version:
		d.Reject(engine.InvalidCommand, "this binary does not know that version of the rules")
	default:
		d.Add(&engine.EngineUpgraded{Version: x.Version})
	}
}

// noteRefusals takes the summary as it is; nothing in the state depends on it.
func noteRefusals(d *engine.Decision, x *engine.NoteRefusals) {
	if d.Principal != engine.System {
		d.Reject(engine.WrongState, "")
	} else if why := fault.Refusals(x, d.At); why != "" {
		d.Reject(engine.InvalidCommand, why)
	}
}
