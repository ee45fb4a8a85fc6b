package wire

import (
	"slices"

	"github.com/mbp-market/mbp/engine"
)

// Orders are the account's whose API key asks, whoever asks.

// PlaceOrder reads an order.
func PlaceOrder(r *Request) engine.Command { return placeOrder(r.Form, r.Account) }

func placeOrder(f *Form, a engine.AccountID) engine.Command {
	x := f.Order()
	x.Account = a
	x.IfSeq = engine.Seq(f.Positive("if_seq"))
	f.Into("tif", true, &x.TIF)
	return x
}

// Order reads what an order and a quote have in common; the time in force is the
// caller's to read.
func (f *Form) Order() *engine.PlaceOrder {
	x := &engine.PlaceOrder{
		Amount: engine.Micros(f.Positive("amount_micros")), Shares: engine.Shares(f.Positive("shares_micros")),
		Limit: engine.Price(f.Positive("limit_price_micros")), Expires: f.Moment("expires_at", false), PostOnly: f.Bool("post_only"),
	}
	f.Into("market", true, &x.Market)
	f.Into("outcome", true, &x.Outcome)
	f.Into("side", true, &x.Side)
	f.Into("self_trade", false, &x.SelfTrade)
	return x
}

// CancelOrder reads nothing but the path.
func CancelOrder(r *Request) engine.Command {
	x := &engine.CancelOrder{Account: r.Account}
	r.ID("order", &x.Order)
	return x
}

// CancelAll reads a market, or none for all.
func CancelAll(r *Request) engine.Command { return cancelAll(r.Form, r.Account) }

func cancelAll(f *Form, a engine.AccountID) engine.Command {
	x := &engine.CancelAll{Account: a}
	f.Into("market", false, &x.Market)
	return x
}

// AmendOrder reads what shall wait from now on.
func AmendOrder(r *Request) engine.Command {
	x := amendOrder(r.Form, r.Account)
	r.ID("order", &x.Order)
	return x
}

func amendOrder(f *Form, a engine.AccountID) *engine.AmendOrder {
	return &engine.AmendOrder{Account: a, Shares: engine.Shares(f.Int64("shares_micros", true)), Limit: engine.Price(f.Positive("limit_price_micros"))}
}

// MaxItems is the most items of a request that is decided in several batches: four
// decisions of the most work are what the writer spends on anybody at once.
const MaxItems = 4 * engine.BatchLimit

// Batch reads a list of orders, cancellations and amendments, each with its type.
func Batch(r *Request) engine.Command { return r.batch(engine.BatchLimit) }

// Batches reads such a list for several batches: what it returns is one command with
// all items, too many for a decision, and is decided in Parts.
func Batches(r *Request) engine.Command { return r.batch(MaxItems) }

// Parts divides a batch into batches that a decision holds, at least one.
func Parts(x *engine.Batch) (out []*engine.Batch) {
	for part := range slices.Chunk(x.Items, engine.BatchLimit) {
		out = append(out, &engine.Batch{Items: part})
	}
	if out == nil {
		out = append(out, x)
	}
	return out
}

func (r *Request) batch(most int) engine.Command {
	all := r.Objects("items", most)
	x := &engine.Batch{Items: make([]engine.Command, 0, len(all))}
	for i := range all {
		if c := item(&all[i], r.Account); c != nil {
			x.Items = append(x.Items, c)
		}
	}
	return x
}

func item(f *Form, a engine.AccountID) engine.Command {
	switch word := f.plain("type", maxWord); word {
	case "place_order":
		return placeOrder(f, a)
	case "cancel_order":
		x := &engine.CancelOrder{Account: a}
		f.Into("order", true, &x.Order)
		return x
	case "cancel_all":
		return cancelAll(f, a)
	case "amend_order":
		x := amendOrder(f, a)
		f.Into("order", true, &x.Order)
		return x
	default:
		f.Fail("type %q is not one of place_order cancel_order cancel_all amend_order", clip(word))
	}
	return nil
}
