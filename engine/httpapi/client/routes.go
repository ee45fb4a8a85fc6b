package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"

	"github.com/mbp-market/mbp/engine"
)

// nothing is the body of a mutation without parameters.
type nothing struct{}

func (c *Client) post(ctx context.Context, path string, body any, calls []Call) (*Decision, error) {
	d := &Decision{}
	var err error
	if d.Replayed, err = c.mutate(ctx, path, body, calls, d); err != nil {
		return nil, err
	}
	return d, nil
}

func (c *Client) mutate(ctx context.Context, path string, body any, calls []Call, out any) (replayed bool, err error) {
	x := &call{method: http.MethodPost, path: path, body: body}
	for _, o := range calls {
		o(x)
	}
	return c.do(ctx, x, out)
}

func get[T any](ctx context.Context, c *Client, path string, query url.Values) (*T, error) {
	v := new(T)
	if c.atLeast != 0 {
		if query == nil {
			query = url.Values{}
		}
		query.Set("min_seq", strconv.FormatUint(uint64(c.atLeast), 10))
	}
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

// Keys returns a page of the keys that are not revoked, and of the persons whom an
// identity provider vouches for; after is 0, or the Next of the page before. Roles:
// auditor, admin.
func (c *Client) Keys(ctx context.Context, after, limit int) (*KeyPage, error) {
	q := page(limit)
	if after != 0 {
		q.Set("after", strconv.Itoa(after))
	}
	return get[KeyPage](ctx, c, "/v1/keys", q)
}

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

func marketPath(id engine.MarketID, act string) string {
	return "/v1/markets/" + id.String() + "/" + act
}

// Activate opens a draft. Roles: operator, admin.
func (c *Client) Activate(ctx context.Context, id engine.MarketID, calls ...Call) (*Decision, error) {
	return c.post(ctx, marketPath(id, "activate"), nothing{}, calls)
}

// Pause halts trading, and may cancel what waits in the book. Roles: operator,
// moderator, admin.
func (c *Client) Pause(ctx context.Context, id engine.MarketID, cancelOrders bool, calls ...Call) (*Decision, error) {
	body := struct {
		CancelOrders bool `json:"cancel_orders,omitempty"`
	}{cancelOrders}
	return c.post(ctx, marketPath(id, "pause"), body, calls)
}

// Resume reopens a paused market. Roles: operator, moderator, admin.
func (c *Client) Resume(ctx context.Context, id engine.MarketID, calls ...Call) (*Decision, error) {
	return c.post(ctx, marketPath(id, "resume"), nothing{}, calls)
}

// Reopen reopens a frozen market. Roles: operator, moderator, admin.
func (c *Client) Reopen(ctx context.Context, id engine.MarketID, calls ...Call) (*Decision, error) {
	return c.post(ctx, marketPath(id, "reopen"), nothing{}, calls)
}

// ChangeClose moves the time at which a market closes; zero is never by itself.
// Roles: operator, admin.
func (c *Client) ChangeClose(ctx context.Context, id engine.MarketID, at engine.Time, calls ...Call) (*Decision, error) {
	body := struct {
		CloseAt engine.Time `json:"close_at,omitzero"`
	}{at}
	return c.post(ctx, marketPath(id, "close-time"), body, calls)
}

// Close ends trading for good. Roles: operator, admin.
func (c *Client) Close(ctx context.Context, id engine.MarketID, calls ...Call) (*Decision, error) {
	return c.post(ctx, marketPath(id, "close"), nothing{}, calls)
}

// CancelMarket ends a market without an outcome. Roles: operator, admin.
func (c *Client) CancelMarket(ctx context.Context, x engine.CancelMarket, calls ...Call) (*Decision, error) {
	body := struct {
		Kind     engine.CancelKind `json:"kind"`
		Evidence string            `json:"evidence_uri"`
		SHA256   engine.Digest     `json:"evidence_sha256"`
	}{x.Kind, x.EvidenceURI, x.EvidenceSHA256}
	return c.post(ctx, marketPath(x.Market, "cancel"), body, calls)
}

// amount is a body of one amount.
type amount struct {
	Amount engine.Micros `json:"amount_micros"`
}

// Split turns credits of the key's account into complete sets. Role: trader.
func (c *Client) Split(ctx context.Context, id engine.MarketID, n engine.Micros, calls ...Call) (*Decision, error) {
	return c.post(ctx, marketPath(id, "split"), amount{n}, calls)
}

// Merge turns complete sets back into credits. Role: trader.
func (c *Client) Merge(ctx context.Context, id engine.MarketID, n engine.Micros, calls ...Call) (*Decision, error) {
	return c.post(ctx, marketPath(id, "merge"), amount{n}, calls)
}

// AddLiquidity puts credits into the pools at unchanged prices. Role: trader.
func (c *Client) AddLiquidity(ctx context.Context, id engine.MarketID, n engine.Micros, calls ...Call) (*Decision, error) {
	return c.post(ctx, marketPath(id, "liquidity/add"), amount{n}, calls)
}

// RemoveLiquidity gives units back for their part of the pools. Role: trader.
func (c *Client) RemoveLiquidity(ctx context.Context, id engine.MarketID, units engine.Shares, calls ...Call) (*Decision, error) {
	body := struct {
		Units engine.Shares `json:"units_micros"`
	}{units}
	return c.post(ctx, marketPath(id, "liquidity/remove"), body, calls)
}

// Report tells what a reporter knows of a market. Roles: service, resolver; the
// market's template must name the principal.
func (c *Client) Report(ctx context.Context, x engine.ReportFact, calls ...Call) (*Decision, error) {
	var said *truth
	if x.Cancel == 0 {
		t := truthOf(x.Outcome, x.Value)
		said = &t
	}
	body := struct {
		*truth
		Cancel     engine.CancelKind `json:"cancel,omitempty"`
		ObservedAt engine.Time       `json:"observed_at"`
		Evidence   string            `json:"evidence_uri"`
		Rule       engine.Digest     `json:"rule_sha256"`
		Facts      engine.Digest     `json:"facts_sha256"`
	}{said, x.Cancel, x.ObservedAt, x.EvidenceURI, x.RuleSHA256, x.FactsSHA256}
	return c.post(ctx, marketPath(x.Market, "facts"), body, calls)
}

// truth is an outcome, or of a scalar market a value.
type truth struct {
	Outcome engine.Outcome `json:"outcome"`
	Value   *int64         `json:"value,omitempty"`
}

func truthOf(o engine.Outcome, value int64) truth {
	if o == engine.Long {
		return truth{o, &value}
	}
	return truth{Outcome: o}
}

// Propose names the outcome of a market, or the value of a scalar one, with its
// evidence. Roles: resolver, admin.
func (c *Client) Propose(ctx context.Context, p engine.ProposeResolution, calls ...Call) (*Decision, error) {
	body := struct {
		truth
		Evidence  string        `json:"evidence_uri"`
		SHA256    engine.Digest `json:"evidence_sha256"`
		Rule      engine.Digest `json:"rule_sha256,omitzero"`
		Effective engine.Time   `json:"effective_at,omitzero"`
	}{truthOf(p.Outcome, p.Value), p.EvidenceURI, p.EvidenceSHA256, p.RuleSHA256, p.EffectiveAt}
	return c.post(ctx, marketPath(p.Market, "resolution"), body, calls)
}

// Dispute objects to a proposal within its window, once for a market; a trader's
// account has to hold something of it. Roles: trader, resolver, moderator,
// operator, admin.
func (c *Client) Dispute(ctx context.Context, x engine.DisputeResolution, calls ...Call) (*Decision, error) {
	body := struct {
		Evidence string        `json:"evidence_uri"`
		SHA256   engine.Digest `json:"evidence_sha256"`
	}{x.EvidenceURI, x.EvidenceSHA256}
	return c.post(ctx, marketPath(x.Market, "resolution/dispute"), body, calls)
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

// Quote says what an order would fill now. A TIF of zero counts as ioc.
func (c *Client) Quote(ctx context.Context, o Order) (*Quote, error) {
	q := url.Values{"market": {o.Market.String()}, "outcome": {o.Outcome.String()}, "side": {o.Side.String()}}
	for name, v := range map[string]int64{
		"amount_micros": int64(o.Amount), "shares_micros": int64(o.Shares), "limit_price_micros": int64(o.Limit),
	} {
		if v != 0 {
			q.Set(name, strconv.FormatInt(v, 10))
		}
	}
	if o.TIF != 0 {
		q.Set("tif", o.TIF.String())
	}
	if o.Expires != 0 {
		q.Set("expires_at", o.Expires.String())
	}
	if o.PostOnly {
		q.Set("post_only", "true")
	}
	if o.SelfTrade != 0 {
		q.Set("self_trade", o.SelfTrade.String())
	}
	return get[Quote](ctx, c, "/v1/quotes", q)
}

// PlaceOrder trades for the account of the key. Role: trader.
func (c *Client) PlaceOrder(ctx context.Context, o Order, calls ...Call) (*Decision, error) {
	return c.post(ctx, "/v1/orders", o, calls)
}

// CancelOrder takes an order of the key's account out of the book. Role: trader.
func (c *Client) CancelOrder(ctx context.Context, id engine.OrderID, calls ...Call) (*Decision, error) {
	return c.post(ctx, "/v1/orders/"+id.String()+"/cancel", nothing{}, calls)
}

// CancelAll takes all orders of the key's account out of the book, or those of
// one market. Role: trader.
func (c *Client) CancelAll(ctx context.Context, market engine.MarketID, calls ...Call) (*Decision, error) {
	body := struct {
		Market engine.MarketID `json:"market,omitempty"`
	}{market}
	return c.post(ctx, "/v1/orders/cancel-all", body, calls)
}

// AmendOrder changes what waits in the book; a limit of zero leaves it. Role:
// trader.
func (c *Client) AmendOrder(ctx context.Context, id engine.OrderID, q engine.Shares, limit engine.Price, calls ...Call) (*Decision, error) {
	body := struct {
		Shares engine.Shares `json:"shares_micros"`
		Limit  engine.Price  `json:"limit_price_micros,omitempty"`
	}{q, limit}
	return c.post(ctx, "/v1/orders/"+id.String()+"/amend", body, calls)
}

// Item is one item of a batch: exactly one of the four.
type Item struct {
	Place     *Order
	Cancel    engine.OrderID
	CancelAll bool // of all markets
	Amend     *Amendment
}

// Amendment changes what waits in the book.
type Amendment struct {
	Order  engine.OrderID `json:"order"`
	Shares engine.Shares  `json:"shares_micros"`
	Limit  engine.Price   `json:"limit_price_micros,omitempty"`
}

// MarshalJSON writes the item with its type.
func (i Item) MarshalJSON() ([]byte, error) {
	switch {
	case i.Place != nil:
		return json.Marshal(struct {
			Type string `json:"type"`
			*Order
		}{"place_order", i.Place})
	case i.Amend != nil:
		return json.Marshal(struct {
			Type string `json:"type"`
			*Amendment
		}{"amend_order", i.Amend})
	case i.CancelAll:
		return json.Marshal(map[string]string{"type": "cancel_all"})
	}
	return json.Marshal(map[string]string{"type": "cancel_order", "order": i.Cancel.String()})
}

// Batch decides on up to 50 items one after the other, in one decision with one
// result for each. It is not atomic. Role: trader.
func (c *Client) Batch(ctx context.Context, items []Item, calls ...Call) (*Decision, error) {
	body := struct {
		Items []Item `json:"items"`
	}{items}
	return c.post(ctx, "/v1/orders/batch", body, calls)
}

// Batches decides on up to 200 items one after the other, fifty to a decision, with
// nothing of others in between and one result for each. It is not atomic. There is
// one answer for all: where an error leaves the outcome open, a part may be decided,
// and the same call with the same key gets the answers of that part and has the rest
// decided. Role: trader.
func (c *Client) Batches(ctx context.Context, items []Item, calls ...Call) (*Batches, error) {
	body := struct {
		Items []Item `json:"items"`
	}{items}
	out := &Batches{}
	var err error
	if out.Replayed, err = c.mutate(ctx, "/v1/orders/batches", body, calls, out); err != nil {
		return nil, err
	}
	return out, nil
}

// Orders returns what waits of an account; of the key's own if it is zero. Roles:
// its owner, operator, auditor, admin.
func (c *Client) Orders(ctx context.Context, account engine.AccountID) (*OrderList, error) {
	q := url.Values{}
	if account != 0 {
		q.Set("account", account.String())
	}
	return get[OrderList](ctx, c, "/v1/orders", q)
}

// Book returns the best levels of an outcome's book; a depth of zero means as
// many as the server gives.
func (c *Client) Book(ctx context.Context, id engine.MarketID, o engine.Outcome, depth int) (*Book, error) {
	q := url.Values{"outcome": {o.String()}}
	if depth != 0 {
		q.Set("depth", strconv.Itoa(depth))
	}
	return get[Book](ctx, c, marketPath(id, "book"), q)
}

// Policy returns the bundle in force. Roles: operator, auditor, admin.
func (c *Client) Policy(ctx context.Context) (*Policy, error) {
	return get[Policy](ctx, c, "/v1/policy", nil)
}

// SetPolicy puts another bundle in force. Roles: operator, admin.
func (c *Client) SetPolicy(ctx context.Context, p engine.Policy, calls ...Call) (*Decision, error) {
	return c.post(ctx, "/v1/policy", p, calls)
}

// RollbackPolicy puts the bundle before back in force. Roles: operator, admin.
func (c *Client) RollbackPolicy(ctx context.Context, calls ...Call) (*Decision, error) {
	return c.post(ctx, "/v1/policy/rollback", nothing{}, calls)
}

// SetMode changes how much of its service the engine gives. Roles: operator,
// admin.
func (c *Client) SetMode(ctx context.Context, m engine.Mode, reason string, calls ...Call) (*Decision, error) {
	return c.post(ctx, "/v1/mode", engine.SetMode{Mode: m, Reason: reason}, calls)
}

// SetDeadlines holds deadlines, or confirms the time and lets them go on. Roles:
// operator, admin.
func (c *Client) SetDeadlines(ctx context.Context, held bool, reason string, calls ...Call) (*Decision, error) {
	return c.post(ctx, "/v1/deadlines", engine.SetDeadlines{Held: held, Reason: reason}, calls)
}

// House returns how the platform as a whole stands. Roles: operator, auditor,
// admin.
func (c *Client) House(ctx context.Context) (*House, error) {
	return get[House](ctx, c, "/v1/house", nil)
}

// UpgradeEngine lets the rules of another version decide. Role: admin.
func (c *Client) UpgradeEngine(ctx context.Context, version uint32, calls ...Call) (*Decision, error) {
	return c.post(ctx, "/v1/house/upgrade", engine.UpgradeEngine{Version: version}, calls)
}

// Moderate acts on an account or an abuse event. Roles: moderator, admin.
func (c *Client) Moderate(ctx context.Context, x engine.Moderate, calls ...Call) (*Decision, error) {
	return c.post(ctx, "/v1/moderation", x, calls)
}

// UndoModeration takes an act of moderation back. Roles: moderator, admin.
func (c *Client) UndoModeration(ctx context.Context, decision engine.Seq, calls ...Call) (*Decision, error) {
	return c.post(ctx, "/v1/moderation/undo", engine.UndoModeration{Decision: decision}, calls)
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
