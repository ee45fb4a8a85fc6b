// Package sockets bounds the connections of an HTTP server.
//
// It promises: never more connections than the limit, and one over it while it
// waits; a client that comes gets the place of a connection that does nothing
// before it has to wait, whether that one has had answers or has never asked;
// whatever ends a connection gives its place back once; no connection outlives
// the time that the server's end sets for all of them; a request that nothing holds up
// sets no timer and waits for no other connection; and where a handler says so, the
// kernel keeps little of what a client does not take.
//
// It refuses to end a connection with a request under way, which has begun when
// its header is read: those have time limits of their own. It follows what
// net/http says about connection states; the states are those of RFC 9112,
// section 9.
package sockets

import (
	"context"
	"math"
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
	out := &Listener{Listener: l, most: most, begin: time.Now(), open: map[*connection]bool{}}
	out.freed = sync.NewCond(&out.mu)
	return out
}

// Listener is what Limit makes of a listener.
type Listener struct {
	net.Listener
	most int

	begin time.Time   // of its clock
	full  atomic.Bool // Accept looks for a place

	mu     sync.Mutex
	freed  *sync.Cond // a connection has ended or become idle, or the listener has ended
	open   map[*connection]bool
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
		l.full.Store(true) // before the look: who becomes idle after it says so
		c, wait := l.oldest()
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
	l.full.Store(false)
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

// now is a time of its clock, never 0.
func (l *Listener) now() int64 { return int64(time.Since(l.begin)) + 1 }

// oldest chooses the connection that has done nothing for the longest time to end, or
// else tells how long until there is one; 0 is nobody knows. The caller holds mu.
func (l *Listener) oldest() (*connection, time.Duration) {
	for {
		now := l.now()
		var first *connection
		since, rest, wait := int64(math.MaxInt64), int64(0), time.Duration(0)
		for c := range l.open {
			r := c.rest.Load()
			at := max(r, -r)
			if left := time.Duration(at-now) + courtesy; r < 0 && left > 0 {
				if wait == 0 || left < wait {
					wait = left
				}
				continue
			}
			if r != 0 && at < since {
				first, since, rest = c, at, r
			}
		}
		if first == nil {
			return nil, wait
		}
		if first.rest.CompareAndSwap(rest, gone) {
			return first, 0
		}
	}
}

// release gives a place back, once; the caller holds mu.
func (l *Listener) release(c *connection) {
	if l.open[c] {
		delete(l.open, c)
		l.freed.Signal()
	}
}

type connection struct {
	net.Conn
	from *Listener

	// rest is 0 with a request under way; else since when it is idle, as a time of the
	// listener's clock, negative if it has asked nothing yet; gone once it gave its place to
	// another. Each request sets it twice, and takes no lock for it: a thread that loses its
	// processor with a lock of all connections would hold up all of them.
	rest atomic.Int64

	read, write deadline
}

// gone is the rest of a connection that was chosen to end.
const gone = math.MinInt64

// Close implements net.Conn.
func (c *connection) Close() error {
	c.from.mu.Lock()
	c.from.release(c)
	c.from.mu.Unlock()
	return c.Conn.Close()
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
	rest := int64(0)
	switch state {
	case http.StateIdle:
		rest = c.from.now()
	case http.StateNew:
		rest = -c.from.now()
	}
	if before := c.rest.Load(); before == gone || !c.rest.CompareAndSwap(before, rest) {
		return // it has just been chosen to end
	}
	if rest != 0 && c.from.full.Load() {
		c.from.mu.Lock()
		c.from.freed.Signal() // who waits has the lock but while it waits
		c.from.mu.Unlock()
	}
}
