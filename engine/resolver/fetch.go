package resolver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"time"

	"github.com/mbp-market/mbp/engine/resolver/reach"
)

// FetchConfig bounds what an endpoint source may do on the network. The zero
// value allows https to public addresses within ten seconds.
type FetchConfig struct {
	Timeout      time.Duration // of one address, redirects and body included; 0: 10 s
	AllowHTTP    bool          // plain http too, for tests and closed networks
	AllowPrivate bool          // loopback, private and link-local addresses too
	TLS          *tls.Config   // nil: Go's defaults
	UserAgent    string        // "": mbp-resolver
}

// maxRedirects within one host; more is a loop.
const maxRedirects = 3

// HTTP returns a Fetch over the network. It refuses answers other than 200,
// bodies over MaxBodyBytes, redirects to another host or to plain http, and, so
// that a rule cannot be used to look around inside, addresses that are not
// public; that is checked after names are resolved.
func HTTP(c FetchConfig) Fetch {
	if c.Timeout == 0 {
		c.Timeout = 10 * time.Second
	}
	if c.UserAgent == "" {
		c.UserAgent = "mbp-resolver"
	}
	transport := &http.Transport{
		DialContext:            (&net.Dialer{Timeout: c.Timeout, Control: c.control()}).DialContext,
		TLSClientConfig:        c.TLS.Clone(),
		ForceAttemptHTTP2:      true,
		MaxResponseHeaderBytes: 64 << 10,
	}
	client := &http.Client{Transport: transport, Timeout: c.Timeout, CheckRedirect: c.redirect}
	return func(ctx context.Context, address string) ([]byte, error) {
		u, err := url.Parse(address)
		if err != nil {
			return nil, fmt.Errorf("fetch: %w", err)
		}
		if err := c.scheme(u); err != nil {
			return nil, fmt.Errorf("fetch %s: %w", address, err)
		}
		q, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return nil, fmt.Errorf("fetch: %w", err)
		}
		q.Header.Set("Accept", "application/json")
		q.Header.Set("User-Agent", c.UserAgent)
		r, err := client.Do(q)
		if err != nil {
			return nil, fmt.Errorf("fetch: %w", err)
		}
		defer r.Body.Close()
		if r.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("fetch %s: status %d", address, r.StatusCode)
		}
		body, err := io.ReadAll(io.LimitReader(r.Body, MaxBodyBytes+1))
		if err != nil {
			return nil, fmt.Errorf("fetch %s: %w", address, err)
		}
		if len(body) > MaxBodyBytes {
			return nil, fmt.Errorf("fetch %s: more than %d bytes", address, MaxBodyBytes)
		}
		return body, nil
	}
}

func (c FetchConfig) scheme(u *url.URL) error {
	if u.Scheme != "https" && (!c.AllowHTTP || u.Scheme != "http") {
		return fmt.Errorf("scheme %q is not allowed", u.Scheme)
	}
	return nil
}

func (c FetchConfig) redirect(next *http.Request, via []*http.Request) error {
	switch first := via[0].URL; {
	case len(via) > maxRedirects:
		return errors.New("too many redirects")
	case next.URL.Host != first.Host:
		return fmt.Errorf("redirect to another host, %s", next.URL.Host)
	case first.Scheme == "https" && next.URL.Scheme != "https":
		return errors.New("redirect to plain http")
	}
	return c.scheme(next.URL)
}

// control sees the address that is really dialled.
func (c FetchConfig) control() func(network, address string, conn syscall.RawConn) error {
	if c.AllowPrivate {
		return nil
	}
	return reach.Control(nil)
}
