package httpapi

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	// maxDepth bounds nesting: the deepest body we take is an object with a list.
	maxDepth = 8
	// maxMembers bounds the members of a body: no command has half as many.
	maxMembers = 64
	// maxWord bounds ids, words, digests and times.
	maxWord = 64
)

// form is a decoded request: the members of a JSON body, or the parameters of
// a query. Its readers keep the first fault, so that a handler reads as a list
// of fields and asks once, with end.
type form struct {
	members map[string]any // json.Number, string, bool, nil, []any, map[string]any; strings in a query
	query   bool
	taken   map[string]bool
	fault   error
}

// parseBody reads one JSON object. It refuses what a lenient reader would let
// through: bytes that are no UTF-8, names given twice, a second value, nesting
// without end.
func parseBody(b []byte) (*form, error) {
	if !utf8.Valid(b) {
		return nil, malformed("the body is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	v, err := parseValue(d, "", 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, malformed("there is something after the JSON object")
	}
	members, ok := v.(map[string]any)
	if !ok {
		return nil, malformed("the body is not a JSON object")
	}
	return &form{members: members, taken: map[string]bool{}}, nil
}

func parseValue(d *json.Decoder, path string, depth int) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, malformed("the body is not JSON at byte %d", d.InputOffset())
	}
	switch t := t.(type) {
	case json.Delim:
		if depth >= maxDepth {
			return nil, malformed("the body is nested deeper than %d", maxDepth)
		}
		if t == '{' {
			return parseObject(d, path, depth)
		}
		return parseList(d, path, depth)
	case string:
		// The decoder puts U+FFFD where an escape is half a surrogate pair.
		if strings.ContainsRune(t, utf8.RuneError) {
			return nil, malformed("%s is not a text of Unicode characters", nameOf(path))
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
			return nil, malformed("the body is not JSON at byte %d", d.InputOffset())
		}
		at := clip(name)
		if path != "" {
			at = path + "." + at
		}
		if _, twice := members[name]; twice {
			return nil, malformed("%s is given twice", at)
		}
		if len(members) == maxMembers {
			return nil, malformed("the body has more than %d members", maxMembers)
		}
		v, err := parseValue(d, at, depth+1)
		if err != nil {
			return nil, err
		}
		members[name] = v
	}
	_, err := d.Token()
	if err != nil {
		return nil, malformed("the body is not JSON at byte %d", d.InputOffset())
	}
	return members, nil
}

func parseList(d *json.Decoder, path string, depth int) (any, error) {
	list := []any{}
	for d.More() {
		if len(list) == maxMembers {
			return nil, malformed("%s has more than %d elements", nameOf(path), maxMembers)
		}
		v, err := parseValue(d, path, depth+1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	if _, err := d.Token(); err != nil {
		return nil, malformed("the body is not JSON at byte %d", d.InputOffset())
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

// parseQuery reads the parameters of a read, each at most once.
func parseQuery(raw string) (*form, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, malformed("the query is not well-formed")
	}
	f := &form{members: map[string]any{}, query: true, taken: map[string]bool{}}
	for name, v := range values {
		if len(v) != 1 {
			return nil, malformed("%s is given twice", clip(name))
		}
		if !utf8.ValidString(v[0]) || !utf8.ValidString(name) {
			return nil, malformed("the query is not UTF-8")
		}
		f.members[name] = v[0]
	}
	return f, nil
}

func (f *form) fail(format string, args ...any) {
	if f.fault == nil {
		f.fault = malformed(format, args...)
	}
}

// take returns a member; null counts as absent where a member may be absent.
func (f *form) take(name string, required bool) (any, bool) {
	f.taken[name] = true
	v, ok := f.members[name]
	if !required && v == nil {
		return nil, false
	}
	if !ok {
		f.fail("%s is missing", name)
	}
	return v, ok
}

// int64 reads a whole number written without fraction and exponent; absent is 0
// where the member may be absent.
func (f *form) int64(name string, required bool) int64 {
	v, ok := f.take(name, required)
	if !ok {
		return 0
	}
	text, isText := v.(string)
	if n, isNumber := v.(json.Number); isNumber {
		text = n.String()
	} else if !isText || !f.query {
		f.fail("%s is not a number", name)
		return 0
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || strconv.FormatInt(n, 10) != text {
		f.fail("%s is not a whole number of 64 bits", name)
		return 0
	}
	return n
}

// uint64 reads a whole number that is not negative.
func (f *form) uint64(name string, required bool) uint64 {
	n := f.int64(name, required)
	if n < 0 {
		f.fail("%s is negative", name)
		return 0
	}
	return uint64(n)
}

// positive reads a whole number that may be absent, but not 0 or less: 0 would
// read as absent where the caller meant a number.
func (f *form) positive(name string) int64 {
	n := f.int64(name, false)
	if v, given := f.members[name]; given && v != nil && n < 1 {
		f.fail("%s is less than 1", name)
	}
	return n
}

// text reads a text of at most limit bytes. The limits are those of the
// journal's records: what is longer is no command, not even a rejected one.
func (f *form) text(name string, limit int) string {
	v, ok := f.take(name, true)
	if !ok {
		return ""
	}
	s, isText := v.(string)
	switch {
	case !isText:
		f.fail("%s is not a text", name)
	case len(s) > limit:
		f.fail("%s has more than %d bytes", name, limit)
	default:
		return s
	}
	return ""
}

// into reads a text that the value itself understands.
func (f *form) into(name string, required bool, v encoding.TextUnmarshaler) {
	if _, given := f.take(name, required); !given {
		return
	}
	s := f.text(name, maxWord)
	if f.fault != nil {
		return
	}
	if err := v.UnmarshalText([]byte(s)); err != nil {
		f.fail("%s: %s", name, clipText(err.Error()))
	}
}

// texts reads a list of texts.
func (f *form) texts(name string) []string {
	v, ok := f.take(name, true)
	if !ok {
		return nil
	}
	list, isList := v.([]any)
	if !isList {
		f.fail("%s is not a list", name)
		return nil
	}
	out := make([]string, len(list))
	for i, e := range list {
		if out[i], isList = e.(string); !isList {
			f.fail("%s[%d] is not a text", name, i)
			return nil
		}
	}
	return out
}

// end refuses members that nobody took and returns the first fault.
func (f *form) end() error {
	for _, name := range slices.Sorted(maps.Keys(f.members)) {
		if f.fault == nil && !f.taken[name] {
			f.fail("%s is not known here", clip(name))
		}
	}
	return f.fault
}

// clipText bounds what a detail repeats of the caller's own words.
func clipText(s string) string {
	const most = 200
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
