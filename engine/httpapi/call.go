package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/httpapi/identity"
	"github.com/mbp-market/mbp/engine/httpapi/meter"
	"github.com/mbp-market/mbp/engine/httpapi/personal"
	"github.com/mbp-market/mbp/engine/httpapi/problem"
	"github.com/mbp-market/mbp/engine/httpapi/several"
	"github.com/mbp-market/mbp/engine/httpapi/wire"
	"github.com/mbp-market/mbp/engine/sequencer"
)

// call is one authenticated request on its way through the edge.
type call struct {
	route         route
	r             *http.Request
	key           identity.Principal
	service                          // when it came
	limited       bool               // its rate refused it after all
	allowed       []engine.Suspected // texts that a moderator lets pass
	*wire.Request                    // the body of a mutation, the query of a read
}

// reads says what the function of the route reads.
func (c *call) reads(f *wire.Form) {
	c.Request = &wire.Request{Form: f, Path: c.r.PathValue, Account: c.key.Account, Roles: c.key.Roles, Groups: c.key.Groups}
}

// privileged reports whether the key passes by its roles, not by ownership.
func (c *call) privileged() bool { return c.route.roles == everyone || c.key.Roles.Has(c.route.roles) }

// keyed wraps a handler with authentication, the rate of the key, the table's roles and
// the rate of everybody: before a byte of the body is read. What a rate refuses is no
// DEC request: many quick refusals must not make slow decisions look better.
func (a *API) keyed(rt route, next func(http.ResponseWriter, *call)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		begin := time.Now()
		key, err := a.door.Enter(r)
		if err != nil {
			a.fail(w, r, identity.Refusal(err))
			return
		}
		meter.Name(w, key.Principal)
		a.cfg.LastDays.Note(key.SHA256)
		c := &call{route: rt, r: r, key: key, service: a.service()}
		if wait := a.pace(c); wait > 0 {
			a.turnAway(w, c, &a.tooFast, wait)
			return
		}
		if !c.privileged() && !rt.owner {
			a.fail(w, r, &problem.Refusal{Code: problem.Forbidden, Detail: "needs one of the roles " + strings.Join(rt.roles.Names(), ", ")})
			return
		}
		if wait := a.crowd(c); wait > 0 {
			a.turnAway(w, c, &a.pressing, wait)
			return
		}
		if rt.order {
			defer func() {
				if !c.limited {
					a.metrics.Latency.Observe(time.Since(begin).Seconds())
				}
			}()
		}
		next(w, c)
	}
}

// mutate turns a request into a command, has it decided, and answers with the
// decision. The request's context does not reach the sequencer: a client that
// goes away loses its answer, never half a decision.
func (a *API) mutate(w http.ResponseWriter, c *call) {
	if a.draining.Load() {
		a.fail(w, c.r, problem.Undecided(sequencer.ErrStopped))
		return
	}
	req, err := a.request(w, c)
	if err != nil {
		a.fail(w, c.r, err)
		return
	}
	if b, batch := req.Command.(*engine.Batch); batch {
		if e := a.items(c, len(b.Items)); e != nil {
			c.limited = true
			a.fail(w, c.r, e)
			return
		}
	}
	parts := a.parts(c, req)
	if !a.enter(c, len(parts)) {
		a.fail(w, c.r, a.shed(c, problem.Undecided(sequencer.ErrOverloaded)))
		return
	}
	defer a.underway.Add(-int64(len(parts)))
	got, err := a.submit(context.WithoutCancel(c.r.Context()), parts)
	lost := func() {
		for range parts {
			a.seq.CountOrchestrationError("answer")
		}
	}
	if isTimeout(err) { // the writer has it, and its client gets no decision
		lost()
	}
	if err != nil {
		a.fail(w, c.r, problem.Undecided(err))
		return
	}
	if len(c.allowed) > 0 {
		got = got[1:] // the answer is the decision that was asked for
	}
	for i := range got {
		if err := a.personal.Erased(got[i].Decision); err != nil {
			a.fail(w, c.r, &problem.Refusal{Code: problem.Failed, Detail: "it is decided, and what is held is not erased yet; ask again with the same idempotency key", RetryAfter: time.Second, Cause: err})
			return
		}
	}
	answered := false
	defer func() {
		if !answered { // a panic on the way
			lost()
		}
	}()
	a.decided(w, c, got)
	answered = true
}

// submit has one request decided, or several in their order.
func (a *API) submit(ctx context.Context, parts []sequencer.Request) ([]sequencer.Answer, error) {
	if len(parts) > 1 {
		return a.seq.SubmitAll(ctx, parts)
	}
	got, err := a.seq.Submit(ctx, parts[0])
	return []sequencer.Answer{got}, err
}

// decided answers with decisions, or with the refusal of the first one that is one.
func (a *API) decided(w http.ResponseWriter, c *call, got []sequencer.Answer) {
	replayed := true // all of them
	for i := range got {
		replayed = replayed && got[i].Replayed
	}
	if replayed {
		w.Header().Set("Idempotency-Replayed", "true")
	}
	doc := several.Doc{}
	for i := range got {
		d := got[i].Decision
		switch {
		case d.Code == engine.OK:
			doc.Seq, doc.Decisions = d.Seq, append(doc.Decisions, c.shown(d))
			continue
		case got[i].Replayed:
			a.fail(w, c.r, problem.Replayed(d))
		default:
			a.fail(w, c.r, problem.Rejected(d, a.retryAfter(d)))
		}
		return
	}
	if c.route.several {
		a.write(w, c.r, http.StatusCreated, "application/json", &doc)
		return
	}
	a.write(w, c.r, http.StatusCreated, "application/json", a.answerOf(doc.Decisions[0]))
}

func isTimeout(err error) bool { return errors.Is(err, context.DeadlineExceeded) }

// retryAfter is how long an account has to wait that ordered too fast.
func (a *API) retryAfter(d *engine.Decision) time.Duration {
	var account engine.AccountID
	switch x := d.Command.(type) {
	case *engine.PlaceOrder:
		account = x.Account
	case *engine.AmendOrder:
		account = x.Account
	}
	if d.Code != engine.RateLimited {
		return 0
	}
	var wait int64
	now := a.seq.Now()
	a.seq.View(func(s *core.State) { wait = s.RetryAfter(account, now) })
	return time.Duration(wait) * time.Microsecond
}

// request reads headers and body of a mutation.
func (a *API) request(w http.ResponseWriter, c *call) (sequencer.Request, error) {
	var none sequencer.Request
	key, err := wire.IdempotencyKey(c.r)
	if err != nil {
		return none, err
	}
	if err := a.mayAct(c); err != nil {
		return none, err
	}
	bare := c.r.Method == http.MethodDelete && c.r.ContentLength == 0 // not everybody sends a body with it
	if !bare && !wire.IsJSON(c.r.Header.Get("Content-Type")) {
		return none, &problem.Refusal{Code: problem.MediaType}
	}
	if c.r.URL.RawQuery != "" {
		return none, wire.Malformed("a mutation takes no query")
	}
	room := wire.Borrow()
	defer wire.Return(room) // the command has none of it
	body, err := wire.ReadInto(room, http.MaxBytesReader(w, c.r.Body, a.cfg.MaxBody), min(c.r.ContentLength, a.cfg.MaxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return none, &problem.Refusal{Code: problem.TooLarge, Detail: "the body has more bytes than allowed"}
	case err != nil:
		return none, &problem.Refusal{Code: problem.Malformed, Detail: "the body ends early", Cause: err}
	}
	if bare {
		body = []byte("{}")
	}
	c.reads(nil)
	command, err := c.Read(body, c.route.quick, c.route.command)
	if err != nil {
		return none, err
	}
	if err := c.screen(c.Suspects()); err != nil {
		return none, err
	}
	if err := a.mayTell(command); err != nil {
		return none, err
	}
	if err := a.personal.Hold(command, c.Prose, personal.Author{Principal: c.key.Principal, Account: c.key.Account, Key: key}); err != nil {
		return none, err
	}
	input, err := several.Content(command)
	if err != nil {
		return none, err
	}
	// The body may have taken its time, so the writer looks at the API key again.
	return sequencer.Request{
		Principal: c.key.Principal, Key: key, Input: input, Command: command, APIKey: c.key.SHA256, Taken: a.metrics.Admitted.Inc,
		Patience: submitTimeout,
	}, nil
}

// mutates reports whether a request asks for a decision.
func mutates(r *http.Request) bool { return r.Method != http.MethodGet && r.Method != http.MethodHead }

// write sends a document. A decision whose answer does not get out is an
// orchestration error of the stage "answer", except when the client is gone: it
// can have its answer any time with the same idempotency key. What counts then
// is a client that is there and gets nothing: a stuck line until the time limit,
// a document that does not encode, a panic.
func (a *API) write(w http.ResponseWriter, r *http.Request, status int, kind string, doc any) {
	room := wire.Borrow()
	defer wire.Return(room)
	b, err := several.Append(*room, doc)
	if err != nil {
		if mutates(r) {
			a.seq.CountOrchestrationError("answer")
		}
		a.fail(w, r, fmt.Errorf("encode answer: %w", err)) // a problem always encodes
		return
	}
	*room = append(b, '\n')
	a.send(w, r, status, kind, *room)
}

// send is write for a document that is encoded.
func (a *API) send(w http.ResponseWriter, r *http.Request, status int, kind string, b []byte) {
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Length", strconv.Itoa(len(b)))
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, err := w.Write(b)
	if err == nil {
		err = http.NewResponseController(w).Flush()
	}
	if err != nil && mutates(r) && errors.Is(err, os.ErrDeadlineExceeded) {
		a.seq.CountOrchestrationError("answer")
	}
}

// fail answers with the problem of err. What is no refusal is a bare 500, with
// the reason in the log only.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	e := problem.Of(err)
	k := problem.KindOf(e.Code)
	if k.Status >= 500 {
		a.log.LogAttrs(r.Context(), levelOf(k.Status), "request failed", append(meter.ID(w).Attrs(), attrs(r, k.Code, e)...)...)
	}
	if k.Code == problem.Internal {
		a.metrics.Internal.Inc()
	}
	if !e.Decision {
		a.count(w, k)
	}
	a.write(w, r, k.Status, "application/problem+json", e.Document(w.Header()))
}

// count notes a refusal from before a decision. The engine's own rejections are on
// record one by one, and other statuses are no refusals.
func (a *API) count(w http.ResponseWriter, k problem.Kind) {
	switch k.Status {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusRequestEntityTooLarge, http.StatusTooManyRequests:
		a.refused.Add(meter.Principal(w), k.Code)
	}
}

func levelOf(status int) slog.Level {
	if status == http.StatusServiceUnavailable {
		return slog.LevelWarn
	}
	return slog.LevelError
}

// attrs says of a failed request what may be said: the route, never its content.
func attrs(r *http.Request, code string, e *problem.Refusal) []slog.Attr {
	out := []slog.Attr{slog.String("route", r.Pattern), slog.String("code", code)}
	if e.Cause != nil {
		out = append(out, slog.Any("err", e.Cause))
	}
	return out
}

// measured has a route's answers counted, and answers 500 where its handler panics.
func (a *API) measured(route string, next http.HandlerFunc) http.Handler {
	return a.metrics.Measured(route, next, func(rec *meter.Recorder, r *http.Request, p any) {
		a.log.LogAttrs(r.Context(), slog.LevelError, "handler panicked", append(rec.ID.Attrs(),
			slog.String("route", route), slog.Any("panic", p), slog.String("stack", string(debug.Stack())))...)
		if rec.Status == 0 {
			a.fail(rec, r, &problem.Refusal{Code: problem.Internal})
		}
	})
}
