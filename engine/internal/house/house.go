// Package house decides what those who run the market decide: its first policy and
// template, keys, accounts and their credits, modes, deadlines, moderation.
//
// It promises: the same events for the same state; what somebody must not lose, the last
// key that can add keys, stays; nothing is changed by deciding. It refuses to fold and to
// know who may ask: package core calls it, with the command of one decision, and the
// edge has the table of roles.
package house

import (
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/internal/fault"
	"github.com/mbp-market/mbp/engine/internal/fold"
)

// Initialise begins the journal: policy, template and the first key.
func Initialise(s *fold.State, d *engine.Decision, x *engine.Initialise) {
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

// AddTemplate registers a version of a template.
func AddTemplate(s *fold.State, d *engine.Decision, x *engine.AddTemplate) {
	switch {
	case fault.Template(&x.Template) != "":
		d.Reject(engine.InvalidCommand, fault.Template(&x.Template))
	case s.Template(x.Template.Name()) != nil:
		d.Reject(engine.AlreadyExists, "")
	case int64(len(s.Templates)) >= s.Policy.MaxTemplates:
		d.Reject(engine.LimitReached, "")
	default:
		d.Add(&engine.TemplateAdded{Template: x.Template})
	}
}

// OpenAccount makes the next account.
func OpenAccount(s *fold.State, d *engine.Decision) {
	if int64(len(s.Accounts)) >= s.Policy.MaxAccounts {
		d.Reject(engine.LimitReached, "")
		return
	}
	d.Add(&engine.AccountOpened{Account: engine.AccountID(len(s.Accounts) + 1)})
}

// Grant issues credits to an account.
func Grant(s *fold.State, d *engine.Decision, x *engine.GrantCredits) {
	switch {
	case x.Amount < 1 || x.Amount > engine.MaxAmount:
		d.Reject(engine.InvalidCommand, "amount_micros lies in 1..2^52")
	case s.Account(x.Account) == nil:
		d.Reject(engine.AccountNotFound, "")
	case s.Told.Erased(uint32(x.Account)):
		d.Reject(engine.WrongState, "the account was erased")
	case s.Ledger.Issued()+x.Amount > engine.MaxAmount: // all credits ever: bounds every balance and pool
		d.Reject(engine.LimitReached, "")
	default:
		d.Add(&engine.CreditsGranted{Account: x.Account, Amount: x.Amount})
	}
}

// SetPolicy puts another bundle in force.
func SetPolicy(s *fold.State, d *engine.Decision, x *engine.SetPolicy) {
	switch {
	case fault.Policy(&x.Policy) != "":
		d.Reject(engine.InvalidCommand, fault.Policy(&x.Policy))
	case x.Policy == s.Policy:
		d.Reject(engine.AlreadyExists, "")
	default:
		d.Add(&engine.PolicySet{Policy: x.Policy})
	}
}

// RollbackPolicy puts the bundle before back in force.
func RollbackPolicy(s *fold.State, d *engine.Decision) {
	if len(s.Before) == 0 {
		d.Reject(engine.NotFound, "")
		return
	}
	d.Add(&engine.PolicySet{Policy: s.Before[len(s.Before)-1], Rollback: true})
}

// SetMode changes how much of its service the engine gives.
func SetMode(s *fold.State, d *engine.Decision, x *engine.SetMode) {
	switch {
	case x.Mode > engine.ModeReadOnly:
		d.Reject(engine.InvalidCommand, "mode is normal, lite, shed or read_only")
	case fault.Reason(x.Reason) != "":
		d.Reject(engine.InvalidCommand, fault.Reason(x.Reason))
	case x.Mode == s.Mode:
		d.Reject(engine.WrongState, "")
	default:
		d.Add(&engine.ModeSet{Mode: x.Mode, Reason: x.Reason})
	}
}

// SetDeadlines holds deadlines, or lets them go.
func SetDeadlines(s *fold.State, d *engine.Decision, x *engine.SetDeadlines) {
	switch {
	case fault.Reason(x.Reason) != "":
		d.Reject(engine.InvalidCommand, fault.Reason(x.Reason))
	case x.Held == s.DueHeld:
		d.Reject(engine.WrongState, "")
	default:
		d.Add(&engine.DeadlinesSet{Held: x.Held, Reason: x.Reason})
	}
}

// forgotten says what an abuse event or an act of moderation may be that is not
// found.
const forgotten = "there is none at that sequence, or it is older than what is remembered and stands in the log alone"

// Moderate acts on an account or an abuse event.
func Moderate(s *fold.State, d *engine.Decision, x *engine.Moderate) {
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
		case s.Account(x.Account) == nil:
			d.Reject(engine.AccountNotFound, "")
			return
		case s.Told.Erased(uint32(x.Account)):
			d.Reject(engine.WrongState, "the account was erased")
			return
		}
	case engine.DismissAbuse:
		if dismissed, known := s.Abuses.Get(x.Abuse); !known {
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

// UndoModeration takes an act of moderation back.
func UndoModeration(s *fold.State, d *engine.Decision, x *engine.UndoModeration) {
	m, known := s.Moderations.Get(x.Decision)
	if !known {
		d.Reject(engine.NotFound, forgotten)
		return
	}
	d.Add(&engine.ModerationUndone{Decision: x.Decision, Action: m.Action, Account: m.Account})
}

// Upgrade lets the rules of another version decide.
func Upgrade(s *fold.State, d *engine.Decision, x *engine.UpgradeEngine) {
	switch {
	case x.Version <= s.Version:
		d.Reject(engine.WrongState, "")
	case x.Version > engine.Version:
		d.Reject(engine.InvalidCommand, "this binary does not know that version of the rules")
	default:
		d.Add(&engine.EngineUpgraded{Version: x.Version})
	}
}

// NoteRefusals takes the summary as it is; nothing in the state depends on it.
func NoteRefusals(d *engine.Decision, x *engine.NoteRefusals) {
	if d.Principal != engine.System {
		d.Reject(engine.WrongState, "")
	} else if why := fault.Refusals(x, d.At); why != "" {
		d.Reject(engine.InvalidCommand, why)
	}
}
