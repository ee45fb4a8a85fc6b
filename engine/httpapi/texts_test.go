package httpapi

import (
	"net/http"
	"strings"
	"testing"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/problem"
)

// freeTexts are the members in which people write what they like, by path. A new
// one is written down here, and TestFreeTextsAreScreened finds those that are not.
var freeTexts = map[string]string{
	"/v1/keys": "principal id", "/v1/templates": "id version category truth.reporters[0]", "/v1/markets": "template title outcomes[0]",
	"/v1/markets/mkt_1/cancel": "evidence_uri", "/v1/markets/mkt_1/facts": "evidence_uri", "/v1/markets/mkt_1/resolution": "evidence_uri",
	"/v1/markets/mkt_1/resolution/dispute": "evidence_uri", "/v1/moderation": "evidence_uri",
	"/v1/policy": "version", "/v1/mode": "reason", "/v1/deadlines": "reason",
}

// TestFreeTextsAreScreened puts an address into every member of every body that
// takes a text. Either the member takes words of the contract alone, which is a 400,
// or it is refused with its name and the kind, and without the address; nothing is
// decided.
func TestFreeTextsAreScreened(t *testing.T) {
	const address = "an.a@example.org" // no longer than the shortest text
	e := start(t, options{})
	e.market(e.funded(1_000_000))
	everybody := e.key("ana", engine.RoleTrader|engine.RoleAdmin|engine.RoleResolver, 1)
	before, seen := e.seq.Durable(), map[string]map[string]bool{}
	try := func(b body, field, text string) {
		t.Helper()
		r := e.post(b.path, everybody, text)
		detail, _ := r.doc(t)["detail"].(string)
		switch r.code(t) {
		case problem.PIISuspected:
			if seen[b.path] == nil {
				seen[b.path] = map[string]bool{}
			}
			seen[b.path][field] = true
			if r.status != http.StatusUnprocessableEntity || detail != field+" (email)" || strings.Contains(r.body, address) {
				t.Errorf("%s %s: %d %s", b.path, field, r.status, r.body)
			}
		case problem.Malformed:
			if strings.Contains(freeTexts[b.path], field) {
				t.Errorf("%s %s: %s", b.path, field, r.body)
			}
		default:
			t.Errorf("%s %s: %d %s", b.path, field, r.status, r.body)
		}
	}
	for _, b := range bodies {
		for name, good := range b.members {
			switch {
			case strings.HasPrefix(good, `"`):
				try(b, name, b.with(name, `"`+address+`"`))
			case strings.HasPrefix(good, `["`):
				try(b, name+"[0]", b.with(name, `["`+address+`"]`))
			}
			members := group(good)
			for inner, good := range members {
				switch {
				case strings.HasPrefix(good, `"`):
					try(b, name+"."+inner, b.with(name, object(members, inner, `"`+address+`"`)))
				case strings.HasPrefix(good, `["`):
					try(b, name+"."+inner+"[0]", b.with(name, object(members, inner, `["`+address+`"]`)))
				}
			}
		}
	}
	for path, fields := range freeTexts {
		for _, f := range strings.Fields(fields) {
			if !seen[path][f] {
				t.Errorf("%s takes %s unseen", path, f)
			}
			delete(seen[path], f)
		}
		for f := range seen[path] {
			t.Errorf("%s takes a text in %s that this test does not know", path, f)
		}
	}
	if after := e.seq.Durable(); after != before {
		t.Errorf("%d decisions", after-before)
	}
}

// TestEscapesHideNothing: what JSON writes in another way reads the same.
func TestEscapesHideNothing(t *testing.T) {
	e := start(t, options{})
	admin := e.key("boss", engine.RoleAdmin, 0)
	for _, text := range []string{`52\u0039.982.247-25`, `\uff15\uff12\uff19.982.247-25`, `529.982.\u200b247-25`, `529.982.247\u2212` + `25`} {
		r := e.post("/v1/mode", admin, `{"mode":"lite","reason":"`+text+`"}`)
		if r.code(t) != problem.PIISuspected || !strings.Contains(r.body, "reason (cpf)") {
			t.Errorf("%s: %s", text, r.body)
		}
	}
	if r := e.post("/v1/mode", admin, `{"mode":"lite","reason":"drill of 2026-11-30, 10:30"}`); r.status != http.StatusCreated {
		t.Errorf("an ordinary reason: %s", r.body)
	}
}
