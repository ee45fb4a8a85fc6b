package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// migrations make the tables, each one version from the one before. A migration
// that was ever released does not change. Who migrates owns the tables; who runs
// the journal needs no more than what docs/runbooks/ha.md grants: USAGE on the
// schema, SELECT and INSERT on record, SELECT and UPDATE on lease, SELECT on
// migration. The trigger holds for the owner, too.
//
// Payloads are stored as they are, in the table itself up to a row that fills a page:
// they are short, and compressing them costs more time than it saves disk. The first
// version had a row for each record; such rows stay as they are. The row of the lease is written with each append, and
// its page has room for that, so that no index changes.
var migrations = []string{`
CREATE TABLE mbp.record (
  seq bigint PRIMARY KEY CHECK (seq > 0),
  at bigint NOT NULL,
  crc integer NOT NULL,
  payload bytea NOT NULL
);
ALTER TABLE mbp.record ALTER COLUMN payload SET STORAGE EXTERNAL;
COMMENT ON TABLE mbp.record IS 'the journal: decisions in order, without gaps, never changed';
COMMENT ON COLUMN mbp.record.at IS 'microseconds since the Unix epoch, UTC, when its batch was handed over';
COMMENT ON COLUMN mbp.record.crc IS 'CRC-32C of seq, at and payload';
CREATE FUNCTION mbp.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the journal is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON mbp.record
  FOR EACH STATEMENT EXECUTE FUNCTION mbp.refuse();
CREATE TABLE mbp.lease (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  epoch bigint NOT NULL,
  next bigint NOT NULL,
  holder text NOT NULL,
  until timestamptz NOT NULL
) WITH (fillfactor = 10);
COMMENT ON TABLE mbp.lease IS 'one row: who may append, until when by the clock of the database, and at which sequence';
INSERT INTO mbp.lease (epoch, next, holder, until) VALUES (0, 1, '', '-infinity');
`, `
ALTER TABLE mbp.record ADD COLUMN records integer NOT NULL DEFAULT 1, SET (toast_tuple_target = 8160);
COMMENT ON TABLE mbp.record IS 'the journal: decisions in order, without gaps, never changed; a row holds one or several of a batch';
COMMENT ON COLUMN mbp.record.seq IS 'of the first decision of the row';
COMMENT ON COLUMN mbp.record.crc IS 'CRC-32C of seq, at, records if there are several, and payload';
COMMENT ON COLUMN mbp.record.records IS 'how many decisions payload holds: if several, each after its length in 4 bytes, big-endian';
`}

// oldest is the first server version that the journal is tested with.
const oldest = 140000

// What is wrong with tables.
var (
	errNewer  = errors.New("the tables are of a newer version of this program")
	errOlder  = errors.New("the tables are of an older version of this program; start mbp serve once as their owner")
	errAbsent = errors.New("this database holds no journal")
)

// migrate brings the tables to the newest version. Several processes may do so at
// once; who finds nothing to do needs no right to do it.
func migrate(ctx context.Context, conn *pgx.Conn, existing bool) error {
	have, err := version(ctx, conn)
	switch {
	case err != nil || have == len(migrations):
		return err
	case existing && have > 0:
		return errOlder
	case existing:
		return errAbsent
	}
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		// One at a time, and the others find it done.
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock(hashtext('mbp.migration'))"); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "CREATE SCHEMA IF NOT EXISTS mbp; "+
			"CREATE TABLE IF NOT EXISTS mbp.migration (version integer PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp())"); err != nil {
			return err
		}
		have, err := version(ctx, tx)
		if err != nil {
			return err
		}
		for v := have; v < len(migrations); v++ {
			if _, err := tx.Exec(ctx, migrations[v]); err != nil {
				return fmt.Errorf("version %d: %w", v+1, err)
			}
			if _, err := tx.Exec(ctx, "INSERT INTO mbp.migration (version) VALUES ($1)", v+1); err != nil {
				return fmt.Errorf("version %d: %w", v+1, err)
			}
		}
		return nil
	})
}

// querier is a connection or a transaction.
type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// version is how far the tables are migrated; 0 if there are none.
func version(ctx context.Context, conn querier) (int, error) {
	var there bool
	if err := conn.QueryRow(ctx, "SELECT to_regclass('mbp.migration') IS NOT NULL").Scan(&there); err != nil || !there {
		return 0, err
	}
	var have int
	if err := conn.QueryRow(ctx, "SELECT coalesce(max(version), 0) FROM mbp.migration").Scan(&have); err != nil {
		return 0, err
	}
	if have > len(migrations) {
		return 0, fmt.Errorf("%w: %d, it knows %d", errNewer, have, len(migrations))
	}
	return have, nil
}

// settings checks that a commit is worth something, and returns how the session
// waits for one.
func settings(ctx context.Context, conn querier) (commit string, err error) {
	var fsync, pages string
	var server int
	var replica bool
	err = conn.QueryRow(ctx, "SELECT current_setting('synchronous_commit'), current_setting('fsync'), "+
		"current_setting('full_page_writes'), current_setting('server_version_num')::int, pg_is_in_recovery()").
		Scan(&commit, &fsync, &pages, &server, &replica)
	if err != nil {
		return "", err
	}
	var errs []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf("%w: "+format, append([]any{ErrSettings}, args...)...))
		}
	}
	fault(server < oldest, "version %d, the oldest that is known to work is %d", server, oldest)
	fault(replica, "it is a replica")
	fault(commit != "on" && commit != "remote_apply", "synchronous_commit is %s, must be on or remote_apply", commit)
	fault(fsync != "on", "fsync is %s", fsync)
	fault(pages != "on", "full_page_writes is %s", pages)
	return commit, errors.Join(errs...)
}
