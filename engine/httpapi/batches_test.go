package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
	"github.com/mbp-market/mbp/engine/httpapi/problem"
	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/sequencer"
)

// unlimited lets accounts order as fast as they like.
func unlimited(e *edge) {
	policy := engine.DefaultPolicy()
	policy.OrderInterval, policy.OrderBurst = 1, 1_000_000
	if d := e.submit(&engine.SetPolicy{Policy: policy}); d.Code != engine.OK {
		e.t.Fatal(d.Code, d.Detail)
	}
}

// bids is a body of so many waiting orders, of which the k-th is for k shares.
func bids(n int) string {
	var b strings.Builder
	for k := 1; k <= n; k++ {
		fmt.Fprintf(&b, `,{"type":"place_order","market":"mkt_1","outcome":"YES","side":"buy","tif":"gtc","limit_price_micros":100000,"shares_micros":%d000000}`, k)
	}
	return `{"items":[` + b.String()[1:] + `]}`
}

// sizes are the shares of the orders that waited, in the order of the answer.
func sizes(t *testing.T, r reply) (out []int) {
	t.Helper()
	doc := r.doc(t)
	for i := range at(t, doc, "decisions").([]any) {
		results := at(t, doc, "decisions", i, "results").([]any)
		if events := at(t, doc, "decisions", i, "events").([]any); len(events) != len(results) {
			t.Fatalf("decision %d has %d results and %d events", i, len(results), len(events))
		}
		for k := range results {
			out = append(out, int(at(t, doc, "decisions", i, "events", k, "shares_micros").(float64)/1e6))
		}
	}
	return out
}

// TestBatches: many items are decided in their order, in decisions that follow one
// another; the key stands for all of them.
func TestBatches(t *testing.T) {
	e := start(t, options{})
	unlimited(e)
	e.market(e.funded(10_000))
	ana := e.key("ana", engine.RoleTrader, e.funded(100_000))
	before := e.seq.Durable()
	r := e.post("/v1/orders/batches", ana, bids(120), "Idempotency-Key", "k")
	if r.status != http.StatusCreated || r.header.Get("Idempotency-Replayed") != "" {
		t.Fatalf("%d %s", r.status, r.body)
	}
	got := sizes(t, r)
	for k, size := range got {
		if size != k+1 {
			t.Fatalf("item %d is for %d shares: %v", k, size, got)
		}
	}
	doc := r.doc(t)
	for i, want := range []int{50, 50, 20} {
		if n := len(at(t, doc, "decisions", i, "results").([]any)); n != want || at(t, doc, "decisions", i, "seq") != float64(before)+float64(i+1) {
			t.Errorf("decision %d: %v with %d results, want %d", i, at(t, doc, "decisions", i, "seq"), n, want)
		}
	}
	if len(got) != 120 || e.seq.Durable() != before+3 {
		t.Errorf("%d items in %d decisions", len(got), e.seq.Durable()-before)
	}
	if again := e.post("/v1/orders/batches", ana, bids(120), "Idempotency-Key", "k"); again.body != r.body || again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("asked again: %d %s", again.status, again.body)
	}
	for path, body := range map[string]string{
		"/v1/orders/batches": bids(121), "/v1/orders/batch": bids(50), "/v1/orders": bid,
	} {
		if r := e.post(path, ana, body, "Idempotency-Key", "k"); r.code(t) != problem.Conflict {
			t.Errorf("the key for %s: %d %s", path, r.status, r.body)
		}
	}
	for _, n := range []int{99, 170} { // fewer decisions than before, and more
		if r := e.post("/v1/orders/batches", ana, bids(n), "Idempotency-Key", "k"); r.code(t) != problem.Conflict {
			t.Errorf("the key for %d items: %d %s", n, r.status, r.body)
		}
	}
	if e.seq.Durable() != before+3 {
		t.Errorf("%d decisions on what was refused", e.seq.Durable()-before-3)
	}
	e.quiet()
	if e.value("dec_admitted_total") != 3 || e.value("dec_journalled_total") != 3 {
		t.Errorf("%v are admitted, %v journalled", e.value("dec_admitted_total"), e.value("dec_journalled_total"))
	}
	one := e.post("/v1/orders/batches", ana, bids(1), "Idempotency-Key", "one").doc(t)
	if n := len(at(t, one, "decisions").([]any)); n != 1 {
		t.Errorf("one item takes %d decisions", n)
	}
}

// TestBatchesOfTheClient: the client's results are those of the items, in order.
func TestBatchesOfTheClient(t *testing.T) {
	e := start(t, options{})
	e.market(e.funded(10_000))
	c, err := client.New(e.url, e.key("ana", engine.RoleTrader, e.funded(100_000)))
	if err != nil {
		t.Fatal(err)
	}
	var items []client.Item
	for i := range 60 {
		items = append(items, client.Item{CancelAll: true})
		if i == 53 {
			items[i] = client.Item{Cancel: engine.OrderOf(1, 0)}
		}
	}
	for _, replayed := range []bool{false, true} {
		got, err := c.Batches(t.Context(), items, client.Key("k"))
		if err != nil || got.Replayed != replayed || len(got.Decisions) != 2 {
			t.Fatalf("%+v %v", got, err)
		}
		results := got.Results()
		if len(results) != 60 || results[53].Code != engine.OrderNotFound || results[52].Code != engine.OK {
			t.Errorf("%+v", results)
		}
	}
}

// hasty gives up early on what is submitted together, while the log is stuck.
type hasty struct {
	Sequencer
	stuck *atomic.Bool
}

func (h hasty) SubmitAll(ctx context.Context, rs []sequencer.Request) ([]sequencer.Answer, error) {
	if !h.stuck.Load() {
		return h.Sequencer.SubmitAll(ctx, rs)
	}
	ctx, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	return h.Sequencer.SubmitAll(ctx, rs)
}

// TestBatchesAreAnsweredTogether: an edge that gives up counts each decision that
// has no answer; a writer that fails leaves the outcome open.
func TestBatchesAreAnsweredTogether(t *testing.T) {
	log, stuck := &stuckLog{}, atomic.Bool{}
	e := start(t, options{
		log: func(l journal.Log) journal.Log { log.Log = l; return log },
		seq: func(q Sequencer) Sequencer { return hasty{q, &stuck} },
	})
	unlimited(e)
	e.market(e.funded(10_000))
	ana := e.key("ana", engine.RoleTrader, e.funded(100_000))
	log.held.Lock()
	stuck.Store(true)
	r := e.post("/v1/orders/batches", ana, bids(120), "Idempotency-Key", "k")
	stuck.Store(false)
	log.held.Unlock()
	e.quiet()
	if r.code(t) != problem.Failed || e.value("dec_orchestration_errors_total", "stage", "answer") != 3 {
		t.Errorf("%d %s, and %v decisions without an answer", r.status, r.body, e.value("dec_orchestration_errors_total", "stage", "answer"))
	}
	if r := e.post("/v1/orders/batches", ana, bids(120), "Idempotency-Key", "k"); r.status != http.StatusCreated || len(sizes(t, r)) != 120 {
		t.Errorf("asked again: %d %s", r.status, r.body)
	}
	if r := e.post("/v1/orders/batches", ana, bids(201)); r.code(t) != problem.Malformed {
		t.Errorf("201 items: %d %s", r.status, r.body)
	}
	e.stop()
	if err := e.seq.Wait(context.Background(), e.seq.Durable()); err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	e.api.Drain()
	if r := e.post("/v1/orders/batches", ana, bids(60)); r.code(t) != problem.NotLeader {
		t.Errorf("a writer that ends: %d %s", r.status, r.body)
	}
}
