package history

import (
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/wire"
)

// maxRounds bounds the schedules whose last round is remembered. Those in force are
// fewer; of the others the one that began first is forgotten.
const maxRounds = 4 * engine.MaxSchedules

// grant is credits that an account was given.
type grant struct {
	seq       engine.Seq
	at        engine.Time
	amount    engine.Micros
	round     *Round // nil: an operator gave them
	ofAccount uint64 // the place of the account's grant before
	account   engine.AccountID
}

// Round is how far the grants of a period came.
type Round struct {
	schedule string

	Period   engine.Time   `json:"period"`
	Begun    engine.Time   `json:"begun_at"`
	Done     engine.Time   `json:"done_at,omitzero"`
	Accounts uint64        `json:"accounts"`       // there were when it began
	Seen     uint64        `json:"accounts_seen"`  // of these, granted to or not
	Paid     uint64        `json:"accounts_paid"`  // of these
	Amount   engine.Micros `json:"granted_micros"` // in all
}

// grantEvent folds what an event says of credits that are given.
func (h *History) grantEvent(d *engine.Decision, e engine.Event) {
	switch x := e.(type) {
	case *engine.CreditsGranted:
		h.granted(grant{seq: d.Seq, at: d.At, amount: x.Amount, account: x.Account})
	case *engine.GrantsBegun:
		h.forget()
		r := &Round{schedule: x.Name, Period: x.Period, Begun: d.At, Accounts: uint64(x.Last)}
		if h.rounds[x.Name] = r; x.Last == 0 {
			r.Done = d.At
		}
	case *engine.GrantsPaid:
		r := h.rounds[x.Name]
		if r == nil { // it was forgotten
			r = &Round{schedule: x.Name, Period: x.Period}
		}
		if r.Seen = uint64(x.Next) - 1; x.Next == 0 {
			r.Seen, r.Done = r.Accounts, d.At
		}
		for _, p := range x.Grants {
			r.Paid, r.Amount = r.Paid+1, r.Amount+p.Credits
			h.granted(grant{seq: d.Seq, at: d.At, amount: p.Credits, account: p.Account, round: r})
		}
	case *engine.GrantScheduleEnded:
		delete(h.rounds, x.Name)
	}
}

// granted adds a row to the grants of its account.
func (h *History) granted(g grant) {
	a := h.account(g.account)
	if a == nil {
		return
	}
	a.granted, g.ofAccount = a.granted+g.amount, a.grant
	a.grant = h.grants.add(g)
}

// forget makes room for a round.
func (h *History) forget() {
	if len(h.rounds) < maxRounds {
		return
	}
	var oldest *Round
	for _, r := range h.rounds {
		if oldest == nil || r.Begun < oldest.Begun || r.Begun == oldest.Begun && r.schedule < oldest.schedule {
			oldest = r
		}
	}
	delete(h.rounds, oldest.schedule)
}

// LastRound returns how far the last round of a schedule is, false if none is known.
func (h *History) LastRound(schedule string) (Round, bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if r := h.rounds[schedule]; r != nil {
		return *r, true
	}
	return Round{}, false
}

// Grant is credits that an account was given: by a schedule in one of its periods, or
// by an operator.
type Grant struct {
	Seq      engine.Seq    `json:"seq"`
	At       engine.Time   `json:"decided_at"`
	Amount   engine.Micros `json:"amount_micros"`
	Schedule string        `json:"schedule,omitempty"`
	Period   engine.Time   `json:"period,omitzero"`
}

// Grants is a page of what an account was given, the newest first.
type Grants struct {
	Seq     engine.Seq       `json:"seq"`
	Account engine.AccountID `json:"account"`
	Granted engine.Micros    `json:"granted_micros"` // ever
	Grants  []Grant          `json:"grants"`
	Next    uint64           `json:"next,omitempty"` // the value of before that goes on
}

// AccountGrants answers with the credits that an account was given.
func (h *History) AccountGrants(r *wire.Request) (any, error) {
	doc := Grants{Grants: []Grant{}}
	r.ID("account", &doc.Account)
	p := spanOf(r, maxPage)
	if err := r.End(); err != nil {
		return nil, err
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	doc.Seq = h.seq
	a := h.account(doc.Account)
	if a == nil {
		return nil, missing(engine.AccountNotFound, h.seq)
	}
	doc.Granted = a.granted
	doc.Next = p.walk(a.grant, func(place uint64) (row, bool) {
		g := h.grants.at(place)
		if g == nil || g.account != doc.Account {
			return row{}, false
		}
		return row{g.ofAccount, g.at, true}, true
	}, func(place uint64) {
		g := h.grants.at(place)
		v := Grant{Seq: g.seq, At: g.at, Amount: g.amount}
		if g.round != nil {
			v.Schedule, v.Period = g.round.schedule, g.round.Period
		}
		doc.Grants = append(doc.Grants, v)
	})
	return doc, nil
}
