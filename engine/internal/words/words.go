// Package words is numbers that are journalled with the words that people and programs
// read: why an order left the book, how a market ends, what becomes of a webhook.
//
// It promises that a word is read as it is written, and nothing else; numbers never
// change. It refuses to know what the words are about: that is said in the vocabulary of
// package engine, which has these as its own.
package words

import (
	"fmt"
	"slices"
	"strings"
)

// Name returns the word of a number.
func Name(names []string, i int) string {
	if i < 0 || i >= len(names) {
		return "unknown"
	}
	return names[i]
}

// Index returns the number of a word; what says in the error what it is a word of.
func Index(names []string, what, s string) (int, error) {
	for i := range names {
		if names[i] == s && s != "" {
			return i, nil
		}
	}
	return 0, fmt.Errorf("%s %q is not one of %s", what, strings.Clone(s), strings.TrimSpace(strings.Join(names, " "))) // a clone, so that s can lie on the stack
}

// State says whether an endpoint is told anything.
type State uint8

// The states.
const (
	Active State = 1
	Paused State = 2 // by a person
	Failed State = 3 // by the platform, because it took nothing for too long
)

var states = []string{"", "active", "paused", "failed"}

// String returns the word.
func (s State) String() string { return Name(states, int(s)) }

// MarshalText writes active, paused or failed.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads active, paused or failed.
func (s *State) UnmarshalText(b []byte) error {
	i, err := Index(states, "state", string(b))
	*s = State(i)
	return err
}

// Change is what happens to a webhook.
type Change uint8

// The changes.
const (
	Add    Change = 1
	Pause  Change = 2
	Resume Change = 3
	Rotate Change = 4 // it gets another secret
	Replay Change = 5 // it is told again
	Test   Change = 6 // it is told of this decision
	Delete Change = 7
	Fail   Change = 8 // the platform gives up, until somebody resumes
	Place  Change = 9 // the platform notes how far it is, for whoever takes over
)

var changes = []string{"", "add", "pause", "resume", "rotate", "replay", "test", "delete", "fail", "place"}

// MarshalText writes the word of the change.
func (c Change) MarshalText() ([]byte, error) { return []byte(Name(changes, int(c))), nil }

// UnmarshalText reads the word of a change.
func (c *Change) UnmarshalText(b []byte) error {
	i, err := Index(changes, "change", string(b))
	*c = Change(i)
	return err
}

// Events returns what a webhook can be told of, in the order of the alphabet.
func Events() []string { return slices.Clone(events) }

var events = []string{
	"close_changed", "cooled", "deadlines_set", "guard_tripped", "market_opened", "market_state_changed", "mode_set",
	"resolution_approved", "resolution_disputed", "resolution_proposed", "resolution_rejected", "settlement_started", "sla_breached", "trade",
}
