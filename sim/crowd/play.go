package crowd

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
	"github.com/mbp-market/mbp/sim/playback"
)

const (
	// maxIdle is how many rounds in a row may pass without an order: every
	// trader was asked many times by then, and the truth has moved.
	maxIdle = 200
	// lastLook is how long the look at the final prices may take after the crowd
	// was stopped.
	lastLook = 3 * time.Second
)

// player is a crowd that trades.
type player struct {
	cfg         Config
	venue       Venue
	crowd       *crowd
	index       map[engine.MarketID]int
	first, last engine.MarketID
	run         string // what the idempotency keys of this run begin with
	desk        playback.Desk
	free        []time.Time // by trader: when the account may order again
	views       []view      // the newest
	tally       *tally
}

// answer is what became of an intent.
type answer struct {
	done  bool
	fill  playback.Fill
	err   error
	waits int
	took  []time.Duration // of fresh decisions
}

// Play lets the crowd trade until so many orders were placed, ctx ends, or the
// venue fails. The report says what happened until then, also beside an error;
// it is nil if nothing had begun.
func Play(ctx context.Context, v Venue, cfg Config) (*Report, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	var nonce [12]byte
	if _, err := rand.Read(nonce[:]); err != nil {
		return nil, fmt.Errorf("name the run: %w", err)
	}
	p := &player{
		cfg: cfg, venue: v, crowd: newCrowd(cfg.World, cfg.Seed), index: map[engine.MarketID]int{},
		first: cfg.World.Markets[0].Market, run: "crowd-" + hex.EncodeToString(nonce[:]),
		desk: playback.Desk{Orders: v, Slots: make(playback.Slots, cfg.Concurrency), Wait: true},
		free: make([]time.Time, len(cfg.World.Traders)),
	}
	for i, m := range cfg.World.Markets {
		p.index[m.Market] = i
		p.first, p.last = min(p.first, m.Market), max(p.last, m.Market)
	}
	if err := p.endow(ctx); err != nil {
		return nil, fmt.Errorf("ask what the traders have: %w", err)
	}
	if err := p.look(ctx); err != nil {
		return nil, err
	}
	p.tally = newTally(cfg, p.crowd, p.views)
	start := time.Now()
	err := p.play(ctx)
	took := time.Since(start)
	// Others may have traded, too; if the venue is gone, the last fills say
	// where its prices are.
	after, stop := context.WithTimeout(context.WithoutCancel(ctx), lastLook)
	defer stop()
	_ = p.look(after)
	return p.tally.report(p.crowd, p.views, took, err != nil), err
}

// endow asks what each account has.
func (p *player) endow(ctx context.Context) error {
	have := make([]engine.Account, len(p.crowd.traders))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(p.cfg.Concurrency)
	for i := range have {
		g.Go(func() (err error) {
			if err = gctx.Err(); err == nil {
				have[i], err = p.venue.Holdings(gctx, p.crowd.traders[i].account)
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for i, a := range have {
		p.crowd.endow(i, a, p.index)
	}
	return nil
}

// look sees the prices. A market that is not there is a fault.
func (p *player) look(ctx context.Context) error {
	all, err := p.venue.Markets(ctx, p.first, p.last)
	if err != nil {
		return fmt.Errorf("look at the markets: %w", err)
	}
	views, seen, open := make([]view, len(p.index)), 0, false
	for _, m := range all {
		if i, ours := p.index[m.Market]; ours {
			views[i] = view{open: m.State == engine.Open, price: m.PriceOf(engine.Yes)}
			open = open || views[i].open
			seen++
		}
	}
	if seen != len(views) {
		return fmt.Errorf("the venue has %d of the %d markets of the world", seen, len(views))
	}
	p.views = views
	if !open {
		return errClosed
	}
	return nil
}

func (p *player) play(ctx context.Context) error {
	told, idle := time.Now(), 0
	for placed := 0; placed < p.cfg.Orders; {
		if placed > 0 || idle > 0 {
			if err := p.look(ctx); err != nil {
				return err
			}
		}
		wishes := p.crowd.plan(p.views, p.cfg.Orders-placed)
		if idle++; len(wishes) > 0 {
			idle = 0
		}
		if idle == maxIdle {
			return errIdle
		}
		err := p.round(ctx, wishes, placed)
		if err != nil {
			return err
		}
		placed += len(wishes)
		if p.cfg.Progress != nil && time.Since(told) >= playback.ProgressEvery {
			p.cfg.Progress(placed, p.cfg.Orders)
			told = time.Now()
		}
	}
	return nil
}

// round places the orders of a round: those of a market one after the other,
// the markets beside each other. Then everybody learns, in the order of the
// plan, what became of it.
func (p *player) round(ctx context.Context, wishes []intent, before int) error {
	lanes := make([][]int, len(p.index))
	for n, w := range wishes {
		lanes[w.market] = append(lanes[w.market], n)
	}
	answers := make([]answer, len(wishes))
	g, gctx := errgroup.WithContext(ctx)
	for _, lane := range lanes {
		if len(lane) == 0 {
			continue
		}
		g.Go(func() error {
			for _, n := range lane {
				answers[n] = p.place(gctx, wishes[n], fmt.Sprintf("%s-%d", p.run, before+n))
				if err := answers[n].err; playback.Fatal(err) {
					return fmt.Errorf("order %d: %w", before+n+1, err)
				}
			}
			return nil
		})
	}
	err := g.Wait()
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	p.tally.rounds++
	for n, a := range answers {
		if !a.done || playback.Fatal(a.err) {
			continue
		}
		w := wishes[n]
		if a.err == nil {
			p.crowd.learn(w, a.fill.OrderFilled)
			p.views[w.market].price = yes(a.fill.PriceAfter, a.fill.Outcome)
		}
		p.tally.placed(p.crowd.traders[w.trader].style, w, a)
	}
	return err
}

// place places one order when its account may order again.
func (p *player) place(ctx context.Context, w intent, key string) answer {
	a := answer{done: true}
	if a.err = playback.Sleep(ctx, time.Until(p.free[w.trader])); a.err != nil {
		return a
	}
	desk := p.desk
	desk.Waited = func() { a.waits++ }
	desk.Decided = func(took time.Duration) { a.took = append(a.took, took) }
	a.fill, a.err = desk.Place(ctx, p.crowd.traders[w.trader].account, w.order, key)
	p.free[w.trader] = time.Now().Add(patience()) // its only order of this round
	return a
}

func yes(p engine.Price, o engine.Outcome) engine.Price {
	if o == engine.No {
		return engine.One - p
	}
	return p
}

// codeOf names a refusal for the report.
func codeOf(err error) string {
	if code := client.CodeOf(err); code != "" {
		return code
	}
	return "unknown"
}
