// Package client is the Go face of the platform's REST API: one typed method
// for each route, a stream reader that resumes, and nothing else.
//
// It promises: every mutation carries an idempotency key that stays the same
// over the retries of one call, so that a lost answer never doubles an order;
// every refusal is a *Problem with the API's stable code; no answer is read
// past a bound; the secret of the API key is in no error and no log. Retries
// are bounded and wait as the server says.
//
// It refuses redirects (they would carry the secret to a stranger) and answers
// that are neither the document of the route nor a problem document.
//
// It follows RFC 9457 (problem documents), RFC 9110 (Retry-After) and the
// WHATWG definition of server-sent events.
package client

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/mbp-market/mbp/engine"
)

// Bounds of the client.
const (
	// maxConnections is how many connections are kept open: a load of some
	// hundred requests a second on a local network needs no more.
	maxConnections = 64
	// DefaultTimeout is how long one attempt may take; the server answers within
	// a second or says that it is overloaded.
	DefaultTimeout = 30 * time.Second
	// MaxAnswer bounds a document: a page of decisions of which each pays a
	// thousand holders fits.
	MaxAnswer = 64 << 20
	maxKey    = 64 // characters of an idempotency key
)

// Client talks to one server as one API key. It is safe for concurrent use.
type Client struct {
	base    string
	key     string // the secret; String and GoString hide it
	http    *http.Client
	retry   Retry
	timeout time.Duration
	atLeast engine.Seq                                 // what reads ask for
	pause   func(context.Context, time.Duration) error // waits; tests replace it
	most    int64                                      // MaxAnswer, but in tests
	silence time.Duration                              // StreamSilence, but in tests
}

// Option changes a client while it is made.
type Option func(*Client)

// WithRetry sets when and how often a call is repeated.
func WithRetry(r Retry) Option { return func(c *Client) { c.retry = r } }

// WithTimeout bounds one attempt.
func WithTimeout(d time.Duration) Option { return func(c *Client) { c.timeout = d } }

// New returns a client for the server at baseURL, for example
// http://127.0.0.1:8420. The key is the whole secret, as NewSecret makes it;
// empty means no authentication, which only the public routes accept. Nothing
// is sent yet.
func New(baseURL, key string, opts ...Option) (*Client, error) {
	u, err := url.Parse(baseURL)
	if err != nil {
		return nil, fmt.Errorf("parse server URL: %w", err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("server URL %q is not http://host[:port]", u.Redacted())
	}
	for _, r := range key {
		if r <= ' ' || r > '~' {
			return nil, errors.New("API key has characters that no key has")
		}
	}
	c := &Client{
		base: strings.TrimSuffix(u.String(), "/"), key: key, retry: DefaultRetry(), timeout: DefaultTimeout, pause: pause,
		most: MaxAnswer, silence: StreamSilence,
		http: &http.Client{
			Transport:     transport(),
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	for _, o := range opts {
		o(c)
	}
	return c, nil
}

func transport() *http.Transport {
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		MaxIdleConns:        maxConnections,
		MaxIdleConnsPerHost: maxConnections,
		MaxConnsPerHost:     maxConnections,
		IdleConnTimeout:     50 * time.Second, // shorter than a server keeps them: nobody writes into a closing connection
		TLSHandshakeTimeout: 10 * time.Second,
		ForceAttemptHTTP2:   true,
	}
}

// String names the server and hides the secret.
func (c *Client) String() string { return "client of " + c.base }

// GoString does, too.
func (c *Client) GoString() string { return c.String() }

// As returns a client for the same server and the same connections that acts as
// another API key.
func (c *Client) As(key string) *Client {
	other := *c
	other.key = key
	return &other
}

// With returns a client for the same server, connections and key that retries
// in another way.
func (c *Client) With(r Retry) *Client {
	other := *c
	other.retry = r
	return &other
}

// AtLeast returns a client for the same server, connections and key whose reads
// show a sequence or a later one: the server waits for it, up to a second, and
// refuses with the code behind then.
func (c *Client) AtLeast(seq engine.Seq) *Client {
	other := *c
	other.atLeast = seq
	return &other
}

// URL returns the server's base URL.
func (c *Client) URL() string { return c.base }

// NewSecret makes an API key: the secret, which stays with whoever uses it, and
// its digest, which the server gets.
func NewSecret() (string, engine.Digest, error) {
	var b [32]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", engine.Digest{}, fmt.Errorf("make a secret: %w", err)
	}
	s := secretOf(b[:])
	return s, DigestOf(s), nil
}

// Derive returns an API key that only the holder of this client's key can
// compute: for helpers that must find their keys again without a file of
// secrets. Equal labels give equal keys.
func (c *Client) Derive(label string) string {
	h := hmac.New(sha256.New, []byte(c.key))
	h.Write([]byte("mbp derived key 1\n" + label))
	return secretOf(h.Sum(nil))
}

// The parts of a secret: mbp_, the public id, _, and 256 random bits.
const (
	prefix   = "mbp_"
	idLength = 8
)

func secretOf(random []byte) string {
	s := base64.RawURLEncoding.EncodeToString(random)
	return prefix + publicID(s) + "_" + s
}

// publicID is what people tell a key apart by. It follows from the random part, so
// that a slip of the pen shows, and says nothing of it: 40 bits of a hash of 256.
func publicID(random string) string {
	sum := sha256.Sum256([]byte("mbp key id 1\n" + random))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:5]))
}

// IDOf returns the public id of a secret: 8 characters a-z and 2-7. It is empty for
// a secret that was made before keys had one, and for what is no secret.
func IDOf(secret string) string {
	id, random, found := strings.Cut(strings.TrimPrefix(secret, prefix), "_")
	if !found || len(id) != idLength || len(random) != 43 || id != publicID(random) {
		return ""
	}
	return id
}

// DigestOf returns the digest by which the server knows a secret.
func DigestOf(key string) engine.Digest { return sha256.Sum256([]byte(key)) }

// call is one request of a method.
type call struct {
	method, path string
	query        url.Values
	body         any    // encoded as JSON; nil for none
	key          string // idempotency key of a mutation
	allow        bool   // a moderator lets texts pass in which personal data is suspected
}

// Call changes one mutation.
type Call func(*call)

// Key sets the idempotency key, 1..64 visible ASCII characters, for callers that
// repeat a mutation over the life of more than one process.
func Key(key string) Call { return func(c *call) { c.key = key } }

// AllowPersonalData lets the texts of a mutation pass in which the server suspects
// personal data, which goes on record. Roles: moderator, admin, beside the route's.
func AllowPersonalData() Call { return func(c *call) { c.allow = true } }

func newKey() (string, error) {
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", fmt.Errorf("make an idempotency key: %w", err)
	}
	return hex.EncodeToString(b[:]), nil
}

// answer is what one attempt brought.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// once makes one attempt.
func (c *Client) once(ctx context.Context, x *call, body []byte, key string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	req, err := c.request(ctx, x, body)
	if err != nil {
		return answer{}, err
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	if x.allow {
		req.Header.Set("Allow-Personal-Data", "true")
	}
	res, err := c.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, c.most+1))
	switch {
	case err != nil:
		return answer{}, fmt.Errorf("read the answer: %w", err)
	case int64(len(b)) > c.most:
		return answer{}, &malformed{fmt.Errorf("the answer is longer than %d bytes", c.most)}
	}
	return answer{status: res.StatusCode, header: res.Header, body: b}, nil
}

func (c *Client) request(ctx context.Context, x *call, body []byte) (*http.Request, error) {
	target := c.base + x.path
	if len(x.query) > 0 {
		target += "?" + x.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, x.method, target, bytes.NewReader(body))
	if err != nil {
		return nil, &malformed{err}
	}
	if c.key != "" {
		req.Header.Set("Authorization", "Bearer "+c.key)
	}
	req.Header.Set("Accept", "application/json")
	if x.method != http.MethodGet {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

// malformed is an error that no retry mends.
type malformed struct{ err error }

func (m *malformed) Error() string { return m.err.Error() }
func (m *malformed) Unwrap() error { return m.err }

// do makes a call with retries and decodes the answer into out, if that is not
// nil. It reports whether the server replayed an earlier answer.
func (c *Client) do(ctx context.Context, x *call, out any) (replayed bool, err error) {
	var body []byte
	if x.method != http.MethodGet {
		if x.key == "" {
			if x.key, err = newKey(); err != nil {
				return false, err
			}
		}
		if body, err = json.Marshal(x.body); err != nil {
			return false, fmt.Errorf("%s %s: encode: %w", x.method, x.path, err)
		}
	}
	a, err := c.attempt(ctx, x, body)
	if err != nil {
		return false, fmt.Errorf("%s %s: %w", x.method, x.path, err)
	}
	if out != nil {
		if err := json.Unmarshal(a.body, out); err != nil {
			return false, fmt.Errorf("%s %s: the answer is not the route's document: %w", x.method, x.path, err)
		}
	}
	return a.header.Get("Idempotency-Replayed") == "true", nil
}
