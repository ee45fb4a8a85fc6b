package postgres

import (
	"fmt"
	"time"

	"github.com/mbp-market/mbp/engine/journal"
)

// Append implements journal.Log: one statement, one commit.
func (l *Log) Append(first uint64, at int64, payloads [][]byte) error {
	l.sendMu.Lock()
	defer l.sendMu.Unlock()
	if err := l.able(); err != nil {
		return err
	}
	if _, busy := l.writer(); busy {
		return l.fail(fmt.Errorf("append batch %d: %w: another one is under way", first, journal.ErrBatch))
	}
	if err := l.send(first, at, payloads); err != nil {
		return err
	}
	return l.settle()
}

// Send implements journal.Pipelined. What was sent before may be refused: then the
// lease's row has another sequence than this batch begins with, and it is, too.
func (l *Log) Send(first uint64, at int64, payloads [][]byte) error {
	l.sendMu.Lock()
	defer l.sendMu.Unlock()
	if err := l.able(); err != nil {
		return err
	}
	return l.send(first, at, payloads)
}

func (l *Log) send(first uint64, at int64, payloads [][]byte) error {
	w, _ := l.writer()
	if w == nil {
		return journal.ErrLocked
	}
	err := journal.CheckBatch(l.sent, first, payloads)
	if err == nil {
		params := l.encode(first, at, payloads)
		last := l.rows[len(l.rows)-1]
		f := flight{begin: time.Now(), first: first, rows: len(l.rows), next: last.next(), last: mark{last.seq, last.crc}}
		if err = l.depart(f); err == nil {
			l.sent = f.next
			if err = w.send(f.begin.Add(l.cfg.Patience), stmtAppend, params); err != nil {
				l.hangUp()
			}
		}
		if cap(l.buf) > keepBuffer {
			l.buf = nil
		}
	}
	if err != nil {
		return l.fail(fmt.Errorf("append batch %d: %w", first, err))
	}
	return nil
}

// depart notes a batch as under way before it is, so that its answer finds it.
func (l *Log) depart(f flight) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.flights) == journal.MaxUnderWay {
		return fmt.Errorf("%w: %d are under way", journal.ErrBatch, len(l.flights))
	}
	l.flights = append(l.flights, f)
	return nil
}

// Settle implements journal.Pipelined.
func (l *Log) Settle() error { return l.settle() }

func (l *Log) settle() error {
	l.receiveMu.Lock()
	defer l.receiveMu.Unlock()
	if err := l.able(); err != nil {
		return err
	}
	l.mu.RLock()
	w, under := l.wire, len(l.flights)
	var f flight
	if under > 0 {
		f = l.flights[0]
	}
	l.mu.RUnlock()
	if w == nil || under == 0 {
		return l.fail(fmt.Errorf("%w: nothing is under way", journal.ErrBatch))
	}
	got, err := w.receive(f.begin.Add(l.cfg.Patience))
	if err == nil && got.rows != int64(f.rows) {
		err = ErrFenced
	}
	if err != nil {
		l.hangUp()
		if l.isClosed() {
			return journal.ErrClosed
		}
		return l.fail(fmt.Errorf("append batch %d: %w", f.first, err))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flights = append(l.flights[:0], l.flights[1:]...)
	l.renewed = f.begin
	l.next, l.seen = f.next, f.last
	return nil
}
