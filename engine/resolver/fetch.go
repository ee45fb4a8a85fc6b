package resolver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"
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
		DialContext:            (&net.Dialer{Timeout: c.Timeout, Control: c.control}).DialContext,
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
func (c FetchConfig) control(_, address string, _ syscall.RawConn) error {
	if c.AllowPrivate {
		return nil
	}
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if !public(to.Addr()) {
		return fmt.Errorf("%s is no public address", to.Addr())
	}
	return nil
}

// special lists what is not the address of a host on the Internet: the blocks of
// the IANA special-purpose registries (RFC 6890) that are not globally reachable,
// or that a gateway turns into any IPv4 address. Blocks with exceptions are
// listed whole, because the exceptions are anycast services and identifiers.
var special = prefixes(
	"0.0.0.0/8",       // this network
	"10.0.0.0/8",      // private use
	"100.64.0.0/10",   // shared address space
	"127.0.0.0/8",     // loopback
	"169.254.0.0/16",  // link local; cloud metadata
	"172.16.0.0/12",   // private use
	"192.0.0.0/24",    // IETF protocol assignments
	"192.0.2.0/24",    // documentation
	"192.88.99.0/24",  // 6to4 relay anycast
	"192.168.0.0/16",  // private use
	"198.18.0.0/15",   // benchmarking
	"198.51.100.0/24", // documentation
	"203.0.113.0/24",  // documentation
	"224.0.0.0/4",     // multicast
	"240.0.0.0/4",     // reserved; limited broadcast
	"2001::/23",       // IETF protocol assignments: Teredo, benchmarking, ORCHID
	"2001:db8::/32",   // documentation
	"2002::/16",       // 6to4
	"3fff::/20",       // documentation
)

// unicast is all that IANA gives out of IPv6. Outside of it lie loopback, unique
// local, link local and site local addresses, multicast, discard (100::/64),
// segment routing (5f00::/16), and the forms that hold an IPv4 address: NAT64
// (64:ff9b::/96, 64:ff9b:1::/48) and IPv4-compatible (::/96).
var unicast = netip.MustParsePrefix("2000::/3")

func prefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, s := range list {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

func public(a netip.Addr) bool {
	a = a.Unmap()
	if !a.Is4() && !unicast.Contains(a) { // nor does it contain one with a zone
		return false
	}
	for _, p := range special {
		if p.Contains(a) {
			return false
		}
	}
	return true
}
