package audit

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	failed  prometheus.Gauge
	seconds prometheus.Counter
	hashed  atomic.Uint64 // records
	atHead  atomic.Int64  // ns since the epoch: when the tree had all of the journal
}

// newMetrics registers the series. What follows the journal is read when it is
// asked for, so that a follower that hangs shows as growing lag.
func newMetrics(t *Tree) (*metrics, error) {
	m := &metrics{
		failed:  prometheus.NewGauge(prometheus.GaugeOpts{Name: "mbp_audit_failed", Help: "1 while the audit tree is not kept up because of an error."}),
		seconds: prometheus.NewCounter(prometheus.CounterOpts{Name: "mbp_audit_seconds_total", Help: "Time spent on hashing records, off the commit path."}),
	}
	m.caughtUp()
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	behind := func() float64 {
		return float64(max(t.cfg.Log.Next()-1, m.hashed.Load()) - m.hashed.Load())
	}
	var errs []error
	for _, c := range []prometheus.Collector{
		m.failed, m.seconds,
		gauge("mbp_audit_records", "Records in the audit tree.", func() float64 { return float64(m.hashed.Load()) }),
		gauge("mbp_audit_signed_records", "Records that the newest checkpoint covers.", func() float64 { return float64(t.Newest().Size) }),
		gauge("mbp_audit_lag_records", "Durable records that are not in the audit tree yet.", behind),
		gauge("mbp_audit_lag_seconds", "How long ago the audit tree had all of the journal; 0 while it has.", func() float64 {
			if behind() == 0 {
				return 0
			}
			return time.Since(time.Unix(0, m.atHead.Load())).Seconds()
		}),
	} {
		errs = append(errs, t.cfg.Registerer.Register(c))
	}
	return m, errors.Join(errs...)
}

func (m *metrics) caughtUp() { m.atHead.Store(time.Now().UnixNano()) }
