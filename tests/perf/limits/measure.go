package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/mbp-market/mbp/tests/perf/bounds"
)

// measure is one line of a round: how a part is loaded.
type measure struct {
	name string
	part string // who is measured: raw, bare, decide, full

	submitters  int    // inside the part, or
	connections int    // of a closed loop over HTTP, or
	rate        int    // requests a second of an open loop
	path        string // of the request
	items       int    // orders of one request; 0: one that is no batch
}

// batchItems is what a request of measure e holds.
const batchItems = 100

// openRate is what the acceptance of the platform loads it with.
const openRate = 120

var measures = []measure{
	{name: "a.256", part: "raw", submitters: 256},
	{name: "d.256", part: "decide", submitters: 256},
	{name: "a.4096", part: "raw", submitters: 4096},
	{name: "d.4096", part: "decide", submitters: 4096},
	{name: "b.64", part: "bare", path: "/b", connections: 64},
	{name: "c.64", part: "full", path: orderPath, connections: 64},
	{name: "b2.64", part: "bare", path: "/b2", connections: 64},
	{name: "b.256", part: "bare", path: "/b", connections: 256},
	{name: "c.256", part: "full", path: orderPath, connections: 256},
	{name: "b2.256", part: "bare", path: "/b2", connections: 256},
	{name: "e.16", part: "full", path: batchPath, connections: 16, items: batchItems},
	{name: "b2.open", part: "bare", path: "/b2", rate: openRate},
	{name: "c.open", part: "full", path: orderPath, rate: openRate},
}

// settleMost is how long a load runs before it counts, unless a whole turn is
// shorter: connections are made, rings and sets fill.
const settleMost = 200 * time.Millisecond

// measure starts the parts and gives every measure its turn in every round.
func (o options) measure(ctx context.Context, stderr io.Writer) (_ bounds.Results, err error) {
	if err := os.MkdirAll(o.dir, 0o755); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(o.dir, "limits-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	parts := map[string]*part{}
	defer func() {
		for _, p := range parts {
			err = errors.Join(err, p.end())
		}
	}()
	got := bounds.Results{}
	for round := range o.rounds {
		for i := range measures {
			m := &measures[i]
			if !o.only.MatchString(m.name) {
				continue
			}
			p := parts[m.part]
			if p == nil {
				if p, err = startPart(ctx, m.part, dir, stderr); err != nil {
					return nil, fmt.Errorf("start %s: %w", m.part, err)
				}
				parts[m.part] = p
			}
			fmt.Fprintf(stderr, "round %d of %d: %-8s", round+1, o.rounds, m.name)
			if err := o.turn(ctx, m, p, got); err != nil {
				return nil, fmt.Errorf("%s: %w", m.name, err)
			}
			fmt.Fprintf(stderr, "%12.0f/s %8.2f µs of processor\n", last(got[m.name+".rate"]), last(got[m.name+".cpu_us"]))
		}
	}
	return got, nil
}

func last(v []float64) float64 { return v[len(v)-1] }

// turn takes one measure once. cpu_us is what the part used for one of them.
func (o options) turn(ctx context.Context, m *measure, p *part, got bounds.Results) error {
	note := func(what string, v float64) { got[m.name+"."+what] = append(got[m.name+"."+what], v) }
	settle := min(settleMost, o.each)
	if m.submitters > 0 {
		if _, err := p.ask(order{m.submitters, settle}); err != nil {
			return err
		}
		a, err := p.ask(order{m.submitters, o.each})
		if err != nil {
			return err
		}
		note("rate", float64(a.Count)/a.Seconds)
		note("cpu_us", a.Processor/float64(a.Count)*1e6)
		return nil
	}
	l := newLoad(m, p.hello)
	defer l.close()
	if _, err := l.run(ctx, settle); err != nil {
		return err
	}
	before, err := p.ask(order{})
	if err != nil {
		return err
	}
	length := o.each
	if m.rate > 0 {
		length = o.open
	}
	s, err := l.run(ctx, length)
	if err != nil {
		return err
	}
	after, err := p.ask(order{})
	if err != nil {
		return err
	}
	n := float64(s.requests * max(1, m.items))
	note("rate", n/s.took.Seconds())
	note("cpu_us", (after.Total-before.Total)/n*1e6)
	note("p50_ms", s.quantile(0.50))
	note("p99_ms", s.quantile(0.99))
	return nil
}
