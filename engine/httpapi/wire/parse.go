package wire

import (
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// kind tells the values of JSON apart. The zero kind is none: what is not there.
type kind uint8

const (
	none kind = iota
	null
	truth  // text is true or false
	number // text is the number as written
	text
	list
	object
)

// value is a value of JSON, or a parameter of a query, which is a text.
type value struct {
	kind kind
	text string   // part of the body, unless it had escapes
	kids []member // elements of a list, without names, or members of an object
}

// member is a value with its name.
type member struct {
	name string
	value
	taken bool
}

// there reports whether a value is given and not null.
func (v *value) there() bool { return v != nil && v.kind > null }

// parser reads one JSON value. The values of a body share its text, and its
// lists and objects one array.
type parser struct {
	in    string
	at    int
	open  []member // of the objects and lists that are not closed yet
	kids  []member // of the closed ones
	names []string // of the members that lead here, the outermost first
	depth int
}

// where names the value that is read, as its sender would.
func (p *parser) where() string {
	if len(p.names) == 0 {
		return "the body"
	}
	all := make([]string, len(p.names))
	for i, name := range p.names {
		all[i] = clip(name)
	}
	return strings.Join(all, ".")
}

// ParseBody reads one JSON object.
func ParseBody(b []byte) (*Form, error) {
	if !utf8.Valid(b) {
		return nil, Malformed("the body is not UTF-8")
	}
	var room [16]member // of most bodies
	var names [maxDepth]string
	p := parser{in: string(b), open: room[:0], names: names[:0]}
	// Most members have a colon, most elements of long lists are objects. What a
	// text full of them makes room for is a few hundred KiB.
	objects := strings.Count(p.in, "{")
	p.kids = make([]member, 0, min(strings.Count(p.in, ":")+objects, maxRoom))
	if objects > 1 { // those of a list are open until its end
		p.open = make([]member, 0, len(room)+min(objects, maxElements))
	}
	p.space()
	v, err := p.value()
	if err != nil {
		return nil, err
	}
	if p.space(); p.at < len(p.in) {
		return nil, Malformed("there is something after the JSON object")
	}
	if v.kind != object {
		return nil, Malformed("the body is not a JSON object")
	}
	return newForm(v.kids), nil
}

func (p *parser) bad() error { return Malformed("the body is not JSON at byte %d", p.at) }

// space skips white space.
func (p *parser) space() {
	for p.at < len(p.in) && (p.in[p.at] == ' ' || p.in[p.at] == '\n' || p.in[p.at] == '\t' || p.in[p.at] == '\r') {
		p.at++
	}
}

// next skips white space and returns the byte there, 0 at the end; JSON has no
// byte 0 outside of a text.
func (p *parser) next() byte {
	if p.space(); p.at < len(p.in) {
		return p.in[p.at]
	}
	return 0
}

// value reads the value that begins here.
func (p *parser) value() (value, error) {
	if p.at == len(p.in) {
		return value{}, p.bad()
	}
	switch c := p.in[p.at]; {
	case c == '{' || c == '[':
		if p.depth == maxDepth {
			return value{}, Malformed("the body is nested deeper than %d", maxDepth)
		}
		p.at++
		p.depth++
		var v value
		var err error
		if c == '{' {
			v, err = p.object()
		} else {
			v, err = p.list()
		}
		p.depth--
		return v, err
	case c == '"':
		s, err := p.string()
		return value{kind: text, text: s}, err
	case c == '-' || c >= '0' && c <= '9':
		return p.number()
	}
	for _, word := range [...]string{"true", "false", "null"} {
		if strings.HasPrefix(p.in[p.at:], word) {
			p.at += len(word)
			if word == "null" {
				return value{kind: null}, nil
			}
			return value{kind: truth, text: word}, nil
		}
	}
	return value{}, p.bad()
}

func (p *parser) object() (value, error) {
	first := len(p.open)
	for p.next() != '}' || len(p.open) > first {
		if p.next() != '"' {
			return value{}, p.bad()
		}
		name, err := p.string()
		if err != nil {
			return value{}, err
		}
		p.names = append(p.names, name)
		for i := range p.open[first:] {
			if p.open[first+i].name == name {
				return value{}, Malformed("%s is given twice", p.where())
			}
		}
		if len(p.open)-first == maxMembers {
			return value{}, Malformed("the body has more than %d members", maxMembers)
		}
		if p.next() != ':' {
			return value{}, p.bad()
		}
		p.at++
		p.space()
		v, err := p.value()
		if err != nil {
			return value{}, err
		}
		p.names = p.names[:len(p.names)-1]
		p.open = append(p.open, member{name: name, value: v})
		if more, err := p.more('}'); err != nil {
			return value{}, err
		} else if !more {
			break
		}
	}
	p.at++
	return value{kind: object, kids: p.close(first)}, nil
}

func (p *parser) list() (value, error) {
	first := len(p.open)
	for p.next() != ']' || len(p.open) > first {
		if len(p.open)-first == maxElements {
			return value{}, Malformed("%s has more than %d elements", p.where(), maxElements)
		}
		v, err := p.value()
		if err != nil {
			return value{}, err
		}
		p.open = append(p.open, member{value: v})
		if more, err := p.more(']'); err != nil {
			return value{}, err
		} else if !more {
			break
		}
	}
	p.at++
	return value{kind: list, kids: p.close(first)}, nil
}

// more reads the comma after a member, or stops at the end of the object or list.
func (p *parser) more(end byte) (bool, error) {
	switch p.next() {
	case ',':
		p.at++
		p.space()
		return true, nil
	case end:
		return false, nil
	}
	return false, p.bad()
}

// close moves the members from one on to where they stay.
func (p *parser) close(first int) []member {
	from := len(p.kids)
	p.kids = append(p.kids, p.open[first:]...)
	p.open = p.open[:first]
	return p.kids[from:len(p.kids):len(p.kids)]
}

// string reads a text. Escapes are the standard library's to read.
func (p *parser) string() (string, error) {
	from := p.at
	escaped := false
	for p.at++; p.at < len(p.in); p.at++ {
		switch c := p.in[p.at]; {
		case c == '"':
			p.at++
			if !escaped && !strings.Contains(p.in[from:p.at], "\uFFFD") {
				return p.in[from+1 : p.at-1], nil
			}
			return p.unquote(p.in[from:p.at])
		case c == '\\':
			escaped = true
			p.at++
		case c < ' ':
			return "", p.bad()
		}
	}
	p.at = len(p.in)
	return "", p.bad()
}

func (p *parser) unquote(quoted string) (s string, err error) {
	if err := json.Unmarshal([]byte(quoted), &s); err != nil {
		return "", p.bad()
	}
	// It puts U+FFFD where an escape is half a surrogate pair.
	if strings.ContainsRune(s, utf8.RuneError) {
		return "", Malformed("%s is not a text of Unicode characters", p.where())
	}
	return s, nil
}

// number reads a number as JSON writes it: no plus, no leading zero, a digit on
// both sides of the point.
func (p *parser) number() (value, error) {
	from := p.at
	if p.in[p.at] == '-' {
		p.at++
	}
	whole := p.at
	if p.digits(); p.at == whole || p.in[whole] == '0' && p.at > whole+1 {
		return value{}, p.bad()
	}
	if p.at < len(p.in) && p.in[p.at] == '.' {
		p.at++
		if p.digits() == 0 {
			return value{}, p.bad()
		}
	}
	if p.at < len(p.in) && (p.in[p.at] == 'e' || p.in[p.at] == 'E') {
		if p.at++; p.at < len(p.in) && (p.in[p.at] == '+' || p.in[p.at] == '-') {
			p.at++
		}
		if p.digits() == 0 {
			return value{}, p.bad()
		}
	}
	return value{kind: number, text: p.in[from:p.at]}, nil
}

// digits skips digits and returns how many they were.
func (p *parser) digits() int {
	from := p.at
	for p.at < len(p.in) && p.in[p.at] >= '0' && p.in[p.at] <= '9' {
		p.at++
	}
	return p.at - from
}
