package wire

import (
	"bytes"
	"encoding"

	"github.com/mbp-market/mbp/engine"
)

// Orders as programs write them are read in one go, without a tree of members in
// between, at a third of the cost. Whatever is out of the ordinary (an escape, a null,
// a member twice or unknown, a number out of range) is left to the long way, which
// reads it or says what is wrong. A test holds that the two read the same.

// Read reads the body of a mutation into its command: quickly if quick, which may be
// nil, can, else as command does. The error is the first fault.
func (r *Request) Read(body []byte, quick func([]byte, engine.AccountID) engine.Command, command func(*Request) engine.Command) (engine.Command, error) {
	if quick != nil {
		if x := quick(body, r.Account); x != nil {
			r.Form = newForm(nil) // nothing is left to take, and there is no free text
			return x, nil
		}
	}
	var err error
	if r.Form, err = ParseBody(body); err != nil {
		return nil, err
	}
	x := command(r)
	return x, r.End()
}

// QuickOrder is PlaceOrder of an ordinary body, nil of any other.
func QuickOrder(body []byte, a engine.AccountID) engine.Command {
	r := reader{in: body, account: a, most: 1}
	if r.read(); !r.fits(orderNeeds, orderMay) || r.next() != 0 || r.odd {
		return nil
	}
	return r.placed()
}

// QuickBatch is Batch of an ordinary body, nil of any other.
func QuickBatch(body []byte, a engine.AccountID) engine.Command {
	return quickBatch(body, a, engine.BatchLimit)
}

// QuickBatches is Batches of an ordinary body, nil of any other.
func QuickBatches(body []byte, a engine.AccountID) engine.Command {
	return quickBatch(body, a, MaxItems)
}

func quickBatch(body []byte, a engine.AccountID, most int) engine.Command {
	n := min(bytes.Count(body, []byte("{"))-1, most)
	r := reader{in: body, account: a, most: n}
	if r.take('{'); n < 1 || string(r.word()) != "items" {
		return nil
	}
	r.take(':')
	r.take('[')
	x := &engine.Batch{Items: make([]engine.Command, 0, n)}
	for !r.odd {
		if len(x.Items) == n {
			return nil
		}
		x.Items = append(x.Items, r.command())
		if !r.more(']') {
			break
		}
	}
	r.take('}')
	if r.next() != 0 || r.odd {
		return nil
	}
	return x
}

// The members of an item, one bit each.
const (
	ofType = 1 << iota
	ofMarket
	ofOutcome
	ofSide
	ofTIF
	ofAmount
	ofShares
	ofLimit
	ofExpires
	ofPostOnly
	ofSelfTrade
	ofIfSeq
	ofOrder
)

// reader goes through a body once.
type reader struct {
	in      []byte
	at      int
	odd     bool // there is something that it does not read
	account engine.AccountID
	most    int                 // items
	orders  []engine.PlaceOrder // that were read, in one piece of memory

	// Of the item that is read: the members that any command has.
	x     engine.PlaceOrder
	order engine.OrderID
	kind  []byte // its type
	seen  int    // bits of its members
}

// next skips white space and returns the byte there, 0 at the end; no byte 0 is read.
func (r *reader) next() byte {
	for ; r.at < len(r.in); r.at++ {
		switch c := r.in[r.at]; c {
		case ' ', '\n', '\t', '\r':
		case 0:
			r.odd = true
			return 0
		default:
			return c
		}
	}
	return 0
}

// take reads a byte after white space.
func (r *reader) take(c byte) {
	if r.next() != c {
		r.odd = true
		return
	}
	r.at++
}

// more reads the comma after a member or an element, or the end of all.
func (r *reader) more(end byte) bool {
	switch r.next() {
	case ',':
		r.at++
		return true
	case end:
		r.at++
		return false
	}
	r.odd = true
	return false
}

// word reads a text that is what its bytes say: visible ASCII without escapes, as long
// as words are.
func (r *reader) word() []byte {
	r.take('"')
	from := r.at
	for i := from; i < len(r.in) && i-from <= maxWord; i++ {
		switch c := r.in[i]; {
		case c == '"':
			r.at = i + 1
			return r.in[from:i]
		case c <= ' ' || c > '~' || c == '\\':
			r.odd = true
			return nil
		}
	}
	r.odd = true
	return nil
}

// whole reads a whole number of 1..10^18-1. What may follow one, more says.
func (r *reader) whole() (n int64) {
	const most = 18 // digits
	if c := r.next(); c < '1' || c > '9' {
		r.odd = true
	}
	for from := r.at; r.at < len(r.in) && r.at-from < most; r.at++ {
		c := r.in[r.at] - '0'
		if c > 9 {
			break
		}
		n = 10*n + int64(c)
	}
	return n
}

// yes reads true or false.
func (r *reader) yes() bool {
	r.next()
	switch rest := r.in[r.at:]; {
	case bytes.HasPrefix(rest, []byte("true")):
		r.at += len("true")
		return true
	case bytes.HasPrefix(rest, []byte("false")):
		r.at += len("false")
	default:
		r.odd = true
	}
	return false
}

// text reads a word that the value itself understands.
func (r *reader) text(v encoding.TextUnmarshaler) {
	if w := r.word(); !r.odd && v.UnmarshalText(w) != nil {
		r.odd = true
	}
}

// fits reports whether the item has all members that it needs, and no others than
// those and what it may have.
func (r *reader) fits(needs, may int) bool { return r.seen&needs == needs && r.seen&^(needs|may) == 0 }

// read reads an item.
func (r *reader) read() {
	r.x, r.kind, r.seen = engine.PlaceOrder{}, nil, 0
	r.take('{')
	for !r.odd {
		name := r.word()
		r.take(':')
		bit := r.member(name)
		if r.seen&bit != 0 {
			r.odd = true
		}
		r.seen |= bit
		if !r.more('}') {
			return
		}
	}
}

// member reads the value of a member and returns its bit.
func (r *reader) member(name []byte) int {
	switch string(name) {
	case "type":
		r.kind = r.word()
		return ofType
	case "market":
		r.text(&r.x.Market)
		return ofMarket
	case "outcome":
		r.text(&r.x.Outcome)
		return ofOutcome
	case "side":
		r.text(&r.x.Side)
		return ofSide
	case "tif":
		r.text(&r.x.TIF)
		return ofTIF
	case "amount_micros":
		r.x.Amount = engine.Micros(r.whole())
		return ofAmount
	case "shares_micros":
		r.x.Shares = engine.Shares(r.whole())
		return ofShares
	case "limit_price_micros":
		r.x.Limit = engine.Price(r.whole())
		return ofLimit
	case "expires_at":
		if r.text(&r.x.Expires); r.x.Expires <= 0 {
			r.odd = true
		}
		return ofExpires
	case "post_only":
		r.x.PostOnly = r.yes()
		return ofPostOnly
	case "self_trade":
		r.text(&r.x.SelfTrade)
		return ofSelfTrade
	case "if_seq":
		r.x.IfSeq = engine.Seq(r.whole())
		return ofIfSeq
	case "order":
		r.text(&r.order)
		return ofOrder
	}
	r.odd = true
	return 0
}

// The members of an order, without its type.
const (
	orderNeeds = ofMarket | ofOutcome | ofSide | ofTIF
	orderMay   = ofAmount | ofShares | ofLimit | ofExpires | ofPostOnly | ofSelfTrade | ofIfSeq
)

// command reads an item of a batch.
func (r *reader) command() engine.Command {
	r.read()
	switch string(r.kind) {
	case "place_order":
		if r.fits(ofType|orderNeeds, orderMay) {
			return r.placed()
		}
	case "cancel_order":
		if r.fits(ofType|ofOrder, 0) {
			return &engine.CancelOrder{Account: r.account, Order: r.order}
		}
	case "cancel_all":
		if r.fits(ofType, ofMarket) {
			return &engine.CancelAll{Account: r.account, Market: r.x.Market}
		}
	case "amend_order":
		if r.fits(ofType|ofOrder|ofShares, ofLimit) {
			return &engine.AmendOrder{Account: r.account, Order: r.order, Shares: r.x.Shares, Limit: r.x.Limit}
		}
	}
	r.odd = true
	return nil
}

// placed is the order that was read.
func (r *reader) placed() *engine.PlaceOrder {
	if r.orders == nil {
		r.orders = make([]engine.PlaceOrder, 0, r.most)
	}
	r.orders = append(r.orders, r.x)
	o := &r.orders[len(r.orders)-1]
	o.Account = r.account
	return o
}
