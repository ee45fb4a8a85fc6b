// Package guard holds the deterministic detectors of abuse. It promises that a
// verdict depends only on the events that were charged and on their times, never
// on a clock of its own; that a detector is a value of fixed size, copied by
// assignment; that every call is O(1), however long nothing happened; and that
// Charge returns exactly what Peek said. It refuses nothing by itself: the engine
// turns a Verdict into a rejection, a cool-down or an abuse event.
//
// Rate is the generic cell rate algorithm (ITU-T I.371). Burst is a control chart
// on an exponentially weighted mean and deviation (Roberts, Technometrics 1959;
// Finch, Incremental calculation of weighted mean and variance, 2009). Spike is a
// maximum over a sliding window, kept in sub-slots. Wash follows two indicators of
// Regulation (EU) 596/2014, annex I, part A: trades that change no ownership (c)
// and positions reversed within a short time (d).
//
// Times are µs and must not run backwards. The zero value of a detector has seen
// nothing, the zero value of its parameters turns it off. Every detector has Peek,
// Charge, Append (the canonical form that goes into the hash of the state) and Load
// (its inverse). Rate is the exception: all that it remembers is one number, which
// its caller keeps and hashes, so its Charge returns that number, it has no form of
// its own, and a refused event is not to be charged.
//
// The defaults were chosen on real trades and orders, which count as honest; how
// often each rule cried wolf, and how soon it sees an attack, stands in
// testdata/honest.txt and testdata/attacks.txt, and in docs/spec/abuse.md.
package guard

import "encoding/binary"

// Verdict is what a detector says about one event. Observed and Bound are µs ahead
// of the allowance (Rate), events in the open slot (Burst), ppm that the price moved
// (Spike), changes of direction between two accounts (Wash) or meetings with own
// orders (Self). (Four fields, so that it travels in registers.)
type Verdict struct {
	Over     bool  // the event crosses the bound
	Raise    bool  // and it is the first of its episode to do so: tell it
	Observed int64 // with the event counted
	Bound    int64 // exceeded (Rate, Burst, Spike) or reached (Wash, Self) if Over
}

// Rate is a limit in the form of the generic cell rate algorithm (ITU-T I.371):
// on average one event per Interval, with Burst events at once at most. An
// Interval of zero allows everything.
type Rate struct {
	Interval int64 // µs between events on average, 1 µs..1 h; 0: no limit
	Burst    int64 // events that may come at once, 1..1,000,000
}

// Allows reports whether an event at now conforms, given the theoretical
// arrival time kept from before (µs; zero for never).
func (r Rate) Allows(tat, now int64) bool {
	return tat-now <= (r.Burst-1)*r.Interval
}

// Charge returns the theoretical arrival time after an event at now.
func (r Rate) Charge(tat, now int64) int64 {
	return max(tat, now) + r.Interval
}

// RetryAfter returns the µs from now until an event conforms again.
func (r Rate) RetryAfter(tat, now int64) int64 {
	return max(0, tat-now-(r.Burst-1)*r.Interval)
}

// Peek is Allows as a Verdict: how many µs ahead of the allowance the caller is,
// and how many it may be. Raise equals Over: a refused event is not charged, so
// whoever wants one report per episode remembers that it was refused before.
func (r Rate) Peek(tat, now int64) Verdict {
	over := !r.Allows(tat, now)
	return Verdict{over, over, max(0, tat-now), (r.Burst - 1) * r.Interval}
}

const (
	second = 1_000_000
	minute = 60 * second
	hour   = 60 * minute
)

// Params are the bounds of every rule as one value.
type Params struct {
	AccountOrders Rate        // orders of an account
	MarketOrders  Rate        // orders on a market
	AccountTrades Rate        // orders of an account that traded
	AccountBurst  BurstParams // orders of an account against its own past
	MarketBurst   BurstParams // orders on a market against its own past
	Spike         SpikeParams // the published price of an outcome
	Wash          WashParams  // fills between two accounts
	Self          SelfParams  // an account's orders that met its own
}

// Defaults returns the bounds chosen on real data; engine.DefaultPolicy says which
// of them run, and a market's template adds its own MarketOrders and Spike.
// docs/spec/abuse.md says which alternative lost and why.
func Defaults() Params {
	return Params{
		AccountOrders: Rate{Interval: 100_000, Burst: 30},
		MarketOrders:  Rate{Interval: 5_000, Burst: 400},
		AccountTrades: Rate{Interval: second, Burst: 50},
		AccountBurst:  AccountBurst(),
		MarketBurst:   MarketBurst(),
		Spike:         SpikeParams{Move: 300_000, Span: 60 * second, Cool: 120 * second},
		Wash:          WashDefault(),
		Self:          SelfParams{Times: 3, Window: 10 * minute},
	}
}

// AccountBurst is Defaults' bound on the orders of an account, alone: each order is
// held against it, and all of Defaults is a lot to copy.
func AccountBurst() BurstParams {
	return BurstParams{Slot: 10 * second, Shift: 6, Sigmas: 8, Floor: 20}
}

// MarketBurst is Defaults' bound on the orders of a market.
func MarketBurst() BurstParams {
	return BurstParams{Slot: 10 * second, Shift: 8, Sigmas: 8, Floor: 50, Arm: 6}
}

// WashDefault is Defaults' bound on trading back and forth.
func WashDefault() WashParams {
	return WashParams{Times: 4, Window: hour, Tolerance: 100_000, MinShares: 1_000_000}
}

// The canonical forms are big-endian integers of fixed width, in the order in
// which the fields are declared.

func put64(b []byte, v int64) []byte  { return binary.BigEndian.AppendUint64(b, uint64(v)) }
func put32(b []byte, v uint32) []byte { return binary.BigEndian.AppendUint32(b, v) }
func get64(b []byte) int64            { return int64(binary.BigEndian.Uint64(b)) }
func get32(b []byte) uint32           { return binary.BigEndian.Uint32(b) }
