package sequencer

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/mbp-market/mbp/engine"
)

// How far the wall clock may be from what it should say before deadlines are held.
const (
	// maxBehind is how far it may be behind the journal at the start: the disorder of
	// synchronised clocks.
	maxBehind = time.Second
	// maxJump is how far it may move forwards against the monotonic clock: more than
	// any correction that a time service makes in one step of a clock that is right.
	maxJump = time.Minute
)

// maxSleep bounds one wait of an idle writer: so late does it notice a jump of the
// clock at most. What falls due is looked at anew before it is decided.
const maxSleep = 10 * time.Second

// clock is the source of engine time. It starts at the wall clock, or at the last
// decision if that is later, and goes on with the monotonic clock: a wall clock
// that is set while the process runs moves neither deadlines nor rates, and one
// that was behind at the start does not make time stand still. What the wall clock
// says counts again when a person confirms it.
type clock struct {
	wall   func() time.Time
	mono   func() time.Duration // nil: the monotonic part of wall
	origin time.Time            // of what mono counts if it is nil
	at     atomic.Pointer[reading]
	behind time.Duration // of the wall clock against the journal at start; 0 if it was not
}

// reading is what all clocks said at one moment.
type reading struct {
	mono   time.Duration
	wall   engine.Time
	engine engine.Time
}

// startClock begins at the wall clock, or at the last decision if that is later, or
// if deadlines are held: then the wall clock counts for nothing yet.
func startClock(wall func() time.Time, mono func() time.Duration, last engine.Time, held bool) *clock {
	c := &clock{wall: wall, mono: mono, origin: wall()}
	c.start(last, held)
	return c
}

// start begins anew, as by a writer that has stood by.
func (c *clock) start(last engine.Time, held bool) {
	r := c.read()
	c.behind = max(0, between(r.wall, last))
	if r.engine = max(r.wall, last); held {
		r.engine = last
	}
	c.at.Store(&r)
}

// read returns what the clocks say, without engine time.
func (c *clock) read() (r reading) {
	t := c.wall()
	if r.wall = engine.Time(t.UnixMicro()); c.mono != nil {
		r.mono = c.mono()
	} else {
		r.mono = t.Sub(c.origin)
	}
	return r
}

// trust lets engine time go on at the wall clock, or where it is if that is later.
func (c *clock) trust() {
	r := c.read()
	r.engine = max(r.wall, c.now())
	c.at.Store(&r)
}

func (c *clock) now() engine.Time {
	at := c.at.Load()
	return at.engine + engine.Time((c.read().mono - at.mono).Microseconds())
}

// jumped is how far the wall clock has moved forwards against the monotonic clock
// since it was trusted; below zero if backwards.
func (c *clock) jumped() time.Duration {
	at, r := c.at.Load(), c.read()
	return between(at.wall, r.wall) - (r.mono - at.mono)
}

// until is how long it is from now until a time, at most maxSleep.
func (c *clock) until(at engine.Time) time.Duration {
	return between(0, min(at-c.now(), engine.Time(maxSleep.Microseconds())))
}

// offset is how far the wall clock is ahead of engine time.
func (c *clock) offset() time.Duration { return between(c.now(), c.read().wall) }

// between is the time from one time to another, which are not centuries apart.
func between(from, to engine.Time) time.Duration { return time.Duration(to-from) * time.Microsecond }

// distrust says why deadlines have to be held now, empty if they need not be: the
// journal has begun, nobody holds them yet, and the wall clock was behind the journal
// at the start or has jumped forwards since.
func (q *Sequencer) distrust() string {
	if !q.writer.Initialised() || q.writer.DeadlinesHeld() {
		return ""
	}
	if behind := q.clock.behind; behind > maxBehind {
		return fmt.Sprintf("the wall clock was %.1f s behind the journal at the start", behind.Seconds())
	}
	if jumped := q.clock.jumped(); jumped > maxJump {
		return fmt.Sprintf("the wall clock jumped %.1f s ahead of the monotonic clock", jumped.Seconds())
	}
	return ""
}

// watchClock holds deadlines when the clock cannot be trusted.
func (q *Sequencer) watchClock(b *batch, now engine.Time) error {
	why := q.distrust()
	if why == "" {
		return nil
	}
	q.cfg.Logger.Error("deadlines are held until an operator confirms the time", "reason", why)
	return q.own(b, now, &engine.SetDeadlines{Held: true, Reason: why})
}

// confirmed lets engine time go on with the wall clock once a person has decided so.
// Should the decision not become durable, the writer ends, and the next one begins
// with deadlines that are held as before.
func (q *Sequencer) confirmed(d *engine.Decision) {
	if x, is := d.Command.(*engine.SetDeadlines); is && d.Code == engine.OK && !x.Held {
		q.clock.behind = 0
		q.clock.trust()
	}
}
