// Package faults has one of everything that wiregen refuses.
package faults

import (
	"time"

	"github.com/mbp-market/mbp/engine/internal/fixed"
)

const limit = 10

var notConst = 10

type Command interface{ Type() string }
type Other interface{ Type() string }
type Bare struct{ A uint8 }
type Loop1 Loop2
type Loop2 Loop1

// Good is in order.
//
//wire:command 1 good
type Good struct {
	A fixed.Micros
	B string `wire:"limit"`
}

// SameKind takes a kind twice.
//
//wire:command 1 same_kind
type SameKind struct{}

// SameWord takes a word twice.
//
//wire:command 2 good
type SameWord struct{}

// Elsewhere may take both: events are another family.
//
//wire:event 1 good
type Elsewhere struct{}

// BadKind has no kind of one byte.
//
//wire:event 256 bad_kind
type BadKind struct{}

// ZeroKind has the kind of nothing.
//
//wire:event 0 zero_kind
type ZeroKind struct{}

// BadWord has a word of another form.
//
//wire:event 2 BadWord
type BadWord struct{}

// Short has no word.
//
//wire:event 3
type Short struct{}

// Unknown has a directive that there is not.
//
//wire:query 1 unknown
type Unknown struct{}

// LongPart has a word.
//
//wire:part long
type LongPart struct{}

// Twice has two directives.
//
//wire:event 4 twice
//wire:part
type Twice struct{}

// Spaced has a directive that Go takes for prose.
//
// wire:event 5 spaced
type Spaced struct{}

//wire:event 6 undocumented
type Undocumented struct{}

// NoStruct is a number.
//
//wire:part
type NoStruct uint8

// Generic has a parameter.
//
//wire:part
type Generic[T any] struct{ A T }

//wire:event 7 nowhere

// Nowhere has its directive too far above.
type Nowhere struct{}

// Types has types without an encoding.
//
//wire:part
type Types struct {
	A int
	B int32
	C float64
	D *Good
	E map[string]string
	F [4]uint16
	G [0]byte
	H [][]byte
	I Bare
	J struct{ A uint8 }
	K Other
	L Command
	M time.Duration
	N fixed.Nothing
	O Missing
	P func()
	Q Loop1
	R any
	S []Other
	T []*Good
	Good
	_ uint8
}

// Tags has tags that do not fit.
//
//wire:part
type Tags struct {
	A string
	B []uint8
	C []string `wire:"max=5"`
	D []string `wire:"5"`
	E []Command
	F uint8    `wire:"5"`
	G Good     `wire:"max=5"`
	H string   `wire:"0"`
	I string   `wire:"-5"`
	J string   `wire:"5,6"`
	K string   `wire:"5,"`
	L string   `wire:"missing"`
	M string   `wire:"notConst"`
	N uint8    `wire:"opt,opt"`
	O []uint8  `wire:"max=5,opt"`
	P Good     `wire:"opt"`
	Q string   `wire:"min=5"`
	R string   `wire:""`
	S string   `wire: "5"`
	T string   `wire:"05"`
	U []string `wire:"max=5,max=6,text=1"`
}

// Tree contains itself.
//
//wire:part
type Tree struct {
	Leaf Leaf
}

// Leaf contains Tree.
//
//wire:part
type Leaf struct {
	Trees []Tree `wire:"max=2"`
}

// Hollow takes no byte.
//
//wire:part
type Hollow struct {
	Inner  Empty
	hidden int `wire:"-"`
}

// Empty takes no byte.
//
//wire:part
type Empty struct{}

// Crowd has lists of nothing.
//
//wire:part
type Crowd struct {
	A []Hollow `wire:"max=2"`
	B []Empty  `wire:"max=2"`
}

// Wide has more optional neighbours than a mask has bits.
//
//wire:part
type Wide struct {
	A, B, C, D, E, F, G, H, I, J, K, L, M, N, O, P, Q, R, S, T, U, V, W, X, Y, Z                   uint8 `wire:"opt"`
	A1, B1, C1, D1, E1, F1, G1, H1, I1, J1, K1, L1, M1, N1, O1, P1, Q1, R1, S1, T1, U1, V1, W1, X1 uint8 `wire:"opt"`
	Y1, Z1, A2, B2, C2, D2, E2, F2, G2, H2, I2, J2, K2, L2, M2                                     bool  `wire:"opt"`
}
