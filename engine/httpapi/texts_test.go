package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
	"github.com/mbp-market/mbp/engine/httpapi/personal"
	"github.com/mbp-market/mbp/engine/httpapi/problem"
	"github.com/mbp-market/mbp/engine/journal/file"
	"github.com/mbp-market/mbp/engine/texts"
)

// freeTexts are the members in which people write what they like, by path. A new
// one is written down here, and TestFreeTextsAreScreened finds those of bodies that are
// not, TestEveryTextOfTheContractIsKnown those of the contract.
var freeTexts = map[string]string{
	"/v1/keys": "principal id", "/v1/templates": "id version category truth.reporters[0]", "/v1/markets": "template title outcomes[0] allow_groups[0] deny_groups[0]",
	"/v1/accounts/acc_1/groups": "groups[0]", "/v1/markets/mkt_1/groups": "allow_groups[0] deny_groups[0]",
	"/v1/markets/mkt_1/cancel": "evidence_uri", "/v1/markets/mkt_1/facts": "evidence_uri", "/v1/markets/mkt_1/resolution": "evidence_uri",
	"/v1/markets/mkt_1/resolution/dispute": "evidence_uri", "/v1/moderation": "evidence_uri",
	"/v1/policy": "version", "/v1/markets/mkt_1/clarifications": "text", "/v1/decisions/5/notes": "text", "/v1/mode": "reason", "/v1/deadlines": "reason",
	"/v1/grant-schedules": "name groups[0]", "/v1/seasons": "name", "/v1/webhooks": "events[0]", "/v1/webhooks/whk_5/pause": "reason",
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
	}
	for path, fields := range seen {
		for f := range fields {
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

// sayTexts has the client say what takes a text, and reads it back.
func sayTexts(t *testing.T, c *client.Client) {
	t.Helper()
	d, err := c.NoteDecision(t.Context(), 3, "so it is")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.AtLeast(d.Seq).Notes(t.Context(), 3); err != nil || len(got.Notes) != 1 || got.Notes[0].Text != "so it is" || got.Notes[0].By != "all" {
		t.Errorf("notes %+v: %v", got, err)
	}
	var p *client.Problem
	if _, err := c.Clarify(t.Context(), 77, "so it is"); !errors.As(err, &p) || p.Code != engine.MarketNotFound.String() {
		t.Errorf("a clarification of no market: %v", err)
	}
}

// driveTexts uses every route of texts, for the contract.
func driveTexts(see func(method, pattern, path, secret, body string), admin, ana string) {
	const notes, held = "/v1/decisions/{seq}/notes", "/v1/accounts/{account}/personal-data"
	see(http.MethodPost, notes, "/v1/decisions/5/notes", admin, `{"text":"why it was"}`)
	see(http.MethodPost, notes, "/v1/decisions/5/notes", ana, `{"text":"why it was"}`)
	see(http.MethodPost, notes, "/v1/decisions/99999/notes", admin, `{"text":"why it was"}`)
	see(http.MethodPost, notes, "/v1/decisions/5/notes", admin, `{"text":"ask +55 11 98765-4321"}`)
	see(http.MethodGet, notes, "/v1/decisions/5/notes", admin, "")
	see(http.MethodGet, notes, "/v1/decisions/99999/notes", admin, "")
	see(http.MethodPost, "/v1/markets/{market}/clarifications", "/v1/markets/mkt_1/clarifications", admin, `{"text":"what it means"}`)
	see(http.MethodGet, "/v1/markets/{market}", "/v1/markets/mkt_1", admin, "")
	see(http.MethodGet, held, "/v1/accounts/acc_1/personal-data", admin, "")
	see(http.MethodGet, held, "/v1/accounts/acc_99/personal-data", admin, "")
}

// erases is the last that happens to an account.
func erases(see func(method, pattern, path, secret, body string), admin string) {
	const held = "/v1/accounts/{account}/personal-data"
	for _, body := range []string{"{}", "", "{}"} {
		see(http.MethodDelete, held, "/v1/accounts/acc_1/personal-data", admin, body)
	}
	see(http.MethodDelete, held, "/v1/accounts/acc_99/personal-data", admin, "{}")
	see(http.MethodGet, held, "/v1/accounts/acc_1/personal-data", admin, "")
}

// TestModeratorsLetTextsPass: with the header and the role a text passes that would
// be refused, and that it did is a decision of its own right before; a repetition
// gets the same answer, and nobody else has it pass.
func TestModeratorsLetTextsPass(t *testing.T) {
	e := start(t, options{})
	account := e.funded(1_000_000)
	both := e.key("both", engine.RoleOperator|engine.RoleModerator, 0)
	op := e.key("op", engine.RoleOperator, 0)
	market := `{"template":"binary@1.0.0","title":"Does 529.982.247-25 pass?","creator":"` + account.String() + `","liquidity_micros":10000000,"price_micros":500000}`
	before := e.seq.Durable()
	for name, r := range map[string]reply{
		"an operator": e.post("/v1/markets", op, market, "Allow-Personal-Data", "true"), "a moderator without the header": e.post("/v1/markets", both, market),
		"a moderator who does not mean it": e.post("/v1/markets", both, market, "Allow-Personal-Data", "no"),
	} {
		if r.code(t) != problem.PIISuspected || strings.Contains(r.body, "529") {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
	}
	if got := e.seq.Durable(); got != before {
		t.Fatalf("%d decisions", got-before)
	}
	first := e.post("/v1/markets", both, market, "Allow-Personal-Data", "true", "Idempotency-Key", "k")
	again := e.post("/v1/markets", both, market, "Allow-Personal-Data", "true", "Idempotency-Key", "k")
	if first.status != http.StatusCreated || again.body != first.body || again.header.Get("Idempotency-Replayed") != "true" {
		t.Fatalf("%d %s, then %d %s", first.status, first.body, again.status, again.body)
	}
	if got := e.seq.Durable(); got != before+2 {
		t.Errorf("%d decisions", got-before)
	}
	got, err := e.seq.Decision(before + 1)
	if err != nil {
		t.Fatal(err)
	}
	x, is := got.Decision.Command.(*engine.AllowText)
	if !is || x.For != "open_market" || len(x.Texts) != 1 || x.Texts[0] != (engine.Suspected{Field: "title", Kind: "cpf"}) || got.Decision.Principal != "both" {
		t.Errorf("%+v", got.Decision)
	}
}

// TestTextsAreErased: a text is told to who may know until its author is erased; the
// log has its id all the time, and what others wrote about a person is the admins'.
func TestTextsAreErased(t *testing.T) {
	e := start(t, options{})
	acc := e.funded(1_000_000)
	e.market(acc)
	other := e.funded(1)
	ana, bob := e.key("ana", engine.RoleTrader|engine.RoleOperator, other), e.key("bob", engine.RoleTrader, acc)
	mod := e.key("mod", engine.RoleModerator, 0)
	e.post("/v1/markets/mkt_1/clarifications", ana, `{"text":"Snow that stays."}`)
	limited := e.post("/v1/moderation", mod, bodyOf("/v1/moderation").with("account", `"`+other.String()+`"`))
	path := limited.doc(t)["seq"].(float64)
	e.post(fmt.Sprintf("/v1/decisions/%.0f/notes", path), mod, `{"text":"She traded on what she heard."}`)
	held := "/v1/accounts/" + other.String() + "/personal-data"
	has := func(what, secret, path string, words string, want bool) {
		t.Helper()
		if r := e.get(path, secret); strings.Contains(r.body, words) != want {
			t.Errorf("%s: %d %s", what, r.status, r.body)
		}
	}
	has("the market", bob, "/v1/markets/mkt_1", "Snow that stays.", true)
	has("the list of markets", bob, "/v1/markets", "Snow that stays.", false)
	has("her own data", ana, held, "Snow that stays.", true)
	has("her own data", ana, held, "She traded", false)
	has("her data, by an admin", e.admin, held, "She traded", true)
	if r := e.get(held, bob); r.status != http.StatusForbidden {
		t.Errorf("somebody else's data: %d %s", r.status, r.body)
	}
	if r := e.send(http.MethodDelete, held, e.admin, ""); r.status != http.StatusCreated || !strings.Contains(r.body, "person_erased") {
		t.Fatalf("%d %s", r.status, r.body)
	}
	if r := e.get("/v1/me", ana); r.status != http.StatusUnauthorized {
		t.Errorf("her key: %d %s", r.status, r.body)
	}
	has("the market", bob, "/v1/markets/mkt_1", "Snow that stays.", false)
	has("the market", bob, "/v1/markets/mkt_1", "text_id", true)
	has("her data, by an admin", e.admin, held, "She traded", false)
	has("her data, by an admin", e.admin, held, `"erased":true`, true)
	has("the notes", mod, fmt.Sprintf("/v1/decisions/%.0f/notes", path), "She traded", false)
}

// telling is a store that tells of what it erased.
type telling struct {
	*texts.Store
	erased chan int
}

func (s *telling) Erase(account engine.AccountID, digests []engine.Digest) (int, error) {
	n, err := s.Store.Erase(account, digests)
	if err == nil {
		s.erased <- n
	}
	return n, err
}

// TestErasuresAreDoneAgain: a decision that no edge was asked for erases, too, and
// what a crash or a restore left behind goes at the next start.
func TestErasuresAreDoneAgain(t *testing.T) {
	store, err := texts.Open(file.OS{}, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := &telling{store, make(chan int, 8)}
	e := start(t, options{cfg: func(c *Config) { c.Texts = s }})
	gone := func() {
		t.Helper()
		select {
		case n := <-s.erased:
			if n != 1 {
				t.Errorf("%d erased", n)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("nothing is erased")
		}
	}
	put := func() {
		t.Helper()
		if _, err := s.Put(texts.Draft{Kind: texts.Note, Author: "ana", Account: 1, Text: "left behind"}); err != nil {
			t.Fatal(err)
		}
	}
	put()
	e.funded(1)
	e.submit(&engine.ErasePerson{Account: 1})
	gone()
	put()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- personal.New(s, e.seq, slog.New(slog.DiscardHandler)).Run(ctx) }()
	gone()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
