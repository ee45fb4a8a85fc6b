package client

import (
	"encoding/json"
	"fmt"

	"github.com/mbp-market/mbp/engine"
)

// Decision is a decision of the engine as the API shows it.
type Decision struct {
	Seq       engine.Seq        `json:"seq"`
	At        engine.Time       `json:"decided_at"`
	Code      engine.Code       `json:"code"`
	Detail    string            `json:"detail,omitempty"`
	Principal string            `json:"principal"`
	Command   json.RawMessage   `json:"command"`           // an object with its type
	Events    []json.RawMessage `json:"events"`            // objects with their types
	Results   []engine.Result   `json:"results,omitempty"` // of a batch: one for each item
	Secret    string            `json:"secret,omitempty"`  // of a webhook that was added or got another one

	Replayed bool `json:"-"` // the server had answered this idempotency key before
}

// find decodes the first event of the wanted type into out.
func (d *Decision) find(out engine.Event) error {
	for _, raw := range d.Events {
		var head struct {
			Type string `json:"type"`
		}
		if err := json.Unmarshal(raw, &head); err != nil {
			return fmt.Errorf("decision %d: %w", d.Seq, err)
		}
		if head.Type != out.Type() {
			continue
		}
		if err := json.Unmarshal(raw, out); err != nil {
			return fmt.Errorf("decision %d: %s: %w", d.Seq, head.Type, err)
		}
		return nil
	}
	return fmt.Errorf("decision %d has no event %s", d.Seq, out.Type())
}

// Account returns the account that the decision opened.
func (d *Decision) Account() (engine.AccountID, error) {
	var e engine.AccountOpened
	err := d.find(&e)
	return e.Account, err
}

// Market returns the market that the decision opened.
func (d *Decision) Market() (engine.MarketID, error) {
	var e engine.MarketOpened
	err := d.find(&e)
	return e.Market, err
}

// Filled returns the fill of the decision. Only keys of operators, auditors,
// moderators and admins learn the makers of its pieces; of the pieces that others
// get, Maker says nothing.
func (d *Decision) Filled() (*engine.OrderFilled, error) {
	e := &engine.OrderFilled{}
	return e, d.find(e)
}

// Abuse returns the abuse event of the decision, nil if it has none that the key
// may see: alerts are not for traders.
func (d *Decision) Abuse() *engine.AbuseRaised {
	e := &engine.AbuseRaised{}
	if d.find(e) != nil {
		return nil
	}
	return e
}

// Rested returns the order, or what is left of it, that the decision left in the
// book; nil if there is none.
func (d *Decision) Rested() *engine.OrderRested {
	e := &engine.OrderRested{}
	if d.find(e) != nil {
		return nil
	}
	return e
}

// Settled returns the step of a settlement that the decision made, nil if it made
// none.
func (d *Decision) Settled() *engine.SettlementStepped {
	e := &engine.SettlementStepped{}
	if d.find(e) != nil {
		return nil
	}
	return e
}

// Account is what an account holds, as of a decision.
type Account struct {
	Seq engine.Seq `json:"seq"`
	engine.Account
}

// Me is whom the API key stands for.
type Me struct {
	Seq       engine.Seq       `json:"seq"`
	Principal string           `json:"principal"`
	Roles     engine.Roles     `json:"roles"`
	Account   engine.AccountID `json:"account,omitempty"`
}

// Market is what anybody may know of a market, as of a decision.
type Market struct {
	Seq engine.Seq `json:"seq"`
	engine.Market
}

// MarketPage is a page of markets in the order of their ids.
type MarketPage struct {
	Seq     engine.Seq      `json:"seq"`
	Markets []engine.Market `json:"markets"`
	Next    engine.MarketID `json:"next,omitempty"` // ask for what comes after it; 0: this is the end
}

// KeyPage is a page of keys in the order in which they were added; it may be short.
type KeyPage struct {
	Seq  engine.Seq `json:"seq"`
	Keys []KnownKey `json:"keys"`
	Next int        `json:"next,omitempty"` // ask for what comes after it; 0: this is the end
}

// KnownKey is what is on record of a key, and on which day of UTC the server saw it last,
// as YYYY-MM-DD; "": it does not know.
type KnownKey struct {
	engine.Key
	LastUsed string `json:"last_used,omitempty"`
}

// DecisionPage is a page of decisions in order.
type DecisionPage struct {
	Seq       engine.Seq `json:"seq"`
	Decisions []Decision `json:"decisions"`
	Next      engine.Seq `json:"next,omitempty"` // ask for what comes after it; 0: this is the end
}

// TemplateList is every registered template version.
type TemplateList struct {
	Seq       engine.Seq        `json:"seq"`
	Templates []engine.Template `json:"templates"`
}

// Batches are the decisions on many items, in order.
type Batches struct {
	Seq       engine.Seq `json:"seq"` // of the last one
	Decisions []Decision `json:"decisions"`

	Replayed bool `json:"-"` // the server had decided all of it before
}

// Results are the verdicts on the items, in their order over all decisions.
func (b *Batches) Results() (out []engine.Result) {
	for i := range b.Decisions {
		out = append(out, b.Decisions[i].Results...)
	}
	return out
}

// OrderList is the orders of an account that wait in the book, the oldest first.
type OrderList struct {
	Seq     engine.Seq         `json:"seq"`
	Account engine.AccountID   `json:"account"`
	Orders  []engine.OpenOrder `json:"orders"`
}

// Book is the best levels of an outcome's book.
type Book struct {
	Seq     engine.Seq         `json:"seq"`
	Market  engine.MarketID    `json:"market"`
	Outcome engine.Outcome     `json:"outcome"`
	Bids    []engine.BookLevel `json:"bids"`
	Asks    []engine.BookLevel `json:"asks"`
}

// House is how the platform as a whole stands.
type House struct {
	Seq    engine.Seq  `json:"seq"`
	Mode   engine.Mode `json:"mode"`
	Rules  uint32      `json:"engine_version"`        // that decide
	Newest uint32      `json:"newest_engine_version"` // that the server knows
	Time   engine.Time `json:"engine_time"`           // of the server
	Held   bool        `json:"deadlines_held"`        // until an operator confirms the time
	engine.House
}

// Policy is the bundle of limits in force, and how much service is given.
type Policy struct {
	Seq    engine.Seq    `json:"seq"`
	Mode   engine.Mode   `json:"mode"`
	SHA256 engine.Digest `json:"sha256"`
	Policy engine.Policy `json:"policy"`
}

// Order is an order as a trader gives it; its account is that of the key. A buy
// names either Amount or Shares, a sale names Shares.
type Order struct {
	Market    engine.MarketID  `json:"market"`
	Outcome   engine.Outcome   `json:"outcome"`
	Side      engine.Side      `json:"side"`
	TIF       engine.TIF       `json:"tif"`
	Amount    engine.Micros    `json:"amount_micros,omitempty"`
	Shares    engine.Shares    `json:"shares_micros,omitempty"`
	Limit     engine.Price     `json:"limit_price_micros,omitempty"` // price that the order may reach; 0: the template's bounds
	Expires   engine.Time      `json:"expires_at,omitzero"`          // GTD
	PostOnly  bool             `json:"post_only,omitempty"`
	SelfTrade engine.SelfTrade `json:"self_trade,omitzero"`
	IfSeq     engine.Seq       `json:"if_seq,omitempty"` // refused unless the market is as at this sequence, that of a Quote; quotes ignore it
}

// Quote is the dry run of an order.
type Quote struct {
	Seq         engine.Seq      `json:"seq"`
	Market      engine.MarketID `json:"market"`
	Outcome     engine.Outcome  `json:"outcome"`
	Side        engine.Side     `json:"side"`
	Amount      engine.Micros   `json:"amount_micros"` // without the fee
	Shares      engine.Shares   `json:"shares_micros"`
	Fee         engine.Micros   `json:"fee_micros"`
	Average     engine.Price    `json:"average_price_micros"`
	PriceBefore engine.Price    `json:"price_before_micros"`
	PriceAfter  engine.Price    `json:"price_after_micros"`
	Impact      engine.Price    `json:"price_impact_micros"`
	Rests       engine.Shares   `json:"rests_micros"` // would wait in the book
	Fills       []QuoteFill     `json:"fills"`
	Code        engine.Code     `json:"code"` // what the order would be told
	Detail      string          `json:"detail,omitempty"`
}

// QuoteFill is a piece of what an order would fill.
type QuoteFill struct {
	With   string        `json:"with"` // pool or book
	Amount engine.Micros `json:"amount_micros"`
	Shares engine.Shares `json:"shares_micros"`
}

// Snapshot is the first event of a stream: every market.
type Snapshot struct {
	Seq     engine.Seq      `json:"seq"`
	Markets []engine.Market `json:"markets"`
}

// PriceEvent is a quote event of the stream: where a decision left a market.
type PriceEvent struct {
	Seq      engine.Seq            `json:"seq"`
	Market   engine.MarketID       `json:"market"`
	Outcomes []engine.OutcomeState `json:"outcomes"`
	At       engine.Time           `json:"decided_at"`
}

// TradeEvent is a trade event of the stream; it does not say whose trade it was.
type TradeEvent struct {
	Seq     engine.Seq      `json:"seq"`
	Market  engine.MarketID `json:"market"`
	Outcome engine.Outcome  `json:"outcome"`
	Side    engine.Side     `json:"side"`
	Amount  engine.Micros   `json:"amount_micros"`
	Shares  engine.Shares   `json:"shares_micros"`
	Average engine.Price    `json:"average_price_micros"`
	Fee     engine.Micros   `json:"fee_micros"`
	At      engine.Time     `json:"decided_at"`
}

// MarketGroups is who may trade a market.
type MarketGroups struct {
	Seq uint64 `json:"seq"`
	engine.MarketGroups
}

// AccountGroups is which groups an account is in, and who says so.
type AccountGroups struct {
	Seq uint64 `json:"seq"`
	engine.AccountGroups
}
