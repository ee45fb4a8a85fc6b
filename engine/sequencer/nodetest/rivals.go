package nodetest

import (
	"errors"
	"fmt"
	"time"

	"github.com/mbp-market/mbp/engine/journal"
)

// What the schedule does with two nodes and their shared log.

func (s *lease) actions() []action {
	w := s.w
	sleeping := func(m *machine) bool { return m.life != nil && m.paused }
	return []action{
		w.on("renew", 20, awake, s.renew),
		w.on("freeze", 1, awake, func(m *machine) string { m.paused = true; return "" }),
		w.on("thaw", 8, sleeping, func(m *machine) string { m.paused = false; return "" }),
		w.on("cut off", 1, func(m *machine) bool { return !s.apart[m.n] }, func(m *machine) string { return s.connect(m, false) }),
		w.on("reconnect", 10, func(m *machine) bool { return s.apart[m.n] }, func(m *machine) string { return s.connect(m, true) }),
		{"arrive", 8, func() bool { return len(s.strays) > 0 }, s.arrive},
	}
}

// renew is what a node does while it has nothing to append.
func (s *lease) renew(m *machine) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.apart[m.n]:
		return "in vain"
	case s.logs[m.n].epoch != s.epoch:
		return "too late"
	}
	s.until = time.Now().Add(leaseTime)
	return ""
}

func (s *lease) connect(m *machine, there bool) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.apart[m.n] = !there
	return ""
}

// arrive brings a transaction to the log that nobody waits for any more.
func (s *lease) arrive() string {
	x := s.strays[0]
	s.strays = s.strays[1:]
	return fmt.Sprintf("batch %d of epoch %d: %v", x.first, x.epoch, s.apply(x))
}

// cut implements site.
func (s *lease) cut(n int) {
	l := s.logs[n]
	l.mu.Lock()
	defer l.mu.Unlock()
	l.machine = true
}

func (s *lease) revive(int) string { return "" }

// disturb cuts the node off.
func (s *lease) disturb(n int) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.apart[n] = true
	return "is cut off"
}

func (s *lease) heal() {
	for len(s.strays) > 0 {
		s.arrive()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.apart = [2]bool{}
}

func (s *lease) read(fn func(journal.Record) error) error {
	s.mu.Lock()
	rows := append([]row(nil), s.rows...)
	s.mu.Unlock()
	return each(rows, 1, fn)
}

func (s *lease) injected(err error) bool {
	for _, ours := range []error{errHeld, errFenced, errCut, errDown} {
		if errors.Is(err, ours) {
			return true
		}
	}
	return false
}

// inspect checks that who took the lease had read all that was, and ever will be,
// written before.
func (s *lease) inspect() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.taken {
		for i := t.rows; i < len(s.rows); i++ {
			if s.rows[i].epoch < t.epoch {
				return fmt.Errorf("UNFENCED: record %d was written under lease %d, after lease %d was taken at %d records", i+1, s.rows[i].epoch, t.epoch, t.rows)
			}
		}
	}
	return nil
}
