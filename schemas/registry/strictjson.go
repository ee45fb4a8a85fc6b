package registry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	// MaxBytes bounds a schema document; ours are below 10 KiB.
	MaxBytes = 1 << 20
	// MaxDepth bounds the nesting of a document, so that recursion is bounded.
	MaxDepth = 64
	// maxNumber bounds a number literal, and maxExponent its exponent: 1e999999999
	// is short but needs a gigabyte as an exact number.
	maxNumber   = 128
	maxExponent = 400
)

var errDuplicateKey = errors.New("duplicate object key")

// parseStrict reads exactly one JSON value: valid UTF-8, no duplicate keys,
// bounded size, depth and numbers. Numbers stay json.Number, exact.
func parseStrict(raw []byte) (any, error) {
	if len(raw) > MaxBytes {
		return nil, fmt.Errorf("document has %d bytes, the limit is %d", len(raw), MaxBytes)
	}
	if !utf8.Valid(raw) {
		return nil, errors.New("document is not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	v, err := parseValue(dec, 0)
	if err != nil {
		return nil, fmt.Errorf("at byte %d: %w", dec.InputOffset(), err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("at byte %d: text after the document", dec.InputOffset())
	}
	return v, nil
}

func parseObject(raw []byte) (map[string]any, error) {
	v, err := parseStrict(raw)
	if err != nil {
		return nil, err
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("document is not an object")
	}
	return m, nil
}

func parseValue(dec *json.Decoder, depth int) (any, error) {
	if depth > MaxDepth {
		return nil, fmt.Errorf("nested deeper than %d", MaxDepth)
	}
	tok, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch t := tok.(type) {
	case json.Delim:
		if t == '{' {
			return parseMembers(dec, depth)
		}
		return parseElements(dec, depth)
	case json.Number:
		return t, checkNumber(string(t))
	default:
		return tok, nil
	}
}

func parseMembers(dec *json.Decoder, depth int) (any, error) {
	m := map[string]any{}
	for dec.More() {
		tok, err := dec.Token()
		if err != nil {
			return nil, err
		}
		key, ok := tok.(string)
		if !ok {
			return nil, errors.New("object key is not a string")
		}
		if _, dup := m[key]; dup {
			return nil, fmt.Errorf("%w %q", errDuplicateKey, key)
		}
		if m[key], err = parseValue(dec, depth+1); err != nil {
			return nil, err
		}
	}
	_, err := dec.Token()
	return m, err
}

func parseElements(dec *json.Decoder, depth int) (any, error) {
	a := []any{}
	for dec.More() {
		v, err := parseValue(dec, depth+1)
		if err != nil {
			return nil, err
		}
		a = append(a, v)
	}
	_, err := dec.Token()
	return a, err
}

func checkNumber(s string) error {
	if len(s) > maxNumber {
		return fmt.Errorf("number with %d characters, the limit is %d", len(s), maxNumber)
	}
	i := strings.IndexAny(s, "eE")
	if i < 0 {
		return nil
	}
	exp, err := strconv.Atoi(s[i+1:])
	if err != nil || exp > maxExponent || exp < -maxExponent {
		return fmt.Errorf("number %s has an exponent beyond ±%d", s, maxExponent)
	}
	return nil
}

// rational returns a number exactly. ok is false for everything else.
func rational(v any) (*big.Rat, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return nil, false
	}
	return new(big.Rat).SetString(string(n))
}

// canonical writes a value so that equal JSON values have equal text: keys
// sorted (encoding/json does), numbers as reduced fractions.
func canonical(v any) string {
	b, err := json.Marshal(exactNumbers(v))
	if err != nil {
		return fmt.Sprintf("unprintable %T", v)
	}
	return string(b)
}

func exactNumbers(v any) any {
	switch t := v.(type) {
	case json.Number:
		if r, ok := rational(t); ok {
			return map[string]any{"number": r.RatString()}
		}
		return t
	case []any:
		out := make([]any, len(t))
		for i := range t {
			out[i] = exactNumbers(t[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(t))
		for k, e := range t {
			out["."+k] = exactNumbers(e) // the dot keeps members apart from "number"
		}
		return out
	}
	return v
}

func readLimited(fsys fs.FS, name string) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read
	raw, err := io.ReadAll(io.LimitReader(f, MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if len(raw) > MaxBytes {
		return nil, fmt.Errorf("%s is larger than %d bytes", name, MaxBytes)
	}
	return raw, nil
}

// The accessors below answer the zero value for a wrong type; lint has reported
// it before anything relies on them.

func str(v any) string {
	s, _ := v.(string)
	return s
}

func object(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

func stringList(v any) []string {
	list, _ := v.([]any)
	out := make([]string, 0, len(list))
	for _, e := range list {
		if s, ok := e.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

func intValue(v any) int {
	i := int64Value(v)
	if i < math.MinInt32 || i > math.MaxInt32 {
		return 0
	}
	return int(i)
}

func int64Value(v any) int64 {
	n, ok := v.(json.Number)
	if !ok {
		return 0
	}
	i, err := strconv.ParseInt(string(n), 10, 64)
	if err != nil {
		return 0
	}
	return i
}

func typeSet(schema map[string]any) []string {
	if s, ok := schema["type"].(string); ok {
		return []string{s}
	}
	return stringList(schema["type"])
}
