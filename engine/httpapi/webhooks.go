package httpapi

import (
	"net/http"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/problem"
	"github.com/mbp-market/mbp/engine/httpapi/wire"
	"github.com/mbp-market/mbp/engine/webhook"
)

// Webhooks is what the edge needs of who delivers to endpoints of others.
type Webhooks interface {
	// Check says what is wrong with the address of an endpoint.
	Check(address string) error
	// List returns every webhook.
	List() webhook.List
	// Find returns one; false if it is not on record.
	Find(id engine.WebhookID) (webhook.At, bool)
	// Answer is what a decision is answered with, which may have made a secret.
	Answer(d *engine.Decision) any
}

// webhookRoutes is the part of the table that is about webhooks.
func (a *API) webhookRoutes() []route {
	const get, post, one = http.MethodGet, http.MethodPost, "/v1/webhooks/{webhook}"
	if a.cfg.Webhooks == nil {
		return nil
	}
	out := []route{
		{method: get, path: "/v1/webhooks", roles: overseers, read: a.webhooks},
		{method: post, path: "/v1/webhooks", roles: operators, command: wire.AddWebhook},
		{method: get, path: one, roles: overseers, read: a.webhook},
	}
	for word, change := range wire.WebhookChanges {
		out = append(out, route{method: post, path: one + "/" + word, roles: operators, command: wire.ChangeWebhook(change)})
	}
	return out
}

// mayTell refuses a webhook to whose address this server does not send. That is about
// its meaning, as what the engine refuses: it is an address.
func (a *API) mayTell(c engine.Command) error {
	x, is := c.(*engine.AddWebhook)
	if !is {
		return nil
	}
	if err := a.cfg.Webhooks.Check(x.URL); err != nil {
		return &problem.Refusal{Code: engine.InvalidCommand.String(), Detail: "url: " + err.Error(), Cause: err}
	}
	return nil
}

func (a *API) webhooks(c *call) (any, error) { return a.cfg.Webhooks.List(), c.End() }

func (a *API) webhook(c *call) (any, error) {
	var id engine.WebhookID
	c.ID("webhook", &id)
	if err := c.End(); err != nil {
		return nil, err
	}
	doc, known := a.cfg.Webhooks.Find(id)
	if !known {
		return nil, &problem.Refusal{Code: problem.NotFound, Seq: doc.Seq}
	}
	return doc, nil
}

// answerOf returns what a decision is answered with.
func (a *API) answerOf(d *engine.Decision) any {
	if a.cfg.Webhooks == nil {
		return d
	}
	return a.cfg.Webhooks.Answer(d)
}
