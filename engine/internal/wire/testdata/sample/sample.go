// Package sample is a small vocabulary with a field of every kind that wiregen
// knows. It is the wiregen's golden sample and, compiled, what the tests of
// package wire encode, decode and tamper with. It follows the shapes of package
// engine: Batch holds commands, and a batch inside a batch is refused.
package sample

import (
	"fmt"

	"github.com/mbp-market/mbp/engine/internal/fixed"
	"github.com/mbp-market/mbp/engine/internal/repeat"
	"github.com/mbp-market/mbp/engine/internal/wire"
)

//go:generate go run github.com/mbp-market/mbp/tools/wiregen

// Types of every origin.
type (
	Micros  = fixed.Micros // an alias for a type of another package
	Tag     = repeat.Tag
	ID      uint32
	Time    int64
	Digest  [32]byte
	Word    string
	Truth   bool
	Side    uint8
	Raws    []byte
	Fills   []Fill
	Again   ID // a name for a name
	Many    []Command
	private uint16
)

// Limits of lists and texts.
const (
	maxFills = 5
	maxText  = 40
)

// Command is one of the commands of this file.
type Command interface {
	Type() string
	commandKind() uint8
	fields(*wire.Codec)
}

// Event is one of the events of this file.
type Event interface {
	Type() string
	eventKind() uint8
	fields(*wire.Codec)
}

// Everything has a field of every kind.
//
//wire:command 2 everything
type Everything struct {
	U8, Other uint8
	U16       private
	U32       Again
	U64       uint64
	Signed    int64
	At        Time
	Amount    Micros
	Price     fixed.Price
	Plain     bool
	Truth     Truth
	Text      string `json:"text" wire:"40"`
	Word      Word   `wire:"text=maxText"`
	Blob      []byte `wire:"max=16"`
	Raws      Raws   `wire:"max=16"`
	Digest    Digest
	Tag       Tag
	Four      [4]byte
	Key       Key
	cache     map[string]int `wire:"-"`
}

// Lists has a list of every kind.
//
//wire:command 1 lists
type Lists struct {
	Fills   []Fill   `wire:"max=maxFills"`
	Named   Fills    `wire:"max=maxFills"`
	IDs     []ID     `wire:"max=5"`
	Times   []Time   `wire:"max=5"`
	Flags   []bool   `wire:"max=5"`
	Truths  []Truth  `wire:"max=5"`
	Texts   []string `wire:"max=5,text=9"`
	Words   []Word   `wire:"text=9,max=5"`
	Digests []Digest `wire:"max=5"`
}

// Options has groups of fields that are mostly zero.
//
//wire:command 3 options
type Options struct {
	Amount Micros `wire:"opt"`
	Side   Side   `wire:"opt"`
	hidden int    `wire:"-"` // does not part the group
	Post   bool   `wire:"opt"`
	Truth  Truth  `wire:"opt"`
	Always ID
	Owner  string `wire:"maxText,opt"`
	Word   Word   `wire:"opt,9"`
	Digest Digest `wire:"opt"`
}

// Batch carries commands.
//
//wire:command 200 batch
type Batch struct {
	Items []Command `wire:"max=4"`
	Named Many      `wire:"max=4"`
}

// Nothing has no fields.
//
//wire:command 4 nothing
type Nothing struct{}

// Filled is an event with a command inside.
//
//wire:event 2 filled
type Filled struct {
	Fill  Fill
	Cause Options
}

// Emptied is an event.
//
//wire:event 1 emptied
type Emptied struct {
	ID ID
}

// Fill is part of others.
//
//wire:part
type Fill struct {
	ID     ID
	Amount Micros
}

type (
	// Key is declared in a group.
	//
	//wire:part
	Key struct {
		SHA256 Digest
		Roles  uint16
	}
)

// codeCommands codes the commands of a batch.
func codeCommands(c *wire.Codec, v *[]Command, limit int) {
	for i := range wire.List(c, v, limit) {
		if codeCommand(c, &(*v)[i], false); c.Err != nil {
			return
		}
	}
}

// codeCommand codes a command, a Batch only if batch allows it: a hostile record
// must not nest them.
func codeCommand(c *wire.Codec, v *Command, batch bool) {
	kind := uint8(0)
	if !c.Decoding {
		kind = (*v).commandKind()
	}
	wire.Num(c, &kind)
	if c.Decoding {
		if *v = newCommand(kind); *v == nil {
			c.Fail("command kind %d", kind)
			return
		}
	}
	if _, is := (*v).(*Batch); is && !batch {
		c.Fail("a batch in a batch")
		return
	}
	(*v).fields(c)
}

// Encode returns the kind and the fields of a command.
func Encode(x Command) ([]byte, error) {
	var c wire.Codec
	codeCommand(&c, &x, true)
	return c.B, c.Err
}

// Decode accepts exactly what Encode writes.
func Decode(b []byte) (Command, error) {
	var x Command
	c := wire.Codec{B: b, Decoding: true}
	codeCommand(&c, &x, true)
	if c.Err == nil && len(c.B) != 0 {
		c.Fail("%d bytes too many", len(c.B))
	}
	return x, c.Err
}

// Words returns the words of the commands and of the events, and what the
// factories return for every kind.
func Words() (commands, events []string, byKind map[string]uint8, err error) {
	byKind = map[string]uint8{}
	for kind := range 256 {
		if x := newCommand(uint8(kind)); x != nil {
			byKind[x.Type()] = x.commandKind()
			if int(x.commandKind()) != kind {
				err = fmt.Errorf("command kind %d makes kind %d", kind, x.commandKind())
			}
		}
		if x := newEvent(uint8(kind)); x != nil {
			byKind[x.Type()] = x.eventKind()
			if int(x.eventKind()) != kind {
				err = fmt.Errorf("event kind %d makes kind %d", kind, x.eventKind())
			}
		}
	}
	return commandTypes(), eventTypes(), byKind, err
}
