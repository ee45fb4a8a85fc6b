package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	contract  = "../../engine/httpapi/openapi.yaml"
	generated = "../../fe/client/src/api_gen.ts"
)

// TestNoDrift: what is checked in is what the contract gives, byte by byte.
func TestNoDrift(t *testing.T) {
	out := filepath.Join(t.TempDir(), "api_gen.ts")
	if err := run(contract, out); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(generated)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("fe/client/src/api_gen.ts is not what engine/httpapi/openapi.yaml gives (%v): go generate ./tools/apigen", err)
	}
}

const small = `
paths:
  /a/{id}:
    get:
      operationId: getA
      summary: Read an A
      x-roles: [trader]
      parameters: [{$ref: '#/components/parameters/ID'}, {name: limit, in: query, schema: {type: integer}}]
      responses: {'200': {content: {application/json: {schema: {$ref: '#/components/schemas/A'}}}}}
  /s:
    get:
      operationId: stream
      responses: {'200': {content: {text/event-stream: {schema: {type: string}}}}}
x-problems: {malformed: 400}
components:
  parameters:
    ID: {name: id, in: path, required: true, schema: {type: string}}
  schemas:
    A:
      type: object
      required: [x]
      properties:
        x: {type: [string, 'null'], description: a word}
        'y-z': {type: array, items: {anyOf: [{$ref: '#/components/schemas/B'}, {type: 'null'}]}}
    B: {enum: [one, two]}
    C:
      type: object
      properties: {type: {enum: [p, q, r]}}
      allOf:
        - {if: {properties: {type: {const: p}}}, then: {$ref: '#/components/schemas/A'}}
        - {if: {properties: {type: {const: q}}}, then: {required: [n], properties: {n: {type: integer}}}}
    D: {$ref: '#/components/schemas/A', required: [m], properties: {m: {const: 1}}}
    E: {type: object, additionalProperties: false}
`

// TestShapes: each form of a schema that the contract uses, as a type.
func TestShapes(t *testing.T) {
	b, err := Generate([]byte(small))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"export type A = {\n  /** a word */\n  x: string | null;\n  \"y-z\"?: (B | null)[];\n};",
		`export type B = "one" | "two";`,
		`export type C = (A | { type: "q"; n: number; [member: string]: unknown } | { type: "r"; [member: string]: unknown }) & { type: string };`,
		"export type D = A & {\n  m: 1;\n};",
		"export type E = Record<string, never>;",
		"/** Read an A. Roles: trader. */\n  getA: { path: { id: string }; query: { limit?: number }; body: undefined; answer: A };",
		`getA: { method: "GET", path: "/a/{id}" },`,
		`export type ProblemCode = "malformed";`,
	} {
		if !strings.Contains(string(b), want) {
			t.Errorf("there is no %s in\n%s", want, b)
		}
	}
	if strings.Contains(string(b), "stream:") {
		t.Error("the stream has a document")
	}
}

// TestUnknownIsAnError: what the generator does not know is not left out in
// silence.
func TestUnknownIsAnError(t *testing.T) {
	for change, want := range map[[2]string]string{
		{"B: {enum: [one, two]}", "B: {not: {type: string}}"}:                                                              "schemas/B/not: the keyword",
		{"B: {enum: [one, two]}", "B: {type: date}"}:                                                                       "the type date",
		{"items: {anyOf: [{$ref: '#/components/schemas/B'}", "items: {anyOf: [{$ref: '#/components/schemas/Z'}"}:           "no schema",
		{"operationId: getA", "deprecated: true"}:                                                                          "operationId",
		{"responses: {'200': {content: {application/json: {schema: {$ref: '#/components/schemas/A'}}}}}", "responses: {}"}: "no answer",
		{"x-problems: {malformed: 400}", ""}:                                                                               "x-problems",
	} {
		text := strings.Replace(small, change[0], change[1], 1)
		if text == small {
			t.Fatalf("%q is not in the document", change[0])
		}
		if _, err := Generate([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", change[1], err, want)
		}
	}
}
