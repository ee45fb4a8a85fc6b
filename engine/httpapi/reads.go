package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/sequencer"
)

// Page sizes.
const (
	defaultMarkets   = 50
	maxMarkets       = 500
	defaultDecisions = 100
	maxDecisions     = 1000
)

// answer serves a read: the query first, then the wait for min_seq, then the
// route's own work.
func (a *API) answer(w http.ResponseWriter, c *call) {
	doc, err := a.document(c)
	if err != nil && c.r.Context().Err() != nil {
		panic(http.ErrAbortHandler) // the client has left, and there is nobody to answer
	}
	if err != nil {
		a.fail(w, c.r, err)
		return
	}
	a.write(w, c.r, http.StatusOK, "application/json", doc)
}

func (a *API) document(c *call) (any, error) {
	var err error
	if c.form, err = parseQuery(c.r.URL.RawQuery); err != nil {
		return nil, err
	}
	if c.form.members["min_seq"] != nil {
		want := engine.Seq(c.form.uint64("min_seq", true))
		if c.form.fault != nil {
			return nil, c.form.fault
		}
		if err := a.await(c, want); err != nil {
			return nil, err
		}
	}
	return c.route.read(c)
}

// await returns when the read model has reached a sequence.
func (a *API) await(c *call, want engine.Seq) error {
	at := a.seq.Durable()
	switch {
	case want <= at:
		return nil
	case want > at+minSeqAhead:
		return &refusal{code: codeBehind, detail: "the sequence is too far ahead to wait for it", seq: at}
	case !a.waiting.enter(c.key.SHA256):
		return tooMany(minSeqWait, "too many reads of this API key wait for a sequence")
	}
	defer a.waiting.leave(c.key.SHA256)
	ctx, cancel := context.WithTimeout(c.r.Context(), minSeqWait)
	defer cancel()
	err := a.seq.Wait(ctx, want)
	if err != nil && c.r.Context().Err() == nil {
		return &refusal{code: codeBehind, detail: "the sequence is not reached within " + minSeqWait.String(), seq: a.seq.Durable()}
	}
	return err
}

func (a *API) me(c *call) (any, error) {
	if err := c.form.end(); err != nil {
		return nil, err
	}
	doc := struct {
		Seq       engine.Seq       `json:"seq"`
		Principal string           `json:"principal"`
		Roles     engine.Roles     `json:"roles"`
		Account   engine.AccountID `json:"account,omitempty"`
	}{0, c.key.Principal, c.key.Roles, c.key.Account}
	a.seq.View(func(s *engine.State) { doc.Seq = s.Seq() })
	return doc, nil
}

func (a *API) account(c *call) (any, error) {
	var id engine.AccountID
	c.id("account", &id)
	if err := c.form.end(); err != nil {
		return nil, err
	}
	if !c.privileged() && id != c.key.Account {
		return nil, &refusal{code: codeForbidden, detail: "the account is not the API key's own"}
	}
	doc := struct {
		Seq engine.Seq `json:"seq"`
		engine.Account
	}{}
	found := false
	a.seq.View(func(s *engine.State) {
		doc.Seq = s.Seq()
		doc.Account, found = s.Account(id)
	})
	if !found {
		return nil, &refusal{code: engine.AccountNotFound.String(), seq: doc.Seq}
	}
	return doc, nil
}

func (a *API) templates(c *call) (any, error) {
	if err := c.form.end(); err != nil {
		return nil, err
	}
	doc := struct {
		Seq       engine.Seq        `json:"seq"`
		Templates []engine.Template `json:"templates"`
	}{}
	a.seq.View(func(s *engine.State) { doc.Seq, doc.Templates = s.Seq(), s.Templates() })
	return doc, nil
}

// limit reads a page size.
func (f *form) limit(most, normal int64) int64 {
	n := f.int64("limit", false)
	switch {
	case f.members["limit"] == nil:
		return normal
	case n < 1 || n > most:
		f.fail("limit lies in 1..%d", most)
	}
	return n
}

func (a *API) markets(c *call) (any, error) {
	var after engine.MarketID
	c.form.into("after", false, &after)
	limit := int(c.form.limit(maxMarkets, defaultMarkets))
	if err := c.form.end(); err != nil {
		return nil, err
	}
	doc := struct {
		Seq     engine.Seq      `json:"seq"`
		Markets []engine.Market `json:"markets"`
		Next    engine.MarketID `json:"next,omitempty"`
	}{}
	now := a.seq.Now()
	a.seq.View(func(s *engine.State) {
		doc.Seq = s.Seq()
		doc.Markets = marketsOf(s, after, limit, now)
		if n := len(doc.Markets); n > 0 && int(doc.Markets[n-1].Market) < s.MarketCount() {
			doc.Next = doc.Markets[n-1].Market
		}
	})
	return doc, nil
}

// marketsOf returns the markets after one, at most limit of them.
func marketsOf(s *engine.State, after engine.MarketID, limit int, now engine.Time) []engine.Market {
	out := []engine.Market{}
	for id := after + 1; int(id) <= s.MarketCount() && len(out) < limit && id != 0; id++ {
		if m, ok := s.Market(id, now); ok {
			out = append(out, m)
		}
	}
	return out
}

// marketDoc is a market with the sequence it was looked at.
type marketDoc struct {
	Seq engine.Seq `json:"seq"`
	engine.Market
}

func (a *API) market(c *call) (any, error) {
	var id engine.MarketID
	c.id("market", &id)
	if err := c.form.end(); err != nil {
		return nil, err
	}
	var doc marketDoc
	found, now := false, a.seq.Now()
	a.seq.View(func(s *engine.State) {
		doc.Seq = s.Seq()
		doc.Market, found = s.Market(id, now)
	})
	if !found {
		return nil, &refusal{code: engine.MarketNotFound.String(), seq: doc.Seq}
	}
	return doc, nil
}

// quote is a dry run of an order on the market alone; what the caller holds does
// not count.
func (a *API) quote(c *call) (any, error) {
	x := orderOf(c.form)
	x.TIF = engine.IOC
	c.form.into("tif", false, &x.TIF)
	if err := c.form.end(); err != nil {
		return nil, err
	}
	doc := struct {
		Seq         engine.Seq      `json:"seq"`
		Market      engine.MarketID `json:"market"`
		Outcome     engine.Outcome  `json:"outcome"`
		Side        engine.Side     `json:"side"`
		Amount      engine.Micros   `json:"amount_micros"`
		Shares      engine.Shares   `json:"shares_micros"`
		Average     engine.Price    `json:"average_price_micros"`
		PriceBefore engine.Price    `json:"price_before_micros"`
		PriceAfter  engine.Price    `json:"price_after_micros"`
		Code        engine.Code     `json:"code"`
	}{Market: x.Market, Outcome: x.Outcome, Side: x.Side}
	var f engine.OrderFilled
	var detail string
	now := a.seq.Now()
	a.seq.View(func(s *engine.State) {
		doc.Seq = s.Seq()
		f, doc.Code, detail = s.Quote(x, now)
	})
	switch doc.Code {
	case engine.InvalidCommand, engine.MarketNotFound: // there is nothing to quote
		return nil, &refusal{code: doc.Code.String(), detail: detail, seq: doc.Seq}
	}
	doc.Amount, doc.Shares, doc.Average, doc.PriceBefore, doc.PriceAfter = f.Amount, f.Shares, f.Average, f.PriceBefore, f.PriceAfter
	return doc, nil
}

// find reads a decision back.
func (a *API) find(seq engine.Seq) (*engine.Decision, error) {
	got, err := a.seq.Decision(seq)
	if errors.Is(err, sequencer.ErrNotFound) {
		return nil, &refusal{code: codeNotFound, detail: "no decision has this sequence", seq: a.seq.Durable()}
	}
	if err != nil {
		return nil, err
	}
	return got.Decision, nil
}

// order is the decision that took an order. What is no order, or was refused,
// has no order id.
func (a *API) order(c *call) (any, error) {
	var id engine.OrderID
	c.id("order", &id)
	if err := c.form.end(); err != nil {
		return nil, err
	}
	missing := &refusal{code: codeNotFound, detail: "there is no such order", seq: a.seq.Durable()}
	d, err := a.find(engine.Seq(id))
	var unknown *refusal
	if errors.As(err, &unknown) {
		return nil, missing
	}
	if err != nil {
		return nil, err
	}
	x, isOrder := d.Command.(*engine.PlaceOrder)
	switch {
	case !isOrder || d.Code != engine.OK:
		return nil, missing
	case !c.privileged() && x.Account != c.key.Account:
		return nil, &refusal{code: codeForbidden, detail: "the order is not the API key's own"}
	}
	return d, nil
}

// seqText is a sequence in a path.
type seqText engine.Seq

// UnmarshalText reads a decimal number without leading zeros.
func (s *seqText) UnmarshalText(b []byte) error {
	n, err := strconv.ParseUint(string(b), 10, 63)
	if err != nil || n == 0 || strconv.FormatUint(n, 10) != string(b) {
		return fmt.Errorf("%q is not a sequence", b)
	}
	*s = seqText(n)
	return nil
}

func (a *API) decision(c *call) (any, error) {
	var seq seqText
	c.id("seq", &seq)
	if err := c.form.end(); err != nil {
		return nil, err
	}
	d, err := a.find(engine.Seq(seq))
	if err != nil {
		return nil, err
	}
	if !c.privileged() && d.Principal != c.key.Principal {
		return nil, &refusal{code: codeForbidden, detail: "the decision is not the API key's own"}
	}
	return d, nil
}

// errPageFull ends the reading of a page.
var errPageFull = errors.New("page is full")

func (a *API) decisions(c *call) (any, error) {
	after := engine.Seq(c.form.uint64("after", false))
	limit := c.form.limit(maxDecisions, defaultDecisions)
	if err := c.form.end(); err != nil {
		return nil, err
	}
	doc := struct {
		Seq       engine.Seq         `json:"seq"`
		Decisions []*engine.Decision `json:"decisions"`
		Next      engine.Seq         `json:"next,omitempty"`
	}{Seq: a.seq.Durable(), Decisions: []*engine.Decision{}}
	if after < doc.Seq {
		err := a.seq.Follow(c.r.Context(), after+1, func(got sequencer.Committed) error {
			doc.Decisions = append(doc.Decisions, got.Decision)
			if got.Decision.Seq >= doc.Seq || int64(len(doc.Decisions)) == limit {
				return errPageFull
			}
			return nil
		})
		if !errors.Is(err, errPageFull) {
			return nil, fmt.Errorf("read decisions after %d: %w", after, err)
		}
	}
	if n := len(doc.Decisions); n > 0 && doc.Decisions[n-1].Seq < doc.Seq {
		doc.Next = doc.Decisions[n-1].Seq
	}
	return doc, nil
}
