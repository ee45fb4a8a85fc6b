package wire

import (
	"slices"

	"github.com/mbp-market/mbp/engine"
)

// Discreet is a decision as whom it is about may see it. The stream and the quotes do
// not say whose an order is, so neither does a trader's own decision; and an alert of
// the surveillance is for those who look into it, not for whom it is about. What
// limits or pauses is told: it explains what happens next.
func Discreet(d *engine.Decision) *engine.Decision {
	out := *d // the decision itself is shared
	out.Events = make([]engine.Event, 0, len(d.Events))
	out.Results = slices.Clone(d.Results)
	var fills []Filled         // in one piece of memory: most events are
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
			if fills == nil {
				fills = make([]Filled, 0, len(d.Events))
			}
			fills = append(fills, Filled{OrderFilled: x, Pieces: PiecesOf(x)})
			e = &fills[len(fills)-1]
		}
		out.Events = append(out.Events, e)
	}
	return &out
}

// PiecesOf are the pieces of a fill without their makers.
func PiecesOf(f *engine.OrderFilled) []Piece {
	out := make([]Piece, 0, len(f.Fills))
	for _, p := range f.Fills {
		with := "book"
		if p.Maker == 0 {
			with = "pool"
		}
		out = append(out, Piece{With: with, Amount: p.Amount, Shares: p.Shares})
	}
	return out
}
