package scrape

import (
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// TestPagesAreShared: one gathering serves all that ask in a while, and the next
// one shows what is new.
func TestPagesAreShared(t *testing.T) {
	var times atomic.Int64
	reg := prometheus.NewRegistry()
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "gathered"}, func() float64 { return float64(times.Add(1)) }))
	x := New(reg, slog.New(slog.DiscardHandler))
	for range 10 {
		kind, body, err := x.Page()
		if err != nil || !strings.HasPrefix(kind, "text/plain; version=0.0.4") || !strings.Contains(string(body), "gathered 1\n") {
			t.Fatalf("%v %s %s", err, kind, body)
		}
		x.taken = time.Now() // however slow this machine is
	}
	x.taken = x.taken.Add(-2 * Age)
	if _, body, err := x.Page(); err != nil || !strings.Contains(string(body), "gathered 2\n") {
		t.Errorf("%v %s", err, body)
	}
}

// broken cannot be collected.
type broken struct{}

func (broken) Describe(chan<- *prometheus.Desc) {}
func (broken) Collect(out chan<- prometheus.Metric) {
	out <- prometheus.NewInvalidMetric(prometheus.NewDesc("broken", "", nil, nil), errors.New("collector is broken"))
}

// TestNoHalfPage: what cannot be gathered whole is an error that says nothing of
// the reason; the log has it.
func TestNoHalfPage(t *testing.T) {
	var log strings.Builder
	reg := prometheus.NewRegistry()
	reg.MustRegister(broken{})
	kind, body, err := New(reg, slog.New(slog.NewTextHandler(&log, nil))).Page()
	if !errors.Is(err, ErrGather) || strings.Contains(err.Error(), "broken") || kind != "" || body != nil || !strings.Contains(log.String(), "broken") {
		t.Errorf("%v %q %s; %s", err, kind, body, &log)
	}
}
