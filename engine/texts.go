package engine

// What people write beside titles and labels stands in a store that can forget. The
// log knows a text by its id: the SHA-256 of a salt of 128 random bits and the text,
// where the store alone has the salt. Once that is gone the id says nothing, not even
// to who guesses the text.

// AllowText puts on record that a moderator lets texts pass in which personal data
// is suspected: those of the decision that follows, by the same principal. The texts
// are not in it.
//
//wire:command 70 allow_text
type AllowText struct {
	For   string      `json:"for" wire:"32"` // the word of the command with the texts
	Texts []Suspected `json:"texts" wire:"max=64"`
}

// Suspected says where personal data is suspected, and of what kind.
//
//wire:part
type Suspected struct {
	Field string `json:"field" wire:"96"`
	Kind  string `json:"kind" wire:"16"`
}

// ClarifyMarket adds a text to what a market's title says, until its end; nothing
// is taken back.
//
//wire:command 71 clarify_market
type ClarifyMarket struct {
	Market MarketID `json:"market"`
	Text   Digest   `json:"text_id"`
}

// MaxClarifications bounds those of a market: who has to say more opens another one.
const MaxClarifications = 16

// NoteDecision adds a text to a decision: why somebody moderated, disputed or
// proposed, and what the evidence shows.
//
//wire:command 72 note_decision
type NoteDecision struct {
	Decision Seq    `json:"decision"`
	Text     Digest `json:"text_id"`
}

// ErasePerson ends an account for good and has forgotten who it was: its keys are
// revoked, its open orders cancelled, and what is held on the person beside the log
// is erased. Credits and positions stay with the account, which is nobody's now.
//
//wire:command 73 erase_person
type ErasePerson struct {
	Account AccountID `json:"account"`
}

// Forever is until when an account is limited that never places an order again: the
// last second of the year 9999, which every reader of RFC 3339 knows.
const Forever Time = 253_402_300_799_000_000

// MaxErasedKeys bounds the keys that one ErasePerson revokes: a person has a few.
const MaxErasedKeys = 256

// TextsAllowed says which texts a moderator let pass.
//
//wire:event 70 texts_allowed
type TextsAllowed struct {
	For   string      `json:"for" wire:"32"`
	Texts []Suspected `json:"texts" wire:"max=64"`
}

// MarketClarified says that a market has one more text.
//
//wire:event 71 market_clarified
type MarketClarified struct {
	Market MarketID `json:"market"`
	Number int64    `json:"number"` // of the market's clarifications, from 1
	Text   Digest   `json:"text_id"`
}

// DecisionNoted says that a decision has one more text.
//
//wire:event 72 decision_noted
type DecisionNoted struct {
	Decision Seq    `json:"decision"`
	Text     Digest `json:"text_id"`
}

// PersonErased says that an account is nobody's any more, and which keys are revoked.
//
//wire:event 73 person_erased
type PersonErased struct {
	Account AccountID `json:"account"`
	Keys    []Digest  `json:"keys,omitempty" wire:"max=256"`
}

// Clarification is a text that was added to a market.
type Clarification struct {
	Seq  Seq    `json:"seq"`
	At   Time   `json:"at"`
	ID   Digest `json:"text_id"`
	Text string `json:"text,omitempty"` // where the edge tells it; empty once it is erased
}
