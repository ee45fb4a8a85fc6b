package httpapi

import (
	"errors"
	"net/http"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/httpapi/problem"
	"github.com/mbp-market/mbp/engine/httpapi/scrape"
	"github.com/mbp-market/mbp/engine/httpapi/site"
)

// PanelConfig is what the panel learns from /panel.json.
type PanelConfig struct {
	// RUMURL is where the panel sends its vitals; empty turns that off.
	RUMURL string `json:"rum_url"`
	// Env names the installation in those vitals, for example smoke.
	Env string `json:"env"`
}

// panel serves the files of the panel.
func (a *API) panel() http.HandlerFunc {
	return site.Handler(a.cfg.Panel, a.cfg.PanelPolicy, func(w http.ResponseWriter, r *http.Request, method bool) {
		e := &problem.Refusal{Code: problem.NotFound}
		if method {
			e = &problem.Refusal{Code: problem.Method, Detail: "allowed: GET, HEAD", Allow: "GET, HEAD"}
		}
		a.fail(w, r, e)
	})
}

func (a *API) panelConfig(w http.ResponseWriter, r *http.Request) {
	a.write(w, r, http.StatusOK, "application/json", a.cfg.PanelConfig)
}

// healthz says that the process answers; nothing else.
func (a *API) healthz(w http.ResponseWriter, r *http.Request) {
	a.write(w, r, http.StatusOK, "application/json", map[string]string{"status": "ok"})
}

// exposition serves the metrics.
func (a *API) exposition() http.HandlerFunc { return scrape.New(a.cfg.Gatherer, a.log).Serve(a.fail) }

// NotReady says in a word that anybody may read why the process cannot serve.
type NotReady string

// Error implements error.
func (e NotReady) Error() string { return string(e) }

// Notice says in a sentence that anybody may read what is amiss in a process that
// serves all the same.
type Notice string

// Error implements error.
func (e Notice) Error() string { return string(e) }

// reasonOf is what /readyz tells of an error. It needs no key, so it says nothing
// that the word does not: paths and addresses are for the log.
func reasonOf(err error) string {
	var word NotReady
	if errors.As(err, &word) {
		return string(word)
	}
	return "the log says why"
}

// readyz says whether requests are welcome, in which mode, whether deadlines are
// held, and what is amiss all the same; and if not, why.
func (a *API) readyz(w http.ResponseWriter, r *http.Request) {
	err := error(nil)
	if a.draining.Load() {
		err = NotReady("shutting down")
	} else if a.cfg.Ready != nil {
		err = a.cfg.Ready()
	}
	var notice Notice
	if err != nil && !errors.As(err, &notice) {
		a.write(w, r, http.StatusServiceUnavailable, "application/json", map[string]string{"status": "not ready", "reason": reasonOf(err)})
		return
	}
	doc := struct {
		Status string      `json:"status"`
		Seq    engine.Seq  `json:"seq"`
		Mode   engine.Mode `json:"mode"`
		Held   bool        `json:"deadlines_held"`
		Notice Notice      `json:"notice,omitempty"`
	}{Status: "ready", Notice: notice}
	a.seq.View(func(s *core.State) { doc.Seq, doc.Mode, doc.Held = s.Seq(), s.Mode(), s.DeadlinesHeld() })
	a.write(w, r, http.StatusOK, "application/json", doc)
}
