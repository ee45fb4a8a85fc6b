package postgres

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// wire is the writer's connection. The driver has made it and has no part in it any
// more: it would wait for each answer before it sends the next statement, and when a
// connection breaks it sends a cancellation for what was under way, which may be the
// wait of a commit for its replica. Each statement is a prepared one and a transaction
// of its own. One goroutine sends, and one receives beside it.
type wire struct {
	conn    net.Conn
	out     []byte             // owned by who sends
	answers *pgproto3.Frontend // owned by who receives
}

func newWire(c *pgconn.PgConn) (*wire, error) {
	h, err := c.Hijack()
	if err != nil {
		return nil, err
	}
	return &wire{conn: h.Conn, answers: h.Frontend}, nil
}

// close ends the connection without a word: what is under way there is committed or
// not, and is not waited for.
func (w *wire) close() { _ = w.conn.Close() }

// binaryFormat is the format of all parameters, or of all columns.
var binaryFormat = []int16{1}

// send puts a statement on its way.
func (w *wire) send(until time.Time, name string, params [][]byte) (err error) {
	bind := pgproto3.Bind{PreparedStatement: name, ParameterFormatCodes: binaryFormat, Parameters: params, ResultFormatCodes: binaryFormat}
	b := w.out[:0]
	for _, m := range [...]pgproto3.FrontendMessage{&bind, &pgproto3.Execute{}, &pgproto3.Sync{}} {
		if b, err = m.Encode(b); err != nil {
			return err
		}
	}
	if w.out = b; cap(b) > keepBuffer {
		w.out = nil
	}
	if err := w.conn.SetWriteDeadline(until); err != nil {
		return err
	}
	_, err = w.conn.Write(b)
	return err
}

// result is what a statement gave.
type result struct {
	rows int64    // that it touched
	row  [][]byte // the last one that it returned
}

// receive waits for the answer to the oldest statement under way. After an error
// nobody knows whether it was committed. A warning is an error, too: it is how the
// database says that an operator cut short the wait for a replica.
func (w *wire) receive(until time.Time) (out result, err error) {
	if err := w.conn.SetReadDeadline(until); err != nil {
		return out, err
	}
	for {
		message, broken := w.answers.Receive()
		if broken != nil {
			return out, errors.Join(err, broken)
		}
		switch m := message.(type) {
		case *pgproto3.DataRow:
			out.row = out.row[:0]
			for _, v := range m.Values {
				out.row = append(out.row, append([]byte(nil), v...))
			}
		case *pgproto3.CommandComplete:
			out.rows = pgconn.NewCommandTag(string(m.CommandTag)).RowsAffected()
		case *pgproto3.ErrorResponse:
			err = errors.Join(err, pgconn.ErrorResponseToPgError(m))
		case *pgproto3.NoticeResponse:
			if m.SeverityUnlocalized == "WARNING" {
				err = errors.Join(err, fmt.Errorf("the database warns: %s", m.Message))
			}
		case *pgproto3.ReadyForQuery:
			return out, err
		}
	}
}
