// Package sockets bounds the connections of an HTTP server.
//
// It promises: never more connections than the limit, and one over it while it
// waits; a client that comes gets the place of a connection that does nothing
// before it has to wait; whatever ends a connection gives its place back once.
//
// It refuses to end a connection with a request under way: those have time limits
// of their own. It follows what net/http says about connection states; the states
// are those of RFC 9112, section 9.
package sockets

import (
	"container/list"
	"net"
	"net/http"
	"sync"
)

// DefaultLimit is far above what a load of some hundred requests a second keeps
// open, and below the file descriptors of a usual process.
const DefaultLimit = 1024

// Limit returns a listener that holds at most so many connections. Descriptors
// are what journal and lake need, too, and who opens connections needs no key. At
// the limit a new connection takes the place of the one that has been idle the
// longest; if none is idle it waits, and the ones after it wait in the kernel.
// The server's ConnState hook has to be State.
func Limit(l net.Listener, most int) net.Listener {
	out := &limited{Listener: l, most: most, idle: list.New()}
	out.freed = sync.NewCond(&out.mu)
	return out
}

type limited struct {
	net.Listener
	most int

	mu     sync.Mutex
	freed  *sync.Cond // a connection has ended or become idle, or the listener has ended
	open   int
	idle   *list.List // of *connection; the first is idle the longest
	closed bool
}

// Accept implements net.Listener.
func (l *limited) Accept() (net.Conn, error) {
	raw, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.open >= l.most && !l.closed {
		first := l.idle.Front()
		if first == nil {
			l.freed.Wait()
			continue
		}
		c := first.Value.(*connection)
		l.release(c)
		_ = c.Conn.Close() // its client sees what it would see after the idle timeout
	}
	if l.closed {
		_ = raw.Close()
		return nil, net.ErrClosed
	}
	l.open++
	return &connection{Conn: raw, from: l}, nil
}

// Close implements net.Listener.
func (l *limited) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.freed.Broadcast()
	return l.Listener.Close()
}

// release gives a place back, once; the caller holds mu.
func (l *limited) release(c *connection) {
	if c.released {
		return
	}
	c.released = true
	l.busy(c)
	l.open--
	l.freed.Signal()
}

// busy takes a connection off the list of idle ones; the caller holds mu.
func (l *limited) busy(c *connection) {
	if c.idle != nil {
		l.idle.Remove(c.idle)
		c.idle = nil
	}
}

type connection struct {
	net.Conn
	from     *limited
	idle     *list.Element // guarded by from.mu, as is released
	released bool
}

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

// State is the server's hook ConnState: it says which connections are idle. Those
// of other listeners are none of its business.
func State(raw net.Conn, state http.ConnState) {
	c, ok := raw.(*connection)
	if !ok {
		return
	}
	c.from.mu.Lock()
	defer c.from.mu.Unlock()
	c.from.busy(c)
	if state == http.StateIdle && !c.released {
		c.idle = c.from.idle.PushBack(c)
		c.from.freed.Signal()
	}
}
