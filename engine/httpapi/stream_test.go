package httpapi

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/httpapi/hub"
	"github.com/mbp-market/mbp/engine/httpapi/identity"
	"github.com/mbp-market/mbp/engine/httpapi/problem"
)

// event is one event as it came over the line.
type event struct {
	id, kind string
	data     string
}

func (e event) doc(t *testing.T) map[string]any {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal([]byte(e.data), &doc); err != nil {
		t.Fatalf("%q: %v", e.data, err)
	}
	return doc
}

// listen opens a stream; next returns its events, and an empty one at the end.
func (e *edge) listen(secret, lastID string) (next func() event, leave func()) {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.url+"/v1/stream", nil)
	if err != nil {
		e.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+secret)
	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		e.t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/event-stream" {
		e.t.Fatalf("stream: %d %s", res.StatusCode, res.Header.Get("Content-Type"))
	}
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 4<<20)
	e.t.Cleanup(func() { cancel(); res.Body.Close() })
	return func() event {
		var got event
		for lines.Scan() {
			name, value, _ := strings.Cut(lines.Text(), ": ")
			switch name {
			case "id":
				got.id = value
			case "event":
				got.kind = value
			case "data":
				got.data = value
			case "":
				return got
			}
		}
		return event{}
	}, cancel
}

func TestStreamTellsWhatHappens(t *testing.T) {
	e := start(t, options{})
	owner := e.funded(100_000)
	e.market(owner)
	trader := e.key("ana", engine.RoleTrader, owner)
	next, _ := e.listen(trader, "")
	first := next()
	if doc := first.doc(t); first.kind != "snapshot" || first.id == "" || len(doc["markets"].([]any)) != 1 {
		t.Fatalf("%+v", first)
	}
	order := e.post("/v1/orders", trader, strings.Replace(buyTen, "YES", "NO", 1)).doc(t)
	filled := order["events"].([]any)[0].(map[string]any)
	trade, quote := next(), next()
	if trade.kind != "trade" || trade.id != "" || quote.kind != "quote" || quote.id != fmt.Sprintf("%.0f", order["seq"]) {
		t.Fatalf("%+v %+v", trade, quote)
	}
	if strings.Contains(trade.data, "acc_") {
		t.Errorf("a trade says whose it is: %s", trade.data)
	}
	for _, name := range []string{"market", "outcome", "side", "amount_micros", "shares_micros", "average_price_micros"} {
		if trade.doc(t)[name] != filled[name] {
			t.Errorf("%s: %v, the decision says %v", name, trade.doc(t)[name], filled[name])
		}
	}
	q := quote.doc(t)
	outcomes := q["outcomes"].([]any)
	yes, no := outcomes[0].(map[string]any), outcomes[1].(map[string]any)
	if no["price_micros"] != filled["price_after_micros"] || yes["price_micros"].(float64)+no["price_micros"].(float64) != engine.One ||
		yes["pool_micros"].(float64) <= no["pool_micros"].(float64) || no["depth_micros"].(float64) <= 0 {
		t.Errorf("%s after %v", quote.data, filled)
	}
	e.post("/v1/markets/mkt_1/pause", e.admin, `{}`)
	if m := next(); m.kind != "market" || m.doc(t)["state"] != "paused" || m.id == "" {
		t.Errorf("%+v", m)
	}
}

// meanwhile runs something before the read model is looked at.
type meanwhile struct {
	Sequencer
	do atomic.Pointer[func()]
}

func (m *meanwhile) View(fn func(*core.State)) {
	if do := m.do.Swap(nil); do != nil {
		(*do)()
	}
	m.Sequencer.View(fn)
}

// TestSnapshotAndStreamOverlap: a decision while a snapshot is made is told by it
// or after it, and none is told twice that it tells already.
func TestSnapshotAndStreamOverlap(t *testing.T) {
	m := &meanwhile{}
	e := start(t, options{seq: func(q Sequencer) Sequencer { m.Sequencer = q; return m }})
	owner := e.funded(100_000)
	e.market(owner)
	order := func() engine.Seq {
		return e.submit(&engine.PlaceOrder{Account: owner, Market: 1, Side: engine.Buy, TIF: engine.IOC, Amount: engine.One}).Seq
	}
	var seq engine.Seq
	key := engine.Key{SHA256: digestOf(e.admin)}
	c := &call{r: httptest.NewRequest(http.MethodGet, "/v1/stream", nil), key: identity.Principal{Key: key}}
	s, err := e.api.hub.Enter(key.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	e.seqReached(fmt.Sprint(e.seq.Durable())) // the streams look at the read model no more
	between := func() {
		seq = order()
		e.seqReached(fmt.Sprint(seq))
	}
	m.do.Store(&between)
	w := httptest.NewRecorder()
	last, missed, ok := e.api.begin(deadlines{w}, c, s, 0)
	if !ok || last != seq || len(missed) != 0 {
		t.Fatalf("%v: the snapshot is at %d, the order at %d, missed %v", ok, last, seq, missed)
	}
	e.seqReached(fmt.Sprint(order()))
	e.api.hub.Leave(s) // what was sent before still goes out
	e.api.pump(deadlines{w}, c, s, last, missed)
	if got := strings.Count(w.Body.String(), "event: trade"); got != 1 || !strings.Contains(w.Body.String(), fmt.Sprintf("id: %d\nevent: quote", seq+1)) {
		t.Errorf("%d trades after the snapshot, want 1:\n%s", got, w.Body)
	}
}

// slowLine runs something before each write.
type slowLine struct {
	deadlines
	before func()
}

func (s slowLine) Write(b []byte) (int, error) {
	s.before()
	return s.deadlines.Write(b)
}

// TestSnapshotOutlastsTheBuffer: what is decided while a client reads its snapshot,
// many times what its buffer holds, comes after it, and every decision of it.
func TestSnapshotOutlastsTheBuffer(t *testing.T) {
	e := start(t, options{})
	e.market(e.funded(100_000))
	e.seqReached(fmt.Sprint(e.seq.Durable()))
	at := e.api.hub.Position()
	const n = 3 * hub.Buffer
	c := &call{r: httptest.NewRequest(http.MethodGet, "/v1/stream", nil), key: identity.Principal{Key: engine.Key{SHA256: digestOf(e.admin)}}}
	s, err := e.api.hub.Enter(c.key.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	done := false
	last, missed, ok := e.api.begin(slowLine{deadlines{w}, func() {
		for i := range engine.Seq(n) {
			if !done {
				e.api.hub.Broadcast(hub.Frame{Seq: at + 1 + i, Text: fmt.Appendf(nil, "id: %d\n\n", at+1+i)})
			}
		}
		done = true
	}}, c, s, 0)
	if !ok || last != at || len(missed) != n || missed[0].Seq != at+1 {
		t.Fatalf("%v: after %d it missed %d frames, want %d after %d", ok, last, len(missed), n, at)
	}
	if e.value("http_streams_dropped_total") != 0 || !strings.HasPrefix(w.Body.String(), fmt.Sprintf("id: %d\nevent: snapshot", at)) {
		t.Errorf("the stream is cut, or begins with %.60s", w.Body)
	}
}

// TestSnapshotBeginsAnew: a client that takes longer for its snapshot than what
// follows is remembered gets another, and not without end.
func TestSnapshotBeginsAnew(t *testing.T) {
	e := start(t, options{})
	e.market(e.funded(100_000))
	e.seqReached(fmt.Sprint(e.seq.Durable()))
	at := e.api.hub.Position()
	c := &call{r: httptest.NewRequest(http.MethodGet, "/v1/stream", nil), key: identity.Principal{Key: engine.Key{SHA256: digestOf(e.admin)}}}
	s, err := e.api.hub.Enter(c.key.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	_, _, ok := e.api.begin(slowLine{deadlines{w}, func() {
		for range 2 * hub.Remembered {
			at++
			e.api.hub.Broadcast(hub.Frame{Seq: at, Text: []byte("x")})
		}
	}}, c, s, 0)
	if got := strings.Count(w.Body.String(), "event: snapshot"); ok || got != snapshotTries || e.value("http_streams_dropped_total") != 1 {
		t.Errorf("%v after %d snapshots, %v streams are cut", ok, got, e.value("http_streams_dropped_total"))
	}
}

// TestSnapshotIsShared: streams that begin together look at the markets once.
func TestSnapshotIsShared(t *testing.T) {
	l := &looks{}
	e := start(t, options{seq: func(q Sequencer) Sequencer { l.Sequencer = q; return l }})
	e.market(e.funded(100_000))
	e.seqReached(fmt.Sprint(e.seq.Durable()))
	l.count.Store(0)
	first, err := e.api.snapshot()
	if err != nil {
		t.Fatal(err)
	}
	looked := l.count.Load()
	for range 10 {
		if again, err := e.api.snapshot(); err != nil || again.Seq != first.Seq || &again.Text[0] != &first.Text[0] {
			t.Fatalf("%v: another snapshot", err)
		}
	}
	if l.count.Load() != looked {
		t.Errorf("%d looks for ten more", l.count.Load()-looked)
	}
	e.api.snapshots.taken = time.Now().Add(-2 * snapshotAge)
	if again, err := e.api.snapshot(); err != nil || &again.Text[0] == &first.Text[0] {
		t.Errorf("%v: an old snapshot is given out", err)
	}
}

// TestSnapshotIsBounded: markets with many outcomes make it shorter, not larger,
// and the newest are in it.
func TestSnapshotIsBounded(t *testing.T) {
	e := start(t, options{})
	owner := e.funded(10_000_000)
	const n = 250
	e.categorical(owner, n)
	e.seqReached(fmt.Sprint(e.seq.Durable()))
	first, err := e.api.snapshot()
	if err != nil {
		t.Fatal(err)
	}
	_, data, _ := strings.Cut(string(first.Text), "data: ")
	markets := event{data: data}.doc(t)["markets"].([]any)
	if len(first.Text) > snapshotBytes+64<<10 || len(first.Text) < snapshotBytes || len(markets) >= n || len(markets) < n/2 {
		t.Errorf("%d bytes, %d markets", len(first.Text), len(markets))
	}
	for i, m := range markets {
		if id := m.(map[string]any)["market"]; id != fmt.Sprint("mkt_", n-len(markets)+i+1) {
			t.Fatalf("%v at place %d of %d", id, i, len(markets))
		}
	}
}

// deadlines takes write deadlines, as a connection does.
type deadlines struct{ *httptest.ResponseRecorder }

func (deadlines) SetWriteDeadline(time.Time) error { return nil }

func TestStreamResumes(t *testing.T) {
	e := start(t, options{})
	owner := e.funded(100_000)
	e.market(owner)
	trader := e.key("ana", engine.RoleTrader, owner)
	next, leave := e.listen(trader, "")
	last := next().id
	leave()
	var want []string
	for range 3 {
		r := e.post("/v1/orders", trader, buyTen)
		want = append(want, fmt.Sprintf("%.0f", r.doc(t)["seq"]))
	}
	e.seqReached(want[2])
	next, _ = e.listen(trader, last)
	for _, id := range want {
		if trade, quote := next(), next(); trade.kind != "trade" || quote.id != id {
			t.Fatalf("%+v %+v, want %s", trade, quote, id)
		}
	}
	if beat := next(); beat.kind != "heartbeat" || beat.id != want[2] {
		t.Errorf("%+v", beat)
	}
	if next, _ := e.listen(trader, "999999"); next().kind != "snapshot" {
		t.Error("a Last-Event-ID from the future does not begin again")
	}
	if r := e.get("/v1/stream", trader, "Last-Event-ID", "x"); r.code(t) != problem.Malformed {
		t.Errorf("%d %s", r.status, r.body)
	}
}

// seqReached waits until the streams were told of a decision.
func (e *edge) seqReached(id string) {
	e.t.Helper()
	want, err := strconv.ParseUint(id, 10, 64)
	if err != nil {
		e.t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); uint64(e.api.hub.Position()) < want; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			e.t.Fatalf("the streams are not at %s", id)
		}
	}
}

func TestStreamHeartbeatAndRevocation(t *testing.T) {
	e := start(t, options{api: func(a *API) { a.every = 20 * time.Millisecond }})
	e.funded(1)
	secret := e.key("eve", engine.RoleService, 0)
	next, _ := e.listen(secret, "")
	next()
	beat := next()
	if beat.kind != "heartbeat" || beat.data != fmt.Sprintf(`{"seq":%s}`, beat.id) {
		t.Fatalf("%+v", beat)
	}
	e.submit(&engine.RevokeKey{SHA256: digestOf(secret)})
	for n := 0; ; n++ {
		got := next()
		if got == (event{}) {
			break
		}
		if n > 100 {
			t.Fatal("the stream of a revoked key goes on")
		}
	}
}

// TestStreamOutlivesTheTimeLimits: what bounds a request does not bound a stream.
func TestStreamOutlivesTheTimeLimits(t *testing.T) {
	const limit = 100 * time.Millisecond
	e := start(t, options{
		api: func(a *API) { a.every = limit / 4 },
		web: func(s *http.Server) {
			s.ReadHeaderTimeout, s.ReadTimeout, s.WriteTimeout, s.IdleTimeout = limit, limit, limit, limit
		},
	})
	next, _ := e.listen(e.admin, "")
	for begin := time.Now(); time.Since(begin) < 3*limit; {
		if next() == (event{}) {
			t.Fatalf("the stream ended after %s", time.Since(begin))
		}
	}
}

func TestStreamsEndAtShutdown(t *testing.T) {
	e := start(t, options{})
	next, _ := e.listen(e.admin, "")
	next()
	e.api.Drain()
	if got := next(); got != (event{}) {
		t.Errorf("%+v after the end", got)
	}
}

func TestStreamLimits(t *testing.T) {
	e := start(t, options{cfg: func(c *Config) { c.MaxStreams, c.MaxStreamsPerKey = 3, 2 }})
	bob, eve := e.key("bob", engine.RoleService, 0), e.key("eve", engine.RoleService, 0)
	_, leave := e.listen(bob, "")
	e.listen(bob, "")
	if r := e.get("/v1/stream", bob); r.status != http.StatusTooManyRequests || r.code(t) != problem.Streams || r.header.Get("Retry-After") == "" {
		t.Errorf("a third stream of one key: %d %s", r.status, r.body)
	}
	e.listen(eve, "")
	if r := e.get("/v1/stream", eve); r.code(t) != problem.Streams {
		t.Errorf("a fourth stream: %d %s", r.status, r.body)
	}
	if got := e.value("http_streams"); got != 3 {
		t.Errorf("%v streams", got)
	}
	leave()
	for end := time.Now().Add(10 * time.Second); e.value("http_streams") != 2; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("a stream that was left stays open")
		}
	}
	e.listen(eve, "")
}
