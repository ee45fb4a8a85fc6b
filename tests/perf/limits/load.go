package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	orderPath = "/v1/orders"
	batchPath = "/v1/orders/batches"
	// maxLate bounds one answer; a server that is stuck ends the run.
	maxLate = 10 * time.Second
	// openConnections are for the requests of an open loop that are under way at
	// once: more than half a second's.
	openConnections = 64
)

// load is a set of keep-alive connections, each with an account of its own.
type load struct {
	m     *measure
	hello hello
	conns []*conn
}

// conn is a connection, used by one goroutine at a time. It buys a share and
// sells it, in turn, so a run moves no price and ends nobody's credits.
type conn struct {
	net   net.Conn
	in    *bufio.Reader
	head  [2][]byte // of the request, up to the idempotency key
	tail  [2][]byte // after it
	out   []byte
	name  string
	count int
}

func newLoad(m *measure, h hello) *load {
	n := m.connections
	if m.rate > 0 {
		n = openConnections
	}
	l := &load{m: m, hello: h}
	stamp := strconv.FormatInt(time.Now().UnixNano(), 36) // keys are new in every run
	for i := range n {
		c := &conn{name: stamp + "-" + strconv.Itoa(i) + "-"}
		for turn := range 2 {
			body := body(m.items, turn)
			c.head[turn] = fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nIdempotency-Key: ",
				m.path, h.Address, h.Keys[i%len(h.Keys)])
			c.tail[turn] = fmt.Appendf(nil, "\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		}
		l.conns = append(l.conns, c)
	}
	return l
}

// body is a request's: orders that buy one share, or sell it.
func body(items, turn int) string {
	one := func(turn int) string {
		return `"market":"mkt_1","outcome":"YES","side":"` + [2]string{"buy", "sell"}[turn%2] + `","tif":"ioc","shares_micros":1000000}`
	}
	if items == 0 {
		return "{" + one(turn)
	}
	var b strings.Builder
	for i := range items {
		b.WriteString(`,{"type":"place_order",` + one(i))
	}
	return `{"items":[` + b.String()[1:] + "]}"
}

func (l *load) close() {
	for _, c := range l.conns {
		if c.net != nil {
			_ = c.net.Close() // it is idle
		}
	}
}

// sample is what a run saw.
type sample struct {
	requests int
	took     time.Duration
	times    []time.Duration // of the requests, sorted
}

// quantile returns a quantile of the times in milliseconds.
func (s *sample) quantile(q float64) float64 {
	if len(s.times) == 0 {
		return 0
	}
	return float64(s.times[min(len(s.times)-1, int(q*float64(len(s.times))))]) / 1e6
}

// run loads for so long; any answer but a success ends it.
func (l *load) run(ctx context.Context, length time.Duration) (sample, error) {
	times := make([][]time.Duration, len(l.conns))
	errs := make([]error, len(l.conns))
	begin := time.Now()
	end := begin.Add(length)
	var due chan time.Time
	if l.m.rate > 0 {
		due = make(chan time.Time, openConnections)
	}
	var wg sync.WaitGroup
	for i, c := range l.conns {
		wg.Go(func() {
			if due != nil {
				times[i], errs[i] = c.open(ctx, l.hello.Address, due)
			} else {
				times[i], errs[i] = c.closed(ctx, l.hello.Address, end)
			}
		})
	}
	if due != nil {
		if err := pace(ctx, due, begin, length, l.m.rate); err != nil {
			errs = append(errs, err)
		}
		close(due)
	}
	wg.Wait()
	s := sample{took: time.Since(begin)}
	for _, t := range times {
		s.times = append(s.times, t...)
	}
	s.requests = len(s.times)
	slices.SortFunc(s.times, func(a, b time.Duration) int { return cmp.Compare(a, b) })
	err := errors.Join(errs...)
	if err == nil && s.requests == 0 {
		err = errors.New("no request was answered")
	}
	return s, err
}

// pace says when each request of an open loop is due.
func pace(ctx context.Context, due chan<- time.Time, begin time.Time, length time.Duration, rate int) error {
	every := time.Second / time.Duration(rate)
	for at := every; at < length; at += every {
		time.Sleep(time.Until(begin.Add(at)))
		if err := ctx.Err(); err != nil {
			return err
		}
		select {
		case due <- begin.Add(at):
		default:
			return fmt.Errorf("%d requests wait for their answers", openConnections)
		}
	}
	return nil
}

func (c *conn) closed(ctx context.Context, address string, end time.Time) (times []time.Duration, err error) {
	for begin := time.Now(); begin.Before(end) && ctx.Err() == nil; {
		if err := c.exchange(ctx, address); err != nil {
			return times, err
		}
		now := time.Now()
		times = append(times, now.Sub(begin))
		begin = now
	}
	return times, ctx.Err()
}

func (c *conn) open(ctx context.Context, address string, due <-chan time.Time) (times []time.Duration, err error) {
	for at := range due {
		if err := c.exchange(ctx, address); err != nil {
			return times, err
		}
		times = append(times, time.Since(at))
	}
	return times, nil
}

// exchange sends the next request and reads its answer.
func (c *conn) exchange(ctx context.Context, address string) error {
	if c.net == nil {
		var d net.Dialer
		n, err := d.DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		c.net, c.in = n, bufio.NewReaderSize(n, 32<<10)
	}
	if c.count%64 == 0 { // to set a deadline costs as much as to parse an answer
		if err := c.net.SetDeadline(time.Now().Add(maxLate)); err != nil {
			return err
		}
	}
	turn := c.count % 2
	c.out = append(append(c.out[:0], c.head[turn]...), c.name...)
	c.out = append(strconv.AppendInt(c.out, int64(c.count), 10), c.tail[turn]...)
	c.count++
	if _, err := c.net.Write(c.out); err != nil {
		return err
	}
	return c.answer()
}

// answer reads an answer and refuses whatever is no success.
func (c *conn) answer() error {
	status, err := c.in.ReadSlice('\n')
	if err != nil {
		return fmt.Errorf("read an answer: %w", err)
	}
	ok := bytes.HasPrefix(status, []byte("HTTP/1.1 201 "))
	problem := string(status)
	length := -1
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return fmt.Errorf("read an answer: %w", err)
		}
		if len(line) <= 2 {
			break
		}
		if v, is := bytes.CutPrefix(line, []byte("Content-Length: ")); is {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(v))); err != nil {
				return err
			}
		}
	}
	if length < 0 {
		return errors.New("an answer without a length")
	}
	if !ok {
		b, _ := io.ReadAll(io.LimitReader(c.in, int64(min(length, 1000)))) // the answer is what is told
		return fmt.Errorf("refused: %s%s", problem, b)
	}
	_, err = c.in.Discard(length)
	return err
}
