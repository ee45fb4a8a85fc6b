package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/mbp-market/mbp/engine"
)

// nothing is the body of a mutation without parameters.
type nothing struct{}

func (c *Client) post(ctx context.Context, path string, body any, calls []Call) (*Decision, error) {
	x := &call{method: http.MethodPost, path: path, body: body}
	for _, o := range calls {
		o(x)
	}
	d := &Decision{}
	var err error
	if d.Replayed, err = c.do(ctx, x, d); err != nil {
		return nil, err
	}
	return d, nil
}

func get[T any](ctx context.Context, c *Client, path string, query url.Values) (*T, error) {
	v := new(T)
	_, err := c.do(ctx, &call{method: http.MethodGet, path: path, query: query}, v)
	if err != nil {
		return nil, err
	}
	return v, nil
}

// OpenAccount makes a trading account. Roles: operator, admin.
func (c *Client) OpenAccount(ctx context.Context, calls ...Call) (*Decision, error) {
	return c.post(ctx, "/v1/accounts", nothing{}, calls)
}

// Account returns what an account holds. Roles: its owner, operator, auditor,
// admin.
func (c *Client) Account(ctx context.Context, id engine.AccountID) (*Account, error) {
	return get[Account](ctx, c, "/v1/accounts/"+id.String(), nil)
}

// Grant issues credits to an account. Roles: operator, admin.
func (c *Client) Grant(ctx context.Context, id engine.AccountID, amount engine.Micros, calls ...Call) (*Decision, error) {
	body := struct {
		Amount engine.Micros `json:"amount_micros"`
	}{amount}
	return c.post(ctx, "/v1/accounts/"+id.String()+"/grants", body, calls)
}

// Me says whom the key stands for.
func (c *Client) Me(ctx context.Context) (*Me, error) { return get[Me](ctx, c, "/v1/me", nil) }

// AddKey registers an API key by its digest; see NewSecret. Role: admin.
func (c *Client) AddKey(ctx context.Context, k engine.Key, calls ...Call) (*Decision, error) {
	return c.post(ctx, "/v1/keys", k, calls)
}

// RevokeKey ends an API key. Role: admin.
func (c *Client) RevokeKey(ctx context.Context, sha256 engine.Digest, calls ...Call) (*Decision, error) {
	return c.post(ctx, "/v1/keys/"+sha256.String()+"/revoke", nothing{}, calls)
}

// Templates returns the registered template versions.
func (c *Client) Templates(ctx context.Context) (*TemplateList, error) {
	return get[TemplateList](ctx, c, "/v1/templates", nil)
}

// AddTemplate registers a template version. Roles: operator, admin.
func (c *Client) AddTemplate(ctx context.Context, t engine.Template, calls ...Call) (*Decision, error) {
	return c.post(ctx, "/v1/templates", t, calls)
}

// OpenMarket makes a market. Roles: operator, admin.
func (c *Client) OpenMarket(ctx context.Context, m engine.OpenMarket, calls ...Call) (*Decision, error) {
	return c.post(ctx, "/v1/markets", m, calls)
}

// Markets returns at most limit markets with ids above after; zero means from
// the first, as many as the server gives at once.
func (c *Client) Markets(ctx context.Context, after engine.MarketID, limit int) (*MarketPage, error) {
	q := page(limit)
	if after != 0 {
		q.Set("after", after.String())
	}
	return get[MarketPage](ctx, c, "/v1/markets", q)
}

// Market returns a market.
func (c *Client) Market(ctx context.Context, id engine.MarketID) (*Market, error) {
	return get[Market](ctx, c, "/v1/markets/"+id.String(), nil)
}

// Pause halts trading. Roles: operator, moderator, admin.
func (c *Client) Pause(ctx context.Context, id engine.MarketID, calls ...Call) (*Decision, error) {
	return c.post(ctx, "/v1/markets/"+id.String()+"/pause", nothing{}, calls)
}

// Resume reopens a paused market. Roles: operator, moderator, admin.
func (c *Client) Resume(ctx context.Context, id engine.MarketID, calls ...Call) (*Decision, error) {
	return c.post(ctx, "/v1/markets/"+id.String()+"/resume", nothing{}, calls)
}

// Propose names the outcome of a market with its evidence. Roles: resolver,
// admin.
func (c *Client) Propose(ctx context.Context, p engine.ProposeResolution, calls ...Call) (*Decision, error) {
	body := struct {
		Outcome  engine.Outcome `json:"outcome"`
		Evidence string         `json:"evidence_uri"`
		SHA256   engine.Digest  `json:"evidence_sha256"`
	}{p.Outcome, p.EvidenceURI, p.EvidenceSHA256}
	return c.post(ctx, "/v1/markets/"+p.Market.String()+"/resolution", body, calls)
}

// Approve accepts the proposal; another principal than the proposer must do it.
// Roles: resolver, admin.
func (c *Client) Approve(ctx context.Context, id engine.MarketID, calls ...Call) (*Decision, error) {
	return c.post(ctx, "/v1/markets/"+id.String()+"/resolution/approve", nothing{}, calls)
}

// Reject drops the proposal. Roles: resolver, admin.
func (c *Client) Reject(ctx context.Context, id engine.MarketID, calls ...Call) (*Decision, error) {
	return c.post(ctx, "/v1/markets/"+id.String()+"/resolution/reject", nothing{}, calls)
}

// Quote says what an order would fill now; its TIF does not matter.
func (c *Client) Quote(ctx context.Context, o Order) (*Quote, error) {
	q := url.Values{"market": {o.Market.String()}, "outcome": {o.Outcome.String()}, "side": {o.Side.String()}}
	for name, v := range map[string]int64{
		"amount_micros": int64(o.Amount), "shares_micros": int64(o.Shares), "limit_price_micros": int64(o.Limit),
	} {
		if v != 0 {
			q.Set(name, strconv.FormatInt(v, 10))
		}
	}
	return get[Quote](ctx, c, "/v1/quotes", q)
}

// PlaceOrder trades for the account of the key. Role: trader.
func (c *Client) PlaceOrder(ctx context.Context, o Order, calls ...Call) (*Decision, error) {
	return c.post(ctx, "/v1/orders", o, calls)
}

// Order returns the decision that took an order. Roles: its owner, auditor,
// operator, admin.
func (c *Client) Order(ctx context.Context, id engine.OrderID) (*Decision, error) {
	return get[Decision](ctx, c, "/v1/orders/"+id.String(), nil)
}

// Decision returns a decision. Roles: its principal, auditor, admin.
func (c *Client) Decision(ctx context.Context, seq engine.Seq) (*Decision, error) {
	return get[Decision](ctx, c, "/v1/decisions/"+strconv.FormatUint(uint64(seq), 10), nil)
}

// Decisions returns at most limit decisions after a sequence; a limit of zero
// means as many as the server gives at once. Roles: auditor, admin.
func (c *Client) Decisions(ctx context.Context, after engine.Seq, limit int) (*DecisionPage, error) {
	q := page(limit)
	q.Set("after", strconv.FormatUint(uint64(after), 10))
	return get[DecisionPage](ctx, c, "/v1/decisions", q)
}

// Ready reports, as an error, why the server does not serve yet.
func (c *Client) Ready(ctx context.Context) error {
	_, err := c.do(ctx, &call{method: http.MethodGet, path: "/readyz"}, nil)
	return err
}

func page(limit int) url.Values {
	q := url.Values{}
	if limit > 0 {
		q.Set("limit", strconv.Itoa(limit))
	}
	return q
}
