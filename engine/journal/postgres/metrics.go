package postgres

import (
	"context"
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	leader, epoch, replicas prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	m := &metrics{
		leader: gauge("mbp_journal_leader", "1 if this process holds the lease of the journal, as far as it knows; else 0."),
		epoch:  gauge("mbp_journal_epoch", "Epoch of the lease that this process took last; 0 if it took none. Each takeover raises it by one."),
		replicas: gauge("mbp_journal_synchronous_replicas",
			"Replicas that a commit waits for, as the holder of the lease sees them; -1 if it holds none, or may not see them (GRANT pg_read_all_stats)."),
	}
	m.replicas.Set(-1)
	var errs []error
	for _, c := range m.all() {
		errs = append(errs, reg.Register(c))
	}
	return m, errors.Join(errs...)
}

// Alone registers the same series for a process whose journal is another one: it
// holds that for as long as it runs, and knows of no replica.
func Alone(reg prometheus.Registerer) error {
	m, err := newMetrics(reg)
	m.leader.Set(1)
	return err
}

func (m *metrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.leader, m.epoch, m.replicas}
}

func (m *metrics) unregister(reg prometheus.Registerer) {
	for _, c := range m.all() {
		reg.Unregister(c)
	}
}

func (m *metrics) held(epoch int64) {
	m.leader.Set(1)
	m.epoch.Set(float64(epoch))
}

func (m *metrics) lost() {
	m.leader.Set(0)
	m.replicas.Set(-1)
}

// countReplicas counts who a commit waits for. Without the right to see them the
// rows are there and say nothing.
func (l *Log) countReplicas(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	var synchronous, hidden int
	err := l.pool.QueryRow(ctx, `SELECT count(*) FILTER (WHERE sync_state IN ('sync', 'quorum') AND state = 'streaming'),
  count(*) FILTER (WHERE sync_state IS NULL) FROM pg_stat_replication`).Scan(&synchronous, &hidden)
	switch {
	case err != nil: // whether the database is there, the lease shows
	case hidden > 0:
		l.metrics.replicas.Set(-1)
	default:
		l.metrics.replicas.Set(float64(synchronous))
	}
}
