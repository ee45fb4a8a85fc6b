package sequencer

import (
	"time"

	"github.com/mbp-market/mbp/engine"
)

// maxBehind is how far the wall clock may be behind the journal at the start
// without a word about it: the disorder of synchronised clocks.
const maxBehind = time.Second

// maxSleep bounds one wait for a deadline. Nothing depends on it but that a
// duration holds it.
const maxSleep = 24 * time.Hour

// clock is the source of engine time. It starts at the wall clock, or at the last
// decision if that is later, and goes on with the monotonic clock: a wall clock
// that is set while the process runs moves neither deadlines nor rates, and one
// that was behind at the start does not make time stand still.
type clock struct {
	wall   func() time.Time
	start  time.Time     // with its monotonic reading
	base   engine.Time   // engine time at start
	behind time.Duration // of the wall clock against the journal at start; 0 if it was not
}

func startClock(wall func() time.Time, last engine.Time) clock {
	c := clock{wall: wall, start: wall()}
	c.base = engine.Time(c.start.UnixMicro())
	if last > c.base {
		c.behind = time.Duration(last-c.base) * time.Microsecond
		c.base = last
	}
	return c
}

func (c *clock) now() engine.Time {
	return c.base + engine.Time(c.wall().Sub(c.start).Microseconds())
}

// until is how long it is from now until a time, at most maxSleep.
func (c *clock) until(at engine.Time) time.Duration {
	left := min(at-c.now(), engine.Time(maxSleep/time.Microsecond))
	return time.Duration(left) * time.Microsecond
}

// offset is how far the wall clock is ahead of engine time.
func (c *clock) offset() time.Duration {
	return time.Duration(c.wall().UnixMicro()-int64(c.now())) * time.Microsecond
}
