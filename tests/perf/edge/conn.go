package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mbp-market/mbp/engine"
)

// maxAnswer bounds an answer, in bytes: a decision has some hundreds.
const maxAnswer = 64 << 10

// conn is a keep-alive connection, used by one thread. It buys a share and, once it has
// it, sells it, so that a load moves no price and ends nobody's credits.
type conn struct {
	fd    int    // not blocking; 0: not connected yet
	head  []byte // of the request, up to the idempotency key
	tail  [2][]byte
	out   []byte
	in    []byte // of the answer, so far
	name  string
	count int
	turn  int

	under    bool          // a request is under way
	at, from time.Duration // when it was due, and from when its time as served runs
	answer   answered      // what it was answered

	market engine.MarketID
	trader int   // whose key it has
	placed int64 // orders that were decided
}

// dial connects. The descriptor is not Go's: its poller would wake for each answer, too.
func (c *conn) dial(ctx context.Context, address string) error {
	var d net.Dialer
	n, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer func() { _ = n.Close() }() // its duplicate stays
	tcp, is := n.(*net.TCPConn)
	if !is {
		return errors.New("not a connection of TCP")
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return err
	}
	failed := raw.Control(func(fd uintptr) {
		c.fd, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) // which does not block, as the one it is of
	})
	return errors.Join(failed, err)
}

// send sends the next request.
func (c *conn) send() error {
	c.out = append(append(c.out[:0], c.head...), c.name...)
	c.out = append(strconv.AppendInt(c.out, int64(c.count), 10), c.tail[c.turn]...)
	c.count++
	c.in, c.under = c.in[:0], true
	n, err := unix.Write(c.fd, c.out)
	if err == nil && n < len(c.out) { // the kernel has room for hundreds
		err = io.ErrShortWrite
	}
	if err != nil {
		return fmt.Errorf("send a request: %w", err)
	}
	return nil
}

// receive reads what there is, and reports whether the answer is whole.
func (c *conn) receive() (done bool, err error) {
	if len(c.in) == maxAnswer {
		return false, fmt.Errorf("an answer of more than %d bytes", maxAnswer)
	}
	if cap(c.in) == len(c.in) {
		c.in = append(make([]byte, 0, min(maxAnswer, max(4<<10, 2*cap(c.in)))), c.in...)
	}
	n, err := unix.Read(c.fd, c.in[len(c.in):cap(c.in)])
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		return false, nil
	case err == nil && n == 0:
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return false, fmt.Errorf("read an answer: %w", err)
	}
	c.in = c.in[:len(c.in)+n]
	if !c.under {
		return false, fmt.Errorf("an answer to no request: %q", c.in)
	}
	a, size, err := parseAnswer(c.in)
	if err != nil || size == 0 || len(c.in) < size {
		return false, err
	}
	if len(c.in) > size {
		return false, errors.New("more than an answer")
	}
	c.answer, c.under = a, false
	if a.status == http.StatusCreated {
		c.turn ^= 1
		c.placed++
	}
	return true, nil
}

// parseAnswer reads the head of an answer, and how many bytes the answer has in all; 0
// bytes while the head is not whole.
func parseAnswer(b []byte) (a answered, size int, err error) {
	head, _, whole := bytes.Cut(b, []byte("\r\n\r\n"))
	if !whole {
		return a, 0, nil
	}
	length := -1
	for i, line := range bytes.Split(head, []byte("\r\n")) {
		if i == 0 {
			if f := bytes.Fields(line); len(f) > 1 {
				a.status, _ = strconv.Atoi(string(f[1])) // 0 is an answer that nobody foresaw
			}
		} else if v, is := bytes.CutPrefix(line, []byte("Content-Length: ")); is {
			if length, err = strconv.Atoi(string(v)); err != nil {
				return a, 0, err
			}
		} else if bytes.HasPrefix(line, []byte("Retry-After: ")) {
			a.retry = true
		}
	}
	if length < 0 {
		return a, 0, errors.New("an answer without a length")
	}
	return a, len(head) + 4 + length, nil
}
