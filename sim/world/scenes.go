package world

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
)

// evidence is the text on which the resolved market is decided. It travels in
// its own URI, so that anybody can check the digest.
const evidence = `Release notes 4.2
2026-09-18: rollout of release 4.2 to all customers completed (100 %).
Signed off by release management on 2026-09-21.
`

const (
	group        = "release-management"
	season       = "opening-season"
	seasonLength = 30 * 24 * time.Hour

	holders      = 12               // traders of the resolved market, half on either side
	settleWait   = 30 * time.Second // settling takes two decisions; longer means that it does not happen
	settleLook   = 50 * time.Millisecond
	tripOrders   = 400 // orders that trip the rate of ten a second with bursts of thirty, even on a slow disk
	tripParallel = 30
)

// compete puts the holders of the resolved market into a group, and opens a season that
// counts what they make of it; on a server that has one already, that one counts.
func (b *builder) compete(ctx context.Context) (int, error) {
	err := b.each(ctx, holders, func(ctx context.Context, i int) error {
		_, err := b.admin.SetAccountGroups(ctx, b.world.Traders[i].Account, []string{group})
		return err
	})
	if err != nil {
		return 0, err
	}
	now, err := b.admin.Seasons(ctx)
	if err != nil || len(now.Seasons) > 0 {
		return holders, err
	}
	_, err = b.admin.OpenSeason(ctx, client.NewSeason{Name: season, End: engine.Time(time.Now().Add(seasonLength).UnixMicro())})
	return holders, err
}

// resolve lets traders take both sides of the extra market, then one principal
// propose and another approve its outcome, and waits for the payouts.
func (b *builder) resolve(ctx context.Context) (int, error) {
	id := b.world.Resolved
	err := b.each(ctx, holders, func(ctx context.Context, i int) error {
		_, err := b.admin.As(b.world.Traders[i].Key).PlaceOrder(ctx, client.Order{
			Market: id, Outcome: engine.Outcome(i % 2), Side: engine.Buy, TIF: engine.IOC, Amount: engine.Micros(10+i) * engine.One,
		})
		return err
	})
	if err != nil {
		return 0, err
	}
	proposer, err := b.key(ctx, "proposer."+id.String(), engine.RoleResolver, 0)
	if err != nil {
		return 0, err
	}
	approver, err := b.key(ctx, "approver."+id.String(), engine.RoleResolver, 0)
	if err != nil {
		return 0, err
	}
	if _, err := b.admin.As(proposer).Propose(ctx, engine.ProposeResolution{
		Market: id, Outcome: engine.Yes, EvidenceSHA256: sha256.Sum256([]byte(evidence)),
		EvidenceURI: "data:text/plain;base64," + base64.StdEncoding.EncodeToString([]byte(evidence)),
	}); err != nil {
		return 0, err
	}
	d, err := b.admin.As(approver).Approve(ctx, id)
	if err != nil {
		return 0, err
	}
	if err := b.settled(ctx, id); err != nil {
		return 0, err
	}
	b.world.Payouts, err = b.payouts(ctx, id, d.Seq)
	return 1, err
}

// settled waits until a market is resolved.
func (b *builder) settled(ctx context.Context, id engine.MarketID) error {
	ctx, cancel := context.WithTimeout(ctx, settleWait)
	defer cancel()
	look := time.NewTicker(settleLook)
	defer look.Stop()
	for {
		m, err := b.admin.Market(ctx, id)
		switch {
		case err != nil:
			return err
		case m.State == engine.Resolved:
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("market %s is %s: %w", id, m.State, ctx.Err())
		case <-look.C:
		}
	}
}

// payouts sums what the holders of a market were paid after a decision.
func (b *builder) payouts(ctx context.Context, id engine.MarketID, after engine.Seq) (engine.Micros, error) {
	page, err := b.admin.Decisions(ctx, after, 100)
	if err != nil {
		return 0, err
	}
	for i := range page.Decisions {
		if x := page.Decisions[i].Settled(); x != nil && x.Market == id && x.Phase == engine.PhasePay {
			var paid engine.Micros
			for _, p := range x.Payouts {
				paid += p.Credits
			}
			if paid == 0 {
				return 0, fmt.Errorf("nobody was paid for market %s", id)
			}
			return paid, nil
		}
	}
	return 0, fmt.Errorf("no payouts of market %s after decision %d", id, after)
}

// trip sends more orders of one account than its rate allows and looks for the
// abuse event that the engine must have raised.
func (b *builder) trip(ctx context.Context) (int, error) {
	id, err := b.account(ctx, traderCredits)
	if err != nil {
		return 0, err
	}
	secret, err := b.key(ctx, "flooder."+id.String(), engine.RoleTrader, id)
	if err != nil {
		return 0, err
	}
	flooder := b.admin.As(secret).With(client.NoRetry())
	market := b.world.Markets[len(b.world.Markets)-1].Market // the quietest
	var mu sync.Mutex
	var refused []engine.Seq
	tripped := func() bool { mu.Lock(); defer mu.Unlock(); return len(refused) > 0 }
	flood := *b
	flood.cfg.Concurrency = tripParallel
	sent := 0
	for ; sent < tripOrders && !tripped(); sent += tripParallel {
		err := flood.each(ctx, tripParallel, func(ctx context.Context, _ int) error {
			_, err := flooder.PlaceOrder(ctx, client.Order{Market: market, Outcome: engine.Yes, Side: engine.Buy, TIF: engine.IOC, Amount: engine.One / 100})
			var p *client.Problem
			if errors.As(err, &p) && p.Code == engine.RateLimited.String() && p.Decided() {
				mu.Lock()
				defer mu.Unlock()
				refused = append(refused, engine.Seq(p.Seq))
				return nil
			}
			return err
		})
		if err != nil {
			return 0, err
		}
	}
	if len(refused) == 0 {
		return 0, fmt.Errorf("%d orders of %s at once and none was rate_limited", sent, id)
	}
	b.world.Abuse = slices.Min(refused)
	d, err := b.admin.Decision(ctx, b.world.Abuse)
	if err != nil {
		return 0, err
	}
	if e := d.Abuse(); d.Code != engine.RateLimited || e == nil || e.Account != id || e.Rule != engine.RuleOrderRate {
		return 0, fmt.Errorf("decision %d says %s with the abuse event %+v", d.Seq, d.Code, e)
	}
	return len(refused), nil
}
