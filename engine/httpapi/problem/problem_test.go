package problem_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/problem"
	"github.com/mbp-market/mbp/engine/httpapi/wire"
	"github.com/mbp-market/mbp/engine/sequencer"
)

func TestProblemsOfEveryCode(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range problem.Kinds() {
		if seen[k.Code] || k.Title == "" || k.Status < 400 {
			t.Errorf("%+v", k)
		}
		seen[k.Code] = true
	}
	for _, c := range engine.Codes() {
		if seen[c.String()] == (c == engine.OK) {
			t.Errorf("engine code %s: in the table %v", c, seen[c.String()])
		}
	}
	if k := problem.KindOf("never heard of"); k.Status != http.StatusInternalServerError || k.Code != problem.Internal {
		t.Errorf("%+v", k)
	}
}

// An internal error tells nothing of itself, wherever it comes from; a refusal
// within others keeps its words.
func TestOnlyRefusalsSpeak(t *testing.T) {
	secret := errors.New("disk /dev/sda1 is gone")
	for _, c := range []struct {
		err          error
		code, detail string
		retry        string
	}{
		{secret, problem.Internal, "", ""},
		{&problem.Refusal{Code: "of another world", Detail: "what it says", Cause: secret}, problem.Internal, "", ""},
		{fmt.Errorf("read: %w", &problem.Refusal{Code: problem.Behind, Detail: "wait", Cause: secret}), problem.Behind, "wait", ""},
		{fmt.Errorf("read: %w", &sequencer.ArchivedError{Kept: 7}), problem.NotFound, "decisions before 7 are in an archive that this server does not read", ""},
		{wire.Malformed("amount is no number"), problem.Malformed, "amount is no number", ""},
		{problem.Undecided(sequencer.ErrOverloaded), problem.Overloaded, "try again with the same idempotency key", "1"},
	} {
		h := http.Header{}
		doc := problem.Of(c.err).Document(h)
		if doc.Code != c.code || doc.Detail != c.detail || doc.Status != problem.KindOf(c.code).Status || h.Get("Retry-After") != c.retry {
			t.Errorf("%v: %+v %v", c.err, doc, h)
		}
	}
}

// TestMadeIsTheSame: a refusal that is made ahead is what one that is made for its
// request is, for every wait.
func TestMadeIsTheSame(t *testing.T) {
	for _, wait := range []time.Duration{0, time.Microsecond, time.Second, 1500 * time.Millisecond, time.Hour} {
		made, want := httptest.NewRecorder(), http.Header{}
		problem.Make(problem.TooMany, "later").Send(made, wait)
		e := problem.Refusal{Code: problem.TooMany, Detail: "later", RetryAfter: wait}
		doc, err := json.Marshal(e.Document(want))
		if err != nil {
			t.Fatal(err)
		}
		if got := made.Header(); made.Body.String() != string(doc)+"\n" || made.Code != http.StatusTooManyRequests || got.Get("Retry-After") != want.Get("Retry-After") {
			t.Errorf("%s: %d %v %s, want %v %s", wait, made.Code, got, made.Body, want, doc)
		}
	}
}
