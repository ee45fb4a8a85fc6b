package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/journal/journaltest"
	"github.com/mbp-market/mbp/engine/journal/postgres"
	"github.com/mbp-market/mbp/tests/pg"
)

func TestMain(m *testing.M) { os.Exit(pg.Main(m)) }

// place is a database of the shared server, with nothing of a journal in it.
type place struct {
	t    *testing.T
	url  string
	conn *pgx.Conn
}

var database sync.Map // of a server: making one takes longer than most tests

func fresh(t *testing.T) place {
	t.Helper()
	server := pg.Shared(t)
	url, made := database.Load(server)
	if !made {
		url = server.Database(t)
		database.Store(server, url)
	}
	conn, err := pgx.Connect(t.Context(), url.(string))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	p := place{t, url.(string), conn}
	p.exec("DROP SCHEMA IF EXISTS mbp CASCADE")
	return p
}

func (p place) exec(statements ...string) {
	p.t.Helper()
	for _, sql := range statements {
		if _, err := p.conn.Exec(context.Background(), sql); err != nil {
			p.t.Fatalf("%s: %v", sql, err)
		}
	}
}

func (p place) count(sql string) (n int) {
	p.t.Helper()
	if err := p.conn.QueryRow(p.t.Context(), sql).Scan(&n); err != nil {
		p.t.Fatalf("%s: %v", sql, err)
	}
	return n
}

// expire ends the lease without waiting for it.
func (p place) expire() { p.t.Helper(); p.exec("UPDATE mbp.lease SET until = clock_timestamp()") }

func (p place) config() postgres.Config {
	return postgres.Config{URL: p.url, Holder: p.t.Name(), Lease: time.Minute}
}

func (p place) open() *postgres.Log {
	p.t.Helper()
	return held(p.t)(postgres.Open(p.config()))
}

func (p place) follow() *postgres.Log {
	p.t.Helper()
	return held(p.t)(postgres.Follow(p.config()))
}

func held(t *testing.T) func(*postgres.Log, error) *postgres.Log {
	return func(l *postgres.Log, err error) *postgres.Log {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		})
		return l
	}
}

func grow(t *testing.T, l journal.Log, n int) {
	t.Helper()
	first := l.Next()
	if err := l.Append(first, int64(first), journaltest.Batch(first, n, 1)); err != nil {
		t.Fatal(err)
	}
}

// last reads a log to its end and returns the last sequence.
func last(l journal.Log) (seq uint64, err error) {
	err = l.Read(0, func(r journal.Record) error {
		if !bytes.Equal(r.Payload, journaltest.Payload(r.Seq, 1)) {
			return fmt.Errorf("payload of %d differs", r.Seq)
		}
		seq = r.Seq
		return nil
	})
	return seq, err
}

func mustEnd(t *testing.T, l journal.Log, want uint64) {
	t.Helper()
	if got, err := last(l); err != nil || got != want {
		t.Fatalf("the log ends at %d, error %v, want %d", got, err, want)
	}
}

func TestConformance(t *testing.T) {
	journaltest.Run(t, func(t *testing.T) journaltest.Place {
		p := fresh(t)
		return journaltest.Place{Open: func() (journal.Log, error) { return postgres.Open(p.config()) }}
	})
	journaltest.RunPipelined(t, func(t *testing.T) journaltest.Place {
		p := fresh(t)
		return journaltest.Place{Open: func() (journal.Log, error) {
			l, err := postgres.Open(p.config())
			if errors.Is(err, journal.ErrLocked) { // what was given up left the lease to its end
				p.expire()
			}
			return l, err
		}}
	})
}

// TestTakeoverFences: who lost the lease adds nothing, and is told.
func TestTakeoverFences(t *testing.T) {
	p := fresh(t)
	reg := prometheus.NewRegistry()
	config := p.config()
	config.Registerer = reg
	old := held(t)(postgres.Open(config))
	grow(t, old, 3)
	next := p.follow()
	if err := next.Take(); !errors.Is(err, journal.ErrLocked) {
		t.Fatalf("a lease that holds was taken: %v", err)
	}
	if err := next.Append(4, 1, journaltest.Batch(4, 1, 1)); !errors.Is(err, journal.ErrLocked) {
		t.Fatalf("an append without the lease: %v", err)
	}
	p.expire()
	if err := next.Take(); err != nil {
		t.Fatal(err)
	}
	if err := old.Append(4, 1, journaltest.Batch(4, 2, 9)); !errors.Is(err, postgres.ErrFenced) {
		t.Fatalf("an append under an old epoch: %v", err)
	}
	if err := old.Append(4, 1, journaltest.Batch(4, 2, 9)); !errors.Is(err, journal.ErrFailed) {
		t.Fatalf("an append after the failure: %v", err)
	}
	grow(t, next, 2)
	mustEnd(t, next, 5)
	want := "# HELP mbp_journal_leader 1 if this process holds the lease of the journal, as far as it knows; else 0.\n# TYPE mbp_journal_leader gauge\nmbp_journal_leader 0\n"
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "mbp_journal_leader"); err != nil {
		t.Error(err)
	}
}

// TestIdleHolderIsTold: a holder that appends nothing learns from its renewal that
// the lease is gone, and one that has it keeps it.
func TestIdleHolderIsTold(t *testing.T) {
	p := fresh(t)
	config := p.config()
	config.Lease = time.Second
	old := held(t)(postgres.Open(config))
	p.exec("UPDATE mbp.lease SET until = '-infinity'")
	ran := make(chan error, 1)
	go func() { ran <- old.Run(t.Context()) }()
	for p.count("SELECT count(*) FROM mbp.lease WHERE until > clock_timestamp()") == 0 {
		time.Sleep(time.Millisecond) // what is waited for is told to nobody
	}
	p.expire()
	next := p.follow()
	for err := next.Take(); err != nil; err = next.Take() { // unless it was renewed in between
		if !errors.Is(err, journal.ErrLocked) {
			t.Fatal(err)
		}
		p.expire()
	}
	if err := <-ran; !errors.Is(err, postgres.ErrFenced) {
		t.Fatalf("the old holder ends with %v", err)
	}
}

// TestTakeoverWaitsForWhatIsUnderWay: an append that is not committed yet, and whose
// sender may be gone, is part of what the next holder finds.
func TestTakeoverWaitsForWhatIsUnderWay(t *testing.T) {
	p := fresh(t)
	old, next := p.open(), p.follow()
	grow(t, old, 1)
	p.expire()                                                      // and nobody has taken it: the append is good
	p.exec("BEGIN", "INSERT INTO mbp.record VALUES (2, 1, 1, 'x')") // the append gets the lease's row, and no further
	appended, took := make(chan error, 1), make(chan error, 1)
	go func() { appended <- old.Append(2, 2, journaltest.Batch(2, 2, 1)) }()
	server := pg.Shared(t)
	server.Await(t, "EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'WITH mine%')")
	go func() { took <- next.Take() }()
	server.Await(t, "EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%epoch + 1%')")
	p.exec("ROLLBACK")
	if err := <-appended; err != nil {
		t.Fatal(err)
	}
	if err := <-took; !errors.Is(err, journal.ErrLocked) {
		t.Fatalf("the append has renewed the lease, and it was taken: %v", err)
	}
	p.expire()
	if err := next.Take(); err != nil {
		t.Fatal(err)
	}
	if next.Next() != 4 {
		t.Fatalf("the next holder begins at %d", next.Next())
	}
	mustEnd(t, next, 3)
}

// TestStandbyHears: a follower is woken by an append and by the return of the lease,
// and reads the log to its end.
func TestStandbyHears(t *testing.T) {
	p := fresh(t)
	holder, standby := p.open(), p.follow()
	for n := uint64(1); n <= 5; n++ {
		grow(t, holder, 1)
		for standby.Next() <= n {
			if free, err := standby.Await(t.Context()); err != nil || free {
				t.Fatalf("free %v, error %v", free, err)
			}
		}
		mustEnd(t, standby, n)
	}
	if err := holder.Close(); err != nil {
		t.Fatal(err)
	}
	if free, err := standby.Await(t.Context()); err != nil || !free {
		t.Fatalf("the lease was given back: free %v, error %v", free, err)
	}
	if err := standby.Take(); err != nil {
		t.Fatal(err)
	}
	grow(t, standby, 1)
	if _, err := standby.Await(t.Context()); err == nil {
		t.Error("the holder waits for itself")
	}
}

// TestForkIsRefused: a database that holds something else where a record was read,
// as one that was promoted without it, is not gone on with.
func TestForkIsRefused(t *testing.T) {
	for name, change := range map[string][]string{
		"lost":    {"DELETE FROM mbp.record WHERE seq = 3", "UPDATE mbp.lease SET next = 3"},
		"another": {"UPDATE mbp.record SET crc = crc + 1 WHERE seq = 3"},
	} {
		t.Run(name, func(t *testing.T) {
			p := fresh(t)
			holder, standby := p.open(), p.follow()
			grow(t, holder, 2)
			grow(t, holder, 1)
			if _, err := standby.Await(t.Context()); err != nil {
				t.Fatal(err)
			}
			mustEnd(t, standby, 3)
			p.exec("SET session_replication_role = replica")
			p.exec(change...)
			if _, err := standby.Await(t.Context()); !errors.Is(err, journal.ErrForked) {
				t.Errorf("await: %v", err)
			}
			p.expire()
			if err := standby.Take(); !errors.Is(err, journal.ErrForked) {
				t.Errorf("take: %v", err)
			}
		})
	}
}

// TestDamageIsReported: each kind of damage to the table is found where it is, in rows
// of several records and in rows of one.
func TestDamageIsReported(t *testing.T) {
	for name, c := range map[string]struct {
		change string
		seq    uint64
		early  bool // it is found before anything is read
	}{
		"payload": {"UPDATE mbp.record SET payload = payload || '\\x00' WHERE seq = 2", 2, false},
		"bit":     {"UPDATE mbp.record SET payload = set_bit(payload, 0, 1 - get_bit(payload, 0)) WHERE seq = 5", 5, false},
		"time":    {"UPDATE mbp.record SET at = at + 1 WHERE seq = 5", 5, false},
		"fewer":   {"UPDATE mbp.record SET records = records - 1 WHERE seq = 2", 2, false},
		"one":     {"UPDATE mbp.record SET records = 1 WHERE seq = 2", 2, false},
		"none":    {"UPDATE mbp.record SET records = 0 WHERE seq = 2", 2, false},
		"several": {"UPDATE mbp.record SET records = 2 WHERE seq = 5", 5, false},
		"begin":   {"DELETE FROM mbp.record WHERE seq = 2", 2, false},
		"gap":     {"DELETE FROM mbp.record WHERE seq = 5", 5, false},
		"cut":     {"DELETE FROM mbp.record WHERE seq = 6", 6, true},
		"more":    {"INSERT INTO mbp.record VALUES (9, 1, 1, 'x')", 10, true},
	} {
		t.Run(name, func(t *testing.T) {
			p := fresh(t)
			l := p.open()
			for _, n := range []int{1, 3, 1, 2} { // rows at 1, 2, 5 and 6
				grow(t, l, n)
			}
			p.exec("SET session_replication_role = replica", c.change)
			_, err := last(l)
			if c.early {
				_, err = postgres.Follow(p.config())
			}
			var damage *journal.CorruptError
			if !errors.As(err, &damage) || damage.Seq != c.seq {
				t.Errorf("got %v", err)
			}
			if all, _ := p.examine(0); len(all) == 0 {
				t.Error("Examine finds nothing")
			}
		})
	}
}

// examine returns what does not hold in the table, one line each.
func (p place) examine(before uint64) (all []string, out postgres.Examined) {
	p.t.Helper()
	out, err := postgres.Examine(p.t.Context(), p.url, before, func(c *journal.CorruptError) {
		if uint64(c.Offset) != c.Seq || c.Place != "table mbp.record" {
			p.t.Errorf("it is at %s %d", c.Place, c.Offset)
		}
		all = append(all, fmt.Sprintf("%d: %s", c.Seq, c.Reason))
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return all, out
}

// TestExamineGoesOn: of a table with every kind of damage, each is told, with what it
// makes unreadable, and what is whole is counted.
func TestExamineGoesOn(t *testing.T) {
	p := fresh(t)
	l := p.open()
	for _, n := range []int{1, 3, 1, 2, 4, 1, 1, 2} { // rows at 1, 2, 5, 6, 8, 12, 13 and 14, to 15
		grow(t, l, n)
	}
	if all, out := p.examine(l.Next()); len(all) != 0 || out.Records != 15 || out.Bytes == 0 {
		t.Fatalf("of a whole table: %q, %+v", all, out)
	}
	if all, out := p.examine(6); len(all) != 0 || out.Records != 5 {
		t.Fatalf("before 6: %q, %+v", all, out)
	}
	p.exec("SET session_replication_role = replica",
		"UPDATE mbp.record SET payload = set_bit(payload, 9, 1 - get_bit(payload, 9)) WHERE seq = 2", "DELETE FROM mbp.record WHERE seq = 6",
		"UPDATE mbp.record SET records = records + 1 WHERE seq = 8", "DELETE FROM mbp.record WHERE seq = 12", "DELETE FROM mbp.record WHERE seq = 14")
	want := []string{
		"2: the checksum of its row is another; decisions 2 to 4 cannot be read", "6: decisions 6 to 7 are not there",
		"8: the checksum of its row is another; decisions 8 to 12 cannot be read", "14: decisions 14 to 15 are not there",
	}
	if all, out := p.examine(0); !slices.Equal(all, want) || out.Records != 3 {
		t.Errorf("%q, %+v", all, out)
	}
	p.exec("UPDATE mbp.record SET seq = 3 WHERE seq = 13")
	if all, _ := p.examine(0); len(all) != 4 || all[0] != "2: the checksum of its row is another; decisions 2 to 2 cannot be read" ||
		!strings.HasPrefix(all[1], "3: the checksum") {
		t.Errorf("a row elsewhere: %q", all)
	}
}

// TestLogOutput: what the journal tells its operator has no password in it.
func TestLogOutput(t *testing.T) {
	p := fresh(t)
	var out bytes.Buffer
	config := p.config()
	config.URL = strings.Replace(p.url, "postgres@", "postgres:hunter2@", 1)
	config.Logger = slog.New(slog.NewTextHandler(&out, nil))
	l := held(t)(postgres.Open(config))
	_ = l.Append(7, 1, nil)
	if strings.Contains(out.String(), "hunter2") || !strings.Contains(out.String(), "this process holds the journal") {
		t.Error(out.String())
	}
}

func TestPasswordIsInNoError(t *testing.T) {
	for _, url := range []string{
		"postgres://u:hunter2@127.0.0.1:1/db",
		"postgres://u:hunter2@127.0.0.1:abc/db",
		"postgres://u:hunter2@hunter2@127.0.0.1:port/db",
		"postgres://u:hunter2@[::1/db",
		"postgres:/u:hunter2@x",
		"host=127.0.0.1 port=1 password=hunter2 user=u",
		"host=127.0.0.1 port=x password='hunter2",
		"password=hunter2 sslmode=maybe",
		"postgres://u@127.0.0.1:1/db?password=hunter2&sslmode=nonsense",
	} {
		_, err := postgres.Open(postgres.Config{URL: url})
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", url, err)
		}
		for _, shown := range []string{postgres.Place(url), postgres.Redact(url)} {
			if strings.Contains(shown, "hunter2") {
				t.Errorf("%s is shown as %s", url, shown)
			}
		}
	}
	if got := postgres.Redact("postgres://u:hunter2@a:1,b:2/db?password=hunter2&sslmode=disable"); got != "postgres://u@a:1,b:2/db?sslmode=disable" {
		t.Errorf("redacted: %s", got)
	}
	if got := postgres.Place("postgres://u:hunter2@a:1,b:2/db?sslmode=disable"); got != "postgres://u@a:1/db or b:2" {
		t.Errorf("the place is %s", got)
	}
}

func TestConfigFaults(t *testing.T) {
	for _, c := range []postgres.Config{
		{}, {URL: "x", Lease: time.Millisecond}, {URL: "x", Lease: time.Hour}, {URL: "x", Lease: 2 * time.Second, Patience: time.Second},
	} {
		if _, err := postgres.Follow(c); err == nil {
			t.Errorf("%+v was accepted", c)
		}
	}
}
