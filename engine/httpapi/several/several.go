// Package several is how one request takes several decisions, and how they are answered.
//
// It promises: the parts of a large batch are decided in their order or not at all after
// one that is refused; a repetition is the same as a whole or a conflict, whatever a
// crash has left of it; the document of decisions is what encoding/json would write. It
// refuses to submit anything: that is the edge's.
//
// The keys follow the draft on the Idempotency-Key header.
package several

import (
	"crypto/sha256"
	"encoding/json"
	"slices"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/wire"
	"github.com/mbp-market/mbp/engine/sequencer"
)

// Doc answers a request that took several decisions, in their order.
type Doc struct {
	Seq       engine.Seq         `json:"seq"` // of the last one
	Decisions []*engine.Decision `json:"decisions"`
}

// Divide makes of a batch with many items the requests that the writer takes
// together, each of which a decision holds.
//
// The first one has the caller's idempotency key, so a use of that key for anything
// else conflicts with it, and with the first refused none of the others is decided.
// The others have keys that no caller can send, because a 0 is no visible character.
// Each one's input is all that was asked, and its place: a retry is the same as a
// whole or a conflict. What it finds decided it gets answered again, and what a
// crash in between has lost is decided then.
func Divide(req sequencer.Request) []sequencer.Request {
	x, _ := req.Command.(*engine.Batch)
	parts := wire.Parts(x)
	out := make([]sequencer.Request, len(parts))
	whole := sha256.Sum256(req.Input)
	for i, p := range parts {
		out[i] = req
		out[i].Command = p
		out[i].Input = append(whole[:len(whole):len(whole)], byte(i), byte(len(parts)))
		if i > 0 {
			out[i].Key += "\x00" + string(rune(i))
		}
	}
	return out
}

// Content is what has to be equal for a request to be a repetition: the command
// with everything that path, body and key contribute, whatever the spacing and
// the order of the members. It is the command's record, that of each item of a batch,
// or, of what no record holds, its document.
func Content(command engine.Command) (b []byte, err error) {
	const usual = 64 // bytes of a command
	if x, is := command.(*engine.Batch); is {
		b, err = engine.AppendCommands(append(make([]byte, 0, usual*(1+len(x.Items))), command.Type()...), x.Items...)
	} else {
		b, err = engine.AppendCommands(make([]byte, 0, usual), command)
	}
	if err != nil {
		b, err = wire.AppendCommand(append(append(b[:0], command.Type()...), ' '), command)
	}
	return b, err
}

// usual is the room in bytes for an event with its share of the rest of an answer.
const usual = 512

// Append appends a document. The answer to a mutation is of decisions, which have a
// short way.
func Append(b []byte, doc any) (_ []byte, err error) {
	switch x := doc.(type) {
	case *engine.Decision:
		return wire.AppendDecision(slices.Grow(b, usual*(1+len(x.Events))), x)
	case *Doc:
		events := 0
		for _, d := range x.Decisions {
			events += 1 + len(d.Events)
		}
		b = wire.AppendInt(slices.Grow(b, usual*events), `{"seq":`, int64(x.Seq))
		b = append(b, `,"decisions":`...)
		for i, d := range x.Decisions {
			b = append(b, "[,"[min(i, 1)])
			if b, err = wire.AppendDecision(b, d); err != nil {
				return nil, err
			}
		}
		return append(b, "]}"...), nil
	}
	text, err := json.Marshal(doc)
	if len(b) == 0 {
		return text, err // which is as good a buffer
	}
	return append(b, text...), err
}
