package sequencer

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mbp-market/mbp/engine"
)

// stages are where a request that was admitted can end without its decision, its
// record or its answer. The last one is counted by the edge.
var stages = []string{"decide", "journal", "answer"}

type metrics struct {
	codes         []prometheus.Counter // by code
	trades        prometheus.Counter
	journalled    prometheus.Counter
	abuse         *prometheus.CounterVec // by rule
	orchestration *prometheus.CounterVec
	batchRecords  prometheus.Histogram
	appendSeconds prometheus.Histogram
}

// newMetrics registers the series and creates every label, so that what has not
// happened reads as zero and not as absent. They count from the start of the
// process, not from the start of the journal.
func newMetrics(reg prometheus.Registerer, gauges []prometheus.Collector) (*metrics, error) {
	decisions := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "decision_events_total", Help: "Durable decisions by code.",
	}, []string{"code"})
	m := &metrics{
		trades: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "trades_total", Help: "Durable fills.",
		}),
		journalled: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "dec_journalled_total", Help: "Durable decisions on requests from outside, since the process started, counted by the fold that readers see. Equals dec_admitted_total unless requests are under way or lost.",
		}),
		orchestration: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "dec_orchestration_errors_total", Help: "Admitted requests that ended without decision, record or answer.",
		}, []string{"stage"}),
		abuse: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "abuse_events_total", Help: "Durable abuse events by rule; each is the begin of an episode.",
		}, []string{"rule"}),
		batchRecords: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "mbp_journal_batch_records", Help: "Decisions of one append.", Buckets: prometheus.ExponentialBuckets(1, 2, 12),
		}),
		appendSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "mbp_journal_append_seconds", Help: "Time of one append with its sync.", Buckets: prometheus.ExponentialBuckets(0.0001, 2, 14),
		}),
	}
	for _, c := range engine.Codes() {
		m.codes = append(m.codes, decisions.WithLabelValues(c.String()))
	}
	for _, s := range stages {
		m.orchestration.WithLabelValues(s)
	}
	for _, r := range engine.Rules() {
		m.abuse.WithLabelValues(r)
	}
	var errs []error
	for _, c := range append(gauges, decisions, m.trades, m.journalled, m.abuse, m.orchestration, m.batchRecords, m.appendSeconds) {
		errs = append(errs, reg.Register(c))
	}
	return m, errors.Join(errs...)
}

func (m *metrics) appended(n int, took time.Duration) {
	m.batchRecords.Observe(float64(n))
	m.appendSeconds.Observe(took.Seconds())
}

// folded counts durable decisions. What the engine gave itself did not come
// through an edge, so it is not a request that the edge has counted.
func (m *metrics) folded(ds []*engine.Decision) {
	ok, trades, journalled := 0, 0, 0
	for _, d := range ds {
		if d.Code == engine.OK {
			ok++
		} else {
			m.codes[d.Code].Inc()
		}
		for _, e := range d.Events {
			switch x := e.(type) {
			case *engine.OrderFilled:
				if x.Shares > 0 { // else it met own orders only
					trades++
				}
			case *engine.AbuseRaised:
				m.abuse.WithLabelValues(x.Rule).Inc()
			}
		}
		if d.Principal != engine.System {
			journalled++
		}
	}
	m.codes[engine.OK].Add(float64(ok))
	m.trades.Add(float64(trades))
	m.journalled.Add(float64(journalled))
}

// CountOrchestrationError counts an admitted request that ended without what a
// stage owed it: decide, journal or answer.
func (q *Sequencer) CountOrchestrationError(stage string) {
	q.metrics.orchestration.WithLabelValues(stage).Inc()
}
