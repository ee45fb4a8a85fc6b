package faultfs

import (
	"fmt"
	"math/rand/v2"
	"sort"
)

// Keep says what a restart finds of the state that was not synced.
type Keep int

// The ways to crash.
const (
	KeepNone   Keep = iota // power loss; nothing unsynced survives
	KeepAll                // power loss just after the cache was written out
	KeepRandom             // power loss; each unsynced sector and name survives by a coin flip
	KeepPrefix             // power loss; the oldest unsynced sectors and names survive
	KeepCache              // the process is killed; the page cache lives on, still unsynced
)

// Keeps lists every way to crash.
var Keeps = [...]Keep{KeepNone, KeepAll, KeepRandom, KeepPrefix, KeepCache}

// String names the way for test output.
func (k Keep) String() string {
	return [...]string{"none", "all", "random", "prefix", "cache"}[k]
}

// Crash stops the machine now.
func (fs *FS) Crash() {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.down = true
}

// Restart crashes the machine if it still runs and brings it up again with the
// durable state and the part of the rest that keep names. The plan is cleared.
func (fs *FS) Restart(keep Keep, seed uint64) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.down, fs.plan = false, nil
	fs.life++
	clear(fs.locks)
	if keep == KeepCache {
		return
	}
	rng := rand.New(rand.NewPCG(seed, uint64(keep))) //nolint:gosec // reproducible, not secret
	for _, op := range survivors(rng, keep, fs.pending) {
		for _, c := range op.changes {
			apply(fs.durable, c)
		}
	}
	fs.pending = nil
	fs.names = map[string]*node{}
	for _, name := range sortedNames(fs.durable) {
		n := fs.durable[name]
		n.settle(rng, keep)
		fs.names[name] = n
	}
}

func sortedNames(m map[string]*node) []string {
	out := make([]string, 0, len(m))
	for name := range m {
		out = append(out, name)
	}
	sort.Strings(out)
	return out
}

// survivors picks the items that reach the disk.
func survivors[T any](rng *rand.Rand, keep Keep, items []T) []T {
	var out []T
	switch keep {
	case KeepAll:
		out = items
	case KeepPrefix:
		out = items[:rng.IntN(len(items)+1)]
	case KeepRandom:
		for _, it := range items {
			if rng.IntN(2) == 0 {
				out = append(out, it)
			}
		}
	case KeepNone, KeepCache:
	}
	return out
}

// settle makes the surviving sectors durable and forgets the others.
func (n *node) settle(rng *rand.Rand, keep Keep) {
	var parts []span
	for _, s := range n.dirty {
		for off := s.off; off < s.off+int64(len(s.data)); {
			end := min((off/sector+1)*sector, s.off+int64(len(s.data)))
			parts = append(parts, span{off, s.data[off-s.off : end-s.off]})
			off = end
		}
	}
	for _, p := range survivors(rng, keep, parts) {
		n.dur = put(n.dur, p.data, p.off)
	}
	n.dirty = nil
	n.cur = append([]byte(nil), n.dur...)
}

// Names returns the paths of all files, sorted.
func (fs *FS) Names() []string {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return sortedNames(fs.names)
}

// Bytes returns a copy of a file's content.
func (fs *FS) Bytes(name string) []byte {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	n := fs.names[name]
	if n == nil {
		panic(fmt.Sprintf("faultfs: no file %s", name))
	}
	return append([]byte(nil), n.cur...)
}

// SetBytes gives a file durable content, as bit rot or an operator would.
func (fs *FS) SetBytes(name string, b []byte) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	n := &node{cur: append([]byte(nil), b...), dur: append([]byte(nil), b...)}
	fs.names[name], fs.durable[name] = n, n
}

// Clone returns an independent disk with the same files, all durable, no plan.
func (fs *FS) Clone() *FS {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	out := New()
	for name, n := range fs.names {
		c := &node{cur: append([]byte(nil), n.cur...), dur: append([]byte(nil), n.cur...)}
		out.names[name], out.durable[name] = c, c
	}
	return out
}
