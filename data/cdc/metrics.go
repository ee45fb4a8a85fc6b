package cdc

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// lagBuckets in seconds. 120 is the bound of R2 and must be an edge: the share
// of rows within it is then exact.
var lagBuckets = []float64{0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800}

type metrics struct {
	lag          *prometheus.HistogramVec
	heartbeat    *prometheus.GaugeVec
	rows         *prometheus.CounterVec
	deadLetters  *prometheus.CounterVec
	commitErrors prometheus.Counter
	position     prometheus.Gauge
	lacks        prometheus.Gauge
	drift        prometheus.Gauge
	contract     prometheus.Gauge
}

// newMetrics registers the series and creates every label, so that an idle
// table reads as zero and not as absent.
func newMetrics(r prometheus.Registerer) (*metrics, error) {
	table := []string{"table"}
	m := &metrics{
		lag:          prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "cdc_lag_seconds", Help: "Time from the durable decision to the durable row in the lake; heartbeats when idle.", Buckets: lagBuckets}, table),
		heartbeat:    prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "cdc_heartbeat_timestamp_seconds", Help: "Time up to which the lake is known to be complete."}, table),
		rows:         prometheus.NewCounterVec(prometheus.CounterOpts{Name: "cdc_rows_total", Help: "Rows made durable in the lake by this process."}, table),
		deadLetters:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "cdc_dead_letters_total", Help: "Rows that violated their schema."}, table),
		commitErrors: prometheus.NewCounter(prometheus.CounterOpts{Name: "cdc_commit_errors_total", Help: "Commits to the lake that failed and are tried again."}),
		position:     prometheus.NewGauge(prometheus.GaugeOpts{Name: "cdc_position_seq", Help: "Last decision whose rows are durable in the lake."}),
		lacks:        prometheus.NewGauge(prometheus.GaugeOpts{Name: "cdc_lacks_from_seq", Help: "First decision that the lake lacks and cannot take, because the journal here begins later; 0: none."}),
		drift:        prometheus.NewGauge(prometheus.GaugeOpts{Name: "registry_schema_drift", Help: "Tables whose newest lake files do not agree with the schema registry."}),
		contract:     prometheus.NewGauge(prometheus.GaugeOpts{Name: "data_contract_break", Help: "1 while rows that violated their schema lie in the dead-letter folder."}),
	}
	for _, t := range Tables() {
		m.lag.WithLabelValues(t)
		m.heartbeat.WithLabelValues(t)
		m.rows.WithLabelValues(t)
		m.deadLetters.WithLabelValues(t)
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.lag, m.heartbeat, m.rows, m.deadLetters, m.commitErrors, m.position, m.lacks, m.drift, m.contract} {
		errs = append(errs, r.Register(c))
	}
	return m, errors.Join(errs...)
}
