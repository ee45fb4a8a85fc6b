package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Problem is a refusal of the server, RFC 9457. Code is stable: either one of
// engine.Codes or a word of the edge (unauthenticated, overloaded, …).
type Problem struct {
	Type     string `json:"type"`
	Title    string `json:"title"`
	Status   int    `json:"status"`
	Detail   string `json:"detail,omitempty"`
	Code     string `json:"code"`
	Seq      uint64 `json:"seq,omitempty"`      // the decision that refused, or the state that was looked at
	Instance string `json:"instance,omitempty"` // where the decision can be read; empty: none was taken

	RetryAfter time.Duration `json:"-"` // how long the server asks to wait; 0 if it does not say
	Replayed   bool          `json:"-"` // the server had refused this idempotency key before
}

// Error says the code, and the detail if there is one.
func (p *Problem) Error() string {
	s := p.Code
	if s == "" {
		s = http.StatusText(p.Status)
	}
	if p.Detail != "" {
		s += ": " + p.Detail
	}
	return fmt.Sprintf("%s (status %d)", s, p.Status)
}

// Decided reports whether a decision of the engine refused, which is journalled
// under its idempotency key. Otherwise the refusal came before any decision.
func (p *Problem) Decided() bool { return p.Seq != 0 && p.Instance != "" }

// CodeOf returns the stable code of the problem in err, "" if it holds none.
func CodeOf(err error) string {
	if p := (*Problem)(nil); errors.As(err, &p) {
		return p.Code
	}
	return ""
}

const (
	maxDetail     = 500       // bytes of a foreign body that an error may quote
	maxRetryAfter = time.Hour // longer is a mistake of somebody
)

// problem reads the refusal in an answer. Whatever is between client and server
// may refuse too, in words of its own: then the code is http_<status>.
func problem(a answer, now time.Time) *Problem {
	p := &Problem{}
	kind, _, _ := mime.ParseMediaType(a.header.Get("Content-Type"))
	if kind != "application/problem+json" || json.Unmarshal(a.body, p) != nil || p.Code == "" {
		detail := strings.ToValidUTF8(string(a.body[:min(len(a.body), maxDetail)]), "")
		p = &Problem{Code: "http_" + strconv.Itoa(a.status), Title: http.StatusText(a.status), Detail: strings.TrimSpace(detail)}
	}
	p.Status = a.status
	p.Replayed = a.header.Get("Idempotency-Replayed") == "true"
	p.RetryAfter = retryAfter(a.header.Get("Retry-After"), now)
	return p
}

// retryAfter reads seconds or a date, RFC 9110 section 10.2.3.
func retryAfter(s string, now time.Time) time.Duration {
	if n, err := strconv.ParseUint(s, 10, 32); err == nil {
		return min(time.Duration(n)*time.Second, maxRetryAfter)
	}
	if at, err := http.ParseTime(s); err == nil {
		return min(max(at.Sub(now), 0), maxRetryAfter)
	}
	return 0
}
