package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mbp-market/mbp/engine"
)

const testKey = "mbp_0123456789012345678901234567890123456789012"

// seen is what the server got.
type seen struct{ method, target, body, key, auth, last string }

// desk is a server that answers as it is told and remembers what it got.
type desk struct {
	*httptest.Server
	mu     sync.Mutex
	got    []seen
	waited []time.Duration
}

// newDesk answers the n-th request (from 0) with answer.
func newDesk(t *testing.T, answer func(n int, w http.ResponseWriter, r *http.Request)) (*desk, *Client) {
	t.Helper()
	d := &desk{}
	d.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		d.mu.Lock()
		n := len(d.got)
		d.got = append(d.got, seen{
			r.Method, r.URL.String(), string(b), r.Header.Get("Idempotency-Key"), r.Header.Get("Authorization"), r.Header.Get("Last-Event-ID"),
		})
		d.mu.Unlock()
		answer(n, w, r)
	}))
	t.Cleanup(d.Close)
	c, err := New(d.URL, testKey)
	if err != nil {
		t.Fatal(err)
	}
	c.pause = func(ctx context.Context, wait time.Duration) error {
		d.waited = append(d.waited, wait)
		return ctx.Err()
	}
	return d, c
}

// requests returns what came so far; the lock orders it after the handlers.
func (d *desk) requests() []seen {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.got)
}

const fill = `{"seq":9,"decided_at":"2026-01-02T12:00:00.000001Z","code":"ok","principal":"ana","command":{"type":"place_order"},"events":[` +
	`{"type":"order_filled","order":"ord_9","account":"acc_1","market":"mkt_1","outcome":"NO","side":"buy","amount_micros":5,"shares_micros":9,` +
	`"average_price_micros":555556,"price_before_micros":500000,"price_after_micros":500001,"pool_amount_micros":5,"pool_shares_micros":9}]}`

func refuse(w http.ResponseWriter, status int, body string, header ...string) {
	w.Header().Set("Content-Type", "application/problem+json")
	for i := 0; i < len(header); i += 2 {
		w.Header().Set(header[i], header[i+1])
	}
	w.WriteHeader(status)
	fmt.Fprint(w, body)
}

// TestRoutes: each method sends what the contract says.
func TestRoutes(t *testing.T) {
	ctx := context.Background()
	digest := engine.Digest{0: 0xab}
	post := func(d *Decision, err error) error { return err }
	for _, c := range []struct {
		want, body string
		do         func(*Client) error
	}{
		{"POST /v1/accounts", `{}`, func(c *Client) error { return post(c.OpenAccount(ctx)) }},
		{"GET /v1/accounts/acc_3", "", func(c *Client) error { _, err := c.Account(ctx, 3); return err }},
		{"POST /v1/accounts/acc_3/grants", `{"amount_micros":7}`, func(c *Client) error { return post(c.Grant(ctx, 3, 7)) }},
		{"GET /v1/accounts/acc_3/grants?limit=2", "", func(c *Client) error { _, err := c.AccountGrants(ctx, 3, Past{Market: 4, Limit: 2}); return err }},
		{"GET /v1/grant-schedules", "", func(c *Client) error { _, err := c.GrantSchedules(ctx); return err }},
		{"GET /v1/grant-schedules/a%2Fb", "", func(c *Client) error { _, err := c.GrantSchedule(ctx, "a/b"); return err }},
		{"POST /v1/grant-schedules", `{"name":"daily","period":"daily","amount_micros":7}`, func(c *Client) error {
			return post(c.SetGrantSchedule(ctx, engine.GrantSchedule{Name: "daily", Period: engine.Daily, Amount: 7}))
		}},
		{"POST /v1/grant-schedules/daily/end", `{}`, func(c *Client) error { return post(c.EndGrantSchedule(ctx, "daily")) }},
		{"GET /v1/me", "", func(c *Client) error { _, err := c.Me(ctx); return err }},
		{"POST /v1/keys", `{"sha256":"` + digest.String() + `","principal":"ana","roles":["trader"],"account":"acc_1"}`, func(c *Client) error {
			return post(c.AddKey(ctx, engine.Key{SHA256: digest, Principal: "ana", Roles: engine.RoleTrader, Account: 1}))
		}},
		{"POST /v1/keys/" + digest.String() + "/revoke", `{}`, func(c *Client) error { return post(c.RevokeKey(ctx, digest)) }},
		{"GET /v1/templates", "", func(c *Client) error { _, err := c.Templates(ctx); return err }},
		{"POST /v1/templates", mustJSON(engine.DefaultTemplate()), func(c *Client) error { return post(c.AddTemplate(ctx, engine.DefaultTemplate())) }},
		{"POST /v1/markets", `{"template":"binary@1.0.0","title":"T?","creator":"acc_1","liquidity_micros":5,"price_micros":6}`, func(c *Client) error {
			return post(c.OpenMarket(ctx, engine.OpenMarket{Template: "binary@1.0.0", Title: "T?", Creator: 1, Liquidity: 5, Price: 6}))
		}},
		{"GET /v1/markets?after=mkt_3&limit=2", "", func(c *Client) error { _, err := c.Markets(ctx, 3, 2); return err }},
		{"GET /v1/markets", "", func(c *Client) error { _, err := c.Markets(ctx, 0, 0); return err }},
		{"GET /v1/markets/mkt_2", "", func(c *Client) error { _, err := c.Market(ctx, 2); return err }},
		{"POST /v1/markets/mkt_2/pause", `{}`, func(c *Client) error { return post(c.Pause(ctx, 2, false)) }},
		{"POST /v1/markets/mkt_2/resume", `{}`, func(c *Client) error { return post(c.Resume(ctx, 2)) }},
		{"POST /v1/markets/mkt_2/resolution", `{"outcome":"NO","evidence_uri":"urn:x:1","evidence_sha256":"` + digest.String() + `"}`, func(c *Client) error {
			return post(c.Propose(ctx, engine.ProposeResolution{Market: 2, Outcome: engine.No, EvidenceURI: "urn:x:1", EvidenceSHA256: digest}))
		}},
		{"POST /v1/markets/mkt_2/resolution/approve", `{}`, func(c *Client) error { return post(c.Approve(ctx, 2)) }},
		{"POST /v1/markets/mkt_2/resolution/reject", `{}`, func(c *Client) error { return post(c.Reject(ctx, 2)) }},
		{"GET /v1/quotes?amount_micros=5&limit_price_micros=6&market=mkt_1&outcome=YES&side=buy&tif=ioc", "", func(c *Client) error {
			_, err := c.Quote(ctx, Order{Market: 1, Side: engine.Buy, TIF: engine.IOC, Amount: 5, Limit: 6})
			return err
		}},
		{"POST /v1/orders", `{"market":"mkt_1","outcome":"YES","side":"sell","tif":"fok","shares_micros":8}`, func(c *Client) error {
			return post(c.PlaceOrder(ctx, Order{Market: 1, Side: engine.Sell, TIF: engine.FOK, Shares: 8}))
		}},
		{"GET /v1/orders/ord_9", "", func(c *Client) error { _, err := c.Order(ctx, engine.OrderOf(9, 0)); return err }},
		{"GET /v1/decisions/9", "", func(c *Client) error { _, err := c.Decision(ctx, 9); return err }},
		{"GET /v1/decisions?after=9&limit=3", "", func(c *Client) error { _, err := c.Decisions(ctx, 9, 3); return err }},
		{"GET /readyz", "", func(c *Client) error { return c.Ready(ctx) }},
	} {
		d, cl := newDesk(t, func(_ int, w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"seq":1}`) })
		if err := c.do(cl); err != nil {
			t.Errorf("%s: %v", c.want, err)
			continue
		}
		g := d.requests()[0]
		if g.method+" "+g.target != c.want || g.body != c.body || g.auth != "Bearer "+testKey {
			t.Errorf("sent %+v, want %s %s", g, c.want, c.body)
		}
		if mutation := g.method == "POST"; mutation != regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(g.key) {
			t.Errorf("%s has the idempotency key %q", c.want, g.key)
		}
	}
}

func mustJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// TestRetries: which answers are repeated, with which key, after which wait.
func TestRetries(t *testing.T) {
	limited := `{"code":"rate_limited","status":429,"seq":7,"instance":"/v1/decisions/7"}`
	type step func(http.ResponseWriter)
	ok := func(w http.ResponseWriter) { w.WriteHeader(http.StatusCreated); fmt.Fprint(w, fill) }
	say := func(status int, body string, header ...string) step {
		return func(w http.ResponseWriter) { refuse(w, status, body, header...) }
	}
	broken := func(http.ResponseWriter) { panic(http.ErrAbortHandler) }
	cut := func(w http.ResponseWriter) { w.Header().Set("Content-Length", "999"); fmt.Fprint(w, `{"seq"`) }
	for name, c := range map[string]struct {
		steps    []step
		retry    Retry
		attempts int
		code     string        // of the problem; "" success, "-" another error
		keys     string        // suffixes of the keys
		wait     time.Duration // at least, before the second attempt
	}{
		"a broken connection":        {[]step{broken, broken, ok}, DefaultRetry(), 3, "", "..", 0},
		"half an answer":             {[]step{cut, ok}, DefaultRetry(), 2, "", ".", 0},
		"fail-stop":                  {[]step{say(503, `{"code":"failed","status":503}`), ok}, DefaultRetry(), 2, "", ".", 0},
		"a proxy":                    {[]step{say(502, `<html>`), say(504, ``), ok}, DefaultRetry(), 3, "", "..", 0},
		"overloaded":                 {[]step{say(429, `{"code":"overloaded","status":429}`, "Retry-After", "3"), ok}, DefaultRetry(), 2, "", ".", 3 * time.Second},
		"a decision about the rate":  {[]step{say(429, limited, "Retry-After", "1"), say(429, limited), ok}, DefaultRetry(), 3, "", "~1~2", time.Second},
		"a replayed one":             {[]step{say(429, limited, "Retry-After", "4", "Idempotency-Replayed", "true"), ok}, DefaultRetry(), 2, "", "~1", 0},
		"a rate, not wanted":         {[]step{say(429, limited)}, Retry{Attempts: 5}, 1, "rate_limited", "", 0},
		"a wait beyond the bound":    {[]step{say(503, `{"code":"not_leader","status":503}`, "Retry-After", "60")}, DefaultRetry(), 1, "not_leader", "", 0},
		"out of attempts":            {[]step{say(503, `{"code":"failed","status":503}`), say(503, `{"code":"failed","status":503}`)}, Retry{Attempts: 2, Base: 1, Max: 1}, 2, "failed", ".", 0},
		"no retry":                   {[]step{broken}, NoRetry(), 1, "-", "", 0},
		"a business rejection":       {[]step{say(422, `{"code":"price_limit","status":422,"seq":3,"instance":"x"}`)}, DefaultRetry(), 1, "price_limit", "", 0},
		"an internal error":          {[]step{say(500, `{"code":"internal","status":500}`)}, DefaultRetry(), 1, "internal", "", 0},
		"a success that is nonsense": {[]step{func(w http.ResponseWriter) { fmt.Fprint(w, `<html>`) }}, DefaultRetry(), 1, "-", "", 0},
		"a redirect":                 {[]step{say(307, ``, "Location", "http://example.com/")}, DefaultRetry(), 1, "http_307", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			d, cl := newDesk(t, func(n int, w http.ResponseWriter, _ *http.Request) { c.steps[min(n, len(c.steps)-1)](w) })
			got, err := cl.With(c.retry).PlaceOrder(context.Background(), Order{Market: 1}, Key("k"))
			switch {
			case c.code == "" && err != nil, c.code != "" && err == nil, c.code != "" && c.code != "-" && CodeOf(err) != c.code, c.code == "-" && CodeOf(err) != "":
				t.Fatalf("got %v, %v", got, err)
			}
			if err != nil && strings.Contains(fmt.Sprintf("%+v %#v %v", err, cl, cl), testKey) {
				t.Errorf("the secret shows: %v", err)
			}
			if len(d.requests()) != c.attempts {
				t.Fatalf("%d attempts, want %d", len(d.requests()), c.attempts)
			}
			keys := ""
			for _, g := range d.requests()[1:] {
				keys += strings.TrimPrefix(g.key, "k")
				if g.key == "k" {
					keys += "."
				}
				if g.body != d.requests()[0].body {
					t.Errorf("repeated with the body %s, first %s", g.body, d.requests()[0].body)
				}
			}
			if keys != c.keys {
				t.Errorf("repeated with keys %q, want %q", keys, c.keys)
			}
			if len(d.waited) > 0 && (d.waited[0] < c.wait || d.waited[0] > 5*time.Second) {
				t.Errorf("waited %v, want at least %v", d.waited, c.wait)
			}
		})
	}
}

func TestRetryKeepsTheMadeKey(t *testing.T) {
	d, cl := newDesk(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		if n == 0 {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Idempotency-Replayed", "true")
		fmt.Fprint(w, fill)
	})
	first, err := cl.PlaceOrder(context.Background(), Order{Market: 1})
	if err != nil || !first.Replayed {
		t.Fatalf("%+v, %v", first, err)
	}
	if _, err := cl.PlaceOrder(context.Background(), Order{Market: 1}); err != nil {
		t.Fatal(err)
	}
	if d.requests()[0].key != d.requests()[1].key || d.requests()[1].key == d.requests()[2].key {
		t.Errorf("keys %q, %q, then %q for another call", d.requests()[0].key, d.requests()[1].key, d.requests()[2].key)
	}
	f, err := first.Filled()
	if err != nil || f.Order != engine.OrderOf(9, 0) || f.Outcome != engine.No || f.Shares != 9 || first.At.String() != "2026-01-02T12:00:00.000001Z" {
		t.Errorf("%+v, %v", f, err)
	}
	if _, err := first.Account(); err == nil {
		t.Error("an order opened an account")
	}
	if first.Abuse() != nil || first.Settled() != nil {
		t.Error("an order raised an abuse event or paid out")
	}
}

// TestAgainTellsKeysApart: whatever the length of two keys and wherever they
// differ, their repetitions differ, too, and each is a key.
func TestAgainTellsKeysApart(t *testing.T) {
	seen := map[string]bool{}
	for _, stem := range []string{"", strings.Repeat("x", 60), strings.Repeat("x", 61), strings.Repeat("x", 62)} {
		for _, last := range []string{"aa", "ab", "ba"} {
			for _, n := range []int{1, 2, 12} {
				k := again(stem+last, n)
				if k == "" || len(k) > 64 || seen[k] || k != again(stem+last, n) {
					t.Errorf("%s, time %d: %q", stem+last, n, k)
				}
				seen[k] = true
			}
		}
	}
}

func TestCancelledWhileWaiting(t *testing.T) {
	_, cl := newDesk(t, func(_ int, w http.ResponseWriter, _ *http.Request) { refuse(w, 503, `{"code":"failed","status":503}`) })
	ctx, cancel := context.WithCancel(context.Background())
	cl.pause = func(ctx context.Context, _ time.Duration) error { cancel(); return ctx.Err() }
	_, err := cl.OpenAccount(ctx)
	if !errors.Is(err, context.Canceled) || CodeOf(err) != "failed" {
		t.Errorf("%v", err)
	}
}

func TestAnswersAreBounded(t *testing.T) {
	d, cl := newDesk(t, func(_ int, w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Repeat(" ", 101), `{}`) })
	cl.most = 100
	if _, err := cl.Me(context.Background()); err == nil || len(d.requests()) != 1 {
		t.Errorf("%v after %d attempts", err, len(d.requests()))
	}
}

func TestTimeout(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	d, cl := newDesk(t, func(n int, w http.ResponseWriter, r *http.Request) {
		if n == 0 {
			select {
			case <-release:
			case <-r.Context().Done():
			}
			return
		}
		fmt.Fprint(w, `{"principal":"ana","roles":["auditor"]}`)
	})
	WithTimeout(50 * time.Millisecond)(cl)
	me, err := cl.Me(context.Background())
	if err != nil || me.Principal != "ana" || me.Roles != engine.RoleAuditor || len(d.requests()) != 2 {
		t.Errorf("%+v, %v after %d attempts", me, err, len(d.requests()))
	}
}

func TestProblems(t *testing.T) {
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	head := func(kv ...string) http.Header {
		h := http.Header{}
		for i := 0; i < len(kv); i += 2 {
			h.Set(kv[i], kv[i+1])
		}
		return h
	}
	full := `{"type":"urn:mbp:problem:price_limit","title":"T","status":200,"detail":"D","code":"price_limit","seq":3,"instance":"/v1/decisions/3"}`
	for _, c := range []struct {
		a    answer
		want Problem
		text string
	}{
		{answer{422, head("Content-Type", "application/problem+json; charset=utf-8"), []byte(full)},
			Problem{Type: "urn:mbp:problem:price_limit", Title: "T", Status: 422, Detail: "D", Code: "price_limit", Seq: 3, Instance: "/v1/decisions/3"}, "price_limit: D (status 422)"},
		{answer{429, head("Content-Type", "application/problem+json", "Retry-After", "2"), []byte(`{"code":"overloaded","seq":4}`)},
			Problem{Status: 429, Code: "overloaded", Seq: 4, RetryAfter: 2 * time.Second}, "overloaded (status 429)"},
		{answer{503, head("Retry-After", now.Add(90*time.Second).Format(http.TimeFormat)), []byte("<p>down\xff</p>")},
			Problem{Title: "Service Unavailable", Status: 503, Code: "http_503", Detail: "<p>down</p>", RetryAfter: 90 * time.Second}, "http_503: <p>down</p> (status 503)"},
		{answer{404, head("Content-Type", "application/problem+json"), []byte(`{"title":"no code"}`)},
			Problem{Title: "Not Found", Status: 404, Code: "http_404", Detail: `{"title":"no code"}`}, `http_404: {"title":"no code"} (status 404)`},
		{answer{500, head(), []byte(strings.Repeat("x", 9000))},
			Problem{Title: "Internal Server Error", Status: 500, Code: "http_500", Detail: strings.Repeat("x", maxDetail)}, ""},
	} {
		got := problem(c.a, now)
		if *got != c.want {
			t.Errorf("%+v, want %+v", *got, c.want)
		}
		if c.text != "" && got.Error() != c.text {
			t.Errorf("says %q, want %q", got, c.text)
		}
		if got.Decided() != (c.want.Instance != "") {
			t.Errorf("%+v decided: %v", got, got.Decided())
		}
	}
	for text, want := range map[string]time.Duration{
		"": 0, "0": 0, "7": 7 * time.Second, "-1": 0, "1e3": 0, "4294967295": time.Hour, "99999999999999999999": 0, "soon": 0,
		now.Add(-time.Minute).Format(http.TimeFormat): 0,
	} {
		if got := retryAfter(text, now); got != want {
			t.Errorf("Retry-After %q is %v, want %v", text, got, want)
		}
	}
}

func TestNew(t *testing.T) {
	for url, ok := range map[string]bool{
		"http://127.0.0.1:8420": true, "https://m.example/": true, "http://m.example/base": true,
		"": false, "127.0.0.1:8420": false, "ftp://x": false, "http://": false, "http://a:b@x": false, "http://x?y": false, "http://x#y": false, "://": false,
	} {
		if _, err := New(url, testKey); (err == nil) != ok {
			t.Errorf("New(%q): %v", url, err)
		}
	}
	if _, err := New("http://x", "mbp_\n"); err == nil {
		t.Error("a key with a line feed passes")
	}
	secret, digest, err := NewSecret()
	if err != nil || !regexp.MustCompile(`^mbp_[a-z2-7]{8}_[A-Za-z0-9_-]{43}$`).MatchString(secret) || digest != DigestOf(secret) {
		t.Errorf("%q, %v, %v", secret, digest, err)
	}
	c, _ := New("http://x/", testKey)
	again, _ := New("http://y", testKey)
	other, _ := New("http://x", secret)
	if again.Derive("a") != c.Derive("a") || c.Derive("a") == c.Derive("b") || c.Derive("a") == other.Derive("a") || len(c.Derive("a")) != len(secret) {
		t.Error("derived keys do not depend on exactly the key and the label")
	}
	if c.URL() != "http://x" {
		t.Errorf("URL %q", c.URL())
	}
}
