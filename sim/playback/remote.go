package playback

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/httpapi/client"
)

// Remote is a running server, used through its public API. The keys of the
// traders are derived from the admin's and the run, so that a repeated run finds
// them without keeping a file of secrets.
type Remote struct {
	admin  *client.Client
	trader *client.Client // leaves waiting for a rate to the player, who counts it
	now    func() time.Time
}

// maxAge is how long after its start a run may be repeated: half of what the
// server remembers is left for the repetition itself.
const maxAge = time.Duration(core.RepeatWindow/2) * time.Microsecond

// NewRemote returns the server behind a client that acts as an admin key.
func NewRemote(admin *client.Client) *Remote {
	r := client.DefaultRetry()
	r.Limited = false
	return &Remote{admin: admin, trader: admin.With(r), now: time.Now}
}

// Creator implements Venue.
func (r *Remote) Creator(ctx context.Context, key string, credits engine.Micros) (Account, error) {
	secret := r.admin.Derive(key)
	me, err := r.admin.As(secret).Me(ctx)
	var refused *client.Problem
	switch {
	case errors.As(err, &refused) && refused.Status == http.StatusUnauthorized:
		return r.Account(ctx, key, credits)
	case err != nil:
		return Account{}, err
	}
	// The run was here before. Its first command tells whether the server still
	// remembers: adding the key again is either replayed or refused. Old keys are
	// dropped as new ones come, so the whole run must fit into what is left.
	d, err := r.addKey(ctx, key, secret, me.Account)
	switch {
	case client.CodeOf(err) == engine.AlreadyExists.String():
		return Account{}, ErrForgotten
	case err != nil:
		return Account{}, err
	case r.now().Sub(d.At.Time()) > maxAge:
		return Account{}, ErrForgotten
	}
	return Account{ID: me.Account, Secret: secret}, nil
}

// Account implements Venue.
func (r *Remote) Account(ctx context.Context, key string, credits engine.Micros) (Account, error) {
	d, err := r.admin.OpenAccount(ctx, client.Key(key+"-account"))
	if err != nil {
		return Account{}, err
	}
	id, err := d.Account()
	if err != nil {
		return Account{}, err
	}
	if _, err := r.admin.Grant(ctx, id, credits, client.Key(key+"-grant")); err != nil {
		return Account{}, err
	}
	secret := r.admin.Derive(key)
	if _, err := r.addKey(ctx, key, secret, id); err != nil {
		return Account{}, err
	}
	return Account{ID: id, Secret: secret}, nil
}

func (r *Remote) addKey(ctx context.Context, key, secret string, id engine.AccountID) (*client.Decision, error) {
	return r.admin.AddKey(ctx, engine.Key{
		SHA256: client.DigestOf(secret), Principal: "imported-" + key, Roles: engine.RoleTrader, Account: id,
	}, client.Key(key+"-key"))
}

// Market implements Venue.
func (r *Remote) Market(ctx context.Context, m engine.OpenMarket, key string) (engine.MarketID, error) {
	d, err := r.admin.OpenMarket(ctx, m, client.Key(key))
	if err != nil {
		return 0, err
	}
	return d.Market()
}

// Order implements Venue.
func (r *Remote) Order(ctx context.Context, a Account, o engine.PlaceOrder, key string) (Fill, error) {
	d, err := r.trader.As(a.Secret).PlaceOrder(ctx, client.Order{
		Market: o.Market, Outcome: o.Outcome, Side: o.Side, TIF: o.TIF, Amount: o.Amount, Shares: o.Shares, Limit: o.Limit,
	}, client.Key(key))
	if err != nil {
		return Fill{}, err
	}
	f, err := d.Filled()
	if err != nil {
		return Fill{}, fmt.Errorf("order %s: %w", key, err)
	}
	return Fill{OrderFilled: *f, Replayed: d.Replayed}, nil
}
