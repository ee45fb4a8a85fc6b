package client

import (
	"context"
	"net/http"
	"strconv"

	"github.com/mbp-market/mbp/engine"
)

// text is the body of a mutation that adds a text.
type text struct {
	Text string `json:"text"`
}

// Clarify adds a text of at most 1,000 bytes to a market. Roles: operator, admin.
func (c *Client) Clarify(ctx context.Context, id engine.MarketID, words string, calls ...Call) (*Decision, error) {
	return c.post(ctx, "/v1/markets/"+id.String()+"/clarifications", text{words}, calls)
}

// NoteDecision adds a text of at most 1,000 bytes to a decision. Roles: who asked for
// it, operator, resolver, moderator, auditor, admin.
func (c *Client) NoteDecision(ctx context.Context, seq engine.Seq, words string, calls ...Call) (*Decision, error) {
	return c.post(ctx, notesOf(seq), text{words}, calls)
}

func notesOf(seq engine.Seq) string {
	return "/v1/decisions/" + strconv.FormatUint(uint64(seq), 10) + "/notes"
}

// Note is a text that was added to a decision.
type Note struct {
	ID   engine.Digest `json:"text_id"`
	At   engine.Time   `json:"at"`
	By   string        `json:"by"`
	Text string        `json:"text"`
}

// Notes are those of a decision.
type Notes struct {
	Seq   engine.Seq `json:"seq"`
	Notes []Note     `json:"notes"`
}

// Notes returns the texts that were added to a decision and are still held. Roles:
// as NoteDecision.
func (c *Client) Notes(ctx context.Context, seq engine.Seq) (*Notes, error) {
	return get[Notes](ctx, c, notesOf(seq), nil)
}

// HeldText is a text by or about a person.
type HeldText struct {
	ID       engine.Digest   `json:"text_id"`
	Kind     string          `json:"kind"` // clarification or note
	At       engine.Time     `json:"at"`
	By       string          `json:"by"`
	Market   engine.MarketID `json:"market,omitempty"`
	Decision engine.Seq      `json:"decision,omitempty"`
	Text     string          `json:"text"`
}

// PersonalData is what is held on a person beside the log.
type PersonalData struct {
	Seq      engine.Seq       `json:"seq"`
	Account  engine.AccountID `json:"account"`
	Erased   bool             `json:"erased"`
	Keys     []engine.Key     `json:"keys"`
	Identity bool             `json:"identity"`
	LinkedAt engine.Time      `json:"linked_at,omitzero"` // when the link was noted, or carried over to another salt
	Texts    []HeldText       `json:"texts"`
}

func heldOn(id engine.AccountID) string { return "/v1/accounts/" + id.String() + "/personal-data" }

// PersonalData returns what is held on the person of an account. Roles: its owner,
// who is not told what others wrote, admin.
func (c *Client) PersonalData(ctx context.Context, id engine.AccountID) (*PersonalData, error) {
	return get[PersonalData](ctx, c, heldOn(id), nil)
}

// ErasePerson ends an account and forgets who it was. Roles: admin.
func (c *Client) ErasePerson(ctx context.Context, id engine.AccountID, calls ...Call) (*Decision, error) {
	x, d := &call{method: http.MethodDelete, path: heldOn(id), body: nothing{}}, &Decision{}
	for _, o := range calls {
		o(x)
	}
	var err error
	if d.Replayed, err = c.do(ctx, x, d); err != nil {
		return nil, err
	}
	return d, nil
}
