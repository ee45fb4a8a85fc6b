package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mbp-market/mbp/engine"
)

const (
	// connections of a load: what more would be sent at once waits its turn here, and
	// its time runs.
	connections = 128
	// maxWait bounds an answer; a server that is stuck ends the run.
	maxWait = 10 * time.Second
	// maxDue is how many requests may wait for a connection: seconds of the largest load.
	maxDue = 1 << 18
)

// due is a request to send.
type due struct {
	at   time.Duration // since the load began
	free bool          // a connection was free for it by then
}

// answered is one request's end.
type answered struct {
	at      time.Duration // when it was due, since the load began
	took    time.Duration // until it was seen, since it was due
	seen    time.Duration // until it was seen, since it was sent, if a connection was free when it was due, else since then
	served  time.Duration // the same until it had arrived
	arrived bool          // the kernel told when that was; else it is when it was seen
	status  int
	retry   bool // the answer says when to come again
}

// conn is a keep-alive connection, used by one goroutine at a time. It buys a share
// and, once it has it, sells it, so that a load moves no price and ends nobody's
// credits.
type conn struct {
	net   *wire
	in    *bufio.Reader
	head  []byte // of the request, up to the idempotency key
	tail  [2][]byte
	out   []byte
	name  string
	count int
	turn  int

	market engine.MarketID
	trader int   // whose key it has
	placed int64 // orders that were decided
}

// load is a set of connections, each with the key of a trader.
type load struct {
	address string
	conns   []*conn
}

func newLoad(h *house, connections int) *load {
	l := &load{address: h.address}
	stamp := strconv.FormatInt(time.Now().UnixNano(), 36) // keys are new in every run
	for i := range connections {
		c := &conn{name: stamp + "-" + strconv.Itoa(i) + "-", market: h.markets[i%len(h.markets)], trader: i % len(h.keys)}
		c.head = fmt.Appendf(nil, "POST /v1/orders HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nIdempotency-Key: ", h.address, h.keys[c.trader])
		for turn, side := range []string{"buy", "sell"} {
			body := fmt.Sprintf(`{"market":%q,"outcome":"YES","side":%q,"tif":"ioc","shares_micros":1000000}`, c.market, side)
			c.tail[turn] = fmt.Appendf(nil, "\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		}
		l.conns = append(l.conns, c)
	}
	return l
}

func (l *load) close() {
	for _, c := range l.conns {
		if c.net != nil {
			_ = c.net.Close() // it is idle
		}
	}
}

// placed is how many orders were decided of some connections.
func (l *load) placed(of func(*conn) bool) (n int64) {
	for _, c := range l.conns {
		if of(c) {
			n += c.placed
		}
	}
	return n
}

// run has requests due at a rate for so long, and returns how each one ended. It ends
// with an error if a connection breaks.
//
// A request for which no connection is free waits on account of the server, which has not
// answered the ones before, so its time runs: to leave that out would be what is called
// coordinated omission. That the load itself gets no processor in time, where it shares
// them with the server, is not the server's doing: neither before it sends a request for
// which a connection is free, nor once the answer lies in its socket. What served tells is
// without both, what took tells is with both.
func (l *load) run(ctx context.Context, rate int, length time.Duration) ([]answered, error) {
	requests := make(chan due, maxDue)
	var pending atomic.Int64 // requests that are due and not answered
	all := make([][]answered, len(l.conns))
	errs := make([]error, len(l.conns)+1)
	begin := time.Now()
	var wg sync.WaitGroup
	for i, c := range l.conns {
		wg.Go(func() {
			for r := range requests {
				if errs[i] != nil {
					continue
				}
				var a answered
				if a, errs[i] = c.ask(ctx, l.address, begin, r); errs[i] == nil {
					all[i] = append(all[i], a)
				}
				pending.Add(-1)
			}
		})
	}
	errs[len(l.conns)] = pace(ctx, begin, length, rate, func(at time.Duration) bool {
		select {
		case requests <- due{at, int(pending.Add(1)) <= len(l.conns)}:
			return true
		default:
			return false
		}
	})
	close(requests)
	wg.Wait()
	out := slices.Concat(all...)
	err := errors.Join(errs...)
	if err == nil && len(out) == 0 {
		err = errors.New("no request was answered")
	}
	return out, err
}

// pace says when each request is due.
func pace(ctx context.Context, begin time.Time, length time.Duration, rate int, send func(at time.Duration) bool) error {
	for n := 0; ; {
		at := time.Duration(n) * time.Second / time.Duration(rate)
		if at >= length {
			return nil
		}
		if wait := time.Until(begin.Add(at)); wait > 0 {
			time.Sleep(wait)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		for now := time.Since(begin); at <= now && at < length; at = time.Duration(n) * time.Second / time.Duration(rate) {
			if !send(at) {
				return fmt.Errorf("%d requests wait for a connection", maxDue)
			}
			n++
		}
	}
}

// ask sends the next request and takes the times of its answer.
func (c *conn) ask(ctx context.Context, address string, begin time.Time, r due) (answered, error) {
	sent := time.Now()
	from := r.at
	if r.free {
		from = sent.Sub(begin)
	}
	a, err := c.exchange(ctx, address)
	if err != nil {
		return a, err
	}
	now := time.Now()
	lay, known := unseen(sent, now, c.net.arrived())
	end := now.Sub(begin)
	a.at, a.took, a.seen, a.served, a.arrived = r.at, end-r.at, end-from, end-from-lay, known
	return a, nil
}

// unseen is how long an answer to a request lay in the socket until it was seen, and
// whether that is known. The kernel tells the arrival by the wall clock, so this one
// difference is of wall times. A clock that was set meanwhile is noticed when it puts the
// arrival before the request or after the look at it; the time then runs until the look.
func unseen(sent, seen, arrived time.Time) (time.Duration, bool) {
	lay := seen.Sub(arrived) // arrived has no monotonic reading, so neither counts
	if arrived.IsZero() || lay < 0 || lay > seen.Sub(sent) {
		return 0, false
	}
	return lay, true
}

// exchange sends the next request and reads its answer.
func (c *conn) exchange(ctx context.Context, address string) (answered, error) {
	if c.net == nil {
		var d net.Dialer
		n, err := d.DialContext(ctx, "tcp", address)
		if err != nil {
			return answered{}, err
		}
		if c.net, err = newWire(n.(*net.TCPConn)); err != nil { // "tcp" dials no other
			return answered{}, errors.Join(err, n.Close())
		}
		c.in = bufio.NewReaderSize(c.net, 8<<10)
	}
	if c.count%8 == 0 { // to set a deadline costs as much as to parse an answer
		if err := c.net.SetDeadline(time.Now().Add(maxWait)); err != nil {
			return answered{}, err
		}
	}
	c.out = append(append(c.out[:0], c.head...), c.name...)
	c.out = append(strconv.AppendInt(c.out, int64(c.count), 10), c.tail[c.turn]...)
	c.count++
	if _, err := c.net.Write(c.out); err != nil {
		return answered{}, err
	}
	a, err := c.answer()
	if a.status == http.StatusCreated {
		c.turn ^= 1
		c.placed++
	}
	return a, err
}

// answer reads an answer.
func (c *conn) answer() (a answered, err error) {
	status, err := c.in.ReadSlice('\n')
	if err != nil {
		return a, fmt.Errorf("read an answer: %w", err)
	}
	if f := bytes.Fields(status); len(f) > 1 {
		a.status, _ = strconv.Atoi(string(f[1]))
	}
	length := -1
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return a, fmt.Errorf("read an answer: %w", err)
		}
		if len(line) <= 2 {
			break
		}
		if v, is := bytes.CutPrefix(line, []byte("Content-Length: ")); is {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(v))); err != nil {
				return a, err
			}
		}
		a.retry = a.retry || bytes.HasPrefix(line, []byte("Retry-After: "))
	}
	if length < 0 {
		return a, errors.New("an answer without a length")
	}
	_, err = c.in.Discard(length)
	return a, err
}

// tally is what came of a load, by status.
type tally struct {
	accepted, refused []time.Duration // since they were due, sorted
	served, seen      []time.Duration // of those refused, since they were sent, until they had arrived and until they were seen; sorted
	arrivals          int             // answers whose arrival the kernel told
	silent            int             // refusals that do not say when to come again
	strange           int             // any other answer
}

func count(all []answered) (t tally) {
	for _, a := range all {
		if a.arrived {
			t.arrivals++
		}
		switch a.status {
		case http.StatusCreated:
			t.accepted = append(t.accepted, a.took)
		case http.StatusTooManyRequests:
			t.refused, t.served, t.seen = append(t.refused, a.took), append(t.served, a.served), append(t.seen, a.seen)
			if !a.retry {
				t.silent++
			}
		default:
			t.strange++
		}
	}
	slices.Sort(t.accepted)
	slices.Sort(t.refused)
	slices.Sort(t.served)
	slices.Sort(t.seen)
	return t
}

// quantile of sorted times, in milliseconds.
func quantile(v []time.Duration, q float64) float64 {
	if len(v) == 0 {
		return 0
	}
	return float64(v[min(len(v)-1, int(q*float64(len(v))))]) / 1e6
}

// share is how much of the sorted times lies within a bound.
func share(v []time.Duration, within time.Duration) float64 {
	if len(v) == 0 {
		return 0
	}
	n, _ := slices.BinarySearchFunc(v, within, func(a, b time.Duration) int { return cmp.Compare(a, b+1) })
	return float64(n) / float64(len(v))
}
