package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mbp-market/mbp/engine"
)

// refusing is a load against a server that refuses everything, whose kernel has begun to
// tell times: it does so a moment after the first socket asks for them.
func refusing(t *testing.T, connections int) *load {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{ReadHeaderTimeout: maxWait, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "come again", http.StatusTooManyRequests)
	})}
	done := make(chan error)
	go func() { done <- s.Serve(listener) }()
	l := newLoad(&house{address: listener.Addr().String(), keys: []string{"k"}, markets: make([]engine.MarketID, 1)}, connections)
	t.Cleanup(func() {
		l.close()
		_ = s.Close()
		<-done
	})
	ctx, cancel := context.WithTimeout(t.Context(), maxWait)
	defer cancel()
	for {
		a, err := l.conns[0].ask(ctx, l.address, time.Now(), due{free: true})
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			t.Fatalf("no answer with a time: %v", err)
		}
		if a.arrived {
			return l
		}
	}
}

// late is a reader that looks at an answer only after it has lain in the socket for long
// enough.
type late struct {
	*wire
	lay   time.Duration
	there time.Time // when it was seen to lie there
}

func (r *late) Read(p []byte) (int, error) {
	var peeked error
	if err := r.raw.Read(func(fd uintptr) bool {
		_, _, peeked = unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_PEEK)
		return peeked != unix.EAGAIN
	}); err != nil || peeked != nil {
		return 0, errors.Join(err, peeked)
	}
	r.there = time.Now()
	for time.Since(r.there) < r.lay {
	}
	return r.wire.Read(p)
}

func TestLookedAtLate(t *testing.T) {
	l := refusing(t, 1)
	c := l.conns[0]
	slow := &late{wire: c.net, lay: 30 * time.Millisecond}
	c.in = bufio.NewReader(slow)
	begin := time.Now()
	a, err := c.ask(t.Context(), l.address, begin, due{free: true})
	if err != nil {
		t.Fatal(err)
	}
	if !a.arrived || a.status != http.StatusTooManyRequests || !a.retry {
		t.Fatalf("%+v", a)
	}
	if a.seen < slow.lay || a.took < a.seen {
		t.Errorf("looked at after %s, due %s before", a.seen, a.took)
	}
	if there := slow.there.Sub(begin); a.served <= 0 || a.served > there {
		t.Errorf("it arrived after %s, and lay there after %s", a.served, there)
	}
}

// TestEachArrivalIsTold has a load of many connections: the kernel tells of each answer
// when it came, and that is never after it was seen.
func TestEachArrivalIsTold(t *testing.T) {
	const n, rate = 16, 2000
	l := refusing(t, n)
	all, err := l.run(t.Context(), rate, 100*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if c := count(all); c.arrivals != len(all) || len(c.seen) != rate/10 {
		t.Errorf("%d of %d answers with a time, %d refused", c.arrivals, len(all), len(c.seen))
	}
	for _, a := range all {
		if a.served <= 0 || a.served > a.seen || a.seen > a.took {
			t.Fatalf("%+v", a)
		}
	}
}

// TestWireEnds has a connection that the other side closes, and one with a deadline that
// is over.
func TestWireEnds(t *testing.T) {
	l := refusing(t, 1)
	w := l.conns[0].net
	if err := w.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	var timeout net.Error
	if _, err := w.Read(make([]byte, 1)); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("after the deadline: %v", err)
	}
	if err := errors.Join(w.SetReadDeadline(time.Time{}), w.CloseWrite()); err != nil {
		t.Fatal(err)
	}
	if n, err := w.Read(make([]byte, 1)); n != 0 || err != io.EOF { //nolint:errorlint // a reader returns it as it is
		t.Errorf("at the end: %d, %v", n, err)
	}
}

func TestStampedWithout(t *testing.T) {
	for _, c := range [][]byte{nil, make([]byte, 8), make([]byte, 64), unix.UnixRights(1)} {
		if at := stamped(c); !at.IsZero() {
			t.Errorf("%v is a time: %s", c, at)
		}
	}
}
