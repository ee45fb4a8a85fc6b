package nodetest

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/journal/faultfs"
	"github.com/mbp-market/mbp/engine/journal/file"
)

// plate is the site of one node with a disk of its own.
type plate struct {
	w       *world
	disk    *faultfs.FS
	log     *file.Log // of the life that is, or was last
	segment int64
	salt    uint64
	off     bool // the machine, not only the process, is down
	full    bool
}

func newPlate(w *world) *plate {
	return &plate{w: w, disk: faultfs.New(), segment: among[int64](w.rng, 16<<10, 24<<10, 64<<10), salt: w.cfg.Seed}
}

func (p *plate) open(_ int, g *gate) (journal.Log, file.FS, error) {
	var fs file.FS = gated{p.disk, g}
	if p.w.cfg.FS != nil {
		fs = p.w.cfg.FS(fs)
	}
	log, err := file.Open(file.Config{Dir: "journal", Archive: "archive", FS: fs, SegmentSize: p.segment, Salt: func() uint64 { p.salt++; return p.salt }})
	if err != nil {
		return nil, nil, err
	}
	p.log = log
	return log, fs, nil
}

func (p *plate) cut(int) {
	p.disk.Crash()
	p.off = true
}

// revive decides what a crash left. A process that ended by itself leaves the
// machine, and its cache, as they are, unless power is lost, too.
func (p *plate) revive(int) string {
	keep := among(p.w.rng, faultfs.KeepCache, faultfs.KeepCache, faultfs.KeepCache, faultfs.KeepNone)
	if p.off {
		keep = among(p.w.rng, faultfs.Keeps[:]...)
	}
	p.off = false
	if p.full && p.w.rng.IntN(2) == 0 {
		p.full = false
		p.disk.SetCapacity(0)
	}
	p.disk.Restart(keep, p.w.rng.Uint64())
	return "keeps " + keep.String()
}

// disturb lets one of the next operations fail, or be the last.
func (p *plate) disturb(int) string {
	at := p.disk.Ops() + 1 + p.w.rng.IntN(12)
	plan := func(said string, fault faultfs.Fault) string {
		p.disk.SetPlan(func(op faultfs.Op) faultfs.Fault {
			if op.N != at {
				return faultfs.Fault{}
			}
			if fault.Crash {
				p.off = true
				p.w.report.Crashes++
			}
			return fault
		})
		return fmt.Sprintf("operation %d %s", at, said)
	}
	switch p.w.rng.IntN(8) {
	case 0, 1, 2:
		return plan("is the last", faultfs.Fault{Crash: true})
	case 3, 4:
		return plan("fails", faultfs.Fault{Err: syscall.EIO})
	case 5, 6:
		return plan("writes short", faultfs.Fault{Err: syscall.EIO, Short: 1 + p.w.rng.IntN(1500)})
	}
	total := int64(0)
	for _, name := range p.disk.Names() {
		total += int64(len(p.disk.Bytes(name)))
	}
	p.full = true
	p.disk.SetCapacity(total + int64(p.w.rng.IntN(20<<10)))
	return "the disk is nearly full"
}

func (p *plate) heal() {
	p.disk.SetPlan(nil)
	p.disk.SetCapacity(0)
	p.full = false
}

func (p *plate) read(fn func(journal.Record) error) error { return p.log.Read(1, fn) }

func (p *plate) injected(err error) bool {
	for _, ours := range []error{faultfs.ErrCrashed, syscall.EIO, syscall.ENOSPC} {
		if errors.Is(err, ours) {
			return true
		}
	}
	return false
}

// actions has segments made ahead of use, and released into the archive. Both of
// that and an append may need the lock of the spare segments, so nothing is done
// while an append waits.
func (p *plate) actions() []action {
	idle := func(m *machine) bool { return up(m) && !m.life.gate.held() }
	keep := func(name string, do func() error) action {
		return p.w.on(name, 1, idle, func(m *machine) string {
			m.life.gate.open()
			defer m.life.gate.hold()
			if err := do(); err != nil && !p.injected(err) {
				p.w.fault(fmt.Errorf("%s a segment: %w", name, err))
			}
			return fmt.Sprint(p.log.First())
		})
	}
	return []action{
		keep("prepare", func() error { return p.log.Prepare() }),
		keep("release", func() error { return p.log.Release(1 + p.w.rng.Uint64N(p.log.Next())) }),
	}
}

func (p *plate) inspect() error { return nil }
