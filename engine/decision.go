package engine

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/mbp-market/mbp/engine/internal/wire"
)

// ErrEncoding wraps every error of decoding a record.
var ErrEncoding = wire.ErrFormat

// Decision is a request with the engine's verdict: what one record of the
// journal holds. Its sequence is the record's.
type Decision struct {
	Seq Seq
	Request
	Code   Code
	Detail string  // of some rejections: what is out of range, or which limit was reached
	Events []Event // empty for a rejection, but for an AbuseRaised

	// Results are the verdicts on the items of a Batch, in order; Events holds
	// the events of all of them.
	Results []Result

	room [4]Event // backs Events
}

// Result is the verdict on one item of a Batch.
//
//wire:part
type Result struct {
	Code   Code   `json:"code"`
	Detail string `json:"detail,omitempty" wire:"200"`
	Events uint32 `json:"events"` // how many of the decision's events are the item's
}

const (
	recordVersion = 2
	maxEvents     = 16 * BatchLimit // of one decision: seven of an order, and each rule of AbuseRaised once
	maxDetail     = 200             // bytes
)

// Reset prepares d for a new request; the room of its events is used again.
func (d *Decision) Reset(seq Seq, req Request) {
	results, events := d.Results[:0], d.Events[:0]
	*d = Decision{Seq: seq, Request: req, Results: results, Events: events}
	if cap(events) <= len(d.room) {
		d.Events = d.room[:0]
	}
}

// Add appends an event.
func (d *Decision) Add(e Event) { d.Events = append(d.Events, e) }

// Reject sets the verdict.
func (d *Decision) Reject(code Code, detail string) { d.Code, d.Detail = code, detail }

// Clone returns a copy that shares no memory with d: the events of a decision
// just made stand in memory that the next one uses again.
func (d *Decision) Clone() *Decision {
	c, err := Decode(d.Seq, d.Append(nil))
	if err != nil {
		panic(fmt.Sprintf("engine: decision %d does not read its own record: %v", d.Seq, err))
	}
	return c
}

// Append appends the binary form of d, without its sequence, to b.
func (d *Decision) Append(b []byte) []byte { return new(Coder).Append(b, d) }

// Decode reads the binary form of the decision with the given sequence. It
// accepts exactly what Append writes; any other input is an error that wraps
// ErrEncoding. The decision keeps no reference to b.
func Decode(seq Seq, b []byte) (*Decision, error) { return new(Coder).Decode(seq, b) }

// Coder does what Append and Decode do, for who does it millions of times: with a piece
// of memory of its own, instead of one each time. The zero value is ready; one goroutine
// uses it.
type Coder struct{ c wire.Codec }

// Append appends the binary form of d, without its sequence, to b.
func (k *Coder) Append(b []byte, d *Decision) []byte {
	k.c = wire.Codec{B: b}
	d.fields(&k.c)
	if k.c.Err != nil { // Decide lets through what fits only
		panic(fmt.Sprintf("engine: decision %d does not fit its record: %v", d.Seq, k.c.Err))
	}
	b = k.c.B
	k.c.B = nil
	return b
}

// Decode is the function of that name.
func (k *Coder) Decode(seq Seq, b []byte) (*Decision, error) {
	d := &Decision{Seq: seq}
	if err := k.into(d, b); err != nil {
		return nil, err
	}
	return d, nil
}

// Reread decodes the record b of d itself, whose text d lends: what comes back is
// what Decode would return, in few pieces of memory where d is an order that is
// filled, or a batch. It shares no memory with d that anybody changes.
func (k *Coder) Reread(d *Decision, b []byte) (*Decision, error) {
	var out *Decision
	switch x := d.Command.(type) {
	case *PlaceOrder:
		if len(d.Events) != 1 || d.Filled() == nil {
			return k.Decode(d.Seq, b)
		}
		whole := &struct {
			Decision
			order  PlaceOrder
			filled OrderFilled
		}{}
		out = &whole.Decision
		out.Command, out.room[0] = &whole.order, &whole.filled
	case *Batch:
		if len(x.Items) == 0 {
			return k.Decode(d.Seq, b)
		}
		out = d.rereadable(x)
	default:
		return k.Decode(d.Seq, b)
	}
	out.Seq, out.Principal = d.Seq, d.Principal
	if err := k.into(out, b); err != nil {
		return nil, err
	}
	return out, nil
}

// rereadable has room for the orders of a batch x and for the fills of d.
func (d *Decision) rereadable(x *Batch) *Decision {
	orders, filled := 0, 0
	for _, c := range x.Items {
		if _, is := c.(*PlaceOrder); is {
			orders++
		}
	}
	for _, e := range d.Events {
		if _, is := e.(*OrderFilled); is {
			filled++
		}
	}
	out, items := &Decision{}, make([]Command, len(x.Items))
	ordered, fills := make([]PlaceOrder, orders), make([]OrderFilled, filled)
	for i, c := range x.Items {
		if _, is := c.(*PlaceOrder); is {
			items[i], ordered = &ordered[0], ordered[1:]
		}
	}
	events := out.room[:]
	if len(d.Events) > len(events) {
		events = make([]Event, len(d.Events))
	}
	for i, e := range d.Events {
		if _, is := e.(*OrderFilled); is {
			events[i], fills = &fills[0], fills[1:]
		}
	}
	out.Command, out.Events = &Batch{Items: items[:0]}, events[:0]
	return out
}

// into decodes b into d, which is blank but for what lies ready.
func (k *Coder) into(d *Decision, b []byte) error {
	c := &k.c
	*c = wire.Codec{B: b, Decoding: true}
	if d.Events == nil {
		d.Events = d.room[:0]
	}
	d.fields(c)
	if c.Err == nil && len(c.B) != 0 {
		c.Fail("%d bytes too many", len(c.B))
	}
	c.B = nil
	if c.Err != nil {
		return fmt.Errorf("decode decision %d: %w", d.Seq, c.Err)
	}
	clear(d.Events[len(d.Events):cap(d.Events)]) // what lay ready and was not there
	return nil
}

func (d *Decision) fields(c *wire.Codec) {
	version := uint8(recordVersion)
	wire.Num(c, &version)
	if version != recordVersion {
		c.Fail("record version %d is unknown to this binary", version)
	}
	wire.Signed(c, &d.At)
	c.Text(&d.Principal, 64)
	keyed := d.Key != Tag{}
	c.Flag(&keyed)
	if keyed {
		c.Raw(d.Key[:])
		c.Raw(d.Input[:])
		if d.Key == (Tag{}) {
			c.Fail("empty key")
		}
	}
	codeCommand(c, &d.Command)
	if c.Err != nil {
		return
	}
	wire.Num(c, &d.Code)
	if int(d.Code) >= len(codeNames) {
		c.Fail("code %d", d.Code)
	}
	c.Text(&d.Detail, maxDetail)
	n := c.Count(len(d.Events), maxEvents)
	if c.Decoding && n > cap(d.Events) {
		clear(d.room[:])
		d.Events = make([]Event, 0, n)
	}
	for i := range n {
		d.event(c, i)
	}
	if _, batch := d.Command.(*Batch); !batch {
		return
	}
	if n = c.Count(len(d.Results), BatchLimit); c.Decoding && n > 0 {
		d.Results = make([]Result, n)
	}
	for i := range n {
		d.Results[i].fields(c)
	}
}

// codeCommand codes a command with its kind.
func codeCommand(c *wire.Codec, x *Command) {
	kind := uint8(0)
	if !c.Decoding {
		kind = (*x).commandKind()
	}
	wire.Num(c, &kind)
	if c.Decoding && (*x == nil || (*x).commandKind() != kind) { // else it lies ready
		if *x = newCommand(kind); *x == nil {
			c.Fail("command kind %d", kind)
			return
		}
	}
	(*x).fields(c)
}

// codeCommands codes the items of a batch, which is not one of its own items.
func codeCommands(c *wire.Codec, items *[]Command, limit int) {
	n := c.Count(len(*items), limit)
	if c.Decoding && n > cap(*items) {
		*items = make([]Command, 0, n)
	}
	for i := range n {
		if c.Decoding {
			*items = (*items)[:i+1] // with what lies ready
		}
		if c.Err == nil && !c.Decoding && !batchable((*items)[i]) {
			c.Fail("item %d cannot be in a batch", i)
			return
		}
		codeCommand(c, &(*items)[i])
		if c.Err != nil {
			return
		}
		if !batchable((*items)[i]) {
			c.Fail("item %d cannot be in a batch", i)
			return
		}
	}
}

func batchable(x Command) bool {
	switch x.(type) {
	case *PlaceOrder, *CancelOrder, *CancelAll, *AmendOrder:
		return true
	}
	return false
}

// Canonical returns the record form of an event, for digests.
func Canonical(e Event) []byte {
	var c wire.Codec
	e.fields(&c)
	return c.B
}

// ReadCanonical reads an event, a new one, from what Canonical returned of one of
// its type. The error wraps ErrEncoding.
func ReadCanonical(e Event, b []byte) error {
	c := wire.Codec{B: b, Decoding: true}
	if e.fields(&c); len(c.B) != 0 {
		c.Fail("%d bytes too many", len(c.B))
	}
	return c.Err
}

// AppendCommands appends the record forms of commands with their kinds. The error
// wraps ErrEncoding, if no record holds one of them.
func AppendCommands(b []byte, xs ...Command) ([]byte, error) {
	c := wire.Codec{B: b}
	for i := range xs {
		codeCommand(&c, &xs[i])
	}
	return c.B, c.Err
}

// Recordable says whether the record format holds the command.
func Recordable(x Command) bool {
	if numbers(x) {
		return true
	}
	if b, is := x.(*Batch); is && len(b.Items) <= BatchLimit && !slices.ContainsFunc(b.Items, func(x Command) bool { return !numbers(x) }) {
		return true
	}
	_, err := AppendCommands(nil, x)
	return err == nil
}

// numbers reports whether a command has nothing else, and can be in a batch: the
// common case, and every number has its record.
func numbers(x Command) bool {
	switch x.(type) {
	case *PlaceOrder, *CancelOrder, *AmendOrder:
		return true
	}
	return false
}

func (d *Decision) event(c *wire.Codec, i int) {
	kind := uint8(0)
	if !c.Decoding {
		kind = d.Events[i].eventKind()
	}
	wire.Num(c, &kind)
	if c.Decoding {
		e := d.Events[:i+1][i]
		if e == nil || e.eventKind() != kind { // else it lies ready
			e = newEvent(kind)
		}
		if e == nil {
			c.Fail("event kind %d", kind)
			return
		}
		d.Events = append(d.Events, e)
	}
	d.Events[i].fields(c)
}

// Filled returns the decision's fill, nil if it has none.
func (d *Decision) Filled() *OrderFilled {
	for _, e := range d.Events {
		if f, ok := e.(*OrderFilled); ok {
			return f
		}
	}
	return nil
}

// MarshalJSON writes the decision as the API shows it: keys and digests of the
// request stay inside.
func (d *Decision) MarshalJSON() ([]byte, error) {
	out := struct {
		Seq       Seq               `json:"seq"`
		At        Time              `json:"decided_at"`
		Code      Code              `json:"code"`
		Detail    string            `json:"detail,omitempty"`
		Principal string            `json:"principal"`
		Command   json.RawMessage   `json:"command"`
		Events    []json.RawMessage `json:"events"`
		Results   []Result          `json:"results,omitempty"`
	}{d.Seq, d.At, d.Code, d.Detail, d.Principal, nil, make([]json.RawMessage, len(d.Events)), d.Results}
	var err error
	if out.Command, err = typed(d.Command.Type(), d.Command); err != nil {
		return nil, err
	}
	for i, e := range d.Events {
		if out.Events[i], err = typed(e.Type(), e); err != nil {
			return nil, err
		}
	}
	return json.Marshal(out)
}

// MarshalJSON writes the items with their types.
func (x *Batch) MarshalJSON() ([]byte, error) {
	out := struct {
		Items []json.RawMessage `json:"items"`
	}{make([]json.RawMessage, len(x.Items))}
	for i, item := range x.Items {
		var err error
		if out.Items[i], err = typed(item.Type(), item); err != nil {
			return nil, err
		}
	}
	return json.Marshal(out)
}

// typed writes v as a JSON object whose first member is its type.
func typed(word string, v any) (json.RawMessage, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", word, err)
	}
	out := append(make([]byte, 0, len(b)+len(word)+16), `{"type":"`...)
	out = append(append(out, word...), '"')
	if len(b) > 2 {
		out = append(out, ',')
	}
	return append(out, b[1:]...), nil
}
