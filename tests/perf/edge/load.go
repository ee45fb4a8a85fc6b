package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// connections of a load: what more would be sent at once waits its turn here, and
	// its time runs.
	connections = 128
	// maxWait bounds an answer; a server that is stuck ends the run.
	maxWait = 10 * time.Second
	// maxDue is how many requests may wait for a connection: seconds of the largest load.
	maxDue = 1 << 18
	// wake is how long the load sleeps at most, if no answer comes: so much later than it
	// was due a request may be sent.
	wake = time.Millisecond
)

// answered is one request's end.
type answered struct {
	at     time.Duration // when it was due, since the load began
	took   time.Duration // since it was due
	served time.Duration // since it was sent, if a connection was free when it was due, else since then
	status int
	retry  bool // the answer says when to come again
}

// load is a set of connections, each with the key of a trader.
//
// One thread has all of them, on an epoll of its own: it shares the processors with the
// server that it loads, and a goroutine for each connection would take twice as much of
// them.
type load struct {
	address string
	conns   []*conn
	poll    int // file descriptor of the epoll; 0: not made yet
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
		if c.fd != 0 {
			_ = unix.Close(c.fd) // it is idle
		}
	}
	if l.poll != 0 {
		_ = unix.Close(l.poll)
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

// dial makes the connections, once.
func (l *load) dial(ctx context.Context) (err error) {
	if l.poll != 0 {
		return nil
	}
	if l.poll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return err
	}
	for i, c := range l.conns {
		if err := c.dial(ctx, l.address); err != nil {
			return err
		}
		e := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}
		if err := unix.EpollCtl(l.poll, unix.EPOLL_CTL_ADD, c.fd, &e); err != nil {
			return err
		}
	}
	return nil
}

// run has requests due at a rate for so long, and returns how each one ended. It ends
// with an error if a connection breaks.
//
// A request for which no connection is free waits on account of the server, which has not
// answered the ones before, so its time runs: to leave that out would be what is called
// coordinated omission. That the load itself gets no processor in time, where it shares
// them with the server, is not the server's doing, as far as it had not sent the request.
func (l *load) run(ctx context.Context, rate int, length time.Duration) ([]answered, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := l.dial(ctx); err != nil {
		return nil, err
	}
	r := &running{load: l, every: time.Second / time.Duration(rate), length: length, begin: time.Now()}
	r.all = make([]answered, 0, int(length/r.every)+1)
	r.free = append(r.free, l.conns...)
	for r.due() < length || r.under > 0 || len(r.waiting) > 0 {
		if err := ctx.Err(); err != nil {
			return r.all, err
		}
		if err := r.send(); err != nil {
			return r.all, err
		}
		if err := r.receive(); err != nil {
			return r.all, err
		}
	}
	if len(r.all) == 0 {
		return nil, errors.New("no request was answered")
	}
	return r.all, nil
}

// running is a load that runs.
type running struct {
	*load
	every, length time.Duration
	begin         time.Time
	n             int             // requests that were due so far
	free          []*conn         // first in, first out, so that all traders come in turn
	waiting       []time.Duration // when requests were due for which no connection is free
	under         int             // requests under way
	looked        time.Duration   // for answers that are late
	events        [connections]unix.EpollEvent
	all           []answered
}

// due is when the next request is.
func (r *running) due() time.Duration { return time.Duration(r.n) * r.every }

// send sends what is due.
func (r *running) send() error {
	for {
		now := time.Since(r.begin)
		due := r.due() <= now && r.due() < r.length
		switch {
		case len(r.free) > 0 && len(r.waiting) > 0:
			if err := r.post(r.waiting[0], r.waiting[0]); err != nil {
				return err
			}
			r.waiting = r.waiting[1:]
		case len(r.free) > 0 && due:
			if err := r.post(r.due(), now); err != nil {
				return err
			}
			r.n++
		case due && len(r.waiting) == maxDue:
			return fmt.Errorf("%d requests wait for a connection", maxDue)
		case due:
			r.waiting = append(r.waiting, r.due())
			r.n++
		default:
			return nil
		}
	}
}

// post sends a request on the connection that has been free the longest.
func (r *running) post(at, from time.Duration) error {
	c := r.free[0]
	r.free = r.free[1:]
	r.under++
	c.at, c.from = at, from
	return c.send()
}

// receive takes the answers that are there, and waits for some if none is.
func (r *running) receive() error {
	n, err := unix.EpollWait(r.poll, r.events[:], int(wake/time.Millisecond))
	if err != nil && !errors.Is(err, unix.EINTR) {
		return err
	}
	for _, e := range r.events[:max(0, n)] {
		c := r.conns[e.Fd]
		done, err := c.receive()
		if err != nil {
			return err
		}
		if !done {
			continue
		}
		a, end := c.answer, time.Since(r.begin)
		a.at, a.took, a.served = c.at, end-c.at, end-c.from
		r.all = append(r.all, a)
		r.free = append(r.free, c)
		r.under--
	}
	return r.late()
}

// late fails if an answer is later than maxWait; it looks once a second.
func (r *running) late() error {
	now := time.Since(r.begin)
	if now-r.looked < time.Second {
		return nil
	}
	r.looked = now
	for _, c := range r.conns {
		if c.under && now-c.from > maxWait {
			return fmt.Errorf("no answer in %s", maxWait)
		}
	}
	return nil
}

// tally is what came of a load, by status.
type tally struct {
	accepted, refused []time.Duration // since they were due, sorted
	served            []time.Duration // of those refused, since they were sent; sorted
	silent            int             // refusals that do not say when to come again
	strange           int             // any other answer
}

func count(all []answered) (t tally) {
	for _, a := range all {
		switch a.status {
		case http.StatusCreated:
			t.accepted = append(t.accepted, a.took)
		case http.StatusTooManyRequests:
			t.refused, t.served = append(t.refused, a.took), append(t.served, a.served)
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
