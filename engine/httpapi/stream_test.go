package httpapi

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mbp-market/mbp/engine"
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

// listen opens the stream of all markets.
func (e *edge) listen(secret, lastID string) (next func() event, leave func()) {
	e.t.Helper()
	return e.listenTo("/v1/stream", secret, lastID)
}

// listenTo opens a stream; next returns its events, and an empty one at the end.
func (e *edge) listenTo(path, secret, lastID string) (next func() event, leave func()) {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.url+path, nil)
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
	next, _ = e.listen(trader, "999999")
	if gap, first := next(), next(); gap.kind != "gap" || gap.id != "" || gap.doc(t)["after"] != 999999.0 || first.kind != "snapshot" || fmt.Sprintf("%.0f", gap.doc(t)["seq"]) != first.id {
		t.Errorf("a Last-Event-ID from the future does not begin again: %+v %+v", gap, first)
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
	for end := time.Now().Add(10 * time.Second); uint64(e.api.streams.Position()) < want; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			e.t.Fatalf("the streams are not at %s", id)
		}
	}
}

func TestStreamHeartbeatAndRevocation(t *testing.T) {
	e := start(t, options{api: func(a *API) { a.streams.Every = 20 * time.Millisecond }})
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
		api: func(a *API) { a.streams.Every = limit / 4 },
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
