package httpapi

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/problem"
	"github.com/mbp-market/mbp/engine/httpapi/rate"
	"github.com/mbp-market/mbp/engine/sequencer"
)

// noted waits for the next summary from a sequence on.
func (e *edge) noted(from engine.Seq) *engine.Decision {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var found *engine.Decision
	done := errors.New("found")
	err := e.seq.Follow(ctx, from, func(c sequencer.Committed) error {
		if _, is := c.Decision.Command.(*engine.NoteRefusals); is {
			found = c.Decision
			return done
		}
		return nil
	})
	if !errors.Is(err, done) {
		e.t.Fatalf("no summary: %v", err)
	}
	return found
}

// TestRefusalsAreOnRecord: what the edge refuses is journalled as one summary by
// principal and reason, for auditors to read; what the engine refuses is not told
// twice.
func TestRefusalsAreOnRecord(t *testing.T) {
	e := start(t, options{cfg: func(c *Config) { c.Rates.Read = rate.Limit{PerSecond: 1, Burst: 3} }})
	account := e.funded(1000)
	e.market(account)
	ana, bob, audit := e.key("ana", engine.RoleTrader, account), e.key("bob", engine.RoleTrader, account), e.key("audit", engine.RoleAuditor, 0)
	for range 3 {
		e.get("/v1/me", "nobody's key")
		e.post("/v1/mode", ana, `{"mode":"lite","reason":"x"}`)
	}
	e.get("/v1/me", "")
	e.post("/v1/orders", ana, `{"surplus":1}`)
	e.post("/v1/orders", ana, `{"title":"`+strings.Repeat("x", DefaultMaxBody)+`"}`)
	for range 5 {
		e.get("/v1/markets", bob) // three pass
	}
	// None of these is a refusal of the edge: a decision, an address that is not
	// there, another body for a key, and what succeeds.
	rejected := e.post("/v1/orders", ana, strings.Replace(buyTen, `"mkt_1"`, `"mkt_9"`, 1))
	e.get("/v1/none", ana)
	e.post("/v1/orders", ana, buyTen, "Idempotency-Key", "one")
	e.post("/v1/orders", ana, strings.Replace(buyTen, "YES", "NO", 1), "Idempotency-Key", "one")
	before := e.seq.Durable()
	e.api.Drain()
	d := e.noted(before + 1)
	x, _ := d.Command.(*engine.NoteRefusals)
	want := []engine.Refusal{
		{Principal: "", Reason: problem.Unauthenticated, Count: 4},
		{Principal: "ana", Reason: problem.Forbidden, Count: 3},
		{Principal: "ana", Reason: problem.Malformed, Count: 1},
		{Principal: "ana", Reason: problem.TooLarge, Count: 1},
		{Principal: "bob", Reason: problem.TooMany, Count: 2},
	}
	if d.Code != engine.OK || d.Principal != engine.System || !reflect.DeepEqual(x.Refusals, want) || x.From > x.Until || x.Until > d.At {
		t.Errorf("%s by %s: %+v\nwant %+v", d.Code, d.Principal, x, want)
	}
	if rejected.code(t) != "market_not_found" {
		t.Errorf("%s", rejected.body)
	}
	page := e.get("/v1/decisions?after="+at(t, rejected.doc(t), "instance").(string)[len("/v1/decisions/"):], audit)
	if page.status != http.StatusOK || !strings.Contains(page.body, `"type":"note_refusals"`) || !strings.Contains(page.body, `{"principal":"bob","reason":"too_many_requests","count":2}`) {
		t.Errorf("%d %s", page.status, page.body)
	}
	if admitted, journalled := e.value("dec_admitted_total"), e.value("dec_journalled_total"); admitted != journalled {
		t.Errorf("%v admitted, %v journalled: a summary is no request", admitted, journalled)
	}
}

// watched counts what the edge does of its own.
type watched struct {
	Sequencer
	clock, notes atomic.Int64
	refusal      atomic.Pointer[error] // of the next summary; nil in it: the engine's own
}

func (w *watched) Now() engine.Time {
	w.clock.Add(1)
	return w.Sequencer.Now()
}

func (w *watched) Submit(ctx context.Context, r sequencer.Request) (sequencer.Answer, error) {
	if x, is := r.Command.(*engine.NoteRefusals); is {
		w.notes.Add(1)
		if err := w.refusal.Swap(nil); err != nil && *err != nil {
			return sequencer.Answer{}, *err
		} else if err != nil {
			r.Command = &engine.NoteRefusals{From: x.Until, Until: x.From - 1, Refusals: x.Refusals}
		}
	}
	return w.Sequencer.Submit(ctx, r)
}

// TestNoRefusalsNoRecord: an edge that refuses nobody writes nothing; a summary
// that finds the intake full, or no writer, or that the engine refuses, is told by
// the next one.
func TestNoRefusalsNoRecord(t *testing.T) {
	w := &watched{}
	e := start(t, options{seq: func(q Sequencer) Sequencer { w.Sequencer = q; return w }, api: func(a *API) { a.noting = time.Millisecond }})
	before := e.seq.Durable()
	for begin := w.clock.Load(); w.clock.Load() < begin+20; { // each tick looks at the clock
		time.Sleep(time.Millisecond)
	}
	if n := w.notes.Load(); n != 0 || e.seq.Durable() != before {
		t.Errorf("%d summaries of nothing, %d decisions", n, e.seq.Durable()-before)
	}
	for _, err := range []error{sequencer.ErrOverloaded, sequencer.ErrStandby, nil} {
		from, notes := e.seq.Durable()+1, w.notes.Load()
		w.refusal.Store(&err)
		e.get("/v1/me", "")
		d := e.noted(from)
		if err == nil { // on record as refused, then as it is
			if d.Code != engine.InvalidCommand {
				t.Errorf("%s, spoiled", d.Code)
			}
			d = e.noted(d.Seq + 1)
		}
		x, _ := d.Command.(*engine.NoteRefusals)
		if d.Code != engine.OK || len(x.Refusals) != 1 || x.Refusals[0].Count != 1 || w.notes.Load() != notes+2 {
			t.Errorf("%v: %s %+v after %d tries", err, d.Code, x, w.notes.Load()-notes)
		}
	}
}

// TestNobodyNotesRefusals: the command is the edge's own.
func TestNobodyNotesRefusals(t *testing.T) {
	e := start(t, options{})
	x := &engine.NoteRefusals{From: 1, Until: 2, Refusals: []engine.Refusal{{Reason: "malformed", Count: 1}}}
	got, err := e.seq.Submit(context.Background(), sequencer.Request{Principal: "admin", Command: x})
	if err != nil || got.Decision.Code != engine.WrongState {
		t.Errorf("%v %v", got.Decision, err)
	}
}
