package webhook

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
)

// metrics are the series of delivery.
type metrics struct{ delivered, failed prometheus.Counter }

func newMetrics(r prometheus.Registerer, x *Dispatcher) (*metrics, error) {
	attempts := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "mbp_webhook_attempts_total", Help: "Requests to webhooks by what came of them."}, []string{"outcome"})
	m := &metrics{delivered: attempts.WithLabelValues("delivered"), failed: attempts.WithLabelValues("failed")}
	gauges := []prometheus.Collector{attempts}
	for _, s := range []engine.WebhookState{engine.WebhookActive, engine.WebhookPaused, engine.WebhookFailed} {
		word, _ := s.MarshalText() // each has one
		gauges = append(gauges, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "mbp_webhooks", Help: "Webhooks on record by state.", ConstLabels: prometheus.Labels{"state": string(word)},
		}, func() float64 { return float64(x.count(s)) }))
	}
	gauges = append(gauges, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "mbp_webhook_lag_seconds", Help: "For how long the platform has tried to send the message that a webhook has not taken for longest; 0: there is none, or another process sends.",
	}, x.lag), prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "mbp_webhook_key_missing", Help: "1 while there are webhooks and no webhook.key: nothing is sent.",
	}, x.keyMissing))
	var errs []error
	for _, g := range gauges {
		errs = append(errs, r.Register(g))
	}
	return m, errors.Join(errs...)
}

func (x *Dispatcher) count(state engine.WebhookState) (n int) {
	x.cfg.Writer.View(func(s *core.State) {
		for _, w := range s.Webhooks() {
			if w.State == state {
				n++
			}
		}
	})
	return n
}

func (x *Dispatcher) keyMissing() float64 {
	if x.cfg.Key == nil && x.count(engine.WebhookActive)+x.count(engine.WebhookFailed)+x.count(engine.WebhookPaused) > 0 {
		return 1
	}
	return 0
}

// lag is for how long the message has been tried that was tried longest.
func (x *Dispatcher) lag() (seconds float64) {
	for _, k := range x.all() {
		k.mu.Lock()
		since := k.since
		k.mu.Unlock()
		if !since.IsZero() {
			seconds = max(seconds, time.Since(since).Seconds())
		}
	}
	return seconds
}
