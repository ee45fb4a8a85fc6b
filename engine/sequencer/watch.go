package sequencer

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
)

// watch keeps what the state says about markets that wait for people, so that a
// scrape need not look at all of them.
type watch struct {
	overdue map[engine.MarketID]bool // a breach of their SLA is not answered
	frozen  map[engine.MarketID]bool
}

// newWatch looks at all markets once.
func newWatch(s *core.State) watch {
	w := watch{overdue: map[engine.MarketID]bool{}, frozen: map[engine.MarketID]bool{}}
	s.Waiting(func(m engine.MarketID, frozen, overdue bool) {
		if frozen {
			w.frozen[m] = true
		}
		if overdue {
			w.overdue[m] = true
		}
	})
	return w
}

// see folds a durable decision. A breach is answered by whatever moves the market
// on: a proposal, its rejection or its end. A dispute moves nothing on.
func (w *watch) see(d *engine.Decision) {
	for _, e := range d.Events {
		switch x := e.(type) {
		case *engine.SLABreached:
			w.overdue[x.Market] = true
		case *engine.MarketStateChanged:
			if x.To != engine.Disputed {
				delete(w.overdue, x.Market)
			}
			if delete(w.frozen, x.Market); x.To == engine.Frozen {
				w.frozen[x.Market] = true
			}
		}
	}
}

// gauges are the series that are read when they are asked for.
func (q *Sequencer) gauges() []prometheus.Collector {
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	seen := func(fn func() int) func() float64 {
		return func() (v float64) {
			q.View(func(*core.State) { v = float64(fn()) })
			return v
		}
	}
	return []prometheus.Collector{
		gauge("mbp_sequencer_waiting", "Requests that wait for a batch.", func() float64 { return float64(q.intake.len()) }),
		gauge("mbp_clock_offset_seconds", "How far the wall clock is ahead of engine time, which goes on with the monotonic clock.",
			func() float64 { return q.clock.offset().Seconds() }),
		gauge("mbp_resolution_sla_overdue", "Markets that waited too long for their outcome, and still wait.", seen(func() int { return len(q.watch.overdue) })),
		gauge("mbp_markets_frozen", "Markets that their price guard stopped.", seen(func() int { return len(q.watch.frozen) })),
		gauge("mbp_deadlines_held", "1 while nothing happens because a time has come, until an operator confirms the time.", seen(func() int {
			if q.view.DeadlinesHeld() {
				return 1
			}
			return 0
		})),
		gauge("mbp_engine_mode", "How much of its service the engine gives: 0 normal, 1 lite, 2 shed, 3 read_only.", seen(func() int { return int(q.view.Mode()) })),
	}
}
