package linear

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
)

// The size of a load. Two workers share each account, so that they meet.
const (
	accounts = 6
	workers  = 2 * accounts
	// patience is how long a worker waits before it asks a silent platform again.
	patience = 10 * time.Millisecond
)

// Load is a number of clients of one platform, which may go away and come back
// under another address.
type Load struct {
	History *History
	admin   atomic.Pointer[client.Client] // of the platform as it can be reached now
	secrets [accounts + 1]string          // of the traders, by account; 0: of who grants credits
	market  engine.MarketID               // where traders trade
	quiet   engine.MarketID               // where orders rest, far from everything
	keys    atomic.Int64
	strange atomic.Pointer[error] // an answer that no client should get

	mu      sync.Mutex
	resting [accounts + 1][]engine.OrderID
	done    []Write // answered, to be repeated
}

// NewLoad begins a load without clients.
func NewLoad() *Load { return &Load{History: NewHistory()} }

// Reach says where the platform is now, and by whose key.
func (l *Load) Reach(admin *client.Client) { l.admin.Store(admin.With(client.NoRetry())) }

// Prepare makes accounts, keys and two markets that no guard stops. What it does
// as the admin is not recorded; what it grants is.
func (l *Load) Prepare(ctx context.Context) error {
	admin := l.admin.Load()
	policy, template := engine.DefaultPolicy(), engine.DefaultTemplate()
	policy.Version, policy.OrderInterval, policy.OrderBurst = "1.0.1", 1, 1_000_000
	template.ID, template.Guard = "calm", engine.GuardRule{}
	if _, err := admin.SetPolicy(ctx, policy); err != nil {
		return err
	}
	if _, err := admin.AddTemplate(ctx, template); err != nil {
		return err
	}
	if err := l.join(ctx, banker, engine.RoleOperator, 0); err != nil {
		return err
	}
	for i := range accounts {
		d, err := admin.OpenAccount(ctx)
		if err != nil {
			return err
		}
		id, err := d.Account()
		if err != nil || int(id) != i+1 {
			return fmt.Errorf("account %s is the first of %d: %w", id, i+1, err)
		}
		if err := l.join(ctx, principal(id), engine.RoleTrader, id); err != nil {
			return err
		}
		if _, err := l.write(ctx, 0, banker, &engine.GrantCredits{Account: id, Amount: 50_000 * engine.One}); err != nil {
			return err
		}
	}
	return l.open(ctx, template.Name())
}

// open makes the markets.
func (l *Load) open(ctx context.Context, template string) error {
	admin := l.admin.Load()
	house, err := admin.OpenAccount(ctx)
	if err != nil {
		return err
	}
	creator, err := house.Account()
	if err != nil {
		return err
	}
	if _, err := admin.Grant(ctx, creator, 10_000*engine.One); err != nil {
		return err
	}
	for _, m := range []*engine.MarketID{&l.market, &l.quiet} {
		d, err := admin.OpenMarket(ctx, engine.OpenMarket{Template: template, Title: "Will it hold?", Creator: creator, Liquidity: 2_000 * engine.One, Price: 500_000})
		if err != nil {
			return err
		}
		if *m, err = d.Market(); err != nil {
			return err
		}
	}
	return nil
}

// join registers a key of somebody.
func (l *Load) join(ctx context.Context, principal string, role engine.Roles, a engine.AccountID) error {
	secret, digest, err := client.NewSecret()
	if err != nil {
		return err
	}
	l.secrets[a] = secret
	_, err = l.admin.Load().AddKey(ctx, engine.Key{SHA256: digest, Principal: principal, Roles: role, Account: a})
	return err
}

// banker is who grants credits.
const banker = "banker"

func principal(a engine.AccountID) string { return fmt.Sprint("trader-", int(a)) }

// Run lets clients ask until stop is closed; then each waits for its last answer.
// It fails if ctx ends before, or on an answer that nobody should get.
func (l *Load) Run(ctx context.Context, seed uint64, stop <-chan struct{}) error {
	var all sync.WaitGroup
	errs := make([]error, workers)
	for i := range workers {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(i))) //nolint:gosec // reproducible, not secret
			for errs[i] == nil {
				select {
				case <-stop:
					return
				default:
				}
				errs[i] = l.turn(ctx, i, rng)
			}
		})
	}
	all.Wait()
	if strange := l.strange.Load(); strange != nil {
		errs = append(errs, *strange)
	}
	return errors.Join(errs...)
}

// turn is one wish of a worker.
func (l *Load) turn(ctx context.Context, worker int, rng *rand.Rand) error {
	a := engine.AccountID(worker/2 + 1)
	switch k := rng.IntN(100); {
	case k < 30:
		return l.trade(ctx, worker, a, rng)
	case k < 40:
		w, err := l.write(ctx, worker, principal(a), &engine.PlaceOrder{
			Account: a, Market: l.quiet, Outcome: engine.Yes, Side: engine.Buy, TIF: engine.GTC, Shares: engine.One, Limit: 20_000,
		})
		if r := rested(w.decision()); err == nil && r != nil {
			l.mu.Lock()
			l.resting[a] = append(l.resting[a], r.Order)
			l.mu.Unlock()
		}
		return err
	case k < 52:
		return l.cancel(ctx, worker, a, rng)
	case k < 60:
		_, err := l.write(ctx, worker, banker, &engine.GrantCredits{Account: engine.AccountID(1 + rng.IntN(accounts)), Amount: engine.Micros(1 + rng.IntN(1000))})
		return err
	case k < 72:
		return l.repeat(ctx, worker, rng)
	case k < 78:
		return l.quote(ctx, worker, rng)
	}
	return l.read(ctx, worker, engine.AccountID(1+rng.IntN(accounts)))
}

func (l *Load) trade(ctx context.Context, worker int, a engine.AccountID, rng *rand.Rand) error {
	x := &engine.PlaceOrder{Account: a, Market: l.market, Outcome: engine.Outcome(rng.IntN(2)), Side: engine.Buy, TIF: engine.IOC}
	if x.Amount = engine.Micros(1 + rng.IntN(2*engine.One)); rng.IntN(3) == 0 {
		x.Side, x.Amount, x.Shares = engine.Sell, 0, engine.Shares(1+rng.IntN(2*engine.One))
	}
	_, err := l.write(ctx, worker, principal(a), x)
	return err
}

// cancel tries one of the last orders of the account, as its other worker may, too.
func (l *Load) cancel(ctx context.Context, worker int, a engine.AccountID, rng *rand.Rand) error {
	l.mu.Lock()
	mine := l.resting[a][max(0, len(l.resting[a])-4):]
	l.mu.Unlock()
	if len(mine) == 0 {
		return nil
	}
	_, err := l.write(ctx, worker, principal(a), &engine.CancelOrder{Account: a, Order: mine[rng.IntN(len(mine))]})
	return err
}

// repeat asks again for something that was answered, twice at once now and then.
func (l *Load) repeat(ctx context.Context, worker int, rng *rand.Rand) error {
	l.mu.Lock()
	recent := l.done[max(0, len(l.done)-200):]
	if len(recent) == 0 {
		l.mu.Unlock()
		return nil
	}
	w := recent[rng.IntN(len(recent))]
	l.mu.Unlock()
	w.Answer = nil
	if rng.IntN(3) > 0 {
		_, err := l.settle(ctx, worker, w)
		return err
	}
	var twins sync.WaitGroup
	var errs [2]error
	for i := range errs {
		twins.Go(func() { _, errs[i] = l.settle(ctx, worker, w) })
	}
	twins.Wait()
	return errors.Join(errs[:]...)
}

func (w *Write) decision() *client.Decision {
	if w == nil || w.Answer == nil {
		return nil
	}
	return w.Answer.Decision
}

// write asks under a new key.
func (l *Load) write(ctx context.Context, worker int, principal string, c engine.Command) (*Write, error) {
	w, err := l.settle(ctx, worker, Write{Principal: principal, Key: fmt.Sprintf("k%d", l.keys.Add(1)), Command: c})
	if err == nil {
		l.mu.Lock()
		l.done = append(l.done, *w)
		l.mu.Unlock()
	}
	return w, err
}

// settle asks, with the same key, until there is an answer; each attempt is an
// operation of the history.
func (l *Load) settle(ctx context.Context, worker int, w Write) (*Write, error) {
	for {
		try := w
		op := Op{Worker: worker, Call: l.History.now(), Return: never, Write: &try}
		d, err := l.send(ctx, &try)
		switch p := (*client.Problem)(nil); {
		case err == nil:
			try.Answer = &Answer{d.Seq, d.Code.String(), d, d.Replayed}
		case errors.As(err, &p) && p.Decided():
			try.Answer = &Answer{engine.Seq(p.Seq), p.Code, nil, p.Replayed}
		case errors.As(err, &p) && p.Status < http.StatusInternalServerError && p.Status != http.StatusTooManyRequests:
			strange := fmt.Errorf("%s %s %s: %w", w.Principal, w.Key, w.Command.Type(), err)
			l.strange.CompareAndSwap(nil, &strange)
			return nil, strange
		}
		if try.Answer != nil {
			op.Return = l.History.now()
		}
		l.History.add(op)
		if try.Answer != nil {
			return &try, nil
		}
		if err := pause(ctx); err != nil {
			return nil, fmt.Errorf("%s %s has no answer: %w", w.Principal, w.Key, err)
		}
	}
}

func pause(ctx context.Context) error {
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// as returns the client of a trader, or of the banker, where the platform is now.
func (l *Load) as(a engine.AccountID) *client.Client { return l.admin.Load().As(l.secrets[a]) }

func (l *Load) send(ctx context.Context, w *Write) (*client.Decision, error) {
	switch x := w.Command.(type) {
	case *engine.GrantCredits:
		return l.as(0).Grant(ctx, x.Account, x.Amount, client.Key(w.Key))
	case *engine.PlaceOrder:
		return l.as(x.Account).PlaceOrder(ctx, orderOf(x), client.Key(w.Key))
	case *engine.CancelOrder:
		return l.as(x.Account).CancelOrder(ctx, x.Order, client.Key(w.Key))
	}
	return nil, fmt.Errorf("no route is known for %s", w.Command.Type())
}

func orderOf(x *engine.PlaceOrder) client.Order {
	return client.Order{Market: x.Market, Outcome: x.Outcome, Side: x.Side, TIF: x.TIF, Amount: x.Amount, Shares: x.Shares, Limit: x.Limit}
}

// read looks at an account, at what anybody knows or later.
func (l *Load) read(ctx context.Context, worker int, a engine.AccountID) error {
	known := l.History.Known()
	call := l.History.now()
	got, err := l.admin.Load().AtLeast(known).Account(ctx, a)
	if err != nil {
		return l.silence(ctx, err)
	}
	l.History.add(Op{Worker: worker, Call: call, Return: l.History.now(), Read: &Read{AtLeast: known, Seq: got.Seq, Account: &got.Account}})
	return nil
}

func (l *Load) quote(ctx context.Context, worker int, rng *rand.Rand) error {
	known := l.History.Known()
	call := l.History.now()
	a := engine.AccountID(1 + rng.IntN(accounts))
	x := engine.PlaceOrder{Account: a, Market: l.market, Outcome: engine.Outcome(rng.IntN(2)), Side: engine.Buy, TIF: engine.IOC, Amount: engine.Micros(1 + rng.IntN(engine.One))}
	got, err := l.as(a).AtLeast(known).Quote(ctx, orderOf(&x))
	if err != nil {
		return l.silence(ctx, err)
	}
	l.History.add(Op{Worker: worker, Call: call, Return: l.History.now(), Read: &Read{
		AtLeast: known, Seq: got.Seq, Quote: &Quote{x, got.Code, got.Amount, got.Shares},
	}})
	return nil
}

// silence waits after a read without an answer: it may be asked again by whoever
// wants to. A refusal is no silence.
func (l *Load) silence(ctx context.Context, err error) error {
	if p := (*client.Problem)(nil); errors.As(err, &p) && p.Status < http.StatusInternalServerError && p.Status != http.StatusTooManyRequests {
		return fmt.Errorf("read: %w", err)
	}
	return pause(ctx)
}
