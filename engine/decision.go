package engine

import (
	"encoding/json"
	"fmt"

	"github.com/mbp-market/mbp/engine/internal/wire"
)

// Decision is a request with the engine's verdict: what one record of the
// journal holds. Its sequence is the record's.
type Decision struct {
	Seq Seq
	Request
	Code   Code
	Detail string  // for InvalidCommand and TemplateBounds: what is out of range
	Events []Event // empty for a rejection, but for an AbuseRaised

	room [3]Event    // backs Events
	fill OrderFilled // backs the commonest event
}

const (
	recordVersion = 1
	maxEvents     = 8   // of one decision
	maxDetail     = 200 // bytes
)

// reset prepares d for a new request.
func (d *Decision) reset(seq Seq, req Request) {
	*d = Decision{Seq: seq, Request: req}
	d.Events = d.room[:0]
}

func (d *Decision) add(e Event) { d.Events = append(d.Events, e) }

// reject sets the verdict; it returns false so that checks can return it.
func (d *Decision) reject(code Code, detail string) bool {
	d.Code, d.Detail = code, detail
	return false
}

// Append appends the binary form of d, without its sequence, to b.
func (d *Decision) Append(b []byte) []byte {
	c := wire.Codec{B: b}
	d.fields(&c)
	if c.Err != nil { // Decide lets through what fits only
		panic(fmt.Sprintf("engine: decision %d does not fit its record: %v", d.Seq, c.Err))
	}
	return c.B
}

// Decode reads the binary form of the decision with the given sequence. It
// accepts exactly what Append writes; any other input is an error that wraps
// ErrEncoding. The decision keeps no reference to b.
func Decode(seq Seq, b []byte) (*Decision, error) {
	c := wire.Codec{B: b, Decoding: true}
	d := &Decision{Seq: seq}
	d.Events = d.room[:0]
	d.fields(&c)
	if c.Err == nil && len(c.B) != 0 {
		c.Fail("%d bytes too many", len(c.B))
	}
	if c.Err != nil {
		return nil, fmt.Errorf("decode decision %d: %w", seq, c.Err)
	}
	return d, nil
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
	d.command(c)
	wire.Num(c, &d.Code)
	if int(d.Code) >= len(codeNames) {
		c.Fail("code %d", d.Code)
	}
	c.Text(&d.Detail, maxDetail)
	n := c.Count(len(d.Events), maxEvents)
	for i := range n {
		d.event(c, i)
	}
}

func (d *Decision) command(c *wire.Codec) {
	kind := uint8(0)
	if !c.Decoding {
		kind = d.Command.commandKind()
	}
	wire.Num(c, &kind)
	if c.Decoding {
		if d.Command = newCommand(kind); d.Command == nil {
			c.Fail("command kind %d", kind)
			return
		}
	}
	d.Command.fields(c)
}

func (d *Decision) event(c *wire.Codec, i int) {
	kind := uint8(0)
	if !c.Decoding {
		kind = d.Events[i].eventKind()
	}
	wire.Num(c, &kind)
	if c.Decoding {
		e := newEvent(kind)
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
	}{d.Seq, d.At, d.Code, d.Detail, d.Principal, nil, make([]json.RawMessage, len(d.Events))}
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
