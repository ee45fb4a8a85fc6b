package cdc

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"github.com/mbp-market/mbp/engine"
)

// granted adds the rows of an event about credits that are given; false if it is none.
func (f *fold) granted(t *touched, e engine.Event) bool {
	switch x := e.(type) {
	case *engine.GrantScheduleSet:
		s := &x.Schedule
		word, _ := s.Period.MarshalText()
		columns := t.grant("c", "set", s.Name, x.Next)
		columns["amount_micros"], columns["cap_micros"], columns["every"] = int64(s.Amount), orNull(int64(s.Cap)), string(word)
		columns["groups"], columns["starts_at"], columns["ends_at"] = int64(len(s.Groups)), orNull(int64(s.Start)), orNull(int64(s.End))
	case *engine.GrantScheduleEnded:
		t.grant("u", "ended", x.Name, 0)
	case *engine.GrantsBegun:
		t.grant("c", "begun", x.Name, x.Period)["accounts"] = int64(x.Last)
	case *engine.GrantsPaid:
		for _, p := range x.Grants {
			columns := t.grant("c", "granted", x.Name, x.Period)
			columns["account"], columns["amount_micros"] = p.Account.String(), int64(p.Credits)
		}
	case *engine.CreditsGranted:
		columns := t.grant("c", "granted", "", 0)
		columns["account"], columns["amount_micros"] = x.Account.String(), int64(x.Amount)
	default:
		return false
	}
	return true
}

// grant adds a row of mbp_grants and returns its columns.
func (t *touched) grant(op, step, schedule string, period engine.Time) map[string]any {
	columns := map[string]any{
		"place": int64(t.grants), "step": step, "schedule": nil, "account": nil, "amount_micros": nil, "cap_micros": nil, "every": nil, "groups": nil,
		"period_at": orNull(int64(period)), "starts_at": nil, "ends_at": nil, "accounts": nil, "principal": t.d.Principal,
	}
	if schedule != "" {
		columns["schedule"] = schedule
	}
	t.grants++
	t.rest = append(t.rest, change{tableGrants, op, columns})
	return columns
}

// before notes what a decision replaces, from the state before it: groups, and the count
// that it may end.
func (f *fold) before(t *touched) {
	note := func(role, subject string, groups []string) {
		if t.was == nil {
			t.was = map[string][]string{}
		}
		t.was[role+" "+subject] = groups
	}
	for _, e := range t.d.Events {
		switch x := e.(type) {
		case *engine.SeasonCounted:
			t.turn.ends, t.turn.begins = f.state.Counting()
		case *engine.AccountGroupsSet:
			g, _ := f.state.Groups(x.Account) // of one that is not there: none
			note("given", x.Account.String(), g.Given)
			note("told", x.Account.String(), g.Told)
		case *engine.MarketGroupsSet:
			g, _ := f.state.MarketGroups(x.Market)
			note("allow", x.Market.String(), g.Allow)
			note("deny", x.Market.String(), g.Deny)
		}
	}
}

// grouped adds the rows of an event about groups; false if it is none. Groups are set as
// a whole: what is new has joined, what is missing has left.
func (f *fold) grouped(t *touched, e engine.Event) bool {
	switch x := e.(type) {
	case *engine.AccountGroupsSet:
		role := "given"
		if x.ToldAt != 0 {
			role = "told"
		}
		f.become(t, x.Account.String(), role, x.Groups)
	case *engine.MarketGroupsSet:
		f.become(t, x.Market.String(), "allow", x.Allow)
		f.become(t, x.Market.String(), "deny", x.Deny)
	default:
		return false
	}
	return true
}

func (f *fold) become(t *touched, subject, role string, groups []string) {
	key, was := f.state.FirstKey(), t.was[role+" "+subject]
	add := func(op, step, group string) {
		t.rest = append(t.rest, change{tableGroups, op, map[string]any{
			"subject": subject, "role": role, "group_id": GroupID(key, group), "step": step, "principal": t.d.Principal,
		}})
	}
	for _, g := range was {
		if !slices.Contains(groups, g) {
			add("u", "left", g)
		}
	}
	for _, g := range groups {
		if !slices.Contains(was, g) {
			add("c", "joined", g)
		}
	}
}

// GroupID is the pseudonym of a group in the lake: grp_ and 16 hexadecimal digits of the
// HMAC-SHA256 of its name, with the digest of the journal's first key as the key. That is
// the digest of a random secret, and no row of the lake has it: who has the lake alone
// finds no name by trying names; who has the journal has the names, too.
func GroupID(first engine.Digest, name string) string {
	h := hmac.New(sha256.New, first[:])
	h.Write([]byte("group " + name))
	return "grp_" + hex.EncodeToString(h.Sum(nil)[:8])
}
