package session

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mbp-market/mbp/engine"
)

type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func begin(s *Store, n byte) (*Session, *http.Cookie) {
	w := httptest.NewRecorder()
	x := s.Begin(w, with(), Holder{Digest: engine.Digest{n}, Roles: engine.RoleTrader}, time.Time{})
	return x, w.Result().Cookies()[0]
}

func with(cookies ...*http.Cookie) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for _, c := range cookies {
		r.AddCookie(c)
	}
	return r
}

// TestCookie: what a browser is told to do with it, with and without HTTPS.
func TestCookie(t *testing.T) {
	for secure, name := range map[bool]string{true: "__Host-mbp-session", false: "mbp-session"} {
		s := New(secure, nil)
		x, c := begin(s, 1)
		if c.Name != name || !c.HttpOnly || c.Secure != secure || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Domain != "" || c.MaxAge != int(Life.Seconds()) {
			t.Errorf("the cookie is %s", c)
		}
		if len(c.Value) != 43 || strings.Contains(string(x.id[:]), c.Value) || x.CSRF() == c.Value {
			t.Errorf("its value is %q", c.Value)
		}
		if _, other := begin(s, 1); other.Value == c.Value {
			t.Error("two sessions have one secret")
		}
		if got, ok := s.Find(with(c)); !ok || got != x {
			t.Error("the session is not found by its cookie")
		}
		again := httptest.NewRecorder()
		if y := s.Begin(again, with(c), Holder{Digest: engine.Digest{2}}, time.Time{}); s.Open(x) || !s.Open(y) {
			t.Error("the session before is open, too")
		}
		x, c = begin(s, 1)
		w := httptest.NewRecorder()
		s.End(w, x)
		if gone := w.Result().Cookies()[0]; gone.MaxAge >= 0 || gone.Value != "" || gone.Name != name {
			t.Errorf("it is taken back by %s", gone)
		}
		if _, ok := s.Find(with(c)); ok || s.Open(x) {
			t.Error("an ended session is found")
		}
	}
}

// TestEnds: a session that is idle, and one that is old, has ended.
func TestEnds(t *testing.T) {
	c := &clock{time.Unix(1_800_000_000, 0)}
	s := New(true, c.now)
	x, cookie := begin(s, 1)
	c.at = c.at.Add(Idle - time.Second)
	if _, ok := s.Find(with(cookie)); !ok {
		t.Fatal("ended before it was idle")
	}
	c.at = c.at.Add(Idle - time.Second)
	if !s.Open(x) { // a stream uses it, too
		t.Fatal("ended though it was used")
	}
	c.at = c.at.Add(Idle)
	if _, ok := s.Find(with(cookie)); ok || s.Count() != 0 {
		t.Error("an idle session is found")
	}
	_, cookie = begin(s, 1)
	old := c.at.Add(Life)
	for c.at.Before(old.Add(-time.Minute)) {
		c.at = c.at.Add(time.Minute)
		if _, ok := s.Find(with(cookie)); !ok {
			t.Fatalf("ended %s before its time", old.Sub(c.at))
		}
	}
	c.at = old
	if _, ok := s.Find(with(cookie)); ok {
		t.Error("an old session is found")
	}
	w := httptest.NewRecorder()
	short := s.Begin(w, with(), Holder{}, c.at.Add(time.Minute))
	if c.at = c.at.Add(time.Minute); s.Open(short) {
		t.Error("a session outlives the key that it is of")
	}
}

// TestPlaces: nobody takes the places of others, and there is an end to all.
func TestPlaces(t *testing.T) {
	s := New(true, nil)
	_, quiet := begin(s, 1)
	var first *http.Cookie
	for n := range 3 * MaxOfOne {
		if _, c := begin(s, 2); n == 2*MaxOfOne {
			first = c
		}
	}
	if s.Count() != 1+MaxOfOne {
		t.Errorf("%d sessions", s.Count())
	}
	if _, ok := s.Find(with(quiet)); !ok {
		t.Error("one who signs in often took another's place")
	}
	if _, ok := s.Find(with(first)); !ok {
		t.Error("the last ones are not the ones that are kept")
	}
	for n := range MaxSessions + 10 {
		s.Begin(httptest.NewRecorder(), with(), Holder{Digest: engine.Digest{3, byte(n >> 16), byte(n >> 8), byte(n)}}, time.Time{})
	}
	if s.Count() != MaxSessions || len(s.of) != MaxSessions || s.lru.Len() != MaxSessions {
		t.Errorf("%d sessions of %d holders", s.Count(), len(s.of))
	}
}

// TestGenuine: what changes something needs the session's token and a page of this
// origin.
func TestGenuine(t *testing.T) {
	s := New(true, nil)
	x, _ := begin(s, 1)
	other, _ := begin(s, 1)
	for _, c := range []struct {
		method  string
		headers []string
		want    bool
	}{
		{http.MethodGet, nil, true}, {http.MethodHead, nil, true},
		{http.MethodPost, []string{CSRFHeader, x.CSRF()}, true},
		{http.MethodPost, []string{CSRFHeader, x.CSRF(), "Sec-Fetch-Site", "same-origin"}, true},
		{http.MethodPost, nil, false}, {http.MethodPut, nil, false}, {http.MethodDelete, nil, false}, {"PATCH", nil, false},
		{http.MethodPost, []string{CSRFHeader, ""}, false}, {http.MethodPost, []string{CSRFHeader, other.CSRF()}, false},
		{http.MethodPost, []string{CSRFHeader, x.CSRF()[:42]}, false},
		{http.MethodPost, []string{CSRFHeader, x.CSRF(), "Sec-Fetch-Site", "cross-site"}, false},
		{http.MethodPost, []string{CSRFHeader, x.CSRF(), "Sec-Fetch-Site", "same-site"}, false},
		{http.MethodPost, []string{CSRFHeader, x.CSRF(), "Origin", "https://evil.example"}, false},
		{http.MethodPost, []string{CSRFHeader, x.CSRF(), "Origin", "null"}, false},
		{http.MethodPost, []string{CSRFHeader, x.CSRF(), "Origin", "http://example.com"}, true},
	} {
		r := httptest.NewRequest(c.method, "http://example.com/v1/orders", nil)
		for i := 0; i < len(c.headers); i += 2 {
			r.Header.Set(c.headers[i], c.headers[i+1])
		}
		if got := x.Genuine(r); got != c.want {
			t.Errorf("%s with %q: %v", c.method, c.headers, got)
		}
	}
}

// TestTwoCookies: a second cookie of the name, which another host of the domain may
// have set, makes the request nobody's.
func TestTwoCookies(t *testing.T) {
	s := New(false, nil)
	_, a := begin(s, 1)
	_, b := begin(s, 2)
	if _, ok := s.Find(with(a, b)); ok {
		t.Error("one of two cookies counts")
	}
	if _, ok := s.Find(with()); ok {
		t.Error("no cookie counts")
	}
}

// TestManyAtOnce is for the race detector.
func TestManyAtOnce(t *testing.T) {
	s := New(true, nil)
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			for range 200 {
				x, c := begin(s, byte(n%2))
				s.Find(with(c))
				s.Open(x)
				s.End(httptest.NewRecorder(), x)
			}
		})
	}
	wg.Wait()
	if s.Count() != 0 || len(s.of) != 0 {
		t.Errorf("%d sessions are left", s.Count())
	}
}
