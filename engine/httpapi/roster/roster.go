// Package roster reads, for the edge, who is on record, what they hold, in which group
// they are, who may trade what, and the rules: templates, the policy and the schedules of
// grants in force.
//
// It promises one look at the state for each answer, bounded where it looks at many
// markets, and the sequence of that look. It refuses to say who may ask: that is the
// edge's table; and to change anything.
package roster

import (
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/httpapi/problem"
)

// State is what is looked at.
type State interface {
	View(fn func(*core.State))
	Now() engine.Time
}

// Sought bounds the markets that one page of tradable ones looks at: some milliseconds
// in steps of some tens of µs.
const Sought = 10_000

// step bounds one look: the next batch of decisions waits for that long.
const step = 512

// LastDays knows on which day a key was last used, as YYYY-MM-DD; "": it does not.
type LastDays interface {
	Last(key engine.Digest) string
}

// Key is what is on record of a key, and when this server saw it last.
type Key struct {
	engine.Key
	LastUsed string `json:"last_used,omitempty"`
}

// Keys is a page of what is on record of keys and of persons, after a place: never a
// secret.
func Keys(v State, used LastDays, after uint64, limit int) any {
	doc := struct {
		Seq  engine.Seq `json:"seq"`
		Keys []Key      `json:"keys"`
		Next int        `json:"next,omitempty"`
	}{Keys: []Key{}}
	var keys []engine.Key
	v.View(func(s *core.State) {
		doc.Seq = s.Seq()
		keys, doc.Next = s.Keys(int(min(after, 1<<31)), limit)
	})
	for _, k := range keys {
		doc.Keys = append(doc.Keys, Key{k, used.Last(k.SHA256)})
	}
	return doc
}

// Account is what an account holds.
func Account(v State, id engine.AccountID) (any, error) {
	doc := struct {
		Seq engine.Seq `json:"seq"`
		engine.Account
	}{}
	found := false
	v.View(func(s *core.State) {
		doc.Seq = s.Seq()
		doc.Account, found = s.Account(id)
	})
	if !found {
		return nil, &problem.Refusal{Code: engine.AccountNotFound.String(), Seq: doc.Seq}
	}
	return doc, nil
}

// AccountGroups is which groups an account is in, and who says so.
func AccountGroups(v State, id engine.AccountID) (any, error) {
	doc := struct {
		Seq engine.Seq `json:"seq"`
		engine.AccountGroups
	}{}
	found := false
	v.View(func(s *core.State) {
		doc.Seq = s.Seq()
		doc.AccountGroups, found = s.Groups(id)
	})
	if !found {
		return nil, &problem.Refusal{Code: engine.AccountNotFound.String(), Seq: doc.Seq}
	}
	return doc, nil
}

// MarketGroups is who may trade a market. It is for those who run the house: that a
// group is named may say more of a question than its answer.
func MarketGroups(v State, id engine.MarketID) (any, error) {
	doc := struct {
		Seq engine.Seq `json:"seq"`
		engine.MarketGroups
	}{}
	found := false
	v.View(func(s *core.State) {
		doc.Seq = s.Seq()
		doc.MarketGroups, found = s.MarketGroups(id)
	})
	if !found {
		return nil, &problem.Refusal{Code: engine.MarketNotFound.String(), Seq: doc.Seq}
	}
	return doc, nil
}

// Next is the first market, from one on, that an account may trade; 0 if there is none.
// It looks at so many markets at most, of which it says how many are left to look at;
// without any left it is the first that it did not look at.
func Next(v State, from engine.MarketID, account engine.AccountID, left int) (seq engine.Seq, market engine.MarketID, rest int) {
	now := v.Now()
	for from != 0 && left > 0 {
		found, end := false, engine.MarketID(0)
		v.View(func(s *core.State) {
			seq, end = s.Seq(), engine.MarketID(s.MarketCount())
			for n := 0; n < step && left > 0 && from <= end && !found; n++ {
				if found = s.Tradable(from, account, now); !found {
					from, left = from+1, left-1
				}
			}
		})
		if from > end {
			return seq, 0, left
		}
		if found {
			return seq, from, left - 1
		}
	}
	return seq, from, 0
}

// Templates are the registered template versions.
func Templates(v State) any {
	doc := struct {
		Seq       engine.Seq        `json:"seq"`
		Templates []engine.Template `json:"templates"`
	}{}
	v.View(func(s *core.State) { doc.Seq, doc.Templates = s.Seq(), s.Templates() })
	return doc
}

// Policy is the bundle of limits in force, and how much service is given.
func Policy(v State) any {
	doc := struct {
		Seq    engine.Seq    `json:"seq"`
		Mode   engine.Mode   `json:"mode"`
		SHA256 engine.Digest `json:"sha256"`
		Policy engine.Policy `json:"policy"`
	}{}
	v.View(func(s *core.State) { doc.Seq, doc.Mode, doc.Policy = s.Seq(), s.Mode(), s.Policy() })
	doc.SHA256 = doc.Policy.Digest()
	return doc
}

// LookOutcomes bounds one look at markets to some tens of µs: the next batch of
// decisions waits for that long.
const LookOutcomes = 512

// Look looks at markets from one on, upwards or downwards by their ids, at most so
// many and as many as fit into one look. end is the last market that there is.
func Look(v State, from engine.MarketID, step, most int) (seq engine.Seq, looks []core.Look, end engine.MarketID) {
	now, outcomes := v.Now(), 0
	v.View(func(s *core.State) {
		seq, end = s.Seq(), engine.MarketID(s.MarketCount())
		for id := int(from); id > 0 && id <= int(end) && len(looks) < most && outcomes < LookOutcomes; id += step {
			if l, ok := s.Look(engine.MarketID(id), now); ok {
				looks = append(looks, l)
				outcomes += l.Outcomes()
			}
		}
	})
	return seq, looks, end
}
