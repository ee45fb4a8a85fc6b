// Package hook decides on webhooks: which one may be registered, and what may become of
// it.
//
// It promises that what the platform says of one never undoes what a person decided
// meanwhile: both name the decision by which it is where it is. It refuses to know where
// an address leads, which is the edge's, and secrets, which are in no record.
package hook

import (
	"slices"
	"strings"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/internal/form"
)

// Add decides on a webhook; known says whether a market exists.
func Add(d *engine.Decision, x *engine.AddWebhook, on []engine.Webhook, known func(engine.MarketID) bool) {
	switch wrong := fault(x); {
	case wrong != "":
		d.Reject(engine.InvalidCommand, wrong)
		return
	case len(on) >= engine.MaxWebhooks:
		d.Reject(engine.LimitReached, "")
		return
	}
	for _, id := range x.Markets {
		if !known(id) {
			d.Reject(engine.MarketNotFound, "")
			return
		}
	}
	d.Add(&engine.WebhookSet{Change: engine.WebhookAdded, Webhook: engine.Webhook{
		ID: engine.WebhookID(d.Seq), URL: x.URL, Events: x.Events, Markets: x.Markets, State: engine.WebhookActive,
		Generation: 1, RotatedAt: d.At, After: d.Seq, Placed: d.Seq,
	}})
}

// fault returns what is wrong with a webhook, "" if nothing is. Where it may
// lead is the edge's to say, which knows the network.
func fault(x *engine.AddWebhook) string {
	visible := func(r rune) bool { return r <= ' ' || r > '~' }
	known, events := engine.WebhookEvents(), slices.Clone(x.Events)
	slices.Sort(events)
	markets := slices.Clone(x.Markets)
	slices.Sort(markets)
	switch {
	case !strings.HasPrefix(x.URL, "https://") && !strings.HasPrefix(x.URL, "http://") || len(x.URL) > 512 || strings.ContainsFunc(x.URL, visible):
		return "url: https:// and visible ASCII characters, 512 at most"
	case len(slices.Compact(events)) != len(x.Events) || slices.ContainsFunc(x.Events, func(e string) bool { return !slices.Contains(known, e) }):
		return "events: each is known, and there once"
	case len(slices.Compact(markets)) != len(x.Markets):
		return "markets: each is there once"
	}
	return ""
}

// Change decides on what becomes of one of the webhooks on record.
func Change(d *engine.Decision, x *engine.ChangeWebhook, on []engine.Webhook) {
	at := slices.IndexFunc(on, func(w engine.Webhook) bool { return w.ID == x.Webhook })
	if at < 0 {
		d.Reject(engine.NotFound, "")
		return
	}
	w := on[at]
	if own := x.Change == engine.WebhookFail || x.Change == engine.WebhookPlace; own && (d.Principal != engine.System || x.Placed != w.Placed) {
		d.Reject(engine.WrongState, "")
		return
	}
	switch code, wrong := change(&w, d, x); {
	case wrong != "":
		d.Reject(engine.InvalidCommand, wrong)
	case code != engine.OK:
		d.Reject(code, "the webhook is "+w.State.String())
	default:
		d.Add(&engine.WebhookSet{Change: x.Change, Webhook: w})
	}
}

// change makes of a webhook what it is to be.
func change(w *engine.Webhook, d *engine.Decision, x *engine.ChangeWebhook) (code engine.Code, wrong string) {
	active := w.State == engine.WebhookActive
	places := x.Change == engine.WebhookReplay || x.Change == engine.WebhookPlace
	switch {
	case places != (x.From != 0) || x.From > d.Seq:
		return 0, "from_seq: of a decision that is made, and of a replay alone"
	case x.Reason != "" && !form.Title(x.Reason, 128) || x.Reason != "" && x.Change != engine.WebhookPause && x.Change != engine.WebhookFail:
		return 0, "reason: a line of text, of a pause alone"
	}
	switch x.Change {
	case engine.WebhookPause, engine.WebhookFail:
		if !active {
			return engine.WrongState, ""
		}
		if w.State, w.Reason = engine.WebhookPaused, x.Reason; x.Change == engine.WebhookFail {
			w.State = engine.WebhookFailed
		}
	case engine.WebhookResume:
		if active {
			return engine.WrongState, ""
		}
		w.State, w.Reason = engine.WebhookActive, ""
	case engine.WebhookRotate:
		w.Generation, w.RotatedAt = w.Generation+1, d.At
	case engine.WebhookReplay, engine.WebhookPlace:
		w.After, w.Placed = x.From-1, d.Seq
	case engine.WebhookTest:
		if !active {
			return engine.WrongState, ""
		}
	case engine.WebhookRemoved:
	default:
		return 0, "change: it is none that can be asked for"
	}
	return engine.OK, ""
}
