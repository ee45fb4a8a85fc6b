package sequencer_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/journal/faultfs"
	"github.com/mbp-market/mbp/engine/journal/file"
	"github.com/mbp-market/mbp/engine/sequencer"
	"github.com/mbp-market/mbp/tests/pg"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := child(dir); err != nil {
			fmt.Fprintln(os.Stderr, "child:", err)
		}
		os.Exit(1) // a child ends by being killed, or wrongly
	}
	os.Exit(pg.Main(m))
}

// hall is a writer that runs over a log.
type hall struct {
	*sequencer.Sequencer
	log  journal.Log
	end  context.CancelFunc
	done chan error // what Run returned
}

// enter folds the log and runs a writer over it.
func enter(cfg sequencer.Config) (*hall, error) {
	q, err := sequencer.New(cfg)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	h := &hall{Sequencer: q, log: cfg.Log, end: cancel, done: make(chan error, 1)}
	go func() { h.done <- q.Run(ctx) }()
	return h, nil
}

// leave drains the writer and closes the log.
func (h *hall) leave() error {
	h.end()
	return errors.Join(<-h.done, h.log.Close())
}

// memory is a log in memory with segments of a size.
func memory(t testing.TB, segment int64) journal.Log {
	t.Helper()
	l, err := file.Open(file.Config{Dir: "j", FS: faultfs.New(), SegmentSize: segment})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// open is a writer over a fresh log in memory, with accounts 1..n of a million
// credits each and the market 1; it drains when the test ends.
func open(t testing.TB, cfg sequencer.Config, accounts int) *hall {
	t.Helper()
	if cfg.Log == nil {
		cfg.Log = memory(t, 1<<20)
	}
	h, err := enter(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.leave(); err != nil {
			t.Error(err)
		}
	})
	for _, c := range opening(accounts) {
		h.must(t, "boot", c)
	}
	return h
}

// opening lists the commands that make accounts and a market.
func opening(accounts int) []engine.Command {
	policy := engine.DefaultPolicy()
	policy.OrderInterval, policy.OrderBurst = 1, 1_000_000
	out := []engine.Command{&engine.Initialise{
		Policy: policy, Template: engine.DefaultTemplate(),
		Admin: engine.Key{SHA256: engine.Digest{1}, Principal: "boot", Roles: engine.RoleAdmin},
	}}
	for i := range accounts {
		out = append(out, &engine.OpenAccount{}, &engine.GrantCredits{Account: engine.AccountID(i + 1), Amount: 1_000_000 * engine.One})
	}
	return append(out, market())
}

func market() engine.Command {
	return &engine.OpenMarket{Template: "binary@1.0.0", Title: "Will it hold?", Creator: 1, Liquidity: 10_000 * engine.One, Price: 500_000}
}

// must gives a command without a key and wants it accepted.
func (h *hall) must(t testing.TB, principal string, c engine.Command) *engine.Decision {
	t.Helper()
	a, err := h.Submit(context.Background(), sequencer.Request{Principal: principal, Command: c})
	if err != nil || a.Decision.Code != engine.OK {
		t.Fatalf("%s: %v %+v", c.Type(), err, a.Decision)
	}
	return a.Decision
}

// buy is an order of one credit, with a key.
func buy(key string, a engine.AccountID, m engine.MarketID) sequencer.Request {
	return sequencer.Request{
		Principal: "trader", Key: key, Input: []byte(key),
		Command: &engine.PlaceOrder{Account: a, Market: m, Outcome: engine.Outcome(a % 2), Side: engine.Buy, TIF: engine.IOC, Amount: engine.One},
	}
}

// tagOf is the tag that a request's key has in the journal, computed here anew.
func tagOf(r sequencer.Request) engine.Tag {
	sum := sha256.Sum256([]byte(r.Principal + "\x00" + r.Key))
	return engine.Tag(sum[:16])
}

// digest of a decision: two answers are the same if it is. The decision may be
// shared, so it is only read.
func digest(d *engine.Decision) engine.Digest {
	b, err := json.Marshal(d)
	if err != nil {
		panic(err)
	}
	return sha256.Sum256(append(append(b, d.Key[:]...), d.Input[:]...))
}

// conserved checks that no credit and no share was made or lost: what accounts,
// markets and the platform have is what was issued, but for the dust of rounding,
// which is below two micros for each trade; and the shares of each outcome of a
// market that has not ended are as many as its complete sets.
func conserved(s *core.State) error {
	sum, trades := s.Platform(), int64(0)
	shares := map[engine.MarketID]map[engine.Outcome]engine.Shares{}
	for id := range s.MarketCount() {
		m, _ := s.Market(engine.MarketID(id+1), s.At())
		sum, trades = sum+m.Interest+m.Fees, trades+m.Trades
		shares[m.Market] = map[engine.Outcome]engine.Shares{}
		for _, o := range m.Outcomes {
			shares[m.Market][o.Outcome] = o.Pool
		}
	}
	for id := range s.AccountCount() {
		a, _ := s.Account(engine.AccountID(id + 1))
		sum += a.Available + a.Reserved
		for _, p := range a.Positions {
			shares[p.Market][p.Outcome] += p.Shares
		}
	}
	if dust := s.Issued() - sum; dust < 0 || int64(dust) > 2*trades {
		return fmt.Errorf("accounts, markets and platform have %d of %d issued", sum, s.Issued())
	}
	for id, outcomes := range shares {
		m, _ := s.Market(id, s.At())
		for o, q := range outcomes {
			if m.State != engine.Settling && engine.Micros(q) != m.Interest {
				return fmt.Errorf("market %s has %d shares of %s and %d complete sets", id, q, o, m.Interest)
			}
		}
	}
	return s.Check()
}

// gate is a log whose appends wait until they are let through, or fail.
type gate struct {
	journal.Log
	pass    chan struct{}
	failing atomic.Pointer[error]
	closed  atomic.Bool
	batches atomic.Int64
}

func newGate(t testing.TB) *gate {
	return &gate{Log: memory(t, 1<<20), pass: make(chan struct{})}
}

func (g *gate) Append(first uint64, at int64, payloads [][]byte) error {
	if g.closed.Load() {
		<-g.pass
	}
	if err := g.failing.Load(); err != nil {
		return *err
	}
	g.batches.Add(1)
	return g.Log.Append(first, at, payloads)
}

// release lets everything through, beginning with the append that waits.
func (g *gate) release() {
	synctest.Wait()
	g.closed.Store(false)
	g.pass <- struct{}{}
}

// late is a log that acknowledges a batch and appends it when lag more have come:
// the defect that the crash tests have to find.
type late struct {
	journal.Log
	lag  int
	next uint64
	owed []func() error
}

func newLate(l journal.Log, lag int) *late { return &late{Log: l, lag: lag, next: l.Next()} }

func (l *late) Next() uint64 { return l.next }

func (l *late) Append(first uint64, at int64, payloads [][]byte) error {
	kept := make([][]byte, len(payloads))
	for i, p := range payloads {
		kept[i] = append([]byte(nil), p...)
	}
	l.owed = append(l.owed, func() error { return l.Log.Append(first, at, kept) })
	l.next = first + uint64(len(payloads))
	if len(l.owed) <= l.lag {
		return nil
	}
	pay := l.owed[0]
	l.owed = l.owed[1:]
	return pay()
}

// Close pays what is owed: without a crash nobody sees the defect.
func (l *late) Close() error {
	var err error
	for _, pay := range l.owed {
		err = errors.Join(err, pay())
	}
	return errors.Join(err, l.Log.Close())
}
