package sockets

import (
	"errors"
	"os"
	"sync"
	"time"
)

// deadline is one direction's of a connection: when it ends what is under way. A server
// sets five of them for each request, and hardly ever waits so long that one of them
// counts. So one that is set is only written down, and the connection below is told of
// it when something begins to wait, unless that one's own comes earlier. It then ends the
// waiting too early, and the waiting begins again.
//
// net/http reads beside each request, in a goroutine, and ends that with a deadline in
// the past. A read that has not begun by then does not begin, and the connection below
// never hears of it.
type deadline struct {
	mu    sync.Mutex
	asked time.Time // zero: none
	set   time.Time // of the connection below; never after asked while somebody waits; zero: none
	under int       // how many wait on the connection below
}

// ask sets it, none after the last of the listener. below sets that of the connection below.
func (d *deadline) ask(t time.Time, from *Listener, below func(time.Time) error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if last := from.last.Load(); last != nil && (t.IsZero() || t.After(*last)) {
		t = *last // read under mu: Until asks after it has written it
	}
	d.asked = t
	if d.under == 0 {
		return nil
	}
	return d.hold(below)
}

// hold sees that the connection below waits no longer than it may. The caller holds mu.
func (d *deadline) hold(below func(time.Time) error) error {
	if d.asked.IsZero() || !d.set.IsZero() && !d.set.After(d.asked) {
		return nil
	}
	d.set = d.asked
	return below(d.asked)
}

// begin is called before something may wait on the connection below, and end after it.
// It fails if its time is over.
func (d *deadline) begin(below func(time.Time) error) error {
	now := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.over(now) {
		return os.ErrDeadlineExceeded
	}
	if !d.set.IsZero() && !d.set.After(now) { // one from before, that has passed
		d.set = d.asked
		if err := below(d.asked); err != nil {
			return err
		}
	}
	if err := d.hold(below); err != nil {
		return err
	}
	d.under++
	return nil
}

// end reports whether what was waited for goes on: it ended with err because of a deadline
// that nobody asks for any more.
func (d *deadline) end(err error) (again bool) {
	early := err != nil && errors.Is(err, os.ErrDeadlineExceeded)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.under--
	return early && !d.over(time.Now())
}

// over reports whether its time has come. The caller holds mu.
func (d *deadline) over(now time.Time) bool { return !d.asked.IsZero() && !d.asked.After(now) }

// Read implements net.Conn.
func (c *connection) Read(p []byte) (n int, err error) {
	for again := true; again; {
		if err := c.read.begin(c.Conn.SetReadDeadline); err != nil {
			return 0, err
		}
		n, err = c.Conn.Read(p)
		again = c.read.end(err) && n == 0
	}
	return n, err
}

// Write implements net.Conn.
func (c *connection) Write(p []byte) (n int, err error) {
	for again := true; again; {
		if err := c.write.begin(c.Conn.SetWriteDeadline); err != nil {
			return n, err
		}
		var more int
		more, err = c.Conn.Write(p[n:])
		n += more
		again = c.write.end(err)
	}
	return n, err
}

// SetDeadline implements net.Conn, as do SetReadDeadline and SetWriteDeadline.
func (c *connection) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline implements net.Conn.
func (c *connection) SetReadDeadline(t time.Time) error {
	return c.read.ask(t, c.from, c.Conn.SetReadDeadline)
}

// SetWriteDeadline implements net.Conn.
func (c *connection) SetWriteDeadline(t time.Time) error {
	return c.write.ask(t, c.from, c.Conn.SetWriteDeadline)
}
