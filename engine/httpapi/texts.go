package httpapi

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/personal"
	"github.com/mbp-market/mbp/engine/httpapi/problem"
	"github.com/mbp-market/mbp/engine/httpapi/several"
	"github.com/mbp-market/mbp/engine/httpapi/wire"
	"github.com/mbp-market/mbp/engine/sequencer"
)

// textRoutes is the part of the table that is about what people write, and about
// what is held on them.
func (a *API) textRoutes() []route {
	const get, post, held = http.MethodGet, http.MethodPost, "/v1/accounts/{account}/personal-data"
	return []route{
		{method: post, path: "/v1/markets/{market}/clarifications", roles: operators, command: wire.ClarifyMarket},
		{method: post, path: "/v1/decisions/{seq}/notes", roles: noters, command: wire.NoteDecision, owner: true},
		{method: get, path: "/v1/decisions/{seq}/notes", roles: noters, owner: true, read: a.notes},
		{method: get, path: held, roles: engine.RoleAdmin, owner: true, read: a.personalData},
		{method: http.MethodDelete, path: held, roles: engine.RoleAdmin, command: wire.ErasePerson},
	}
}

// noters write and read the notes of any decision; everybody those of their own.
const noters = insiders | engine.RoleResolver

// overrideHeader lets texts pass in which personal data is suspected.
const overrideHeader = "Allow-Personal-Data"

// screen refuses texts in which personal data is suspected, unless a moderator lets
// them pass. It says where and of what kind, and nothing of what was written.
func (c *call) screen(found []wire.Suspect) error {
	if len(found) == 0 {
		return nil
	}
	asked := c.r.Header.Get(overrideHeader)
	told := make([]string, len(found))
	for i, s := range found {
		told[i] = fmt.Sprintf("%s (%s)", s.Field, s.Kind)
		c.allowed = append(c.allowed, engine.Suspected{Field: s.Field, Kind: string(s.Kind)})
	}
	if asked == "true" && c.key.Roles.Has(moderators) {
		return nil
	}
	detail := strings.Join(told, ", ")
	if asked != "" {
		detail += "; only a moderator lets it pass, with " + overrideHeader + ": true"
	}
	return &problem.Refusal{Code: problem.PIISuspected, Detail: wire.ClipText(detail)}
}

// parts are the requests that are decided for one: its several batches, or before it
// that a moderator let its texts pass.
func (a *API) parts(c *call, req sequencer.Request) []sequencer.Request {
	switch {
	case c.route.several:
		return several.Divide(req)
	case len(c.allowed) == 0:
		return []sequencer.Request{req}
	}
	before := req
	before.Key += "\x00texts" // no key of a client has that
	before.Command = &engine.AllowText{For: req.Command.Type(), Texts: c.allowed}
	return []sequencer.Request{before, req}
}

// mayNote refuses who neither has a role for a decision's notes nor asked for the
// decision.
func (a *API) mayNote(c *call) error {
	if c.privileged() {
		return nil
	}
	var seq wire.Seq
	if err := seq.UnmarshalText([]byte(c.r.PathValue("seq"))); err != nil {
		return wire.Malformed("seq: %v", err)
	}
	d, err := a.find(engine.Seq(seq))
	if err == nil && d.Principal != c.key.Principal {
		err = &problem.Refusal{Code: problem.Forbidden, Detail: "the decision is not the API key's own"}
	}
	return err
}

func (a *API) notes(c *call) (any, error) {
	var seq wire.Seq
	c.ID("seq", &seq)
	if err := c.End(); err != nil {
		return nil, err
	}
	if err := a.mayNote(c); err != nil {
		return nil, err
	}
	if _, err := a.find(engine.Seq(seq)); err != nil {
		return nil, err
	}
	doc := struct {
		Seq   engine.Seq      `json:"seq"`
		Notes []personal.Note `json:"notes"`
	}{Seq: a.seq.Durable()}
	var err error
	doc.Notes, err = a.personal.Notes(engine.Seq(seq))
	return doc, err
}

func (a *API) personalData(c *call) (any, error) {
	var id engine.AccountID
	c.ID("account", &id)
	if err := cmp.Or(c.End(), c.own(id)); err != nil {
		return nil, err
	}
	return a.personal.Show(id, c.privileged())
}
