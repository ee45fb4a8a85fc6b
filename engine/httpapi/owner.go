package httpapi

import (
	"slices"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/wire"
)

// insiders see a decision as it is on record.
const insiders = overseers | moderators

// shown is a decision as the caller may see it. The stream and the quotes do not
// say whose an order is, so neither does a trader's own decision; and an alert of
// the surveillance is for those who look into it, not for whom it is about. What
// limits or pauses is told: it explains what happens next.
func (c *call) shown(d *engine.Decision) *engine.Decision {
	if c.key.Roles.Has(insiders) {
		return d
	}
	out := *d // the decision itself is shared
	out.Events = make([]engine.Event, 0, len(d.Events))
	out.Results = slices.Clone(d.Results)
	item, left := 0, uint32(0) // the result that the event belongs to, and how many of its events are to come
	for _, e := range d.Events {
		for left == 0 && item < len(d.Results) {
			left = d.Results[item].Events
			item++
		}
		ofItem := left > 0
		if ofItem {
			left--
		}
		switch x := e.(type) {
		case *engine.AbuseRaised:
			if x.Action == "alert" {
				if ofItem {
					out.Results[item-1].Events--
				}
				continue
			}
		case *engine.OrderFilled:
			e = &wire.Filled{OrderFilled: x, Pieces: piecesOf(x)}
		}
		out.Events = append(out.Events, e)
	}
	return &out
}

// piecesOf are the pieces of a fill without their makers.
func piecesOf(f *engine.OrderFilled) []wire.Piece {
	out := make([]wire.Piece, 0, len(f.Fills))
	for _, p := range f.Fills {
		with := "book"
		if p.Maker == 0 {
			with = "pool"
		}
		out = append(out, wire.Piece{With: with, Amount: p.Amount, Shares: p.Shares})
	}
	return out
}
