package sequencer_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/journal/faultfs"
	"github.com/mbp-market/mbp/engine/journal/file"
	"github.com/mbp-market/mbp/engine/sequencer"
)

// start runs a writer over a log on a disk in memory.
func start(t testing.TB, cfg sequencer.Config, fs file.FS) *sequencer.Sequencer {
	t.Helper()
	l, err := file.Open(file.Config{Dir: "j", FS: fs, SegmentSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Log == nil {
		cfg.Log = l
	}
	q, err := sequencer.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- q.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-done
		_ = l.Close()
	})
	if !initialised(q) {
		if err := boot(q); err != nil {
			t.Fatal(err)
		}
	}
	return q
}

func initialised(q *sequencer.Sequencer) (ok bool) {
	q.View(func(s *engine.State) { ok = s.Initialised() })
	return ok
}

// must submits and wants the code OK.
func must(t testing.TB, q *sequencer.Sequencer, principal, key string, c engine.Command) *engine.Decision {
	t.Helper()
	a, err := q.Submit(t.Context(), sequencer.Request{Principal: principal, Key: key, Input: []byte(key), Command: c})
	if err != nil || a.Decision.Code != engine.OK {
		t.Fatalf("%s: %v %+v", c.Type(), err, a.Decision)
	}
	return a.Decision
}

func TestSameKeyDecidesOnce(t *testing.T) {
	q := start(t, sequencer.Config{}, faultfs.New())
	var wg sync.WaitGroup
	var fresh atomic.Int64
	seqs := make([]engine.Seq, 64)
	for i := range seqs {
		wg.Go(func() {
			a, err := q.Submit(t.Context(), grant("same"))
			if err != nil {
				t.Error(err)
				return
			}
			seqs[i] = a.Decision.Seq
			if !a.Replayed {
				fresh.Add(1)
			}
		})
	}
	wg.Wait()
	for _, s := range seqs {
		if s != seqs[0] {
			t.Errorf("answers of decisions %d and %d", s, seqs[0])
		}
	}
	if fresh.Load() != 1 {
		t.Errorf("%d fresh answers", fresh.Load())
	}
	other := grant("same")
	other.Input = []byte("something else")
	if _, err := q.Submit(t.Context(), other); !errors.Is(err, sequencer.ErrConflict) {
		t.Errorf("another body with the key: %v", err)
	}
	stranger := grant("same")
	stranger.Principal = "bob"
	if a, err := q.Submit(t.Context(), stranger); err != nil || a.Replayed {
		t.Errorf("another principal with the key: %+v %v", a, err)
	}
	q.View(func(s *engine.State) {
		if a, _ := s.Account(1); a.Available != 2 {
			t.Errorf("account has %d, want 2", a.Available)
		}
	})
}

// gateLog holds back appends until it is opened, or fails them.
type gateLog struct {
	journal.Log
	open chan struct{}
	fail atomic.Bool
}

var errDisk = errors.New("disk failed")

func (g *gateLog) Append(first uint64, at int64, p [][]byte) error {
	<-g.open
	if g.fail.Load() {
		return errDisk
	}
	return g.Log.Append(first, at, p)
}

func gated(t *testing.T, fs file.FS) *gateLog {
	t.Helper()
	l, err := file.Open(file.Config{Dir: "gated", FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return &gateLog{Log: l, open: make(chan struct{})}
}

// While an append is under way the intake fills up; what is above it is refused
// at once, nothing undurable is visible, and everybody inside gets an answer.
func TestOverloadIsRefusedAtOnce(t *testing.T) {
	g := gated(t, faultfs.New())
	q, err := sequencer.New(sequencer.Config{Log: g, Queue: 4})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- q.Run(ctx) }()
	booted := make(chan error, 1)
	go func() { booted <- boot(q) }()
	g.open <- struct{}{}
	g.open <- struct{}{}
	if err := <-booted; err != nil {
		t.Fatal(err)
	}
	results := make(chan error, 100)
	for i := range 100 {
		go func() {
			_, err := q.Submit(t.Context(), grant(fmt.Sprint(i)))
			results <- err
		}()
	}
	// At most one batch of up to 4 is with the gate and 4 wait: 92 are refused
	// while nothing gets through.
	for range 92 {
		if err := <-results; !errors.Is(err, sequencer.ErrOverloaded) {
			t.Fatalf("refused with %v", err)
		}
	}
	q.View(func(s *engine.State) {
		if a, _ := s.Account(1); a.Available != 0 {
			t.Errorf("%d micros are visible before they are durable", a.Available)
		}
	})
	close(g.open)
	for range 8 {
		if err := <-results; err != nil && !errors.Is(err, sequencer.ErrOverloaded) {
			t.Errorf("inside: %v", err)
		}
	}
	cancel()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if _, err := q.Submit(t.Context(), grant("late")); !errors.Is(err, sequencer.ErrStopped) {
		t.Errorf("after the end: %v", err)
	}
}

// A failed append stops the writer for good: unknown for those in flight,
// stopped for those after, nothing visible.
func TestFailedAppendStops(t *testing.T) {
	g := gated(t, faultfs.New())
	close(g.open)
	q, err := sequencer.New(sequencer.Config{Log: g})
	if err != nil {
		t.Fatal(err)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- q.Run(t.Context()) }()
	if err := boot(q); err != nil {
		t.Fatal(err)
	}
	g.fail.Store(true)
	if _, err := q.Submit(t.Context(), grant("x")); !errors.Is(err, sequencer.ErrUnknown) {
		t.Errorf("in flight: %v", err)
	}
	if err := <-stopped; !errors.Is(err, errDisk) {
		t.Errorf("run ends with %v", err)
	}
	if _, err := q.Submit(t.Context(), grant("y")); !errors.Is(err, sequencer.ErrStopped) {
		t.Errorf("afterwards: %v", err)
	}
	if q.Durable() != 2 {
		t.Errorf("durable is %d", q.Durable())
	}
}

// A settlement of many holders runs in chained decisions beside other requests,
// and each holder is paid once.
func TestSettlementRunsBesideOthers(t *testing.T) {
	q := start(t, sequencer.Config{MaxBatch: 8}, faultfs.New())
	const holders = 2500
	must(t, q, "admin", "g", &engine.GrantCredits{Account: 1, Amount: 1_000_000 * engine.One})
	m := must(t, q, "admin", "m", &engine.OpenMarket{Template: "binary@1.0.0", Title: "x", Creator: 1, Liquidity: 500_000 * engine.One, Price: 500_000}).Events[0].(*engine.MarketOpened).Market
	var issued engine.Micros = 1_000_000 * engine.One
	for i := range holders {
		a := must(t, q, "admin", fmt.Sprint("a", i), &engine.OpenAccount{}).Events[0].(*engine.AccountOpened).Account
		must(t, q, "admin", fmt.Sprint("c", i), &engine.GrantCredits{Account: a, Amount: engine.One})
		issued += engine.One
		must(t, q, "admin", fmt.Sprint("o", i), &engine.PlaceOrder{Account: a, Market: m, Outcome: engine.Outcome(i % 2), Side: engine.Buy, TIF: engine.IOC, Amount: engine.One})
	}
	must(t, q, "ana", "p", &engine.ProposeResolution{Market: m, Outcome: engine.Yes, EvidenceURI: "https://e.org/1", EvidenceSHA256: engine.Digest{1}})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	payouts := make(chan int, 1)
	go func() {
		n := 0
		_ = q.Follow(ctx, 1, func(c sequencer.Committed) error {
			for _, e := range c.Decision.Events {
				if p, ok := e.(*engine.PayoutsMade); ok {
					n++
					if p.Last {
						payouts <- n
					}
				}
			}
			return nil
		})
	}()
	must(t, q, "bob", "v", &engine.ApproveResolution{Market: m})
	for i := range 20 {
		must(t, q, "admin", fmt.Sprint("beside", i), &engine.OpenAccount{})
	}
	if n := <-payouts; n != 3 {
		t.Errorf("%d payout decisions, want 3", n)
	}
	q.View(func(s *engine.State) {
		var sum engine.Micros
		for id := range s.AccountCount() {
			a, _ := s.Account(engine.AccountID(id + 1))
			sum += a.Available
			if len(a.Positions) > 0 {
				t.Fatalf("%s still holds %v", a.Account, a.Positions)
			}
		}
		if sum != issued {
			t.Errorf("accounts have %d, issued were %d", sum, issued)
		}
	})
}

// Followers see every decision once, in order, while segments roll and others
// write; a restart folds to the same state.
func TestFollowAndRestart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "j")
	l, err := file.Open(file.Config{Dir: dir, SegmentSize: 16 << 10})
	if err != nil {
		t.Fatal(err)
	}
	q, err := sequencer.New(sequencer.Config{Log: l})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- q.Run(ctx) }()
	if err := boot(q); err != nil {
		t.Fatal(err)
	}
	const each = 300
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for n := range each {
				if _, err := q.Submit(t.Context(), grant(fmt.Sprintf("%d-%d", w, n))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	var next engine.Seq = 1
	end := errors.New("seen enough")
	err = q.Follow(t.Context(), 0, func(c sequencer.Committed) error {
		if c.Decision.Seq != next || c.At == 0 {
			return fmt.Errorf("decision %d, want %d", c.Decision.Seq, next)
		}
		if next++; next > 4*each+2 {
			return end
		}
		return nil
	})
	if !errors.Is(err, end) {
		t.Error(err)
	}
	wg.Wait()
	if _, err := q.Decision(q.Durable() + 1); !errors.Is(err, sequencer.ErrNotFound) {
		t.Errorf("a decision of the future: %v", err)
	}
	if c, err := q.Decision(7); err != nil || c.Decision.Seq != 7 {
		t.Errorf("decision 7: %+v, %v", c, err)
	}
	var before engine.Digest
	q.View(func(s *engine.State) { before = s.Hash() })
	cancel()
	if err := errors.Join(<-stopped, l.Close()); err != nil {
		t.Fatal(err)
	}
	q2, l2, err := open(file.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer l2.Close()
	q2.View(func(s *engine.State) {
		if s.Hash() != before {
			t.Error("the folded state differs")
		}
	})
}

// BenchmarkDurable is durable decisions per second, beside the same records in a
// bare loop of one append per batch: what the disk gives.
func BenchmarkDurable(b *testing.B) {
	for _, n := range []int{1, 64, 256} {
		b.Run(fmt.Sprintf("decisions-%d", n), func(b *testing.B) {
			q, l := onDisk(b)
			defer l.Close()
			var i atomic.Int64
			b.SetParallelism((n + 1) / 2)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := q.Submit(context.Background(), grant(fmt.Sprint(i.Add(1)))); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
		b.Run(fmt.Sprintf("raw-append-of-%d", n), func(b *testing.B) {
			l, err := file.Open(file.Config{Dir: filepath.Join(b.TempDir(), "j")})
			if err != nil {
				b.Fatal(err)
			}
			defer l.Close()
			batch := make([][]byte, n)
			for i := range batch {
				batch[i] = make([]byte, 67)
			}
			b.ResetTimer()
			for done := 0; done < b.N; done += n {
				if err := l.Append(l.Next(), 1, batch); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func onDisk(b *testing.B) (*sequencer.Sequencer, *file.Log) {
	b.Helper()
	q, l, err := open(file.Config{Dir: filepath.Join(b.TempDir(), "j")})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	b.Cleanup(cancel)
	go func() { _ = q.Run(ctx) }()
	if err := boot(q); err != nil {
		b.Fatal(err)
	}
	return q, l
}
