package sockets_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mbp-market/mbp/engine/httpapi/sockets"
)

// pipes is a listener that accepts one end of each of its pipes.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) { return <-p, nil }
func (p pipes) Close() error              { return nil }
func (p pipes) Addr() net.Addr            { return &net.TCPAddr{} }

// told counts how often a deadline is set.
type told struct {
	net.Conn
	sets atomic.Int64
}

func (c *told) SetReadDeadline(t time.Time) error  { c.sets.Add(1); return c.Conn.SetReadDeadline(t) }
func (c *told) SetWriteDeadline(t time.Time) error { c.sets.Add(1); return c.Conn.SetWriteDeadline(t) }

// limited returns an end of a pipe as a listener of this package gives it out, what it
// lies on, and the pipe's other end.
func limited(t *testing.T) (net.Conn, *told, net.Conn) {
	t.Helper()
	near, far := net.Pipe()
	below := &told{Conn: near}
	l := make(pipes, 1)
	l <- below
	c, err := sockets.Limit(l, 1).Accept()
	if err != nil {
		t.Fatal(err)
	}
	return c, below, far
}

// story does the same to a connection for the same seed, and tells what came of it and
// when. Deadlines come between the milliseconds of everything else.
func story(seed uint64, c, far net.Conn) []string {
	var lines []string
	r := rand.New(rand.NewPCG(seed, 1))
	begin := time.Now()
	var mu sync.Mutex
	note := func(what string, n int, err error) {
		end := "done"
		if err != nil {
			end = map[bool]string{true: "late", false: err.Error()}[errors.Is(err, os.ErrDeadlineExceeded)]
		}
		mu.Lock()
		defer mu.Unlock()
		lines = append(lines, fmt.Sprintf("%s: %s of %d, %s", time.Since(begin), what, n, end))
	}
	set := func(what func(time.Time) error) {
		switch at := (time.Time{}); r.IntN(4) {
		case 0:
			_ = what(at)
		case 1:
			_ = what(time.Unix(1, 0))
		default:
			_ = what(time.Now().Add(time.Duration(r.IntN(12))*time.Millisecond + time.Microsecond))
		}
	}
	var reading, writing atomic.Bool // one at a time
	for range 200 {
		switch r.IntN(8) {
		case 0, 1:
			set(c.SetReadDeadline)
		case 2:
			set(c.SetWriteDeadline)
		case 3:
			set(c.SetDeadline)
		case 4:
			_ = far.SetWriteDeadline(time.Now().Add(100 * time.Microsecond))
			_, _ = far.Write([]byte("x")) // if nobody reads, it is lost
		case 5:
			_ = far.SetReadDeadline(time.Now().Add(100 * time.Microsecond))
			_, _ = io.ReadFull(far, make([]byte, 3)) // a part of what is written
		case 6:
			if reading.CompareAndSwap(false, true) {
				go func() { n, err := c.Read(make([]byte, 2)); note("read", n, err); reading.Store(false) }()
			}
		case 7:
			if writing.CompareAndSwap(false, true) {
				go func() { n, err := c.Write([]byte("12345678")); note("write", n, err); writing.Store(false) }()
			}
		}
		synctest.Wait()
		time.Sleep(time.Duration(1+r.IntN(4)) * time.Millisecond)
	}
	c.Close()
	synctest.Wait()
	slices.Sort(lines) // two at one time have no order
	return lines
}

// TestDeadlines: whatever is set and whenever, reads and writes end as those of the
// connection below would, and when they would.
func TestDeadlines(t *testing.T) {
	late := 0
	for seed := range uint64(300) {
		synctest.Test(t, func(t *testing.T) {
			near, far := net.Pipe()
			want := story(seed, near, far)
			c, _, other := limited(t)
			got := story(seed, c, other)
			if !slices.Equal(got, want) {
				t.Fatalf("seed %d:\n got %q\nwant %q", seed, got, want)
			}
			late += len(slices.DeleteFunc(want, func(s string) bool { return s[len(s)-4:] != "late" }))
		})
	}
	if late < 1000 {
		t.Errorf("only %d of them were late: it shows nothing", late)
	}
}

// TestDeadlinesAreCheap: those of requests that come and go, as net/http sets them, hardly
// ever reach the connection below.
func TestDeadlinesAreCheap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, below, far := limited(t)
		defer c.Close()
		const requests = 1000
		for i := range requests {
			_ = c.SetReadDeadline(time.Now().Add(time.Minute)) // until it begins
			go far.Write([]byte("x"))
			if _, err := c.Read(make([]byte, 1)); err != nil {
				t.Fatal(i, err)
			}
			_ = c.SetReadDeadline(time.Now().Add(5 * time.Second)) // until its header is there
			_ = c.SetWriteDeadline(time.Now().Add(30 * time.Second))
			_ = c.SetReadDeadline(time.Time{})     // for the read beside it
			_ = c.SetReadDeadline(time.Unix(1, 0)) // which ends before it has begun
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatal(i, err)
			}
			_ = c.SetReadDeadline(time.Time{})
			go far.Read(make([]byte, 1))
			if _, err := c.Write([]byte("y")); err != nil {
				t.Fatal(i, err)
			}
			time.Sleep(time.Millisecond)
		}
		if n := below.sets.Load(); n > 10 {
			t.Errorf("%d requests set %d deadlines", requests, n)
		}
	})
}
