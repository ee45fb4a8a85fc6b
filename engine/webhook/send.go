package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/resolver/reach"
	"github.com/mbp-market/mbp/engine/webhook/sign"
)

const (
	// maxAnswer is how much of an answer is read: its status says all.
	maxAnswer = 4 << 10
	// maxHeader bounds the headers of an answer.
	maxHeader = 16 << 10
	// maxLater bounds how long an endpoint may ask to be left alone.
	maxLater = time.Hour
	// maxWhy bounds what is kept of an error, in bytes.
	maxWhy = 160
)

// newClient makes the client of all endpoints: each address is looked at when it is
// dialled, and a redirect is an answer like any other.
func newClient(cfg Config) *http.Client {
	dialer := &net.Dialer{Timeout: cfg.Pace.Timeout, Control: reach.Control(cfg.Networks)}
	return &http.Client{
		Timeout:       cfg.Pace.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			TLSClientConfig:        cfg.TLS.Clone(),
			TLSHandshakeTimeout:    cfg.Pace.Timeout,
			MaxResponseHeaderBytes: maxHeader,
			MaxIdleConns:           engine.MaxWebhooks,
			MaxConnsPerHost:        engine.MaxWebhooks,
			IdleConnTimeout:        time.Minute,
			DisableCompression:     true, // nothing is unpacked
		},
	}
}

// Check says what is wrong with the address of an endpoint: it is https, or http to an
// address of this machine that Networks allow; it has no password and no fragment.
func (x *Dispatcher) Check(at string) error {
	if x.cfg.Key == nil {
		return errors.New("this server has no webhook.key, and so no secret to sign with")
	}
	u, err := url.Parse(at)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return errors.New("it is not https://host[:port]/path, without a password and a fragment")
	}
	ip, is := address(u.Hostname())
	switch {
	case u.Scheme == "https" && (!is || reach.Public(ip) || reach.In(ip, x.cfg.Networks)): // what a name leads to is looked at when it is dialled
	case u.Scheme == "http" && is && ip.IsLoopback() && reach.In(ip, x.cfg.Networks):
	default:
		return errors.New("it is no https address that this server may call")
	}
	return nil
}

// address reads a host that is no name.
func address(host string) (netip.Addr, bool) {
	ip, err := netip.ParseAddr(host)
	return ip, err == nil
}

// Attempt is one request to an endpoint, and what came of it.
type Attempt struct {
	At      time.Time  `json:"at"`
	First   engine.Seq `json:"first_seq"`
	Last    engine.Seq `json:"last_seq"`
	Attempt int        `json:"attempt"`          // of the message, from 1
	Status  int        `json:"status,omitempty"` // of HTTP; 0: there was no answer
	Millis  int64      `json:"duration_ms"`
	Why     string     `json:"error,omitempty"` // there was no answer because of this

	later time.Duration // the endpoint asks to be left alone for so long
}

func (a *Attempt) ok() bool   { return a.Status >= 200 && a.Status < 300 }
func (a *Attempt) gone() bool { return a.Status == http.StatusGone } // and will not come back

// why says why an endpoint fails.
func (a *Attempt) why(n int) string {
	said := a.Why
	if a.Status != 0 {
		said = "status " + strconv.Itoa(a.Status)
	}
	return printable(fmt.Sprintf("%d attempts failed, the last one with %s", n, said))
}

// send makes one attempt.
func (x *Dispatcher) send(ctx context.Context, w *engine.Webhook, id string, body []byte) (a Attempt) {
	a.At = time.Now().UTC().Truncate(time.Microsecond)
	defer func() { a.Millis = time.Since(a.At).Milliseconds() }()
	if err := x.Check(w.URL); err != nil { // the configuration may have changed
		a.Why = printable(err.Error())
		return a
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL, bytes.NewReader(body))
	if err != nil {
		a.Why = printable(err.Error())
		return a
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "mbp-webhook")
	sign.Put(r.Header, id, a.At, body, x.secrets(w, a.At)...)
	res, err := x.client.Do(r)
	if err != nil {
		var outer *url.Error // which says the address, and no more
		if errors.As(err, &outer) {
			err = outer.Err
		}
		a.Why = printable(err.Error())
		return a
	}
	defer func() { _ = res.Body.Close() }()
	a.Status = res.StatusCode
	_, _ = io.CopyN(io.Discard, res.Body, maxAnswer) // so that a short answer leaves its connection for the next
	if s, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && s > 0 && !a.ok() {
		a.later = min(time.Duration(min(s, int(maxLater/time.Second)))*time.Second, maxLater)
	}
	return a
}

// printable bounds an error, and leaves nothing in it that is no text of one line.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == utf8.RuneError || r >= 0x7f {
			return '?'
		}
		return r
	}, s)
	return strings.TrimSpace(s[:min(len(s), maxWhy)])
}
