package httpapi

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/httpapi/hub"
	"github.com/mbp-market/mbp/engine/httpapi/news"
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

// quotesPerFrame bounds a frame of held quotes to some hundred KiB, where markets
// have the most outcomes.
const quotesPerFrame = 32

// thinner holds back quotes while the mode asks for it. A quote tells where a
// market stands, so the last one makes those before it redundant; trades and
// states are never held back.
type thinner struct {
	mu   sync.Mutex                // held while frames go out, so that they go in order
	held map[engine.MarketID]since // at most as many as there are markets
	wake chan time.Duration        // has room for one: quotes are held, for so long
}

// since is the last decision that moved a market whose quote is held back.
type since struct {
	seq engine.Seq
	at  engine.Time
}

func newThinner() thinner {
	return thinner{held: map[engine.MarketID]since{}, wake: make(chan time.Duration, 1)}
}

// thin takes from a decision's news the quotes that are held back; where nothing
// is, what was held goes out before it. The caller holds thinner.mu.
func (a *API) thin(d *engine.Decision, n *news.News) {
	t := &a.thinner
	v := a.service()
	if !v.mode.Thins() || v.rule.PushInterval == 0 {
		for _, id := range n.Quotes {
			delete(t.held, id)
		}
		a.flush()
		return
	}
	if len(t.held) == 0 && len(n.Quotes) != 0 {
		select {
		case t.wake <- time.Duration(v.rule.PushInterval) * time.Microsecond:
		default: // it will wake
		}
	}
	for _, id := range n.Quotes {
		t.held[id] = since{d.Seq, d.At}
	}
	a.metrics.Held.Add(float64(len(n.Quotes)))
	n.Quotes = nil
}

// release sends what is held back when its time comes.
func (a *API) release(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case wait := <-a.thinner.wake:
			timer.Reset(wait)
		}
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		a.thinner.mu.Lock()
		a.flush()
		a.thinner.mu.Unlock()
	}
}

// flush sends the quotes that are held, as of the last decision handed out. The
// caller holds thinner.mu.
func (a *API) flush() {
	if len(a.thinner.held) == 0 {
		return
	}
	ids := slices.Sorted(maps.Keys(a.thinner.held))
	at := a.hub.Position()
	for chunk := range slices.Chunk(ids, quotesPerFrame) {
		var text []byte
		for _, id := range chunk {
			was := a.thinner.held[id]
			text = news.Append(text, at, id == ids[len(ids)-1], a.quoteOf(id, was.seq, was.at))
		}
		a.metrics.Dropped.Add(float64(a.hub.Broadcast(hub.Frame{Seq: at, Text: text, Again: true})))
	}
	clear(a.thinner.held)
}
