package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// heartbeat is how often a running step says that it is still alive: often
// enough that nobody thinks it hangs, rarely enough to keep a CI log readable.
const heartbeat = 30 * time.Second

// progress prints one line when a step starts and one when it ends.
type progress struct {
	mu    sync.Mutex
	out   io.Writer // guarded by mu
	built int       // guarded by mu
	start time.Time
}

func newProgress(out io.Writer) *progress { return &progress{out: out, start: time.Now()} }

func (p *progress) say(name, format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.out, "setup %6.1fs  %-16s %s\n", time.Since(p.start).Seconds(), name, fmt.Sprintf(format, args...))
}

// begin announces a step and returns the function that ends its heartbeat.
func (p *progress) begin(name, what string) (end func()) {
	p.say(name, "%s …", what)
	t := time.NewTicker(heartbeat)
	quit := make(chan struct{})
	go func() {
		for {
			select {
			case <-t.C:
				p.say(name, "still at it")
			case <-quit:
				return
			}
		}
	}()
	return func() { t.Stop(); close(quit) }
}

func (p *progress) done(name string, took time.Duration) {
	p.mu.Lock()
	p.built++
	p.mu.Unlock()
	p.say(name, "ready in %.1f s", took.Seconds())
}

func (p *progress) total(groups int) {
	p.mu.Lock()
	built := p.built
	p.mu.Unlock()
	fmt.Fprintf(p.out, "setup: %d tool groups ready (%d installed now, %d from the cache), total %.1f s\n",
		groups, built, groups-built, time.Since(p.start).Seconds())
}
