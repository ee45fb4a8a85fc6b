package core

import (
	"strings"
	"testing"

	"github.com/mbp-market/mbp/engine"
)

// TestWebhooks follows one through every change, and tries each that its state does
// not allow.
func TestWebhooks(t *testing.T) {
	w := small(t)
	id := engine.WebhookID(w.ok("ops", &engine.AddWebhook{URL: "https://a.example/h"}).Seq)
	now := func() (x engine.Webhook) {
		for _, x = range w.s.Webhooks() {
			if x.ID == id {
				return x
			}
		}
		return engine.Webhook{}
	}
	added := now()
	if added.After != w.s.Seq() || added.State != engine.WebhookActive || added.Generation != 1 {
		t.Fatalf("added as %+v", added)
	}
	do := func(by string, change engine.WebhookChange, more ...func(*engine.ChangeWebhook)) engine.Code {
		t.Helper()
		x := &engine.ChangeWebhook{Webhook: id, Change: change}
		for _, set := range more {
			set(x)
		}
		return w.do(by, x).Code
	}
	from := func(seq engine.Seq) func(*engine.ChangeWebhook) {
		return func(x *engine.ChangeWebhook) { x.From = seq }
	}
	why := func(text string) func(*engine.ChangeWebhook) {
		return func(x *engine.ChangeWebhook) { x.Reason = text }
	}
	placed := func(x *engine.ChangeWebhook) { x.Placed = now().Placed }
	for _, step := range []struct {
		what  string
		got   engine.Code
		want  engine.Code
		after func(engine.Webhook) bool
	}{
		{"resume while active", do("ops", engine.WebhookResume), engine.WrongState, nil},
		{"no such change", do("ops", 0), engine.InvalidCommand, nil},
		{"a second add", do("ops", engine.WebhookAdded), engine.InvalidCommand, nil},
		{"fail by a person", do("ops", engine.WebhookFail, placed), engine.WrongState, nil},
		{"place by a person", do("ops", engine.WebhookPlace, placed, from(1)), engine.WrongState, nil},
		{"replay from nowhere", do("ops", engine.WebhookReplay), engine.InvalidCommand, nil},
		{"replay from the future", do("ops", engine.WebhookReplay, from(w.s.Seq()+100)), engine.InvalidCommand, nil},
		{"test with a place", do("ops", engine.WebhookTest, from(1)), engine.InvalidCommand, nil},
		{"a reason of two lines", do("ops", engine.WebhookPause, why("a\nb")), engine.InvalidCommand, nil},
		{"a reason of a rotation", do("ops", engine.WebhookRotate, why("a")), engine.InvalidCommand, nil},
	} {
		if step.got != step.want || now().State != engine.WebhookActive || now().Generation != 1 {
			t.Errorf("%s: %s, want %s: %+v", step.what, step.got, step.want, now())
		}
	}
	must := func(what string, code engine.Code, ok bool) {
		t.Helper()
		if code != engine.OK || !ok {
			t.Errorf("%s: %s %+v", what, code, now())
		}
	}
	must("test", do("ops", engine.WebhookTest), now().After == added.After)
	must("rotate", do("ops", engine.WebhookRotate), now().Generation == 2 && now().RotatedAt == w.s.At())
	must("replay", do("ops", engine.WebhookReplay, from(1)), now().After == 0 && now().Placed == w.s.Seq())
	if code := do(engine.System, engine.WebhookPlace, from(5), func(x *engine.ChangeWebhook) { x.Placed = added.Placed }); code != engine.WrongState || now().After != 0 {
		t.Errorf("a place that is older than a replay: %s", code)
	}
	must("place", do(engine.System, engine.WebhookPlace, from(5), placed), now().After == 4)
	must("fail", do(engine.System, engine.WebhookFail, placed, why("20 attempts")), now().State == engine.WebhookFailed && now().Reason != "")
	if code := do("ops", engine.WebhookTest); code != engine.WrongState {
		t.Errorf("a test of one that failed: %s", code)
	}
	must("resume", do("ops", engine.WebhookResume), now().State == engine.WebhookActive && now().Reason == "" && now().After == 4)
	must("pause", do("ops", engine.WebhookPause), now().State == engine.WebhookPaused)
	must("delete", do("ops", engine.WebhookRemoved), len(w.s.Webhooks()) == 0)
	if code := do("ops", engine.WebhookRemoved); code != engine.NotFound {
		t.Errorf("deleted twice: %s", code)
	}
}

// TestWebhookLimits: what is no webhook, and one too many.
func TestWebhookLimits(t *testing.T) {
	w := small(t)
	good := "https://a.example"
	for what, x := range map[string]*engine.AddWebhook{
		"no URL": {}, "another scheme": {URL: "ftp://a.example"}, "a space": {URL: good + "/ "}, "long": {URL: good + "/" + strings.Repeat("a", 500)},
		"an unknown event": {URL: good, Events: []string{"order_rested"}}, "an event twice": {URL: good, Events: []string{"trade", "trade"}},
		"a market twice": {URL: good, Markets: []engine.MarketID{1, 1}},
	} {
		if d := w.do("ops", x); d.Code != engine.InvalidCommand {
			t.Errorf("%s: %s", what, d.Code)
		}
	}
	if d := w.do("ops", &engine.AddWebhook{URL: good, Markets: []engine.MarketID{99}}); d.Code != engine.MarketNotFound {
		t.Errorf("no such market: %s", d.Code)
	}
	for range engine.MaxWebhooks {
		w.ok("ops", &engine.AddWebhook{URL: good, Events: engine.WebhookEvents()})
	}
	if d := w.do("ops", &engine.AddWebhook{URL: good}); d.Code != engine.LimitReached {
		t.Errorf("one too many: %s", d.Code)
	}
	if again := reloaded(t, w.s); len(again.Webhooks()) != engine.MaxWebhooks {
		t.Errorf("%d are read back", len(again.Webhooks()))
	}
}
