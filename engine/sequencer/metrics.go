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
	orchestration *prometheus.CounterVec
	batchRecords  prometheus.Histogram
	appendSeconds prometheus.Histogram
}

// newMetrics registers the series and creates every label, so that what has not
// happened reads as zero and not as absent. They count from the start of the
// process, not from the start of the journal.
func newMetrics(reg prometheus.Registerer, waiting, offset func() float64) (*metrics, error) {
	decisions := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "decision_events_total", Help: "Durable decisions by code.",
	}, []string{"code"})
	m := &metrics{
		trades: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "trades_total", Help: "Durable fills.",
		}),
		journalled: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "dec_journalled_total", Help: "Durable decisions on requests from outside, counted by the fold that readers see.",
		}),
		orchestration: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "dec_orchestration_errors_total", Help: "Admitted requests that ended without decision, record or answer.",
		}, []string{"stage"}),
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
	queue := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "mbp_sequencer_waiting", Help: "Requests that wait for a batch.",
	}, waiting)
	skew := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "mbp_clock_offset_seconds", Help: "How far the wall clock is ahead of engine time, which goes on with the monotonic clock.",
	}, offset)
	var errs []error
	for _, c := range []prometheus.Collector{decisions, m.trades, m.journalled, m.orchestration, m.batchRecords, m.appendSeconds, queue, skew} {
		errs = append(errs, reg.Register(c))
	}
	return m, errors.Join(errs...)
}

func (m *metrics) appended(n int, took time.Duration) {
	m.batchRecords.Observe(float64(n))
	m.appendSeconds.Observe(took.Seconds())
}

// folded counts a durable decision. What the engine gave itself did not come
// through an edge, so it is not a request that the edge has counted.
func (m *metrics) folded(d *engine.Decision) {
	m.codes[d.Code].Inc()
	if d.Filled() != nil {
		m.trades.Inc()
	}
	if d.Principal != engine.System {
		m.journalled.Inc()
	}
}

// CountOrchestrationError counts an admitted request that ended without what a
// stage owed it: decide, journal or answer.
func (q *Sequencer) CountOrchestrationError(stage string) {
	q.metrics.orchestration.WithLabelValues(stage).Inc()
}
