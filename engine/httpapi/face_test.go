package httpapi

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/httpapi/problem"
	"github.com/mbp-market/mbp/engine/sequencer"
	"github.com/mbp-market/mbp/tests/given"
)

// TestNothingSecretInTheLog drives every kind of failure with marked secrets,
// bodies and texts and looks for them in the log.
func TestNothingSecretInTheLog(t *testing.T) {
	var spilled string
	e := start(t, options{seq: func(q Sequencer) Sequencer {
		return &spilling{Sequencer: q, text: &spilled}
	}})
	bearer := "mbp_" + strings.Repeat("S", 43)
	marks := []string{e.admin, bearer, "marked-body", "marked.person@example.org", "10.20.30.40", "marked-idempotency"}
	e.post("/v1/accounts", bearer, `{"note":"marked-body"}`)
	e.post("/v1/accounts", e.admin, `{"note":"marked-body marked.person@example.org"}`, "Idempotency-Key", "marked-idempotency")
	e.post("/v1/markets", e.admin, `{"template":"binary@1.0.0","title":"marked-body","creator":"acc_1","liquidity_micros":1,"price_micros":1}`)
	spilled = "no route to 10.20.30.40 for Bearer " + e.admin + " of marked.person@example.org"
	if r := e.post("/v1/accounts", e.admin, `{}`, "Idempotency-Key", "marked-idempotency"); r.status != http.StatusInternalServerError || strings.Contains(r.body, "route") {
		t.Errorf("%d %s", r.status, r.body)
	}
	spilled = "panic"
	e.post("/v1/accounts", e.admin, `{}`, "X-Request-Id", "asked-once")
	logs := e.logs.String()
	if !strings.Contains(logs, `"request":"asked-once"`) {
		t.Errorf("nobody finds the request in %s", logs)
	}
	if !strings.Contains(logs, "request failed") || !strings.Contains(logs, "handler panicked") || !strings.Contains(logs, "no route to") {
		t.Fatalf("the failures are not in the log: %s", logs)
	}
	for _, m := range marks {
		if strings.Contains(logs, m) {
			t.Errorf("%.12s… is in the log: %s", m, logs)
		}
	}
}

// TestAnswerThatDoesNotEncode: it is a problem as any other, and the log has the
// reason.
func TestAnswerThatDoesNotEncode(t *testing.T) {
	e := start(t, options{})
	for lost, method := range []string{http.MethodGet, http.MethodPost} {
		w := httptest.NewRecorder()
		e.api.write(w, httptest.NewRequest(method, "/v1/me", nil), http.StatusOK, "application/json", math.NaN())
		r := reply{status: w.Code, header: w.Header(), body: w.Body.String()}
		openContract(t).check(route{method: http.MethodGet, path: "/v1/me"}, r)
		if r.status != http.StatusInternalServerError || r.code(t) != problem.Internal || !strings.Contains(e.logs.String(), "NaN") {
			t.Errorf("%s: %d %s %s", method, r.status, r.body, e.logs)
		}
		if got := e.value("dec_orchestration_errors_total", "stage", "answer"); got != float64(lost) {
			t.Errorf("%s: %v answers are lost", method, got)
		}
	}
}

type spilling struct {
	Sequencer
	text *string
}

func (s *spilling) View(fn func(*core.State)) {
	if *s.text == "panic" {
		panic("at the disco with mbp_" + strings.Repeat("S", 43))
	}
	s.Sequencer.View(fn)
}

func (s *spilling) Submit(ctx context.Context, r sequencer.Request) (sequencer.Answer, error) {
	if *s.text != "" {
		return sequencer.Answer{}, errors.New(*s.text)
	}
	return s.Sequencer.Submit(ctx, r)
}

func TestHeadersOfEveryAnswer(t *testing.T) {
	files := fstest.MapFS{"index.html": {Data: []byte("<p>hi")}, "assets/a-1.js": {Data: []byte("1")}}
	e := start(t, options{cfg: func(c *Config) {
		c.Panel, c.PanelPolicy = files, "default-src 'self'; frame-ancestors 'none'"
		c.PanelConfig = PanelConfig{RUMURL: "http://127.0.0.1:9314/rum", Env: "smoke"}
	}})
	for path, status := range map[string]int{
		"/": 200, "/assets/a-1.js": 200, "/nothing": 404, "/healthz": 200, "/readyz": 200, "/metrics": 200, "/panel.json": 200, "/v1/me": 401, "/v1/nothing": 404,
	} {
		r := e.get(path, "")
		if r.status != status {
			t.Errorf("%s: %d", path, r.status)
		}
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cross-Origin-Opener-Policy": "same-origin", "Content-Security-Policy": "frame-ancestors 'none'", "Access-Control-Allow-Origin": "",
		} {
			if got := r.header.Get(name); want == "" && got != "" || !strings.Contains(got, want) {
				t.Errorf("%s: %s is %q", path, name, got)
			}
		}
		if p := r.header.Get("Traceparent"); len(p) != 55 || r.header.Get("X-Request-Id") == "" {
			t.Errorf("%s: it goes by %q", path, p)
		}
	}
	const given, chosen = "4bf92f3577b34da6a3ce929d0e0e4736", "mine-1"
	for _, r := range []reply{
		e.get("/healthz", "", "Traceparent", "00-"+given+"-00f067aa0ba902b7-01", "X-Request-Id", chosen),
		e.get("/v1/me", e.admin, "Traceparent", "00-"+given+"-00f067aa0ba902b7-01", "X-Request-Id", chosen),
		e.post("/v1/mode", "", `{}`, "Traceparent", "00-"+given+"-00f067aa0ba902b7-01", "X-Request-Id", chosen),
	} {
		if p := r.header.Get("Traceparent"); !strings.HasPrefix(p, "00-"+given+"-") || strings.Contains(p, "00f067aa0ba902b7") || r.header.Get("X-Request-Id") != chosen {
			t.Errorf("%d: %v", r.status, r.header)
		}
	}
	if r := e.get("/", ""); r.body != "<p>hi" || !strings.Contains(r.header.Get("Content-Security-Policy"), "default-src 'self'") || r.header.Get("Cache-Control") != "no-cache" {
		t.Errorf("%v %s", r.header, r.body)
	}
	if r := e.get("/assets/a-1.js", ""); !strings.Contains(r.header.Get("Cache-Control"), "immutable") {
		t.Errorf("%v", r.header)
	}
	if r := e.get("/panel.json", ""); r.body != `{"rum_url":"http://127.0.0.1:9314/rum","env":"smoke"}`+"\n" {
		t.Errorf("%s", r.body)
	}
}

func TestPanelThatIsNotBuilt(t *testing.T) {
	e := start(t, options{})
	if r := e.get("/", ""); r.status != http.StatusNotFound || !strings.Contains(r.body, "make build") || !strings.HasPrefix(r.header.Get("Content-Type"), "text/html") {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := e.get("/x.js", ""); r.code(t) != problem.NotFound {
		t.Errorf("%d %s", r.status, r.body)
	}
}

func TestOtherMethods(t *testing.T) {
	e := start(t, options{})
	for path, allow := range map[string]string{
		"/v1/accounts": "POST", "/v1/markets": "GET, HEAD, POST", "/v1/me": "GET, HEAD", "/v1/orders/batch": "POST", "/v1/orders/cancel-all": "POST", "/v1/orders": "GET, HEAD, POST", "/metrics": "GET, HEAD", "/": "GET, HEAD", "/v1/orders/ord_1": "GET, HEAD",
	} {
		for _, method := range []string{http.MethodDelete, http.MethodPut, http.MethodOptions, "BREW"} {
			if r := e.send(method, path, e.admin, ""); r.status != http.StatusMethodNotAllowed || r.header.Get("Allow") != allow || r.code(t) != problem.Method {
				t.Errorf("%s %s: %d %q", method, path, r.status, r.header.Get("Allow"))
			}
		}
	}
	if r := e.send(http.MethodHead, "/v1/me", e.admin, ""); r.status != http.StatusOK || r.body != "" {
		t.Errorf("HEAD: %d %q", r.status, r.body)
	}
	if r := e.send(http.MethodHead, "/v1/stream", e.admin, ""); r.status != http.StatusOK {
		t.Errorf("HEAD of the stream: %d", r.status)
	}
}

// TestEverySeriesStartsAtZero: what has not happened reads as 0, not as absent.
func TestEverySeriesStartsAtZero(t *testing.T) {
	e := start(t, options{idle: true})
	for _, rt := range e.api.routes() {
		for _, class := range []string{"2xx", "4xx", "429", "5xx"} {
			if v := e.value("http_requests_total", "route", rt.pattern(), "class", class); v != 0 {
				t.Errorf("%s %s is %v", rt.pattern(), class, v)
			}
		}
	}
	for _, name := range []string{"dec_latency_seconds", "dec_admitted_total", "dec_journalled_total", "mbp_faults_enabled", "http_panics_total", "http_internal_errors_total", "trades_total"} {
		if v := e.value(name); v != 0 {
			t.Errorf("%s is %v", name, v)
		}
	}
	for _, stage := range []string{"decide", "journal", "answer"} {
		if v := e.value("dec_orchestration_errors_total", "stage", stage); v != 0 {
			t.Errorf("stage %s is %v", stage, v)
		}
	}
	if r := e.get("/metrics", ""); !strings.Contains(r.body, `dec_latency_seconds_bucket{le="0.8"} 0`) {
		t.Error("0.8 is not an edge of the histogram")
	}
	if _, err := New(Config{Sequencer: e.seq, Registerer: e.metrics, Gatherer: e.metrics, Logger: e.api.log}); err == nil {
		t.Error("two edges on one registry")
	}
	if _, err := New(Config{Registerer: prometheus.NewRegistry()}); err == nil {
		t.Error("an edge without a sequencer")
	}
}

// TestLatencyCountsOrders: an order that passed authentication counts, whatever
// its answer; nothing else does.
func TestLatencyCountsOrders(t *testing.T) {
	e := start(t, options{})
	e.market(e.funded(100_000))
	ana := e.key("ana", engine.RoleTrader, 1)
	e.post("/v1/orders", ana, buyTen)
	e.post("/v1/orders", ana, `{}`)
	e.post("/v1/orders", ana, strings.Replace(buyTen, "mkt_1", "mkt_7", 1))
	e.post("/v1/orders", "", buyTen)
	e.post("/v1/orders", e.admin, buyTen)
	e.post("/v1/accounts", e.admin, `{}`)
	e.quiet()
	if got := e.value("dec_latency_seconds"); got != 3 {
		t.Errorf("%v orders were measured, want 3", got)
	}
	if a, j := e.value("dec_admitted_total"), e.value("dec_journalled_total"); a != 3 || j != 3 {
		t.Errorf("%v admitted, %v journalled, want 3 each", a, j)
	}
}

func TestGoldenProblems(t *testing.T) {
	e := start(t, options{})
	owner := e.funded(20_000)
	e.market(owner)
	poor := e.key("poor", engine.RoleTrader, e.funded(1))
	ana := e.key("ana", engine.RoleTrader, owner)
	order := func(old, new string) string { return strings.Replace(buyTen, old, new, 1) }
	const proposal = `{"outcome":"NO","evidence_uri":"urn:x:1","evidence_sha256":` + digest + `}`
	var out strings.Builder
	for _, c := range []struct{ method, path, secret, body string }{
		{"GET", "/v1/me", "", ""},
		{"GET", "/v1/nowhere", ana, ""},
		{"GET", "/v1/decisions", ana, ""},
		{"DELETE", "/v1/markets", ana, ""},
		{"POST", "/v1/orders", ana, order("10000000", "1.5")},
		{"POST", "/v1/orders", ana, order("10000000", "-1")},
		{"POST", "/v1/orders", ana, order("mkt_1", "mkt_9")},
		{"POST", "/v1/orders", ana, order("10000000", "100000000001")},
		{"POST", "/v1/orders", poor, buyTen},
		{"POST", "/v1/orders", poor, `{"market":"mkt_1","outcome":"YES","side":"sell","tif":"ioc","shares_micros":5}`},
		{"POST", "/v1/orders", ana, order(`"tif"`, `"limit_price_micros":1,"tif"`)},
		{"POST", "/v1/orders", ana, order(`"tif":"ioc"`, `"limit_price_micros":500100,"tif":"fok"`)},
		{"POST", "/v1/orders", ana, order("10000000", "1")}, // filled: one micro-share
		{"POST", "/v1/orders", ana, `{"market":"mkt_1","outcome":"YES","side":"sell","tif":"ioc","shares_micros":1}`},
		{"GET", "/v1/orders/ord_1", e.admin, ""},
		{"GET", "/v1/markets/mkt_9", ana, ""},
		{"GET", "/v1/accounts/acc_9", e.admin, ""},
		{"GET", "/v1/accounts/acc_1", poor, ""},
		{"GET", "/v1/quotes?market=mkt_9&outcome=YES&side=buy&amount_micros=1", ana, ""},
		{"POST", "/v1/keys/" + digest[1:65] + "/revoke", e.admin, `{}`},
		{"POST", "/v1/templates", e.admin, bodyOf("/v1/templates").with("id", `"binary"`)},
		{"POST", "/v1/markets", e.admin, bodyOf("/v1/markets").with("template", `"none@1.0.0"`)},
		{"POST", "/v1/accounts/acc_1/grants", e.admin, `{"amount_micros":4503599627370496}`},
		{"POST", "/v1/markets/mkt_1/resume", e.admin, `{}`},
		{"POST", "/v1/markets/mkt_1/resolution", e.admin, proposal},
		{"POST", "/v1/markets/mkt_1/resolution/approve", e.admin, `{}`},
		{"POST", "/v1/orders", ana, buyTen},
	} {
		r := e.send(c.method, c.path, c.secret, c.body)
		who := map[string]string{"": "nobody", ana: "ana", poor: "poor", e.admin: "admin"}[c.secret]
		out.WriteString(c.method + " " + c.path + " as " + who + "\n")
		if c.body != "" {
			out.WriteString(c.body + "\n")
		}
		if r.status < 400 {
			r.body = "\n"
		}
		fmt.Fprintf(&out, "----\n%d %s\n%s\n", r.status, r.header.Get("Content-Type"), r.body)
	}
	given.Golden(t, "testdata/problems.txt", out.String())
}
