package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
)

const (
	// perTrader is what the platform lets a trader do in a second by default, and
	// traderBurst at once.
	perTrader   = 30
	traderBurst = 100
	// calmShare of what is admitted is the load before and after a flood.
	calmShare = 4
	// quick is when a refusal has to be there.
	quick = 20 * time.Millisecond
	// slice is what a recovery is told by.
	slice = time.Second
)

// flood is one way to offer too much.
type flood struct {
	name    string
	args    []string // of mbp serve
	traders int
}

// overload offers too much in two ways. In the first nobody has a limit but everybody
// together; in the second each trader has one.
func (o options) overload(ctx context.Context, h *house, note func(string, float64)) error {
	if err := giveWay(); err != nil {
		return err
	}
	none := []string{"--staff-rate", "0"}
	floods := []flood{
		{"all", append([]string{"--trader-rate", "0", "--admit-rate", strconv.Itoa(o.admit), "--admit-burst", strconv.Itoa(max(1, o.admit/10))}, none...), connections},
		{"each", append([]string{"--trader-rate", strconv.Itoa(perTrader), "--trader-burst", strconv.Itoa(traderBurst)}, none...), (o.admit + perTrader - 1) / perTrader},
	}
	for _, f := range floods {
		one := &house{bin: h.bin, dir: h.dir, name: h.name + "-" + f.name, stderr: h.stderr, args: f.args}
		if err := o.flood(ctx, one, f, func(what string, v float64) { note(f.name+"."+what, v) }); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return nil
}

// flood takes one way: calm, flood, calm again.
func (o options) flood(ctx context.Context, h *house, f flood, note func(string, float64)) (err error) {
	if err := h.start(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.stop()) }()
	if err := h.furnish(ctx, f.traders); err != nil {
		return err
	}
	l := newLoad(h, connections)
	defer l.close()
	calm, offered := o.admit/calmShare, o.admit*o.over
	if _, err := l.run(ctx, calm, min(time.Second, o.time)); err != nil { // connections are made, rings fill
		return err
	}
	stalls := watchStalls()
	before, err := l.run(ctx, calm, o.time/2)
	note("stall_ms", stalls())
	if err != nil {
		return err
	}
	busy, begin := h.processor(), time.Now()
	during, err := l.run(ctx, offered, o.time)
	if err != nil {
		return err
	}
	note("cores", (h.processor()-busy)/time.Since(begin).Seconds())
	after, err := l.run(ctx, calm, o.time)
	if err != nil {
		return err
	}
	base, t, end := count(before), count(during), count(after)
	seconds := o.time.Seconds()
	note("offered_rate", float64(len(during))/seconds)
	note("accepted_rate", float64(len(t.accepted))/seconds)
	note("refused_rate", float64(len(t.refused))/seconds)
	note("accepted_p50_ms", quantile(t.accepted, 0.5))
	note("accepted_p99_ms", quantile(t.accepted, 0.99))
	note("arrivals", float64(t.arrivals)/float64(len(during))) // below 1, the times of the others run until they were seen
	note("refused_due_max_ms", quantile(t.refused, 1))
	note("refused_seen_max_ms", quantile(t.seen, 1))
	note("refused_p50_ms", quantile(t.served, 0.5))
	note("refused_p99_ms", quantile(t.served, 0.99))
	note("refused_max_ms", quantile(t.served, 1))
	in := share(t.served, quick)
	note("refused_in_20ms", in)
	note("refused_late", math.Round((1-in)*float64(len(t.served))))
	note("right", 1-float64(t.silent+t.strange+base.strange+end.strange)/float64(len(during)))
	note("calm_p99_ms", quantile(base.accepted, 0.99))
	note("recovered_s", recovered(after, quantile(base.accepted, 0.99)).Seconds())
	return nil
}

// recovered is how long after a flood the first slice begins whose 99th percentile is
// that of the calm before, but for half as much again and a millisecond: less is no
// difference on a machine with others on it.
func recovered(after []answered, base float64) (at time.Duration) {
	slices.SortFunc(after, func(a, b answered) int { return cmp.Compare(a.at, b.at) })
	for ; len(after) > 0; at += slice {
		n := slices.IndexFunc(after, func(a answered) bool { return a.at >= at+slice })
		if n < 0 {
			n = len(after)
		}
		if t := count(after[:n]); len(t.accepted) > 0 && quantile(t.accepted, 0.99) <= 1.5*base+1 {
			return at
		}
		after = after[n:]
	}
	return at
}

// stallEvery is how often a stall is looked for.
const stallEvery = time.Millisecond

// watchStalls looks for times in which a goroutine that does nothing else was not let
// run, by this machine or by what else is on it, until it is asked for the 99th
// percentile of them in milliseconds.
func watchStalls() func() float64 {
	stop, done := make(chan struct{}), make(chan float64)
	go func() {
		var late []time.Duration
		for tick := time.Now(); ; {
			select {
			case <-stop:
				slices.Sort(late)
				done <- quantile(late, 0.99)
				return
			case <-time.After(stallEvery):
			}
			now := time.Now()
			late = append(late, now.Sub(tick)-stallEvery)
			tick = now
		}
	}()
	return func() float64 { close(stop); return <-done }
}
