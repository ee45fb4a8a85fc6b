// Package own is what decisions tell an account, and how it is written: its fills, what
// became of its orders, what it was granted and paid, and then where it stands.
//
// It promises: an account is told of every decision that changed what it holds, whoever
// made it, by the decision alone, so that it is told the same whenever the journal is
// read; the last event of a decision says where the account stands and carries the
// sequence as its id. It refuses to say with whom anybody traded, what the surveillance
// thinks of an account, and anything about another one.
//
// The form is that of server-sent events in the WHATWG standard.
package own

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/mbp-market/mbp/engine"
)

// Fill is what one order of the account traded.
type Fill struct {
	Seq     engine.Seq      `json:"seq"`
	Order   engine.OrderID  `json:"order"`
	Market  engine.MarketID `json:"market"`
	Outcome *engine.Outcome `json:"outcome,omitempty"` // of a maker's order from before what the server can read: none
	Side    *engine.Side    `json:"side,omitempty"`    // likewise
	Role    string          `json:"role"`              // taker, maker
	Amount  engine.Micros   `json:"amount_micros"`     // paid or received, without the fee
	Shares  engine.Shares   `json:"shares_micros"`
	Fee     engine.Micros   `json:"fee_micros"`
	At      engine.Time     `json:"decided_at"`
}

// Order is what became of an order that waits or waited.
type Order struct {
	Seq     engine.Seq      `json:"seq"`
	Order   engine.OrderID  `json:"order"`
	Market  engine.MarketID `json:"market"`
	Change  string          `json:"change"` // rested, reduced, closed, met_own
	Outcome *engine.Outcome `json:"outcome,omitempty"`
	Side    *engine.Side    `json:"side,omitempty"`
	TIF     *engine.TIF     `json:"tif,omitempty"`
	Limit   engine.Price    `json:"limit_price_micros,omitempty"`
	Shares  engine.Shares   `json:"shares_micros"` // that wait from now on; closed: that waited; met_own: taken off
	Expires engine.Time     `json:"expires_at,omitzero"`
	Reason  *engine.Reason  `json:"reason,omitempty"` // closed
	At      engine.Time     `json:"decided_at"`
}

// Grant is credits that were issued to the account.
type Grant struct {
	Seq      engine.Seq    `json:"seq"`
	Amount   engine.Micros `json:"amount_micros"`
	Schedule string        `json:"schedule,omitempty"` // by which they came
	At       engine.Time   `json:"decided_at"`
}

// Payout is what a settlement paid, or, below zero, recovered.
type Payout struct {
	Seq     engine.Seq      `json:"seq"`
	Market  engine.MarketID `json:"market"`
	Credits engine.Micros   `json:"credits_micros"`
	At      engine.Time     `json:"decided_at"`
}

// Holding is complete sets or liquidity that the account made of credits, or the way
// back.
type Holding struct {
	Seq    engine.Seq      `json:"seq"`
	Market engine.MarketID `json:"market"`
	Change string          `json:"change"` // split, merged; added, removed
	Amount engine.Micros   `json:"amount_micros"`
	Units  engine.Shares   `json:"units_micros,omitempty"` // of liquidity
	At     engine.Time     `json:"decided_at"`
}

// Settled says that a market has ended in which the account had ever held anything:
// nothing of it is left.
type Settled struct {
	Seq    engine.Seq         `json:"seq"`
	Market engine.MarketID    `json:"market"`
	State  engine.MarketState `json:"state"`
	At     engine.Time        `json:"decided_at"`
}

// Standing is where a decision left the account, as the read model has it; it may be
// decisions ahead. Its positions are those in the markets that it names.
type Standing struct {
	Seq  engine.Seq `json:"seq"`
	AsOf engine.Seq `json:"as_of"` // of the read model
	engine.Account
	Markets []engine.MarketID `json:"markets"` // that the decision was about
	At      engine.Time       `json:"decided_at"`
}

// Snapshot is the first event of an account's stream.
type Snapshot struct {
	Seq     engine.Seq         `json:"seq"`
	Account engine.Account     `json:"account"`
	Orders  []engine.OpenOrder `json:"orders"` // that wait
}

// World is what a decision does not say itself.
type World interface {
	// Standing looks at an account and its positions in some markets.
	Standing(id engine.AccountID, in []engine.MarketID) (engine.Account, engine.Seq)
	// Holder reports whether an account ever held anything of a market.
	Holder(id engine.AccountID, m engine.MarketID) bool
	// Rested returns how an order came to wait; nil if nobody can say any more.
	Rested(id engine.OrderID) *engine.OrderRested
}

// Touched returns the accounts whose holdings or orders a decision changed, each once,
// and whether it ends a market: then those are concerned, too, that held anything there.
func Touched(d *engine.Decision) (accounts []engine.AccountID, ends bool) {
	add := func(id engine.AccountID) {
		if n := len(accounts); n == 0 || accounts[n-1] != id { // most of a batch are of one
			accounts = append(accounts, id)
		}
	}
	for _, e := range d.Events {
		switch x := e.(type) {
		case *engine.OrderFilled:
			add(x.Account)
			for i := range x.Fills {
				if x.Fills[i].Maker != 0 {
					add(x.Fills[i].Account)
				}
			}
		case *engine.OrdersClosed:
			for i := range x.Orders {
				add(x.Orders[i].Account)
			}
		case *engine.GrantsPaid:
			accounts = append(accounts, paid(x.Grants)...)
		case *engine.SettlementStepped:
			accounts = append(accounts, paid(x.Payouts)...)
		case *engine.MarketStateChanged:
			ends = ends || ended(x)
		default:
			if id := holder(e); id != 0 {
				add(id)
			}
		}
	}
	slices.Sort(accounts)
	return slices.Compact(accounts), ends
}

// holder is whom an event is about that is about one account.
func holder(e engine.Event) engine.AccountID {
	switch x := e.(type) {
	case *engine.OrderRested:
		return x.Account
	case *engine.OrderReduced:
		return x.Account
	case *engine.CreditsGranted:
		return x.Account
	case *engine.SetsSplit:
		return x.Account
	case *engine.SetsMerged:
		return x.Account
	case *engine.LiquidityAdded:
		return x.Account
	case *engine.LiquidityRemoved:
		return x.Account
	case *engine.MarketOpened:
		return x.Creator
	case *engine.Moderated:
		return x.Account
	case *engine.ModerationUndone:
		return x.Account
	case *engine.AbuseRaised:
		if x.Action == "limit" { // it explains what happens next; an alert is for others
			return x.Account
		}
	}
	return 0
}

func ended(x *engine.MarketStateChanged) bool {
	return x.To == engine.Resolved || x.To == engine.Canceled
}

func paid(list []engine.Payout) []engine.AccountID {
	out := make([]engine.AccountID, len(list))
	for i := range list {
		out[i] = list[i].Account
	}
	return out
}

// telling is the text for one account while it is written.
type telling struct {
	d       *engine.Decision
	to      engine.AccountID
	w       World
	text    []byte
	markets []engine.MarketID
	touched bool
	err     error
}

// Encode writes what a decision tells an account; nothing if it is not about it.
func Encode(d *engine.Decision, to engine.AccountID, w World) ([]byte, error) {
	t := &telling{d: d, to: to, w: w, markets: []engine.MarketID{}}
	for _, e := range d.Events {
		t.event(e)
	}
	if !t.touched {
		return nil, nil
	}
	slices.Sort(t.markets)
	doc := Standing{Seq: d.Seq, Markets: slices.Compact(t.markets), At: d.At}
	doc.Account, doc.AsOf = w.Standing(to, doc.Markets)
	t.text = fmt.Appendf(t.text, "id: %d\n", d.Seq)
	t.add("account", doc)
	return t.text, t.err
}

// First writes the snapshot of an account.
func First(s *Snapshot) ([]byte, error) {
	t := telling{text: fmt.Appendf(nil, "id: %d\n", s.Seq)}
	t.add("snapshot", s)
	return t.text, t.err
}

func (t *telling) add(name string, doc any) {
	b, err := json.Marshal(doc)
	if err != nil && t.err == nil {
		t.err = fmt.Errorf("encode %s: %w", name, err)
	}
	t.text = append(append(append(append(t.text, "event: "...), name...), "\ndata: "...), b...)
	t.text = append(t.text, "\n\n"...)
}

// own notes that the decision is about the account, and about a market.
func (t *telling) own(m engine.MarketID) {
	t.touched = true
	if m != 0 {
		t.markets = append(t.markets, m)
	}
}

func (t *telling) event(e engine.Event) {
	switch x := e.(type) {
	case *engine.OrderFilled:
		t.filled(x)
	case *engine.OrdersClosed:
		for i := range x.Orders {
			if o := &x.Orders[i]; o.Account == t.to {
				t.own(o.Market)
				t.add("order", Order{Seq: t.d.Seq, Order: o.Order, Market: o.Market, Change: "closed", Shares: o.Shares, Reason: &x.Reason, At: t.d.At})
			}
		}
	case *engine.GrantsPaid:
		for i := range x.Grants {
			if x.Grants[i].Account == t.to {
				t.own(0)
				t.add("grant", Grant{t.d.Seq, x.Grants[i].Credits, x.Name, t.d.At})
			}
		}
	case *engine.SettlementStepped:
		for i := range x.Payouts {
			if x.Payouts[i].Account == t.to {
				t.own(x.Market)
				t.add("payout", Payout{t.d.Seq, x.Market, x.Payouts[i].Credits, t.d.At})
			}
		}
	case *engine.MarketStateChanged:
		if ended(x) && t.w.Holder(t.to, x.Market) {
			t.own(x.Market)
			t.add("settled", Settled{t.d.Seq, x.Market, x.To, t.d.At})
		}
	default:
		if holder(e) == t.to {
			t.held(e)
		}
	}
}

// held writes an event that is about the account alone.
func (t *telling) held(e engine.Event) {
	holding := func(kind, change string, m engine.MarketID, amount engine.Micros, units engine.Shares) {
		t.own(m)
		t.add(kind, Holding{t.d.Seq, m, change, amount, units, t.d.At})
	}
	switch x := e.(type) {
	case *engine.OrderRested:
		t.own(x.Market)
		t.add("order", Order{
			Seq: t.d.Seq, Order: x.Order, Market: x.Market, Change: "rested", Outcome: &x.Outcome, Side: &x.Side, TIF: &x.TIF,
			Limit: x.Limit, Shares: x.Shares, Expires: x.Expires, At: t.d.At,
		})
	case *engine.OrderReduced:
		t.own(x.Market)
		t.add("order", Order{Seq: t.d.Seq, Order: x.Order, Market: x.Market, Change: "reduced", Shares: x.Shares, At: t.d.At})
	case *engine.CreditsGranted:
		t.own(0)
		t.add("grant", Grant{Seq: t.d.Seq, Amount: x.Amount, At: t.d.At})
	case *engine.SetsSplit:
		holding("sets", "split", x.Market, x.Amount, 0)
	case *engine.SetsMerged:
		holding("sets", "merged", x.Market, x.Amount, 0)
	case *engine.LiquidityAdded:
		holding("liquidity", "added", x.Market, x.Amount, x.Units)
	case *engine.LiquidityRemoved:
		holding("liquidity", "removed", x.Market, x.Amount, x.Units)
	case *engine.MarketOpened:
		holding("liquidity", "added", x.Market, x.Liquidity, engine.Shares(x.Liquidity))
	default: // the account is limited, or not any more: its standing says so
		t.own(0)
	}
}

// filled writes what the account traded in a walk: as the taker, as makers of pieces of
// it, and what self-trade prevention took off its orders.
func (t *telling) filled(x *engine.OrderFilled) {
	if x.Account == t.to {
		t.own(x.Market)
		if x.Shares > 0 {
			t.add("fill", Fill{
				Seq: t.d.Seq, Order: x.Order, Market: x.Market, Outcome: &x.Outcome, Side: &x.Side, Role: "taker",
				Amount: x.Amount, Shares: x.Shares, Fee: x.Fee, At: t.d.At,
			})
		}
		for _, m := range x.Met {
			t.add("order", Order{Seq: t.d.Seq, Order: m.Order, Market: x.Market, Change: "met_own", Shares: m.Shares, At: t.d.At})
		}
	}
	for i := range x.Fills {
		f := &x.Fills[i]
		if f.Maker == 0 || f.Account != t.to {
			continue
		}
		t.own(x.Market)
		doc := Fill{Seq: t.d.Seq, Order: f.Maker, Market: x.Market, Role: "maker", Amount: f.Counter, Shares: f.Shares, At: t.d.At}
		if r := t.w.Rested(f.Maker); r != nil {
			doc.Outcome, doc.Side = &r.Outcome, &r.Side
		}
		t.add("fill", doc)
	}
}
