package client

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/webhook/sign"
)

// Webhook is an endpoint that is told of what is decided, and how it does.
type Webhook struct {
	engine.Webhook
	Delivery *Delivery `json:"delivery,omitempty"` // nil where the server sends it nothing
}

// WebhookAt is one with the sequence at which it was looked at.
type WebhookAt struct {
	Seq engine.Seq `json:"seq"`
	Webhook
}

// WebhookList is every webhook, each with its last attempt.
type WebhookList struct {
	Seq      engine.Seq `json:"seq"`
	Webhooks []Webhook  `json:"webhooks"`
}

// Delivery is how an endpoint does.
type Delivery struct {
	After    engine.Seq `json:"delivered_seq"` // it has everything up to this decision
	Failures int        `json:"failures"`      // of the message that is being sent, one after the other
	Attempts []Attempt  `json:"attempts"`      // the newest first
}

// Attempt is one request to an endpoint, and what came of it.
type Attempt struct {
	At      time.Time  `json:"at"`
	First   engine.Seq `json:"first_seq"`
	Last    engine.Seq `json:"last_seq"`
	Attempt int        `json:"attempt"` // of the message, from 1
	Status  int        `json:"status,omitempty"`
	Millis  int64      `json:"duration_ms"`
	Why     string     `json:"error,omitempty"` // there was no answer because of this
}

// WebhookMessage is the body of what is sent to an endpoint.
type WebhookMessage struct {
	Type    string           `json:"type"`      // events
	At      engine.Time      `json:"timestamp"` // of the last decision in it
	Webhook engine.WebhookID `json:"webhook"`
	First   engine.Seq       `json:"first_seq"`
	Last    engine.Seq       `json:"last_seq"`
	Events  []WebhookEvent   `json:"events"`
}

// WebhookEvent is something that a decision made true.
type WebhookEvent struct {
	Seq  engine.Seq      `json:"seq"`
	Type string          `json:"type"`
	At   engine.Time     `json:"decided_at"`
	Data json.RawMessage `json:"data"` // a TradeEvent of a trade, an event of the engine otherwise
}

// VerifyWebhook reports whether the request that came with a body was sent by whoever
// has one of the secrets, within five minutes of now: nil, or why not. Read the body
// whole before anything is done with it.
func VerifyWebhook(h http.Header, body []byte, secrets ...string) error {
	return sign.Verify(h, body, time.Now(), secrets...)
}

// Webhooks returns every webhook. Roles: operator, auditor, admin.
func (c *Client) Webhooks(ctx context.Context) (*WebhookList, error) {
	return get[WebhookList](ctx, c, "/v1/webhooks", nil)
}

// Webhook returns one, with its last attempts. Roles: operator, auditor, admin.
func (c *Client) Webhook(ctx context.Context, id engine.WebhookID) (*WebhookAt, error) {
	return get[WebhookAt](ctx, c, "/v1/webhooks/"+id.String(), nil)
}

// AddWebhook registers an endpoint. The decision's Secret signs its messages, and is
// told nowhere else. Roles: operator, admin.
func (c *Client) AddWebhook(ctx context.Context, w engine.AddWebhook, calls ...Call) (*Decision, error) {
	return c.post(ctx, "/v1/webhooks", w, calls)
}

func (c *Client) changeWebhook(ctx context.Context, id engine.WebhookID, word string, body any, calls []Call) (*Decision, error) {
	return c.post(ctx, "/v1/webhooks/"+id.String()+"/"+word, body, calls)
}

// PauseWebhook tells an endpoint nothing, for now; the reason may be empty. Roles:
// operator, admin.
func (c *Client) PauseWebhook(ctx context.Context, id engine.WebhookID, reason string, calls ...Call) (*Decision, error) {
	body := struct {
		Reason string `json:"reason,omitempty"`
	}{reason}
	return c.changeWebhook(ctx, id, "pause", body, calls)
}

// ResumeWebhook goes on where a paused or failed endpoint was. Roles: operator, admin.
func (c *Client) ResumeWebhook(ctx context.Context, id engine.WebhookID, calls ...Call) (*Decision, error) {
	return c.changeWebhook(ctx, id, "resume", nothing{}, calls)
}

// RotateWebhook makes another secret, which the decision has; the one before signs for
// a day, too. Roles: operator, admin.
func (c *Client) RotateWebhook(ctx context.Context, id engine.WebhookID, calls ...Call) (*Decision, error) {
	return c.changeWebhook(ctx, id, "rotate", nothing{}, calls)
}

// ReplayWebhook tells an endpoint again, from a decision on. Roles: operator, admin.
func (c *Client) ReplayWebhook(ctx context.Context, id engine.WebhookID, from engine.Seq, calls ...Call) (*Decision, error) {
	body := struct {
		From engine.Seq `json:"from_seq"`
	}{from}
	return c.changeWebhook(ctx, id, "replay", body, calls)
}

// TestWebhook sends an event of the type test. Roles: operator, admin.
func (c *Client) TestWebhook(ctx context.Context, id engine.WebhookID, calls ...Call) (*Decision, error) {
	return c.changeWebhook(ctx, id, "test", nothing{}, calls)
}

// DeleteWebhook ends a webhook. Roles: operator, admin.
func (c *Client) DeleteWebhook(ctx context.Context, id engine.WebhookID, calls ...Call) (*Decision, error) {
	return c.changeWebhook(ctx, id, "delete", nothing{}, calls)
}

// Webhook returns the webhook that a decision has set.
func (d *Decision) Webhook() (engine.Webhook, error) {
	var e engine.WebhookSet
	err := d.find(&e)
	return e.Webhook, err
}
