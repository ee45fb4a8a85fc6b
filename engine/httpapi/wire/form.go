// Package wire reads what comes over the line into commands: JSON bodies and
// queries, strictly.
//
// It promises: what it returns without a fault is exactly what was written, every
// member taken once and none left over; a fault names the member, in words that
// the caller may see, and repeats no more than a little of the caller's own; what
// it lets through fits a record of the journal.
//
// It refuses what a lenient reader would guess about: bytes that are no UTF-8,
// names given twice, a second value, nesting without end, numbers with a fraction
// or an exponent, unknown members. Ranges are the engine's business.
//
// It follows RFC 8259 (JSON) within the bounds of RFC 7493 (I-JSON), but for
// numbers, which have 64 bits.
package wire

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	// maxDepth bounds nesting: the deepest body we take is an object with a list
	// of objects.
	maxDepth = 8
	// maxMembers bounds the members of an object and the elements of a list: no
	// command has more.
	maxMembers = 64
	// maxWord bounds ids, words, digests and times.
	maxWord = 64
)

// Fault says what is wrong with a request, for its sender.
type Fault struct{ Detail string }

// Error implements error.
func (f *Fault) Error() string { return f.Detail }

// Malformed returns a Fault.
func Malformed(format string, args ...any) error { return &Fault{fmt.Sprintf(format, args...)} }

// Form is a decoded request: the members of a JSON body, or the parameters of
// a query. Its readers keep the first fault, so that a handler reads as a list
// of fields and asks once, with End.
type Form struct {
	members map[string]any // json.Number, string, bool, nil, []any, map[string]any; strings in a query
	query   bool
	at      string // of a part: where it is, with a dot behind
	root    *Form  // itself, but for a part
	parts   []*Form
	taken   map[string]bool
	fault   error // of the root
}

func newForm(members map[string]any) *Form {
	f := &Form{members: members, taken: map[string]bool{}}
	f.root = f
	return f
}

// ParseBody reads one JSON object.
func ParseBody(b []byte) (*Form, error) {
	if !utf8.Valid(b) {
		return nil, Malformed("the body is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	v, err := parseValue(d, "", 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, Malformed("there is something after the JSON object")
	}
	members, ok := v.(map[string]any)
	if !ok {
		return nil, Malformed("the body is not a JSON object")
	}
	return newForm(members), nil
}

func parseValue(d *json.Decoder, path string, depth int) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, Malformed("the body is not JSON at byte %d", d.InputOffset())
	}
	switch t := t.(type) {
	case json.Delim:
		if depth >= maxDepth {
			return nil, Malformed("the body is nested deeper than %d", maxDepth)
		}
		if t == '{' {
			return parseObject(d, path, depth)
		}
		return parseList(d, path, depth)
	case string:
		// The decoder puts U+FFFD where an escape is half a surrogate pair.
		if strings.ContainsRune(t, utf8.RuneError) {
			return nil, Malformed("%s is not a text of Unicode characters", nameOf(path))
		}
	}
	return t, nil
}

func parseObject(d *json.Decoder, path string, depth int) (any, error) {
	members := map[string]any{}
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return nil, Malformed("the body is not JSON at byte %d", d.InputOffset())
		}
		at := clip(name)
		if path != "" {
			at = path + "." + at
		}
		if _, twice := members[name]; twice {
			return nil, Malformed("%s is given twice", at)
		}
		if len(members) == maxMembers {
			return nil, Malformed("the body has more than %d members", maxMembers)
		}
		v, err := parseValue(d, at, depth+1)
		if err != nil {
			return nil, err
		}
		members[name] = v
	}
	_, err := d.Token()
	if err != nil {
		return nil, Malformed("the body is not JSON at byte %d", d.InputOffset())
	}
	return members, nil
}

func parseList(d *json.Decoder, path string, depth int) (any, error) {
	list := []any{}
	for d.More() {
		if len(list) == maxMembers {
			return nil, Malformed("%s has more than %d elements", nameOf(path), maxMembers)
		}
		v, err := parseValue(d, path, depth+1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	if _, err := d.Token(); err != nil {
		return nil, Malformed("the body is not JSON at byte %d", d.InputOffset())
	}
	return list, nil
}

func nameOf(path string) string {
	if path == "" {
		return "the body"
	}
	return path
}

// clip keeps a name that a client made up printable and short.
func clip(name string) string {
	const most = 40
	if len(name) > most {
		name = strings.ToValidUTF8(name[:most], "") + "…"
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, name)
}

// ParseQuery reads the parameters of a read, each at most once.
func ParseQuery(raw string) (*Form, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, Malformed("the query is not well-formed")
	}
	members := map[string]any{}
	for name, v := range values {
		if len(v) != 1 {
			return nil, Malformed("%s is given twice", clip(name))
		}
		if !utf8.ValidString(v[0]) || !utf8.ValidString(name) {
			return nil, Malformed("the query is not UTF-8")
		}
		members[name] = v[0]
	}
	f := newForm(members)
	f.query = true
	return f, nil
}

// Fail keeps a fault, unless there is one. The text begins with the name of the
// member.
func (f *Form) Fail(format string, args ...any) {
	if f.root.fault == nil {
		f.root.fault = Malformed("%s%s", f.at, fmt.Sprintf(format, args...))
	}
}

// Given reports whether a member is there and not null.
func (f *Form) Given(name string) bool { return f.members[name] != nil }

// take returns a member; null counts as absent where a member may be absent.
func (f *Form) take(name string, required bool) (any, bool) {
	f.taken[name] = true
	v, ok := f.members[name]
	if !required && v == nil {
		return nil, false
	}
	if !ok {
		f.Fail("%s is missing", name)
	}
	return v, ok
}

// number reads a whole number written without fraction and exponent.
func number(v any, query bool) (int64, string) {
	text, isText := v.(string)
	if n, isNumber := v.(json.Number); isNumber {
		text = n.String()
	} else if !isText || !query {
		return 0, "is not a number"
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || strconv.FormatInt(n, 10) != text {
		return 0, "is not a whole number of 64 bits"
	}
	return n, ""
}

// Int64 reads a whole number; absent is 0 where the member may be absent.
func (f *Form) Int64(name string, required bool) int64 {
	v, ok := f.take(name, required)
	if !ok {
		return 0
	}
	n, why := number(v, f.query)
	if why != "" {
		f.Fail("%s %s", name, why)
	}
	return n
}

// Uint64 reads a whole number that is not negative.
func (f *Form) Uint64(name string, required bool) uint64 {
	n := f.Int64(name, required)
	if n < 0 {
		f.Fail("%s is negative", name)
		return 0
	}
	return uint64(n)
}

// Positive reads a whole number that may be absent, but not 0 or less: 0 would
// read as absent where the caller meant a number.
func (f *Form) Positive(name string) int64 {
	n := f.Int64(name, false)
	if f.Given(name) && n < 1 {
		f.Fail("%s is less than 1", name)
	}
	return n
}

// Within reads a whole number from 1 to most; absent is normal.
func (f *Form) Within(name string, most, normal int64) int64 {
	n := f.Int64(name, false)
	switch {
	case !f.Given(name):
		return normal
	case n < 1 || n > most:
		f.Fail("%s lies in 1..%d", name, most)
	}
	return n
}

// Bool reads true or false; absent is false.
func (f *Form) Bool(name string) bool {
	v, ok := f.take(name, false)
	if !ok {
		return false
	}
	b, isBool := v.(bool)
	if s, isText := v.(string); isText && f.query {
		b, isBool = s == "true", s == "true" || s == "false"
	}
	if !isBool {
		f.Fail("%s is not true or false", name)
	}
	return b
}

// Text reads a text of at most limit bytes. The limits are those of the
// journal's records: what is longer is no command, not even a rejected one.
func (f *Form) Text(name string, limit int) string {
	v, ok := f.take(name, true)
	if !ok {
		return ""
	}
	s, isText := v.(string)
	switch {
	case !isText:
		f.Fail("%s is not a text", name)
	case len(s) > limit:
		f.Fail("%s has more than %d bytes", name, limit)
	default:
		return s
	}
	return ""
}

// Into reads a text that the value itself understands.
func (f *Form) Into(name string, required bool, v encoding.TextUnmarshaler) {
	if _, given := f.take(name, required); !given {
		return
	}
	s := f.Text(name, maxWord)
	if f.root.fault != nil {
		return
	}
	if err := v.UnmarshalText([]byte(s)); err != nil {
		f.Fail("%s: %s", name, ClipText(err.Error()))
	}
}

// list reads a list of at most limit elements.
func (f *Form) list(name string, required bool, limit int) []any {
	v, ok := f.take(name, required)
	if !ok {
		return nil
	}
	list, isList := v.([]any)
	if !isList {
		f.Fail("%s is not a list", name)
	} else if len(list) > limit {
		f.Fail("%s has more than %d elements", name, limit)
		return nil
	}
	return list
}

// Texts reads a list of at most limit texts of at most size bytes.
func (f *Form) Texts(name string, required bool, limit, size int) []string {
	list := f.list(name, required, limit)
	out := make([]string, len(list))
	for i, e := range list {
		var isText bool
		if out[i], isText = e.(string); !isText {
			f.Fail("%s[%d] is not a text", name, i)
		} else if len(out[i]) > size {
			f.Fail("%s[%d] has more than %d bytes", name, i, size)
		}
	}
	return out
}

// Numbers reads a list of at most limit whole numbers.
func (f *Form) Numbers(name string, limit int) []int64 {
	list := f.list(name, false, limit)
	out := make([]int64, len(list))
	for i, e := range list {
		var why string
		if out[i], why = number(e, false); why != "" {
			f.Fail("%s[%d] %s", name, i, why)
		}
	}
	return out
}

// part makes a form of a nested object; its faults are this form's.
func (f *Form) part(at string, v any) *Form {
	members, isObject := v.(map[string]any)
	if !isObject {
		f.Fail("%s is not an object", at)
	}
	p := &Form{members: members, at: f.at + at + ".", root: f.root, taken: map[string]bool{}}
	f.parts = append(f.parts, p)
	return p
}

// Object reads a nested object; nil if it may be absent, and is.
func (f *Form) Object(name string, required bool) *Form {
	v, ok := f.take(name, required)
	if !ok {
		if !required {
			return nil
		}
		v = map[string]any{}
	}
	return f.part(name, v)
}

// Objects reads a list of at most limit objects.
func (f *Form) Objects(name string, limit int) []*Form {
	list := f.list(name, true, limit)
	out := make([]*Form, len(list))
	for i, e := range list {
		out[i] = f.part(fmt.Sprintf("%s[%d]", name, i), e)
	}
	return out
}

// Fault returns the first fault so far.
func (f *Form) Fault() error { return f.root.fault }

// End refuses members that nobody took and returns the first fault.
func (f *Form) End() error {
	for _, name := range slices.Sorted(maps.Keys(f.members)) {
		if !f.taken[name] {
			f.Fail("%s is not known here", clip(name))
		}
	}
	for _, p := range f.parts {
		_ = p.End() // its fault is the root's
	}
	return f.root.fault
}

// ClipText bounds what a detail repeats of the caller's own words.
func ClipText(s string) string {
	const most = 200
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
