package registry

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Dialect is the only JSON Schema dialect we read.
const Dialect = "https://json-schema.org/draft/2020-12/schema"

// role says how the comparison treats a keyword.
type role int

const (
	annotation role = iota + 1 // says nothing about validity
	assertion                  // compared by diffKeyword
	structure                  // compared by walking into it
	rootOnly                   // annotation that may stand at the root only
)

// keywords is the allow-list. What is not in it makes a schema incompatible,
// because we could not say what a change of it means.
var keywords = map[string]role{
	"$schema": rootOnly, "$id": rootOnly, "x-primary-key": assertion,
	"title": annotation, "description": annotation, "$comment": annotation,
	"examples": annotation, "default": annotation, "deprecated": annotation,
	"x-field-id": assertion, "x-unit": assertion,
	"type": assertion, "enum": assertion, "const": assertion, "format": assertion, "pattern": assertion,
	"minimum": assertion, "maximum": assertion, "exclusiveMinimum": assertion, "exclusiveMaximum": assertion,
	"multipleOf": assertion, "minLength": assertion, "maxLength": assertion,
	"minItems": assertion, "maxItems": assertion, "uniqueItems": assertion,
	"minProperties": assertion, "maxProperties": assertion, "required": assertion,
	"properties": structure, "items": structure, "additionalProperties": structure,
}

var errNoLoader = errors.New("references to other documents are refused")

type refuseAll struct{}

func (refuseAll) Load(url string) (any, error) {
	return nil, fmt.Errorf("load %s: %w", url, errNoLoader)
}

// compile checks a document against the meta-schema and compiles it. It never
// reads a file or the network.
func compile(doc map[string]any) (*jsonschema.Schema, error) {
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	c.UseLoader(refuseAll{})
	const url = "urn:mbp:schema-under-check"
	if err := c.AddResource(url, doc); err != nil {
		return nil, fmt.Errorf("compile schema: %w", err)
	}
	s, err := c.Compile(url)
	if err != nil {
		return nil, fmt.Errorf("compile schema: %w", err)
	}
	return s, nil
}

// lint reports every place where a schema leaves the provable subset.
func lint(doc map[string]any, side Side) []Difference {
	l := &linter{side: side}
	if d, has := doc["$schema"]; has && d != Dialect {
		l.add("DIALECT_UNKNOWN", "#/$schema", "only %s is read", Dialect)
	}
	if _, err := compile(doc); err != nil {
		l.add("SCHEMA_INVALID", "#", "%s", firstLine(err))
	}
	l.schema(doc, "#", true)
	return l.out
}

type linter struct {
	side Side
	out  []Difference
}

func (l *linter) add(rule, at, format string, args ...any) {
	l.out = append(l.out, Difference{Rule: rule, Path: at, Side: l.side, Breaking: true, Message: fmt.Sprintf(format, args...)})
}

func (l *linter) schema(s map[string]any, at string, root bool) {
	for _, k := range slices.Sorted(maps.Keys(s)) {
		switch r := keywords[k]; {
		case r == 0:
			l.add("KEYWORD_UNKNOWN", child(at, k), "keyword %q is outside the allow-list", k)
		case r == rootOnly && !root:
			l.add("KEYWORD_MISPLACED", child(at, k), "%s may stand at the root only", k)
		}
	}
	types := typeSet(s)
	if len(types) == 0 {
		l.add("TYPE_MISSING", at, "every schema names its types")
	}
	if slices.Contains(types, "object") && s["additionalProperties"] != false {
		l.add("OBJECT_OPEN", child(at, "additionalProperties"), "objects are closed: additionalProperties must be false")
	}
	if v, has := s["additionalProperties"]; has && v != false {
		l.add("ADDITIONAL_PROPERTIES_NOT_FALSE", child(at, "additionalProperties"), "only false is read")
	}
	props := object(s["properties"])
	for _, name := range stringList(s["required"]) {
		if _, has := props[name]; !has {
			l.add("REQUIRED_WITHOUT_PROPERTY", child(at, "required"), "%q is required but is no property", name)
		}
	}
	l.properties(props, at)
	l.items(s, types, at)
}

func (l *linter) properties(props map[string]any, at string) {
	ids := map[int]string{}
	for _, name := range slices.Sorted(maps.Keys(props)) {
		here := child(child(at, "properties"), name)
		p, ok := props[name].(map[string]any)
		if !ok {
			l.add("BOOLEAN_SCHEMA", here, "true and false are not read as schemas")
			continue
		}
		if id, has := p["x-field-id"]; has {
			n := intValue(id)
			if n <= 0 {
				l.add("FIELD_ID_INVALID", child(here, "x-field-id"), "a field id is a positive integer")
			}
			if other, dup := ids[n]; dup {
				l.add("FIELD_ID_DUPLICATE", child(here, "x-field-id"), "field id %d belongs to %q", n, other)
			}
			ids[n] = name
		}
		l.schema(p, here, false)
	}
}

func (l *linter) items(s map[string]any, types []string, at string) {
	v, has := s["items"]
	if !has {
		if slices.Contains(types, "array") {
			l.add("ITEMS_MISSING", child(at, "items"), "arrays name the schema of their items")
		}
		return
	}
	m, ok := v.(map[string]any)
	if !ok {
		l.add("BOOLEAN_SCHEMA", child(at, "items"), "true and false are not read as schemas")
		return
	}
	l.schema(m, child(at, "items"), false)
}

// child appends a token to a JSON pointer (RFC 6901, in fragment form without
// percent-encoding).
func child(at, token string) string {
	return at + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(token)
}

func firstLine(err error) string {
	s, _, _ := strings.Cut(err.Error(), "\n")
	return s
}
