// Package personal is what the edge does with personal data: it puts texts into the
// store that can forget before the log names them, tells them to who may know, shows
// what is held on a person, and has the store forget what the log says is erased.
//
// It promises: a command that names a text is decided only when the text is durable;
// whoever was erased in the order of decisions is forgotten by the store, also after
// a crash, a takeover or a restore, because each start goes through all erasures that
// the state knows; an erasure is answered when the store has forgotten.
//
// It refuses to decide who may see what, which is the edge's table, and to show what
// others wrote about a person to that person itself: a moderator's note may be part
// of an inquiry, so an admin looks before it is handed over (LGPD, articles 18 and 19).
package personal

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/httpapi/problem"
	"github.com/mbp-market/mbp/engine/sequencer"
	"github.com/mbp-market/mbp/engine/texts"
)

// Texts is the store that can forget.
type Texts interface {
	Put(texts.Draft) (engine.Digest, error)
	Texts(ids []engine.Digest) (map[engine.Digest]string, error)
	Notes(of engine.Seq, most int) ([]texts.Entry, error)
	Concerning(account engine.AccountID, digests []engine.Digest, most int) ([]texts.Entry, error)
	Erase(account engine.AccountID, digests []engine.Digest) (int, error)
}

var _ Texts = (*texts.Store)(nil)

// Writer is what is needed of the sequencer.
type Writer interface {
	View(fn func(*core.State))
	Now() engine.Time
	Follow(ctx context.Context, from engine.Seq, fn func(sequencer.Committed) error) error
	Decision(seq engine.Seq) (sequencer.Committed, error)
}

// Keeper keeps the texts of an edge. Its zero store keeps none.
type Keeper struct {
	texts  Texts
	writer Writer
	log    *slog.Logger
}

// New makes a keeper; without a store it refuses texts and tells none.
func New(t Texts, w Writer, log *slog.Logger) *Keeper { return &Keeper{t, w, log} }

var errNone = &problem.Refusal{Code: problem.NotFound, Detail: "this server keeps no texts"}

// Author is who writes.
type Author struct {
	Principal string
	Account   engine.AccountID
	Key       string // idempotency key
}

// Hold stores the text of a command that takes one, and writes its id there.
func (k *Keeper) Hold(c engine.Command, text string, by Author) error {
	d := texts.Draft{Author: by.Principal, Account: by.Account, At: k.writer.Now(), Text: text}
	sum := sha256.Sum256([]byte(by.Principal + "\x00" + by.Key))
	copy(d.Request[:], sum[:])
	var id *engine.Digest
	switch x := c.(type) {
	case *engine.ClarifyMarket:
		d.Kind, d.Market, id = texts.Clarification, x.Market, &x.Text
	case *engine.NoteDecision:
		d.Kind, d.Of, d.About, id = texts.Note, x.Decision, k.about(x.Decision), &x.Text
	default:
		return nil
	}
	if k.texts == nil {
		return errNone
	}
	got, err := k.texts.Put(d)
	switch {
	case errors.Is(err, texts.ErrFull):
		return &problem.Refusal{Code: engine.LimitReached.String(), Detail: err.Error()}
	case err != nil:
		return &problem.Refusal{Code: problem.Failed, Detail: "the text was not stored, and nothing was decided", RetryAfter: time.Second, Cause: err}
	}
	*id = got
	return nil
}

// about is whom a decision tells of.
func (k *Keeper) about(seq engine.Seq) engine.AccountID {
	got, err := k.writer.Decision(seq)
	if err != nil {
		return 0 // there is none: the engine says so
	}
	return About(got.Decision)
}

// About is the account that a decision tells of; 0: nobody's. A note on the decision is
// about that person, too.
func About(d *engine.Decision) engine.AccountID {
	for _, e := range d.Events {
		if x, is := e.(*engine.AbuseRaised); is {
			return x.Account
		}
	}
	c := d.Command
	if x, is := c.(*engine.Batch); is && len(x.Items) > 0 {
		c = x.Items[0] // all of them are of one account
	}
	switch x := c.(type) {
	case *engine.PlaceOrder:
		return x.Account
	case *engine.AmendOrder:
		return x.Account
	case *engine.CancelOrder:
		return x.Account
	case *engine.CancelAll:
		return x.Account
	case *engine.GrantCredits:
		return x.Account
	case *engine.Moderate:
		return x.Account
	case *engine.DisputeResolution:
		return x.Account
	case *engine.AddKey:
		return x.Key.Account
	}
	return 0
}

// away is what somebody is told while the store does not answer.
func away(err error) error {
	return &problem.Refusal{Code: problem.Failed, Detail: "the store of texts does not answer", RetryAfter: time.Second, Cause: err}
}

// Tell writes the texts of a market's clarifications where they are held.
func (k *Keeper) Tell(m *engine.Market) error {
	if k.texts == nil || len(m.Clarifications) == 0 {
		return nil
	}
	ids := make([]engine.Digest, len(m.Clarifications))
	for i := range m.Clarifications {
		ids[i] = m.Clarifications[i].ID
	}
	words, err := k.texts.Texts(ids)
	if err != nil {
		return away(err)
	}
	for i := range m.Clarifications {
		m.Clarifications[i].Text = words[ids[i]]
	}
	return nil
}

// Note is a text that was added to a decision.
type Note struct {
	ID   engine.Digest `json:"text_id"`
	At   engine.Time   `json:"at"`
	By   string        `json:"by"`
	Text string        `json:"text"`
}

// Notes returns those of a decision that are held, in the order of writing.
func (k *Keeper) Notes(seq engine.Seq) ([]Note, error) {
	out := []Note{}
	if k.texts == nil {
		return out, nil
	}
	all, err := k.texts.Notes(seq, maxNotes)
	if err != nil {
		return nil, away(err)
	}
	for _, e := range all {
		out = append(out, Note{e.ID, e.At, e.Author, e.Text})
	}
	return out, nil
}

// maxNotes bounds the notes that are told of a decision.
const maxNotes = 1000

// Held is a text of or about a person.
type Held struct {
	ID       engine.Digest   `json:"text_id"`
	Kind     texts.Kind      `json:"kind"`
	At       engine.Time     `json:"at"`
	By       string          `json:"by"`
	Market   engine.MarketID `json:"market,omitempty"`
	Decision engine.Seq      `json:"decision,omitempty"`
	Text     string          `json:"text"`
}

// Doc is everything that is held on a person beside the log.
type Doc struct {
	Seq      engine.Seq       `json:"seq"`
	Account  engine.AccountID `json:"account"`
	Erased   bool             `json:"erased"`
	Keys     []engine.Key     `json:"keys"`               // that stand for the account
	Identity bool             `json:"identity"`           // the store links a person of the identity provider with it
	LinkedAt engine.Time      `json:"linked_at,omitzero"` // when the store noted that, or carried it over to another salt
	Texts    []Held           `json:"texts"`
}

// maxHeld bounds the texts of one document: ten authors' worth is a few megabytes.
const maxHeld = 20_000

// Show returns what is held on an account: of what others wrote about it only if all.
func (k *Keeper) Show(id engine.AccountID, all bool) (Doc, error) {
	doc := Doc{Account: id, Keys: []engine.Key{}, Texts: []Held{}}
	known := false
	k.writer.View(func(s *core.State) {
		_, known = s.Account(id)
		doc.Seq, doc.Erased = s.Seq(), s.Erased(id)
		doc.Keys = append(doc.Keys, s.KeysOf(id)...)
	})
	if !known {
		return doc, &problem.Refusal{Code: engine.AccountNotFound.String(), Seq: doc.Seq}
	}
	if k.texts == nil {
		return doc, nil
	}
	digests := make([]engine.Digest, len(doc.Keys))
	for i := range doc.Keys {
		digests[i] = doc.Keys[i].SHA256
	}
	entries, err := k.texts.Concerning(id, digests, maxHeld)
	if err != nil {
		return doc, away(err)
	}
	for _, e := range entries {
		switch {
		case e.Kind == texts.Identity:
			doc.Identity, doc.LinkedAt = true, max(doc.LinkedAt, e.At)
		case all || e.Account == id:
			doc.Texts = append(doc.Texts, Held{e.ID, e.Kind, e.At, e.Author, e.Market, e.Of, e.Text})
		}
	}
	return doc, nil
}

// Erased has the store forget whom a decision erased, if it did.
func (k *Keeper) Erased(d *engine.Decision) error {
	if k.texts == nil {
		return nil
	}
	for _, e := range d.Events {
		x, is := e.(*engine.PersonErased)
		if !is {
			continue
		}
		n, err := k.texts.Erase(x.Account, x.Keys)
		if err != nil {
			return fmt.Errorf("erase what is held on %s: %w", x.Account, err)
		}
		k.log.Info("erased a person", "account", x.Account.String(), "seq", uint64(d.Seq), "entries", n)
	}
	return nil
}

// retry is how long an erasure waits that the store did not do.
const retry = 5 * time.Second

// Run has the store forget whom earlier decisions erased, and then whom each new one
// does, until ctx ends. Mostly there is nothing left to do: who asked for an erasure
// has done it. What is left is of a process that died in between, or of a backup. A
// store that does not answer is asked again.
func (k *Keeper) Run(ctx context.Context) error {
	for k.texts != nil && ctx.Err() == nil {
		if err := k.follow(ctx); ctx.Err() == nil {
			k.log.Error("erasures wait", "err", err, "retry_in", retry)
		}
		timer := time.NewTimer(retry)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
	return nil
}

// follow does the erasures of the state, and then those of each new decision.
func (k *Keeper) follow(ctx context.Context) error {
	var ids []engine.AccountID
	var seq engine.Seq
	k.writer.View(func(s *core.State) { ids, seq = s.Erasures(0), s.Seq() })
	for _, id := range ids {
		if n, err := k.texts.Erase(id, nil); err != nil {
			return fmt.Errorf("erase what is held on %s: %w", id, err)
		} else if n != 0 {
			k.log.Warn("erased a person again: a crash or a restore had left something", "account", id.String(), "entries", n)
		}
	}
	return k.writer.Follow(ctx, seq+1, func(c sequencer.Committed) error { return k.Erased(c.Decision) })
}
