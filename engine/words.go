package engine

import "github.com/mbp-market/mbp/engine/internal/words"

// Reason says why orders left the book without being filled.
type Reason = words.Reason

// The reasons. The numbers are journalled.
const (
	ByOwner     = words.ByOwner     // cancelled
	ByExpiry    = words.ByExpiry    // its time came
	ByPause     = words.ByPause     // the market was paused with its orders
	ByEnd       = words.ByEnd       // the market closed or ended
	ByAmendment = words.ByAmendment // replaced
	BySelfTrade = words.BySelfTrade // met an order of its own account
	ByGroups    = words.ByGroups    // its account may not trade the market any more
)

// TripKind says which condition of the price guard was met.
type TripKind = words.TripKind

// The kinds of trip. The numbers are journalled.
const (
	Divergence = words.Divergence // two windows in a row too far from the average
	Band       = words.Band       // samples in a row outside the 99 % band
)

// Ending says how a market ends.
type Ending = words.Ending

// The endings. The numbers are journalled.
const (
	EndByOutcome = words.EndByOutcome // every share pays by the outcome
	EndByVoid    = words.EndByVoid    // the same, of the positions at an effective time
	EndByPrice   = words.EndByPrice   // cancelled: every share pays a price
	EndByRefund  = words.EndByRefund  // cancelled: who paid in is paid back
)

// Phase says which part of the settlement a decision did.
type Phase = words.Phase

// The phases. The numbers are journalled.
const (
	PhaseRewind  = words.PhaseRewind  // going back to the effective time
	PhaseCollect = words.PhaseCollect // adding up what is due, recovering what was received above it
	PhasePay     = words.PhasePay
)
