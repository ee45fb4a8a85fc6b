// Package sockets bounds the connections of an HTTP server.
//
// It promises: never more connections than the limit, and one over it while it
// waits; a client that comes gets the place of a connection that does nothing
// before it has to wait, whether that one has had answers or has never asked;
// whatever ends a connection gives its place back once; no connection outlives
// the time that the server's end sets for all of them; and where a handler says so, the
// kernel keeps little of what a client does not take.
//
// It refuses to end a connection with a request under way, which has begun when
// its header is read: those have time limits of their own. It follows what
// net/http says about connection states; the states are those of RFC 9112,
// section 9.
package sockets

import (
	"container/list"
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// DefaultLimit is far above what a load of some hundred requests a second keeps
// open, and below the file descriptors of a usual process.
const DefaultLimit = 1024

// courtesy is how long a newcomer keeps its place whatever happens: its request
// comes a round trip after its connection, and may wait for a processor.
const courtesy = 250 * time.Millisecond

// Limit returns a listener that holds at most so many connections. Descriptors
// are what journal and lake need, too, and who opens connections needs no key. At
// the limit a new connection takes the place of the one that has been idle the
// longest, a silent newcomer since it came; if none is idle it waits, and the ones
// after it wait in the kernel. The server's ConnState hook has to be State.
func Limit(l net.Listener, most int) *Listener {
	out := &Listener{Listener: l, most: most, open: map[*connection]bool{}, idle: list.New(), silent: list.New()}
	out.freed = sync.NewCond(&out.mu)
	return out
}

// Listener is what Limit makes of a listener.
type Listener struct {
	net.Listener
	most int

	mu     sync.Mutex
	freed  *sync.Cond // a connection has ended or become idle, or the listener has ended
	open   map[*connection]bool
	idle   *list.List // of *connection that had an answer; the first is idle the longest
	silent *list.List // of *connection that has not asked; the first came first
	closed bool

	last atomic.Pointer[time.Time] // no connection reads or writes after it; nil: no such time
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	raw, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.open) >= l.most && !l.closed {
		c, wait := l.oldest(time.Now())
		switch {
		case c != nil:
			l.release(c)
			_ = c.Conn.Close() // its client sees what it would see after the idle timeout
		case wait > 0:
			due := time.AfterFunc(wait, l.freed.Signal)
			l.freed.Wait()
			due.Stop()
		default:
			l.freed.Wait()
		}
	}
	if l.closed {
		_ = raw.Close()
		return nil, net.ErrClosed
	}
	c := &connection{Conn: raw, from: l}
	l.open[c] = true
	if last := l.last.Load(); last != nil {
		_ = c.SetDeadline(*last) // who cannot have one is closed already
	}
	return c, nil
}

// Until says when the last connection reads or writes for the last time, whatever
// deadlines it is given: a client that takes no answer, or sends no end of its
// request, then holds up nobody. Nothing takes it back.
func (l *Listener) Until(last time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last.Store(&last) // before the loop: whoever sets a deadline later finds it
	for c := range l.open {
		_ = c.SetDeadline(last) // who cannot have one is closed already
	}
}

// Close implements net.Listener.
func (l *Listener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.freed.Broadcast()
	return l.Listener.Close()
}

// oldest returns the connection that has done nothing for the longest time, or
// else how long until there is one; 0 is nobody knows. The caller holds mu.
func (l *Listener) oldest(now time.Time) (c *connection, wait time.Duration) {
	if e := l.idle.Front(); e != nil {
		c = e.Value.(*connection)
	}
	if e := l.silent.Front(); e != nil {
		n := e.Value.(*connection)
		switch wait = n.since.Add(courtesy).Sub(now); {
		case wait <= 0 && (c == nil || n.since.Before(c.since)):
			return n, 0
		case c == nil:
			return nil, wait
		}
	}
	return c, 0
}

// release gives a place back, once; the caller holds mu.
func (l *Listener) release(c *connection) {
	if !l.open[c] {
		return
	}
	delete(l.open, c)
	l.busy(c)
	l.freed.Signal()
}

// busy takes a connection off its list; the caller holds mu.
func (l *Listener) busy(c *connection) {
	if c.place != nil {
		c.list.Remove(c.place)
		c.place, c.list = nil, nil
	}
}

type connection struct {
	net.Conn
	from *Listener

	// setting is held while a deadline is set. It is the connection's own: each request sets
	// four, and a thread that loses its processor with a lock of all connections would hold
	// up all of them.
	setting sync.Mutex

	// guarded by from.mu
	list  *list.List    // that it is on: idle, silent or none
	place *list.Element // on it
	since time.Time     // it has been on it
}

// Close implements net.Conn.
func (c *connection) Close() error {
	c.from.mu.Lock()
	c.from.release(c)
	c.from.mu.Unlock()
	return c.Conn.Close()
}

// SetDeadline implements net.Conn, as do SetReadDeadline and SetWriteDeadline.
func (c *connection) SetDeadline(t time.Time) error { return c.limit(c.Conn.SetDeadline, t) }

// SetReadDeadline implements net.Conn.
func (c *connection) SetReadDeadline(t time.Time) error { return c.limit(c.Conn.SetReadDeadline, t) }

// SetWriteDeadline implements net.Conn.
func (c *connection) SetWriteDeadline(t time.Time) error { return c.limit(c.Conn.SetWriteDeadline, t) }

// limit sets a deadline, none after Until. A deadline that is set meanwhile waits.
func (c *connection) limit(set func(time.Time) error, t time.Time) error {
	c.setting.Lock()
	defer c.setting.Unlock()
	if last := c.from.last.Load(); last != nil && (t.IsZero() || t.After(*last)) {
		t = *last
	}
	return set(t)
}

// CloseWrite lets the server end its side first, so that a client which still
// sends a body that is too large reads the refusal.
func (c *connection) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// place is where a request's context has its connection.
type place struct{}

// Context is the server's hook ConnContext: it lets Narrow find the connection.
func Context(ctx context.Context, raw net.Conn) context.Context {
	return context.WithValue(ctx, place{}, raw)
}

// Narrow bounds the bytes that the kernel keeps of what is written on the connection
// of a request and not taken by its client; it would grow to megabytes. A kernel keeps
// up to twice as many for its own records. Where nothing is known of a connection, it
// stays as it is.
func Narrow(ctx context.Context, bytes int) {
	raw, _ := ctx.Value(place{}).(net.Conn)
	if outer, is := raw.(interface{ NetConn() net.Conn }); is {
		raw = outer.NetConn() // of a TLS server
	}
	if c, is := raw.(*connection); is {
		raw = c.Conn
	}
	if t, is := raw.(*net.TCPConn); is {
		_ = t.SetWriteBuffer(bytes) // it is a wish
	}
}

// State is the server's hook ConnState: it says which connections are idle. One
// that is new has asked nothing yet, and may never: it is idle, too. Those of
// other listeners are none of its business.
func State(raw net.Conn, state http.ConnState) {
	if outer, is := raw.(interface{ NetConn() net.Conn }); is {
		raw = outer.NetConn() // of a TLS server
	}
	c, ok := raw.(*connection)
	if !ok {
		return
	}
	c.from.mu.Lock()
	defer c.from.mu.Unlock()
	c.from.busy(c)
	switch {
	case !c.from.open[c]:
		return
	case state == http.StateIdle:
		c.list = c.from.idle
	case state == http.StateNew:
		c.list = c.from.silent
	default:
		return
	}
	c.place, c.since = c.list.PushBack(c), time.Now()
	c.from.freed.Signal()
}
