// Package engine is the decision core of the market: a pure state machine with
// accounts, credits, binary markets from templates, the fixed-product maker,
// resolution and abuse limits.
//
// It promises: equal commands in equal order give equal decisions, byte for
// byte, on every platform; every decision's postings sum to zero per asset; no
// balance is ever negative; the product of a pool never falls while it trades;
// each share of the winning outcome is paid exactly once; rounding is always
// against the trader, never against the pool. A rejection is a decision too,
// with a stable Code.
//
// It refuses: clocks, randomness, I/O, goroutines, floating point, and anything
// observable from ranging over a map. Time, ids and sequences arrive as data.
//
// The cycle is Decide, then Evolve: Decide looks at the state and a command and
// writes a Decision without changing anything; Evolve folds a decision into the
// state. A journal of decisions folded from the start gives the state again; old
// journals survive new rules, because folding never decides.
//
// The maker is the constant product over complete sets (two outcomes); the
// numbers and the rounding follow "The rules of the market" of the project's
// documentation.
package engine
