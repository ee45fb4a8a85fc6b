package httpapi

import (
	"cmp"
	"errors"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/httpapi/problem"
	"github.com/mbp-market/mbp/engine/httpapi/roster"
	"github.com/mbp-market/mbp/engine/httpapi/wire"
)

// Levels of a book.
const (
	defaultDepth = 20
	maxDepth     = 100
)

// quoteAnswer is the dry run of an order.
type quoteAnswer struct {
	Seq         engine.Seq      `json:"seq"`
	Market      engine.MarketID `json:"market"`
	Outcome     engine.Outcome  `json:"outcome"`
	Side        engine.Side     `json:"side"`
	Amount      engine.Micros   `json:"amount_micros"`
	Shares      engine.Shares   `json:"shares_micros"`
	Fee         engine.Micros   `json:"fee_micros"`
	Average     engine.Price    `json:"average_price_micros"`
	PriceBefore engine.Price    `json:"price_before_micros"`
	PriceAfter  engine.Price    `json:"price_after_micros"`
	Impact      engine.Price    `json:"price_impact_micros"` // after less before
	Rests       engine.Shares   `json:"rests_micros"`        // would wait in the book
	Fills       []wire.Piece    `json:"fills"`
	Code        engine.Code     `json:"code"`
	Detail      string          `json:"detail,omitempty"`
}

// quote is a dry run of an order on the market alone; of the caller the groups count,
// and nothing that the account holds.
func (a *API) quote(c *call) (any, error) {
	x := c.Order()
	x.TIF = engine.IOC
	c.Into("tif", false, &x.TIF)
	if err := c.End(); err != nil {
		return nil, err
	}
	x.Account = c.key.Account
	doc := quoteAnswer{Market: x.Market, Outcome: x.Outcome, Side: x.Side}
	q := a.seq.Quote(x)
	a.charge(c, q.Work/stepsPerToken)
	f := &q.Filled
	doc.Seq, doc.Code, doc.Detail = q.Seq, q.Code, q.Detail
	switch doc.Code {
	case engine.InvalidCommand, engine.MarketNotFound: // there is nothing to quote
		return nil, &problem.Refusal{Code: doc.Code.String(), Detail: doc.Detail, Seq: doc.Seq}
	}
	doc.Amount, doc.Shares, doc.Fee, doc.Average, doc.Rests = f.Amount, f.Shares, f.Fee, f.Average, q.Rested.Shares
	doc.PriceBefore, doc.PriceAfter, doc.Impact = f.PriceBefore, f.PriceAfter, f.PriceAfter-f.PriceBefore
	doc.Fills = wire.PiecesOf(f)
	if len(f.Fills) == 0 && f.Shares > 0 {
		doc.Fills = append(doc.Fills, wire.Piece{With: "pool", Amount: f.Amount, Shares: f.Shares})
	}
	return doc, nil
}

func (a *API) book(c *call) (any, error) {
	doc := struct {
		Seq     engine.Seq         `json:"seq"`
		Market  engine.MarketID    `json:"market"`
		Outcome engine.Outcome     `json:"outcome"`
		Bids    []engine.BookLevel `json:"bids"`
		Asks    []engine.BookLevel `json:"asks"`
	}{}
	c.ID("market", &doc.Market)
	c.Into("outcome", true, &doc.Outcome)
	depth := int(c.Within("depth", maxDepth, defaultDepth))
	if err := c.End(); err != nil {
		return nil, err
	}
	market, outcome := false, false
	a.seq.View(func(s *core.State) {
		doc.Seq = s.Seq()
		market = doc.Market != 0 && int(doc.Market) <= s.MarketCount()
		doc.Bids, doc.Asks, outcome = s.Book(doc.Market, doc.Outcome, depth)
	})
	switch {
	case !market:
		return nil, &problem.Refusal{Code: engine.MarketNotFound.String(), Seq: doc.Seq}
	case !outcome:
		return nil, &problem.Refusal{Code: engine.InvalidCommand.String(), Detail: "the market has no such outcome", Seq: doc.Seq}
	}
	return doc, nil
}

// orders lists what waits of an account, by default the key's own.
func (a *API) orders(c *call) (any, error) {
	doc := struct {
		Seq     engine.Seq         `json:"seq"`
		Account engine.AccountID   `json:"account"`
		Orders  []engine.OpenOrder `json:"orders"`
	}{Account: c.key.Account}
	if !c.privileged() && c.key.Account == 0 {
		return nil, &problem.Refusal{Code: problem.Forbidden, Detail: "the API key has no account of its own"}
	}
	c.Into("account", c.key.Account == 0, &doc.Account)
	if err := cmp.Or(c.End(), c.own(doc.Account)); err != nil {
		return nil, err
	}
	found := false
	a.seq.View(func(s *core.State) {
		doc.Seq = s.Seq()
		found = int(doc.Account) <= s.AccountCount()
		doc.Orders = s.Orders(doc.Account)
	})
	if !found {
		return nil, &problem.Refusal{Code: engine.AccountNotFound.String(), Seq: doc.Seq}
	}
	return doc, nil
}

// order is the decision that took an order. What is no order, or was refused,
// has no order id.
func (a *API) order(c *call) (any, error) {
	var id engine.OrderID
	c.ID("order", &id)
	if err := c.End(); err != nil {
		return nil, err
	}
	missing := &problem.Refusal{Code: problem.NotFound, Detail: "there is no such order", Seq: a.seq.Durable()}
	d, err := a.find(id.Seq())
	var unknown *problem.Refusal
	if errors.As(err, &unknown) {
		return nil, missing
	}
	if err != nil {
		return nil, err
	}
	switch owner, taken := taker(d, id); {
	case !taken:
		return nil, missing
	case !c.privileged() && owner != c.key.Account:
		return nil, &problem.Refusal{Code: problem.Forbidden, Detail: "the order is not the API key's own"}
	}
	return c.shown(d), nil
}

// taker returns whose order a decision took under an id: an order that was taken
// traded, or waits, or met orders of its own account.
func taker(d *engine.Decision, id engine.OrderID) (owner engine.AccountID, taken bool) {
	for _, e := range d.Events {
		switch x := e.(type) {
		case *engine.OrderFilled:
			if x.Order == id {
				return x.Account, true
			}
		case *engine.OrderRested:
			if x.Order == id {
				return x.Account, true
			}
		}
	}
	return 0, false
}

// houseDoc is how the platform as a whole stands.
type houseDoc struct {
	Seq    engine.Seq  `json:"seq"`
	Mode   engine.Mode `json:"mode"`
	Rules  uint32      `json:"engine_version"`        // that decide
	Newest uint32      `json:"newest_engine_version"` // that this binary knows
	Time   engine.Time `json:"engine_time"`           // now
	Held   bool        `json:"deadlines_held"`        // until an operator confirms the time
	engine.House
}

func (a *API) house(c *call) (any, error) {
	if err := c.End(); err != nil {
		return nil, err
	}
	doc := houseDoc{Newest: engine.Version, Time: a.seq.Now()}
	a.seq.View(func(s *core.State) {
		doc.Held = s.DeadlinesHeld()
		doc.Seq, doc.Mode, doc.Rules, doc.House = s.Seq(), s.Mode(), s.Version(), s.House()
	})
	return doc, nil
}

// policy is the bundle of limits in force, and how much service is given.
func (a *API) policy(c *call) (any, error) {
	if err := c.End(); err != nil {
		return nil, err
	}
	return roster.Policy(a.seq), nil
}
