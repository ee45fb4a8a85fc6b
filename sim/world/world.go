// Package world builds a market world on a running server, the way operators
// do: accounts with credits and keys, markets that a company would ask, a season
// for who forecasts best, a group of traders, one market resolved by two people with
// evidence, one account that runs into its order rate. Whoever loads or shows the
// platform starts from here.
//
// It promises: equal seeds give equal titles, prices, weights and sizes; the
// first market carries at least thirty percent of the flow; markets are deep
// enough that small orders at 120 a second stay inside their bounds for an hour
// even if they all go one way, and shallow enough that each of them moves the
// published price; secrets are made here, are never sent, and are written to
// one file that only its owner can read.
//
// It refuses to go on after the first surprise: a world that is half built is
// an error, never a smaller world.
package world

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
)

// Bounds of a world.
const (
	MinAccounts = 20 // the resolved market needs some of them
	MaxAccounts = 100_000
	MaxMarkets  = 1_000
)

// Sizes, in micros.
const (
	// traderCredits lasts an hour of orders of ten credits each at the account's
	// share of 120 a second.
	traderCredits = 100_000 * engine.One
	// depth is the liquidity of all markets together, shared by weight. With 0.35
	// of it (1.05 million credits) one credit moves a price by half a ppm, and the
	// 650,000 credits that an hour of five-credit orders brings to that market
	// move it from 0.50 to 0.72 if every one of them buys the same side.
	depth    = 3_000_000 * engine.One
	minDepth = 100_000 * engine.One
)

// Config says what to build.
type Config struct {
	Accounts    int
	Markets     int
	Seed        uint64
	Concurrency int // requests under way at once, ≥ 1
	// Progress is told of each step that ended; may be nil.
	Progress func(step string, n int, took time.Duration)
}

// World is what the file says: who can trade where.
type World struct {
	BaseURL string   `json:"base_url"`
	Markets []Market `json:"markets"`
	Traders []Trader `json:"traders"`
	Panel   Trader   `json:"panel"`

	Resolved engine.MarketID `json:"-"` // the market that was resolved
	Payouts  engine.Micros   `json:"-"` // what its winners were paid
	Abuse    engine.Seq      `json:"-"` // the decision that raised the abuse event
}

// Market is an open market with its share of the flow; the shares sum to one.
type Market struct {
	Market engine.MarketID `json:"market"`
	Weight float64         `json:"weight"`
}

// Trader is an account with the secret of its API key.
type Trader struct {
	Account engine.AccountID `json:"account"`
	Key     string           `json:"key"`
}

// builder is one world under construction.
type builder struct {
	cfg   Config
	admin *client.Client
	world *World
	plan  plan
}

// Build makes a world through a client that acts as an admin key.
func Build(ctx context.Context, admin *client.Client, cfg Config) (*World, error) {
	if cfg.Accounts < MinAccounts || cfg.Accounts > MaxAccounts || cfg.Markets < 1 || cfg.Markets > MaxMarkets || cfg.Concurrency < 1 {
		return nil, fmt.Errorf("a world has %d..%d accounts, 1..%d markets and a concurrency of at least 1", MinAccounts, MaxAccounts, MaxMarkets)
	}
	me, err := admin.Me(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask who the key is: %w", err)
	}
	if !me.Roles.Has(engine.RoleAdmin) {
		return nil, fmt.Errorf("the key of %s has the roles %v; a world needs an admin", me.Principal, me.Roles.Names())
	}
	b := &builder{cfg: cfg, admin: admin, world: &World{BaseURL: admin.URL()}, plan: newPlan(cfg.Seed, cfg.Markets)}
	for _, step := range []struct {
		name string
		do   func(context.Context) (int, error)
	}{
		{"markets opened", b.markets},
		{"accounts opened", b.accounts},
		{"accounts funded, keys added", b.fund},
		{"traders put into a group, season opened", b.compete},
		{"market resolved by two principals", b.resolve},
		{"order rate tripped, abuse event found", b.trip},
	} {
		began := time.Now()
		n, err := step.do(ctx)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", step.name, err)
		}
		if cfg.Progress != nil {
			cfg.Progress(step.name, n, time.Since(began))
		}
	}
	return b.world, nil
}

// markets opens them one after the other, so that equal seeds give equal ids on
// a fresh server.
func (b *builder) markets(ctx context.Context) (int, error) {
	var sum engine.Micros
	for _, m := range b.plan.markets {
		sum += m.liquidity
	}
	house, err := b.account(ctx, sum)
	if err != nil {
		return 0, err
	}
	for i, m := range b.plan.markets {
		d, err := b.admin.OpenMarket(ctx, engine.OpenMarket{
			Template: engine.DefaultTemplate().Name(), Title: m.title, Creator: house, Liquidity: m.liquidity, Price: m.price,
		})
		if err != nil {
			return 0, err
		}
		id, err := d.Market()
		if err != nil {
			return 0, err
		}
		if i == len(b.plan.markets)-1 { // the extra one
			b.world.Resolved = id
			break
		}
		b.world.Markets = append(b.world.Markets, Market{Market: id, Weight: float64(m.weight) / weightOne})
	}
	return len(b.plan.markets), nil
}

// account opens an account with credits.
func (b *builder) account(ctx context.Context, credits engine.Micros) (engine.AccountID, error) {
	d, err := b.admin.OpenAccount(ctx)
	if err != nil {
		return 0, err
	}
	id, err := d.Account()
	if err != nil {
		return 0, err
	}
	_, err = b.admin.Grant(ctx, id, credits)
	return id, err
}

// accounts opens the traders' accounts and the panel's. They are alike until
// they are sorted, so it does not matter which request came first.
func (b *builder) accounts(ctx context.Context) (int, error) {
	b.world.Traders = make([]Trader, b.cfg.Accounts+1)
	err := b.each(ctx, len(b.world.Traders), func(ctx context.Context, i int) error {
		d, err := b.admin.OpenAccount(ctx)
		if err != nil {
			return err
		}
		b.world.Traders[i].Account, err = d.Account()
		return err
	})
	slices.SortFunc(b.world.Traders, func(x, y Trader) int { return int(x.Account) - int(y.Account) })
	return len(b.world.Traders), err
}

// fund gives each account credits and a key.
func (b *builder) fund(ctx context.Context) (int, error) {
	err := b.each(ctx, len(b.world.Traders), func(ctx context.Context, i int) (err error) {
		t := &b.world.Traders[i]
		if _, err := b.admin.Grant(ctx, t.Account, traderCredits); err != nil {
			return err
		}
		t.Key, err = b.key(ctx, "trader."+t.Account.String(), engine.RoleTrader, t.Account)
		return err
	})
	last := len(b.world.Traders) - 1
	b.world.Panel = b.world.Traders[last]
	b.world.Traders = b.world.Traders[:last]
	return last + 1, err
}

// key makes a secret and registers its digest.
func (b *builder) key(ctx context.Context, principal string, roles engine.Roles, account engine.AccountID) (string, error) {
	secret, digest, err := client.NewSecret()
	if err != nil {
		return "", err
	}
	_, err = b.admin.AddKey(ctx, engine.Key{SHA256: digest, Principal: principal, Roles: roles, Account: account})
	return secret, err
}

// each calls do for 0..n−1, so many at a time; the first error ends it.
func (b *builder) each(ctx context.Context, n int, do func(context.Context, int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(b.cfg.Concurrency)
	for i := range n {
		if ctx.Err() != nil {
			break
		}
		g.Go(func() error { return do(ctx, i) })
	}
	return g.Wait()
}

// Save writes the world to a file that only its owner can read. The file is
// whole or not there: it is written beside its place and then renamed.
func (w *World) Save(path string) (err error) {
	b, err := json.MarshalIndent(w, "", " ")
	if err != nil {
		return fmt.Errorf("encode world: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return fmt.Errorf("write world: %w", err)
	}
	_, err = f.Write(append(b, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		err = errors.Join(fmt.Errorf("write world: %w", err), os.Remove(f.Name()))
	}
	return err
}
