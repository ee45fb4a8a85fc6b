package pg_test

import (
	"os"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/mbp-market/mbp/tests/pg"
)

func TestMain(m *testing.M) { os.Exit(pg.Main(m)) }

// TestReplicaTakesOver: what the primary has confirmed is on the replica when the
// primary is gone, and the replica takes writes once it is promoted. The primary
// that comes back has it, too.
func TestReplicaTakesOver(t *testing.T) {
	primary := pg.Start(t, "synchronous_standby_names=second")
	replica := primary.Replica(t, "second")
	primary.Exec(t, "postgres", "CREATE TABLE seen (n int)", "INSERT INTO seen VALUES (7)")
	primary.Kill(t)
	if conn, err := pgx.Connect(t.Context(), primary.URL("postgres")); err == nil {
		conn.Close(t.Context())
		t.Fatal("a killed server answers")
	}
	replica.Promote(t)
	replica.Await(t, "NOT pg_is_in_recovery() AND (SELECT n FROM seen) = 7")
	replica.Exec(t, "postgres", "INSERT INTO seen VALUES (8)")
	if err := primary.Run(); err != nil {
		t.Fatal(err)
	}
	primary.Await(t, "7 = (SELECT n FROM seen)")
}

// TestSharedDatabasesAreApart: the tests of a package have one server, and each has
// a database of its own.
func TestSharedDatabasesAreApart(t *testing.T) {
	s := pg.Shared(t)
	if s != pg.Shared(t) {
		t.Fatal("two servers for one package")
	}
	if one, two := s.Database(t), s.Database(t); one == two {
		t.Fatal("one database for two tests")
	}
	s.Await(t, "2 = (SELECT count(*) FROM pg_database WHERE datname LIKE 'test%')")
}
