package sequencer_test

import (
	"context"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/journal/file"
	"github.com/mbp-market/mbp/engine/sequencer"
)

// large is a market with this many holders and its creator: a hundred pieces of
// work.
const large = 100_000

// multitude gives every account but the first a share of market 1 and has its
// outcome proposed; the orders of others go to market 2.
func multitude(t testing.TB, log journal.Log) *hall {
	t.Helper()
	h, err := enter(sequencer.Config{Log: log})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range opening(1) {
		h.must(t, "boot", c)
	}
	every := func(c func(a engine.AccountID) engine.Command) {
		var wg sync.WaitGroup
		for w := range 256 {
			wg.Go(func() {
				for a := w + 2; a <= large+1; a += 256 {
					got, err := h.Submit(context.Background(), sequencer.Request{Principal: "boot", Command: c(engine.AccountID(a))})
					if err != nil || got.Decision.Code != engine.OK {
						t.Errorf("account %d: %v %+v", a, err, got.Decision)
						return
					}
				}
			})
		}
		wg.Wait()
	}
	every(func(engine.AccountID) engine.Command { return &engine.OpenAccount{} })
	every(func(a engine.AccountID) engine.Command {
		return &engine.GrantCredits{Account: a, Amount: 1000 * engine.One}
	})
	every(func(a engine.AccountID) engine.Command { return buy("", a, 1).Command })
	h.must(t, "boot", market())
	h.must(t, "ana", &engine.ProposeResolution{Market: 1, EvidenceURI: "https://example.org/1", EvidenceSHA256: engine.Digest{1}})
	return h
}

// waited is how long an order took, and between which decisions.
type waited struct {
	took       time.Duration
	from, till engine.Seq // the last durable one when it was sent, and its own
}

// beside lets clients order in market 2, one order after the other, until the
// settlement of market 1 ends.
func beside(t testing.TB, h *hall, clients int) []waited {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	orders := make([][]waited, clients)
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				begin, from := time.Now(), h.Durable()
				a := engine.AccountID(2 + n%1000*clients + i)
				got, err := h.Submit(context.Background(), buy("beside-"+strconv.Itoa(i)+"-"+strconv.Itoa(n), a, 2))
				if err != nil || got.Decision.Code != engine.OK {
					t.Errorf("an order beside the settlement: %v %+v", err, got.Decision)
					return
				}
				orders[i] = append(orders[i], waited{time.Since(begin), from, got.Decision.Seq})
			}
		})
	}
	from := h.Durable() // following from the start would read the whole journal meanwhile
	if _, err := h.Submit(context.Background(), approve); err != nil {
		t.Error(err)
	}
	if err := settledAfter(context.Background(), h, from); err != nil {
		t.Error(err)
	}
	stop()
	wg.Wait()
	return slices.Concat(orders...)
}

// A hundred thousand holders are paid in a chain of decisions, each of them once,
// and an order of another market waits for no more of them than are under way
// when it comes: the one that is being synced and the one that is being decided.
func TestLargeSettlement(t *testing.T) {
	if testing.Short() {
		t.Skip("a hundred thousand accounts take some seconds")
	}
	h := multitude(t, memory(t, 8<<20))
	orders := beside(t, h, 8)
	steps, paid := []engine.Seq(nil), map[engine.AccountID]bool{}
	err := h.log.Read(1, func(r journal.Record) error {
		d, err := engine.Decode(engine.Seq(r.Seq), r.Payload)
		if err != nil {
			return err
		}
		for _, e := range d.Events {
			x, ok := e.(*engine.SettlementStepped)
			if !ok {
				continue
			}
			if x.Work > engine.WorkLimit {
				t.Errorf("decision %d works on %d holders", d.Seq, x.Work)
			}
			steps = append(steps, d.Seq)
			for _, p := range x.Payouts {
				if paid[p.Account] {
					t.Errorf("%s is paid twice", p.Account)
				}
				paid[p.Account] = true
			}
		}
		return nil
	})
	if want := large/engine.WorkLimit + 1; err != nil || len(steps) != want || len(paid) != large/2+1 {
		t.Errorf("%d decisions, want %d; %d holders paid: %v", len(steps), want, len(paid), err)
	}
	behind, meanwhile := 0, 0
	for _, o := range orders {
		first, _ := slices.BinarySearch(steps, o.from+1)
		last, _ := slices.BinarySearch(steps, o.till)
		if last > first {
			meanwhile++
		}
		if last-first > 2 {
			behind++
		}
	}
	// A client that the machine stops between its look and its order is the test's.
	if meanwhile < len(steps)/2 || behind > len(orders)/10 {
		t.Errorf("%d of %d orders came beside a step, and %d waited for more than two", meanwhile, len(orders), behind)
	}
	t.Logf("%d orders of another market, %d of them beside a step, %d behind more than two", len(orders), meanwhile, behind)
	h.View(func(s *core.State) {
		if err := conserved(s); err != nil {
			t.Error(err)
		}
	})
	if err := h.leave(); err != nil {
		t.Error(err)
	}
}

// BenchmarkSettleBesideOrders settles a market of 100,000 holders while clients
// order in another market, each after its answer, on a real disk. ns/op is the
// whole settlement; the other figures are the latency of those orders and, before
// it, of the same orders on their own. The set-up takes longer than the
// measurement: run with -benchtime 1x -count 5.
func BenchmarkSettleBesideOrders(b *testing.B) {
	const clients = 8
	for b.Loop() {
		b.StopTimer()
		l, err := file.Open(file.Config{Dir: filepath.Join(b.TempDir(), "j")})
		if err != nil {
			b.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.Background())
		prepared := make(chan error, 1)
		go func() { prepared <- l.Run(ctx) }()
		h := multitude(b, l)
		var alone []time.Duration
		for n := range 2000 {
			begin := time.Now()
			if _, err := h.Submit(ctx, buy("alone-"+strconv.Itoa(n), engine.AccountID(2+n), 2)); err != nil {
				b.Fatal(err)
			}
			alone = append(alone, time.Since(begin))
		}
		b.StartTimer()
		orders := beside(b, h, clients)
		b.StopTimer()
		var took []time.Duration
		for _, o := range orders {
			took = append(took, o.took)
		}
		report := func(name string, took []time.Duration) {
			slices.Sort(took)
			for _, p := range []int{50, 99} {
				b.ReportMetric(float64(took[len(took)*p/100].Microseconds())/1000, "ms-p"+strconv.Itoa(p)+"-"+name)
			}
		}
		report("alone", alone)
		report("beside", took)
		b.ReportMetric(float64(len(orders)), "orders")
		stop()
		if err := <-prepared; err != nil {
			b.Error(err)
		}
		if err := h.leave(); err != nil {
			b.Error(err)
		}
		b.StartTimer()
	}
}
