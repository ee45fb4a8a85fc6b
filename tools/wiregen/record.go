package main

import (
	"go/ast"
	"go/token"
	"regexp"
	"strconv"
	"strings"
)

// record is a struct that has a directive.
type record struct {
	family string // command, event or part
	kind   int    // 1..255; none for a part
	word   string // the stable word; none for a part
	name   string // of the struct
	pos    token.Pos
	fields *ast.FieldList
	file   *ast.File
}

var (
	directive = regexp.MustCompile(`^// ?wire:`)
	goodWord  = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)
)

// collect finds the records and checks what they say of themselves.
func (p *source) collect() {
	for _, f := range p.home.files {
		used := map[*ast.Comment]bool{}
		for _, d := range f.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.TYPE {
				continue
			}
			for _, spec := range g.Specs {
				t := spec.(*ast.TypeSpec)
				doc := t.Doc
				if doc == nil && !g.Lparen.IsValid() {
					doc = g.Doc
				}
				p.takeType(f, t, doc, used)
			}
		}
		for _, group := range f.Comments {
			for _, c := range group.List {
				if directive.MatchString(c.Text) && !used[c] {
					p.fault(c.Pos(), "the directive is not in the comment of a type")
				}
			}
		}
	}
	p.unique()
}

// takeType makes a record of a type whose comment has a directive.
func (p *source) takeType(f *ast.File, t *ast.TypeSpec, doc *ast.CommentGroup, used map[*ast.Comment]bool) {
	if doc == nil {
		return
	}
	var r *record
	for _, c := range doc.List {
		if !directive.MatchString(c.Text) {
			continue
		}
		used[c] = true
		if r != nil {
			p.fault(c.Pos(), "%s has two directives", t.Name.Name)
			continue
		}
		r = p.parseDirective(c)
	}
	if r == nil {
		return
	}
	r.name, r.pos, r.file = t.Name.Name, t.Name.Pos(), f
	if strings.TrimSpace(doc.Text()) == "" {
		p.fault(r.pos, "%s has no doc comment", r.name)
	}
	st, ok := t.Type.(*ast.StructType)
	if !ok || t.TypeParams != nil || t.Assign.IsValid() {
		p.fault(r.pos, "%s is not a plain struct", r.name)
		return
	}
	r.fields = st.Fields
	p.records = append(p.records, r)
	p.byName[r.name] = r
}

// parseDirective reads one directive; a faulty one gives a record without kind,
// so that its fields are checked all the same.
func (p *source) parseDirective(c *ast.Comment) *record {
	words := strings.Fields(strings.TrimPrefix(c.Text, "//"))
	family := strings.TrimPrefix(words[0], "wire:")
	r := &record{family: family}
	switch {
	case strings.HasPrefix(c.Text, "// "):
		p.fault(c.Pos(), "a directive has no space after the slashes")
	case family == "part" && len(words) == 1:
	case family == "part":
		p.fault(c.Pos(), "a part has neither kind nor word")
	case family != "command" && family != "event":
		p.fault(c.Pos(), "unknown directive wire:%s; there are command, event and part", family)
	case len(words) != 3:
		p.fault(c.Pos(), "want //wire:%s <kind> <word>", family)
	default:
		kind, err := strconv.Atoi(words[1])
		if err != nil || kind < 1 || kind > 255 || strconv.Itoa(kind) != words[1] {
			p.fault(c.Pos(), "kind %s is not a number from 1 to 255", words[1])
		} else {
			r.kind = kind
		}
		if !goodWord.MatchString(words[2]) {
			p.fault(c.Pos(), "word %s is not lower_snake_case", words[2])
		}
		r.word = words[2]
	}
	return r
}

// unique refuses a kind or a word that two records of a family share: the
// journal could not tell them apart.
func (p *source) unique() {
	type key struct{ family, what string }
	seen := map[key]string{}
	claim := func(r *record, what string) {
		if first, taken := seen[key{r.family, what}]; taken {
			p.fault(r.pos, "%s: %s is already %s's", r.name, what, first)
			return
		}
		seen[key{r.family, what}] = r.name
	}
	for _, r := range p.records {
		if r.kind != 0 {
			claim(r, r.family+" kind "+strconv.Itoa(r.kind))
		}
		if r.word != "" {
			claim(r, r.family+" word "+r.word)
		}
	}
}
