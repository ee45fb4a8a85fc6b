package httpapi

import (
	"net/http"
	"strings"
	"testing"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/problem"
	"github.com/mbp-market/mbp/engine/webhook/sign"
)

// webhooks asks every route of webhooks for a good answer, and for one that is not.
func (e *edge) webhooks(see func(method, pattern, path, secret, body string)) {
	id := engine.WebhookID(e.submit(&engine.AddWebhook{URL: "https://example.org/h"}).Seq).String()
	const one = "/v1/webhooks/{webhook}"
	see(http.MethodPost, "/v1/webhooks", "/v1/webhooks", e.admin, bodyOf("/v1/webhooks").with("", ""))
	for _, word := range []string{"test", "rotate", "pause", "resume", "resume", "pause"} {
		see(http.MethodPost, one+"/"+word, "/v1/webhooks/"+id+"/"+word, e.admin, "{}")
	}
	see(http.MethodPost, one+"/replay", "/v1/webhooks/"+id+"/replay", e.admin, `{"from_seq":1}`)
	see(http.MethodGet, "/v1/webhooks", "/v1/webhooks", e.admin, "")
	see(http.MethodGet, one, "/v1/webhooks/"+id, e.admin, "")
	see(http.MethodGet, one, "/v1/webhooks/whk_9999", e.admin, "")
	see(http.MethodPost, one+"/delete", "/v1/webhooks/"+id+"/delete", e.admin, "{}")
}

// TestWebhookSecrets: a secret is in the answer to who made it, and to the same request
// again, and nowhere else; another generation has another one.
func TestWebhookSecrets(t *testing.T) {
	e := start(t, options{})
	secretOf := func(r reply) string {
		t.Helper()
		s, _ := r.doc(t)["secret"].(string)
		if b, err := sign.Parse(s); r.status != http.StatusCreated || err != nil || len(b) != 32 {
			t.Fatalf("%d %s", r.status, r.body)
		}
		return s
	}
	body := bodyOf("/v1/webhooks").with("markets", "")
	first := e.send(http.MethodPost, "/v1/webhooks", e.admin, body, "Idempotency-Key", "mine", "Content-Type", "application/json")
	secret := secretOf(first)
	again := e.send(http.MethodPost, "/v1/webhooks", e.admin, body, "Idempotency-Key", "mine", "Content-Type", "application/json")
	if secretOf(again) != secret || again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("the repetition is answered %s", again.body)
	}
	id := engine.WebhookID(uint64(first.doc(t)["seq"].(float64))).String()
	next := secretOf(e.post("/v1/webhooks/"+id+"/rotate", e.admin, "{}"))
	if other := secretOf(e.post("/v1/webhooks", e.admin, body)); next == secret || other == secret || other == next {
		t.Error("two secrets are the same")
	}
	if r := e.post("/v1/webhooks/"+id+"/test", e.admin, "{}"); r.status != http.StatusCreated || r.doc(t)["secret"] != nil {
		t.Errorf("a test is answered %s", r.body)
	}
	var told strings.Builder
	for _, path := range []string{"/v1/webhooks", "/v1/webhooks/" + id, "/v1/decisions/" + id[4:], "/v1/decisions"} {
		told.WriteString(e.get(path, e.admin).body)
	}
	told.WriteString(e.logs.String())
	for _, s := range []string{secret, next} {
		if strings.Contains(told.String(), s) || strings.Contains(told.String(), strings.TrimPrefix(s, "whsec_")) {
			t.Error("a secret is told again")
		}
	}
}

// TestWebhookAddresses: where the server sends nothing, nothing is registered.
func TestWebhookAddresses(t *testing.T) {
	e := start(t, options{})
	before := e.seq.Durable()
	for _, url := range []string{
		"http://example.org/", "http://127.0.0.1/", "https://127.0.0.1/", "https://10.0.0.1/", "https://[::1]/", "https://169.254.169.254/latest", "https://[::ffff:10.0.0.1]/",
		"https://user:pass@example.org/", "https://example.org/#x", "ftp://example.org", "https://", "https:///x", "example.org", "",
	} {
		want := problem.Malformed
		if strings.Contains(url, ":") { // it is an address, and refused for where it leads
			want = engine.InvalidCommand.String()
		}
		if r := e.post("/v1/webhooks", e.admin, `{"url":"`+url+`"}`); r.code(t) != want {
			t.Errorf("%q: %d %s", url, r.status, r.body)
		}
	}
	if got := e.seq.Durable(); got != before {
		t.Errorf("%d decisions were made", got-before)
	}
	none := start(t, options{cfg: func(c *Config) { c.Webhooks = nil }})
	if r := none.post("/v1/webhooks", none.admin, `{"url":"https://example.org/h"}`); r.status != http.StatusNotFound {
		t.Errorf("where nobody sends: %d %s", r.status, r.body)
	}
}
