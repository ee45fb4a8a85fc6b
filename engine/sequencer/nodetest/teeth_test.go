package nodetest_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/journal/file"
	"github.com/mbp-market/mbp/engine/sequencer"
	"github.com/mbp-market/mbp/engine/sequencer/nodetest"
)

// The defects that the simulation has to find.

// syncing changes what Sync does to files that are opened: segments in use.
type syncing struct {
	file.FS
	sync func(file.File) error
}

func (d syncing) Open(name string) (file.File, error) {
	f, err := d.FS.Open(name)
	return synced{f, d.sync}, err
}

type synced struct {
	file.File
	sync func(file.File) error
}

func (f synced) Sync() error { return f.sync(f.File) }

// unnamed is a disk whose folders are never synced.
type unnamed struct{ file.FS }

func (unnamed) SyncDir(string) error { return nil }

// deaf is a log that reports no failure to append.
type deaf struct {
	journal.Log
	next uint64
}

func (l *deaf) Next() uint64 { return l.next }

func (l *deaf) Append(first uint64, at int64, payloads [][]byte) error {
	_ = l.Log.Append(first, at, payloads)
	l.next = first + uint64(len(payloads))
	return nil
}

// hasty shows readers what is not durable yet.
type hasty struct {
	nodetest.Node
	mu    *sync.Mutex
	state *core.State
}

func (n hasty) View(fn func(*core.State)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	fn(n.state)
}

// hastyLog tells what it is about to append.
type hastyLog struct {
	journal.Log
	see func(first uint64, payloads [][]byte)
}

func (l hastyLog) Append(first uint64, at int64, payloads [][]byte) error {
	l.see(first, payloads)
	return l.Log.Append(first, at, payloads)
}

func startHasty(p nodetest.Place) (nodetest.Node, error) {
	var mu sync.Mutex
	state := core.New()
	see := func(first uint64, payloads [][]byte) {
		mu.Lock()
		defer mu.Unlock()
		for i, payload := range payloads {
			d, err := engine.Decode(engine.Seq(first)+engine.Seq(i), payload)
			if err == nil {
				err = state.Evolve(d)
			}
			if err != nil {
				panic(err)
			}
		}
	}
	if err := p.Config.Log.Read(1, func(r journal.Record) error { see(r.Seq, [][]byte{r.Payload}); return nil }); err != nil {
		return nil, err
	}
	p.Config.Log = hastyLog{p.Config.Log, see}
	q, err := sequencer.New(p.Config)
	return hasty{q, &mu, state}, err
}

// submitting changes what Submit does.
type submitting struct {
	nodetest.Node
	submit func(ctx context.Context, r sequencer.Request) (sequencer.Answer, error)
}

func (n submitting) Submit(ctx context.Context, r sequencer.Request) (sequencer.Answer, error) {
	return n.submit(ctx, r)
}

// startDoubling decides every third request that comes with a known key again,
// under another one.
func startDoubling(p nodetest.Place) (nodetest.Node, error) {
	q, err := sequencer.New(p.Config)
	var mu sync.Mutex
	seen := map[string]int{}
	return submitting{q, func(ctx context.Context, r sequencer.Request) (sequencer.Answer, error) {
		mu.Lock()
		seen[r.Key]++
		n := seen[r.Key]
		mu.Unlock()
		if n == 3 {
			r.Key += "-again"
		}
		return q.Submit(ctx, r)
	}}, err
}

// startSwapping gives a request the answer of the one before, now and then.
func startSwapping(p nodetest.Place) (nodetest.Node, error) {
	q, err := sequencer.New(p.Config)
	var mu sync.Mutex
	var last sequencer.Answer
	n := 0
	return submitting{q, func(ctx context.Context, r sequencer.Request) (sequencer.Answer, error) {
		a, err := q.Submit(ctx, r)
		mu.Lock()
		defer mu.Unlock()
		if n++; err == nil && last.Decision != nil && n%16 == 0 {
			a, last = last, a
		} else if err == nil {
			last = a
		}
		return a, err
	}}, err
}

// TestTeeth plants a defect at a time; each has to be found within so many seeds.
func TestTeeth(t *testing.T) {
	disk := func(wrap func(file.FS) file.FS) nodetest.Config { return nodetest.Config{FS: wrap} }
	log := func(wrap func(journal.Log) journal.Log) nodetest.Config { return nodetest.Config{Log: wrap} }
	for name, c := range map[string]struct {
		cfg    nodetest.Config
		within int
		says   string // in the broken promise
	}{
		"sync removed": {disk(func(d file.FS) file.FS {
			return syncing{d, func(file.File) error { return nil }}
		}), 10, "LOST"},
		"failed sync tried again": {disk(func(d file.FS) file.FS {
			return syncing{d, func(f file.File) error {
				if err := f.Sync(); err == nil {
					return nil
				}
				return f.Sync()
			}}
		}), 20, "damaged"},
		"folder sync removed":       {disk(func(d file.FS) file.FS { return unnamed{d} }), 10, "LOST"},
		"answered before the sync":  {log(nodetest.Early), 10, "the log ends at"},
		"failed append not noticed": {log(func(l journal.Log) journal.Log { return &deaf{l, l.Next()} }), 10, "the log ends at"},
		"keys not remembered":       {log(nodetest.Forgetful), 10, "is decided again"},
		"shown before the sync":     {nodetest.Config{Start: startHasty}, 10, "shows"},
		"decided again on a retry":  {nodetest.Config{Start: startDoubling}, 10, "is decided again"},
		"answers swapped":           {nodetest.Config{Start: startSwapping}, 10, "another request"},
		"lease not checked":         {nodetest.Config{Leased: true, Unfenced: true}, 100, "UNFENCED"},
		"append not checked at all": {nodetest.Config{Leased: true, Unplaced: true}, 20, "answered before it was asked"},
	} {
		t.Run(name, func(t *testing.T) {
			var found *nodetest.Report
			tried := 0
			sweep(t, 1, c.within, c.cfg, func(r *nodetest.Report) bool {
				tried++
				if strings.Contains(fmt.Sprint(r.Faults), c.says) {
					found = r
				}
				return found == nil
			})
			if found == nil {
				t.Fatalf("not found as %q in %d seeds: the simulation is blind to it", c.says, tried)
			}
			t.Logf("found by seed %d of %d: %v", found.Seed, tried, found.Faults[0])
		})
	}
}
