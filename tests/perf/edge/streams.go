package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
)

const (
	// defaultStreams is how many subscribers lose their connections.
	defaultStreams = 50
	// streamRate is the load meanwhile, in orders a second.
	streamRate = 300
	// cutEvery is how long there is from one cut to the next one on average: each of the
	// subscribers has its connection for some seconds.
	cutEvery = 50 * time.Millisecond
	// sleepers is one of so many: it does not read for a while, over a line that holds
	// little, until the server has had enough of it.
	sleepers = 10
	// asleep is how long: more than fills the line and what the server keeps for it, and
	// less than the server remembers.
	asleep = 6 * time.Second
	// restarts of the server in a run, by which it is ended and killed in turn; fewer if
	// there are less than leastBetween cuts from one to the next one.
	restarts     = 6
	leastBetween = 15
	// workers send the orders, one after the other.
	workers = 8
	// patience is how long anybody tries to reach the server, and how long the last event
	// may take to reach everybody.
	patience = 30 * time.Second
)

// streams has subscribers lose connections under load, and compares what each one got
// with the journal.
func (o options) streams(ctx context.Context, h *house, note func(string, float64)) (err error) {
	n := o.subscribers
	if n == 0 {
		n = defaultStreams
	}
	h.args = []string{"--trader-rate", "0", "--staff-rate", "0", "--read-rate", "0", "--admit-rate", "0",
		"--max-streams", strconv.Itoa(4 * n), "--max-connections", strconv.Itoa(16 * n)}
	if err := h.start(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.stop()) }()
	if err := h.furnish(ctx, max(n, workers)); err != nil {
		return err
	}
	all := newAudience(ctx, h, n)
	defer func() { err = errors.Join(err, all.end()) }()
	orders := h.trade(ctx)
	begin := time.Now()
	dropped, restarted, err := o.cut(ctx, h, all.subs)
	took := time.Since(begin)
	placed, failed := orders()
	if err := errors.Join(err, failed); err != nil {
		return err
	}
	last, err := h.order(ctx)
	if err == nil {
		err = all.reach(ctx, uint64(last))
	}
	if err == nil {
		dropped += h.counter(ctx, "http_streams_dropped_total")
		err = all.end() // what they have is theirs until then
	}
	if err != nil {
		return err
	}
	truth, err := h.told(ctx, uint64(last))
	if err != nil {
		return err
	}
	note("subscribers", float64(n))
	note("cuts", float64(o.cuts))
	note("restarts", float64(restarted))
	note("dropped", dropped)
	note("orders_rate", float64(placed)/took.Seconds())
	note("decisions", float64(len(truth.ids)))
	missing, extra, snapshots := 0, 0, 0
	for _, s := range all.subs {
		m, x := truth.compare(s)
		missing, extra, snapshots = missing+m, extra+x, snapshots+s.snapshots
	}
	note("missing", float64(missing))
	note("extra", float64(extra))
	note("snapshots", float64(snapshots))
	return nil
}

// audience is the subscribers.
type audience struct {
	subs []*subscriber
	stop context.CancelFunc
	wg   sync.WaitGroup
}

func newAudience(ctx context.Context, h *house, n int) *audience {
	c := &audience{}
	ctx, c.stop = context.WithCancel(ctx)
	for i := range n {
		s := &subscriber{key: h.keys[i], sleeps: i%sleepers == 0}
		c.subs = append(c.subs, s)
		c.wg.Go(func() { s.wrong = s.follow(ctx, h.address) })
	}
	last := &subscriber{} // by the client, which only a restart cuts off
	c.subs = append(c.subs, last)
	c.wg.Go(func() { last.wrong = last.watch(ctx, h) })
	return c
}

// reach waits until everybody has a decision.
func (c *audience) reach(ctx context.Context, seq uint64) error {
	ctx, cancel := context.WithTimeout(ctx, patience+asleep)
	defer cancel()
	for i, s := range c.subs {
		for s.reached.Load() < seq {
			select {
			case <-ctx.Done():
				return fmt.Errorf("subscriber %d is at %d, the last order is %d", i, s.reached.Load(), seq)
			case <-time.After(time.Millisecond):
			}
		}
	}
	return nil
}

// end ends everybody, and tells what was wrong.
func (c *audience) end() error {
	c.stop()
	for _, s := range c.subs {
		s.cut(false)
	}
	c.wg.Wait()
	var errs []error
	for _, s := range c.subs {
		errs = append(errs, s.wrong)
	}
	return errors.Join(errs...)
}

// cut cuts connections at random, and has the server restart now and then. dropped is
// how many the server has cut itself, as those of its processes told that have ended.
func (o options) cut(ctx context.Context, h *house, subs []*subscriber) (dropped float64, restarted int, err error) {
	r := rand.New(rand.NewPCG(o.seed, 0)) //nolint:gosec // a choice that can be made again
	between := max(leastBetween, (o.cuts+restarts)/(restarts+1))
	for i := range o.cuts {
		select {
		case <-ctx.Done():
			return dropped, restarted, ctx.Err()
		case <-time.After(time.Duration(r.ExpFloat64() * float64(cutEvery))):
		}
		for !subs[r.IntN(len(subs))].cut(r.IntN(2) == 0) { // it has no connection now
			select {
			case <-ctx.Done():
				return dropped, restarted, ctx.Err()
			case <-time.After(time.Millisecond):
			}
		}
		if (i+1)%between != 0 {
			continue
		}
		dropped += h.counter(ctx, "http_streams_dropped_total")
		end := h.stop
		if restarted%2 == 1 {
			end = h.kill
		}
		if err := end(); err != nil {
			return dropped, restarted, err
		}
		if err := h.start(ctx); err != nil {
			return dropped, restarted, err
		}
		restarted++
	}
	return dropped, restarted, nil
}

// trade places orders at the rate until what it returns is called.
func (h *house) trade(ctx context.Context) func() (placed int64, err error) {
	stop := make(chan struct{})
	var n atomic.Int64
	var wg sync.WaitGroup
	errs := make([]error, workers)
	for i := range workers {
		wg.Go(func() {
			tick := time.NewTicker(workers * time.Second / streamRate)
			defer tick.Stop()
			c, err := h.trader(i)
			for k := 0; err == nil; k++ {
				select {
				case <-stop:
					return
				case <-tick.C:
				}
				o := client.Order{Market: h.market, Outcome: engine.Yes, Side: [2]engine.Side{engine.Buy, engine.Sell}[k%2], TIF: engine.IOC, Shares: engine.One}
				if _, err = c.PlaceOrder(ctx, o); err == nil {
					n.Add(1)
				}
			}
			errs[i] = err
		})
	}
	return func() (int64, error) {
		close(stop)
		wg.Wait()
		return n.Load(), errors.Join(errs...)
	}
}

// trader is a client that asks again while the server is away.
func (h *house) trader(i int) (*client.Client, error) {
	return client.New("http://"+h.address, h.keys[i], client.WithRetry(client.Retry{Attempts: int(patience / time.Second), Base: 20 * time.Millisecond, Max: time.Second}))
}

// order places one order more, and returns its sequence.
func (h *house) order(ctx context.Context) (engine.Seq, error) {
	c, err := h.trader(0)
	if err != nil {
		return 0, err
	}
	d, err := c.PlaceOrder(ctx, client.Order{Market: h.market, Outcome: engine.Yes, Side: engine.Buy, TIF: engine.IOC, Shares: engine.One})
	if err != nil {
		return 0, err
	}
	return d.Seq, nil
}

// seq and text of what a stream, or the journal, tells of one trade.
type trade struct {
	seq  uint64
	text string
}

// truth is what the journal has: its trades, and the decisions that streams tell of.
type truth struct {
	trades []trade
	ids    []uint64
}

// told reads the journal up to a sequence over the API.
func (h *house) told(ctx context.Context, last uint64) (t truth, err error) {
	for after := engine.Seq(0); uint64(after) < last; {
		page, err := h.admin.Decisions(ctx, after, 1000)
		if err != nil {
			return t, err
		}
		if len(page.Decisions) == 0 {
			return t, io.ErrUnexpectedEOF
		}
		for _, d := range page.Decisions {
			if after = d.Seq; uint64(after) > last {
				break
			}
			filled := false
			for _, raw := range d.Events {
				x, is, err := readFill(raw)
				if err != nil {
					return t, err
				}
				filled = filled || is
				if is && x.Shares > 0 {
					t.trades = append(t.trades, trade{uint64(d.Seq), x.String()})
				}
			}
			if filled {
				t.ids = append(t.ids, uint64(d.Seq))
			}
		}
	}
	return t, nil
}

// compare returns how many trades and decisions of the journal a subscriber did not
// get since its first snapshot, and how many it got twice, or out of order, or that
// are none.
func (t *truth) compare(s *subscriber) (missing, extra int) {
	m, x := compare(t.trades, s.trades, func(a trade) uint64 { return a.seq }, s.base)
	missing, extra = m, x
	m, x = compare(t.ids, s.ids, func(a uint64) uint64 { return a }, s.base)
	return missing + m, extra + x
}

// compare holds a list against what it should be, both in order by a sequence: what
// comes at another place than its own is extra there, and missing at its own.
func compare[T comparable](want, got []T, seq func(T) uint64, base uint64) (missing, extra int) {
	for len(want) > 0 && seq(want[0]) <= base {
		want = want[1:]
	}
	end := uint64(0)
	if len(want) > 0 {
		end = seq(want[len(want)-1])
	}
	for len(got) > 0 {
		switch {
		case len(want) > 0 && got[0] == want[0]:
			want, got = want[1:], got[1:]
		case len(want) > 0 && seq(got[0]) > seq(want[0]):
			missing++
			want = want[1:]
		case seq(got[0]) > end: // it came after the end of the comparison
			got = got[1:]
		default:
			extra++
			got = got[1:]
		}
	}
	return missing + len(want), extra
}
