package wire

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/mbp-market/mbp/engine"
)

// A Filled is a fill as its taker sees it: with the pool or with the book, and
// not with whom. Its pieces stand in for those of the event.
type Filled struct {
	*engine.OrderFilled
	Pieces []Piece `json:"fills,omitempty"`
}

// Piece is a part of what an order fills, or would fill; it does not say with
// whom.
type Piece struct {
	With   string        `json:"with"` // pool or book
	Amount engine.Micros `json:"amount_micros"`
	Shares engine.Shares `json:"shares_micros"`
}

// AppendDecision appends what json.Marshal writes of a decision, without its way
// through reflection for what is traded; a Filled may be among the events.
func AppendDecision(b []byte, d *engine.Decision) (_ []byte, err error) {
	b = strconv.AppendUint(append(b, `{"seq":`...), uint64(d.Seq), 10)
	b = AppendTime(append(b, `,"decided_at":`...), d.At)
	b = AppendWord(append(b, `,"code":`...), d.Code.String())
	if d.Detail != "" {
		b = AppendText(append(b, `,"detail":`...), d.Detail)
	}
	b = AppendText(append(b, `,"principal":`...), d.Principal)
	if b, err = appendTyped(append(b, `,"command":`...), d.Command); err != nil {
		return nil, err
	}
	b = append(b, `,"events":[`...)
	for i, e := range d.Events {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = appendTyped(b, e); err != nil {
			return nil, err
		}
	}
	b = append(b, ']')
	if len(d.Results) > 0 {
		b = append(b, `,"results":[`...)
		for i := range d.Results {
			r := &d.Results[i]
			if i > 0 {
				b = append(b, ',')
			}
			b = AppendWord(append(b, `{"code":`...), r.Code.String())
			if r.Detail != "" {
				b = AppendText(append(b, `,"detail":`...), r.Detail)
			}
			b = append(AppendInt(b, `,"events":`, int64(r.Events)), '}')
		}
		b = append(b, ']')
	}
	return append(b, '}'), nil
}

// AppendCommand appends what json.Marshal writes of a command.
func AppendCommand(b []byte, c engine.Command) ([]byte, error) {
	switch x := c.(type) {
	case *engine.PlaceOrder:
		return appendOrder(append(b, '{'), x), nil
	case *engine.Batch:
		return appendBatch(append(b, '{'), x)
	}
	doc, err := json.Marshal(c)
	return append(b, doc...), err
}

// typed is a command or an event.
type typed interface{ Type() string }

// appendTyped appends an object whose first member is its type.
func appendTyped(b []byte, v typed) ([]byte, error) {
	b = AppendWord(append(b, `{"type":`...), v.Type())
	switch x := v.(type) {
	case *engine.PlaceOrder:
		return appendOrder(append(b, ','), x), nil
	case *engine.Batch:
		return appendBatch(append(b, ','), x)
	case *engine.OrderFilled:
		return appendFilled(append(b, ','), x, nil), nil
	case *Filled:
		return appendFilled(append(b, ','), x.OrderFilled, x), nil
	case *engine.OrderRested:
		return appendRested(append(b, ','), x), nil
	}
	doc, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", v.Type(), err)
	}
	if len(doc) > 2 {
		b = append(b, ',')
	}
	return append(b, doc[1:]...), nil
}

func appendBatch(b []byte, x *engine.Batch) (_ []byte, err error) {
	b = append(b, `"items":[`...)
	for i, item := range x.Items {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = appendTyped(b, item); err != nil {
			return nil, err
		}
	}
	return append(b, "]}"...), nil
}

func appendOrder(b []byte, x *engine.PlaceOrder) []byte {
	b = appendAccount(append(b, `"account":`...), x.Account)
	b = AppendMarket(append(b, `,"market":`...), x.Market)
	b = AppendWord(append(b, `,"outcome":`...), x.Outcome.String())
	b = AppendWord(append(b, `,"side":`...), x.Side.String())
	b = AppendWord(append(b, `,"tif":`...), x.TIF.String())
	b = AppendOptional(b, `,"amount_micros":`, int64(x.Amount))
	b = AppendOptional(b, `,"shares_micros":`, int64(x.Shares))
	b = AppendOptional(b, `,"limit_price_micros":`, int64(x.Limit))
	if x.Expires != 0 {
		b = AppendTime(append(b, `,"expires_at":`...), x.Expires)
	}
	if x.PostOnly {
		b = append(b, `,"post_only":true`...)
	}
	if x.SelfTrade != 0 {
		b = AppendWord(append(b, `,"self_trade":`...), x.SelfTrade.String())
	}
	if x.IfSeq != 0 {
		b = strconv.AppendUint(append(b, `,"if_seq":`...), uint64(x.IfSeq), 10)
	}
	return append(b, '}')
}

// appendFilled appends a fill, or as its taker sees it.
func appendFilled(b []byte, x *engine.OrderFilled, own *Filled) []byte {
	b = appendOrderID(append(b, `"order":`...), x.Order)
	b = appendAccount(append(b, `,"account":`...), x.Account)
	b = AppendMarket(append(b, `,"market":`...), x.Market)
	b = AppendWord(append(b, `,"outcome":`...), x.Outcome.String())
	b = AppendWord(append(b, `,"side":`...), x.Side.String())
	b = AppendInt(b, `,"amount_micros":`, int64(x.Amount))
	b = AppendInt(b, `,"shares_micros":`, int64(x.Shares))
	b = AppendInt(b, `,"fee_micros":`, int64(x.Fee))
	b = AppendInt(b, `,"lp_fee_micros":`, int64(x.LPFee))
	b = AppendInt(b, `,"average_price_micros":`, int64(x.Average))
	b = AppendInt(b, `,"price_before_micros":`, int64(x.PriceBefore))
	b = AppendInt(b, `,"price_after_micros":`, int64(x.PriceAfter))
	b = AppendInt(b, `,"pool_amount_micros":`, int64(x.Sets))
	b = AppendInt(b, `,"pool_shares_micros":`, int64(x.PoolShares))
	if own == nil {
		b = appendFills(b, x.Fills)
	}
	if x.Own {
		b = append(b, `,"stopped_by_own_order":true`...)
	}
	for i := range x.Met {
		b = appendOrderID(append(b, opening(i, `,"met":[{"order":`, `,{"order":`)...), x.Met[i].Order)
		b = append(AppendInt(b, `,"shares_micros":`, int64(x.Met[i].Shares)), '}')
	}
	if len(x.Met) > 0 {
		b = append(b, ']')
	}
	if own != nil {
		b = appendPieces(b, own.Pieces)
	}
	return append(b, '}')
}

func appendFills(b []byte, fills []engine.Fill) []byte {
	for i := range fills {
		f := &fills[i]
		b = append(b, opening(i, `,"fills":[{`, `,{`)...)
		if f.Maker != 0 {
			b = append(appendOrderID(append(b, `"maker":`...), f.Maker), ',')
		}
		if f.Account != 0 {
			b = append(appendAccount(append(b, `"maker_account":`...), f.Account), ',')
		}
		b = AppendInt(b, `"shares_micros":`, int64(f.Shares))
		b = AppendInt(b, `,"amount_micros":`, int64(f.Amount))
		b = append(AppendInt(b, `,"maker_amount_micros":`, int64(f.Counter)), '}')
	}
	if len(fills) > 0 {
		b = append(b, ']')
	}
	return b
}

func appendPieces(b []byte, pieces []Piece) []byte {
	for i := range pieces {
		p := &pieces[i]
		b = AppendText(append(b, opening(i, `,"fills":[{"with":`, `,{"with":`)...), p.With)
		b = AppendInt(b, `,"amount_micros":`, int64(p.Amount))
		b = append(AppendInt(b, `,"shares_micros":`, int64(p.Shares)), '}')
	}
	if len(pieces) > 0 {
		b = append(b, ']')
	}
	return b
}

// opening begins the first element of a list, or a further one.
func opening(i int, first, further string) string {
	if i == 0 {
		return first
	}
	return further
}

func appendRested(b []byte, x *engine.OrderRested) []byte {
	b = appendOrderID(append(b, `"order":`...), x.Order)
	b = appendAccount(append(b, `,"account":`...), x.Account)
	b = AppendMarket(append(b, `,"market":`...), x.Market)
	b = AppendWord(append(b, `,"outcome":`...), x.Outcome.String())
	b = AppendWord(append(b, `,"side":`...), x.Side.String())
	b = AppendWord(append(b, `,"tif":`...), x.TIF.String())
	b = AppendInt(b, `,"limit_price_micros":`, int64(x.Limit))
	b = AppendInt(b, `,"shares_micros":`, int64(x.Shares))
	if x.Expires != 0 {
		b = AppendTime(append(b, `,"expires_at":`...), x.Expires)
	}
	return append(b, '}')
}

// AppendInt appends a number behind the name of its member.
func AppendInt(b []byte, name string, n int64) []byte {
	return appendWhole(append(b, name...), n)
}

// pairs are the numbers below 100 with two digits each.
const pairs = "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748495051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899"

// appendWhole appends a number as strconv does, in half the time where it has at most
// eight digits: most of an answer is such numbers.
func appendWhole(b []byte, n int64) []byte {
	const most = 8
	if n < 0 || n > 99_999_999 {
		return strconv.AppendInt(b, n, 10)
	}
	u, at := uint32(n), len(b)
	switch {
	case u < 10:
		return append(b, byte('0'+u))
	case u < 100:
		at += 2
	case u < 1_000:
		at += 3
	case u < 10_000:
		at += 4
	case u < 100_000:
		at += 5
	case u < 1_000_000:
		at += 6
	case u < 10_000_000:
		at += 7
	default:
		at += most
	}
	if at > cap(b) {
		b = slices.Grow(b, most)
	}
	b = b[:at]
	for ; u >= 100; u /= 100 {
		at -= 2
		copy(b[at:at+2], pairs[u%100*2:])
	}
	if u >= 10 {
		copy(b[at-2:at], pairs[u*2:])
	} else {
		b[at-1] = byte('0' + u)
	}
	return b
}

// AppendOptional is AppendInt for a member that is left out where it is 0.
func AppendOptional(b []byte, name string, n int64) []byte {
	if n == 0 {
		return b
	}
	return AppendInt(b, name, n)
}

func appendID(b []byte, prefix string, n uint64) []byte {
	b = append(b, '"')
	if n != 0 {
		b = appendWhole(append(b, prefix...), int64(n))
	}
	return append(b, '"')
}

func appendAccount(b []byte, a engine.AccountID) []byte { return appendID(b, "acc_", uint64(a)) }

// AppendMarket appends the text form of a market.
func AppendMarket(b []byte, m engine.MarketID) []byte { return appendID(b, "mkt_", uint64(m)) }

func appendOrderID(b []byte, o engine.OrderID) []byte {
	if o == 0 {
		return append(b, `""`...)
	}
	b = appendWhole(append(b, `"ord_`...), int64(o.Seq()))
	if i := o.Item(); i != 0 {
		b = appendWhole(append(b, '.'), int64(i))
	}
	return append(b, '"')
}

// AppendTime appends the text form of a time up to the year 9999, which is what
// time.Time.AppendFormat writes at many times the cost: there is a time in most of
// what we send.
func AppendTime(b []byte, t engine.Time) []byte {
	at := t.Time()
	year, month, day := at.Date()
	hour, minute, second := at.Clock()
	b = append(b, '"')
	b = append(appendPair(appendPair(b, year/100), year%100), '-')
	b = append(appendPair(b, int(month)), '-')
	b = append(appendPair(b, day), 'T')
	b = append(appendPair(b, hour), ':')
	b = append(appendPair(b, minute), ':')
	b = append(appendPair(b, second), '.')
	micro := at.Nanosecond() / 1000
	b = appendPair(appendPair(appendPair(b, micro/10_000), micro/100%100), micro%100)
	return append(b, 'Z', '"')
}

// appendPair appends two digits.
func appendPair(b []byte, n int) []byte { return append(b, byte('0'+n/10), byte('0'+n%10)) }

// AppendWord appends a word of ours, which needs no more than quotes.
func AppendWord(b []byte, s string) []byte { return append(append(append(b, '"'), s...), '"') }

// AppendText appends a text as json.Marshal writes it. Ours rarely need more
// than quotes.
func AppendText(b []byte, s string) []byte {
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ' || c > '~', c == '"', c == '\\', c == '<', c == '>', c == '&':
			quoted, _ := json.Marshal(s) // a string always encodes
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}
