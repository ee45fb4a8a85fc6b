package httpapi

import (
	"errors"
	"io/fs"
	"net/http"
	"strconv"
	"strings"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/httpapi/scrape"
)

// PanelConfig is what the panel learns from /panel.json.
type PanelConfig struct {
	// RUMURL is where the panel sends its vitals; empty turns that off.
	RUMURL string `json:"rum_url"`
	// Env names the installation in those vitals, for example smoke.
	Env string `json:"env"`
}

const notBuilt = `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>MBP</title>
<h1>The panel is not built</h1>
<p>Run <code>make build</code> and start <code>bin/mbp serve</code> again. The API under <code>/v1</code> works without it.</p>
</html>
`

// panel serves the files of the panel.
func (a *API) panel() http.HandlerFunc {
	built := false
	if a.cfg.Panel != nil {
		_, err := fs.Stat(a.cfg.Panel, "index.html")
		built = err == nil
	}
	var files http.Handler
	if built {
		files = http.FileServerFS(a.cfg.Panel)
	}
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			a.fail(w, r, &refusal{code: codeMethod, detail: "allowed: GET, HEAD", allow: "GET, HEAD"})
			return
		}
		h := w.Header()
		if files != nil {
			h.Set("Content-Security-Policy", a.cfg.PanelPolicy)
			h.Set("Cache-Control", "no-cache")
			if strings.HasPrefix(r.URL.Path, "/assets/") { // these names carry the hash of their content
				h.Set("Cache-Control", "public, max-age=31536000, immutable")
			}
			files.ServeHTTP(w, r)
			return
		}
		if r.URL.Path != "/" && r.URL.Path != "/index.html" {
			a.fail(w, r, &refusal{code: codeNotFound})
			return
		}
		h.Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(notBuilt))
	}
}

func (a *API) panelConfig(w http.ResponseWriter, r *http.Request) {
	a.write(w, r, http.StatusOK, "application/json", a.cfg.PanelConfig)
}

// healthz says that the process answers; nothing else.
func (a *API) healthz(w http.ResponseWriter, r *http.Request) {
	a.write(w, r, http.StatusOK, "application/json", map[string]string{"status": "ok"})
}

// exposition serves the metrics.
func (a *API) exposition() http.HandlerFunc {
	x := scrape.New(a.cfg.Gatherer, a.log)
	return func(w http.ResponseWriter, r *http.Request) {
		kind, body, err := x.Page()
		if err != nil {
			a.fail(w, r, err)
			return
		}
		h := w.Header()
		h.Set("Content-Type", kind)
		h.Set("Content-Length", strconv.Itoa(len(body)))
		h.Set("Cache-Control", "no-store")
		_, _ = w.Write(body) // who left misses nothing
	}
}

// NotReady says in a word that anybody may read why the process cannot serve.
type NotReady string

// Error implements error.
func (e NotReady) Error() string { return string(e) }

// reasonOf is what /readyz tells of an error. It needs no key, so it says nothing
// that the word does not: paths and addresses are for the log.
func reasonOf(err error) string {
	var word NotReady
	if errors.As(err, &word) {
		return string(word)
	}
	return "the log says why"
}

// readyz says whether requests are welcome, in which mode, and if not, why.
func (a *API) readyz(w http.ResponseWriter, r *http.Request) {
	err := error(nil)
	if a.draining.Load() {
		err = NotReady("shutting down")
	} else if a.cfg.Ready != nil {
		err = a.cfg.Ready()
	}
	if err != nil {
		a.write(w, r, http.StatusServiceUnavailable, "application/json", map[string]string{"status": "not ready", "reason": reasonOf(err)})
		return
	}
	doc := struct {
		Status string      `json:"status"`
		Seq    engine.Seq  `json:"seq"`
		Mode   engine.Mode `json:"mode"`
	}{Status: "ready"}
	a.seq.View(func(s *core.State) { doc.Seq, doc.Mode = s.Seq(), s.Mode() })
	a.write(w, r, http.StatusOK, "application/json", doc)
}
