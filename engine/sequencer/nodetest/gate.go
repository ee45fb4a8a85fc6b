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
	waiting []chan struct{}
}

// hold makes every operation wait from now on.
func (g *gate) hold() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.holding = true
}

// pass waits for its turn.
func (g *gate) pass() {
	g.mu.Lock()
	if !g.holding {
		g.mu.Unlock()
		return
	}
	turn := make(chan struct{})
	g.waiting = append(g.waiting, turn)
	g.mu.Unlock()
	<-turn
}

// held reports whether an operation waits.
func (g *gate) held() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.waiting) > 0
}

// next lets the oldest operation go on.
func (g *gate) next() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.waiting[0])
	g.waiting = g.waiting[1:]
}

// open lets everything go on and holds nothing any more.
func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.holding = false
	for _, turn := range g.waiting {
		close(turn)
	}
	g.waiting = nil
}

// gated is a disk whose operations wait at a gate.
type gated struct {
	file.FS
	gate *gate
}

func (d gated) Create(name string) (file.File, error) {
	d.gate.pass()
	f, err := d.FS.Create(name)
	return gatedFile{f, d.gate}, err
}

func (d gated) Open(name string) (file.File, error) {
	f, err := d.FS.Open(name)
	return gatedFile{f, d.gate}, err
}

func (d gated) Rename(from, to string) error {
	d.gate.pass()
	return d.FS.Rename(from, to)
}

func (d gated) Remove(name string) error {
	d.gate.pass()
	return d.FS.Remove(name)
}

func (d gated) SyncDir(dir string) error {
	d.gate.pass()
	return d.FS.SyncDir(dir)
}

func (d gated) Lock(name string) (io.Closer, error) { return d.FS.Lock(name) }

type gatedFile struct {
	file.File
	gate *gate
}

func (f gatedFile) WriteAt(p []byte, off int64) (int, error) {
	f.gate.pass()
	return f.File.WriteAt(p, off)
}

func (f gatedFile) Sync() error {
	f.gate.pass()
	return f.File.Sync()
}
