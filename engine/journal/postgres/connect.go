package postgres

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// errParse tells nothing of the string, which may hold a password in any place
// that is not understood.
var errParse = errors.New("the connection string is not one of PostgreSQL (postgres://user@host:5432/database?sslmode=verify-full)")

// session is what each connection sets for itself, whatever a role or database
// has as a default: an append is not given up in the middle.
var session = map[string]string{
	"statement_timeout":                   "0",
	"idle_in_transaction_session_timeout": "0",
	"default_transaction_isolation":       "read committed",
	"timezone":                            "UTC",
}

// parse reads a connection string.
func parse(text, holder string) (*pgx.ConnConfig, error) {
	c, err := pgx.ParseConfig(text)
	if err != nil {
		return nil, errParse
	}
	for name, value := range session {
		c.RuntimeParams[name] = value
	}
	c.RuntimeParams["application_name"] = "mbp " + holder
	if c.ConnectTimeout == 0 || c.ConnectTimeout > dialTime {
		c.ConnectTimeout = dialTime
	}
	// A replica may lag behind what was promised: nothing is read there.
	c.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	return c, nil
}

// Place says where a connection string leads, without its password, for logs. It
// is empty if the string does not parse.
func Place(s string) string {
	c, err := pgx.ParseConfig(s)
	if err != nil {
		return ""
	}
	place := fmt.Sprintf("postgres://%s@%s:%d/%s", c.User, c.Host, c.Port, c.Database)
	for _, f := range c.Fallbacks {
		if f.Host != c.Host || f.Port != c.Port {
			place += fmt.Sprintf(" or %s:%d", f.Host, f.Port)
		}
	}
	return place
}

// Redact returns a connection string without its password. One that is no URL
// comes back as the place it leads to, one that does not parse as nothing.
func Redact(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" || Place(s) == "" {
		return Place(s)
	}
	if u.User != nil {
		u.User = url.User(u.User.Username())
	}
	if q := u.Query(); q.Has("password") || q.Has("sslpassword") {
		q.Del("password")
		q.Del("sslpassword")
		u.RawQuery = q.Encode()
	}
	return u.String()
}

// newPool makes the connections of who reads, on demand.
func newPool(ctx context.Context, base *pgx.ConnConfig) (*pgxpool.Pool, error) {
	c, err := pgxpool.ParseConfig("")
	if err != nil {
		return nil, errParse
	}
	c.ConnConfig = base.Copy()
	c.MaxConns, c.MinConns = readers, 0
	return pgxpool.NewWithConfig(ctx, c)
}

// connectWriter makes a connection for appends and checks what a commit on it is
// worth. It keeps its own idea of synchronous_commit from then on: who changes the
// setting of the server changes the next process.
func (l *Log) connectWriter(ctx context.Context) (*wire, error) {
	config, err := parse(l.cfg.URL, l.cfg.Holder)
	if err != nil {
		return nil, err
	}
	// An append costs less than to plan it for each batch anew.
	config.RuntimeParams["plan_cache_mode"] = "force_generic_plan"
	// A rival that takes over holds the row for one commit.
	config.RuntimeParams["lock_timeout"] = fmt.Sprint(l.cfg.Lease.Milliseconds())
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	commit, err := settings(ctx, conn)
	if err == nil {
		_, err = conn.Exec(ctx, "SELECT set_config('synchronous_commit', $1, false)", commit)
	}
	for _, s := range statements {
		if err == nil {
			_, err = conn.PgConn().Prepare(ctx, s.name, s.sql, nil)
		}
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close(ctx))
	}
	return newWire(conn.PgConn())
}
