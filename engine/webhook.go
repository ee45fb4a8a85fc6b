package engine

import (
	"github.com/mbp-market/mbp/engine/internal/ident"
	"github.com/mbp-market/mbp/engine/internal/words"
)

// WebhookID names an endpoint by the decision that added it; its text form is
// whk_<seq>.
type WebhookID = ident.WebhookID

// Webhook is an endpoint of somebody else's that is told of what is decided. Its
// secret is in no record: it follows from the installation's own, the id and the
// generation.
//
//wire:part
type Webhook struct {
	ID         WebhookID    `json:"webhook"`
	URL        string       `json:"url" wire:"512"`                         // https, or http on the machine itself
	Events     []string     `json:"events,omitempty" wire:"max=32,text=32"` // of WebhookEvents; none: all
	Markets    []MarketID   `json:"markets,omitempty" wire:"max=32"`        // events of these alone; none: of all, and of none
	State      WebhookState `json:"state"`
	Reason     string       `json:"reason,omitempty" wire:"128"` // why it is not active
	Generation uint32       `json:"generation"`                  // of its secret, from 1
	RotatedAt  Time         `json:"rotated_at"`                  // when that began
	After      Seq          `json:"after_seq"`                   // it has everything up to this decision
	Placed     Seq          `json:"placed_seq"`                  // the decision that says so
}

// WebhookState says whether an endpoint is told anything.
type WebhookState = words.State

// WebhookChange is what happens to a webhook.
type WebhookChange = words.Change

// The states and changes of a webhook. The numbers are journalled.
const (
	WebhookActive = words.Active
	WebhookPaused = words.Paused // by a person
	WebhookFailed = words.Failed // by the platform, because it took nothing for too long

	WebhookAdded   = words.Add
	WebhookPause   = words.Pause
	WebhookResume  = words.Resume
	WebhookRotate  = words.Rotate // it gets another secret
	WebhookReplay  = words.Replay // it is told again
	WebhookTest    = words.Test   // it is told of this decision
	WebhookRemoved = words.Delete
	WebhookFail    = words.Fail  // the platform gives up, until somebody resumes
	WebhookPlace   = words.Place // the platform notes how far it is, for whoever takes over
)

// MaxWebhooks bounds the endpoints: each is a reader of the journal and a connection.
const MaxWebhooks = 32

// WebhookEvents returns what a webhook can be told of, in the order of the alphabet:
// trades, and the events that say what happens to markets and to the platform. None
// says whose an order is.
func WebhookEvents() []string { return words.Events() }

// AddWebhook registers an endpoint, which is told of what is decided after it.
//
//wire:command 80 add_webhook
type AddWebhook struct {
	URL     string     `json:"url" wire:"512"`
	Events  []string   `json:"events,omitempty" wire:"max=32,text=32"`
	Markets []MarketID `json:"markets,omitempty" wire:"max=32"`
}

// ChangeWebhook changes or ends one.
//
//wire:command 81 change_webhook
type ChangeWebhook struct {
	Webhook WebhookID     `json:"webhook"`
	Change  WebhookChange `json:"change"`
	From    Seq           `json:"from_seq,omitempty"`          // replay, place: the first decision that it is told of next
	Reason  string        `json:"reason,omitempty" wire:"128"` // pause, fail
	Placed  Seq           `json:"placed_seq,omitempty"`        // fail, place: refused if it was placed elsewhere meanwhile
}

// WebhookSet says what a webhook is from now on, and which change made it so; after
// delete it is no more.
//
//wire:event 80 webhook_set
type WebhookSet struct {
	Change  WebhookChange `json:"change"`
	Webhook Webhook       `json:"webhook"`
}
