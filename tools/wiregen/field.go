package main

import (
	"go/ast"
	"go/token"
	"reflect"
	"strconv"
	"strings"
)

// field is one field of a record, ready to be written.
type field struct {
	name string
	pos  token.Pos
	typ  string // its name in the package; "" if it has none there
	*shape
	tag
}

// tag is what the wire tag of a field says. Limits are Go expressions: numbers
// or constants of the package; "" if the tag names none.
type tag struct {
	skip bool
	opt  bool
	max  string // of the elements of a list or the bytes of a blob
	text string // of the bytes of a text
}

// fieldsOf returns the coded fields of a record.
func (p *source) fieldsOf(r *record) []field {
	var all []field
	for _, f := range r.fields.List {
		if len(f.Names) == 0 {
			p.fault(f.Pos(), "%s embeds a type; name the field", r.name)
			continue
		}
		t, ok := p.parseTag(f)
		if !ok || t.skip {
			continue
		}
		s, err := p.shapeOf(p.home, r.file, f.Type)
		if err != nil {
			p.fault(f.Pos(), "%s.%s: %v", r.name, f.Names[0].Name, err)
			continue
		}
		p.fit(r, f, s, t)
		for _, name := range f.Names {
			if name.Name == "_" {
				p.fault(name.Pos(), `%s: a field without a name needs wire:"-"`, r.name)
				continue
			}
			typ := ""
			if id, plain := f.Type.(*ast.Ident); plain {
				typ = id.Name
			}
			all = append(all, field{name.Name, name.Pos(), typ, s, t})
		}
	}
	return all
}

// parseTag reads the tag of a field.
func (p *source) parseTag(f *ast.Field) (t tag, ok bool) {
	if f.Tag == nil {
		return t, true
	}
	whole, err := strconv.Unquote(f.Tag.Value)
	if err != nil {
		p.fault(f.Pos(), "tag %s: %v", f.Tag.Value, err)
		return t, false
	}
	value, has := reflect.StructTag(whole).Lookup("wire")
	if !has {
		if strings.Contains(whole, "wire:") {
			p.fault(f.Pos(), "tag %s is not of the form key:\"value\"", f.Tag.Value)
		}
		return t, !strings.Contains(whole, "wire:")
	}
	if value == "-" {
		return tag{skip: true}, true
	}
	for _, option := range strings.Split(value, ",") {
		key, limit, given := strings.Cut(option, "=")
		slot := &t.text
		switch {
		case option == "opt" && !t.opt:
			t.opt = true
			continue
		case given && key == "max":
			slot = &t.max
		case given && key == "text":
		case !given && option != "opt":
			limit = option
		default:
			p.fault(f.Pos(), "tag wire:%q: option %q", value, option)
			return t, false
		}
		if *slot != "" || !p.limit(f.Pos(), limit) {
			p.fault(f.Pos(), "tag wire:%q: option %q", value, option)
			return t, false
		}
		*slot = limit
	}
	return t, true
}

// limit says whether a limit is a positive number or a constant of the package.
func (p *source) limit(pos token.Pos, s string) bool {
	if token.IsIdentifier(s) {
		if !p.home.consts[s] {
			p.fault(pos, "%s is not a constant of the package", s)
		}
		return true
	}
	n, err := strconv.ParseInt(s, 10, 32)
	return err == nil && n > 0 && strconv.FormatInt(n, 10) == s
}

// fit checks that a field has the limits that its shape needs, and no others.
func (p *source) fit(r *record, f *ast.Field, s *shape, t tag) {
	at, name := f.Pos(), r.name+"."+f.Names[0].Name
	wantMax := s.form == blob || s.form == list || s.form == commands
	wantText := s.form == text || s.form == list && s.elem.form == text
	switch {
	case s.form == command:
		p.fault(at, "%s: a Command has an encoding in a list only", name)
	case wantText && t.text == "" && wantMax:
		p.fault(at, `%s: texts without a limit; say wire:"max=<elements>,text=<bytes>"`, name)
	case wantText && t.text == "":
		p.fault(at, `%s: a text without a limit; say wire:"<bytes>"`, name)
	case wantMax && t.max == "":
		p.fault(at, `%s: a list without a limit; say wire:"max=<elements>"`, name)
	case !wantText && t.text != "" || !wantMax && t.max != "":
		p.fault(at, "%s: its type takes no such limit", name)
	}
	if t.opt && s.form > raw {
		p.fault(at, "%s: opt is for numbers, truth values, texts and byte arrays", name)
	}
}

// nesting refuses parts that contain themselves, for a hostile record could nest
// them until the stack ends; and lists of parts that take no byte, for nothing
// would bound how many of them a record claims.
func (p *source) nesting(fields map[*record][]field) {
	open, done, empty := map[*record]bool{}, map[*record]bool{}, map[*record]bool{}
	var visit func(r *record)
	visit = func(r *record) {
		open[r], empty[r] = true, true
		for _, f := range fields[r] {
			inner := f.shape
			if f.form == list {
				inner = f.elem
			}
			part := inner.part
			switch {
			case part == nil:
			case open[part]:
				p.fault(f.pos, "%s.%s: %s contains itself", r.name, f.name, part.name)
			case !done[part]:
				visit(part)
			}
			if f.form == list && empty[part] && !open[part] {
				p.fault(f.pos, "%s.%s: %s takes no byte, so nothing would bound the list", r.name, f.name, part.name)
			}
			empty[r] = empty[r] && f.form == nested && empty[part]
		}
		open[r], done[r] = false, true
	}
	for _, r := range p.records {
		if !done[r] {
			visit(r)
		}
	}
}
