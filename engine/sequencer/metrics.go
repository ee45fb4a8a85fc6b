package sequencer

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mbp-market/mbp/engine"
)

// stages are where a request that was accepted can end without its decision,
// its record or its answer. The last one is counted by the edge.
var stages = []string{"decide", "journal", "answer"}

type metrics struct {
	decisions     *prometheus.CounterVec
	trades        prometheus.Counter
	journalled    prometheus.Counter
	orchestration *prometheus.CounterVec
	batchRecords  prometheus.Histogram
	appendSeconds prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "decision_events_total", Help: "Durable decisions by code.",
		}, []string{"code"}),
		trades: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "trades_total", Help: "Durable fills.",
		}),
		journalled: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "dec_journalled_total", Help: "Durable decisions on requests from outside, counted by the fold that readers see.",
		}),
		orchestration: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "dec_orchestration_errors_total", Help: "Accepted requests that ended without decision, record or answer.",
		}, []string{"stage"}),
		batchRecords: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "mbp_journal_batch_records", Help: "Decisions of one append.", Buckets: prometheus.ExponentialBuckets(1, 2, 12),
		}),
		appendSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "mbp_journal_append_seconds", Help: "Time of one append with its sync.", Buckets: prometheus.ExponentialBuckets(0.0001, 2, 14),
		}),
	}
	for _, c := range engine.Codes() {
		m.decisions.WithLabelValues(c.String())
	}
	for _, s := range stages {
		m.orchestration.WithLabelValues(s)
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.decisions, m.trades, m.journalled, m.orchestration, m.batchRecords, m.appendSeconds} {
		errs = append(errs, reg.Register(c))
	}
	return m, errors.Join(errs...)
}

func (m *metrics) count(d *engine.Decision) {
	m.decisions.WithLabelValues(d.Code.String()).Inc()
	if d.Filled() != nil {
		m.trades.Inc()
	}
	if d.Principal != engine.System {
		m.journalled.Inc()
	}
}

// CountOrchestrationError counts a request that was accepted and ended without
// what a stage owed it: decide, journal or answer.
func (q *Sequencer) CountOrchestrationError(stage string) {
	q.metrics.orchestration.WithLabelValues(stage).Inc()
}
