package sequencer_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/sequencer"
)

// rests is a bid far below the market's price that waits until a time.
func rests(a engine.AccountID, until engine.Time) engine.Command {
	return &engine.PlaceOrder{
		Account: a, Market: 1, Side: engine.Buy, TIF: engine.GTD, Shares: engine.One, Limit: 400_000, Expires: until,
	}
}

func in(h *hall, d time.Duration) engine.Time { return h.Now() + engine.Time(d.Microseconds()) }

// since returns the decisions after a sequence.
func since(t *testing.T, h *hall, seq engine.Seq) (out []*engine.Decision) {
	t.Helper()
	for seq < h.Durable() {
		seq++
		c, err := h.Decision(seq)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, c.Decision)
	}
	return out
}

// What falls due is decided at its time, though nobody asks for anything, and
// nothing is written before or after.
func TestDeadlinesNeedNoTraffic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, sequencer.Config{}, 1)
		expiry, closing := in(h, time.Hour), in(h, 2*time.Hour)
		h.must(t, "ana", &engine.OpenMarket{
			Template: "binary@1.0.0", Title: "Will it close?", Creator: 1, Liquidity: 100 * engine.One, Price: 500_000, CloseAt: closing,
		})
		h.must(t, "ana", &engine.OpenMarket{ // as far off as a time can be
			Template: "binary@1.0.0", Title: "Ever?", Creator: 1, Liquidity: 100 * engine.One, Price: 500_000,
			CloseAt: engine.Time(time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC).UnixMicro()),
		})
		h.must(t, "ana", rests(1, closing+1))
		last := h.must(t, "ana", rests(1, expiry)).Seq // an earlier deadline comes later
		time.Sleep(time.Hour - time.Millisecond)
		synctest.Wait()
		if got := since(t, h, last); len(got) != 0 {
			t.Fatalf("before its time: %+v", got[0])
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		got := since(t, h, last)
		if len(got) != 3 {
			t.Fatalf("%d decisions, want 3", len(got))
		}
		for i, at := range []engine.Time{expiry, closing, closing + 1} {
			if d := got[i]; d.At != at || d.Principal != engine.System || d.Code != engine.OK || len(d.Events) != 1 {
				t.Errorf("%+v, want a tick at %s", d, at)
			}
		}
		if x, ok := got[0].Events[0].(*engine.OrdersClosed); !ok || x.Reason != engine.ByExpiry || x.Orders[0].Order != engine.OrderOf(last, 0) {
			t.Errorf("%+v, want the order's expiry", got[0].Events[0])
		}
		if x, ok := got[1].Events[0].(*engine.MarketStateChanged); !ok || x.Market != 2 || x.To != engine.Closed {
			t.Errorf("%+v, want the market closed", got[1].Events[0])
		}
		end := h.Durable()
		time.Sleep(12 * time.Hour)
		synctest.Wait()
		if h.Durable() != end {
			t.Errorf("an idle writer wrote %d decisions", h.Durable()-end)
		}
		h.View(func(s *core.State) {
			if a, _ := s.Account(1); a.Reserved != 0 || len(s.Orders(1)) != 0 {
				t.Errorf("%d are still reserved", a.Reserved)
			}
		})
	})
}

// A request that comes when deadlines have passed is decided after all of them,
// though the disk stood still meanwhile and they are more than one decision can
// act on.
func TestDeadlinesComeBeforeRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const accounts, each = 6, 400
		g := newGate(t)
		h := open(t, sequencer.Config{Log: g}, accounts)
		h.must(t, "ana", &engine.SplitSets{Account: 1, Market: 1, Amount: 5000 * engine.One})
		expiry := in(h, time.Hour)
		for i := range accounts * each {
			h.must(t, "trader", rests(engine.AccountID(i%accounts+1), expiry))
		}
		g.closed.Store(true)
		stuck := h.submit(t.Context(), buy("stuck", 1, 1))
		pending(t, stuck)
		time.Sleep(time.Hour)
		request := sequencer.Request{Principal: "ana", Key: "sell", Command: &engine.PlaceOrder{
			Account: 1, Market: 1, Side: engine.Sell, TIF: engine.IOC, Shares: 5000 * engine.One,
		}}
		sale := h.submit(t.Context(), request) // would meet every bid
		pending(t, stuck, sale)
		g.release()
		first, last := <-stuck, <-sale
		if first.err != nil || last.err != nil || last.Decision.Code != engine.OK {
			t.Fatalf("%+v %+v", first, last)
		}
		between := since(t, h, first.Decision.Seq)
		between = between[:last.Decision.Seq-first.Decision.Seq-1]
		expired := 0
		for _, d := range between {
			x, ok := d.Events[0].(*engine.OrdersClosed)
			if !ok || d.At > last.Decision.At || d.At < expiry {
				t.Fatalf("%+v", d)
			}
			expired += len(x.Orders)
		}
		if expired != accounts*each || len(between) != 3 {
			t.Errorf("%d orders expired in %d decisions before the sale, want %d in 3", expired, len(between), accounts*each)
		}
		if f := last.Decision.Filled(); f == nil || len(f.Fills) != 0 {
			t.Errorf("the sale met orders whose time was over: %+v", f)
		}
	})
}

// A drain gives what is due before the requests inside, and waits for nothing
// that is yet to come; the next start goes on with the deadlines of the journal.
func TestDeadlinesSurviveAStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := memory(t, 1<<20)
		h, err := enter(sequencer.Config{Log: l})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range opening(1) {
			h.must(t, "boot", c)
		}
		seq := h.must(t, "ana", rests(1, in(h, time.Hour))).Seq
		h.end()
		if err := <-h.done; err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Hour) // it falls due while nobody is there
		if h, err = enter(sequencer.Config{Log: l}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := since(t, h, seq); len(got) != 1 || got[0].Command.Type() != "tick" {
			t.Errorf("%+v, want one tick", got)
		}
		if err := h.leave(); err != nil {
			t.Error(err)
		}
	})
}

// gauged reads a gauge.
func gauged(t *testing.T, reg *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.Metric[0].Gauge.GetValue()
		}
	}
	t.Fatalf("no gauge %s", name)
	return 0
}

// What waits for people shows until they have acted, over a restart, too: a
// market that its guard froze, and one whose outcome is late.
func TestGaugesOfWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := memory(t, 1<<20)
		reg := prometheus.NewRegistry()
		h, err := enter(sequencer.Config{Log: l, Registerer: reg})
		if err != nil {
			t.Fatal(err)
		}
		want := func(frozen, overdue, mode float64) {
			t.Helper()
			synctest.Wait()
			got := fmt.Sprint(gauged(t, reg, "mbp_markets_frozen"), gauged(t, reg, "mbp_resolution_sla_overdue"), gauged(t, reg, "mbp_engine_mode"))
			if got != fmt.Sprint(frozen, overdue, mode) {
				t.Errorf("frozen, overdue, mode: %s, want %v %v %v", got, frozen, overdue, mode)
			}
		}
		for _, c := range opening(1) {
			h.must(t, "boot", c)
		}
		guarded := engine.DefaultTemplate()
		guarded.ID, guarded.Guard = "guarded", engine.GuardRule{Window: 10_000_000, Bound: 1000, ReopenAfter: 300_000_000}
		h.must(t, "boot", &engine.AddTemplate{Template: guarded})
		h.must(t, "ana", &engine.OpenMarket{
			Template: "guarded@1.0.0", Title: "Calm?", Creator: 1, Liquidity: 100 * engine.One, Price: 500_000, CloseAt: in(h, 10*time.Hour),
		})
		want(0, 0, 0)
		trade := &engine.PlaceOrder{Account: 1, Market: 2, Side: engine.Buy, TIF: engine.IOC, Amount: 5 * engine.One}
		for i := 0; gauged(t, reg, "mbp_markets_frozen") == 0; i++ {
			if i == 20 {
				t.Fatal("the guard never trips")
			}
			time.Sleep(10 * time.Second)
			h.must(t, "ana", trade)
		}
		h.must(t, "ops", &engine.SetMode{Mode: engine.ModeLite, Reason: "drill"})
		want(1, 0, 1)
		h.end()
		if err := <-h.done; err != nil {
			t.Fatal(err)
		}
		reg = prometheus.NewRegistry()
		if h, err = enter(sequencer.Config{Log: l, Registerer: reg}); err != nil {
			t.Fatal(err)
		}
		want(1, 0, 1)
		time.Sleep(5 * time.Minute)
		want(0, 0, 1) // it reopens by itself
		time.Sleep(11 * time.Hour)
		want(0, 0, 1) // it is closed, and its day has begun
		time.Sleep(24 * time.Hour)
		want(0, 1, 1)
		propose := &engine.ProposeResolution{Market: 2, EvidenceURI: "https://example.org/1", EvidenceSHA256: engine.Digest{1}}
		h.must(t, "ana", propose)
		want(0, 0, 1)
		time.Sleep(25 * time.Hour)
		want(0, 1, 1) // nobody approves
		h.must(t, "bob", &engine.ApproveResolution{Market: 2})
		want(0, 0, 1)
		if err := h.leave(); err != nil {
			t.Error(err)
		}
	})
}

// A request that was taken when deadlines filled the batch is decided with the
// next one, whoever comes meanwhile.
func TestDeadlinesLoseNoRequest(t *testing.T) {
	for range 20 { // it was a matter of chance
		synctest.Test(t, func(t *testing.T) {
			g := newGate(t)
			h := open(t, sequencer.Config{Log: g, MaxBatch: 2}, 1)
			h.must(t, "trader", rests(1, in(h, time.Hour)))
			g.closed.Store(true)
			asked := []<-chan result{h.submit(t.Context(), buy("stuck", 1, 1))}
			for i := range 4 {
				pending(t, asked...)
				if i == 1 {
					time.Sleep(time.Hour) // the batch has room for one, and that is the order's end
				}
				asked = append(asked, h.submit(t.Context(), buy(fmt.Sprint(i), 1, 1)))
			}
			g.release()
			synctest.Wait()
			for i, r := range asked {
				if len(r) == 0 {
					t.Fatalf("request %d waits for ever", i)
				}
				if got := <-r; got.err != nil || got.Decision.Code != engine.OK {
					t.Errorf("request %d: %+v", i, got)
				}
			}
		})
	}
}
