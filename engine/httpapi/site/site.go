// Package site serves the built files of the panel. It promises: names that carry
// the hash of their content are kept by browsers for ever and all others are asked
// for again; every file of the panel carries its own content security policy (W3C CSP
// level 3); a panel that was not built says so, and how to build it. It refuses
// every method but GET and HEAD, and knows nothing of the market.
package site

import (
	"io/fs"
	"net/http"
	"strings"
)

const notBuilt = `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>MBP</title>
<h1>The panel is not built</h1>
<p>Run <code>make build</code> and start <code>bin/mbp serve</code> again. The API under <code>/v1</code> works without it.</p>
</html>
`

// Handler serves files, which may be nil, under a policy. refuse answers what is
// not served: with a method that is not allowed, or else a path that is not there.
func Handler(files fs.FS, policy string, refuse func(w http.ResponseWriter, r *http.Request, method bool)) http.HandlerFunc {
	var server http.Handler
	if files != nil {
		if _, err := fs.Stat(files, "index.html"); err == nil {
			server = http.FileServerFS(files)
		}
	}
	return func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		switch {
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			refuse(w, r, true)
		case server != nil:
			h.Set("Content-Security-Policy", policy)
			h.Set("Cache-Control", "no-cache")
			if strings.HasPrefix(r.URL.Path, "/assets/") { // these names carry the hash of their content
				h.Set("Cache-Control", "public, max-age=31536000, immutable")
			}
			server.ServeHTTP(w, r)
		case r.URL.Path != "/" && r.URL.Path != "/index.html":
			refuse(w, r, false)
		default:
			h.Set("Content-Type", "text/html; charset=utf-8")
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte(notBuilt)) // who left misses nothing
		}
	}
}
