package enginetest

import (
	"fmt"

	"github.com/mbp-market/mbp/engine"
)

// compared tells what becomes of seasons.
func (w *world) compared(e engine.Event) bool {
	switch x := e.(type) {
	case *engine.SeasonOpened:
		w.say("season %s from %s to %s", x.Name, clock(x.Start), clock(x.End))
	case *engine.SeasonStopped:
		w.say("season %s is stopped", x.Name)
	case *engine.SeasonTurned:
		if x.Ends != "" {
			w.say("season %s is over", x.Ends)
		}
		if x.Begins != "" {
			w.say("season %s begins", x.Begins)
		}
	case *engine.SeasonCounted:
		for i, v := range x.Values {
			w.say("%s had %s", w.who(x.From+engine.AccountID(i)), num(v))
		}
	case *engine.RankingSet:
		if x.Ranked {
			w.say("%s is ranked", w.who(x.Account))
		} else {
			w.say("%s is not ranked", w.who(x.Account))
		}
	default:
		return false
	}
	return true
}

// standings tells those of a season that ended.
func (w *world) standings(name string) error {
	lines, _, ok := w.state.Standings(name, 0, engine.WorkLimit)
	if !ok {
		return fmt.Errorf("%q is nothing to show", name)
	}
	for _, x := range lines {
		w.say("%d. %s %s", x.Rank, w.who(x.Account), num(x.Profit))
	}
	return nil
}
