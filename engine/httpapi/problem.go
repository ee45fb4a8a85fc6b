package httpapi

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/wire"
	"github.com/mbp-market/mbp/engine/sequencer"
)

// kind is what every problem of a code has in common.
type kind struct {
	code   string
	status int
	title  string
}

// The codes of the edge: refusals from before a decision.
const (
	codeMalformed       = "malformed"
	codeUnauthenticated = "unauthenticated"
	codeForbidden       = "forbidden"
	codeNotFound        = "not_found"
	codeMethod          = "method_not_allowed"
	codeBehind          = "behind"
	codeConflict        = "idempotency_conflict"
	codeTooLarge        = "too_large"
	codeMediaType       = "unsupported_media_type"
	codeOverloaded      = "overloaded"
	codeStreams         = "too_many_streams"
	codeTooMany         = "too_many_requests"
	codeNotLeader       = "not_leader"
	codeFailed          = "failed"
	codeInternal        = "internal"
)

// kinds is the one table of problems: the edge's own words first, then every
// code of the engine but ok. not_found is a word of both. openapi.yaml lists the
// same.
var kinds = []kind{
	{codeMalformed, http.StatusBadRequest, "The request is not well-formed"},
	{codeUnauthenticated, http.StatusUnauthorized, "A valid API key is needed"},
	{codeForbidden, http.StatusForbidden, "The API key's roles do not allow this"},
	{codeNotFound, http.StatusNotFound, "There is nothing of that name"},
	{codeMethod, http.StatusMethodNotAllowed, "This address does not know the method"},
	{codeBehind, http.StatusPreconditionFailed, "The wanted sequence is not reached yet"},
	{codeConflict, http.StatusConflict, "The idempotency key was used for another request"},
	{codeTooLarge, http.StatusRequestEntityTooLarge, "The request is too large"},
	{codeMediaType, http.StatusUnsupportedMediaType, "The body must be application/json"},
	{codeOverloaded, http.StatusTooManyRequests, "The server is at its limit"},
	{codeStreams, http.StatusTooManyRequests, "Too many streams are open"},
	{codeTooMany, http.StatusTooManyRequests, "The API key asks too often"},
	{codeNotLeader, http.StatusServiceUnavailable, "This server takes no decisions now"},
	{codeFailed, http.StatusServiceUnavailable, "The outcome is unknown"},
	{codeInternal, http.StatusInternalServerError, "Internal error"},
	{engine.InvalidCommand.String(), http.StatusBadRequest, "A field is out of range"},
	{engine.AccountNotFound.String(), http.StatusNotFound, "There is no such account"},
	{engine.MarketNotFound.String(), http.StatusNotFound, "There is no such market"},
	{engine.TemplateNotFound.String(), http.StatusNotFound, "There is no such template version"},
	{engine.KeyNotFound.String(), http.StatusNotFound, "There is no such API key"},
	{engine.AlreadyExists.String(), http.StatusConflict, "It exists already"},
	{engine.InsufficientFunds.String(), http.StatusUnprocessableEntity, "The available credits do not suffice"},
	{engine.InsufficientShares.String(), http.StatusUnprocessableEntity, "The held shares do not suffice"},
	{engine.RateLimited.String(), http.StatusTooManyRequests, "The account orders too fast"},
	{engine.MarketNotOpen.String(), http.StatusConflict, "The market is not open"},
	{engine.MarketClosed.String(), http.StatusConflict, "The market is past its close time"},
	{engine.PriceLimit.String(), http.StatusUnprocessableEntity, "Nothing can be filled within the price limit"},
	{engine.FOKUnfilled.String(), http.StatusUnprocessableEntity, "The order cannot be filled whole"},
	{engine.TooSmall.String(), http.StatusUnprocessableEntity, "The order rounds to nothing"},
	{engine.WrongState.String(), http.StatusConflict, "The state does not allow this"},
	{engine.SameApprover.String(), http.StatusConflict, "The proposer cannot approve"},
	{engine.TemplateBounds.String(), http.StatusUnprocessableEntity, "A parameter is outside the template's bounds"},
	{engine.LimitReached.String(), http.StatusConflict, "A capacity is used up"},
	{engine.LastAdmin.String(), http.StatusConflict, "Nobody else could add or revoke keys"},
	{engine.MarketFrozen.String(), http.StatusConflict, "The price guard stopped the market"},
	{engine.OrderNotFound.String(), http.StatusNotFound, "The account has no such open order"},
	{engine.PostOnlyTakes.String(), http.StatusUnprocessableEntity, "The order would trade at once"},
	{engine.SelfTrades.String(), http.StatusUnprocessableEntity, "The order would meet an order of its own account"},
	{engine.PositionLimit.String(), http.StatusUnprocessableEntity, "The account would pass the template's caps"},
	{engine.InterestLimit.String(), http.StatusUnprocessableEntity, "The market would pass the template's open interest"},
	{engine.CoolingDown.String(), http.StatusConflict, "The market cools down after a price spike"},
	{engine.AccountLimited.String(), http.StatusForbidden, "A moderator limited the account"},
	{engine.ReadOnly.String(), http.StatusConflict, "Nothing is traded now"},
	{engine.VoidWindowExceeded.String(), http.StatusUnprocessableEntity, "The effective time is before what the market remembers"},
	{engine.Draining.String(), http.StatusConflict, "The market's orders are still being worked off"},
}

// kindOf looks a code up; one that the table does not know is an internal error.
func kindOf(code string) kind {
	for _, k := range kinds {
		if k.code == code {
			return k
		}
	}
	return kind{codeInternal, http.StatusInternalServerError, "Internal error"}
}

// problem is an RFC 9457 document.
type problem struct {
	Type     string     `json:"type"`
	Title    string     `json:"title"`
	Status   int        `json:"status"`
	Detail   string     `json:"detail,omitempty"`
	Code     string     `json:"code"`
	Seq      engine.Seq `json:"seq,omitempty"`      // of the decision that refused, or of the state that was looked at
	Instance string     `json:"instance,omitempty"` // where the decision can be read
}

// refusal is an error that the caller gets to see.
type refusal struct {
	code       string
	detail     string
	seq        engine.Seq
	decision   bool // seq is the decision that refused
	retryAfter time.Duration
	stored     bool   // the same request gets the same refusal, whenever it comes
	allow      string // for method_not_allowed
	cause      error  // for the log
}

// Error implements error.
func (e *refusal) Error() string {
	if e.detail == "" {
		return e.code
	}
	return e.code + ": " + e.detail
}

func (e *refusal) Unwrap() error { return e.cause }

// rejected is the refusal of a decision.
func rejected(d *engine.Decision, retryAfter time.Duration) *refusal {
	return &refusal{code: d.Code.String(), detail: d.Detail, seq: d.Seq, decision: true, retryAfter: retryAfter}
}

// replayed is the refusal of a decision that was answered before. To wait helps
// only who then asks anew.
func replayed(d *engine.Decision) *refusal {
	e := rejected(d, 0)
	if kindOf(e.code).status == http.StatusTooManyRequests {
		e.stored = true
		e.detail = strings.TrimPrefix(e.detail+"; this refusal is stored; use a new idempotency key", "; ")
	}
	return e
}

// submitError says what became of a request that got no decision.
func submitError(err error) *refusal {
	switch {
	case errors.Is(err, sequencer.ErrOverloaded):
		return &refusal{code: codeOverloaded, detail: "try again with the same idempotency key", retryAfter: time.Second, cause: err}
	case errors.Is(err, sequencer.ErrConflict):
		return &refusal{code: codeConflict, detail: "take a new Idempotency-Key, or repeat the first request unchanged", cause: err}
	case errors.Is(err, sequencer.ErrRevoked):
		return &refusal{code: codeUnauthenticated, detail: "the API key was revoked, and nothing was decided", cause: err}
	case errors.Is(err, sequencer.ErrStopped):
		return &refusal{code: codeNotLeader, detail: "nothing was decided; try again with the same idempotency key", retryAfter: time.Second, cause: err}
	case errors.Is(err, sequencer.ErrUnknown), isTimeout(err):
		return &refusal{code: codeFailed, detail: "the request may or may not take effect; try again with the same idempotency key", retryAfter: time.Second, cause: err}
	}
	return &refusal{code: codeInternal, cause: err}
}

// fail answers with the problem of err. What is no refusal is a bare 500, with
// the reason in the log only.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	var e *refusal
	var fault *wire.Fault
	switch {
	case errors.As(err, &e):
	case errors.As(err, &fault):
		e = &refusal{code: codeMalformed, detail: fault.Detail}
	default:
		e = &refusal{code: codeInternal, cause: err}
	}
	k := kindOf(e.code)
	if k.status >= 500 {
		a.log.LogAttrs(r.Context(), levelOf(k.status), "request failed", attrs(r, k.code, e)...)
	}
	if k.code == codeInternal {
		a.metrics.internal.Inc()
		e = &refusal{code: codeInternal}
	}
	if !e.decision {
		a.count(w, k)
	}
	h := w.Header()
	switch k.status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Bearer realm="mbp"`)
	case http.StatusMethodNotAllowed:
		h.Set("Allow", e.allow)
	}
	if !e.stored && (e.retryAfter > 0 || k.status == http.StatusTooManyRequests) {
		h.Set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(e.retryAfter.Seconds())))))
	}
	p := problem{Type: "urn:mbp:problem:" + k.code, Title: k.title, Status: k.status, Detail: e.detail, Code: k.code, Seq: e.seq}
	if e.decision {
		p.Instance = fmt.Sprintf("/v1/decisions/%d", e.seq)
	}
	a.write(w, r, k.status, "application/problem+json", p)
}
