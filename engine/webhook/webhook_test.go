package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/journal/file"
	"github.com/mbp-market/mbp/engine/sequencer"
	"github.com/mbp-market/mbp/engine/webhook/sign"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// quick is a pace at which nothing of a test waits.
var quick = Pace{First: time.Millisecond, Last: 5 * time.Millisecond, Attempts: 4, Timeout: 2 * time.Second, Note: time.Hour, Save: time.Hour}

// house is a running writer with an account and two markets.
type house struct {
	*sequencer.Sequencer
	t       *testing.T
	markets [2]engine.MarketID
	account engine.AccountID
}

func open(t *testing.T) *house {
	t.Helper()
	l, err := file.Open(file.Config{Dir: t.TempDir(), SegmentSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	q, err := sequencer.New(sequencer.Config{Log: l})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- q.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		l.Close()
	})
	h := &house{Sequencer: q, t: t}
	h.do(&engine.Initialise{Policy: engine.DefaultPolicy(), Template: engine.DefaultTemplate(),
		Admin: engine.Key{SHA256: engine.Digest{1}, Principal: "admin", Roles: engine.RoleAdmin}})
	h.account = h.do(&engine.OpenAccount{}).Events[0].(*engine.AccountOpened).Account
	h.do(&engine.GrantCredits{Account: h.account, Amount: 100_000 * engine.One})
	for i := range h.markets {
		d := h.do(&engine.OpenMarket{Template: "binary@1.0.0", Title: "Rain", Creator: h.account, Liquidity: 1000 * engine.One, Price: engine.One / 2})
		h.markets[i] = d.Events[0].(*engine.MarketOpened).Market
	}
	return h
}

// do has a command decided and visible.
func (h *house) do(c engine.Command) *engine.Decision {
	h.t.Helper()
	got, err := h.Submit(h.t.Context(), sequencer.Request{Principal: "admin", Command: c})
	if err != nil || got.Decision.Code != engine.OK {
		h.t.Fatalf("%s: %v %+v", c.Type(), err, got.Decision)
	}
	if err := h.Wait(h.t.Context(), got.Decision.Seq); err != nil {
		h.t.Fatal(err)
	}
	return got.Decision
}

func (h *house) buy(market int) engine.Seq {
	h.t.Helper()
	return h.do(&engine.PlaceOrder{Account: h.account, Market: h.markets[market], Outcome: engine.Yes, Side: engine.Buy, TIF: engine.IOC, Amount: engine.One}).Seq
}

func (h *house) add(x engine.AddWebhook) engine.WebhookID {
	h.t.Helper()
	return engine.WebhookID(h.do(&x).Seq)
}

func (h *house) change(id engine.WebhookID, change engine.WebhookChange, from engine.Seq) {
	h.t.Helper()
	h.do(&engine.ChangeWebhook{Webhook: id, Change: change, From: from})
}

func (h *house) webhook(id engine.WebhookID) (w engine.Webhook) {
	h.View(func(s *core.State) {
		for _, x := range s.Webhooks() {
			if x.ID == id {
				w = x
			}
		}
	})
	return w
}

// fails waits until an endpoint has failed.
func (h *house) fails(id engine.WebhookID) engine.Webhook {
	h.t.Helper()
	return h.when(id, func(set *engine.WebhookSet) bool { return set.Change == engine.WebhookFail })
}

// when waits for a change of a webhook.
func (h *house) when(id engine.WebhookID, is func(*engine.WebhookSet) bool) engine.Webhook {
	h.t.Helper()
	ctx, stop := context.WithTimeout(h.t.Context(), 30*time.Second)
	defer stop()
	err := h.Follow(ctx, 1, func(c sequencer.Committed) error {
		for _, e := range c.Decision.Events {
			if set, ok := e.(*engine.WebhookSet); ok && set.Webhook.ID == id && is(set) {
				return io.EOF
			}
		}
		return nil
	})
	if !errors.Is(err, io.EOF) {
		h.t.Fatalf("it does not come: %v", err)
	}
	return h.webhook(id)
}

// deliver runs a dispatcher until the test ends, or stop is called.
func (h *house) deliver(change func(*Config)) (x *Dispatcher, stop func()) {
	h.t.Helper()
	cfg := Config{
		Writer: h, Dir: h.t.TempDir(), Key: bytes.Repeat([]byte{7}, KeySize), Networks: loopback, Registerer: prometheus.NewRegistry(),
		Logger: slog.New(slog.DiscardHandler), Pace: quick,
	}
	if change != nil {
		change(&cfg)
	}
	x, err := New(cfg)
	if err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- x.Run(ctx) }()
	once := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			h.t.Error(err)
		}
	})
	h.t.Cleanup(once)
	return x, once
}

// has waits until a dispatcher knows that an endpoint has a decision: the answer reaches
// it a moment after the request reached the receiver.
func has(x *Dispatcher, id engine.WebhookID, seq engine.Seq) {
	for s, _ := x.Status(id); s.After < seq; s, _ = x.Status(id) {
		runtime.Gosched()
	}
}

// sends reports whether a dispatcher has a worker for an endpoint.
func sends(x *Dispatcher, id engine.WebhookID) bool {
	return slices.ContainsFunc(x.all(), func(k *worker) bool { return k.w.ID == id })
}

// taken is a request that a receiver got.
type taken struct {
	header http.Header
	body   []byte
	Message
}

// receiver is a real one. It answers by the number of the request.
type receiver struct {
	*httptest.Server
	got chan taken
}

func receive(t *testing.T, answer func(n int, w http.ResponseWriter, r *http.Request)) *receiver {
	t.Helper()
	x, n := &receiver{got: make(chan taken, 1000)}, 0
	x.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return // the sender was ended
		}
		m := taken{header: r.Header, body: b}
		if err := json.Unmarshal(b, &m.Message); err != nil {
			t.Errorf("%s: %v", b, err)
		}
		x.got <- m
		if n++; answer != nil { // one endpoint sends one request after the other
			answer(n, w, r)
		}
	}))
	t.Cleanup(x.Close)
	return x
}

// next returns the next request.
func (x *receiver) next(t *testing.T) taken {
	t.Helper()
	select {
	case m := <-x.got:
		return m
	case <-time.After(30 * time.Second):
		t.Fatal("nothing comes")
		return taken{}
	}
}

// events takes requests until an event of a sequence has come.
func (x *receiver) events(t *testing.T, until engine.Seq) (all []Event) {
	t.Helper()
	for len(all) == 0 || all[len(all)-1].Seq < until {
		all = append(all, x.next(t).Events...)
	}
	return all
}

// TestDelivery: what was asked for comes, in order, once, signed, as the documents of
// the stream and of the decisions.
func TestDelivery(t *testing.T) {
	h, all, some := open(t), receive(t, nil), receive(t, nil)
	x, _ := h.deliver(nil)
	id := h.add(engine.AddWebhook{URL: all.URL + "/h?x=1"})
	h.add(engine.AddWebhook{URL: some.URL, Events: []string{"trade"}, Markets: h.markets[1:]})
	var want []engine.Seq
	for i := range 20 {
		want = append(want, h.buy(i%2))
	}
	want = append(want, h.do(&engine.PauseMarket{Market: h.markets[0]}).Seq, h.do(&engine.SetMode{Mode: engine.ModeLite, Reason: "drill"}).Seq)
	h.do(&engine.GrantCredits{Account: h.account, Amount: 1}) // nobody is told
	h.change(id, engine.WebhookTest, 0)
	want = append(want, h.Durable())
	first := all.next(t)
	if err := sign.Verify(first.header, first.body, time.Now(), x.Secret(id, 1)); err != nil {
		t.Error(err)
	}
	if got := first.header.Get(sign.HeaderID); got != fmt.Sprintf("%s-%d-%d", id, first.First, first.Last) || first.header.Get("Content-Type") != "application/json" {
		t.Errorf("id %q of %s", got, first.body)
	}
	events := first.Events
	if first.Last < h.Durable() {
		events = append(events, all.events(t, h.Durable())...)
	}
	var got []engine.Seq
	var kinds []string
	for _, e := range events {
		got, kinds = append(got, e.Seq), append(kinds, e.Type)
	}
	if !slices.Equal(got, want) {
		t.Errorf("told of %d, want %d", got, want)
	}
	if k := kinds[19:]; !slices.Equal(k, []string{"trade", "market_state_changed", "mode_set", "test"}) {
		t.Errorf("the last are %q", k)
	}
	var trade struct {
		Seq    engine.Seq      `json:"seq"`
		Market engine.MarketID `json:"market"`
		Shares engine.Shares   `json:"shares_micros"`
	}
	if err := json.Unmarshal(events[1].Data, &trade); err != nil || trade.Seq != want[1] || trade.Market != h.markets[1] || trade.Shares == 0 || strings.Contains(string(events[1].Data), "account") {
		t.Errorf("%s: %v", events[1].Data, err)
	}
	for i, e := range some.events(t, want[19]) {
		if e.Seq != want[2*i+1] || e.Type != "trade" {
			t.Errorf("the other is told %s of %d", e.Type, e.Seq)
		}
	}
}

// TestRetries: a message that is not taken comes again, the same but for its time.
func TestRetries(t *testing.T) {
	h := open(t)
	r := receive(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		if n < 4 {
			w.WriteHeader(500 + n)
		}
	})
	x, stop := h.deliver(nil)
	id := h.add(engine.AddWebhook{URL: r.URL})
	seq := h.buy(0)
	first := r.next(t)
	for range 3 {
		again := r.next(t)
		if !bytes.Equal(again.body, first.body) || again.header.Get(sign.HeaderID) != first.header.Get(sign.HeaderID) {
			t.Errorf("again as\n%s\nwas\n%s", again.body, first.body)
		}
		if err := sign.Verify(again.header, again.body, time.Now(), x.Secret(id, 1)); err != nil {
			t.Error(err)
		}
	}
	has(x, id, h.buy(0))
	r.next(t)
	s, _ := x.Status(id)
	if n := len(s.Attempts); n < 4 || s.Attempts[n-1].Status != 501 || s.Attempts[n-4].Status != 200 || s.Attempts[n-4].Attempt != 4 || s.Attempts[n-4].Last != seq || s.After < seq {
		t.Errorf("%+v", s)
	}
	stop()
	if sends(x, id) {
		t.Error("it is sent to after the end")
	}
	if failed := testutil.ToFloat64(x.metrics.failed); failed != 3 {
		t.Errorf("%v attempts failed", failed)
	}
}

// TestFails: an endpoint that takes nothing fails, on record; whoever resumes it loses
// nothing. One that says that it is gone fails at once.
func TestFails(t *testing.T) {
	h := open(t)
	r := receive(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		if n <= quick.Attempts {
			w.WriteHeader(http.StatusBadGateway)
		}
	})
	gone := receive(t, func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) })
	x, _ := h.deliver(nil)
	id, other := h.add(engine.AddWebhook{URL: r.URL}), h.add(engine.AddWebhook{URL: gone.URL, Events: []string{"trade"}})
	seq := h.buy(0)
	w := h.fails(id)
	if w.State != engine.WebhookFailed || w.Reason != fmt.Sprintf("%d attempts failed, the last one with status 502", quick.Attempts) {
		t.Errorf("%+v", w)
	}
	if w := h.fails(other); !strings.HasPrefix(w.Reason, "1 attempts failed, the last one with status 410") {
		t.Errorf("%+v", w)
	}
	if got := x.count(engine.WebhookFailed); got != 2 {
		t.Errorf("%d have failed by the metric", got)
	}
	missed := h.buy(0)
	h.change(id, engine.WebhookResume, 0)
	for range quick.Attempts {
		r.next(t)
	}
	if got := r.events(t, missed); got[0].Seq != seq || got[1].Seq != missed {
		t.Errorf("after it was resumed it is told %+v", got)
	}
	if h.webhook(id).State != engine.WebhookActive {
		t.Error("it is not active")
	}
}

// TestPlanned: paused is told nothing and misses nothing; a replay tells again what was
// told, byte for byte; a rotated secret signs beside the one before; a deleted one ends.
func TestPlanned(t *testing.T) {
	h, r := open(t), receive(t, nil)
	x, _ := h.deliver(nil)
	id := h.add(engine.AddWebhook{URL: r.URL, Events: []string{"trade"}})
	from := h.buy(0)
	was := r.events(t, from)
	has(x, id, from)
	h.change(id, engine.WebhookPause, 0)
	missed := h.buy(1)
	if sends(x, id) && len(r.got) > 0 {
		t.Error("it is told while it is paused")
	}
	h.change(id, engine.WebhookResume, 0)
	was = append(was, r.events(t, missed)...)
	has(x, id, missed)
	h.change(id, engine.WebhookReplay, from)
	var again []Event
	for len(again) < len(was) {
		again = append(again, r.next(t).Events...)
	}
	for i := range was {
		if again[i].Seq != was[i].Seq || !bytes.Equal(again[i].Data, was[i].Data) {
			t.Errorf("replayed %s, was %s", again[i].Data, was[i].Data)
		}
	}
	has(x, id, missed)
	h.change(id, engine.WebhookRotate, 0)
	h.buy(0)
	m := r.next(t)
	for generation := range uint32(3) {
		err := sign.Verify(m.header, m.body, time.Now(), x.Secret(id, generation))
		if (err == nil) != (generation > 0) {
			t.Errorf("generation %d: %v", generation, err)
		}
	}
	h.change(id, engine.WebhookRemoved, 0)
	h.buy(0)
	other := h.add(engine.AddWebhook{URL: r.URL})
	h.buy(0)
	if m := r.next(t); m.Webhook != other {
		t.Errorf("%s is told after its end", m.Webhook)
	}
}
