package httpapi

import (
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/httpapi/problem"
)

// service is how much of its service the engine gives, and what that means here.
type service struct {
	mode engine.Mode
	rule engine.DegradeRule
}

func serviceOf(s *core.State) service { return service{s.Mode(), s.Policy().Degrade} }

// service is how much of its service the engine gives now.
func (a *API) service() (v service) {
	a.seq.View(func(s *core.State) { v = serviceOf(s) })
	return v
}

// divisor is what the limits on a call are divided by. To shed is to admit less of
// what loads the platform: trading, and the reads of who only trades. What takes
// load or risk off it, and the work of those who put it right, passes as ever.
func (c *call) divisor() int {
	loads := c.route.roles == engine.RoleTrader && !c.route.relief
	if c.route.command == nil {
		loads = c.key.Roles == engine.RoleTrader
	}
	if c.mode == engine.ModeShed && loads {
		return int(c.rule.ShedDivisor)
	}
	return 1
}

// shed makes of a limit's refusal one that names the mode, and counts it.
func (a *API) shed(c *call, e *problem.Refusal) *problem.Refusal {
	if c.divisor() > 1 {
		a.metrics.Shed.Inc()
		e.Detail = shedding + e.Detail
	}
	return e
}

// enter counts mutations that are handed to the writer together, and reports
// whether there is room. Only a mode takes room away here: the writer has a limit of
// its own.
func (a *API) enter(c *call, together int) bool {
	n, d := a.underway.Add(int64(together)), c.divisor()
	if d > 1 && n > int64(max(together, a.cfg.MaxIntake/d)) {
		a.underway.Add(-int64(together))
		return false
	}
	return true
}
