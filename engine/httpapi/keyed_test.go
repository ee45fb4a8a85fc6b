package httpapi

import (
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
	"github.com/mbp-market/mbp/engine/httpapi/lastday"
	"github.com/mbp-market/mbp/engine/httpapi/problem"
)

// documented are the mutations of the contract, as METHOD /path.
func (c *contract) documented() map[string]bool {
	out := map[string]bool{}
	paths, _ := c.at("paths")
	for path, item := range paths.(map[string]any) {
		for method := range item.(map[string]any) {
			if method != "get" && strings.HasPrefix(path, "/v1/") {
				out[strings.ToUpper(method)+" "+path] = true
			}
		}
	}
	return out
}

// required reports whether a header has to be given, by the contract.
func (c *contract) required(path, method, header string) bool {
	op, _ := c.at("paths", path, strings.ToLower(method))
	for _, p := range asList(op.(map[string]any)["parameters"]) {
		v, _ := c.follow(p, "")
		if m := v.(map[string]any); m["in"] == "header" && m["name"] == header && m["required"] == true {
			return true
		}
	}
	return false
}

// TestEveryMutationHonoursItsKey walks the contract: each mutation asks for an
// idempotency key; without one nothing is decided; with one that was used the answer is
// the first one again, a refusal by the engine, too, and anything else under that key
// conflicts, and neither makes a decision.
func TestEveryMutationHonoursItsKey(t *testing.T) {
	e, c := start(t, options{}), openContract(t)
	account := e.funded(1_000_000)
	e.funded(1)
	e.market(account)
	key := e.key("all", engine.Roles(0x7f), account)
	left := c.documented()
	for _, b := range append(slices.Clone(bodies), body{path: "/v1/accounts/acc_2/personal-data"}) {
		path := strings.Replace(templated.Replace(b.path), "acc_2", "{account}", 1) // whom it erases loses the keys
		methods := []string{http.MethodPost}
		if left[http.MethodDelete+" "+path] {
			methods = append(methods, http.MethodDelete)
		}
		for _, method := range methods {
			if pattern := method + " " + path; left[pattern] {
				delete(left, pattern)
				if !c.required(path, method, "Idempotency-Key") {
					t.Errorf("%s: the contract does not ask for a key", pattern)
				}
				e.honours(method, b, key)
			}
		}
	}
	for pattern := range left {
		t.Errorf("%s has no body in this test", pattern)
	}
}

func (e *edge) honours(method string, b body, key string) {
	e.t.Helper()
	own := "of-" + strings.Map(func(r rune) rune {
		if r == '/' {
			return '-'
		}
		return r
	}, b.path)
	own = method + own[:min(len(own), 50)]
	send := func(path, body, idempotency string) reply {
		return e.send(method, path, key, body, "Content-Type", "application/json", "Idempotency-Key", idempotency)
	}
	decided := func() float64 { return e.value("dec_admitted_total") } // and not what the engine owes itself meanwhile
	before := decided()
	if r := send(b.path, b.with("", ""), ""); r.status != http.StatusBadRequest || r.code(e.t) != problem.Malformed || decided() != before {
		e.t.Errorf("%s %s without a key: %d %s", method, b.path, r.status, r.body)
	}
	first := send(b.path, b.with("", ""), own)
	if first.status == http.StatusBadRequest || first.status >= 500 || first.header.Get("Idempotency-Replayed") != "" {
		e.t.Errorf("%s %s: %d %v %s", method, b.path, first.status, first.header, first.body)
	}
	after := decided()
	if after == before {
		e.t.Errorf("%s %s: nothing was decided: %d %s", method, b.path, first.status, first.body)
	}
	again := send(b.path, b.with("", ""), own)
	if again.status != first.status || again.header.Get("Idempotency-Replayed") != "true" || again.doc(e.t)["seq"] != first.doc(e.t)["seq"] {
		e.t.Errorf("%s %s again: %d %s, first it was %d %s", method, b.path, again.status, again.body, first.status, first.body)
	}
	if r := e.post("/v1/accounts/acc_1/grants", key, `{"amount_micros":77}`, "Idempotency-Key", own); r.status != http.StatusConflict || r.code(e.t) != problem.Conflict {
		e.t.Errorf("%s %s: its key passes for another request: %d %s", method, b.path, r.status, r.body)
	}
	if got := decided(); got != after {
		e.t.Errorf("%s %s: %v decisions by repetitions", method, b.path, got-after)
	}
}

// TestWhoHasItGetsNoBody: a read with the tag of its document is answered by 304, and by
// the document again once there is another one; what is no read has no tag.
func TestWhoHasItGetsNoBody(t *testing.T) {
	e := start(t, options{})
	account := e.funded(1_000_000)
	e.market(account)
	e.seqReached(fmt.Sprint(e.seq.Durable()))
	read := 0
	for _, rt := range e.api.routes() {
		if rt.read == nil {
			continue
		}
		path := concrete(rt.path)
		first := e.get(path, e.admin)
		if first.status != http.StatusOK || strings.Contains(rt.path, "/audit/") || rt.path == "/v1/house" { // it needs more, or tells the time
			continue
		}
		read++
		tag := first.header.Get("Etag")
		if r := e.get(path, e.admin, "If-None-Match", `"x", W/`+tag); r.status != http.StatusNotModified || r.body != "" || r.header.Get("Etag") != tag || r.header.Get("Content-Type") != "" {
			t.Errorf("%s: %d %v %s", path, r.status, r.header, r.body)
		}
		if r := e.get(path, e.admin, "If-None-Match", `"x"`); r.status != http.StatusOK || r.body != first.body {
			t.Errorf("%s with another tag: %d %s", path, r.status, r.body)
		}
	}
	if read < 10 {
		t.Errorf("%d reads were looked at", read)
	}
	first := e.get("/v1/markets", e.admin)
	e.market(account)
	e.seqReached(fmt.Sprint(e.seq.Durable()))
	if r := e.get("/v1/markets", e.admin, "If-None-Match", first.header.Get("Etag")); r.status != http.StatusOK || r.header.Get("Etag") == first.header.Get("Etag") {
		t.Errorf("another document: %d %v", r.status, r.header)
	}
	for _, r := range []reply{e.get("/v1/me", ""), e.get("/healthz", ""), e.post("/v1/accounts", e.admin, `{}`)} {
		if r.header.Get("Etag") != "" {
			t.Errorf("%d has a tag", r.status)
		}
	}
}

// TestEveryNumberOfARequestIsBounded walks the contract: a client that makes numbers up
// by it makes none that the server cannot read.
func TestEveryNumberOfARequestIsBounded(t *testing.T) {
	c, seen := openContract(t), map[string]bool{}
	var walk func(v any, at string)
	walk = func(v any, at string) {
		v, pointer := c.follow(v, at)
		switch x := v.(type) {
		case map[string]any:
			if pointer != at && seen[pointer] {
				return
			}
			seen[pointer] = true
			kinds := asList(x["type"])
			if x["type"] == "integer" || slices.Contains(kinds, any("integer")) {
				if x["maximum"] == nil && x["enum"] == nil && x["const"] == nil {
					t.Errorf("%s has no maximum", pointer)
				}
			}
			for name, inner := range x {
				walk(inner, pointer+"/"+name)
			}
		case []any:
			for i, inner := range x {
				walk(inner, fmt.Sprintf("%s/%d", pointer, i))
			}
		}
	}
	paths, _ := c.at("paths")
	for path, item := range paths.(map[string]any) {
		for method, op := range item.(map[string]any) {
			walk(op.(map[string]any)["parameters"], path+" "+method+" parameters")
			walk(op.(map[string]any)["requestBody"], path+" "+method+" body")
		}
	}
	if len(seen) < 100 {
		t.Errorf("%d schemas: the contract is read wrongly", len(seen))
	}
}

// TestKeysSayWhenTheyWereUsed: whoever is let in was there today, whoever is turned away
// was not; where nobody remembers, nobody says so.
func TestKeysSayWhenTheyWereUsed(t *testing.T) {
	days := lastday.Open(lastday.Config{
		File: filepath.Join(t.TempDir(), "days"), Logger: slog.New(slog.DiscardHandler), Revoked: func(engine.Digest) bool { return false },
		Now: func() time.Time { return time.Date(2026, 11, 30, 23, 0, 0, 0, time.UTC) },
	})
	e := start(t, options{cfg: func(c *Config) { c.LastDays = days }})
	used, forbidden := e.key("used", engine.RoleAuditor, 0), e.key("forbidden", engine.RoleOperator, 0)
	e.key("idle", engine.RoleAuditor, 0)
	e.get("/v1/me", used)
	e.get("/v1/keys", forbidden)
	if e.get("/v1/me", used+"x").status != http.StatusUnauthorized {
		t.Error("somebody else was let in")
	}
	got := map[string]string{}
	for _, k := range done[client.KeyPage](t)(e.as(e.admin).Keys(t.Context(), 0, 10)).Keys {
		got[k.Principal] = k.LastUsed
	}
	const today = "2026-11-30"
	if want := map[string]string{"admin": today, "used": today, "forbidden": today, "idle": ""}; !maps.Equal(got, want) {
		t.Errorf("%v", got)
	}
	none := start(t, options{})
	if r := none.get("/v1/keys", none.admin); r.status != http.StatusOK || strings.Contains(r.body, "last_used") {
		t.Errorf("%d %s", r.status, r.body)
	}
}
