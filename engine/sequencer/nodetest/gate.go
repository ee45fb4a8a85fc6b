package nodetest

import (
	"io"
	"sync"

	"github.com/mbp-market/mbp/engine/journal/file"
)

// gate holds what a node does to its durable state until the schedule lets it go
// on, one operation at a time.
type gate struct {
	mu      sync.Mutex
	holding bool
	waiting [lanes][]chan struct{}
}

// A node does one thing at a time in each lane of its gate. Which lane's comes first
// is for the schedule to say, not for the goroutines that come there.
const (
	workLane   = iota // what is done to a disk, or sent to a log
	answerLane        // what a log is waited for
	lanes
)

// hold makes every operation wait from now on.
func (g *gate) hold() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.holding = true
}

// pass waits for its turn.
func (g *gate) pass(in int) {
	g.mu.Lock()
	if !g.holding {
		g.mu.Unlock()
		return
	}
	turn := make(chan struct{})
	g.waiting[in] = append(g.waiting[in], turn)
	g.mu.Unlock()
	<-turn
}

// held reports whether an operation waits.
func (g *gate) held() bool { return len(g.busy()) > 0 }

// next lets the oldest operation of a lane go on, and reports whether there were
// several to choose from; choose picks one of n.
func (g *gate) next(choose func(n int) int) (several bool) {
	of := g.busy()
	in := of[0]
	if several = len(of) > 1; several {
		in = of[choose(len(of))]
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.waiting[in][0])
	g.waiting[in] = g.waiting[in][1:]
	return several
}

// release lets everything in a lane go on.
func (g *gate) release(in int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, turn := range g.waiting[in] {
		close(turn)
	}
	g.waiting[in] = nil
}

// busy lists the lanes in which an operation waits.
func (g *gate) busy() (busy []int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for in := range g.waiting {
		if len(g.waiting[in]) > 0 {
			busy = append(busy, in)
		}
	}
	return busy
}

// open lets everything go on and holds nothing any more.
func (g *gate) open() {
	g.mu.Lock()
	g.holding = false
	g.mu.Unlock()
	for in := range lanes {
		g.release(in)
	}
}

// gated is a disk whose operations wait at a gate.
type gated struct {
	file.FS
	gate *gate
}

func (d gated) Create(name string) (file.File, error) {
	d.gate.pass(workLane)
	f, err := d.FS.Create(name)
	return gatedFile{f, d.gate}, err
}

func (d gated) Open(name string) (file.File, error) {
	f, err := d.FS.Open(name)
	return gatedFile{f, d.gate}, err
}

func (d gated) Rename(from, to string) error {
	d.gate.pass(workLane)
	return d.FS.Rename(from, to)
}

func (d gated) Remove(name string) error {
	d.gate.pass(workLane)
	return d.FS.Remove(name)
}

func (d gated) SyncDir(dir string) error {
	d.gate.pass(workLane)
	return d.FS.SyncDir(dir)
}

func (d gated) Lock(name string) (io.Closer, error) { return d.FS.Lock(name) }

type gatedFile struct {
	file.File
	gate *gate
}

func (f gatedFile) WriteAt(p []byte, off int64) (int, error) {
	f.gate.pass(workLane)
	return f.File.WriteAt(p, off)
}

func (f gatedFile) Sync() error {
	f.gate.pass(workLane)
	return f.File.Sync()
}
