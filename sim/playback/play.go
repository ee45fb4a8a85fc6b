package playback

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
	"github.com/mbp-market/mbp/sim/tape"
)

// player is one playback under way.
type player struct {
	cfg      Config
	venue    Venue
	run      run
	creator  Account
	start    time.Time
	due      []time.Duration // nil: at once
	slots    Slots
	desk     Desk
	accounts []trader
	tally    *tally
	done     atomic.Int64
}

// trader makes its account when it first trades.
type trader struct {
	once    sync.Once
	account Account
	err     error
}

// Play plays the tape into the venue until it ends, ctx ends, or the venue
// fails. The report says what happened until then, also beside an error.
func Play(ctx context.Context, v Venue, cfg Config) (*Report, error) {
	if cfg.Concurrency < 1 || cfg.Speed < 0 || cfg.Speed > 0 && cfg.MaxGap <= 0 {
		return nil, errors.New("concurrency is at least 1, speed is not negative and needs a longest gap")
	}
	p := &player{
		cfg: cfg, venue: v, run: newRun(cfg.Tape, cfg.Options), start: time.Now(),
		due:      schedule(cfg.Tape.Trades, cfg.Speed, cfg.MaxGap),
		slots:    make(Slots, cfg.Concurrency),
		accounts: make([]trader, len(cfg.Tape.Accounts)),
		tally:    newTally(cfg.Tape),
	}
	p.desk = Desk{Orders: v, Slots: p.slots, Wait: cfg.Wait, Waited: p.tally.waited, Decided: p.tally.decided}
	err := p.play(ctx)
	return p.tally.report(time.Since(p.start), err != nil), err
}

func (p *player) play(ctx context.Context) error {
	var seeded engine.Micros
	for _, m := range p.cfg.Tape.Markets {
		seeded += m.Liquidity
	}
	var err error
	if p.creator, err = p.venue.Creator(ctx, p.run.key("creator", 0), max(seeded, 1)); err != nil {
		return fmt.Errorf("make the creator of markets: %w", err)
	}
	lanes := make([][]int, len(p.cfg.Tape.Markets))
	for i := range p.cfg.Tape.Trades {
		m := p.cfg.Tape.Trades[i].Market
		lanes[m] = append(lanes[m], i)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var lanesDone sync.WaitGroup
	for m, lane := range lanes {
		if len(lane) == 0 {
			continue
		}
		lanesDone.Go(func() {
			if err := p.lane(ctx, m, lane); err != nil {
				cancel(err) // the first cause stays
			}
		})
	}
	stop := make(chan struct{})
	var progress sync.WaitGroup
	progress.Go(func() { p.progress(stop) })
	lanesDone.Wait()
	close(stop)
	progress.Wait()
	return context.Cause(ctx)
}

func (p *player) progress(stop <-chan struct{}) {
	if p.cfg.Progress == nil {
		return
	}
	t := time.NewTicker(ProgressEvery)
	defer t.Stop()
	for {
		select {
		case <-stop:
			return
		case <-t.C:
			p.cfg.Progress(int(p.done.Load()), len(p.cfg.Tape.Trades))
		}
	}
}

// lane plays the trades of one market one after the other. An error ends the
// whole playback.
func (p *player) lane(ctx context.Context, market int, lane []int) error {
	var id engine.MarketID
	var closed error // why the market could not be opened
	for _, i := range lane {
		if p.due != nil {
			if err := Sleep(ctx, time.Until(p.start.Add(p.due[i]))); err != nil {
				return err
			}
		}
		if id == 0 && closed == nil {
			if id, closed = p.open(ctx, market); Fatal(closed) {
				return closed
			}
		}
		t := &p.cfg.Tape.Trades[i]
		if closed != nil {
			p.tally.rejected(t, "market_"+client.CodeOf(closed))
			p.done.Add(1)
			continue
		}
		if err := p.trade(ctx, t, id); err != nil {
			return err
		}
		p.done.Add(1)
	}
	return nil
}

func (p *player) open(ctx context.Context, market int) (engine.MarketID, error) {
	if err := p.slots.take(ctx); err != nil {
		return 0, err
	}
	defer func() { <-p.slots }()
	m := &p.cfg.Tape.Markets[market]
	id, err := p.venue.Market(ctx, engine.OpenMarket{
		Template: p.cfg.Options.Template.Name(), Title: m.Title, Creator: p.creator.ID, Liquidity: m.Liquidity, Price: m.Open,
	}, p.run.key("market", market))
	if err != nil {
		return 0, fmt.Errorf("open market %s: %w", m.ID, err)
	}
	p.tally.opened()
	return id, nil
}

// account returns the trader of a trade; the first one to ask makes it.
func (p *player) account(ctx context.Context, n int) (Account, error) {
	t := &p.accounts[n]
	t.once.Do(func() {
		if t.err = p.slots.take(ctx); t.err != nil {
			return
		}
		defer func() { <-p.slots }()
		if t.account, t.err = p.venue.Account(ctx, p.run.key("account", n), p.cfg.Tape.Accounts[n].Credits); t.err == nil {
			p.tally.joined()
		}
	})
	return t.account, t.err
}

// trade plays one trade. An error ends the whole playback; a refusal does not.
func (p *player) trade(ctx context.Context, t *tape.Trade, market engine.MarketID) error {
	a, err := p.account(ctx, t.Account)
	if err != nil {
		if Fatal(err) {
			return fmt.Errorf("make an account: %w", err)
		}
		p.tally.rejected(t, "account_"+client.CodeOf(err))
		return nil
	}
	o := t.Order
	o.Account, o.Market = a.ID, market
	f, err := p.desk.Place(ctx, a, o, p.run.key("row", t.Row))
	opposite := false
	if o.Side == engine.Sell && client.CodeOf(err) == engine.InsufficientShares.String() {
		// The source let the trader sell what it does not hold here (short sales,
		// holdings from before the recording). As many shares of the other outcome
		// give the same position, and move the pool alike.
		opposite = true
		o.Outcome, o.Side = o.Outcome.Other(), engine.Buy
		if o.Limit != 0 {
			o.Limit = engine.One - o.Limit
		}
		f, err = p.desk.Place(ctx, a, o, p.run.key("opposite", t.Row))
	}
	switch {
	case err == nil:
		p.tally.accepted(t, f, opposite)
	case Fatal(err):
		return fmt.Errorf("row %d: %w", t.Row, err)
	default:
		p.tally.rejected(t, client.CodeOf(err))
	}
	return nil
}

// Fatal says that going on makes no sense: the venue does not answer, or not to
// us. Every other refusal is a result.
func Fatal(err error) bool {
	var refused *client.Problem
	if !errors.As(err, &refused) {
		return err != nil
	}
	return refused.Status >= 500 || refused.Status == http.StatusUnauthorized || refused.Status == http.StatusForbidden ||
		refused.Status == http.StatusNotFound && !refused.Decided()
}

// Sleep waits, unless ctx ends first; that is its error.
func Sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
