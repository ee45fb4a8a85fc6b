// Package postgres is the store of texts of servers that share a journal in
// PostgreSQL: a table of the same database, so that each server finds what another
// took, and a person has one pseudonym at all of them.
//
// It promises what package texts promises, as far as a database can: a text is
// committed before its id is told; an erasure deletes the rows and has the table
// written anew, so that its files have them no more. What the write-ahead log, its
// archive, replicas and backups of the database keep, and for how long, is the
// database's to say (PostgreSQL, chapter 25).
//
// It refuses what package texts refuses, and to wait for a database that is away.
package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/texts"
)

const (
	// connections bounds those of a server: texts are few.
	connections = 4
	// patience is how long an operation may take; writing the table anew, too, which
	// holds some thousand rows.
	patience = 10 * time.Second
)

// table is made by the first server that may. Who runs a server without owning the
// schema needs SELECT, INSERT, UPDATE and DELETE on it, and USAGE on its sequence.
const table = `
CREATE SCHEMA IF NOT EXISTS mbp;
CREATE TABLE IF NOT EXISTS mbp.text (
  n bigserial PRIMARY KEY,
  id bytea NOT NULL UNIQUE,
  kind text NOT NULL,
  salt bytea,
  person bytea UNIQUE,
  request bytea,
  author text NOT NULL DEFAULT '',
  account bigint NOT NULL DEFAULT 0,
  about bigint NOT NULL DEFAULT 0,
  market bigint NOT NULL DEFAULT 0,
  decision bigint NOT NULL DEFAULT 0,
  at bigint NOT NULL,
  body text NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS text_request ON mbp.text (request);
CREATE INDEX IF NOT EXISTS text_author ON mbp.text (author);
CREATE INDEX IF NOT EXISTS text_account ON mbp.text (account);
CREATE INDEX IF NOT EXISTS text_about ON mbp.text (about);
CREATE INDEX IF NOT EXISTS text_decision ON mbp.text (decision);
COMMENT ON TABLE mbp.text IS 'what can be forgotten: texts that the journal knows by id, and who stands behind a pseudonym'`

// Store is the table. It is safe for concurrent use, of several processes, too.
type Store struct{ pool *pgxpool.Pool }

// Open connects, and makes the table unless it is there.
func Open(ctx context.Context, url string) (*Store, error) {
	c, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, errors.New("texts: the connection string is not one of PostgreSQL") // it may hold a password
	}
	c.MaxConns, c.MinConns = connections, 0
	c.ConnConfig.RuntimeParams["application_name"] = "mbp texts"
	c.ConnConfig.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite // a replica may lag behind what was told
	pool, err := pgxpool.NewWithConfig(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("texts: %w", err)
	}
	s := &Store{pool}
	if err := s.make(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("texts: make the table: %w", err)
	}
	return s, nil
}

func (s *Store) make(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var there bool
	if err := s.pool.QueryRow(ctx, "SELECT to_regclass('mbp.text') IS NOT NULL").Scan(&there); err != nil || there {
		return err
	}
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		// One at a time, and the others find it done.
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock(hashtext('mbp.migration'))"); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, table)
		return err
	})
}

// Close closes the connections.
func (s *Store) Close() error {
	s.pool.Close()
	return nil
}

func limited() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), patience)
}

// Put is texts.Store's. Requests of one author wait for each other, so that a retry
// finds what it repeats.
func (s *Store) Put(d texts.Draft) (id engine.Digest, err error) {
	if err := d.Fault(); err != nil {
		return id, err
	}
	ctx, cancel := limited()
	defer cancel()
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock(hashtextextended('mbp.text ' || $1, 0))", d.Author); err != nil {
			return err
		}
		var was []byte
		var written int
		err := tx.QueryRow(ctx, "SELECT count(*), (SELECT id FROM mbp.text WHERE request = $2 AND body = $3 LIMIT 1) FROM mbp.text WHERE author = $1",
			d.Author, d.Request[:], d.Text).Scan(&written, &was)
		switch {
		case err != nil:
			return err
		case was != nil && d.Request != engine.Tag{}:
			id = engine.Digest(was)
			return nil
		case written >= texts.MaxOfAuthor:
			return fmt.Errorf("%w: of one author", texts.ErrFull)
		}
		e := texts.Salted(d)
		id = e.ID
		_, err = tx.Exec(ctx, "INSERT INTO mbp.text (id, kind, salt, request, author, account, about, market, decision, at, body) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
			e.ID[:], string(e.Kind), e.Salt, e.Request[:], e.Author, int64(e.Account), int64(e.About), int64(e.Market), int64(e.Of), int64(e.At), e.Text)
		return err
	})
	if err != nil {
		return engine.Digest{}, fmt.Errorf("texts: %w", err)
	}
	return id, nil
}

// Person is texts.Store's.
func (s *Store) Person(index engine.Digest, at engine.Time) (id engine.Digest, account engine.AccountID, err error) {
	ctx, cancel := limited()
	defer cancel()
	var fresh engine.Digest
	_, _ = rand.Read(fresh[:]) // it never fails
	for range 2 {
		var was []byte
		err = s.pool.QueryRow(ctx, "SELECT id, account FROM mbp.text WHERE person = $1", index[:]).Scan(&was, &account)
		if err == nil {
			return engine.Digest(was), account, nil
		}
		if !errors.Is(err, pgx.ErrNoRows) {
			break
		}
		if _, err = s.pool.Exec(ctx, "INSERT INTO mbp.text (id, kind, person, at) VALUES ($1, $2, $3, $4) ON CONFLICT (person) DO NOTHING",
			fresh[:], string(texts.Identity), index[:], int64(at)); err != nil {
			break
		}
	}
	return id, 0, fmt.Errorf("texts: %w", err)
}

// Bind is texts.Store's.
func (s *Store) Bind(id engine.Digest, account engine.AccountID) error {
	ctx, cancel := limited()
	defer cancel()
	if _, err := s.pool.Exec(ctx, "UPDATE mbp.text SET account = $2 WHERE id = $1 AND person IS NOT NULL", id[:], int64(account)); err != nil {
		return fmt.Errorf("texts: %w", err)
	}
	return nil
}

// Rekey is texts.Store's.
func (s *Store) Rekey(before, index, known engine.Digest, at engine.Time) (id engine.Digest, account engine.AccountID, ok bool, err error) {
	ctx, cancel := limited()
	defer cancel()
	find := func() error {
		var was []byte
		err := s.pool.QueryRow(ctx, "SELECT id, account FROM mbp.text WHERE person = $1", index[:]).Scan(&was, &account)
		if ok = err == nil; ok {
			copy(id[:], was)
		}
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return err
	}
	if err := find(); err != nil || ok {
		return id, account, ok, wrap(err)
	}
	tag, err := s.pool.Exec(ctx, "UPDATE mbp.text SET person = $2, at = $3 WHERE person = $1 AND NOT EXISTS (SELECT FROM mbp.text WHERE person = $2)", before[:], index[:], int64(at))
	if err == nil && tag.RowsAffected() == 0 && known != (engine.Digest{}) {
		_, err = s.pool.Exec(ctx, "INSERT INTO mbp.text (id, kind, person, at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
			known[:], string(texts.Identity), index[:], int64(at))
	}
	if err == nil {
		err = find()
	}
	return id, account, ok, wrap(err)
}

func wrap(err error) error {
	if err != nil {
		return fmt.Errorf("texts: %w", err)
	}
	return nil
}

// Texts is texts.Store's.
func (s *Store) Texts(ids []engine.Digest) (map[engine.Digest]string, error) {
	all, err := s.find("id = ANY($1) AND person IS NULL", len(ids), bytesOf(ids))
	if err != nil {
		return nil, err
	}
	out := map[engine.Digest]string{}
	for _, e := range all {
		out[e.ID] = e.Text
	}
	return out, nil
}

func bytesOf(ids []engine.Digest) [][]byte {
	out := make([][]byte, len(ids))
	for i := range ids {
		out[i] = ids[i][:]
	}
	return out
}

// Notes is texts.Store's.
func (s *Store) Notes(of engine.Seq, most int) ([]texts.Entry, error) {
	return s.find("decision = $1 AND kind = 'note'", most, int64(of))
}

// concerns says which rows are an account's ($1), or stand behind digests ($2).
const concerns = "$1 <> 0 AND (account = $1 OR about = $1) OR person IS NOT NULL AND id = ANY($2)"

// Concerning is texts.Store's.
func (s *Store) Concerning(account engine.AccountID, digests []engine.Digest, most int) ([]texts.Entry, error) {
	return s.find(concerns, most, int64(account), bytesOf(digests))
}

// selectRows names the columns of an entry.
const selectRows = "SELECT id, kind, salt, coalesce(person, ''), author, account, about, market, decision, at, body FROM mbp.text "

func scan(rows pgx.Rows) (e texts.Entry, err error) {
	var id, person []byte
	err = rows.Scan(&id, &e.Kind, &e.Salt, &person, &e.Author, &e.Account, &e.About, &e.Market, &e.Of, &e.At, &e.Text)
	copy(e.ID[:], id)
	copy(e.Index[:], person)
	return e, err
}

// Each calls fn with everything that the table of a database holds, in the order of
// writing, beside the servers that use it. Nothing is made or changed; without a table
// there is nothing.
func Each(ctx context.Context, url string, fn func(*texts.Entry)) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return errors.New("texts: the database does not answer") // the error may hold a password
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	err = pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		var there bool
		if err := tx.QueryRow(ctx, "SELECT to_regclass('mbp.text') IS NOT NULL").Scan(&there); err != nil || !there {
			return err
		}
		rows, err := tx.Query(ctx, selectRows+"ORDER BY n")
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			e, err := scan(rows)
			if err != nil {
				return err
			}
			fn(&e)
		}
		return rows.Err()
	})
	if err != nil {
		return fmt.Errorf("texts: %w", err)
	}
	return nil
}

// find returns the rows that a condition means, in the order of writing.
func (s *Store) find(condition string, most int, args ...any) (out []texts.Entry, err error) {
	ctx, cancel := limited()
	defer cancel()
	rows, err := s.pool.Query(ctx, selectRows+"WHERE "+condition+fmt.Sprintf(" ORDER BY n LIMIT %d", most), args...)
	if err != nil {
		return nil, fmt.Errorf("texts: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		e, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("texts: %w", err)
		}
		out = append(out, e)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("texts: %w", err)
	}
	return out, nil
}

// Erase is texts.Store's. The table is written anew, which its owner alone may do: by
// anybody else the rows are deleted, and their bytes stay in its files until they are
// used again.
func (s *Store) Erase(account engine.AccountID, digests []engine.Digest) (int, error) {
	ctx, cancel := limited()
	defer cancel()
	tag, err := s.pool.Exec(ctx, "DELETE FROM mbp.text WHERE "+concerns, int64(account), bytesOf(digests))
	if err != nil {
		return 0, fmt.Errorf("texts: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return 0, nil
	}
	if _, err := s.pool.Exec(ctx, "VACUUM (FULL) mbp.text"); err != nil {
		return int(tag.RowsAffected()), fmt.Errorf("texts: the rows are deleted, and the table is not written anew: %w", err)
	}
	return int(tag.RowsAffected()), nil
}
