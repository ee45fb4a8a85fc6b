package posting

import (
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/internal/book"
	"github.com/mbp-market/mbp/engine/internal/fixed"
)

// Reserve is what an order of so many fresh shares sets aside.
func Reserve(q engine.Shares, limit engine.Price) engine.Micros {
	return engine.Micros(Scaled(q, limit, true))
}

// Held is what a resting buy has set aside: a function of its shares, so that
// charges and reserve always add up.
func Held(o *book.Order) engine.Micros { return HeldAfter(o, o.Shares) }

// HeldAfter is the same if so many shares of it waited.
func HeldAfter(o *book.Order, q engine.Shares) engine.Micros {
	if o.Sell {
		return 0
	}
	return engine.Micros(Scaled(o.Filled+q, o.Limit, true) - Scaled(o.Filled, o.Limit, true))
}

// Counterpart is what a resting order pays or receives for q more shares: the
// difference of a function of all its shares, so that the sum never leaves what
// was reserved.
func Counterpart(o *book.Order, q engine.Shares) engine.Micros {
	return engine.Micros(Scaled(o.Filled+q, o.Limit, !o.Sell) - Scaled(o.Filled, o.Limit, !o.Sell))
}

// Scaled is shares × price in micros, rounded up or down.
func Scaled(q engine.Shares, p engine.Price, up bool) int64 {
	product := fixed.Mul(uint64(q), uint64(p))
	if up {
		return int64(product.CeilDiv(engine.One))
	}
	v, _ := product.QuoRem(engine.One)
	return int64(v.Lo)
}
