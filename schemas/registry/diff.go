package registry

import (
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
)

// Side says which document a finding is about.
type Side string

// The sides of a comparison.
const (
	Old    Side = "old"
	New    Side = "new"
	Change Side = "change" // from old to new
)

// Difference is one finding of a comparison. Rule is stable: other tools match
// on it, so a rule is never renamed.
type Difference struct {
	Rule     string `json:"rule"`
	Path     string `json:"path"` // JSON pointer into the schema, from #
	Side     Side   `json:"side"`
	Breaking bool   `json:"breaking"`
	Message  string `json:"message"`

	annotation bool // the change says nothing about validity
}

// String returns one line: rule, path and message.
func (d Difference) String() string { return d.Rule + " " + d.Path + ": " + d.Message }

// Breaking returns the breaking ones of a list.
func Breaking(list []Difference) []Difference {
	var out []Difference
	for _, d := range list {
		if d.Breaking {
			out = append(out, d)
		}
	}
	return out
}

// diff compares two schemas that passed lint. It is sound on its own as well:
// what it does not understand it reports as breaking.
func diff(old, new map[string]any) []Difference {
	d := &differ{}
	d.schema(old, new, "#")
	return d.out
}

type differ struct{ out []Difference }

func (d *differ) add(breaking bool, rule, at, format string, args ...any) {
	d.out = append(d.out, Difference{Rule: rule, Path: at, Side: Change, Breaking: breaking, Message: fmt.Sprintf(format, args...)})
}

func (d *differ) schema(old, new map[string]any, at string) {
	union := maps.Clone(old)
	maps.Copy(union, new)
	for _, k := range slices.Sorted(maps.Keys(union)) {
		o, inOld := old[k]
		n, inNew := new[k]
		if k == "properties" || k == "items" {
			continue // walked below
		}
		if inOld && inNew && canonical(o) == canonical(n) {
			continue
		}
		d.keyword(k, change{o, n, inOld, inNew}, child(at, k))
	}
	d.properties(old, new, at)
	d.items(old, new, at)
}

// change is a keyword that differs: its values, and where it is present.
type change struct {
	old, new     any
	inOld, inNew bool
}

func (c change) verb() string {
	switch {
	case !c.inOld:
		return "ADDED"
	case !c.inNew:
		return "REMOVED"
	}
	return "CHANGED"
}

func (d *differ) keyword(k string, c change, at string) {
	if r := keywords[k]; r == annotation || r == rootOnly {
		d.add(false, ruleName(k)+"_"+c.verb(), at, "annotation")
		d.out[len(d.out)-1].annotation = true
		return
	}
	switch k {
	case "type":
		d.types(c, at)
	case "enum":
		d.enum(c, at)
	case "required":
		d.required(c, at)
	case "maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties":
		d.bound(k, c, at, +1)
	case "minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties":
		d.bound(k, c, at, -1)
	case "multipleOf":
		d.multipleOf(c, at)
	case "pattern":
		d.add(c.inNew, "PATTERN_"+c.verb(), at, "%s → %s", show(c.old, c.inOld), show(c.new, c.inNew))
	case "uniqueItems":
		d.add(c.new != false && c.inNew, "UNIQUE_ITEMS_"+c.verb(), at, "%s → %s", show(c.old, c.inOld), show(c.new, c.inNew))
	case "const", "format", "x-field-id", "x-unit", "x-primary-key", "additionalProperties":
		d.add(true, ruleName(k)+"_"+c.verb(), at, "%s → %s", show(c.old, c.inOld), show(c.new, c.inNew))
	default:
		d.add(true, "KEYWORD_UNKNOWN_"+c.verb(), at, "keyword %q is outside the allow-list", k)
	}
}

// types: the set must stay. Widening keeps old documents valid, but a type of
// the old version that readers and the lake rely on would not survive (I2).
func (d *differ) types(c change, at string) {
	o, n := typeSet(map[string]any{"type": c.old}), typeSet(map[string]any{"type": c.new})
	slices.Sort(o)
	slices.Sort(n)
	if slices.Equal(o, n) && c.inOld && c.inNew {
		return
	}
	rule := "TYPE_CHANGED"
	switch {
	case subset(o, n) && c.inOld && c.inNew:
		rule = "TYPE_WIDENED"
	case subset(n, o) && c.inOld && c.inNew:
		rule = "TYPE_NARROWED"
	}
	d.add(true, rule, at, "%s → %s", strings.Join(o, "|"), strings.Join(n, "|"))
}

func (d *differ) enum(c change, at string) {
	if !c.inNew {
		d.add(false, "ENUM_REMOVED", at, "any value of the type is allowed now")
		return
	}
	if !c.inOld {
		d.add(true, "ENUM_ADDED", at, "only %s is allowed now", canonical(c.new))
		return
	}
	o, n := canonicalSet(c.old), canonicalSet(c.new)
	switch {
	case subset(o, n) && subset(n, o):
		d.add(false, "ENUM_REORDERED", at, "the same values")
	case subset(o, n):
		d.add(false, "ENUM_EXTENDED", at, "%d → %d values", len(o), len(n))
	default:
		d.add(true, "ENUM_NARROWED", at, "values of the old version are missing")
	}
}

func (d *differ) required(c change, at string) {
	o, n := stringList(c.old), stringList(c.new)
	slices.Sort(o)
	slices.Sort(n)
	for _, name := range n {
		if !slices.Contains(o, name) {
			d.add(true, "REQUIRED_ADDED", at, "%q; a default does not help, validators do not apply it", name)
		}
	}
	for _, name := range o {
		if !slices.Contains(n, name) {
			d.add(true, "REQUIRED_REMOVED", at, "%q; required fields survive (I2)", name)
		}
	}
}

// bound compares a limit exactly; loose is the sign of the harmless direction.
func (d *differ) bound(k string, c change, at string, loose int) {
	name := ruleName(k)
	o, okOld := rational(c.old)
	n, okNew := rational(c.new)
	switch {
	case !c.inNew:
		d.add(false, name+"_REMOVED", at, "was %s", show(c.old, c.inOld))
	case !c.inOld:
		d.add(true, name+"_ADDED", at, "now %s", show(c.new, c.inNew))
	case !okOld || !okNew:
		d.add(true, name+"_CHANGED", at, "not numbers")
	default:
		verb := map[int]string{-1: "DECREASED", 0: "REWRITTEN", 1: "INCREASED"}[n.Cmp(o)]
		d.add(n.Cmp(o)*loose < 0, name+"_"+verb, at, "%s → %s", show(c.old, true), show(c.new, true))
	}
}

func (d *differ) multipleOf(c change, at string) {
	if !c.inNew {
		d.add(false, "MULTIPLE_OF_REMOVED", at, "was %s", show(c.old, c.inOld))
		return
	}
	o, okOld := rational(c.old)
	n, okNew := rational(c.new)
	if c.inOld && okOld && okNew && n.Sign() > 0 && new(big.Rat).Quo(o, n).IsInt() {
		d.add(false, "MULTIPLE_OF_REDUCED", at, "%s → %s", show(c.old, true), show(c.new, true))
		return
	}
	d.add(true, "MULTIPLE_OF_"+c.verb(), at, "%s → %s", show(c.old, c.inOld), show(c.new, c.inNew))
}

func (d *differ) properties(old, new map[string]any, at string) {
	po, pn := object(old["properties"]), object(new["properties"])
	owner := map[int]string{}
	for name, p := range po {
		if id := intValue(object(p)["x-field-id"]); id != 0 {
			owner[id] = name
		}
	}
	required := stringList(new["required"])
	union := maps.Clone(po)
	if union == nil {
		union = map[string]any{}
	}
	maps.Copy(union, pn)
	for _, name := range slices.Sorted(maps.Keys(union)) {
		here := child(child(at, "properties"), name)
		o, inOld := po[name]
		n, inNew := pn[name]
		switch {
		case !inNew:
			d.add(true, "PROPERTY_REMOVED", here, "fields of the old version survive (I2)")
		case !inOld:
			d.added(here, old["additionalProperties"] == false, slices.Contains(required, name))
			id := intValue(object(n)["x-field-id"])
			if other, used := owner[id]; used {
				d.add(true, "FIELD_ID_REUSED", child(here, "x-field-id"), "%d belonged to %q", id, other)
			}
		default:
			d.pair(o, n, here)
		}
	}
}

func (d *differ) added(at string, closed, required bool) {
	switch {
	case required:
		d.add(true, "PROPERTY_ADDED_REQUIRED", at, "old documents lack it")
	case !closed:
		d.add(true, "PROPERTY_ADDED_TO_OPEN", at, "old documents may hold anything under this name")
	default:
		d.add(false, "PROPERTY_ADDED_OPTIONAL", at, "optional, old documents cannot have it")
	}
}

func (d *differ) items(old, new map[string]any, at string) {
	o, inOld := old["items"]
	n, inNew := new["items"]
	here := child(at, "items")
	switch {
	case !inOld && !inNew:
	case !inOld:
		d.add(true, "ITEMS_ADDED", here, "old documents may hold any items")
	case !inNew:
		d.add(true, "ITEMS_REMOVED", here, "types of the old version survive (I2)")
	default:
		d.pair(o, n, here)
	}
}

// pair walks into two sub-schemas; booleans and anything else that is not an
// object compare by equality.
func (d *differ) pair(o, n any, at string) {
	mo, okOld := o.(map[string]any)
	mn, okNew := n.(map[string]any)
	if okOld && okNew {
		d.schema(mo, mn, at)
		return
	}
	if canonical(o) != canonical(n) {
		d.add(true, "SUBSCHEMA_CHANGED", at, "%s → %s", show(o, true), show(n, true))
	}
}

func canonicalSet(v any) []string {
	list, _ := v.([]any)
	out := make([]string, 0, len(list))
	for _, e := range list {
		out = append(out, canonical(e))
	}
	return out
}

// subset reports whether every element of a is in b.
func subset(a, b []string) bool {
	in := make(map[string]bool, len(b))
	for _, e := range b {
		in[e] = true
	}
	for _, e := range a {
		if !in[e] {
			return false
		}
	}
	return true
}

// ruleName turns maxLength into MAX_LENGTH and x-field-id into FIELD_ID.
func ruleName(keyword string) string {
	k := strings.TrimPrefix(strings.TrimLeft(keyword, "$"), "x-")
	var b strings.Builder
	for i, r := range k {
		switch {
		case r == '-':
			b.WriteByte('_')
			continue
		case i > 0 && r >= 'A' && r <= 'Z':
			b.WriteByte('_')
		}
		b.WriteRune(r)
	}
	return strings.ToUpper(b.String())
}

const maxShown = 120 // a report line stays a line

func show(v any, present bool) string {
	if !present {
		return "absent"
	}
	s := fmt.Sprintf("%v", v)
	if len(s) > maxShown {
		s = s[:maxShown] + "…"
	}
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\n", " "), "")
}
