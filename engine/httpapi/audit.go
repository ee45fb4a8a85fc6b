package httpapi

import (
	"errors"
	"net/http"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/audit"
	"github.com/mbp-market/mbp/engine/httpapi/problem"
	"github.com/mbp-market/mbp/engine/httpapi/wire"
)

// Audit is what the edge needs of the audit tree.
type Audit interface {
	// Verifier returns the public key of the checkpoints.
	Verifier() audit.Verifier
	// Newest returns the newest checkpoint; its Size is 0 if there is none yet.
	Newest() audit.Signed
	// Prove proves that a record is in the journal.
	Prove(seq uint64) (*audit.Inclusion, error)
	// Grow proves that a later tree continues an earlier one; a to of 0 is the
	// newest checkpoint's.
	Grow(from, to uint64) (*audit.Growth, error)
}

// auditRoutes is the part of the table that is about the audit tree. The public
// key is for everybody and so not under /v1, where every reader has an API key.
func (a *API) auditRoutes() []route {
	const get = http.MethodGet
	return []route{
		{method: get, path: "/v1/audit/checkpoint", roles: auditors, read: a.checkpoint},
		{method: get, path: "/v1/audit/proof/{seq}", roles: auditors, read: a.proof},
		{method: get, path: "/v1/audit/consistency", roles: auditors, read: a.consistency},
		{method: get, path: "/audit/verifier", open: a.verifier},
	}
}

// errNoTree answers where the audit tree is turned off.
func errNoTree() error {
	return &problem.Refusal{Code: problem.NotFound, Detail: "this server keeps no audit tree"}
}

func (a *API) verifier(w http.ResponseWriter, r *http.Request) {
	if a.cfg.Audit == nil {
		a.fail(w, r, errNoTree())
		return
	}
	a.write(w, r, http.StatusOK, "application/json", map[string]string{"verifier": a.cfg.Audit.Verifier().String()})
}

func (a *API) checkpoint(c *call) (any, error) {
	if err := c.End(); err != nil {
		return nil, err
	}
	if a.cfg.Audit == nil {
		return nil, errNoTree()
	}
	newest := a.cfg.Audit.Newest()
	if newest.Size == 0 {
		return nil, a.auditError(audit.ErrNotCovered)
	}
	return struct {
		Seq        engine.Seq `json:"seq"` // the last record that it covers
		Checkpoint string     `json:"checkpoint"`
	}{engine.Seq(newest.Size), string(newest.Note)}, nil
}

func (a *API) proof(c *call) (any, error) {
	var seq wire.Seq
	c.ID("seq", &seq)
	if err := c.End(); err != nil {
		return nil, err
	}
	if a.cfg.Audit == nil {
		return nil, errNoTree()
	}
	if engine.Seq(seq) > a.seq.Durable() {
		return nil, &problem.Refusal{Code: problem.NotFound, Detail: "no decision has this sequence", Seq: a.seq.Durable()}
	}
	p, err := a.cfg.Audit.Prove(uint64(seq))
	return p, a.auditError(err)
}

func (a *API) consistency(c *call) (any, error) {
	from, to := c.Uint64("from", true), c.Uint64("to", false)
	if err := c.End(); err != nil {
		return nil, err
	}
	if a.cfg.Audit == nil {
		return nil, errNoTree()
	}
	g, err := a.cfg.Audit.Grow(from, to)
	if errors.Is(err, audit.ErrRange) {
		return nil, &problem.Refusal{Code: engine.InvalidCommand.String(), Detail: "from is 1 or more, and not above to", Cause: err}
	}
	return g, a.auditError(err)
}

// auditError says what the caller may know of an error of the tree. That tree and
// journal disagree is for the log and the alert alone.
func (a *API) auditError(err error) error {
	switch {
	case errors.Is(err, audit.ErrNotCovered):
		return &problem.Refusal{Code: problem.Behind, Detail: "no checkpoint covers it yet; one is signed every few seconds", Seq: engine.Seq(a.cfg.Audit.Newest().Size), Cause: err}
	case errors.Is(err, audit.ErrArchived):
		return &problem.Refusal{Code: problem.NotFound, Detail: "the record is in the archive", Cause: err}
	}
	return err
}
