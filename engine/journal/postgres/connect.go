package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync/atomic"
	"time"

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
func (l *Log) connectWriter(ctx context.Context) (*pgconn.PgConn, error) {
	config, err := parse(l.cfg.URL, l.cfg.Holder)
	if err != nil {
		return nil, err
	}
	// An append costs less than to plan it for each batch anew.
	config.RuntimeParams["plan_cache_mode"] = "force_generic_plan"
	// A rival that takes over holds the row for one commit.
	config.RuntimeParams["lock_timeout"] = fmt.Sprint(l.cfg.Lease.Milliseconds())
	seal(&config.Config)
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		if n.SeverityUnlocalized == "WARNING" {
			l.warned = n.Message
		}
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	commit, err := settings(ctx, conn)
	if err == nil {
		_, err = conn.Exec(ctx, "SELECT set_config('synchronous_commit', $1, false)", commit)
	}
	raw := conn.PgConn()
	for _, s := range statements {
		if err == nil {
			_, err = raw.Prepare(ctx, s.name, s.sql, nil)
		}
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close(ctx))
	}
	sealed(raw)
	return raw, nil
}

// sealKey finds the seal in a connection's own data.
const sealKey = "mbp.seal"

// errSealed is what the driver gets when it wants to send a cancellation.
var errSealed = errors.New("a commit is never cancelled")

// seal has no further connection made for a session once it is sealed. The driver
// makes one to cancel what a broken connection was doing, and what is cancelled
// may be the wait of a commit for its replica.
func seal(c *pgconn.Config) {
	shut, dial := &atomic.Bool{}, c.DialFunc
	c.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if shut.Load() {
			return nil, errSealed
		}
		return dial(ctx, network, addr)
	}
	c.AfterConnect = func(_ context.Context, conn *pgconn.PgConn) error {
		conn.CustomData()[sealKey] = shut
		return nil
	}
}

func sealed(c *pgconn.PgConn) {
	if shut, ok := c.CustomData()[sealKey].(*atomic.Bool); ok {
		shut.Store(true)
	}
}

// hangUp closes the writer's connection without a word: what is under way there is
// committed or not, and is not waited for.
func (l *Log) hangUp() {
	if l.conn != nil {
		_ = l.conn.Conn().Close()
		l.conn = nil
	}
}

// exec runs a prepared statement as a transaction of its own and returns how many
// rows it touched and its first row. After an error nobody knows whether it was
// committed, and the connection is gone. A warning is an error, too: it is how the
// database says that an operator cut short the wait for a replica.
func (l *Log) exec(limit time.Duration, name string, params [][]byte) (out result, err error) {
	defer func() {
		if err != nil {
			l.hangUp()
		}
	}()
	l.warned = ""
	if err := l.conn.Conn().SetDeadline(time.Now().Add(limit)); err != nil {
		return out, err
	}
	reader := l.conn.ExecPrepared(context.Background(), name, params, binaryFormat, binaryFormat)
	for reader.NextRow() {
		out.row = out.row[:0]
		for _, v := range reader.Values() {
			out.row = append(out.row, append([]byte(nil), v...))
		}
	}
	tag, err := reader.Close()
	if err != nil {
		return out, err
	}
	if l.warned != "" {
		return out, fmt.Errorf("the database warns: %s", l.warned)
	}
	out.rows = tag.RowsAffected()
	return out, l.conn.Conn().SetDeadline(time.Time{})
}

// result is what a statement gave.
type result struct {
	rows int64
	row  [][]byte
}

// binaryFormat is the format of all parameters, or of all columns.
var binaryFormat = []int16{1}
