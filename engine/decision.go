package engine

import (
	"encoding/json"
	"fmt"
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
	c := codec{b: b}
	d.fields(&c)
	return c.b
}

// Decode reads the binary form of the decision with the given sequence. It
// accepts exactly what Append writes; any other input is an error that wraps
// ErrEncoding. The decision keeps no reference to b.
func Decode(seq Seq, b []byte) (*Decision, error) {
	c := codec{b: b, decoding: true}
	d := &Decision{Seq: seq}
	d.Events = d.room[:0]
	d.fields(&c)
	if c.err == nil && len(c.b) != 0 {
		c.fail("%d bytes too many", len(c.b))
	}
	if c.err != nil {
		return nil, fmt.Errorf("decode decision %d: %w", seq, c.err)
	}
	return d, nil
}

func (d *Decision) fields(c *codec) {
	version := uint8(recordVersion)
	num(c, &version)
	if version != recordVersion {
		c.fail("record version %d is unknown to this binary", version)
	}
	signed(c, &d.At)
	c.text(&d.Principal, 64)
	keyed := d.Key != Tag{}
	c.flag(&keyed)
	if keyed {
		c.raw(d.Key[:])
		c.raw(d.Input[:])
		if d.Key == (Tag{}) {
			c.fail("empty key")
		}
	}
	d.command(c)
	num(c, &d.Code)
	if int(d.Code) >= len(codeNames) {
		c.fail("code %d", d.Code)
	}
	c.text(&d.Detail, maxDetail)
	n := c.count(len(d.Events), maxEvents)
	for i := range n {
		d.event(c, i)
	}
}

func (d *Decision) command(c *codec) {
	kind := uint8(0)
	if !c.decoding {
		kind = d.Command.commandKind()
	}
	num(c, &kind)
	if c.decoding {
		if d.Command = newCommand(kind); d.Command == nil {
			c.fail("command kind %d", kind)
			return
		}
	}
	d.Command.fields(c)
}

func (d *Decision) event(c *codec, i int) {
	kind := uint8(0)
	if !c.decoding {
		kind = d.Events[i].eventKind()
	}
	num(c, &kind)
	if c.decoding {
		e := newEvent(kind)
		if e == nil {
			c.fail("event kind %d", kind)
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
