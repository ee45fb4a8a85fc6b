package fold

import (
	"slices"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/internal/dump"
)

// setWebhook puts a webhook in the place of what it was, or ends it.
func (s *State) setWebhook(x *engine.WebhookSet) {
	at := slices.IndexFunc(s.Webhooks, func(w engine.Webhook) bool { return w.ID == x.Webhook.ID })
	switch {
	case at < 0:
		s.Webhooks = append(s.Webhooks, x.Webhook)
	case x.Change == engine.WebhookRemoved:
		s.Webhooks = slices.Delete(s.Webhooks, at, at+1)
	default:
		s.Webhooks[at] = x.Webhook
	}
}

// webhooks codes each as the event that makes it.
func (c coder) webhooks() {
	dump.List(c.Codec, &c.s.Webhooks, engine.MaxWebhooks, func(w *engine.Webhook) {
		e := engine.WebhookSet{Change: engine.WebhookAdded, Webhook: *w}
		c.event(&e)
		if *w = e.Webhook; e.Change != engine.WebhookAdded {
			c.Fail("a webhook of another change")
		}
	})
}
