package roster

import (
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/httpapi/history"
	"github.com/mbp-market/mbp/engine/httpapi/problem"
	"github.com/mbp-market/mbp/engine/httpapi/wire"
)

// Rounds knows how far the last round of a schedule came; false: it knows of none.
type Rounds interface {
	LastRound(schedule string) (history.Round, bool)
}

// schedule is how a schedule of grants stands, and its last round.
type schedule struct {
	engine.ScheduleState
	Round *history.Round `json:"round,omitempty"`
}

func withRound(x engine.ScheduleState, past Rounds) schedule {
	doc := schedule{ScheduleState: x}
	if r, known := past.LastRound(x.Name); known {
		doc.Round = &r
	}
	return doc
}

func schedulesOf(v State) (seq engine.Seq, all []engine.ScheduleState) {
	v.View(func(s *core.State) { seq, all = s.Seq(), s.Schedules() })
	return seq, all
}

// Schedules reads every schedule of grants that is in force.
func Schedules(v State, past Rounds) func(*wire.Request) (any, error) {
	return func(r *wire.Request) (any, error) {
		if err := r.End(); err != nil {
			return nil, err
		}
		doc := struct {
			Seq       engine.Seq `json:"seq"`
			Schedules []schedule `json:"schedules"`
		}{Schedules: []schedule{}}
		var all []engine.ScheduleState
		doc.Seq, all = schedulesOf(v)
		for _, x := range all {
			doc.Schedules = append(doc.Schedules, withRound(x, past))
		}
		return doc, nil
	}
}

// Schedule reads one of them.
func Schedule(v State, past Rounds) func(*wire.Request) (any, error) {
	return func(r *wire.Request) (any, error) {
		var name wire.Slug
		r.ID("schedule", &name)
		if err := r.End(); err != nil {
			return nil, err
		}
		seq, all := schedulesOf(v)
		for _, x := range all {
			if x.Name == string(name) {
				return struct {
					Seq engine.Seq `json:"seq"`
					schedule
				}{seq, withRound(x, past)}, nil
			}
		}
		return nil, &problem.Refusal{Code: problem.NotFound, Detail: "no schedule of this name is in force", Seq: seq}
	}
}
