package wire

import (
	"strings"

	"github.com/mbp-market/mbp/engine"
)

// Bounds of a webhook's lists: each known event, and markets in a number that a person
// names.
const (
	maxWebhookEvents  = 32
	maxWebhookMarkets = 32
)

// WebhookChanges are the changes that can be asked for, by their place in the path.
var WebhookChanges = map[string]engine.WebhookChange{
	"pause": engine.WebhookPause, "resume": engine.WebhookResume, "rotate": engine.WebhookRotate,
	"replay": engine.WebhookReplay, "test": engine.WebhookTest, "delete": engine.WebhookRemoved,
}

// AddWebhook reads an address and what is wanted there.
func AddWebhook(r *Request) engine.Command {
	x := &engine.AddWebhook{URL: r.plain("url", MaxText), Events: r.Texts("events", false, maxWebhookEvents, maxWord)}
	if !strings.Contains(x.URL, ":") { // what it may be, and where it leads, others say
		r.Fail("url is not https://host[:port]/path")
	}
	for i, text := range r.Texts("markets", false, maxWebhookMarkets, maxWord) {
		var id engine.MarketID
		if err := id.UnmarshalText([]byte(text)); err != nil {
			r.Fail("markets[%d]: %s", i, ClipText(err.Error()))
		}
		x.Markets = append(x.Markets, id)
	}
	return x
}

// ChangeWebhook reads a change: of a replay from where, and of a pause why.
func ChangeWebhook(change engine.WebhookChange) func(*Request) engine.Command {
	return func(r *Request) engine.Command {
		x := &engine.ChangeWebhook{Change: change}
		r.ID("webhook", &x.Webhook)
		switch change {
		case engine.WebhookReplay:
			x.From = engine.Seq(r.Uint64("from_seq", true))
		case engine.WebhookPause:
			x.Reason = r.Optional("reason", MaxReason)
		}
		return x
	}
}
