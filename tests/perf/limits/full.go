package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mbp-market/mbp/cmd/mbp/machine"
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/audit"
	"github.com/mbp-market/mbp/engine/httpapi"
	"github.com/mbp-market/mbp/engine/httpapi/client"
	"github.com/mbp-market/mbp/engine/journal/file"
	"github.com/mbp-market/mbp/engine/sequencer"
)

// maxSubmitters bounds who submits inside a part.
const maxSubmitters = 4096

// accounts trade, each under a principal and a key of its own.
const accounts = 256

// hall is a running writer with an open market and accounts.
type hall struct {
	log     *file.Log
	q       *sequencer.Sequencer
	metrics *prometheus.Registry
	secrets []string
	cancel  context.CancelFunc
	running sync.WaitGroup
	mu      sync.Mutex
	failed  error // guarded by mu
}

func (h *hall) run(ctx context.Context, fn func(context.Context) error) {
	h.running.Go(func() {
		if err := fn(ctx); err != nil && !errors.Is(err, context.Canceled) {
			h.mu.Lock()
			h.failed = errors.Join(h.failed, err)
			h.mu.Unlock()
		}
	})
}

func (h *hall) end() error {
	h.cancel()
	h.running.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	return errors.Join(h.failed, h.log.Close())
}

func openHall(ctx context.Context, dir string) (_ context.Context, _ *hall, err error) {
	machine.Processors()
	machine.Heap()
	h := &hall{metrics: prometheus.NewRegistry()}
	if h.log, err = file.Open(file.Config{Dir: filepath.Join(dir, "journal")}); err != nil {
		return nil, nil, err
	}
	if h.q, err = sequencer.New(sequencer.Config{Log: h.log, Registerer: h.metrics}); err != nil {
		return nil, nil, errors.Join(err, h.log.Close())
	}
	ctx, h.cancel = context.WithCancel(ctx)
	h.run(ctx, h.log.Run)
	h.run(ctx, h.q.Run)
	if err := h.furnish(ctx); err != nil {
		return nil, nil, errors.Join(err, h.end())
	}
	return ctx, h, nil
}

// furnish opens accounts and a market whose pool is deep enough that no trade
// moves its price to the guard. The order rate is as high as it can be, because
// the load is what it would refuse; everything else is as ever.
func (h *hall) furnish(ctx context.Context) error {
	policy := engine.DefaultPolicy()
	policy.OrderInterval, policy.OrderBurst = 1, 1_000_000
	commands := []engine.Command{&engine.Initialise{
		Policy: policy, Template: engine.DefaultTemplate(), Admin: engine.Key{SHA256: engine.Digest{1}, Principal: "boot", Roles: engine.RoleAdmin},
	}}
	for i := range accounts {
		secret, digest, err := client.NewSecret()
		if err != nil {
			return err
		}
		h.secrets = append(h.secrets, secret)
		id := engine.AccountID(i + 1)
		commands = append(commands, &engine.OpenAccount{}, &engine.GrantCredits{Account: id, Amount: 1_000_000 * engine.One},
			&engine.AddKey{Key: engine.Key{SHA256: digest, Principal: "trader-" + strconv.Itoa(i), Roles: engine.RoleTrader, Account: id}})
	}
	commands = append(commands, &engine.OpenMarket{
		Template: "binary@1.0.0", Title: "Does it rain?", Creator: 1, Liquidity: 900_000 * engine.One, Price: 500_000,
	})
	for _, c := range commands {
		a, err := h.q.Submit(ctx, sequencer.Request{Principal: "boot", Command: c})
		if err == nil && a.Decision.Code != engine.OK {
			err = fmt.Errorf("%s: %s", a.Decision.Code, a.Decision.Detail)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", c.Type(), err)
		}
	}
	return nil
}

func openDecide(ctx context.Context, dir string) (*subject, error) {
	ctx, h, err := openHall(ctx, dir)
	if err != nil {
		return nil, err
	}
	return &subject{end: h.end, submit: orders(ctx, h)}, nil
}

// orders returns how a submitter has its next order decided: it buys a share and
// sells it, in turn.
func orders(ctx context.Context, h *hall) func(submitter, i int) error {
	ctx = context.WithoutCancel(ctx) // the end comes after the last answer
	seats := make([]struct {         // each used by its submitter, a cache line of its own
		count int
		room  [56]byte
	}, maxSubmitters)
	principals := make([]string, accounts)
	for i := range principals {
		principals[i] = "trader-" + strconv.Itoa(i)
	}
	return func(s, _ int) error {
		seat := &seats[s]
		k := seat.count
		seat.count++
		x := &engine.PlaceOrder{
			Account: engine.AccountID(s%accounts + 1), Market: 1, Outcome: engine.Yes, Side: [2]engine.Side{engine.Buy, engine.Sell}[k%2], TIF: engine.IOC, Shares: engine.One,
		}
		key := strconv.AppendInt(append(strconv.AppendInt(seat.room[:0], int64(s), 10), '-'), int64(k), 10)
		got, err := h.q.Submit(ctx, sequencer.Request{Principal: principals[s%accounts], Key: string(key), Input: key, Command: x})
		if err == nil && got.Decision.Code != engine.OK {
			err = fmt.Errorf("an order is refused: %s", got.Decision.Code)
		}
		return err
	}
}

// openFull is the platform's durable path as mbp serve wires it: the writer, the
// audit tree, and the edge, whose streams follow.
func openFull(ctx context.Context, dir string) (*subject, error) {
	ctx, h, err := openHall(ctx, dir)
	if err != nil {
		return nil, err
	}
	secret, err := audit.NewSecret()
	if err != nil {
		return nil, errors.Join(err, h.end())
	}
	key, err := audit.ParseKey(secret)
	if err != nil {
		return nil, errors.Join(err, h.end())
	}
	folder := filepath.Join(dir, "audit")
	if err := os.Mkdir(folder, 0o755); err != nil {
		return nil, errors.Join(err, h.end())
	}
	tree, err := audit.New(audit.Config{Dir: folder, Log: h.log, Key: key, Every: audit.DefaultEvery, Registerer: h.metrics})
	if err != nil {
		return nil, errors.Join(err, h.end())
	}
	h.run(ctx, tree.Run)
	api, err := httpapi.New(httpapi.Config{
		Sequencer: h.q, Registerer: h.metrics, Gatherer: h.metrics, Logger: slog.New(slog.DiscardHandler), Audit: tree,
	})
	if err != nil {
		return nil, errors.Join(err, h.end(), tree.Close())
	}
	h.run(ctx, api.Run)
	address, stop, err := serve(ctx, api)
	if err != nil {
		return nil, errors.Join(err, h.end(), tree.Close())
	}
	return &subject{
		hello: hello{Address: address, Keys: h.secrets},
		end:   func() error { return errors.Join(stop(), h.end(), tree.Close()) },
	}, nil
}
