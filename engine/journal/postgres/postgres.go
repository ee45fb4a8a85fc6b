// Package postgres is the journal in a PostgreSQL database: the same records as in
// the embedded one, in an append-only table that several processes follow and one
// at a time appends to. It promises what journal.Log promises on any PostgreSQL
// from 14 on that keeps its word about commits: an accepted batch is committed with
// synchronous_commit on, and so on a synchronous replica before anybody hears of
// it, if the database has one. It promises that who lost the lease cannot append,
// however late it wakes up, and that a database which no longer holds what was read
// from it is not gone on with. It refuses databases that lose commits by their
// settings, replicas, tables with gaps or damaged rows, and everything after a
// first failure. Replication, failover and backup are PostgreSQL's. A row holds as
// many records of a batch as fill a page, or half of one where the batch ends, because
// a row costs the database more than what is in it.
//
// The lease follows Gray and Cheriton (1989) with a fencing epoch. One row holds
// epoch, holder, the end of the lease by the database's clock, and the next
// sequence. An append is one transaction, and so is a takeover; both lock that row.
//
// Several appends may be under way on one connection, on which the database does one
// after the other.
//
// The crash story. An append is one statement, and so one transaction: it changes
// the lease's row only if the epoch and the next sequence are its own, and inserts
// only if it changed that row. So one that follows a refused one is refused, too:
// the next sequence is another than it begins with. A process that dies before the commit leaves
// nothing; after it, everything; and a transaction that is still under way when its
// sender is gone is committed before the row is free for a takeover, or finds a
// newer epoch and inserts nothing. A takeover sees the lease expired by
// clock_timestamp(), raises the epoch, commits, and only then looks for the end of
// the table, so nothing can follow what it finds. A commit is never cancelled: not
// by a context, and not by the driver, which would send a cancellation when a
// connection breaks and so end the wait for a replica, and has no part in the writer's
// connection therefore. Any error of an append means
// that nobody knows; the process stops, and the next one reads the tail.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mbp-market/mbp/engine/journal"
)

// Defaults and bounds.
const (
	// DefaultLease is how long the lease holds without being renewed. With a third of
	// it between renewals and a poll at its end, a standby decides about four seconds
	// after the death of the holder.
	DefaultLease = 3 * time.Second
	minLease     = time.Second
	maxLease     = time.Minute
	// DefaultPatience is how long an append may take. It is longer than a cluster
	// manager needs to drop a synchronous replica that is gone, because until then
	// every commit waits.
	DefaultPatience = 20 * time.Second
	// dialTime bounds one attempt to connect to one host, and the look of a standby: a
	// host that is gone without a word is noticed after it. lookTime bounds what begins
	// with a connection, for which several hosts may be tried, and one query of a
	// reader.
	dialTime = 2 * time.Second
	lookTime = 10 * time.Second
	// partTime bounds the return of the lease when the journal is closed.
	partTime = 2 * time.Second
	// readers bounds the connections of who reads; more than that wait.
	readers = 6
)

// Config says which database. Only URL is required.
type Config struct {
	// URL is a connection string of PostgreSQL, as a URL or as keywords. It may name
	// several hosts; the one that takes writes is used. The password may come from
	// PGPASSWORD or a passfile. It is never logged and in no error.
	URL string
	// Existing refuses a database without the journal's tables, which are made
	// otherwise.
	Existing bool
	// Holder is what the lease says about who has it; host and process by default.
	Holder string
	// Lease is how long the lease holds without being renewed, DefaultLease by
	// default, 1 s..1 min.
	Lease time.Duration
	// Patience is how long an append may take, and how long a read is tried again,
	// before it counts as failed; DefaultPatience by default, at least Lease.
	Patience time.Duration
	// Registerer takes the metrics; nobody sees them by default.
	Registerer prometheus.Registerer
	// Logger hears of the lease and of failures; silent by default.
	Logger *slog.Logger
}

func (c Config) withDefaults() (Config, error) {
	var errs []error
	if c.URL == "" {
		errs = append(errs, errors.New("the connection string is missing"))
	}
	if c.Holder == "" {
		host, err := os.Hostname()
		errs = append(errs, err)
		c.Holder = fmt.Sprintf("%s/%d", host, os.Getpid())
	}
	if c.Lease == 0 {
		c.Lease = DefaultLease
	}
	if c.Lease < minLease || c.Lease > maxLease {
		errs = append(errs, fmt.Errorf("a lease of %s, must be %s..%s", c.Lease, minLease, maxLease))
	}
	if c.Patience == 0 {
		c.Patience = max(DefaultPatience, c.Lease)
	}
	if c.Patience < c.Lease {
		errs = append(errs, fmt.Errorf("appends of at most %s with a lease of %s", c.Patience, c.Lease))
	}
	if c.Registerer == nil {
		c.Registerer = prometheus.NewRegistry()
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, errors.Join(errs...)
}

// The errors of this journal beside those of package journal.
var (
	// ErrFenced: another process has taken the lease; stop, and start as a standby.
	ErrFenced = errors.New("the lease was lost to another process")
	// ErrSettings: commits of this database may be lost; see docs/runbooks/ha.md.
	ErrSettings = errors.New("the database does not keep commits as the journal needs it")
)

// Log is a journal.Log in a database. Follow makes one that only reads, until Take.
type Log struct {
	cfg     Config
	metrics *metrics
	pool    *pgxpool.Pool
	taken   chan struct{} // closed by the first Take that succeeds
	ended   chan struct{} // closed by Close

	sendMu sync.Mutex // held for one Append, Send, renewal, Take, or Close
	epoch  int64      // of the lease; owned by sendMu
	sent   uint64     // the sequence after the last batch that was sent; owned by sendMu
	buf    []byte     // owned by sendMu
	rows   []row      // of the batch that is sent, without payloads; owned by sendMu

	receiveMu sync.Mutex // held for one answer of the database to the writer; taken after sendMu

	earMu sync.Mutex // held by one Await
	ear   *pgx.Conn  // hears of appends; nil if it has to be made; owned by earMu

	mu      sync.RWMutex // guards what follows; taken last
	first   uint64
	next    uint64
	seen    mark // the newest row that somebody has read or appended
	leased  bool // whether somebody held the lease at the last look
	closed  bool
	wire    *wire     // of the writer; nil before Take, and once it is closed
	renewed time.Time // when the lease was last renewed
	failure error     // first failure
	flights []flight  // batches under way, oldest first
}

// mark is enough of a row to know it again.
type mark struct {
	seq uint64 // of its first record
	crc uint32
}

// flight is a batch that was sent.
type flight struct {
	begin time.Time // when it was sent
	first uint64
	rows  int
	next  uint64 // the sequence after it
	last  mark   // its last row
}

var (
	_ journal.Shared    = (*Log)(nil)
	_ journal.Pipelined = (*Log)(nil)
)

// Open makes the tables if they are not there, and takes the lease. It is
// journal.ErrLocked while another process holds that.
func Open(cfg Config) (*Log, error) {
	l, err := Follow(cfg)
	if err != nil {
		return nil, err
	}
	if err := l.Take(); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// Follow makes the tables if they are not there, and reads beside the process that
// holds the lease. Appends are refused with journal.ErrLocked until Take succeeds.
// It starts nothing.
func Follow(cfg Config) (*Log, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	l := &Log{cfg: cfg, taken: make(chan struct{}), ended: make(chan struct{}), first: 1, next: 1}
	if err := l.prepare(); err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	if l.metrics, err = newMetrics(cfg.Registerer); err != nil {
		return nil, errors.Join(fmt.Errorf("open journal: %w", err), l.Close())
	}
	return l, nil
}

// prepare checks settings and tables and looks where the table ends.
func (l *Log) prepare() error {
	ctx, cancel := context.WithTimeout(context.Background(), lookTime)
	defer cancel()
	config, err := parse(l.cfg.URL, l.cfg.Holder)
	if err != nil {
		return err
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := settings(ctx, conn); err != nil {
		return err
	}
	if err := migrate(ctx, conn, l.cfg.Existing); err != nil {
		return fmt.Errorf("tables: %w", err)
	}
	if _, err := l.look(ctx, conn); err != nil {
		return err
	}
	l.pool, err = newPool(ctx, config)
	return err
}

// Next implements journal.Log. Before Take it is as of the last look.
func (l *Log) Next() uint64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.next
}

// First implements journal.Log.
func (l *Log) First() uint64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.first
}

// Held reports whether a process, this one or another, held the lease at the last look.
func (l *Log) Held() bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.leased
}

func (l *Log) isClosed() bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.closed
}

// Close gives the lease back, if that can be done at once, and releases the
// connections. What is under way is given up, and the lease with it ends by itself.
func (l *Log) Close() error {
	l.sendMu.Lock()
	defer l.sendMu.Unlock()
	l.mu.Lock()
	was := l.closed
	l.closed = true
	l.mu.Unlock()
	if was {
		return nil
	}
	close(l.ended)
	l.part()
	if l.pool != nil {
		l.pool.Close()
	}
	l.earMu.Lock()
	defer l.earMu.Unlock()
	l.deafen()
	if l.metrics != nil {
		l.metrics.unregister(l.cfg.Registerer)
	}
	return nil
}

// part gives the lease back. Without it a standby waits for the lease's end.
func (l *Log) part() {
	if w, busy := l.writer(); w != nil && !busy {
		if _, err := l.exec(w, partTime, stmtPart, l.epochParam()); err != nil {
			l.cfg.Logger.Warn("the lease could not be given back and ends by itself", "err", err)
		}
	}
	l.hangUp()
}
