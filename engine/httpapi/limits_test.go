package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/identity"
	"github.com/mbp-market/mbp/engine/httpapi/meter"
	"github.com/mbp-market/mbp/engine/httpapi/problem"
	"github.com/mbp-market/mbp/engine/httpapi/rate"
	"github.com/mbp-market/mbp/engine/httpapi/roster"
	"github.com/mbp-market/mbp/engine/httpapi/scrape"
	"github.com/mbp-market/mbp/engine/sequencer"
)

// flood sends the same kind of request until one is refused by its rate.
func (e *edge) flood(method, path, secret, body string) reply {
	e.t.Helper()
	for range 50 {
		if r := e.send(method, path, secret, body); r.status == http.StatusTooManyRequests {
			return r
		}
	}
	e.t.Fatalf("50 times %s %s were never too often", method, path)
	return reply{}
}

// TestMutationsHaveARate: what a trader repeats without end, valid or not, is not
// journalled without end, with however many keys of one principal.
func TestMutationsHaveARate(t *testing.T) {
	e := start(t, options{cfg: func(c *Config) { c.Rates.Trader = rate.Limit{PerSecond: 1, Burst: 5} }})
	account := e.funded(100_000)
	e.market(account)
	one, two := e.key("ana", engine.RoleTrader, account), e.key("ana", engine.RoleTrader, account)
	staff := e.key("ops", engine.RoleTrader|engine.RoleOperator, account)
	invalid := strings.Replace(buyTen, "mkt_1", "mkt_9", 1)
	r := e.flood(http.MethodPost, "/v1/orders", one, invalid)
	at := e.seq.Durable()
	if r.code(t) != problem.TooMany || r.header.Get("Retry-After") != "1" || r.doc(t)["seq"] != nil {
		t.Errorf("%v %s", r.header, r.body)
	}
	if _, length := r.header["Content-Length"]; !length || len(r.header) > 8+2 {
		t.Errorf("length and date beside more than eight headers are too many for a flood, or have no length: %v", r.header)
	}
	if r := e.post("/v1/orders", two, invalid, "Idempotency-Key", "mine"); r.code(t) != problem.TooMany {
		t.Errorf("a second key of the principal: %d %s", r.status, r.body)
	}
	if got := e.seq.Durable(); got != at {
		t.Errorf("decision %d was made", got)
	}
	for range 20 {
		if r := e.post("/v1/orders", staff, invalid); r.code(t) != "market_not_found" {
			t.Fatalf("a key with another role: %d %s", r.status, r.body)
		}
	}
	if r := e.get("/v1/me", one); r.status != http.StatusOK {
		t.Errorf("reads have a rate of their own: %d", r.status)
	}
	e.quiet()
	if n := e.value("dec_latency_seconds"); n > 40 {
		t.Errorf("%v latencies: refusals by the rate are no decisions", n)
	}
	if got := e.value("dec_orchestration_errors_total", "stage", "answer"); got != 0 {
		t.Errorf("%v orchestration errors", got)
	}
}

// TestTheEngineRefusesFirst: with the limits of the platform, an account that
// orders too fast meets the engine's limit, whose refusal is on record.
func TestTheEngineRefusesFirst(t *testing.T) {
	e := start(t, options{cfg: func(c *Config) { c.Rates.Trader = rate.Traders }})
	account := e.funded(100_000)
	e.market(account)
	ana := e.key("ana", engine.RoleTrader, account)
	for range rate.Traders.Burst {
		if r := e.post("/v1/orders", ana, buyTen); r.status == http.StatusTooManyRequests {
			if r.code(t) != "rate_limited" {
				t.Errorf("%s", r.body)
			}
			return
		}
	}
	t.Skip("this machine is too slow to be too fast")
}

func TestReadsHaveARate(t *testing.T) {
	e := start(t, options{cfg: func(c *Config) { c.Rates.Read = rate.Limit{PerSecond: 1, Burst: 3} }})
	bob := e.key("bob", engine.RoleService, 0)
	if r := e.flood(http.MethodGet, "/v1/markets", bob, ""); r.code(t) != problem.TooMany || r.header.Get("Retry-After") != "1" {
		t.Errorf("%v %s", r.header, r.body)
	}
	if r := e.flood(http.MethodGet, "/v1/stream", bob, ""); r.code(t) != problem.TooMany {
		t.Errorf("a stream: %d %s", r.status, r.body)
	}
	if r := e.get("/v1/me", e.admin); r.status != http.StatusOK {
		t.Errorf("somebody else: %d", r.status)
	}
	if r := e.post("/v1/accounts", e.admin, `{}`); r.status != http.StatusCreated {
		t.Errorf("a mutation: %d", r.status)
	}
}

// TestStoredRefusals: a refusal that is replayed does not send its client to wait
// for nothing.
func TestStoredRefusals(t *testing.T) {
	e := start(t, options{})
	account := e.funded(100_000)
	e.market(account)
	ana := e.key("ana", engine.RoleTrader, account)
	for n := range 200 {
		key := fmt.Sprint("k", n)
		if r := e.post("/v1/orders", ana, buyTen, "Idempotency-Key", key); r.status == http.StatusCreated {
			continue
		}
		r := e.post("/v1/orders", ana, buyTen, "Idempotency-Key", key)
		if r.code(t) != "rate_limited" || r.header.Get("Idempotency-Replayed") != "true" || r.header.Values("Retry-After") != nil ||
			!strings.Contains(fmt.Sprint(r.doc(t)["detail"]), "this refusal is stored; use a new idempotency key") {
			t.Errorf("%v %s", r.header, r.body)
		}
		return
	}
	t.Fatal("200 orders in a row were never too fast")
}

// TestKeyRevokedWhileTheBodyIsRead: the key counts when the decision is made, not
// when the headers came.
func TestKeyRevokedWhileTheBodyIsRead(t *testing.T) {
	e := start(t, options{})
	account := e.funded(100_000)
	e.market(account)
	ana := e.key("ana", engine.RoleTrader, account)
	conn, err := net.Dial("tcp", strings.TrimPrefix(e.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	fmt.Fprintf(conn, "POST /v1/orders HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nIdempotency-Key: k\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", ana, len(buyTen))
	for range 2 { // "100 Continue" and an empty line: the handler reads the body
		if _, err := in.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	e.submit(&engine.RevokeKey{SHA256: digestOf(ana)})
	at := e.seq.Durable()
	fmt.Fprint(conn, buyTen)
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	r := reply{res.StatusCode, res.Header, string(body)}
	if r.status != http.StatusUnauthorized || r.code(t) != problem.Unauthenticated || r.header.Get("WWW-Authenticate") == "" {
		t.Errorf("%d %s", r.status, r.body)
	}
	if got := e.seq.Durable(); got != at {
		t.Errorf("decision %d was made for a revoked key", got)
	}
	if e.value("dec_admitted_total") != e.value("dec_journalled_total") {
		t.Error("it counts as admitted")
	}
}

// gone makes a request whose client leaves once the handler waits.
func (e *edge) gone(path string, waits func() bool) {
	e.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.url+path, nil)
	if err != nil {
		e.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+e.admin)
	done := make(chan error, 1)
	go func() {
		res, err := http.DefaultClient.Do(req)
		if err == nil {
			err = fmt.Errorf("answered %d", res.StatusCode)
			res.Body.Close()
		}
		done <- err
	}()
	for end := time.Now().Add(10 * time.Second); !waits(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			e.t.Fatalf("%s does not wait", path)
		}
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		e.t.Errorf("%s: %v", path, err)
	}
	e.quiet()
}

// slowFollow follows as if the disk had all the time in the world.
type slowFollow struct {
	Sequencer
	armed, waits atomic.Bool
}

func (s *slowFollow) Follow(ctx context.Context, from engine.Seq, fn func(sequencer.Committed) error) error {
	if from != 1 || !s.armed.Load() { // of the streams and the history
		return s.Sequencer.Follow(ctx, from, fn)
	}
	s.waits.Store(true)
	<-ctx.Done()
	return ctx.Err()
}

// TestReaderThatLeaves: it is no answer, no error of ours, and no word in the log.
func TestReaderThatLeaves(t *testing.T) {
	s := &slowFollow{}
	e := start(t, options{seq: func(q Sequencer) Sequencer { s.Sequencer = q; return s }})
	s.armed.Store(true)
	e.gone(fmt.Sprintf("/v1/me?min_seq=%d", e.seq.Durable()+1), func() bool { return e.waiting(e.admin) == 1 })
	e.gone("/v1/decisions", s.waits.Load)
	for _, route := range []string{"GET /v1/me", "GET /v1/decisions"} {
		for _, class := range meter.Classes() {
			if got := e.value("http_requests_total", "route", route, "class", class); got != 0 {
				t.Errorf("%s counts as %s", route, class)
			}
		}
	}
	if e.value("http_internal_errors_total") != 0 || e.value("http_panics_total") != 0 || strings.Contains(e.logs.String(), "ERROR") {
		t.Errorf("it is an error of ours: %s", e.logs)
	}
	if got := e.waiting(e.admin); got != 0 {
		t.Errorf("%d reads wait", got)
	}
}

func (e *edge) waiting(secret string) int {
	return e.api.waiting.Taken(digestOf(secret))
}

func TestMinSeqFarAhead(t *testing.T) {
	e := start(t, options{})
	begin := time.Now()
	r := e.get(fmt.Sprintf("/v1/me?min_seq=%d", e.seq.Durable()+minSeqAhead+1), e.admin)
	if took := time.Since(begin); r.status != http.StatusPreconditionFailed || r.code(t) != problem.Behind || took >= minSeqWait {
		t.Errorf("%d %s after %s", r.status, r.body, took)
	}
}

// TestWaitersAreLimited: a key has so many reads that wait, and no more.
func TestWaitersAreLimited(t *testing.T) {
	e := start(t, options{})
	path := fmt.Sprintf("/v1/me?min_seq=%d", e.seq.Durable()+1)
	replies := make(chan reply, maxWaiters)
	var wg sync.WaitGroup
	for range maxWaiters {
		wg.Go(func() { replies <- e.get(path, e.admin) })
	}
	for end := time.Now().Add(10 * time.Second); e.waiting(e.admin) < maxWaiters; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Skip("this machine is too slow to have so many wait at once")
		}
	}
	if r := e.get(path, e.admin); r.code(t) != problem.TooMany || r.header.Get("Retry-After") != "1" {
		t.Errorf("%d %s", r.status, r.body)
	}
	e.funded(1)
	wg.Wait()
	close(replies)
	for r := range replies {
		if r.status != http.StatusOK && r.code(t) != problem.Behind {
			t.Errorf("%d %s", r.status, r.body)
		}
	}
}

// TestScrapeDuringAFlood: who asks for the metrics without a key keeps nobody
// from getting them.
func TestScrapeDuringAFlood(t *testing.T) {
	var times atomic.Int64
	e := start(t, options{cfg: func(c *Config) {
		c.Registerer.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "slow"}, func() float64 {
			time.Sleep(20 * time.Millisecond) // a process with many series
			return float64(times.Add(1))
		}))
	}})
	begin := time.Now()
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			r := e.get("/metrics", "")
			if r.status != http.StatusOK || !strings.Contains(r.body, "dec_admitted_total 0") || !strings.HasPrefix(r.header.Get("Content-Type"), "text/plain") {
				t.Errorf("%d %.100s", r.status, r.body)
			}
		})
	}
	wg.Wait()
	if most := int64(1 + time.Since(begin)/scrape.Age); times.Load() > most {
		t.Errorf("gathered %d times, want at most %d", times.Load(), most)
	}
	e.quiet()
	if got := e.value("http_requests_total", "route", "GET /metrics", "class", "5xx"); got != 0 {
		t.Errorf("%v scrapes are 5xx", got)
	}
}

// brokenMetric cannot be collected.
type brokenMetric struct{ err error }

func (b brokenMetric) Describe(chan<- *prometheus.Desc) {}
func (b brokenMetric) Collect(out chan<- prometheus.Metric) {
	out <- prometheus.NewInvalidMetric(prometheus.NewDesc("broken", "", nil, nil), b.err)
}

func TestMetricsThatCannotBeGathered(t *testing.T) {
	e := start(t, options{cfg: func(c *Config) { c.Registerer.MustRegister(brokenMetric{errors.New("collector is broken")}) }})
	r := e.get("/metrics", "")
	openContract(t).check(route{method: http.MethodGet, path: "/metrics"}, r)
	if r.status != http.StatusInternalServerError || strings.Contains(r.body, "broken") || !strings.Contains(e.logs.String(), "collector is broken") {
		t.Errorf("%d %s\n%s", r.status, r.body, e.logs)
	}
}

// TestMarketsInChunks: every market is on one page, and a page of markets with many
// outcomes has fewer.
func TestMarketsInChunks(t *testing.T) {
	e := start(t, options{})
	owner := e.funded(1_000_000)
	const few, many = roster.LookOutcomes + 1, 3 * pageOutcomes / 2 / engine.MaxOutcomes
	for range few {
		e.market(owner)
	}
	e.categorical(owner, many)
	numbered := func(markets []any, first int) {
		t.Helper()
		for i, m := range markets {
			if id := m.(map[string]any)["market"]; id != fmt.Sprint("mkt_", first+i) {
				t.Fatalf("%v at place %d", id, i)
			}
		}
	}
	sizes, after := []int{}, 0
	for page := e.get("/v1/markets?limit=500", e.admin).doc(t); ; page = e.get(fmt.Sprintf("/v1/markets?limit=500&after=mkt_%d", after), e.admin).doc(t) {
		numbered(page["markets"].([]any), after+1)
		sizes = append(sizes, len(page["markets"].([]any)))
		if after += sizes[len(sizes)-1]; page["next"] == nil {
			break
		} else if page["next"] != fmt.Sprint("mkt_", after) {
			t.Fatalf("after %d comes %v", after, page["next"])
		}
	}
	if want := []int{500, 13 + (pageOutcomes-2*13+63)/64, many - (pageOutcomes-2*13+63)/64}; !slices.Equal(sizes, want) {
		t.Errorf("pages of %v markets, want %v", sizes, want)
	}
}

// TestDearReadsTakeMore: a page is paid for by what is on it, and so is a quote.
func TestDearReadsTakeMore(t *testing.T) {
	e := start(t, options{cfg: func(c *Config) { c.Rates.Read = rate.Limit{PerSecond: 1, Burst: 40} }})
	e.categorical(e.funded(1_000_000), 64)
	cheap, dear := e.key("cheap", engine.RoleService, 0), e.key("dear", engine.RoleService, 0)
	for path, want := range map[string]int{"/v1/me": 40, "/v1/markets?limit=1": 40, "/v1/markets?limit=10": 4, "/v1/markets?limit=500": 2} {
		key, passed := e.key("reader", engine.RoleService, 0), 0
		for passed < 50 && e.get(path, key).status == http.StatusOK {
			passed++
		}
		if passed < want || passed > want+1+want/10 { // a second may pass
			t.Errorf("%d times %s, want %d", passed, path, want)
		}
	}
	e.api.charge(&call{key: identity.Principal{Key: engine.Key{SHA256: digestOf(dear)}}}, 1_000_000)
	if r := e.get("/v1/me", dear); r.code(t) != problem.TooMany || r.header.Get("Retry-After") > "42" || len(r.header.Get("Retry-After")) != 2 {
		t.Errorf("more is owed than a burst: %v", r.header)
	}
	if r := e.get("/v1/me", cheap); r.status != http.StatusOK {
		t.Errorf("somebody else: %d", r.status)
	}
}

// TestOrdersCanBePulled: a trader whose orders are refused by its rate can cancel,
// and a batch counts its items.
func TestOrdersCanBePulled(t *testing.T) {
	e := start(t, options{cfg: func(c *Config) { c.Rates.Trader = rate.Limit{PerSecond: 1, Burst: 10} }})
	account := e.funded(100_000)
	e.market(account)
	key := e.key("ana", engine.RoleTrader, account)
	placed := e.post("/v1/orders", key, bid)
	order, _ := at(t, placed.doc(t), "events", 0, "order").(string)
	item := strings.Replace(bid, "{", `{"type":"place_order",`, 1)
	batch := func(n int) string { return `{"items":[` + strings.Repeat(item+",", n-1) + item + `]}` }
	if r := e.post("/v1/orders/batch", key, batch(5)); r.status != http.StatusCreated {
		t.Fatalf("%d %s", r.status, r.body)
	}
	e.quiet()
	before, timed := e.seq.Durable(), e.value("dec_latency_seconds")
	r := e.post("/v1/orders/batch", key, batch(9)) // 6 of 10 are gone
	if wait := r.header.Get("Retry-After"); r.code(t) != problem.TooMany || wait != "6" && wait != "5" || e.seq.Durable() != before {
		t.Errorf("%d after %q: %s", r.status, wait, r.body)
	}
	e.quiet()
	if e.value("dec_latency_seconds") != timed {
		t.Error("a batch that the rate refuses counts as a quick decision")
	}
	e.flood(http.MethodPost, "/v1/orders", key, bid)
	if r := e.post("/v1/orders/"+order+"/cancel", key, `{}`); r.status != http.StatusCreated {
		t.Errorf("cancel: %d %s", r.status, r.body)
	}
	if r := e.post("/v1/orders/cancel-all", key, `{}`); r.status != http.StatusCreated {
		t.Errorf("cancel-all: %d %s", r.status, r.body)
	}
	e.flood(http.MethodPost, "/v1/orders/cancel-all", key, `{}`)
	other := e.key("bob", engine.RoleTrader, account)
	if r := e.post("/v1/orders/batch", other, batch(20)); r.status != http.StatusCreated {
		t.Errorf("a batch above the burst, and a full bucket: %d %s", r.status, r.body)
	}
	if r := e.post("/v1/orders", other, bid); r.code(t) != problem.TooMany {
		t.Errorf("it takes all: %d %s", r.status, r.body)
	}
}

func TestIdleTimeout(t *testing.T) {
	if s := NewServer(http.NotFoundHandler(), slog.New(slog.DiscardHandler)); s.IdleTimeout <= 0 || s.IdleTimeout > time.Minute {
		t.Errorf("idle connections stay for %s", s.IdleTimeout)
	}
}

// BenchmarkRefused is a refusal by rate over a connection of its own, client included.
func BenchmarkRefused(b *testing.B) {
	e := start(b, options{cfg: func(c *Config) { c.Rates.Admit = rate.Limit{PerSecond: 1, Burst: 1} }})
	account := e.funded(100_000)
	e.market(account)
	ana := e.key("ana", engine.RoleTrader, account)
	conn, err := net.Dial("tcp", strings.TrimPrefix(e.url, "http://"))
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	request := fmt.Appendf(nil, "POST /v1/orders HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nIdempotency-Key: k\r\nContent-Length: %d\r\n\r\n%s", ana, len(buyTen), buyTen)
	answer := make([]byte, 4096)
	refused := 0
	b.ReportAllocs()
	for b.Loop() {
		if _, err := conn.Write(request); err != nil {
			b.Fatal(err)
		}
		n, err := conn.Read(answer)
		if err != nil {
			b.Fatal(err)
		}
		if bytes.HasPrefix(answer[:n], []byte("HTTP/1.1 429 ")) {
			refused++
		}
	}
	if b.N > 10 && refused < b.N/2 {
		b.Errorf("%d of %d were refused", refused, b.N)
	}
}
