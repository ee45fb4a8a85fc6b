package httpapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/httpapi/fresh"
	"github.com/mbp-market/mbp/engine/httpapi/news"
	"github.com/mbp-market/mbp/engine/httpapi/problem"
	"github.com/mbp-market/mbp/engine/httpapi/roster"
	"github.com/mbp-market/mbp/engine/httpapi/several"
	"github.com/mbp-market/mbp/engine/httpapi/wire"
	"github.com/mbp-market/mbp/engine/sequencer"
)

// Page sizes.
const (
	defaultMarkets   = 50
	maxMarkets       = 500
	pageOutcomes     = 2048 // of all its markets, but for the last: some 400 KB and, all of 64 outcomes, 14 ms of work
	defaultDecisions = 100
	maxDecisions     = 1000
)

// answer serves a read: the query first, then the wait for min_seq, then the
// route's own work.
func (a *API) answer(w http.ResponseWriter, c *call) {
	doc, err := a.document(c)
	if err != nil && c.r.Context().Err() != nil {
		panic(http.ErrAbortHandler) // the client has left, and there is nobody to answer
	}
	if err != nil {
		a.fail(w, c.r, err)
		return
	}
	room := wire.Borrow()
	defer wire.Return(room)
	b, err := several.Append(*room, doc)
	if err != nil {
		a.fail(w, c.r, fmt.Errorf("encode answer: %w", err))
		return
	}
	b = append(b, '\n')
	*room = b
	tag, h := fresh.Tag(b), w.Header()
	h[fresh.Header] = []string{tag}
	if fresh.Has(c.r.Header[fresh.Compare], tag) {
		h.Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	a.send(w, c.r, http.StatusOK, "application/json", b)
}

func (a *API) document(c *call) (any, error) {
	form, err := wire.ParseQuery(c.r.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	c.reads(form)
	if form.Given("min_seq") {
		want := engine.Seq(form.Uint64("min_seq", true))
		if err := form.Fault(); err != nil {
			return nil, err
		}
		if err := a.await(c, want); err != nil {
			return nil, err
		}
	}
	return c.route.read(c)
}

// await returns when the read model has reached a sequence.
func (a *API) await(c *call, want engine.Seq) error {
	at := a.seq.Durable()
	switch {
	case want <= at:
		return nil
	case want > at+minSeqAhead:
		return &problem.Refusal{Code: problem.Behind, Detail: "the sequence is too far ahead to wait for it", Seq: at}
	case !a.waiting.Enter(c.key.SHA256):
		return tooMany(minSeqWait, "too many reads of this API key wait for a sequence")
	}
	defer a.waiting.Leave(c.key.SHA256)
	ctx, cancel := context.WithTimeout(c.r.Context(), minSeqWait)
	defer cancel()
	err := a.seq.Wait(ctx, want)
	if err != nil && c.r.Context().Err() == nil {
		return &problem.Refusal{Code: problem.Behind, Detail: "the sequence is not reached within " + minSeqWait.String(), Seq: a.seq.Durable()}
	}
	return err
}

func (a *API) me(c *call) (any, error) {
	if err := c.End(); err != nil {
		return nil, err
	}
	doc := struct {
		Seq       engine.Seq       `json:"seq"`
		Principal string           `json:"principal"`
		Roles     engine.Roles     `json:"roles"`
		Account   engine.AccountID `json:"account,omitempty"`
	}{0, c.key.Principal, c.key.Roles, c.key.Account}
	a.seq.View(func(s *core.State) { doc.Seq = s.Seq() })
	return doc, nil
}

// ofAccount is a read of what somebody's account is now.
func (a *API) ofAccount(read func(roster.State, engine.AccountID) (any, error)) func(*call) (any, error) {
	return func(c *call) (any, error) {
		var id engine.AccountID
		c.ID("account", &id)
		if err := cmp.Or(c.End(), c.own(id)); err != nil {
			return nil, err
		}
		return read(a.seq, id)
	}
}

func (a *API) marketGroups(c *call) (any, error) {
	var id engine.MarketID
	c.ID("market", &id)
	if err := c.End(); err != nil {
		return nil, err
	}
	return roster.MarketGroups(a.seq, id)
}

func (a *API) templates(c *call) (any, error) {
	if err := c.End(); err != nil {
		return nil, err
	}
	return roster.Templates(a.seq), nil
}

func (a *API) markets(c *call) (any, error) {
	var after engine.MarketID
	c.Into("after", false, &after)
	limit, tradable := int(c.Within("limit", maxMarkets, defaultMarkets)), c.Bool("tradable")
	if err := c.End(); err != nil {
		return nil, err
	}
	doc := struct {
		Seq     engine.Seq      `json:"seq"`
		Markets []engine.Market `json:"markets"`
		Next    engine.MarketID `json:"next,omitempty"`
	}{Markets: []engine.Market{}}
	from, worked, left := after+1, 0, roster.Sought
	for from != 0 && len(doc.Markets) < limit && worked < pageOutcomes && left > 0 {
		most := limit - len(doc.Markets)
		if tradable {
			seq := doc.Seq
			if doc.Seq, from, left = roster.Next(a.seq, from, c.key.Account, left); seq != 0 {
				doc.Seq = seq
			}
			if from == 0 || left == 0 {
				break
			}
			most = 1 // the next one
		}
		seq, looks, end := roster.Look(a.seq, from, 1, most)
		if doc.Seq == 0 { // the later ones are no older
			doc.Seq = seq
		}
		for i := range looks {
			doc.Markets = append(doc.Markets, looks[i].Market())
			worked += looks[i].Outcomes()
		}
		if from += engine.MarketID(len(looks)); from > end {
			from = 0
		}
	}
	a.charge(c, max(0, worked-1)/outcomesPerToken)
	if from > after+1 { // it got somewhere
		doc.Next = from - 1
	}
	return doc, nil
}

func (a *API) market(c *call) (any, error) {
	var id engine.MarketID
	c.ID("market", &id)
	if err := c.End(); err != nil {
		return nil, err
	}
	seq, looks, _ := roster.Look(a.seq, id, 1, 1)
	if len(looks) == 0 {
		return nil, &problem.Refusal{Code: engine.MarketNotFound.String(), Seq: seq}
	}
	doc := news.Market{Seq: seq, Market: looks[0].Market()}
	return doc, a.personal.Tell(&doc.Market)
}

// find reads a decision back.
func (a *API) find(seq engine.Seq) (*engine.Decision, error) {
	got, err := a.seq.Decision(seq)
	if errors.Is(err, sequencer.ErrNotFound) {
		return nil, &problem.Refusal{Code: problem.NotFound, Detail: "no decision has this sequence", Seq: a.seq.Durable()}
	}
	if err != nil {
		return nil, err
	}
	return got.Decision, nil
}

func (a *API) decision(c *call) (any, error) {
	var seq wire.Seq
	c.ID("seq", &seq)
	if err := c.End(); err != nil {
		return nil, err
	}
	d, err := a.find(engine.Seq(seq))
	if err != nil {
		return nil, err
	}
	if !c.privileged() && d.Principal != c.key.Principal {
		return nil, &problem.Refusal{Code: problem.Forbidden, Detail: "the decision is not the API key's own"}
	}
	return c.shown(d), nil
}

// errPageFull ends the reading of a page.
var errPageFull = errors.New("page is full")

func (a *API) decisions(c *call) (any, error) {
	after := engine.Seq(c.Uint64("after", false))
	limit := c.Within("limit", maxDecisions, defaultDecisions)
	if err := c.End(); err != nil {
		return nil, err
	}
	doc := struct {
		Seq       engine.Seq         `json:"seq"`
		Decisions []*engine.Decision `json:"decisions"`
		Next      engine.Seq         `json:"next,omitempty"`
	}{Seq: a.seq.Durable(), Decisions: []*engine.Decision{}}
	if after < doc.Seq {
		err := a.seq.Follow(c.r.Context(), after+1, func(got sequencer.Committed) error {
			doc.Decisions = append(doc.Decisions, got.Decision)
			if got.Decision.Seq >= doc.Seq || int64(len(doc.Decisions)) == limit {
				return errPageFull
			}
			return nil
		})
		if !errors.Is(err, errPageFull) {
			return nil, fmt.Errorf("read decisions after %d: %w", after, err)
		}
	}
	if n := len(doc.Decisions); n > 0 && doc.Decisions[n-1].Seq < doc.Seq {
		doc.Next = doc.Decisions[n-1].Seq
	}
	return doc, nil
}
