package sequencer_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/audit"
	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/journal/file"
	"github.com/mbp-market/mbp/engine/sequencer"
)

// BenchmarkDurable compares durable decisions with the least that the disk asks
// for: a bare loop of pwrite and fdatasync with group commit over a file that was
// zero-written before, fed by as many submitters with records of the same size.
// Each submitter waits for its answer before it goes on; audited decisions have an
// audit tree following, as mbp serve does. ns/op is per durable
// order, from Submit to the answer. The disks of shared machines wander: run
// with -cpu 2 -count 5 and compare medians of one run.
func BenchmarkDurable(b *testing.B) {
	for _, submitters := range []int{1, 64, 256, 4096} {
		b.Run(fmt.Sprintf("raw/%d", submitters), func(b *testing.B) { rawCommits(b, submitters) })
		b.Run(fmt.Sprintf("decisions/%d", submitters), func(b *testing.B) { decisions(b, submitters, false) })
		b.Run(fmt.Sprintf("audited/%d", submitters), func(b *testing.B) { decisions(b, submitters, true) })
	}
}

// orderRecord is the size of an order's record, keyed and filled.
const orderRecord = 130

// share gives each submitter its part of n.
func share(n, submitters, i int) int {
	if i < n%submitters {
		return n/submitters + 1
	}
	return n / submitters
}

func decisions(b *testing.B, submitters int, audited bool) {
	const accounts = 1000
	m := newMarket(b, file.Config{Dir: filepath.Join(b.TempDir(), "j")}, accounts)
	defer m.close(b)
	if audited {
		defer audits(b, m)()
	}
	before, used := m.q.Durable(), processor()
	appends := m.log.appends.Load()
	b.ReportAllocs()
	b.ResetTimer()
	var wg sync.WaitGroup
	for i := range submitters {
		n := share(b.N, submitters, i)
		wg.Go(func() {
			for k := range n {
				a := (k*submitters + i) % accounts
				x := &engine.PlaceOrder{
					Account: engine.AccountID(a + 1), Market: 1, Outcome: engine.Outcome(a % 2), Side: engine.Buy, TIF: engine.IOC, Amount: engine.One,
				}
				if k/accounts%2 == 1 {
					x.Side, x.Amount, x.Shares = engine.Sell, 0, engine.One
				}
				key := strconv.Itoa(i) + "-" + strconv.Itoa(k)
				got, err := m.q.Submit(context.Background(), sequencer.Request{Principal: "bench", Key: key, Input: []byte(key), Command: x})
				if err != nil || got.Decision.Code != engine.OK {
					b.Errorf("order %s: %v %+v", key, err, got.Decision)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	n := float64(m.q.Durable() - before)
	b.ReportMetric(n/b.Elapsed().Seconds(), "decisions/s")
	b.ReportMetric(float64((processor()-used).Nanoseconds())/n, "cpu-ns/decision")
	b.ReportMetric(n/float64(m.log.appends.Load()-appends), "records/batch")
}

// processor is the time that this process has had on processors.
func processor() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// audits follows the journal of a market with an audit tree. It returns how to end
// that, with everything signed.
func audits(b *testing.B, m *marketHall) (end func()) {
	b.Helper()
	secret, err := audit.NewSecret()
	if err != nil {
		b.Fatal(err)
	}
	key, err := audit.ParseKey(secret)
	if err != nil {
		b.Fatal(err)
	}
	x, err := audit.New(audit.Config{Dir: b.TempDir(), Log: m.log, Key: key})
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- x.Run(context.Background()) }()
	return func() {
		x.Drain()
		if err := errors.Join(<-done, x.Close()); err != nil || x.Newest().Size != uint64(m.q.Durable()) {
			b.Errorf("signed %d of %d: %v", x.Newest().Size, m.q.Durable(), err)
		}
	}
}

func rawCommits(b *testing.B, submitters int) {
	const size = 64 << 20
	f, err := os.Create(filepath.Join(b.TempDir(), "raw"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(make([]byte, size)); err != nil {
		b.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		b.Fatal(err)
	}
	in := make(chan chan struct{}, submitters)
	var wg sync.WaitGroup
	b.ResetTimer()
	for i := range submitters {
		n := share(b.N, submitters, i)
		wg.Go(func() {
			done := make(chan struct{}, 1)
			for range n {
				in <- done
				<-done
			}
		})
	}
	go func() { wg.Wait(); close(in) }()
	var buf []byte
	var acks []chan struct{}
	off, batches := int64(0), 0
	for first := range in {
		acks, buf = append(acks[:0], first), buf[:0]
		for len(in) > 0 && len(acks) < journal.MaxBatchRecords {
			acks = append(acks, <-in)
		}
		for range acks {
			buf = binary.LittleEndian.AppendUint64(buf, orderRecord)
			buf = append(buf, make([]byte, orderRecord)...)
		}
		if off+int64(len(buf)) > size {
			off = 0
		}
		if _, err := f.WriteAt(buf, off); err != nil {
			b.Fatal(err)
		}
		off += int64(len(buf))
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			b.Fatal(err)
		}
		batches++
		for _, a := range acks {
			a <- struct{}{}
		}
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "decisions/s")
	b.ReportMetric(float64(b.N)/float64(batches), "records/batch")
}

// countingLog counts appends.
type countingLog struct {
	*file.Log
	appends atomic.Int64
}

func (l *countingLog) Append(first uint64, at int64, payloads [][]byte) error {
	l.appends.Add(1)
	return l.Log.Append(first, at, payloads)
}

// marketHall is a running writer with accounts and an open market.
type marketHall struct {
	q    *sequencer.Sequencer
	log  *countingLog
	end  context.CancelFunc
	done chan error
}

func (m *marketHall) close(t testing.TB) {
	m.end()
	if err := errors.Join(<-m.done, <-m.done, m.log.Close()); err != nil {
		t.Error(err)
	}
}

func newMarket(t testing.TB, cfg file.Config, accounts int) *marketHall {
	t.Helper()
	l, err := file.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	m := &marketHall{log: &countingLog{Log: l}, done: make(chan error, 2)}
	if m.q, err = sequencer.New(sequencer.Config{Log: m.log}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	m.end = cancel
	go func() { m.done <- l.Run(ctx) }()
	go func() { m.done <- m.q.Run(ctx) }()
	give := func(c engine.Command) {
		a, err := m.q.Submit(ctx, sequencer.Request{Principal: "boot", Command: c})
		if err != nil || a.Decision.Code != engine.OK {
			t.Fatalf("%s: %v %+v", c.Type(), err, a.Decision)
		}
	}
	policy := engine.DefaultPolicy()
	policy.OrderInterval, policy.OrderBurst = 1, 1_000_000
	give(&engine.Initialise{Policy: policy, Template: engine.DefaultTemplate(), Admin: engine.Key{SHA256: engine.Digest{1}, Principal: "boot", Roles: engine.RoleAdmin}})
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			for range accounts / 50 {
				give(&engine.OpenAccount{})
			}
		})
	}
	wg.Wait()
	for i := range 50 {
		wg.Go(func() {
			for k := range accounts / 50 {
				give(&engine.GrantCredits{Account: engine.AccountID(i*accounts/50 + k + 1), Amount: 1_000_000 * engine.One})
			}
		})
	}
	wg.Wait()
	give(&engine.OpenMarket{Template: "binary@1.0.0", Title: "x", Creator: 1, Liquidity: 900_000 * engine.One, Price: 500_000})
	return m
}
