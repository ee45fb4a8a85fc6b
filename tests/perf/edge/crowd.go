package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// defaultCrowd is how many subscribers there are.
	defaultCrowd = 2000
	// perKey is how many streams the server gives one key.
	perKey = 8
	// crowdRate is the load, in orders a second: what the acceptance of the platform
	// loads it with.
	crowdRate = 120
	// burstRate and burstTime are a burst: as many orders as come in half a minute of the
	// load, within seconds.
	burstRate = 600
	burstTime = 6 * time.Second
	// crowdMarkets are the markets where each subscriber follows one market or account.
	crowdMarkets = 20
	// joinTogether is how many subscribe at once.
	joinTogether = 16
)

// member is one subscriber, that only looks at how late events come.
type member struct {
	path string
	key  string
	of   func(*conn) bool // whose orders it is told of

	line *stream
	read atomic.Int64  // decisions that were told
	last atomic.Uint64 // the last one

	mu   sync.Mutex
	late []time.Duration // guarded by mu
	err  error           // of its end; guarded by mu
}

// take returns how late everything came since the last time, and what has ended it.
func (m *member) take() ([]time.Duration, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	late := m.late
	m.late = nil
	return late, m.err
}

func (m *member) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = err
}

func (m *member) ended() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.err != nil
}

// crowd measures what subscribers cost, and how late they are told: all of them of
// everything, or each of one market or one account.
func (o options) crowd(ctx context.Context, h *house, apart bool, note func(string, float64)) (err error) {
	n := o.subscribers
	if n == 0 {
		n = defaultCrowd
	}
	h.args = []string{"--trader-rate", "0", "--staff-rate", "0", "--read-rate", "0",
		"--max-streams", strconv.Itoa(n + perKey), "--max-connections", strconv.Itoa(2*n + 2*connections)}
	if apart {
		h.many = crowdMarkets
	}
	if err := h.start(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.stop()) }()
	if err := h.furnish(ctx, max(connections, (n+perKey-1)/perKey)); err != nil {
		return err
	}
	l := newLoad(h, connections)
	defer l.close()
	stalls := watchStalls()
	_, err = l.run(ctx, crowdRate, min(3*time.Second, o.time)) // rings and caches fill
	note("stall_ms", stalls())
	if err != nil {
		return err
	}
	alone, err := h.memory()
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	all, err := h.gather(ctx, n, apart, &wg)
	defer func() {
		for _, m := range all {
			if m.line != nil {
				m.line.close()
			}
		}
		wg.Wait()
	}()
	if err != nil {
		return err
	}
	each := func(bytes float64) float64 { return (bytes - alone) / float64(n) / 1024 }
	idle, err := h.memory()
	if err != nil {
		return err
	}
	note("subscribers", float64(n))
	note("alone_mib", alone/(1<<20))
	note("idle_kib", each(idle))
	for _, p := range []struct {
		name   string
		rate   int
		length time.Duration
	}{{"load", crowdRate, o.time}, {"burst", burstRate, min(burstTime, o.time)}} {
		s, err := h.tell(ctx, l, all, p.rate, p.length)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		note(p.name+"_kib", each(s.peak))
		note(p.name+"_p50_ms", quantile(s.late, 0.5))
		note(p.name+"_p99_ms", quantile(s.late, 0.99))
		note(p.name+"_told", s.told)
		note(p.name+"_due", s.due)
		note(p.name+"_cores", s.cores)
		note(p.name+"_ended", float64(s.ended))
	}
	note("dropped", h.counter(ctx, "http_streams_dropped_total"))
	return nil
}

// member is subscriber number i: of everything, or, apart, of a market or an account in
// turn.
func (h *house) member(i int, apart bool) *member {
	m := &member{path: everything, key: h.keys[i/perKey], of: func(*conn) bool { return true }}
	if !apart {
		return m
	}
	market, trader := h.markets[i/2%len(h.markets)], i/perKey
	if i%2 == 0 {
		m.path, m.of = ofMarket(market), func(c *conn) bool { return c.market == market }
	} else {
		m.path, m.of = ofAccount(h.accounts[trader]), func(c *conn) bool { return c.trader == trader }
	}
	return m
}

// gather opens the streams, and returns when each has had its snapshot.
func (h *house) gather(ctx context.Context, n int, apart bool, wg *sync.WaitGroup) ([]*member, error) {
	all := make([]*member, n)
	for i := range all {
		all[i] = h.member(i, apart)
	}
	var errs [joinTogether]error
	var join sync.WaitGroup
	for j := range joinTogether {
		join.Go(func() {
			for i := j; i < n && errs[j] == nil; i += joinTogether {
				m := all[i]
				if m.line, errs[j] = subscribe(ctx, h.address, m.path, m.key, 0, 0); errs[j] == nil {
					wg.Go(m.follow)
				}
			}
		})
	}
	join.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		return all, err
	}
	return all, until(ctx, all, func(m *member) bool { return m.last.Load() > 0 })
}

// until waits until something holds for everybody.
func until(ctx context.Context, all []*member, holds func(*member) bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for i, m := range all {
		for !holds(m) {
			select {
			case <-ctx.Done():
				return fmt.Errorf("subscriber %d of %d was told of %d decisions, the last one %d", i, len(all), m.read.Load(), m.last.Load())
			case <-time.After(time.Millisecond):
			}
		}
	}
	return nil
}

// told is what came of a load.
type told struct {
	late  []time.Duration // sorted
	peak  float64         // most bytes of the server
	told  float64         // share of the subscribers that were told everything
	due   float64         // decisions that one is told of, on average
	cores float64
	ended int // subscribers that have no stream any more
}

// tell loads the server, and looks at what everybody was told.
func (h *house) tell(ctx context.Context, l *load, all []*member, rate int, length time.Duration) (t told, err error) {
	for _, m := range all {
		m.read.Store(0)
	}
	for _, c := range l.conns {
		c.placed = 0
	}
	stop, peak := make(chan struct{}), make(chan float64)
	go func() {
		most := 0.0
		for {
			if b, err := h.memory(); err == nil {
				most = max(most, b)
			}
			select {
			case <-stop:
				peak <- most
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	busy, begin := h.processor(), time.Now()
	got, err := l.run(ctx, rate, length)
	if err == nil {
		t.cores = (h.processor() - busy) / time.Since(begin).Seconds()
		if placed, accepted := l.placed(func(*conn) bool { return true }), int64(len(count(got).accepted)); placed != accepted {
			return t, fmt.Errorf("%d orders were placed, %d accepted", placed, accepted)
		}
		err = until(ctx, all, func(m *member) bool { return m.read.Load() >= l.placed(m.of) || m.ended() })
		short, due := 0, int64(0)
		for _, m := range all {
			placed := l.placed(m.of)
			late, ended := m.take()
			t.late = append(t.late, late...)
			if ended != nil { // the server found it too slow, or is gone
				t.ended++
			}
			if n := m.read.Load(); n > placed {
				err = errors.Join(err, fmt.Errorf("somebody was told of %d decisions, there were %d", n, placed))
			} else if n < placed {
				short++
			}
			due += placed
		}
		t.due, t.told = float64(due)/float64(len(all)), 1-float64(short)/float64(len(all))
	}
	close(stop)
	t.peak = <-peak
	slices.Sort(t.late)
	return t, err
}

// follow reads the stream to its end.
func (m *member) follow() {
	in := bufio.NewReaderSize(m.line.body, 4<<10)
	quote, long := false, false
	for {
		line, err := in.ReadSlice('\n')
		if err == bufio.ErrBufferFull { //nolint:errorlint // ReadSlice returns it as it is
			long = true // a snapshot; its end is no line of its own
			continue
		}
		if err != nil {
			m.fail(err)
			return
		}
		if long {
			long = false
			continue
		}
		switch {
		case bytes.HasPrefix(line, []byte("id: ")):
			n, err := strconv.ParseUint(string(bytes.TrimSpace(line[4:])), 10, 64)
			if err != nil {
				m.fail(&fault{fmt.Sprintf("an event has the id %q", line)})
				return
			}
			m.last.Store(n)
		case bytes.HasPrefix(line, []byte("event: ")):
			quote = bytes.HasPrefix(line[7:], []byte("quote")) || bytes.HasPrefix(line[7:], []byte("account"))
		case quote && bytes.HasPrefix(line, []byte("data: ")):
			if late, ok := lateness(line, time.Now()); ok {
				m.mu.Lock()
				m.late = append(m.late, late)
				m.mu.Unlock()
			}
			m.read.Add(1)
		}
	}
}

// lateness is how long ago the decision was made that a line of data ends with:
// "decided_at":"…:05:07.123456Z"} and a line feed.
func lateness(line []byte, now time.Time) (time.Duration, bool) {
	const tail = len("05:07.123456Z\"}\n")
	if len(line) < tail {
		return 0, false
	}
	at := time.Duration(0)
	for i, unit := range []time.Duration{10 * time.Minute, time.Minute, 0, 10 * time.Second, time.Second, 0, 100 * time.Millisecond, 10 * time.Millisecond, time.Millisecond, 100 * time.Microsecond, 10 * time.Microsecond, time.Microsecond} {
		c := line[len(line)-tail+i]
		if unit != 0 && (c < '0' || c > '9') {
			return 0, false
		}
		at += time.Duration(c-'0') * unit
	}
	t := now.UTC()
	hour := time.Duration(t.Minute())*time.Minute + time.Duration(t.Second())*time.Second + time.Duration(t.Nanosecond())
	return (hour - at + time.Hour) % time.Hour, true
}
