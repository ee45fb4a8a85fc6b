package linear

import (
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
)

// searchTime bounds the search of one part of a history. The parts are small: a
// part that takes longer is reported as not judged, which is no pass.
const searchTime = 20 * time.Second

// Search looks for an order of the operations that explains every answer, part by
// part. It returns the parts that have none; nil is a pass. judged is how many
// operations of parts were looked at.
func Search(ops []Op) (judged int, err error) {
	var errs []error
	for _, part := range []struct {
		name  string
		model porcupine.Model
		split map[string][]porcupine.Operation
	}{
		{"the key", keys.ToModel(), byKey(ops)},
		{"the credits of", counter, credits(ops)},
		{"the position", counter, positions(ops)},
		{"the order", order, orders(ops)},
	} {
		names := make([]string, 0, len(part.split))
		for name := range part.split {
			names = append(names, name)
		}
		sort.Strings(names)
		for _, name := range names {
			judged += len(part.split[name])
			if got := porcupine.CheckOperationsTimeout(part.model, part.split[name], searchTime); got != porcupine.Ok && len(errs) < maxFaults {
				errs = append(errs, fmt.Errorf("%s %s: %d operations are %s", part.name, name, len(part.split[name]), got))
			}
		}
	}
	return judged, errors.Join(errs...)
}

// The model of an idempotency key: it is decided once, and every answer is that
// decision. An attempt without an answer may have decided or not.

type keyState struct {
	decided, known bool
	seq            engine.Seq
	digest         engine.Digest
}

type keyAnswer struct {
	mine, replayed bool
	seq            engine.Seq
	digest         engine.Digest
}

var keys = porcupine.NondeterministicModel{
	Init: func() []any { return []any{keyState{}} },
	Step: func(state, _, output any) []any {
		s := state.(keyState)
		a, answered := output.(keyAnswer)
		switch {
		case !answered && s.decided:
			return []any{s}
		case !answered:
			return []any{s, keyState{decided: true}}
		// A repetition may be the first that is heard of: the transport sends a request
		// with an idempotency key again by itself when its connection ends. What is
		// refused is a fresh answer after a decision, and another decision than was told.
		case !a.mine || s.decided && !a.replayed || s.known && (s.seq != a.seq || s.digest != a.digest):
			return nil
		}
		return []any{keyState{true, true, a.seq, a.digest}}
	},
}

func byKey(ops []Op) map[string][]porcupine.Operation {
	out := map[string][]porcupine.Operation{}
	for _, op := range ops {
		w := op.Write
		if w == nil {
			continue
		}
		x := porcupine.Operation{ClientId: op.Worker, Call: int64(op.Call), Return: int64(op.Return)}
		if a := w.Answer; a != nil {
			x.Output = keyAnswer{a.of(w), a.Replayed, a.Seq, a.digest()}
		}
		name := w.Principal + " " + w.Key
		out[name] = append(out[name], x)
	}
	return out
}

// The model of a number that is added to and read: the credits of an account, and
// a position.

type change struct {
	read  bool
	value int64 // added, or read
}

var counter = porcupine.Model{
	Init: func() any { return int64(0) },
	Step: func(state, input, _ any) (bool, any) {
		s, x := state.(int64), input.(change)
		if x.read {
			return s == x.value, s
		}
		return true, s + x.value
	},
}

// effect is a decided write: it takes place between its first attempt and its
// first answer.
type effect struct {
	write        *Write
	worker       int
	call, answer time.Duration
}

func effects(ops []Op) []*effect {
	byKey := map[[2]string]*effect{}
	var out []*effect
	for i := range ops {
		op := &ops[i]
		if op.Write == nil {
			continue
		}
		key := [2]string{op.Write.Principal, op.Write.Key}
		e := byKey[key]
		if e == nil {
			e = &effect{worker: op.Worker, call: op.Call, answer: never}
			byKey[key] = e
			out = append(out, e)
		}
		e.call = min(e.call, op.Call)
		if op.Write.Answer != nil && op.Return < e.answer {
			e.write, e.answer = op.Write, op.Return
		}
	}
	return out
}

// filled returns what a write traded at once, nil if nothing.
func filled(w *Write) *engine.OrderFilled {
	if w == nil || w.Answer == nil || w.Answer.Decision == nil {
		return nil
	}
	for _, raw := range w.Answer.Decision.Events {
		var head struct {
			Type string `json:"type"`
		}
		f := &engine.OrderFilled{}
		if json.Unmarshal(raw, &head) == nil && head.Type == f.Type() && json.Unmarshal(raw, f) == nil {
			return f
		}
	}
	return nil
}

func (e *effect) operation(x any) porcupine.Operation {
	return porcupine.Operation{ClientId: e.worker, Input: x, Call: int64(e.call), Return: int64(e.answer)}
}

func reading(op Op, value int64) porcupine.Operation {
	return porcupine.Operation{ClientId: op.Worker, Input: change{true, value}, Call: int64(op.Call), Return: int64(op.Return)}
}

// credits are split by account: what is available and what is reserved, together.
func credits(ops []Op) map[string][]porcupine.Operation {
	out := map[string][]porcupine.Operation{}
	add := func(e *effect, a engine.AccountID, n engine.Micros) {
		out[a.String()] = append(out[a.String()], e.operation(change{false, int64(n)}))
	}
	for _, e := range effects(ops) {
		if e.write == nil || e.write.Answer.Decision == nil {
			continue
		}
		if x, ok := e.write.Command.(*engine.GrantCredits); ok {
			add(e, x.Account, x.Amount)
		}
		if f := filled(e.write); f != nil && f.Side == engine.Buy {
			add(e, f.Account, -f.Amount-f.Fee)
		} else if f != nil {
			add(e, f.Account, f.Amount-f.Fee)
		}
	}
	for _, op := range ops {
		if op.Read != nil && op.Read.Account != nil {
			a := op.Read.Account
			out[a.Account.String()] = append(out[a.Account.String()], reading(op, int64(a.Available+a.Reserved)))
		}
	}
	return out
}

// positions are split by account, market and outcome.
func positions(ops []Op) map[string][]porcupine.Operation {
	out := map[string][]porcupine.Operation{}
	name := func(a engine.AccountID, m engine.MarketID, o engine.Outcome) string {
		return fmt.Sprint(a, " ", m, " ", o)
	}
	for _, e := range effects(ops) {
		f := filled(e.write)
		if f == nil {
			continue
		}
		n := int64(f.Shares)
		if f.Side == engine.Sell {
			n = -n
		}
		k := name(f.Account, f.Market, f.Outcome)
		out[k] = append(out[k], e.operation(change{false, n}))
	}
	traded := make([]string, 0, len(out))
	for k := range out {
		traded = append(traded, k)
	}
	for _, op := range ops {
		if op.Read == nil || op.Read.Account == nil {
			continue
		}
		held, a := map[string]int64{}, op.Read.Account
		for _, p := range a.Positions {
			held[name(a.Account, p.Market, p.Outcome)] = int64(p.Shares)
		}
		for _, k := range traded { // an absent position is none
			var of string
			if _, err := fmt.Sscan(k, &of); err == nil && of == a.Account.String() {
				out[k] = append(out[k], reading(op, held[k]))
			}
		}
	}
	return out
}

// The model of an order that nobody meets: it rests, and is cancelled once.

type orderState int

const (
	absent orderState = iota
	resting
	ended
)

type orderStep struct {
	place bool
	ok    bool // the cancelling was accepted
}

var order = porcupine.Model{
	Init: func() any { return absent },
	Step: func(state, input, _ any) (bool, any) {
		switch s, x := state.(orderState), input.(orderStep); {
		case x.place:
			return s == absent, resting
		case x.ok:
			return s == resting, ended
		default:
			return s != resting, s
		}
	},
}

// orders are split by order.
func orders(ops []Op) map[string][]porcupine.Operation {
	out := map[string][]porcupine.Operation{}
	for _, e := range effects(ops) {
		if e.write == nil {
			continue
		}
		a := e.write.Answer
		if x, ok := e.write.Command.(*engine.CancelOrder); ok {
			if a.Code == engine.OK.String() || a.Code == engine.OrderNotFound.String() {
				out[x.Order.String()] = append(out[x.Order.String()], e.operation(orderStep{ok: a.Code == engine.OK.String()}))
			}
			continue
		}
		if r := rested(a.Decision); r != nil {
			out[r.Order.String()] = append(out[r.Order.String()], e.operation(orderStep{place: true}))
		}
	}
	return out
}

func rested(d *client.Decision) *engine.OrderRested {
	if d == nil {
		return nil
	}
	return d.Rested()
}
