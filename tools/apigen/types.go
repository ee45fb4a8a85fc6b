package main

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// writer turns schemas into types. It keeps the first fault.
type writer struct {
	root  node
	fault error
}

func (w *writer) fail(n node, why string) string {
	if w.fault == nil {
		w.fault = fmt.Errorf("%s: %s", n.at, why)
	}
	return "never"
}

var plainName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// member is a name as a property of a type.
func member(name string) string {
	if plainName.MatchString(name) {
		return name
	}
	return strconv.Quote(name)
}

// union joins types, each once, in their order.
func union(types []string) string {
	var once []string
	for _, t := range types {
		if !slices.Contains(once, t) {
			once = append(once, t)
		}
	}
	return strings.Join(once, " | ")
}

// wrap puts a union into brackets where an operator binds it.
func wrap(t string) string {
	if strings.Contains(t, " | ") || strings.Contains(t, " & ") {
		return "(" + t + ")"
	}
	return t
}

// known are the keywords that say what a value is, or more about it than a type can.
var known = []string{
	"$ref", "type", "enum", "const", "properties", "required", "items", "anyOf", "oneOf", "allOf", "description", "additionalProperties", "unevaluatedProperties",
	"pattern", "format", "minimum", "maximum", "multipleOf", "minLength", "maxLength", "minItems", "maxItems", "default", "example", "contentEncoding",
}

// schema is the type of a schema. indent is that of the line where it stands.
func (w *writer) schema(n node, indent string) string {
	n.each(func(name string, v node) {
		if !slices.Contains(known, name) {
			w.fail(v, "the keyword is not known")
		}
	})
	switch {
	case n.has("const"):
		return literal(n.get("const"))
	case n.has("enum"):
		var all []string
		for _, v := range n.get("enum").list() {
			all = append(all, literal(v))
		}
		return union(all)
	}
	var parts []string
	if ref := n.get("$ref").text(); ref != "" {
		parts = append(parts, w.name(n, ref))
	}
	if alternatives := w.alternatives(n, indent); alternatives != "" {
		parts = append(parts, alternatives)
	}
	if n.has("properties") || n.get("type").text() == "object" {
		parts = append(parts, w.object(n, indent))
	}
	if len(parts) > 0 {
		for i, p := range parts {
			if len(parts) > 1 && !strings.HasPrefix(p, "{") {
				parts[i] = wrap(p)
			}
		}
		t := strings.Join(parts, " & ")
		if slices.Contains(n.get("type").texts(), "null") {
			t = union([]string{t, "null"})
		}
		return t
	}
	var all []string
	for _, t := range n.get("type").texts() {
		all = append(all, w.plain(n, t, indent))
	}
	if len(all) == 0 {
		return "unknown"
	}
	return union(all)
}

func (w *writer) name(n node, ref string) string {
	name, ok := strings.CutPrefix(ref, "#/components/schemas/")
	if !ok || !w.root.get("components", "schemas").has(name) {
		return w.fail(n, "the reference leads to no schema")
	}
	return name
}

func (w *writer) plain(n node, t, indent string) string {
	switch t {
	case "string", "boolean", "null":
		return t
	case "integer", "number":
		return "number"
	case "array":
		return wrap(w.schema(n.get("items"), indent)) + "[]"
	case "object":
		return w.object(n, indent)
	}
	return w.fail(n, "the type "+t+" is not known")
}

// alternatives is the union of what a value may be. Members that only say what goes
// with what are nothing that a type of the whole can hold.
func (w *writer) alternatives(n node, indent string) string {
	if n.has("allOf") {
		return w.conditions(n, indent)
	}
	var all []string
	for _, v := range append(n.get("anyOf").list(), n.get("oneOf").list()...) {
		if v.has("$ref") || v.has("type") {
			all = append(all, w.schema(v, indent))
		}
	}
	return union(all)
}

// conditions reads a list of "if the member type is this, then it is so" as a
// union that the member tells apart; what no condition is about has whatever members.
func (w *writer) conditions(n node, indent string) string {
	var all, rest []string
	seen := map[string]bool{}
	for _, v := range n.get("allOf").list() {
		word := v.get("if", "properties", "type", "const")
		then := v.get("then")
		if word.Node == nil || then.Node == nil {
			return w.fail(v, "only conditions on the member type are known")
		}
		seen[word.text()] = true
		if ref := then.get("$ref").text(); ref != "" {
			all = append(all, w.name(then, ref))
			continue
		}
		var b strings.Builder
		fmt.Fprintf(&b, "{ type: %q", word.text())
		for _, name := range then.get("required").texts() {
			fmt.Fprintf(&b, "; %s: %s", member(name), w.schema(then.get("properties", name), indent))
		}
		all = append(all, b.String()+"; [member: string]: unknown }")
	}
	for _, word := range n.get("properties", "type", "enum").texts() {
		if !seen[word] {
			rest = append(rest, strconv.Quote(word))
		}
	}
	if len(rest) > 0 {
		all = append(all, fmt.Sprintf("{ type: %s; [member: string]: unknown }", union(rest)))
	}
	return union(all)
}

// object is the type of an object's members.
func (w *writer) object(n node, indent string) string {
	if n.has("allOf") {
		return "{ type: string }"
	}
	if !n.has("properties") {
		if n.get("additionalProperties").text() == "false" {
			return "Record<string, never>"
		}
		return "Record<string, unknown>"
	}
	required := n.get("required").texts()
	var b bytes.Buffer
	b.WriteString("{\n")
	n.get("properties").each(func(name string, v node) {
		comment(&b, indent+"  ", v.get("description").text())
		mark := "?"
		if slices.Contains(required, name) {
			mark = ""
		}
		fmt.Fprintf(&b, "%s  %s%s: %s;\n", indent, member(name), mark, w.schema(v, indent+"  "))
	})
	if len(n.get("properties").Content) == 2 && n.get("properties").has("type") && !n.has("$ref") && !n.has("additionalProperties") {
		fmt.Fprintf(&b, "%s  [member: string]: unknown;\n", indent) // told apart by its type, and by nothing else
	}
	b.WriteString(indent + "}")
	return b.String()
}

// literal is a value of the language.
func literal(n node) string {
	if n.Tag == "!!str" {
		return strconv.Quote(n.Value)
	}
	return n.Value
}
