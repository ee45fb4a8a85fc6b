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
	Command   json.RawMessage   `json:"command"` // an object with its type
	Events    []json.RawMessage `json:"events"`  // objects with their types

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

// Filled returns the fill of the decision.
func (d *Decision) Filled() (*engine.OrderFilled, error) {
	e := &engine.OrderFilled{}
	return e, d.find(e)
}

// Abuse returns the abuse event of the decision, nil if it has none.
func (d *Decision) Abuse() *engine.AbuseRaised {
	e := &engine.AbuseRaised{}
	if d.find(e) != nil {
		return nil
	}
	return e
}

// Payouts returns the payouts of the decision, nil if it made none.
func (d *Decision) Payouts() *engine.PayoutsMade {
	e := &engine.PayoutsMade{}
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

// Order is an order as a trader gives it; its account is that of the key. A buy
// names either Amount or Shares, a sale names Shares.
type Order struct {
	Market  engine.MarketID `json:"market"`
	Outcome engine.Outcome  `json:"outcome"`
	Side    engine.Side     `json:"side"`
	TIF     engine.TIF      `json:"tif"`
	Amount  engine.Micros   `json:"amount_micros,omitempty"`
	Shares  engine.Shares   `json:"shares_micros,omitempty"`
	Limit   engine.Price    `json:"limit_price_micros,omitempty"` // marginal price that the order may reach; 0: the template's bounds
}

// Quote is the dry run of an order.
type Quote struct {
	Seq         engine.Seq      `json:"seq"`
	Market      engine.MarketID `json:"market"`
	Outcome     engine.Outcome  `json:"outcome"`
	Side        engine.Side     `json:"side"`
	Amount      engine.Micros   `json:"amount_micros"`
	Shares      engine.Shares   `json:"shares_micros"`
	Average     engine.Price    `json:"average_price_micros"`
	PriceBefore engine.Price    `json:"price_before_micros"`
	PriceAfter  engine.Price    `json:"price_after_micros"`
	Code        engine.Code     `json:"code"` // what the order would be told
}

// Snapshot is the first event of a stream: every market.
type Snapshot struct {
	Seq     engine.Seq      `json:"seq"`
	Markets []engine.Market `json:"markets"`
}

// PriceEvent is a quote event of the stream: the prices after a decision.
type PriceEvent struct {
	Seq      engine.Seq      `json:"seq"`
	Market   engine.MarketID `json:"market"`
	PriceYes engine.Price    `json:"yes_price_micros"`
	PriceNo  engine.Price    `json:"no_price_micros"`
	TWAP     engine.Price    `json:"twap_micros"`
	PoolYes  engine.Shares   `json:"pool_yes_micros"`
	PoolNo   engine.Shares   `json:"pool_no_micros"`
	Depth    engine.Micros   `json:"depth_micros"`
	At       engine.Time     `json:"decided_at"`
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
	At      engine.Time     `json:"decided_at"`
}
