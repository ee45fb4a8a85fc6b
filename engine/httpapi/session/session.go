// Package session remembers who has signed in with a browser.
//
// It promises: a session is a random cookie that no script can read, that only this
// site's own pages make browsers send, and of which the server keeps the digest
// alone; it ends when it is idle for Idle, when it is Life old, when its owner says
// so, or when its place is needed; nobody can take the places of others; a request
// that changes something counts only with the session's own token, from a page of
// this origin. It keeps nothing on disk: a restart signs everybody out.
//
// It refuses to know what may be done with a session, and who a person is: it keeps
// a digest, roles and groups.
//
// It follows RFC 6265bis (cookies), the Fetch Metadata recommendation of the W3C, and
// OWASP's advice on sessions and cross-site request forgery.
package session

import (
	"container/list"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"sync"
	"time"

	"github.com/mbp-market/mbp/engine"
)

// Bounds.
const (
	// Life is how long a session lasts at most: a working day.
	Life = 10 * time.Hour
	// Idle is how long one lasts that nobody uses.
	Idle = time.Hour
	// MaxSessions of everybody: each has some hundred bytes, and its groups.
	MaxSessions = 20_000
	// MaxOfOne are the browsers of one holder.
	MaxOfOne = 8
)

// CSRFHeader carries the token of a session with whatever changes something.
const CSRFHeader = "X-CSRF-Token"

// Holder is whose a session is.
type Holder struct {
	Digest engine.Digest // of the key or of the person
	Roles  engine.Roles  // of a person, at the sign-in
	Groups []string      // of a person, at the sign-in
}

// Session is one browser's.
type Session struct {
	Holder
	Ends time.Time // at the latest

	csrf string
	id   [sha256.Size]byte
	used time.Time     // guarded by the store
	age  *list.Element // in the order of use; guarded by the store
}

// CSRF is what the panel's page has to send with whatever changes something.
func (s *Session) CSRF() string { return s.csrf }

// Genuine reports whether a request that carries the session's cookie is meant by
// the page of the panel. What changes nothing always is.
func (s *Session) Genuine(r *http.Request) bool {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return true
	}
	given := r.Header.Get(CSRFHeader)
	return subtle.ConstantTimeCompare([]byte(given), []byte(s.csrf)) == 1 && SameOrigin(r)
}

// SameOrigin reports whether a request that changes something does not come from
// another site's page.
func SameOrigin(r *http.Request) bool { return new(http.CrossOriginProtection).Check(r) == nil }

// Store holds the sessions. It is safe for concurrent use.
type Store struct {
	secure bool
	now    func() time.Time

	mu   sync.Mutex
	byID map[[sha256.Size]byte]*Session
	of   map[engine.Digest]int // sessions of a holder
	lru  *list.List            // of *Session; the first was used longest ago
}

// New makes an empty store. Secure is whether browsers reach this server by HTTPS
// alone: their cookies then never travel otherwise. A nil now is time.Now.
func New(secure bool, now func() time.Time) *Store {
	if now == nil {
		now = time.Now
	}
	return &Store{secure: secure, now: now, byID: map[[sha256.Size]byte]*Session{}, of: map[engine.Digest]int{}, lru: list.New()}
}

// CookieName is how the cookie is called. The prefix __Host- lets no other host of
// the domain set it.
func (s *Store) CookieName() string {
	if s.secure {
		return "__Host-mbp-session"
	}
	return "mbp-session"
}

func random() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // it never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// Begin starts a session in the browser that asks, in place of the one that it had,
// and sets its cookie. It ends at the given time at the latest, if that is not zero. A
// holder's oldest session makes room for one too many.
func (s *Store) Begin(w http.ResponseWriter, r *http.Request, h Holder, until time.Time) *Session {
	if old, had := s.Find(r); had {
		s.mu.Lock()
		s.drop(old)
		s.mu.Unlock()
	}
	secret := random()
	now := s.now()
	x := &Session{Holder: h, Ends: now.Add(Life), csrf: random(), id: sha256.Sum256([]byte(secret)), used: now}
	if !until.IsZero() && until.Before(x.Ends) {
		x.Ends = until
	}
	s.mu.Lock()
	if s.of[h.Digest] >= MaxOfOne {
		s.evict(func(old *Session) bool { return old.Digest == h.Digest })
	}
	if len(s.byID) >= MaxSessions {
		s.evict(func(*Session) bool { return true })
	}
	s.byID[x.id] = x
	s.of[h.Digest]++
	x.age = s.lru.PushBack(x)
	s.mu.Unlock()
	http.SetCookie(w, s.cookie(secret, int(Life/time.Second)))
	return x
}

func (s *Store) cookie(value string, seconds int) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // Secure is off where the server speaks plain HTTP to this machine
		Name: s.CookieName(), Value: value, Path: "/", MaxAge: seconds, HttpOnly: true, Secure: s.secure, SameSite: http.SameSiteStrictMode,
	}
}

// evict drops the session that was used longest ago of those that are meant. The
// caller holds mu.
func (s *Store) evict(meant func(*Session) bool) {
	for e := s.lru.Front(); e != nil; e = e.Next() {
		if x := e.Value.(*Session); meant(x) {
			s.drop(x)
			return
		}
	}
}

// drop forgets a session. The caller holds mu.
func (s *Store) drop(x *Session) {
	if s.byID[x.id] != x {
		return
	}
	delete(s.byID, x.id)
	s.lru.Remove(x.age)
	if s.of[x.Digest]--; s.of[x.Digest] == 0 {
		delete(s.of, x.Digest)
	}
}

// Find returns the session of a request's cookie, and notes that it is used.
func (s *Store) Find(r *http.Request) (*Session, bool) {
	cookies := r.CookiesNamed(s.CookieName())
	if len(cookies) != 1 {
		return nil, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.byID[sha256.Sum256([]byte(cookies[0].Value))]
	if x == nil || !s.live(x) {
		return nil, false
	}
	x.used = s.now()
	s.lru.MoveToBack(x.age)
	return x, true
}

// live reports whether a session has not ended, and drops it if it has. The caller
// holds mu.
func (s *Store) live(x *Session) bool {
	now := s.now()
	if now.Before(x.Ends) && now.Sub(x.used) < Idle {
		return true
	}
	s.drop(x)
	return false
}

// Open reports whether a session has not ended. A stream that is open uses it.
func (s *Store) Open(x *Session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byID[x.id] != x || !s.live(x) {
		return false
	}
	x.used = s.now()
	s.lru.MoveToBack(x.age)
	return true
}

// End ends a session and takes its cookie back.
func (s *Store) End(w http.ResponseWriter, x *Session) {
	s.mu.Lock()
	s.drop(x)
	s.mu.Unlock()
	http.SetCookie(w, s.cookie("", -1))
}

// Count is how many sessions there are, with those that have ended and were not
// asked for since.
func (s *Store) Count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.byID)
}
