// Package engine is the vocabulary of the market: units, codes, commands, events,
// the decision that joins them, templates and policy, and what a reader may see.
//
// It promises one encoding of each word, the same bytes on every platform, which
// a journal may hold for years, and numbers that never change their meaning.
//
// It refuses to decide and to keep state: the machine is package core. It refuses
// clocks, randomness, I/O, goroutines and floating point. Time, ids and sequences
// arrive as data.
package engine
