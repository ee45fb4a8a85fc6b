// Package problem is the words in which the edge refuses: one table of stable codes
// with their status and title, and the errors that carry them to the caller.
//
// It promises: every code of the engine and of the edge is in the table once; a
// refusal says what its caller may know and keeps the cause apart, for the log;
// what nobody foresaw is a bare internal error that tells nothing of itself. It
// refuses to decide who hears what: that is the handler's.
//
// The documents follow RFC 9457, the header Retry-After RFC 9110, section 10.2.3.
package problem

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/wire"
	"github.com/mbp-market/mbp/engine/sequencer"
)

// Kind is what every problem of a code has in common.
type Kind struct {
	Code   string
	Status int
	Title  string
}

// The codes of the edge: refusals from before a decision.
const (
	Malformed       = "malformed"
	Unauthenticated = "unauthenticated"
	Forbidden       = "forbidden"
	NotFound        = "not_found"
	Method          = "method_not_allowed"
	Behind          = "behind"
	Conflict        = "idempotency_conflict"
	TooLarge        = "too_large"
	MediaType       = "unsupported_media_type"
	Overloaded      = "overloaded"
	Streams         = "too_many_streams"
	TooMany         = "too_many_requests"
	NotLeader       = "not_leader"
	Failed          = "failed"
	NoProvider      = "provider_unavailable"
	PIISuspected    = "pii_suspected"
	Internal        = "internal"
)

// Kinds returns the one table of problems: the edge's own words first, then every
// code of the engine but ok. not_found is a word of both. openapi.yaml lists the
// same.
func Kinds() []Kind { return slices.Clone(kinds) }

var kinds = []Kind{
	{Malformed, http.StatusBadRequest, "The request is not well-formed"},
	{Unauthenticated, http.StatusUnauthorized, "A valid API key, token or session is needed"},
	{Forbidden, http.StatusForbidden, "The roles of who asks do not allow this"},
	{NotFound, http.StatusNotFound, "There is nothing of that name"},
	{Method, http.StatusMethodNotAllowed, "This address does not know the method"},
	{Behind, http.StatusPreconditionFailed, "The wanted sequence is not reached yet"},
	{Conflict, http.StatusConflict, "The idempotency key was used for another request"},
	{TooLarge, http.StatusRequestEntityTooLarge, "The request is too large"},
	{MediaType, http.StatusUnsupportedMediaType, "The body must be application/json"},
	{PIISuspected, http.StatusUnprocessableEntity, "A text looks to hold personal data"},
	{Overloaded, http.StatusTooManyRequests, "The server is at its limit"},
	{Streams, http.StatusTooManyRequests, "Too many streams are open"},
	{TooMany, http.StatusTooManyRequests, "The API key asks too often"},
	{NotLeader, http.StatusServiceUnavailable, "This server takes no decisions now"},
	{Failed, http.StatusServiceUnavailable, "The outcome is unknown"},
	{NoProvider, http.StatusServiceUnavailable, "The identity provider does not answer"},
	{Internal, http.StatusInternalServerError, "Internal error"},
	{engine.InvalidCommand.String(), http.StatusUnprocessableEntity, "A field is out of range"},
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
	{engine.MarketChanged.String(), http.StatusConflict, "The market is not as it was quoted"},
	{engine.NotEligible.String(), http.StatusForbidden, "The account may not trade this market"},
}

// KindOf looks a code up; one that the table does not know is an internal error.
func KindOf(code string) Kind {
	for _, k := range kinds {
		if k.Code == code {
			return k
		}
	}
	return Kind{Internal, http.StatusInternalServerError, "Internal error"}
}

// Document is what the caller gets to read, in the form of RFC 9457.
type Document struct {
	Type     string     `json:"type"`
	Title    string     `json:"title"`
	Status   int        `json:"status"`
	Detail   string     `json:"detail,omitempty"`
	Code     string     `json:"code"`
	Seq      engine.Seq `json:"seq,omitempty"`      // of the decision that refused, or of the state that was looked at
	Instance string     `json:"instance,omitempty"` // where the decision can be read
}

// Refusal is an error that the caller gets to see.
type Refusal struct {
	Code       string
	Detail     string
	Seq        engine.Seq
	Decision   bool // seq is the decision that refused
	RetryAfter time.Duration
	Stored     bool   // the same request gets the same refusal, whenever it comes
	Allow      string // for method_not_allowed
	Cause      error  // for the log
}

// Error implements error.
func (e *Refusal) Error() string {
	if e.Detail == "" {
		return e.Code
	}
	return e.Code + ": " + e.Detail
}

// Unwrap returns the cause.
func (e *Refusal) Unwrap() error { return e.Cause }

// Rejected is the refusal of a decision.
func Rejected(d *engine.Decision, retryAfter time.Duration) *Refusal {
	return &Refusal{Code: d.Code.String(), Detail: d.Detail, Seq: d.Seq, Decision: true, RetryAfter: retryAfter}
}

// Replayed is the refusal of a decision that was answered before. To wait helps
// only who then asks anew.
func Replayed(d *engine.Decision) *Refusal {
	e := Rejected(d, 0)
	if KindOf(e.Code).Status == http.StatusTooManyRequests {
		e.Stored = true
		e.Detail = strings.TrimPrefix(e.Detail+"; this refusal is stored; use a new idempotency key", "; ")
	}
	return e
}

// Undecided says what became of a request that got no decision.
func Undecided(err error) *Refusal {
	switch {
	case errors.Is(err, sequencer.ErrOverloaded):
		return &Refusal{Code: Overloaded, Detail: "try again with the same idempotency key", RetryAfter: time.Second, Cause: err}
	case errors.Is(err, sequencer.ErrConflict):
		return &Refusal{Code: Conflict, Detail: "take a new Idempotency-Key, or repeat the first request unchanged", Cause: err}
	case errors.Is(err, sequencer.ErrRevoked):
		return &Refusal{Code: Unauthenticated, Detail: "the API key was revoked, and nothing was decided", Cause: err}
	case errors.Is(err, sequencer.ErrStopped):
		return &Refusal{Code: NotLeader, Detail: "nothing was decided; try again with the same idempotency key", RetryAfter: time.Second, Cause: err}
	case errors.Is(err, sequencer.ErrUnknown), errors.Is(err, context.DeadlineExceeded):
		return &Refusal{Code: Failed, Detail: "the request may or may not take effect; try again with the same idempotency key", RetryAfter: time.Second, Cause: err}
	}
	return &Refusal{Code: Internal, Cause: err}
}

// Of returns what the caller gets to see of any error. What is no refusal, or one of
// an unknown code, is an internal error with the reason as its cause.
func Of(err error) *Refusal {
	var e *Refusal
	var fault *wire.Fault
	var archived *sequencer.ArchivedError
	switch {
	case errors.As(err, &e):
		return e
	case errors.As(err, &archived):
		return &Refusal{Code: NotFound, Detail: archived.Error(), Cause: err}
	case errors.As(err, &fault):
		return &Refusal{Code: Malformed, Detail: fault.Detail}
	}
	return &Refusal{Code: Internal, Cause: err}
}

// Seconds is a wait as Retry-After tells it: whole seconds, never too few, at least 1.
func Seconds(wait time.Duration) string {
	return strconv.Itoa(max(1, int(math.Ceil(wait.Seconds()))))
}

// Document returns what is sent, and sets the headers that go with its status. An
// internal error says nothing of itself.
func (e *Refusal) Document(h http.Header) Document {
	k := KindOf(e.Code)
	if k.Code == Internal {
		e = &Refusal{Code: Internal}
	}
	switch k.Status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Bearer realm="mbp"`)
	case http.StatusMethodNotAllowed:
		h.Set("Allow", e.Allow)
	}
	if !e.Stored && (e.RetryAfter > 0 || k.Status == http.StatusTooManyRequests) {
		h.Set("Retry-After", Seconds(e.RetryAfter))
	}
	doc := Document{Type: "urn:mbp:problem:" + k.Code, Title: k.Title, Status: k.Status, Detail: e.Detail, Code: k.Code, Seq: e.Seq}
	if e.Decision {
		doc.Instance = fmt.Sprintf("/v1/decisions/%d", e.Seq)
	}
	return doc
}
