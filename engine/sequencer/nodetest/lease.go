package nodetest

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/journal/file"
)

// leaseTime is how long a lease holds without being renewed.
const leaseTime = 10 * time.Second

// What a leased log answers with.
var (
	errHeld   = fmt.Errorf("another node holds the lease: %w", journal.ErrLocked)
	errFenced = errors.New("the lease was lost to another node")
	errCut    = errors.New("the connection to the log is lost")
	errDown   = errors.New("the machine is down")
)

// row is a record of the shared log.
type row struct {
	journal.Record
	epoch uint64 // of the lease under which it was written
}

// taking is the moment a lease was taken.
type taking struct {
	epoch uint64
	rows  int // that were there: what the new holder folds
}

// lease is the site of two nodes with one log, as a database would hold it: an
// append is one transaction that verifies the epoch of the lease and the position,
// inserts, and renews. Taking the lease is one that sees it expired by the log's
// clock and raises the epoch.
type lease struct {
	w *world

	mu     sync.Mutex
	rows   []row
	epoch  uint64
	holder int
	until  time.Time
	taken  []taking
	apart  [2]bool // the node does not reach the log
	logs   [2]*leased
	strays []*transaction // on their way, and nobody waits for them any more
}

func newLease(w *world) *lease { return &lease{w: w, holder: -1} }

// transaction is one append on its way.
type transaction struct {
	epoch    uint64
	first    uint64
	at       int64
	payloads [][]byte
}

// apply is what the database does with it.
func (s *lease) apply(x *transaction) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x.epoch != s.epoch && !s.w.cfg.Unfenced && !s.w.cfg.Unplaced {
		s.w.report.Fenced++
		return errFenced
	}
	if x.first != uint64(len(s.rows))+1 && !s.w.cfg.Unplaced {
		return fmt.Errorf("%w: there is a record %d", errFenced, x.first)
	}
	s.rows = s.rows[:min(len(s.rows), int(x.first)-1)]
	for i, p := range x.payloads {
		s.rows = append(s.rows, row{journal.Record{Seq: x.first + uint64(i), At: x.at, Payload: p}, x.epoch})
	}
	s.until = time.Now().Add(leaseTime)
	return nil
}

// leased is the log as one life of a node has it.
type leased struct {
	s     *lease
	n     int
	gate  *gate
	epoch uint64

	mu      sync.Mutex // held by readers and for the moments around an append
	next    uint64
	sent    uint64     // the sequence after what was sent
	flights []departed // what is under way, oldest first
	cut     error      // what became of the connection: nothing more is sent on it
	failed  bool
	closed  bool
	machine bool // it is down
}

// departed is a batch under way: how the log has answered, which nobody has heard yet.
type departed struct {
	first, next uint64
	err         error
}

var _ journal.Pipelined = (*leased)(nil)

func (s *lease) open(n int, g *gate) (journal.Log, file.FS, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	switch {
	case s.apart[n]:
		return nil, nil, errCut
	case s.holder >= 0 && s.logs[s.holder] != nil && (s.holder != n || !s.logs[n].ended()) && now.Before(s.until):
		return nil, nil, errHeld
	}
	if s.holder >= 0 && s.holder != n {
		s.w.report.Takeovers++
	}
	s.epoch++
	s.holder, s.until = n, now.Add(leaseTime)
	s.taken = append(s.taken, taking{s.epoch, len(s.rows)})
	s.logs[n] = &leased{s: s, n: n, gate: g, epoch: s.epoch, next: uint64(len(s.rows)) + 1, sent: uint64(len(s.rows)) + 1}
	return s.logs[n], nil, nil
}

func (l *leased) ended() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed || l.machine
}

// Append implements journal.Log.
func (l *leased) Append(first uint64, at int64, payloads [][]byte) error {
	l.mu.Lock()
	busy := len(l.flights) > 0
	l.mu.Unlock()
	if err := l.able(); err == nil && busy {
		return l.fail(fmt.Errorf("%w: another one is under way", journal.ErrBatch))
	}
	if err := l.Send(first, at, payloads); err != nil {
		return err
	}
	return l.Settle()
}

// Send implements journal.Pipelined. It waits at the gate while the transaction is on
// its way. What comes after one that was lost is lost with the connection.
func (l *leased) Send(first uint64, at int64, payloads [][]byte) error {
	lost, err := l.refuses(first, payloads)
	if err != nil {
		return err
	}
	x := &transaction{epoch: l.epoch, first: first, at: at}
	for _, p := range payloads {
		x.payloads = append(x.payloads, append([]byte(nil), p...))
	}
	l.gate.pass(workLane)
	if lost == nil {
		lost = l.s.carry(l, x)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if errors.Is(lost, errCut) || errors.Is(lost, errDown) {
		l.cut = lost
	}
	l.sent = first + uint64(len(payloads))
	l.flights = append(l.flights, departed{first, l.sent, lost})
	return nil
}

// Settle implements journal.Pipelined. It waits at the gate for the outcome.
func (l *leased) Settle() error {
	if err := l.able(); err != nil {
		return err
	}
	l.gate.pass(answerLane)
	l.mu.Lock()
	if len(l.flights) == 0 {
		l.mu.Unlock()
		return l.fail(fmt.Errorf("%w: nothing is under way", journal.ErrBatch))
	}
	d := l.flights[0]
	l.flights = l.flights[1:]
	if l.machine {
		d.err = errDown
	}
	if d.err == nil {
		l.next = d.next
	}
	l.mu.Unlock()
	if d.err != nil {
		return l.fail(fmt.Errorf("append batch %d: %w", d.first, d.err))
	}
	return nil
}

func (l *leased) able() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return journal.ErrClosed
	case l.failed:
		return journal.ErrFailed
	}
	return nil
}

// fail ends the log. Who is sending something hears of that at once.
func (l *leased) fail(err error) error {
	l.mu.Lock()
	l.failed = true
	l.mu.Unlock()
	l.gate.release(workLane)
	return err
}

// refuses says why a batch is not sent at all, or that it is sent in vain.
func (l *leased) refuses(first uint64, payloads [][]byte) (lost, err error) {
	if err := l.able(); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	err = journal.CheckBatch(l.sent, first, payloads)
	if err == nil && len(l.flights) == journal.MaxUnderWay {
		err = fmt.Errorf("%w: %d are under way", journal.ErrBatch, len(l.flights))
	}
	l.failed = err != nil
	if l.machine {
		return errDown, err
	}
	return l.cut, err
}

// carry brings a transaction to the log, or not.
func (s *lease) carry(l *leased, x *transaction) error {
	l.mu.Lock()
	down := l.machine
	l.mu.Unlock()
	s.mu.Lock()
	lost := s.apart[l.n]
	s.mu.Unlock()
	switch {
	case !down && !lost:
		return s.apply(x)
	case s.w.rng.IntN(3) == 0: // it has arrived, and its outcome is lost
		_ = s.apply(x)
	case s.w.rng.IntN(2) == 0: // it arrives some day
		s.mu.Lock()
		s.strays = append(s.strays, x)
		s.mu.Unlock()
	}
	if down {
		return errDown
	}
	return errCut
}

// Next implements journal.Log.
func (l *leased) Next() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.next
}

// First implements journal.Log.
func (l *leased) First() uint64 { return 1 }

// Read implements journal.Log: what this life has seen committed.
func (l *leased) Read(from uint64, fn func(journal.Record) error) error {
	l.mu.Lock()
	closed, next := l.closed, l.next
	l.mu.Unlock()
	if closed {
		return journal.ErrClosed
	}
	l.s.mu.Lock()
	lost := l.s.apart[l.n]
	rows := append([]row(nil), l.s.rows[:next-1]...)
	l.s.mu.Unlock()
	if lost {
		return errCut
	}
	return each(rows, from, fn)
}

func each(rows []row, from uint64, fn func(journal.Record) error) error {
	for _, r := range rows[min(uint64(len(rows)), max(from, 1)-1):] {
		if err := fn(r.Record); errors.Is(err, journal.ErrStop) {
			return nil
		} else if err != nil {
			return err
		}
	}
	return nil
}

// Close gives the lease back.
func (l *leased) Close() error {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed && !l.machine && l.epoch == l.s.epoch && !l.s.apart[l.n] {
		l.s.until = time.Now()
	}
	l.closed = true
	return nil
}
