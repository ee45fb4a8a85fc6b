// Package core is the machine that decides: accounts, credits, markets of three
// kinds, the fixed-product maker with a book of limit orders beside it, price
// guards, abuse limits, resolution, and the end of a market.
//
// It promises: equal commands in equal order give equal decisions, byte for
// byte, on every platform; every decision's postings sum to zero per asset; no
// balance is ever negative; what is reserved is what the open orders need; the
// product of a pool never falls while it trades; each holder of a market is paid
// exactly once, out of what is there; rounding is always against the trader,
// never against the pool. A rejection is a decision too, with a stable code.
//
// It refuses: clocks, randomness, I/O, goroutines, floating point, and anything
// observable from ranging over a map. Time, ids and sequences arrive as data.
//
// The cycle is Step: Decide looks at the state and a command and writes a
// Decision; Evolve folds it. A journal of decisions folded from the start gives
// the state again; old journals survive new rules, because folding never
// decides. The numbers and the rounding follow "The rules of the market" of the
// project's documentation.
package core
