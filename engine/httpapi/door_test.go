package httpapi

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/httpapi/issuer"
	"github.com/mbp-market/mbp/engine/httpapi/problem"
	"github.com/mbp-market/mbp/engine/httpapi/session"
	"github.com/mbp-market/mbp/engine/httpapi/signin"
	"github.com/mbp-market/mbp/tests/idp"
)

const callbackURL = "http://127.0.0.1:8420" + signin.PathCallback

// withProvider configures an edge for a provider, of which each role is a group.
func withProvider(t *testing.T, p *idp.Provider) func(*Config) {
	t.Helper()
	i, err := issuer.New(issuer.Config{URL: p.URL, Audience: "mbp", ClientID: p.Client, Callback: callbackURL})
	if err != nil {
		t.Fatal(err)
	}
	groups := map[string]engine.Roles{}
	for _, word := range engine.Roles(0x7f).Names() {
		groups["mbp-"+word], _ = engine.ParseRoles([]string{word})
	}
	return func(c *Config) {
		c.Identity = Identity{Issuer: i, Groups: groups, Salt: bytes.Repeat([]byte{7}, 32)}
	}
}

// ways are the headers of requests that come in, or do not.
type ways struct {
	roles          map[string]map[string][]string // by role and by way
	nobody, forged map[string][]string
}

// doors opens every door for every role, and finds those that are shut.
func doors(t *testing.T, e *edge, p *idp.Provider) ways {
	t.Helper()
	bearer := func(s string) []string { return []string{"Authorization", "Bearer " + s} }
	w := ways{roles: map[string]map[string][]string{}, nobody: map[string][]string{}, forged: map[string][]string{}}
	other, now := e.funded(1), time.Now()
	for _, word := range engine.Roles(0x7f).Names() {
		role, _ := engine.ParseRoles([]string{word})
		account := engine.AccountID(0)
		if role == engine.RoleTrader {
			account = other
		}
		key := e.key("p-"+word, role, account)
		b := e.signIn(key)
		w.roles[word] = map[string][]string{
			"key": bearer(key), "session": b.headers(),
			"token": bearer(p.Token(p.Standard("mbp", "u-"+word, now, "mbp-"+word, "others"))),
		}
		// Who comes for the first time is put on record; that is no request's doing.
		if r := e.get("/v1/me", "", w.roles[word]["token"]...); r.status != http.StatusOK {
			t.Fatalf("%s by token: %d %s", word, r.status, r.body)
		}
	}
	revoked, ended := e.key("gone", engine.RoleAdmin, 0), e.signIn(e.admin)
	e.submit(&engine.RevokeKey{SHA256: digestOf(revoked)})
	if r := e.post(signin.PathEnd, "", "", ended.headers()...); r.status != http.StatusOK {
		t.Fatalf("sign out: %d %s", r.status, r.body)
	}
	admin := p.Standard("mbp", "u-admin", now, "mbp-admin")
	for what, secret := range map[string]string{
		"an unknown key": "mbp_" + strings.Repeat("A", 43), "a revoked key": revoked, "a digest as key": digestOf(e.admin).String(), "a long key": strings.Repeat("x", 4000),
		"an unsigned token": idp.Unsigned(admin), "an expired token": p.Token(admin.With("exp", now.Add(-time.Minute).Unix())),
		"a token for others": p.Token(admin.With("aud", "other")), "a token of others": p.Token(admin.With("iss", "https://other.example")),
		"a token signed with what is public": p.Sign(admin, jose.HS256, []byte(idp.PublishedSecret), "oct"), "two dots": "..",
	} {
		w.nobody[what] = bearer(secret)
	}
	w.nobody["nothing"] = nil
	w.nobody["another scheme"] = []string{"Authorization", "Basic " + e.admin}
	w.nobody["an ended session"] = ended.headers()
	w.nobody["a made-up session"] = []string{"Cookie", ended.name + "=" + strings.Repeat("A", 43), session.CSRFHeader, ended.csrf}
	w.nobody["two sessions"] = []string{"Cookie", e.signIn(e.admin).cookie + "; " + e.signIn(e.admin).cookie}
	w.nobody["a wrong key with a session"] = append(bearer("mbp_x"), e.signIn(e.admin).headers()...)
	b := e.signIn(e.admin)
	w.forged["a session without its token"] = []string{"Cookie", b.cookie}
	w.forged["a session with another's token"] = []string{"Cookie", b.cookie, session.CSRFHeader, ended.csrf}
	w.forged["a session from another site"] = append(b.headers(), "Sec-Fetch-Site", "cross-site")
	w.forged["a session from another site's page"] = append(b.headers(), "Origin", "https://evil.example")
	w.forged["a person without a role"] = bearer(p.Token(admin.With("sub", "u-9", "groups", []string{"others"})))
	return w
}

// browser is what a browser has after a sign-in.
type browser struct{ name, cookie, csrf string }

func (b browser) headers() []string { return []string{"Cookie", b.cookie, session.CSRFHeader, b.csrf} }

// signIn begins a session.
func (e *edge) signIn(secret string) browser {
	e.t.Helper()
	r := e.post(signin.PathSession, secret, "")
	doc, _ := r.doc(e.t)["session"].(map[string]any)
	if r.status != http.StatusCreated || doc == nil {
		e.t.Fatalf("sign in: %d %s", r.status, r.body)
	}
	return browserOf(r.header, doc["csrf"].(string))
}

func browserOf(h http.Header, csrf string) browser {
	name, value, _ := strings.Cut(strings.SplitN(h.Get("Set-Cookie"), ";", 2)[0], "=")
	return browser{name, name + "=" + value, csrf}
}

// driveDoor goes through sessions and their answers for the contract.
func driveDoor(t *testing.T, c *contract, e *edge, see func(method, pattern, path, secret, body string), routes map[string]route, succeeded map[string]bool) {
	see(http.MethodGet, "/v1/keys", "/v1/keys?limit=1", e.admin, "")
	see(http.MethodGet, "/v1/keys", "/v1/keys?after=1", e.admin, "")
	see(http.MethodPost, signin.PathSession, signin.PathSession, e.admin, "")
	see(http.MethodGet, signin.PathSession, signin.PathSession, "", "")
	see(http.MethodGet, signin.PathSignIn, signin.PathSignIn, "", "")
	see(http.MethodGet, signin.PathCallback, signin.PathCallback+"?code=x&state=y", "", "")
	b := e.signIn(e.admin)
	c.check(routes["GET "+signin.PathSession], e.get(signin.PathSession, "", b.headers()...))
	c.check(routes["POST "+signin.PathEnd], e.post(signin.PathEnd, "", "", "Cookie", b.cookie))
	see(http.MethodPost, signin.PathEnd, signin.PathEnd, "", "")
	if r := e.post(signin.PathEnd, "", "", b.headers()...); r.status != http.StatusOK {
		t.Errorf("sign out: %d %s", r.status, r.body)
	} else {
		c.check(routes["POST "+signin.PathEnd], r)
		succeeded["POST "+signin.PathEnd] = true
	}
}

// TestPersons: a person of the provider trades with an account of their own, under a
// pseudonym; nothing of who they are is on record or in the log; to be shut out
// holds at once, and only a person lets them in again.
func TestPersons(t *testing.T) {
	p := idp.Start(t)
	e := start(t, options{cfg: withProvider(t, p)})
	e.market(e.funded(100_000))
	claims := p.Standard("mbp", "ana.silva@example.org", time.Now(), "mbp-trader", "desk-3").With("email", "ana.silva@example.org", "name", "Ana Silva")
	as := func(c idp.Claims) string { return p.Token(c) }
	// Many requests at once are one person.
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if r := e.get("/v1/me", as(claims)); r.status != http.StatusOK {
				t.Errorf("%d %s", r.status, r.body)
			}
		})
	}
	wg.Wait()
	me := e.get("/v1/me", as(claims)).doc(t)
	account := me["account"].(string)
	keys := e.get("/v1/keys", e.admin).doc(t)["keys"].([]any)
	person := keys[len(keys)-1].(map[string]any)
	if len(keys) != 2 || person["identity"] != true || person["principal"] != me["principal"] || person["account"] != account {
		t.Fatalf("on record: %v, me %v", keys, me)
	}
	if r := e.post("/v1/accounts/"+account+"/grants", e.admin, `{"amount_micros":100000000}`); r.status != http.StatusCreated {
		t.Fatal(r.body)
	}
	if r := e.post("/v1/orders", as(claims), buyTen); r.status != http.StatusCreated {
		t.Errorf("trade: %d %s", r.status, r.body)
	}
	// What the groups say now counts, and nothing that they said before.
	for _, c := range []struct {
		groups []string
		path   string
		want   int
	}{
		{[]string{"mbp-trader"}, "/v1/decisions", http.StatusForbidden}, {[]string{"mbp-auditor", "x"}, "/v1/decisions", http.StatusOK},
		{[]string{"x"}, "/v1/me", http.StatusForbidden}, {nil, "/v1/me", http.StatusForbidden},
	} {
		if r := e.get(c.path, as(claims.With("groups", c.groups))); r.status != c.want {
			t.Errorf("%s of %v: %d %s", c.path, c.groups, r.status, r.body)
		}
	}
	// The digest of a person opens nothing.
	if r := e.get("/v1/me", person["sha256"].(string)); r.status != http.StatusUnauthorized {
		t.Errorf("a person's digest as a key: %d", r.status)
	}
	digest, again := person["sha256"].(string), `{"principal":"`+me["principal"].(string)+`","roles":["trader"],"identity":true,"account":"`+account+`","sha256":"`
	if r := e.post("/v1/keys/"+digest+"/revoke", e.admin, `{}`); r.status != http.StatusCreated {
		t.Fatal(r.body)
	}
	end := e.seq.Durable()
	for _, path := range []string{"/v1/me", "/v1/orders"} {
		if r := e.get(path, as(claims)); r.status != http.StatusForbidden {
			t.Errorf("%s of who was shut out: %d %s", path, r.status, r.body)
		}
	}
	if r := e.post("/v1/orders", as(claims), buyTen); r.status != http.StatusForbidden || e.seq.Durable() != end {
		t.Errorf("an order of who was shut out: %d %s", r.status, r.body)
	}
	if r := e.post("/v1/keys", e.admin, again+digest+`"}`); r.status != http.StatusCreated {
		t.Fatal(r.body)
	}
	if r := e.get("/v1/me", as(claims)); r.status != http.StatusOK || r.doc(t)["account"] != account {
		t.Errorf("let in again: %d %s", r.status, r.body)
	}
	record := e.get("/v1/decisions?limit=1000", e.admin).body + e.logs.String()
	for _, trace := range []string{"ana", "silva", "example.org", "Ana", claims["iss"].(string)} {
		if strings.Contains(record, trace) {
			t.Errorf("journal or log hold %q", trace)
		}
	}
}

// TestNoProvider: where there is none, nobody is sent there, and dots make no token.
func TestNoProvider(t *testing.T) {
	e := start(t, options{})
	for _, path := range []string{signin.PathSignIn, signin.PathCallback + "?code=x&state=y"} {
		if r := e.get(path, ""); r.status != http.StatusNotFound || r.code(t) != problem.NotFound {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
	if r := e.get("/v1/me", "a.b.c"); r.status != http.StatusUnauthorized {
		t.Errorf("a token: %d", r.status)
	}
}

// TestProviderIsAway: who comes by token is told to come again, and keys work as ever.
func TestProviderIsAway(t *testing.T) {
	p := idp.Start(t)
	e := start(t, options{cfg: withProvider(t, p)})
	p.Away(true)
	r := e.get("/v1/me", p.Token(p.Standard("mbp", "u-1", time.Now(), "mbp-trader")))
	if r.status != http.StatusServiceUnavailable || r.code(t) != problem.NoProvider || r.header.Get("Retry-After") == "" {
		t.Errorf("by token: %d %s", r.status, r.body)
	}
	if r := e.get("/v1/me", e.admin); r.status != http.StatusOK {
		t.Errorf("by key: %d %s", r.status, r.body)
	}
	if r := e.get(signin.PathSignIn, ""); r.status != http.StatusSeeOther || r.header.Get("Location") != "/#sign-in-away" {
		t.Errorf("sign in: %d to %s", r.status, r.header.Get("Location"))
	}
}

// TestKeyExpiresAtTheEdge: a key is valid until its time, by the engine's clock, and
// its session and its stream are not valid for longer.
func TestKeyExpiresAtTheEdge(t *testing.T) {
	var mu sync.Mutex
	now := time.Now()
	o := options{}
	o.size.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	e := start(t, o)
	secret := "mbp_" + strings.Repeat("E", 43)
	e.submit(&engine.AddKey{Key: engine.Key{SHA256: digestOf(secret), Principal: "bot", Roles: engine.RoleAuditor, ExpiresAt: engine.Time(now.Add(time.Minute).UnixMicro())}})
	b := e.signIn(secret)
	p, err := e.api.door.Enter(&http.Request{Header: http.Header{"Authorization": {"Bearer " + secret}}})
	if err != nil || !e.api.door.Holds(p, now) {
		t.Fatalf("before its time: %v", err)
	}
	if r := e.get("/v1/me", "", b.headers()...); r.status != http.StatusOK {
		t.Fatalf("%d %s", r.status, r.body)
	}
	mu.Lock()
	now = now.Add(time.Minute)
	mu.Unlock()
	for what, headers := range map[string][]string{"the key": {"Authorization", "Bearer " + secret}, "its session": b.headers()} {
		if r := e.get("/v1/me", "", headers...); r.status != http.StatusUnauthorized {
			t.Errorf("%s after its time: %d", what, r.status)
		}
	}
	if e.api.door.Holds(p, now) {
		t.Error("a stream of the key goes on")
	}
}

// TestBrowserSignsIn goes the whole way: to the provider, back, and to an order by
// the cookie of the session.
func TestBrowserSignsIn(t *testing.T) {
	p := idp.Start(t)
	p.Person = idp.Claims{"sub": "u-17", "groups": []string{"mbp-trader"}}
	e := start(t, options{cfg: withProvider(t, p)})
	e.market(e.funded(100_000))
	begin := e.get(signin.PathSignIn, "")
	kept := strings.SplitN(begin.header.Get("Set-Cookie"), ";", 2)[0]
	res, err := straight.Get(begin.header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	back, err := url.Parse(res.Header.Get("Location"))
	if err != nil || !strings.HasPrefix(back.String(), callbackURL) {
		t.Fatalf("the provider sends back to %s (%v)", back, err)
	}
	if r := e.get(back.RequestURI(), ""); r.header.Get("Location") != "/#sign-in-refused" {
		t.Errorf("another browser comes back: %d %s", r.status, r.header.Get("Location"))
	}
	in := e.get(back.RequestURI(), "", "Cookie", kept)
	var b browser
	for _, c := range in.header.Values("Set-Cookie") {
		if strings.HasPrefix(c, "mbp-session=") {
			if !strings.Contains(c, "HttpOnly") || !strings.Contains(c, "SameSite=Strict") {
				t.Errorf("the cookie is %s", c)
			}
			b.cookie = strings.SplitN(c, ";", 2)[0]
		}
	}
	if in.status != http.StatusSeeOther || in.header.Get("Location") != "/" || b.cookie == "" {
		t.Fatalf("%d to %s, %v", in.status, in.header.Get("Location"), in.header["Set-Cookie"])
	}
	if r := e.get(back.RequestURI(), "", "Cookie", kept); r.header.Get("Location") != "/#sign-in-refused" {
		t.Errorf("the code a second time: %s", r.header.Get("Location"))
	}
	doc := e.get(signin.PathSession, "", "Cookie", b.cookie).doc(t)
	who, _ := doc["session"].(map[string]any)
	if who == nil || doc["sign_in"] != signin.PathSignIn {
		t.Fatalf("the session is %v", doc)
	}
	b.csrf = who["csrf"].(string)
	var account engine.AccountID
	if err := account.UnmarshalText([]byte(who["account"].(string))); err != nil {
		t.Fatal(err)
	}
	e.submit(&engine.GrantCredits{Account: account, Amount: 100 * engine.One})
	if r := e.post("/v1/orders", "", buyTen, b.headers()...); r.status != http.StatusCreated {
		t.Errorf("an order: %d %s", r.status, r.body)
	}
	if r := e.post("/v1/orders", "", buyTen, "Cookie", b.cookie); r.status != http.StatusForbidden {
		t.Errorf("an order without the token: %d %s", r.status, r.body)
	}
	var digest engine.Digest
	e.seq.View(func(s *core.State) {
		keys, _ := s.Keys(0, 10)
		digest = keys[len(keys)-1].SHA256
	})
	e.submit(&engine.RevokeKey{SHA256: digest})
	if r := e.get("/v1/me", "", b.headers()...); r.status != http.StatusUnauthorized {
		t.Errorf("the session of who was shut out: %d", r.status)
	}
}
