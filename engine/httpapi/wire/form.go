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
// or an exponent, unknown members. Ranges are the engine's business. Of texts that
// people write it says which look to hold personal data; to refuse them is the
// edge's business.
//
// It follows RFC 8259 (JSON) within the bounds of RFC 7493 (I-JSON), but for
// numbers, which have 64 bits.
package wire

import (
	"encoding"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/pii"
)

const (
	// maxDepth bounds nesting: the deepest body we take is an object with a list
	// of objects.
	maxDepth = 8
	// maxMembers bounds the members of an object, and maxElements the elements of a
	// list: no command has more.
	maxMembers  = 64
	maxElements = max(MaxItems, engine.MaxAccountGroups)
	// maxRoom bounds the members that room is made for ahead: those of the largest
	// request of orders.
	maxRoom = 10 * MaxItems
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
	members []member
	query   bool
	parts   []*Form
	root    *Form // itself, but for a part

	// Of a part: the form it is in, its member there, and its place in that from 1, or 0
	// if the member is no list.
	up    *Form
	name  string
	place int

	fault    error  // of the root
	word     []byte // of the root: room for what a value reads
	suspects []Suspect
}

// Suspect is a text in which personal data is suspected: where it is, and of what
// kind; never the text.
type Suspect struct {
	Field string // as a fault names it
	Kind  pii.Kind
}

func newForm(members []member) *Form {
	f := &Form{members: members}
	f.root = f
	return f
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
	members := make([]member, 0, len(values))
	for name, v := range values {
		if len(v) != 1 {
			return nil, Malformed("%s is given twice", clip(name))
		}
		if !utf8.ValidString(v[0]) || !utf8.ValidString(name) {
			return nil, Malformed("the query is not UTF-8")
		}
		members = append(members, member{name: name, value: value{kind: text, text: v[0]}})
	}
	f := newForm(members)
	f.query = true
	return f, nil
}

// where is what comes before the name of a member in a fault.
func (f *Form) where() string {
	switch {
	case f.up == nil:
		return ""
	case f.place > 0:
		return f.up.where() + f.name + "[" + strconv.Itoa(f.place-1) + "]."
	}
	return f.up.where() + f.name + "."
}

// Fail keeps a fault, unless there is one. The text begins with the name of the
// member.
func (f *Form) Fail(format string, args ...any) {
	if f.root.fault == nil {
		f.root.fault = Malformed("%s%s", f.where(), fmt.Sprintf(format, args...))
	}
}

// find returns a member, nil if it is not there.
func (f *Form) find(name string) *member {
	for i := range f.members {
		if f.members[i].name == name {
			return &f.members[i]
		}
	}
	return nil
}

// Given reports whether a member is there and not null.
func (f *Form) Given(name string) bool {
	m := f.find(name)
	return m != nil && m.there()
}

// know takes a member whose value does not matter: null, or decided by another.
func (f *Form) know(name string) {
	if m := f.find(name); m != nil {
		m.taken = true
	}
}

// take returns a member; null counts as absent where a member may be absent.
func (f *Form) take(name string, required bool) (*value, bool) {
	m := f.find(name)
	if m != nil {
		m.taken = true
	}
	if !required && (m == nil || !m.there()) {
		return nil, false
	}
	if m == nil {
		f.Fail("%s is missing", name)
		return nil, false
	}
	return &m.value, true
}

// whole reads a whole number written without fraction and exponent.
func (v *value) whole(query bool) (int64, string) {
	if v.kind != number && (v.kind != text || !query) {
		return 0, "is not a number"
	}
	n, err := strconv.ParseInt(v.text, 10, 64)
	var room [20]byte
	if err != nil || string(strconv.AppendInt(room[:0], n, 10)) != v.text {
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
	n, why := v.whole(f.query)
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
	v, ok := f.take(name, false)
	if !ok {
		return 0
	}
	n, why := v.whole(f.query)
	if why != "" {
		f.Fail("%s %s", name, why)
	} else if n < 1 {
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
	yes := v.text == "true"
	if v.kind != truth && (v.kind != text || !f.query || !yes && v.text != "false") {
		f.Fail("%s is not true or false", name)
		return false
	}
	return yes
}

// Suspects returns the texts so far in which personal data is suspected.
func (f *Form) Suspects() []Suspect { return f.root.suspects }

// screen looks at what a person may have written freely.
func (f *Form) screen(s, name string) string {
	if k := pii.Suspect(s); k != pii.None {
		f.root.suspects = append(f.root.suspects, Suspect{f.where() + name, k})
	}
	return s
}

// Text reads a text that people write, of at most limit bytes, and looks for
// personal data in it. The limits are those of the journal's records: what is longer
// is no command, not even a rejected one.
func (f *Form) Text(name string, limit int) string {
	return f.screen(f.plain(name, limit), name)
}

// Optional is Text for a member that may be absent, "" then.
func (f *Form) Optional(name string, limit int) string {
	if _, given := f.take(name, false); !given {
		return ""
	}
	return f.Text(name, limit)
}

// plain reads a text of at most limit bytes.
func (f *Form) plain(name string, limit int) string {
	v, ok := f.take(name, true)
	if !ok {
		return ""
	}
	return f.textOf(name, v, limit)
}

func (f *Form) textOf(name string, v *value, limit int) string {
	switch {
	case v.kind != text:
		f.Fail("%s is not a text", name)
	case len(v.text) > limit:
		f.Fail("%s has more than %d bytes", name, limit)
	default:
		return v.text
	}
	return ""
}

// Into reads a text that the value itself understands.
func (f *Form) Into(name string, required bool, v encoding.TextUnmarshaler) {
	m, given := f.take(name, required)
	if !given {
		return
	}
	s := f.textOf(name, m, maxWord)
	if f.root.fault != nil {
		return
	}
	f.root.word = append(f.root.word[:0], s...) // it keeps none of it
	if err := v.UnmarshalText(f.root.word); err != nil {
		f.Fail("%s: %s", name, ClipText(err.Error()))
	}
}

// list reads a list of at most limit elements.
func (f *Form) list(name string, required bool, limit int) []member {
	v, ok := f.take(name, required)
	if !ok {
		return nil
	}
	if v.kind != list {
		f.Fail("%s is not a list", name)
		return nil
	}
	if len(v.kids) > limit {
		f.Fail("%s has more than %d elements", name, limit)
		return nil
	}
	return v.kids
}

// Texts reads a list of at most limit texts of at most size bytes, each as Text does.
func (f *Form) Texts(name string, required bool, limit, size int) []string {
	all := f.list(name, required, limit)
	out := make([]string, len(all))
	for i := range all {
		e := &all[i]
		if out[i] = e.text; e.kind != text {
			f.Fail("%s[%d] is not a text", name, i)
		} else if len(out[i]) > size {
			f.Fail("%s[%d] has more than %d bytes", name, i, size)
		} else {
			f.screen(out[i], name+"["+strconv.Itoa(i)+"]")
		}
	}
	return out
}

// Numbers reads a list of at most limit whole numbers.
func (f *Form) Numbers(name string, limit int) []int64 {
	all := f.list(name, false, limit)
	out := make([]int64, len(all))
	for i := range all {
		var why string
		if out[i], why = all[i].whole(false); why != "" {
			f.Fail("%s[%d] %s", name, i, why)
		}
	}
	return out
}

// inside makes f the form of an object in another form, which gets its faults.
func (f *Form) inside(up *Form, name string, place int, v *value) {
	f.root, f.up, f.name, f.place = up.root, up, name, place
	if v.kind == object {
		f.members = v.kids
	} else {
		up.Fail("%s is not an object", strings.TrimSuffix(f.where()[len(up.where()):], "."))
	}
	up.parts = append(up.parts, f)
}

// Object reads a nested object; nil if it may be absent, and is.
func (f *Form) Object(name string, required bool) *Form {
	v, ok := f.take(name, required)
	if !ok {
		if !required {
			return nil
		}
		v = &value{kind: object}
	}
	p := &Form{}
	p.inside(f, name, 0, v)
	return p
}

// Objects reads a list of at most limit objects.
func (f *Form) Objects(name string, limit int) []Form {
	all := f.list(name, true, limit)
	out := make([]Form, len(all))
	f.parts = slices.Grow(f.parts, len(all))
	for i := range all {
		out[i].inside(f, name, i+1, &all[i].value)
	}
	return out
}

// Fault returns the first fault so far.
func (f *Form) Fault() error { return f.root.fault }

// End refuses members that nobody took and returns the first fault.
func (f *Form) End() error {
	var unknown *member // the first by name, so that the fault is always the same
	for i := range f.members {
		if m := &f.members[i]; !m.taken && (unknown == nil || m.name < unknown.name) {
			unknown = m
		}
	}
	if unknown != nil {
		f.Fail("%s is not known here", clip(unknown.name))
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
