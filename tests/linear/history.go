// Package linear judges histories: what clients of the platform asked and were
// told, each with its time, while the process was killed and started again.
//
// It promises two verdicts that know nothing of each other. Porcupine searches
// for an order of the operations that explains every answer, on the parts that
// are small enough for a search: one idempotency key, one account's credits, one
// position, one order. The witness check needs no search, because the platform
// names the order itself: the decisions of the journal, replayed in sequence, must
// give every answer and every read of the whole history, and their order must
// respect real time.
//
// It refuses to pass what it did not see: a history without kills, repetitions
// or reads is no evidence, and whoever runs one says so.
//
// Linearizability is defined by Herlihy and Wing (TOPLAS 1990); the search is
// Lowe's (2017), as porcupine implements it.
package linear

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
)

// never is when an operation returns whose answer did not come.
const never = time.Duration(math.MaxInt64)

// Op is one request on the wire and what came back.
type Op struct {
	Worker       int
	Call, Return time.Duration // since the history began; never: no answer came
	Write        *Write        // one of the two
	Read         *Read
}

// Write is a mutation.
type Write struct {
	Principal, Key string
	Command        engine.Command // what was asked for
	Answer         *Answer        // nil: the outcome is unknown
}

// Answer is a decision as a client was told of it.
type Answer struct {
	Seq      engine.Seq
	Code     string           // of the engine
	Decision *client.Decision // nil of a rejection, which the API answers with a problem
	Replayed bool
}

// Read is what a client was shown.
type Read struct {
	AtLeast engine.Seq // what it asked for
	Seq     engine.Seq
	Account *engine.Account // one of the two
	Quote   *Quote
}

// Quote is the dry run of an order.
type Quote struct {
	Order  engine.PlaceOrder
	Code   engine.Code
	Amount engine.Micros
	Shares engine.Shares
}

// History is what a number of clients saw. It is safe for concurrent use.
type History struct {
	began time.Time
	mu    sync.Mutex
	ops   []Op
	known engine.Seq // the greatest sequence that anybody was told of
}

// NewHistory begins one.
func NewHistory() *History { return &History{began: time.Now()} }

// Known returns the greatest sequence that anybody was told of so far.
func (h *History) Known() engine.Seq {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.known
}

func (h *History) now() time.Duration { return time.Since(h.began) }

func (h *History) add(op Op) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, op)
	switch {
	case op.Read != nil:
		h.known = max(h.known, op.Read.Seq)
	case op.Write.Answer != nil:
		h.known = max(h.known, op.Write.Answer.Seq)
	}
}

// Ops returns what was recorded so far.
func (h *History) Ops() []Op {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]Op(nil), h.ops...)
}

// digest tells answers apart: equal ones are equal word for word.
func (a *Answer) digest() engine.Digest {
	if a.Decision == nil {
		return sha256.Sum256([]byte(a.Code))
	}
	bare := *a.Decision
	bare.Replayed = false
	b, err := json.Marshal(bare) //nolint:gosec // it is hashed at once
	if err != nil {
		panic(err) // it was read from JSON
	}
	return sha256.Sum256(b)
}

// of reports whether the answer is one to the write: it tells of the same command
// by the same principal. A rejection tells of neither.
func (a *Answer) of(w *Write) bool {
	if a.Decision == nil {
		return true
	}
	asked, err := json.Marshal(w.Command)
	if err != nil {
		panic(err) // commands have a JSON form
	}
	var told map[string]any
	if json.Unmarshal(a.Decision.Command, &told) != nil || told["type"] != w.Command.Type() {
		return false
	}
	delete(told, "type")
	var want map[string]any
	return json.Unmarshal(asked, &want) == nil && reflect.DeepEqual(told, want) && a.Decision.Principal == w.Principal
}

// equals compares the answer with the decision of the journal.
func (a *Answer) equals(d *engine.Decision) bool {
	if a.Seq != d.Seq || a.Code != d.Code.String() {
		return false
	}
	if a.Decision == nil {
		return d.Code != engine.OK
	}
	b, err := json.Marshal(d)
	if err != nil {
		return false
	}
	var want client.Decision
	if json.Unmarshal(b, &want) != nil {
		return false
	}
	got := *a.Decision
	if got.Seq != want.Seq || got.At != want.At || got.Principal != want.Principal || !bytes.Equal(got.Command, want.Command) {
		return false
	}
	if got.Principal == banker { // sees everything
		return slices.EqualFunc(got.Events, want.Events, func(a, b json.RawMessage) bool { return bytes.Equal(a, b) })
	}
	return reflect.DeepEqual(read(got.Events), ofOwner(want.Events))
}

func read(events []json.RawMessage) []map[string]any {
	var out []map[string]any
	for _, raw := range events {
		var e map[string]any
		if json.Unmarshal(raw, &e) != nil {
			e = nil // equals no event
		}
		out = append(out, e)
	}
	return out
}

// ofOwner is what a trader is told of an own decision: no counterparty of a fill,
// and no alert of the surveillance.
func ofOwner(events []json.RawMessage) []map[string]any {
	var out []map[string]any
	for _, e := range read(events) {
		if e["type"] == "abuse_raised" && e["action"] == "alert" {
			continue
		}
		fills, _ := e["fills"].([]any)
		for i, f := range fills {
			full, _ := f.(map[string]any)
			with := "book"
			if full["maker"] == nil {
				with = "pool"
			}
			fills[i] = map[string]any{"with": with, "amount_micros": full["amount_micros"], "shares_micros": full["shares_micros"]}
		}
		out = append(out, e)
	}
	return out
}
