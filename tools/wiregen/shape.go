package main

import (
	"fmt"
	"go/ast"
	"go/types"
)

// shape is how values of a type are coded.
type shape struct {
	form  form
	named bool    // has a name of its own: the Codec's methods need a conversion
	part  *record // of a struct
	elem  *shape  // of a list
}

type form uint8

const (
	unsigned form = iota // wire.Num
	signed               // wire.Signed
	truth                // Codec.Flag
	text                 // Codec.Text
	raw                  // Codec.Raw
	blob                 // Codec.Bytes
	nested               // the part's fields
	list                 // wire.List
	command              // an element of commands
	commands             // codeCommands
)

// predeclared are the types that everything comes down to.
var predeclared = map[string]form{
	"uint8": unsigned, "byte": unsigned, "uint16": unsigned, "uint32": unsigned, "uint64": unsigned,
	"int64": signed, "bool": truth, "string": text,
}

// advice are the types that look as if they had an encoding.
var advice = map[string]string{
	"int": "its size is the machine's; use int64", "uint": "its size is the machine's; use uint64",
	"int8": "use int64", "int16": "use int64", "int32": "use int64", "rune": "use int64",
	"float32": "there are no floats in the journal", "float64": "there are no floats in the journal",
	"any": "only Command, in a list", "error": "only Command, in a list",
}

// maxAliases bounds the names that lead from one to the next: Go refuses a cycle,
// but wiregen reads syntax alone.
const maxAliases = 16

// shapeOf finds the shape of a type expression in a file of scope s.
func (p *source) shapeOf(s *scope, file *ast.File, expr ast.Expr) (*shape, error) {
	at := "" // the last name on the way
	for range maxAliases {
		switch e := expr.(type) {
		case *ast.ParenExpr:
			expr = e.X
		case *ast.Ident:
			d, ok := s.types[e.Name]
			if !ok {
				return plain(s, e.Name, at != "")
			}
			at, expr, file = e.Name, d.spec.Type, d.file
		case *ast.SelectorExpr:
			next, d, err := p.follow(file, e)
			if err != nil {
				return nil, err
			}
			at, s, expr, file = e.Sel.Name, next, d.spec.Type, d.file
		case *ast.ArrayType:
			return p.sequence(s, file, e, at != "")
		case *ast.StructType:
			if s != p.home || at == "" {
				return nil, fmt.Errorf("a struct that this package does not name; declare one with //wire:part")
			}
			r := p.byName[at]
			if r == nil {
				return nil, fmt.Errorf("struct %s has no //wire: directive", at)
			}
			return &shape{form: nested, part: r}, nil
		case *ast.InterfaceType:
			if s == p.home && at == "Command" {
				return &shape{form: command}, nil
			}
			return nil, fmt.Errorf("an interface has no encoding; only Command, in a list")
		default:
			return nil, fmt.Errorf("%s has no encoding", types.ExprString(expr))
		}
	}
	return nil, fmt.Errorf("%s: more than %d types from name to name", at, maxAliases)
}

// plain is the shape of a name that its package does not declare.
func plain(s *scope, name string, named bool) (*shape, error) {
	if f, ok := predeclared[name]; ok {
		return &shape{form: f, named: named}, nil
	}
	if hint, ok := advice[name]; ok {
		return nil, fmt.Errorf("%s has no encoding: %s", name, hint)
	}
	return nil, fmt.Errorf("package %s declares no type %s", s.name, name)
}

// follow finds the declaration of a name in another package of this module.
func (p *source) follow(file *ast.File, e *ast.SelectorExpr) (*scope, declared, error) {
	name := types.ExprString(e)
	x, ok := e.X.(*ast.Ident)
	if !ok {
		return nil, declared{}, fmt.Errorf("%s has no encoding", name)
	}
	s, err := p.imported(file, x.Name)
	if err != nil {
		return nil, declared{}, err
	}
	if s == nil {
		return nil, declared{}, fmt.Errorf("%s is not of this module and has no encoding", name)
	}
	d, ok := s.types[e.Sel.Name]
	if !ok {
		return nil, declared{}, fmt.Errorf("%s is not declared", name)
	}
	return s, d, nil
}

// sequence is the shape of an array or a slice.
func (p *source) sequence(s *scope, file *ast.File, e *ast.ArrayType, named bool) (*shape, error) {
	octet := p.isByte(s, file, e.Elt)
	if e.Len != nil {
		if n, ok := e.Len.(*ast.BasicLit); !octet || ok && n.Value == "0" {
			return nil, fmt.Errorf("%s has no encoding: only arrays of bytes", types.ExprString(e))
		}
		return &shape{form: raw}, nil
	}
	if octet {
		return &shape{form: blob, named: named}, nil
	}
	elem, err := p.shapeOf(s, file, e.Elt)
	if err != nil {
		return nil, err
	}
	switch elem.form {
	case list, blob, commands:
		return nil, fmt.Errorf("a list of lists has no encoding; put the inner one into a part")
	case command:
		return &shape{form: commands, named: named}, nil
	}
	return &shape{form: list, elem: elem}, nil
}

// isByte says whether expr is byte itself: a named uint8 is a number.
func (p *source) isByte(s *scope, file *ast.File, expr ast.Expr) bool {
	id, ok := expr.(*ast.Ident)
	return ok && (id.Name == "byte" || id.Name == "uint8") && s.types[id.Name].spec == nil
}
