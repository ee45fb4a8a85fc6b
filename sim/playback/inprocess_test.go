package playback

import (
	"context"
	"crypto/sha256"
	"sync"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/httpapi/client"
)

// inProcess is an engine without a journal and an edge: the real decisions,
// nothing around them. Its clock advances by step with each command, so that a
// run is the same every time.
type inProcess struct {
	mu    sync.Mutex
	state *core.State
	now   engine.Time
	step  engine.Time
	log   map[string]*engine.Decision // by account and key, as the journal remembers them
	owner map[string]Account
	fresh int // decisions taken
}

var admin = engine.Key{SHA256: engine.Digest{1}, Principal: "admin", Roles: engine.RoleAdmin}

func newInProcess(step time.Duration) *inProcess {
	v := &inProcess{
		state: core.New(), now: 1_767_355_200_000_000, step: engine.Time(step.Microseconds()),
		log: map[string]*engine.Decision{}, owner: map[string]Account{},
	}
	v.give("", &engine.Initialise{Policy: engine.DefaultPolicy(), Template: Template(), Admin: admin})
	return v
}

// give decides and folds a command, or finds what it said to the key before.
func (v *inProcess) give(key string, c engine.Command) (d *engine.Decision, replayed bool, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if d = v.log[key]; d == nil || key == "" {
		d = &engine.Decision{}
		v.now += v.step
		if err := v.state.Step(engine.Request{At: v.now, Principal: "admin", Command: c}, d); err != nil {
			return nil, false, err
		}
		d = d.Clone()
		v.log[key] = d
		v.fresh++
	} else {
		replayed = true
	}
	if d.Code == engine.OK {
		return d, replayed, nil
	}
	p := &client.Problem{Status: 422, Code: d.Code.String(), Detail: d.Detail, Seq: uint64(d.Seq), Instance: "/v1/decisions", Replayed: replayed}
	if o, ok := c.(*engine.PlaceOrder); ok && d.Code == engine.RateLimited {
		p.Status = 429
		p.RetryAfter = time.Duration(v.state.RetryAfter(o.Account, v.now)) * time.Microsecond
	}
	return nil, replayed, p
}

func (v *inProcess) Creator(ctx context.Context, key string, credits engine.Micros) (Account, error) {
	return v.Account(ctx, key, credits)
}

func (v *inProcess) Account(_ context.Context, key string, credits engine.Micros) (Account, error) {
	d, _, err := v.give(key+"a", &engine.OpenAccount{})
	if err != nil {
		return Account{}, err
	}
	id := d.Events[0].(*engine.AccountOpened).Account
	if _, _, err := v.give(key+"g", &engine.GrantCredits{Account: id, Amount: credits}); err != nil {
		return Account{}, err
	}
	digest := engine.Digest(sha256.Sum256([]byte(key)))
	_, _, err = v.give(key+"k", &engine.AddKey{Key: engine.Key{SHA256: digest, Principal: "imported-" + key, Roles: engine.RoleTrader, Account: id}})
	return Account{ID: id}, err
}

func (v *inProcess) Market(_ context.Context, m engine.OpenMarket, key string) (engine.MarketID, error) {
	d, _, err := v.give(key, &m)
	if err != nil {
		return 0, err
	}
	return d.Events[0].(*engine.MarketOpened).Market, nil
}

func (v *inProcess) Order(_ context.Context, _ Account, o engine.PlaceOrder, key string) (Fill, error) {
	d, replayed, err := v.give(key, &o)
	if err != nil {
		return Fill{}, err
	}
	return Fill{OrderFilled: *d.Filled(), Replayed: replayed}, nil
}
