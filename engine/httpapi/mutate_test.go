package httpapi

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/httpapi/problem"
	"github.com/mbp-market/mbp/engine/httpapi/wire"
	"github.com/mbp-market/mbp/engine/sequencer"
)

func TestIdempotencyKeys(t *testing.T) {
	e := start(t, options{})
	first := e.post("/v1/accounts", e.admin, `{}`, "Idempotency-Key", "a")
	if first.status != http.StatusCreated || first.header.Get("Idempotency-Replayed") != "" {
		t.Fatalf("%d %s", first.status, first.body)
	}
	grant := func(key, body string) reply {
		return e.post("/v1/accounts/acc_1/grants", e.admin, body, "Idempotency-Key", key)
	}
	one := grant("b", `{"amount_micros":5}`)
	again := grant("b", "{ \"amount_micros\" :\n5 }")
	if again.status != http.StatusCreated || again.body != one.body || again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("the same content is not the same answer: %d %s", again.status, again.body)
	}
	for what, r := range map[string]reply{
		"other amount": grant("b", `{"amount_micros":6}`), "other route": e.post("/v1/accounts", e.admin, `{}`, "Idempotency-Key", "b"),
		"other account": e.post("/v1/accounts/acc_2/grants", e.admin, `{"amount_micros":5}`, "Idempotency-Key", "b"),
	} {
		if r.status != http.StatusConflict || r.code(t) != problem.Conflict {
			t.Errorf("%s: %d %s", what, r.status, r.body)
		}
	}
	refused := grant("c", `{"amount_micros":-1}`)
	again = grant("c", `{"amount_micros":-1}`)
	if refused.status != http.StatusUnprocessableEntity || again.body != refused.body || again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("a rejection is replayed, too: %s %s", refused.body, again.body)
	}
	if r := e.post("/v1/accounts", e.key("ops", engine.RoleOperator, 0), `{}`, "Idempotency-Key", "a"); r.status != http.StatusCreated || r.header.Get("Idempotency-Replayed") != "" {
		t.Errorf("keys of principals are apart: %d %s", r.status, r.body)
	}
	if a, j := e.value("dec_admitted_total"), e.value("dec_journalled_total"); a != j || a != 4 {
		t.Errorf("%v admitted, %v journalled, want 4 each", a, j)
	}
}

// TestTwoKeysOfOnePrincipal: the account is part of the content, so one key's
// order is never another account's answer.
func TestTwoKeysOfOnePrincipal(t *testing.T) {
	e := start(t, options{})
	one, two := e.funded(100_000), e.funded(100_000)
	e.market(one)
	a, b := e.key("ana", engine.RoleTrader, one), e.key("ana", engine.RoleTrader, two)
	if r := e.post("/v1/orders", a, buyTen, "Idempotency-Key", "k"); r.status != http.StatusCreated {
		t.Fatalf("%d %s", r.status, r.body)
	}
	if r := e.post("/v1/orders", b, buyTen, "Idempotency-Key", "k"); r.code(t) != problem.Conflict {
		t.Errorf("%d %s", r.status, r.body)
	}
}

func TestConcurrentOrders(t *testing.T) {
	e := start(t, options{})
	e.market(e.funded(100_000))
	const n = 10
	replies := make([]reply, 2*n)
	var wg sync.WaitGroup
	for i := range n {
		secret := e.key(fmt.Sprint("t", i), engine.RoleTrader, e.funded(1000))
		for twice := range 2 { // the same key twice at the same moment
			wg.Go(func() {
				replies[2*i+twice] = e.post("/v1/orders", secret, buyTen, "Idempotency-Key", "same")
			})
		}
	}
	wg.Wait()
	orders, replayed := map[string]bool{}, 0
	for i, r := range replies {
		if r.status != http.StatusCreated {
			t.Fatalf("%d %s", r.status, r.body)
		}
		if r.header.Get("Idempotency-Replayed") == "true" {
			replayed++
		}
		orders[r.doc(t)["events"].([]any)[0].(map[string]any)["order"].(string)] = true
		if twin := replies[i^1]; r.body != twin.body {
			t.Errorf("two answers for one key:\n%s\n%s", r.body, twin.body)
		}
	}
	if len(orders) != n || replayed != n {
		t.Errorf("%d orders and %d replays, want %d each", len(orders), replayed, n)
	}
	e.quiet()
	if got := e.value("trades_total"); got != n {
		t.Errorf("%v trades", got)
	}
	if got := e.value("dec_latency_seconds"); got != 2*n {
		t.Errorf("%v latencies", got)
	}
}

// TestBetAgainstResolution: every order that met the resolution was either
// decided before it and filled, or after it and refused; nobody trades on a
// market whose outcome is named.
func TestBetAgainstResolution(t *testing.T) {
	e := start(t, options{})
	e.market(e.funded(100_000))
	resolver := e.key("res", engine.RoleResolver, 0)
	var wg sync.WaitGroup
	orders := make([]reply, 20)
	for i := range orders {
		secret := e.key(fmt.Sprint("t", i), engine.RoleTrader, e.funded(1000))
		wg.Go(func() { orders[i] = e.post("/v1/orders", secret, buyTen) })
	}
	var proposal reply
	wg.Go(func() {
		proposal = e.post("/v1/markets/mkt_1/resolution", resolver, `{"outcome":"YES","evidence_uri":"urn:x:1","evidence_sha256":`+digest+`}`)
	})
	wg.Wait()
	if proposal.status != http.StatusCreated {
		t.Fatalf("%d %s", proposal.status, proposal.body)
	}
	at := proposal.doc(t)["seq"].(float64)
	for _, r := range orders {
		seq := r.doc(t)["seq"].(float64)
		if filled := r.status == http.StatusCreated; filled != (seq < at) || !filled && r.code(t) != "market_not_open" {
			t.Errorf("order at %v, proposal at %v: %d %s", seq, at, r.status, r.body)
		}
	}
	if r := e.post("/v1/markets/mkt_1/resolution/approve", resolver, `{}`); r.code(t) != "same_approver" {
		t.Errorf("%d %s", r.status, r.body)
	}
	second := e.post("/v1/markets/mkt_1/resolution/approve", e.admin, `{}`)
	if second.status != http.StatusCreated {
		t.Fatalf("%d %s", second.status, second.body)
	}
	m := e.get(fmt.Sprintf("/v1/markets/mkt_1?min_seq=%.0f", second.doc(t)["seq"].(float64)+1), e.admin).doc(t)
	if m["state"] != "resolved" || m["outcome"] != "YES" {
		t.Errorf("%v", m)
	}
}

func TestRateLimit(t *testing.T) {
	e := start(t, options{})
	e.market(e.funded(100_000))
	secret := e.key("ana", engine.RoleTrader, e.funded(100_000))
	for range 200 {
		r := e.post("/v1/orders", secret, buyTen)
		if r.status == http.StatusCreated {
			continue
		}
		if r.status != http.StatusTooManyRequests || r.code(t) != "rate_limited" || r.header.Get("Retry-After") != "1" || r.doc(t)["seq"] == nil {
			t.Fatalf("%d %v %s", r.status, r.header, r.body)
		}
		e.quiet()
		if e.value("http_requests_total", "route", "POST /v1/orders", "class", "429") != 1 || e.value("http_requests_total", "route", "POST /v1/orders", "class", "4xx") != 0 {
			t.Error("429 is a class of its own")
		}
		return
	}
	t.Fatal("200 orders in a row were never too fast")
}

// TestOverload fills the intake while nothing is decided.
func TestOverload(t *testing.T) {
	e := start(t, options{idle: true, size: sequencer.Config{Queue: 1}, seq: func(q Sequencer) Sequencer { return anyKey{q} }})
	replies := make(chan reply)
	for range 2 {
		go func() { replies <- e.post("/v1/accounts", "x", `{}`) }()
	}
	r := <-replies // one waits in the intake, which is full then
	if r.status != http.StatusTooManyRequests || r.code(t) != problem.Overloaded || r.header.Get("Retry-After") != "1" {
		t.Fatalf("%d %s", r.status, r.body)
	}
	if got := e.value("dec_admitted_total"); got != 0 {
		t.Errorf("%v admitted", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- e.seq.Run(ctx) }()
	if r := <-replies; r.code(t) != "wrong_state" { // it came before the first command
		t.Errorf("%d %s", r.status, r.body)
	}
	if got := e.value("dec_admitted_total"); got != 1 {
		t.Errorf("%v admitted", got)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// anyKey lets everybody in as an admin, before there is a key.
type anyKey struct{ Sequencer }

func (a anyKey) Submit(ctx context.Context, r sequencer.Request) (sequencer.Answer, error) {
	r.APIKey = engine.Digest{} // the writer has never heard of it
	return a.Sequencer.Submit(ctx, r)
}

func (a anyKey) View(fn func(*core.State)) {
	a.Sequencer.View(func(s *core.State) {
		if s.Initialised() {
			fn(s)
			return
		}
		open := core.New()
		var d engine.Decision
		open.Decide(engine.Request{Principal: engine.System, Command: &engine.Initialise{Policy: engine.DefaultPolicy(), Template: engine.DefaultTemplate(),
			Admin: engine.Key{SHA256: digestOf("x"), Principal: "admin", Roles: engine.RoleAdmin}}}, &d)
		if open.Evolve(&d) == nil {
			fn(open)
		}
	})
}

// faulty answers Submit with an error, or panics.
type faulty struct {
	Sequencer
	err   error
	panic string
}

func (f faulty) Submit(context.Context, sequencer.Request) (sequencer.Answer, error) {
	if f.panic != "" {
		panic(f.panic)
	}
	return sequencer.Answer{}, f.err
}

func TestUnknownErrorsAreBare(t *testing.T) {
	for _, f := range []faulty{{err: errors.New("secret plan")}, {panic: "secret plan"}} {
		e := start(t, options{seq: func(q Sequencer) Sequencer { f.Sequencer = q; return f }})
		r := e.post("/v1/accounts", e.admin, `{}`)
		want := `{"type":"urn:mbp:problem:internal","title":"Internal error","status":500,"code":"internal"}` + "\n"
		if r.status != http.StatusInternalServerError || r.body != want {
			t.Errorf("%d %s", r.status, r.body)
		}
		e.quiet()
		if e.value("http_internal_errors_total") != 1 || e.value("http_requests_total", "route", "POST /v1/accounts", "class", "5xx") != 1 {
			t.Error("it is not counted")
		}
		if (f.panic != "") != (e.value("http_panics_total") == 1) {
			t.Error("panics are counted apart")
		}
		if !strings.Contains(e.logs.String(), "secret plan") {
			t.Error("the reason is not in the log")
		}
	}
}

// deaf is a client to whom nothing can be written.
type deaf struct {
	*httptest.ResponseRecorder
	err error
}

func (d deaf) Write([]byte) (int, error) { return 0, d.err }

// TestAnswerThatDoesNotGetOut: a stuck line is an orchestration error, a client
// that left is not.
func TestAnswerThatDoesNotGetOut(t *testing.T) {
	e := start(t, options{})
	for i, c := range []struct {
		err  error
		want float64
	}{{os.ErrDeadlineExceeded, 1}, {syscall.EPIPE, 1}, {syscall.ECONNRESET, 1}, {fmt.Errorf("write tcp: %w", os.ErrDeadlineExceeded), 2}} {
		req := httptest.NewRequest(http.MethodPost, "/v1/accounts", strings.NewReader(`{}`))
		req.Header.Set("Authorization", "Bearer "+e.admin)
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", fmt.Sprint("k", i))
		e.api.ServeHTTP(deaf{httptest.NewRecorder(), c.err}, req)
		if got := e.value("dec_orchestration_errors_total", "stage", "answer"); got != c.want {
			t.Errorf("after %v: %v, want %v", c.err, got, c.want)
		}
	}
	if got := e.value("dec_journalled_total"); got != 4 {
		t.Errorf("%v decisions", got)
	}
}

// TestClientThatLeaves: its decision is made all the same, and its answer waits
// under its key.
func TestClientThatLeaves(t *testing.T) {
	e := start(t, options{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	req := httptest.NewRequest(http.MethodPost, "/v1/accounts", strings.NewReader(`{}`)).WithContext(ctx)
	req.Header.Set("Authorization", "Bearer "+e.admin)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", "mine")
	e.api.ServeHTTP(httptest.NewRecorder(), req)
	if r := e.post("/v1/accounts", e.admin, `{}`, "Idempotency-Key", "mine"); r.status != http.StatusCreated || r.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("%d %s", r.status, r.body)
	}
	if e.value("dec_admitted_total") != 1 || e.value("http_internal_errors_total") != 0 || e.value("dec_orchestration_errors_total", "stage", "answer") != 0 {
		t.Error("a client that leaves is an error of ours")
	}
}

func TestMinSeq(t *testing.T) {
	e := start(t, options{})
	at := e.seq.Durable()
	begin := time.Now()
	r := e.get(fmt.Sprintf("/v1/me?min_seq=%d", at+1), e.admin)
	if took := time.Since(begin); r.status != http.StatusPreconditionFailed || r.code(t) != problem.Behind || took < minSeqWait || r.doc(t)["seq"].(float64) != float64(at) {
		t.Errorf("%d %s after %s", r.status, r.body, took)
	}
	got := make(chan reply)
	go func() { got <- e.get(fmt.Sprintf("/v1/me?min_seq=%d", at+1), e.admin) }()
	e.funded(1)
	if r := <-got; r.status != http.StatusOK || r.doc(t)["seq"].(float64) < float64(at+1) {
		t.Errorf("%d %s", r.status, r.body)
	}
}

func TestDrain(t *testing.T) {
	e := start(t, options{})
	if r := e.get("/readyz", ""); r.status != http.StatusOK || !strings.Contains(r.body, `"ready"`) {
		t.Errorf("%d %s", r.status, r.body)
	}
	e.api.Drain()
	if r := e.get("/readyz", ""); r.status != http.StatusServiceUnavailable || !strings.Contains(r.body, "shutting down") {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := e.post("/v1/accounts", e.admin, `{}`); r.code(t) != problem.NotLeader || r.header.Get("Retry-After") == "" {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := e.get("/v1/stream", e.admin); r.code(t) != problem.NotLeader {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := e.get("/v1/me", e.admin); r.status != http.StatusOK {
		t.Errorf("reads go on: %d", r.status)
	}
	if r := e.get("/healthz", ""); r.status != http.StatusOK {
		t.Errorf("%d", r.status)
	}
}

// TestReadyReason: what the process says is not ready is told in its word, and
// nothing else of the error is.
func TestReadyReason(t *testing.T) {
	secret := &fs.PathError{Op: "open", Path: "/srv/mbp/lake", Err: fs.ErrPermission}
	for want, err := range map[string]error{
		"lake is closed":   NotReady("lake is closed"),
		"lake is broken":   errors.Join(NotReady("lake is broken"), secret),
		"the log says why": secret,
	} {
		e := start(t, options{cfg: func(c *Config) { c.Ready = func() error { return err } }})
		r := e.get("/readyz", "")
		if r.status != http.StatusServiceUnavailable || r.doc(t)["reason"] != want || strings.Contains(r.body, "srv") {
			t.Errorf("%v: %d %s", err, r.status, r.body)
		}
	}
}

// TestReadyWithANotice: a process that serves tells what is amiss, and nothing of
// the log's.
func TestReadyWithANotice(t *testing.T) {
	said := errors.Join(Notice("the lake lacks decisions"), &fs.PathError{Op: "open", Path: "/srv/mbp/lake", Err: fs.ErrPermission})
	e := start(t, options{cfg: func(c *Config) { c.Ready = func() error { return said } }})
	if r := e.get("/readyz", ""); r.status != http.StatusOK || r.doc(t)["notice"] != "the lake lacks decisions" || strings.Contains(r.body, "srv") {
		t.Errorf("%d %s", r.status, r.body)
	}
}

// TestLongestTextsCanBeReadBack: whatever the edge lets through, the journal's
// reader takes.
func TestLongestTextsCanBeReadBack(t *testing.T) {
	e := start(t, options{})
	e.market(e.funded(10_000))
	long := func(n int) string { return `"` + strings.Repeat("é", n/2) + `"` }
	for _, c := range []struct{ path, name, value string }{
		{"/v1/markets", "title", long(wire.MaxText)}, {"/v1/markets", "template", long(wire.MaxTemplate)}, {"/v1/keys", "principal", long(wire.MaxName)},
		{"/v1/templates", "id", long(wire.MaxName)}, {"/v1/templates", "version", long(wire.MaxVersion)}, {"/v1/templates", "category", long(wire.MaxName)},
		{"/v1/markets/mkt_1/resolution", "evidence_uri", long(wire.MaxText)}, {"/v1/markets/mkt_1/cancel", "evidence_uri", long(wire.MaxText)},
		{"/v1/policy", "version", long(wire.MaxVersion)}, {"/v1/mode", "reason", `"` + strings.Repeat(`\u001b`, wire.MaxReason) + `"`},
		{"/v1/markets", "outcomes", "[" + strings.Repeat(long(wire.MaxReason)+",", 63) + long(wire.MaxReason) + "]"},
		{"/v1/markets", "prices_micros", "[" + strings.Repeat("-9223372036854775808,", 63) + "1]"},
		{"/v1/moderation", "evidence_uri", long(wire.MaxText)},
	} {
		r := e.post(c.path, e.admin, bodyOf(c.path).with(c.name, c.value))
		if r.status == http.StatusCreated || r.doc(t)["seq"] == nil {
			t.Fatalf("%s %s: %d %s", c.path, c.name, r.status, r.body)
		}
		if back := e.get(fmt.Sprintf("/v1/decisions/%.0f", r.doc(t)["seq"]), e.admin); back.status != http.StatusOK {
			t.Errorf("%s %s cannot be read back: %d %s", c.path, c.name, back.status, back.body)
		}
	}
}

// newer is a writer that knows newer rules.
type newer struct{ Sequencer }

func (n newer) Submit(ctx context.Context, r sequencer.Request) (sequencer.Answer, error) {
	x, is := r.Command.(*engine.UpgradeEngine)
	if !is || x.Version != engine.Version+1 {
		return n.Sequencer.Submit(ctx, r)
	}
	d := &engine.Decision{Seq: n.Durable() + 1, Request: engine.Request{At: n.Now(), Principal: r.Principal, Command: x}}
	d.Add(&engine.EngineUpgraded{Version: x.Version})
	return sequencer.Answer{Committed: sequencer.Committed{Decision: d}}, nil
}

// TestUpgradeIsAnAdminsDecision: the way to newer rules is there before they are;
// rules that the binary does not know, or that decide already, are refused, and
// that is on record.
func TestUpgradeIsAnAdminsDecision(t *testing.T) {
	c := openContract(t)
	e := start(t, options{seq: func(q Sequencer) Sequencer { return newer{q} }})
	upgrade := func(v int) reply {
		r := e.post("/v1/house/upgrade", e.admin, fmt.Sprintf(`{"version":%d}`, v))
		for _, rt := range e.api.routes() {
			if rt.path == "/v1/house/upgrade" {
				c.check(rt, r)
			}
		}
		return r
	}
	if r := upgrade(engine.Version + 1); r.status != http.StatusCreated || !strings.Contains(r.body, `"type":"engine_upgraded","version":2`) {
		t.Errorf("%d %s", r.status, r.body)
	}
	before := e.seq.Durable()
	for v, code := range map[int]string{0: "wrong_state", engine.Version: "wrong_state", engine.Version + 2: "invalid_command"} {
		if r := upgrade(v); r.code(t) != code {
			t.Errorf("version %d: %d %s", v, r.status, r.body)
		}
	}
	if got := e.seq.Durable(); got != before+3 {
		t.Errorf("%d decisions on record, want 3", got-before)
	}
	if r := e.post("/v1/house/upgrade", e.key("ops", engine.RoleOperator, 0), `{"version":2}`); r.code(t) != problem.Forbidden {
		t.Errorf("an operator: %d %s", r.status, r.body)
	}
	if got := e.get("/v1/house", e.admin).doc(t); got["engine_version"] != 1.0 || got["newest_engine_version"] != float64(engine.Version) {
		t.Errorf("%v", got)
	}
}
