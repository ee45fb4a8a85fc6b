package httpapi

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/news"
	"github.com/mbp-market/mbp/engine/httpapi/problem"
	"github.com/mbp-market/mbp/engine/httpapi/wire"
)

// ExportQuery is what an export is to hold: trades, positions or decisions, as csv
// or parquet. First and Last bound its sequences, From and Until its times; 0 is no
// bound, but for Last, which is a decision that is durable.
type ExportQuery struct {
	Table, Format string
	First, Last   engine.Seq
	From, Until   engine.Time
}

// Export writes a table. What was written before an error is none.
type Export func(ctx context.Context, w io.Writer, q ExportQuery) error

// maxExports is how many exports are written at once: each reads the journal as fast
// as its disk gives it.
const maxExports = 2

// exportKinds are the formats with their media types.
var exportKinds = map[string]string{"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}

// exports answers GET /v1/exports/{table}. The status says that the query is good;
// a file that cannot be finished ends with its connection, so that no client takes
// a part for the whole.
func (a *API) exports(w http.ResponseWriter, c *call) {
	q, err := a.exportQuery(c)
	if err != nil {
		a.fail(w, c.r, err)
		return
	}
	select {
	case a.exporting <- struct{}{}:
		defer func() { <-a.exporting }()
	default:
		a.fail(w, c.r, tooMany(time.Second, "as many exports are being written as may be at once"))
		return
	}
	h := w.Header()
	h.Set("Content-Type", exportKinds[q.Format])
	h.Set("Content-Disposition", `attachment; filename="`+q.Table+"."+q.Format+`"`)
	h.Set("Cache-Control", "no-store")
	if c.r.Method == http.MethodHead {
		return
	}
	out := &paced{w: w}
	b := bufio.NewWriterSize(out, news.Piece)
	err = a.cfg.Export(c.r.Context(), b, q)
	if err == nil {
		err = b.Flush()
	}
	switch {
	case err == nil:
	case !out.begun: // the status is still to be said
		h.Del("Content-Disposition")
		a.fail(w, c.r, err)
	default:
		if c.r.Context().Err() == nil && !errors.Is(err, errSlow) {
			a.log.ErrorContext(c.r.Context(), "export", "table", q.Table, "err", err)
		}
		panic(http.ErrAbortHandler)
	}
}

func (a *API) exportQuery(c *call) (q ExportQuery, err error) {
	form, err := wire.ParseQuery(c.r.URL.RawQuery)
	if err != nil {
		return q, err
	}
	c.reads(form)
	q = ExportQuery{Table: c.Path("table"), Format: "csv", Last: a.seq.Durable()}
	if form.Given("format") {
		q.Format = form.Text("format", wire.MaxName)
	}
	q.First = engine.Seq(form.Positive("first"))
	if form.Given("last") {
		q.Last = engine.Seq(form.Positive("last"))
	}
	if form.Given("from") {
		q.From = form.Moment("from", true)
	}
	if form.Given("until") {
		q.Until = form.Moment("until", true)
	}
	if err := form.End(); err != nil {
		return q, err
	}
	switch durable := a.seq.Durable(); {
	case a.cfg.Export == nil:
		return q, &problem.Refusal{Code: problem.NotFound, Detail: "this server writes no exports"}
	case q.Table != "trades" && q.Table != "positions" && q.Table != "decisions":
		return q, &problem.Refusal{Code: problem.NotFound, Detail: "the tables are trades, positions and decisions", Seq: durable}
	case exportKinds[q.Format] == "":
		return q, wire.Malformed("format is csv or parquet")
	case q.Last > durable:
		return q, &problem.Refusal{Code: problem.Behind, Detail: "last is not reached yet", Seq: durable}
	case q.First > q.Last || q.From != 0 && q.Until != 0 && q.From > q.Until:
		return q, &problem.Refusal{Code: engine.InvalidCommand.String(), Detail: "the range ends before it begins", Seq: durable}
	case q.Table == "positions" && (form.Given("first") || form.Given("last") || q.From != 0 || q.Until != 0):
		return q, &problem.Refusal{Code: engine.InvalidCommand.String(), Detail: "positions are those of now; mbp export --data reads those of any time", Seq: durable}
	}
	return q, nil
}

// errSlow ends an export whose client takes nothing.
var errSlow = errors.New("the client takes nothing")

// paced is a response whose client has as long for each piece as that of a stream.
type paced struct {
	w     http.ResponseWriter
	begun bool
}

// Write implements io.Writer.
func (p *paced) Write(b []byte) (int, error) {
	p.begun = true
	if !news.Send(p.w, b) {
		return 0, errSlow
	}
	return len(b), nil
}
