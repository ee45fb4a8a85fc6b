package webhook

import (
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/httpapi/wire"
)

// Here is a webhook, and how it does.
type Here struct {
	engine.Webhook
	Delivery *Status `json:"delivery,omitempty"` // nil where this process sends it nothing
}

// At is one with the sequence at which it was looked at.
type At struct {
	Seq engine.Seq `json:"seq"`
	Here
}

// List is every webhook, each with its last attempt.
type List struct {
	Seq      engine.Seq `json:"seq"`
	Webhooks []Here     `json:"webhooks"`
}

// List returns every webhook on record.
func (x *Dispatcher) List() List {
	out := x.look()
	for i := range out.Webhooks {
		if d := out.Webhooks[i].Delivery; d != nil {
			d.Attempts = d.Attempts[:min(1, len(d.Attempts))]
		}
	}
	return out
}

// Find returns a webhook with its last attempts; false if it is not on record at the
// sequence that is returned all the same.
func (x *Dispatcher) Find(id engine.WebhookID) (At, bool) {
	all := x.look()
	for _, w := range all.Webhooks {
		if w.ID == id {
			return At{all.Seq, w}, true
		}
	}
	return At{Seq: all.Seq}, false
}

func (x *Dispatcher) look() (out List) {
	var on []engine.Webhook
	x.cfg.Writer.View(func(s *core.State) { out.Seq, on = s.Seq(), s.Webhooks() })
	out.Webhooks = make([]Here, len(on))
	for i := range on {
		out.Webhooks[i].Webhook = on[i]
		if how, here := x.Status(on[i].ID); here {
			out.Webhooks[i].Delivery = &how
		}
	}
	return out
}

// told is the answer to who made a secret: the decision, and what it is.
type told struct {
	d      *engine.Decision
	secret string
}

// MarshalJSON writes the decision with one member more.
func (t told) MarshalJSON() ([]byte, error) {
	b, err := wire.AppendDecision(nil, t.d)
	if err != nil {
		return nil, err
	}
	return append(wire.AppendText(append(b[:len(b)-1], `,"secret":`...), t.secret), '}'), nil // before its last brace
}

// Answer returns what a decision is answered with to who asked for it: itself, or with
// the secret if it has made one.
func (x *Dispatcher) Answer(d *engine.Decision) any {
	if len(d.Events) != 1 {
		return d
	}
	set, is := d.Events[0].(*engine.WebhookSet)
	if !is || set.Change != engine.WebhookAdded && set.Change != engine.WebhookRotate {
		return d
	}
	return told{d, x.Secret(set.Webhook.ID, set.Webhook.Generation)}
}
