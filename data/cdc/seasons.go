package cdc

import (
	"slices"

	"github.com/mbp-market/mbp/engine"
)

// turn is which seasons a count is of.
type turn struct{ ends, begins string }

// seasoned adds the rows of an event about seasons; false if it is none. What an account
// had at a turn is a row of the season that ends, and one of the season that begins.
func (f *fold) seasoned(t *touched, e engine.Event) bool {
	switch x := e.(type) {
	case *engine.SeasonOpened:
		columns := t.season("c", "opened", x.Name)
		columns["starts_at"], columns["ends_at"] = int64(x.Start), int64(x.End)
	case *engine.SeasonStopped:
		t.season("u", "stopped", x.Name)
	case *engine.SeasonTurned:
		if x.Ends != "" {
			t.season("u", "ended", x.Ends)["accounts"] = int64(x.Last)
		}
		if x.Begins != "" {
			t.season("u", "begun", x.Begins)["accounts"] = int64(x.Last)
		}
	case *engine.SeasonCounted:
		for i, worth := range x.Values {
			account, standing := x.From+engine.AccountID(i), "ranked"
			if _, is := slices.BinarySearch(x.Unranked, account); is {
				standing = "unranked"
			}
			for _, of := range [2]struct{ step, season string }{{"ended_with", t.turn.ends}, {"began_with", t.turn.begins}} {
				if of.season != "" {
					columns := t.season("c", of.step, of.season)
					columns["account"], columns["worth_micros"], columns["standing"] = account.String(), int64(worth), standing
				}
			}
		}
	default:
		return false
	}
	return true
}

// season adds a row of mbp_seasons and returns its columns.
func (t *touched) season(op, step, season string) map[string]any {
	columns := map[string]any{
		"place": int64(t.seasons), "step": step, "season": season, "starts_at": nil, "ends_at": nil, "accounts": nil,
		"account": nil, "worth_micros": nil, "standing": nil, "principal": t.d.Principal,
	}
	t.seasons++
	t.rest = append(t.rest, change{tableSeasons, op, columns})
	return columns
}
