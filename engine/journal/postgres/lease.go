package postgres

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mbp-market/mbp/engine/journal"
)

// channel is where each append, takeover and return of the lease is told.
const channel = "mbp_journal"

// The statements of the writer. Each is one transaction, and each begins with the
// row of the lease, which the condition locks and checks in one: who waits for the
// lock sees the row anew when it has it.
const (
	stmtTake   = "take"
	stmtAppend = "append"
	stmtRenew  = "renew"
	stmtPart   = "part"
)

var statements = []struct{ name, sql string }{
	{stmtTake, `UPDATE mbp.lease
SET epoch = epoch + 1, holder = $1::text, until = clock_timestamp() + $2::bigint * interval '1 microsecond'
WHERE until <= clock_timestamp()
RETURNING epoch, next`},
	{stmtAppend, `WITH mine AS (
  UPDATE mbp.lease
  SET next = $7::bigint, until = clock_timestamp() + $8::bigint * interval '1 microsecond'
  WHERE epoch = $5::bigint AND next = $6::bigint
  RETURNING pg_notify('` + channel + `', '')
)
INSERT INTO mbp.record (seq, at, crc, records, payload)
SELECT s, $9::bigint, c, n, p
FROM mine, unnest($2::bigint[], $3::integer[], $4::integer[], $1::bytea[]) AS r (s, c, n, p)`},
	{stmtRenew, `UPDATE mbp.lease SET until = clock_timestamp() + $2::bigint * interval '1 microsecond' WHERE epoch = $1::bigint`},
	{stmtPart, `UPDATE mbp.lease SET until = clock_timestamp() WHERE epoch = $1::bigint RETURNING pg_notify('` + channel + `', '')`},
}

func int64Param(v int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(v)) }

func (l *Log) epochParam() [][]byte { return [][]byte{int64Param(l.epoch)} }

// able says why the writer's part cannot be played.
func (l *Log) able() error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	switch {
	case l.closed:
		return journal.ErrClosed
	case l.failure != nil:
		return fmt.Errorf("%w: %w", journal.ErrFailed, l.failure)
	}
	return nil
}

// writer is the writer's connection, if there is one, and whether batches are under
// way on it.
func (l *Log) writer() (w *wire, busy bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.wire, len(l.flights) > 0
}

// hangUp closes the writer's connection; who waits for an answer there gets an error.
func (l *Log) hangUp() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.wire != nil {
		l.wire.close()
		l.wire = nil
	}
}

// exec has one statement sent and answered while nothing else is under way. After an
// error the connection is gone.
func (l *Log) exec(w *wire, limit time.Duration, name string, params [][]byte) (out result, err error) {
	l.receiveMu.Lock()
	defer l.receiveMu.Unlock()
	until := time.Now().Add(limit)
	if err = w.send(until, name, params); err == nil {
		out, err = w.receive(until)
	}
	if err != nil {
		l.hangUp()
	}
	return out, err
}

// Take implements journal.Shared. The end of the table is looked for only when the
// new epoch is committed: nothing of an older one can follow.
func (l *Log) Take() error {
	l.sendMu.Lock()
	defer l.sendMu.Unlock()
	if err := l.able(); err != nil {
		return err
	}
	if w, _ := l.writer(); w != nil {
		return nil
	}
	err := l.take()
	if err != nil {
		l.hangUp()
		return fmt.Errorf("take the lease: %w", err)
	}
	l.sent = l.Next()
	l.cfg.Logger.Info("this process holds the journal", "epoch", l.epoch, "next", l.sent, "holder", l.cfg.Holder)
	l.metrics.held(l.epoch)
	close(l.taken)
	return nil
}

func (l *Log) take() error {
	ctx, cancel := context.WithTimeout(context.Background(), lookTime)
	defer cancel()
	w, err := l.connectWriter(ctx)
	if err != nil {
		return err
	}
	l.mu.Lock()
	l.wire = w
	l.mu.Unlock()
	got, err := l.exec(w, l.cfg.Patience, stmtTake, [][]byte{[]byte(l.cfg.Holder), int64Param(l.cfg.Lease.Microseconds())})
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == "55P03" { // lock_not_available: an append is under way
		return fmt.Errorf("%w: its row is in use", journal.ErrLocked)
	} else if err != nil {
		return err
	}
	if got.rows == 0 {
		return journal.ErrLocked
	}
	l.epoch = int64(binary.BigEndian.Uint64(got.row[0]))
	l.mu.Lock()
	l.renewed = time.Now()
	l.mu.Unlock()
	conn, err := l.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	state, err := l.look(ctx, conn.Conn())
	if err != nil {
		return err
	}
	if state.epoch != l.epoch { // it took us longer than the lease
		return journal.ErrLocked
	}
	return nil
}

// fail ends the writer's part for good. What is left of it is the return of the
// lease, if the connection is good for that.
func (l *Log) fail(err error) error {
	l.mu.Lock()
	if l.failure == nil {
		l.failure = err
	}
	next := l.next
	l.mu.Unlock()
	l.metrics.lost()
	l.cfg.Logger.Error("journal has failed and takes nothing more", "next", next, "err", err)
	return err
}

// Run renews the lease while no append does, once there is one, and watches for
// synchronous replicas, until ctx ends. An error means that the journal has
// failed.
func (l *Log) Run(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-l.taken:
	}
	every := time.NewTicker(l.cfg.Lease / 3)
	defer every.Stop()
	for {
		if err := l.renew(); err != nil {
			return fmt.Errorf("journal: %w", err)
		}
		l.countReplicas(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-every.C:
		}
	}
}

func (l *Log) renew() error {
	l.sendMu.Lock()
	defer l.sendMu.Unlock()
	if err := l.able(); errors.Is(err, journal.ErrClosed) {
		return nil
	} else if err != nil {
		return err
	}
	l.mu.RLock()
	w, busy, since := l.wire, len(l.flights) > 0, time.Since(l.renewed)
	l.mu.RUnlock()
	if busy || since < l.cfg.Lease/4 { // an append renews it
		return nil
	}
	begin := time.Now()
	got, err := l.exec(w, l.cfg.Patience, stmtRenew, [][]byte{int64Param(l.epoch), int64Param(l.cfg.Lease.Microseconds())})
	if err == nil && got.rows == 0 {
		err = ErrFenced
	}
	if err != nil {
		return l.fail(fmt.Errorf("renew the lease: %w", err))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.renewed = begin
	return nil
}

// state is the row of the lease.
type state struct {
	epoch int64
	left  time.Duration // until it ends by the database's clock; not above 0: it is free
}

// look reads where the log ends, and checks that what was read before is still
// there.
func (l *Log) look(ctx context.Context, conn *pgx.Conn) (state, error) {
	l.mu.RLock()
	seen := l.seen
	l.mu.RUnlock()
	var s state
	var next, first, last, left int64
	var crc *int32
	err := conn.QueryRow(ctx, `SELECT epoch, next,
  CASE WHEN until <= clock_timestamp() THEN 0 ELSE (extract(epoch FROM until - clock_timestamp()) * 1000000)::bigint END,
  coalesce((SELECT min(seq) FROM mbp.record), next), coalesce((SELECT seq + records - 1 FROM mbp.record ORDER BY seq DESC LIMIT 1), next - 1),
  (SELECT crc FROM mbp.record WHERE seq = $1)
FROM mbp.lease`, int64(seen.seq)).Scan(&s.epoch, &next, &left, &first, &last, &crc)
	if err != nil {
		return s, err
	}
	s.left = time.Duration(left) * time.Microsecond
	if last != next-1 {
		return s, &journal.CorruptError{Place: "table mbp.record", Offset: last, Seq: uint64(last) + 1, Reason: fmt.Sprintf("the lease says that it goes on to %d", next-1)}
	}
	if seen.seq > 0 && (crc == nil || uint32(*crc) != seen.crc) {
		return s, fmt.Errorf("%w: record %d", journal.ErrForked, seen.seq)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next, l.first, l.leased = uint64(next), uint64(first), s.left > 0
	return s, nil
}

// errHeld: who holds the log has nobody to wait for.
var errHeld = errors.New("this process holds the journal")

// Await implements journal.Shared.
func (l *Log) Await(ctx context.Context) (free bool, err error) {
	l.earMu.Lock()
	defer l.earMu.Unlock()
	select {
	case <-l.taken:
		return false, errHeld
	default:
	}
	if l.isClosed() {
		return false, journal.ErrClosed
	}
	defer func() {
		if err != nil {
			l.deafen()
		}
	}()
	if l.ear == nil {
		if err := l.listen(ctx); err != nil {
			return false, err
		}
	}
	before := l.Next()
	s, err := l.glance(ctx)
	if err != nil || l.Next() != before || s.left <= 0 {
		return s.left <= 0, err
	}
	wait, cancel := context.WithTimeout(ctx, min(poll, s.left))
	defer cancel()
	err = l.ear.PgConn().WaitForNotification(wait)
	if err != nil && (ctx.Err() != nil || wait.Err() == nil) {
		return false, err
	}
	s, err = l.glance(ctx)
	return s.left <= 0, err
}

// poll is how often a standby looks although it has heard nothing: what is told
// may be lost with the server that told it.
const poll = 500 * time.Millisecond

// glance is a look that does not take long.
func (l *Log) glance(ctx context.Context) (state, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	return l.look(ctx, l.ear)
}

func (l *Log) listen(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	config, err := parse(l.cfg.URL, l.cfg.Holder)
	if err != nil {
		return err
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
		return errors.Join(err, conn.Close(ctx))
	}
	l.ear = conn
	return nil
}

// deafen ends the connection that hears of appends; the next Await makes another.
func (l *Log) deafen() {
	if l.ear != nil {
		ctx, cancel := context.WithTimeout(context.Background(), partTime)
		defer cancel()
		_ = l.ear.Close(ctx)
		l.ear = nil
	}
}
