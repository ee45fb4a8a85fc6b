package snapshot

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	seconds  prometheus.Gauge
	bytes    prometheus.Gauge
	failed   prometheus.Counter
	compared prometheus.Counter
}

// newMetrics registers the series. Sequence, age and lag are read when they are
// asked for, so that a follower that hangs shows as growing age.
func newMetrics(f *Follower, reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		seconds:  prometheus.NewGauge(prometheus.GaugeOpts{Name: "mbp_snapshot_duration_seconds", Help: "How long the newest snapshot took to be written and synced."}),
		bytes:    prometheus.NewGauge(prometheus.GaugeOpts{Name: "mbp_snapshot_bytes", Help: "Size of the state in the newest snapshot that this process wrote."}),
		failed:   failures(),
		compared: prometheus.NewCounter(prometheus.CounterOpts{Name: "mbp_snapshot_compared_total", Help: "Accounts and markets of the writer's memory that were held against a fold of the journal."}),
	}
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	var errs []error
	for _, c := range []prometheus.Collector{
		m.seconds, m.bytes, m.failed, m.compared,
		gauge("mbp_snapshot_seq", "Last decision in the newest snapshot; 0 if there is none.", func() float64 { return float64(f.last.Load()) }),
		gauge("mbp_snapshot_age_seconds", "Since this process wrote a snapshot, or since its start.", func() float64 {
			return time.Since(time.Unix(0, f.at.Load())).Seconds()
		}),
		gauge("mbp_snapshot_lag_records", "Durable records that the follower has not folded.", func() float64 {
			seq := f.seq.Load()
			return float64(max(f.cfg.Log.Next()-1, seq) - seq)
		}),
	} {
		errs = append(errs, reg.Register(c))
	}
	return m, errors.Join(errs...)
}

// failures counts what could not be written. It is there without a follower, too: see
// Off.
func failures() prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: "mbp_snapshot_failures_total", Help: "Snapshots that could not be written."})
}

// Off registers the count of failures, at zero, for a process that writes no
// snapshots: that it is absent would mean that nobody knows.
func Off(reg prometheus.Registerer) error { return reg.Register(failures()) }

func (m *metrics) wrote(i Info, took time.Duration) {
	m.seconds.Set(took.Seconds())
	m.bytes.Set(float64(i.Size))
}
