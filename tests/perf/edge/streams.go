package main

import (
	"context"
	"errors"
	"fmt"
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
	// workers send the orders, one after the other: half of them wait in the books, the
	// others take what waits.
	workers = 8
	// streamMarkets are the markets on which they do.
	streamMarkets = 3
	// waiting is how many orders a worker has in a book before it cancels them.
	waiting = 10
	// spell is how many orders of a worker on a market are of one side, each of a block of
	// shares: enough to move the price of a deep pool.
	spell, block = 3, 10
	// stock is how many shares of each outcome a worker has to begin with.
	stock = 5_000
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
	h.many = streamMarkets
	if err := h.start(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.stop()) }()
	if err := h.furnish(ctx, max(n, workers)); err != nil {
		return err
	}
	if err := h.supply(ctx); err != nil {
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
	story, err := h.told(ctx, uint64(last))
	if err != nil {
		return err
	}
	note("subscribers", float64(n))
	note("cuts", float64(o.cuts))
	note("restarts", float64(restarted))
	note("dropped", dropped)
	note("orders_rate", float64(placed)/took.Seconds())
	note("decisions", float64(len(story[everything].ids)))
	missing, extra, snapshots := 0, 0, 0
	least := map[string]int{} // decisions that anybody of a kind was told of
	for _, s := range all.subs {
		m, x := story.of(s.path).compare(s)
		missing, extra, snapshots = missing+m, extra+x, snapshots+s.snapshots
		if n, is := least[s.kind()]; !is || len(s.ids) < n {
			least[s.kind()] = len(s.ids)
		}
	}
	for _, kind := range []string{"all", "market", "account"} {
		note("told_"+kind, float64(least[kind]))
	}
	note("met", float64(story.met()))
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
		s := &subscriber{path: everything, key: h.keys[i], sleeps: i%sleepers == 0}
		switch w := i / 3 % workers; i % 3 {
		case 1:
			s.path = ofMarket(h.markets[i/3%len(h.markets)])
		case 2:
			s.path, s.key = ofAccount(h.accounts[w]), h.keys[w]
		}
		c.subs = append(c.subs, s)
		c.wg.Go(func() { s.wrong = s.follow(ctx, h.address) })
	}
	patient := h.admin.With(client.Retry{Attempts: int(patience / time.Second), Base: 20 * time.Millisecond, Max: time.Second})
	for _, path := range []string{everything, ofMarket(h.markets[0]), ofAccount(h.accounts[0])} {
		last := &subscriber{path: path} // by the client, which only a restart cuts off
		c.subs = append(c.subs, last)
		c.wg.Go(func() { last.wrong = last.watch(ctx, patient, h) })
	}
	return c
}

// reach waits until everybody has a decision: first those that are told of everything.
// The others may not be told of it before a heartbeat, but for who comes back.
func (c *audience) reach(ctx context.Context, seq uint64) error {
	ctx, cancel := context.WithTimeout(ctx, patience+asleep)
	defer cancel()
	wait := func(of func(*subscriber) bool) error {
		for i, s := range c.subs {
			for of(s) && s.reached.Load() < seq {
				select {
				case <-ctx.Done():
					return fmt.Errorf("subscriber %d is at %d, the last order is %d", i, s.reached.Load(), seq)
				case <-time.After(time.Millisecond):
				}
			}
		}
		return nil
	}
	if err := wait(func(s *subscriber) bool { return s.path == everything }); err != nil {
		return err
	}
	for _, s := range c.subs {
		if s.reached.Load() < seq {
			s.cut(false)
		}
	}
	return wait(func(*subscriber) bool { return true })
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

// supply gives the workers shares of every market to sell.
func (h *house) supply(ctx context.Context) error {
	for i := range workers {
		c, err := h.trader(i)
		if err != nil {
			return err
		}
		for _, m := range h.markets {
			if _, err := c.Split(ctx, m, stock*engine.One); err != nil {
				return err
			}
		}
	}
	return nil
}

// work is one thing that a worker does in its turn: those of even numbers wait in a book
// a little below the first price, or above, and cancel what is left now and then; the
// others sell a while, to the pool and to them, and then buy it back.
func (h *house) work(ctx context.Context, c *client.Client, worker, turn int) error {
	m := h.markets[turn%len(h.markets)]
	round := turn / len(h.markets)
	o := client.Order{Market: m, Outcome: engine.Yes, Side: [2]engine.Side{engine.Sell, engine.Buy}[round/spell%2], TIF: engine.IOC, Shares: block * engine.One}
	if worker%2 == 0 {
		if round%waiting == waiting-1 {
			_, err := c.CancelAll(ctx, m)
			return err
		}
		o.Side, o.TIF, o.Limit = engine.Buy, engine.GTC, 499_999
		if worker%4 != 0 {
			o.Side, o.Limit = engine.Sell, 500_001
		}
	}
	_, err := c.PlaceOrder(ctx, o)
	return err
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
				if err = h.work(ctx, c, i, k); err == nil {
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
	d, err := c.PlaceOrder(ctx, client.Order{Market: h.markets[0], Outcome: engine.Yes, Side: engine.Buy, TIF: engine.IOC, Shares: engine.One})
	if err != nil {
		return 0, err
	}
	return d.Seq, nil
}
