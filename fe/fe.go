// Package fe holds the panel as embedded bytes: the page that people trade on,
// built by Vite from fe/web. It promises files that need no other origin and
// run under the Content-Security-Policy that Policy states, without inline code
// or style. It refuses to serve: routes, headers and panel.json are the edge's,
// and a binary that was built without the panel says so instead of answering
// with an empty page. Policy follows W3C CSP Level 3.
package fe

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"regexp"
	"strings"
)

// dist is what `vite build fe/web` wrote; before that only .keep is in it, so
// that the module builds without Node.
//
//go:embed all:web/dist
var dist embed.FS

// ErrNotBuilt means that this binary was built before the panel: run `make web`
// and build again.
var ErrNotBuilt = errors.New("the panel is not in this binary: it was built before fe/web/dist")

// Panel returns the panel's files, rooted at index.html. Everything but
// index.html and favicon.svg lies under assets/ and carries the hash of its
// content in its name, so it may be cached for ever. The error is ErrNotBuilt.
func Panel() (fs.FS, error) { return panel(dist) }

func panel(built fs.FS) (fs.FS, error) {
	if _, err := fs.Stat(built, "web/dist/index.html"); err != nil {
		return nil, fmt.Errorf("%w (%w)", ErrNotBuilt, err)
	}
	return fs.Sub(built, "web/dist")
}

// plainHost is a host, perhaps with a port, that cannot end a directive: URLs
// allow ";" and "," in a host.
var plainHost = regexp.MustCompile(`^[A-Za-z0-9.:\[\]-]+$`)

// Policy returns the Content-Security-Policy that the panel runs under. rumURL
// is where its pages report to, the rum_url of panel.json; empty if nowhere. The
// error names a rumURL that is not an absolute http or https address.
func Policy(rumURL string) (string, error) {
	connect := "'self'"
	if rumURL != "" {
		u, err := url.Parse(rumURL)
		if err != nil || !plainHost.MatchString(u.Host) || u.Scheme != "http" && u.Scheme != "https" {
			return "", fmt.Errorf("RUM address %q is not an absolute http or https URL", rumURL)
		}
		connect += " " + u.Scheme + "://" + u.Host
	}
	return strings.Join([]string{
		"default-src 'none'",
		"script-src 'self'",
		"style-src 'self'",
		"img-src 'self'",
		"connect-src " + connect,
		"base-uri 'none'",
		"form-action 'none'",
		"frame-ancestors 'none'",
		"require-trusted-types-for 'script'",
		"trusted-types 'none'",
	}, "; "), nil
}
