package webhook

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mbp-market/mbp/engine"
)

// TestHostile: endpoints that redirect, hang, answer without end, or with headers without
// end, cost a bounded request each, and hold up no other one.
func TestHostile(t *testing.T) {
	h, good := open(t), receive(t, nil)
	release := make(chan struct{})
	var sent atomic.Int64
	bad := map[string]func(int, http.ResponseWriter, *http.Request){
		"status 302": func(_ int, w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, good.URL, http.StatusFound) },
		"status 307": func(_ int, w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, good.URL, http.StatusTemporaryRedirect)
		},
		"Timeout": func(_ int, _ http.ResponseWriter, r *http.Request) {
			select {
			case <-release:
			case <-r.Context().Done():
			}
		},
		"status 500": func(_ int, w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
			for b, n := make([]byte, 1<<20), 0; n < 10_000; n++ { // ten gigabytes
				if _, err := w.Write(b); err != nil {
					return
				}
				sent.Add(int64(len(b)))
			}
		},
		"HTTP/1.x": func(_ int, w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 1<<20)) },
	}
	pace := quick
	pace.Attempts, pace.Timeout = 2, 300*time.Millisecond
	x, _ := h.deliver(func(c *Config) { c.Pace = pace })
	ids := map[string]engine.WebhookID{}
	for why, answer := range bad {
		ids[why] = h.add(engine.AddWebhook{URL: receive(t, answer).URL, Events: []string{"trade"}})
	}
	h.add(engine.AddWebhook{URL: good.URL, Events: []string{"trade"}})
	good.events(t, h.buy(0))
	for why, id := range ids {
		if w := h.fails(id); !strings.Contains(w.Reason, why) {
			t.Errorf("%s: %s", why, w.Reason)
		}
	}
	close(release)
	if n := sent.Load(); n > 64<<20 {
		t.Errorf("%d bytes of an endless answer were taken", n)
	}
	if len(good.got) != 0 {
		t.Error("a redirect was followed")
	}
	for _, id := range ids {
		for sends(x, id) {
			runtime.Gosched() // it is told a moment after it is decided
		}
	}
	if x.lag() != 0 {
		t.Errorf("a message is %v s old, and nothing waits", x.lag())
	}
}

// TestNoWayInside: a name that leads inside is refused when it is dialled, whatever it
// looked like before; no proxy is asked; plain http goes to this machine alone.
func TestNoWayInside(t *testing.T) {
	h, r, proxy := open(t), receive(t, nil), receive(t, nil)
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("HTTPS_PROXY", proxy.URL)
	x, _ := h.deliver(func(c *Config) { c.Networks = nil })
	named := strings.Replace(r.URL, "http://127.0.0.1", "https://localhost", 1)
	ids := map[string]engine.WebhookID{"is no public address": h.add(engine.AddWebhook{URL: named}), "no https address": h.add(engine.AddWebhook{URL: r.URL})}
	if x.Check(named) != nil || x.Check(r.URL) == nil {
		t.Error("names are looked up when they are dialled, and addresses at once")
	}
	h.buy(0)
	for why, id := range ids {
		if w := h.fails(id); !strings.Contains(w.Reason, why) {
			t.Errorf("%s: %s", why, w.Reason)
		}
	}
	if len(r.got)+len(proxy.got) != 0 {
		t.Error("something was sent")
	}
}

// standby is a writer of which another process decides until it leads.
type standby struct {
	*house
	lead chan struct{}
}

func (s standby) Leading() <-chan struct{} { return s.lead }

// TestOnlyTheLeaderSends: and it goes on where the journal says that the one before was.
func TestOnlyTheLeaderSends(t *testing.T) {
	h, r := open(t), receive(t, nil)
	_, stop := h.deliver(func(c *Config) { c.Pace.Note = time.Nanosecond })
	s := standby{h, make(chan struct{})}
	h.deliver(func(c *Config) { c.Writer = s })
	id := h.add(engine.AddWebhook{URL: r.URL, Events: []string{"trade"}})
	first := h.buy(0)
	r.events(t, first)
	h.when(id, func(set *engine.WebhookSet) bool { return set.Webhook.After >= first }) // it is put on record right after
	stop()
	second := h.buy(0)
	if len(r.got) != 0 {
		t.Error("one that stands by sends")
	}
	close(s.lead)
	if got := r.events(t, second); len(got) != 1 {
		t.Errorf("after the takeover %d events come, those from the note on are one", len(got))
	}
}

// TestPlaces: a start goes on where the last one was; a folder that was lost, torn, or is
// of another journal, tells again, and never leaves anything out.
func TestPlaces(t *testing.T) {
	h, r, dir := open(t), receive(t, nil), t.TempDir()
	run := func() (x *Dispatcher, stop func()) { return h.deliver(func(c *Config) { c.Dir = dir }) }
	x, stop := run()
	id := h.add(engine.AddWebhook{URL: r.URL, Events: []string{"trade"}})
	first := h.buy(0)
	has(x, id, first)
	r.next(t)
	stop()
	name := filepath.Join(dir, placesFile)
	kept, err := os.ReadFile(name)
	if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 || !bytes.Contains(kept, []byte(id.String())) {
		t.Errorf("%v %v: %s", info, err, kept)
	}
	if err != nil {
		t.Fatal(err)
	}
	second := h.buy(0)
	x, stop = run()
	if got := r.events(t, second); got[0].Seq != second {
		t.Errorf("after a start it is told of %d", got[0].Seq)
	}
	has(x, id, second)
	stop()
	for what, content := range map[string]string{
		"an older place": string(kept), "torn": string(kept[:len(kept)/2]), "empty": "", "ahead": `{"whk_6":{"after_seq":999999,"placed_seq":999999}}`,
		"long": `{"` + strings.Repeat("x", maxPlaces) + `":1}`,
	} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		want := first
		if what == "an older place" {
			want = second
		}
		_, stop = run()
		if got := r.events(t, second); got[0].Seq != want {
			t.Errorf("%s: told from %d on, want %d", what, got[0].Seq, want)
		}
		stop()
	}
}

// TestBatches: what has come goes out together, within bounds, and no decision is cut.
func TestBatches(t *testing.T) {
	h := open(t)
	const n = 3 * maxEvents
	id := h.add(engine.AddWebhook{URL: "http://127.0.0.1:1", Events: []string{"trade"}})
	items := make([]engine.Command, engine.BatchLimit)
	for i := range items {
		items[i] = &engine.PlaceOrder{Account: h.account, Market: h.markets[0], Outcome: engine.Yes, Side: engine.Buy, TIF: engine.IOC, Amount: engine.One}
	}
	policy := engine.DefaultPolicy()
	policy.OrderBurst, policy.AccountBurst, policy.Burst = 1_000_000, engine.BurstRule{}, engine.BurstRule{}
	h.do(&engine.SetPolicy{Policy: policy})
	for range n / len(items) {
		h.do(&engine.Batch{Items: items})
	}
	seen, r := 0, receive(t, nil)
	h.do(&engine.ChangeWebhook{Webhook: id, Change: engine.WebhookRemoved})
	id = h.add(engine.AddWebhook{URL: r.URL, Events: []string{"trade"}})
	h.change(id, engine.WebhookReplay, 1)
	h.deliver(nil)
	for seen < n {
		m := r.next(t)
		if len(m.Events) < 1 || len(m.Events) > maxEvents+len(items) || len(m.body) > 2*maxBytes || len(m.Events)%len(items) != 0 {
			t.Errorf("%d events in %d bytes", len(m.Events), len(m.body))
		}
		seen += len(m.Events)
	}
	if seen != n {
		t.Errorf("%d events, want %d", seen, n)
	}
}

// TestSecrets holds the derivation: another one would make every receiver refuse.
func TestSecrets(t *testing.T) {
	h := open(t)
	x, stop := h.deliver(nil)
	stop()
	if got := x.Secret(5, 1); got != "whsec_pvQBOwxCAKOB604sy59zcxeE5FFLx9+OevUUPqbH/60=" {
		t.Errorf("the secret of whk_5 is %s", got)
	}
	seen := map[string]bool{}
	for id := range engine.WebhookID(20) {
		for generation := range uint32(20) {
			seen[x.Secret(id, generation)] = true
		}
	}
	if len(seen) != 400 {
		t.Errorf("%d of 400 secrets differ", len(seen))
	}
	w := &engine.Webhook{ID: 5, Generation: 2, RotatedAt: engine.Time(time.Now().UnixMicro())}
	if a, b := x.secrets(w, w.RotatedAt.Time()), x.secrets(w, w.RotatedAt.Time().Add(Overlap)); len(a) != 2 || len(b) != 1 {
		t.Errorf("%d secrets sign at first, and %d a day later", len(a), len(b))
	}
	none, stop := h.deliver(func(c *Config) { c.Key = nil })
	defer stop()
	h.add(engine.AddWebhook{URL: "https://example.org"})
	if none.Secret(5, 1) != "" || none.Check("https://example.org") == nil || none.keyMissing() != 1 {
		t.Error("without a key there are secrets")
	}
	if _, err := New(Config{Writer: h, Dir: t.TempDir(), Key: []byte("short"), Registerer: none.cfg.Registerer, Logger: none.cfg.Logger}); err == nil {
		t.Error("a short key passes")
	}
}

// TestBackoff: pauses double to their bound, and differ.
func TestBackoff(t *testing.T) {
	p := Pace{}.withDefaults()
	for n, want := range map[int]time.Duration{1: firstPause, 2: 2 * firstPause, 5: 16 * firstPause, 9: 256 * firstPause, 10: lastPause, 24: lastPause, 1000: lastPause} {
		seen := map[time.Duration]bool{}
		for range 50 {
			d := backoff(p, n)
			if d < want/2 || d > want {
				t.Fatalf("after %d failures %s", n, d)
			}
			seen[d] = true
		}
		if len(seen) < 10 {
			t.Errorf("after %d failures always the same", n)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if pause(ctx, time.Hour) == nil {
		t.Error("a pause outlives its process")
	}
}
