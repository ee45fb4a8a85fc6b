package postgres_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/journal/journaltest"
	"github.com/mbp-market/mbp/engine/journal/postgres"
	"github.com/mbp-market/mbp/tests/pg"
)

// TestTablesAreMadeOnce: processes that start together make them together, and a
// program older than the tables leaves them alone.
func TestTablesAreMadeOnce(t *testing.T) {
	p := fresh(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			l, err := postgres.Follow(p.config())
			if err != nil {
				t.Error(err)
				return
			}
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	p.exec("INSERT INTO mbp.migration (version) VALUES (1000)")
	if _, err := postgres.Follow(p.config()); err == nil || !strings.Contains(err.Error(), "newer version") {
		t.Fatalf("tables of a newer version: %v", err)
	}
}

// TestFirstVersion: a journal of the first version, which had a row for each record, is
// gone on with, and reads as before; who may not make tables leaves it alone.
func TestFirstVersion(t *testing.T) {
	p := fresh(t)
	holder := p.open()
	for range 3 {
		grow(t, holder, 1)
	}
	if err := holder.Close(); err != nil {
		t.Fatal(err)
	}
	p.exec("ALTER TABLE mbp.record DROP COLUMN records", "DELETE FROM mbp.migration WHERE version > 1")
	old := p.config()
	old.Existing = true
	if _, err := postgres.Follow(old); err == nil || !strings.Contains(err.Error(), "older version") {
		t.Fatalf("tables of an older version: %v", err)
	}
	l := p.open()
	mustEnd(t, l, 3)
	grow(t, l, 60)
	grow(t, l, 1)
	if n := p.count("SELECT count(*) FROM mbp.record"); n >= 64 || n < 5 {
		t.Errorf("%d rows hold 64 records", n)
	}
	for from := uint64(1); from <= 64; from++ {
		err := l.Read(from, func(r journal.Record) error {
			if r.Seq != from || !bytes.Equal(r.Payload, journaltest.Payload(from, 1)) {
				t.Errorf("from %d begins with %d", from, r.Seq)
			}
			return journal.ErrStop
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	mustEnd(t, l, 64)
}

// grants are what docs/runbooks/ha.md gives to the role that runs the journal.
var grants = []string{
	"GRANT USAGE ON SCHEMA mbp TO mbp_app",
	"GRANT SELECT, INSERT ON mbp.record TO mbp_app",
	"GRANT SELECT, UPDATE ON mbp.lease TO mbp_app",
	"GRANT SELECT ON mbp.migration TO mbp_app",
	"GRANT pg_read_all_stats TO mbp_app",
}

// TestAppendOnly: the role that runs the journal can append and can change nothing
// that is there; neither can the owner.
func TestAppendOnly(t *testing.T) {
	p := fresh(t)
	p.exec("DROP ROLE IF EXISTS mbp_app", "CREATE ROLE mbp_app LOGIN")
	t.Cleanup(func() { p.exec("DROP OWNED BY mbp_app", "DROP ROLE mbp_app") })
	if err := p.follow().Close(); err != nil { // the owner makes the tables
		t.Fatal(err)
	}
	p.exec(grants...)
	config := p.config()
	config.URL = strings.Replace(p.url, "postgres@", "mbp_app@", 1)
	app := held(t)(postgres.Open(config))
	grow(t, app, 2)
	mustEnd(t, app, 2)
	conn, err := pgx.Connect(t.Context(), config.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	for _, c := range []*pgx.Conn{conn, p.conn} {
		for _, sql := range []string{"UPDATE mbp.record SET at = 0", "DELETE FROM mbp.record", "TRUNCATE mbp.record"} {
			if _, err := c.Exec(t.Context(), sql); err == nil {
				t.Errorf("%s: accepted from %s", sql, c.Config().User)
			}
		}
	}
	mustEnd(t, app, 2)
}

// TestSettingsThatLoseCommits are refused, whoever has set them.
func TestSettingsThatLoseCommits(t *testing.T) {
	p := fresh(t)
	refused := func(what string) {
		t.Helper()
		if _, err := postgres.Open(p.config()); !errors.Is(err, postgres.ErrSettings) {
			t.Errorf("%s: %v", what, err)
		}
	}
	name := p.conn.Config().Database
	for _, value := range []string{"off", "local", "remote_write"} {
		p.exec("ALTER DATABASE " + name + " SET synchronous_commit = " + value)
		refused(value)
	}
	p.exec("ALTER DATABASE " + name + " RESET synchronous_commit")
	for _, setting := range []string{"fsync", "full_page_writes"} {
		p.exec("ALTER SYSTEM SET "+setting+" = off", "SELECT pg_reload_conf()")
		pg.Shared(t).Await(t, "current_setting('"+setting+"') = 'off'")
		refused(setting)
		p.exec("ALTER SYSTEM RESET "+setting, "SELECT pg_reload_conf()")
		pg.Shared(t).Await(t, "current_setting('"+setting+"') = 'on'")
	}
	p.open()
}

// TestCutWaitForReplica: a commit whose wait for a replica was cut short by an
// operator is on one machine only, and is not taken for done.
func TestCutWaitForReplica(t *testing.T) {
	p := fresh(t)
	l := p.open()
	grow(t, l, 1)
	p.exec("ALTER SYSTEM SET synchronous_standby_names = 'absent'", "SELECT pg_reload_conf()")
	t.Cleanup(func() {
		p.exec("SET synchronous_commit = local", "ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_reload_conf()")
		pg.Shared(t).Await(t, "current_setting('synchronous_standby_names') = ''")
	})
	pg.Shared(t).Await(t, "current_setting('synchronous_standby_names') = 'absent'")
	appended := make(chan error, 1)
	go func() { // until one waits: the server's processes hear of the setting one after the other
		var err error
		for err == nil {
			err = l.Append(l.Next(), 2, journaltest.Batch(l.Next(), 1, 1))
		}
		appended <- err
	}()
	pg.Shared(t).Await(t, "EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query LIKE 'WITH mine%')")
	if err := p.follow().Read(l.Next(), func(r journal.Record) error { return errors.New("it is seen before it is replicated") }); err != nil {
		t.Error(err)
	}
	p.exec("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query LIKE 'WITH mine%'")
	if err := <-appended; err == nil || !strings.Contains(err.Error(), "canceling") {
		t.Fatalf("the append got %v", err)
	}
}

// wire stands between a journal and its database.
type wire struct {
	net.Listener
	to    string
	dials atomic.Int32
	cut   atomic.Int32 // 0: pass; 1: lose answers; 2: lose what is asked
	mu    sync.Mutex
	ends  []net.Conn
}

func newWire(t *testing.T, to string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{Listener: l, to: to}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			w.dials.Add(1)
			server, err := net.Dial("tcp", to)
			if err != nil {
				client.Close()
				return
			}
			w.mu.Lock()
			w.ends = append(w.ends, client, server)
			w.mu.Unlock()
			go w.carry(server, client, 2)
			go w.carry(client, server, 1)
		}
	}()
	t.Cleanup(func() {
		l.Close()
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, c := range w.ends {
			c.Close()
		}
	})
	return w
}

// carry copies one direction until it is cut; then the client's end is closed, and
// the server's is not, as when a machine in between is gone.
func (w *wire) carry(to, from net.Conn, cut int32) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 && w.cut.Load() == cut {
			if cut == 1 {
				to.Close()
			} else {
				from.Close()
			}
			return
		}
		if _, werr := to.Write(buf[:n]); err != nil || werr != nil {
			if errors.Is(err, io.EOF) {
				to.Close()
			}
			return
		}
	}
}

// TestUnknownCommit: when the connection breaks under an append, the batch is there
// whole or not at all, the journal takes nothing more, and no cancellation is sent.
func TestUnknownCommit(t *testing.T) {
	one := func(l *postgres.Log) error { return l.Append(3, 3, journaltest.Batch(3, 4, 1)) }
	two := func(l *postgres.Log) error {
		for first := uint64(3); first <= 7; first += 4 {
			if err := l.Send(first, 3, journaltest.Batch(first, 4, 1)); err != nil {
				return err
			}
		}
		return l.Settle()
	}
	for name, c := range map[string]struct {
		cut  int32
		act  func(*postgres.Log) error
		want uint64 // the last record that is there
	}{
		"the answer is lost":   {1, one, 6},
		"the batch is lost":    {2, one, 2},
		"two answers are lost": {1, two, 10},
		"two batches are lost": {2, two, 2},
	} {
		t.Run(name, func(t *testing.T) {
			p := fresh(t)
			host := p.conn.Config().Host
			addr := net.JoinHostPort(host, strings.Split(strings.Split(p.url, "@")[1], "/")[0][len(host)+1:])
			w := newWire(t, addr)
			config := p.config()
			config.URL = strings.Replace(p.url, addr, w.Addr().String(), 1)
			l := held(t)(postgres.Open(config))
			grow(t, l, 2)
			w.cut.Store(c.cut)
			before := w.dials.Load()
			if err := c.act(l); err == nil {
				t.Fatal("the append succeeded")
			}
			if err := l.Settle(); !errors.Is(err, journal.ErrFailed) {
				t.Fatalf("what was under way behind it: %v", err)
			}
			if err := l.Append(3, 3, journaltest.Batch(3, 4, 1)); !errors.Is(err, journal.ErrFailed) {
				t.Fatalf("after the failure: %v", err)
			}
			if c.cut == 1 {
				for p.count("SELECT next FROM mbp.lease") != int(c.want)+1 {
					time.Sleep(time.Millisecond) // what is waited for is told to nobody
				}
			}
			p.expire()
			next := p.open()
			if next.Next() != c.want+1 {
				t.Fatalf("the next holder begins at %d, want %d", next.Next(), c.want+1)
			}
			mustEnd(t, next, c.want)
			if n := w.dials.Load() - before; n != 0 {
				t.Errorf("%d connections were made after the break: a cancellation?", n)
			}
		})
	}
}

// TestRefusedBatchRefusesTheNext: a batch that is under way behind one that the
// database refuses is there when that is, and adds nothing, although nobody tells the
// database that its sender is gone.
func TestRefusedBatchRefusesTheNext(t *testing.T) {
	p := fresh(t)
	config := p.config()
	config.Lease = time.Second // and so long an append waits for the row
	l := held(t)(postgres.Open(config))
	grow(t, l, 1)
	p.exec("BEGIN", "SELECT FROM mbp.lease FOR UPDATE")
	for first := uint64(2); first <= 5; first += 3 {
		if err := l.Send(first, 2, journaltest.Batch(first, 3, 1)); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Settle(); err == nil || !strings.Contains(err.Error(), "lock timeout") {
		t.Fatalf("the first batch got %v", err)
	}
	pg.Shared(t).Await(t, "NOT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE 'WITH mine%')") // it has done the second one
	p.exec("ROLLBACK")
	p.expire()
	next := p.open()
	mustEnd(t, next, 1)
	if next.Next() != 2 {
		t.Errorf("the next holder begins at %d", next.Next())
	}
}

// TestSilentDatabase: a database that does not answer ends the append in its time.
func TestSilentDatabase(t *testing.T) {
	p := fresh(t)
	config := p.config()
	config.Lease, config.Patience = time.Second, time.Second
	l := held(t)(postgres.Open(config))
	grow(t, l, 1)
	p.exec("BEGIN", "LOCK TABLE mbp.record IN EXCLUSIVE MODE")
	var timeout net.Error
	if err := l.Append(2, 2, journaltest.Batch(2, 1, 1)); !errors.As(err, &timeout) && !strings.Contains(err.Error(), "lock timeout") {
		t.Errorf("the append got %v", err)
	}
	p.exec("ROLLBACK")
}

// TestSilentHost: of several hosts one takes connections and says nothing, as a machine
// that hangs. The other one is used, for everything.
func TestSilentHost(t *testing.T) {
	if os.Getenv("MBP_LONG") == "" {
		t.Skip("each connection waits two seconds for the silent host; MBP_LONG=1 runs it")
	}
	p := fresh(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	config := p.config()
	config.URL = strings.Replace(p.url, "@", "@"+silent.Addr().String()+",", 1)
	holder, standby := held(t)(postgres.Open(config)), held(t)(postgres.Follow(config))
	grow(t, holder, 3)
	if _, err := standby.Await(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustEnd(t, standby, 3)
	if err := holder.Close(); err != nil {
		t.Fatal(err)
	}
	if err := standby.Take(); err != nil {
		t.Fatal(err)
	}
}
