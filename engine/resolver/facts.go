package resolver

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/cel-go/cel"
)

// The bounds of facts.
const (
	MaxFactsBytes = 64 << 10 // of a facts document
	maxFactText   = 1024     // bytes of a string
	maxFactList   = 100      // elements of a list
)

// A facts document is what a source says at one moment, in JSON:
//
//	{"source": "registry", "observed_at": "2026-11-25T12:00:00Z",
//	 "facts": {"home": 2, "away": 1}, "evidence": "https://…",
//	 "read": [{"uri": "https://…", "sha256": "…"}]}
//
// evidence may be left out by sources that list what they read; read names the
// bytes that the facts were taken from. Its own bytes are what is digested.
type document struct {
	Source   string                     `json:"source"`
	Observed string                     `json:"observed_at"` // RFC 3339
	Facts    map[string]json.RawMessage `json:"facts"`
	Evidence string                     `json:"evidence,omitempty"`
	Read     []read                     `json:"read,omitempty"`
}

type read struct {
	URI    string `json:"uri"`
	SHA256 Digest `json:"sha256"`
}

// parseDocument reads a facts document strictly: encoding/json alone would take
// repeated keys, other spellings of a key and unknown ones.
func parseDocument(b []byte) (*document, error) {
	if len(b) > MaxFactsBytes {
		return nil, fmt.Errorf("more than %d bytes", MaxFactsBytes)
	}
	top, err := object(b)
	if err != nil {
		return nil, err
	}
	var d document
	for key, raw := range top {
		switch key {
		case "source":
			d.Source, err = jsonText(raw)
		case "observed_at":
			d.Observed, err = jsonText(raw)
		case "evidence":
			d.Evidence, err = jsonText(raw)
		case "facts":
			d.Facts, err = object(raw)
		case "read":
			if !json.Valid(raw) || raw[0] != '[' {
				err = errors.New("is no list")
			}
		default:
			err = errors.New("is unknown")
		}
		if err != nil {
			return nil, fmt.Errorf("%q: %w", key, err)
		}
	}
	if d.Facts == nil {
		return nil, errors.New(`"facts" is missing`)
	}
	return &d, nil
}

// object reads a JSON object whose keys are all different, and nothing after it.
func object(b []byte) (map[string]json.RawMessage, error) {
	if !utf8.Valid(b) {
		return nil, errors.New("not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("no JSON object")
	}
	out := map[string]json.RawMessage{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, errors.New("no JSON object")
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return nil, fmt.Errorf("%q: no JSON value", key)
		}
		name, _ := key.(string)
		if _, twice := out[name]; twice {
			return nil, fmt.Errorf("key %q appears twice", name)
		}
		out[name] = raw
	}
	if _, err := d.Token(); err != nil {
		return nil, errors.New("no JSON object")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the JSON object")
	}
	return out, nil
}

func jsonText(raw json.RawMessage) (string, error) {
	var s string
	if len(raw) == 0 || raw[0] != '"' {
		return "", errors.New("is no string")
	}
	err := json.Unmarshal(raw, &s)
	return s, err
}

// factType is a declared type: what CEL calls it, and how a JSON value or a text
// becomes one. Both refuse whatever is not exactly of the type.
type factType struct {
	cel *cel.Type
	// parse reads a JSON value.
	parse func(json.RawMessage) (any, error)
	// quoted says that the JSON form of the text is a string; lists have no text form.
	quoted, list bool
}

var factTypes = func() map[string]factType {
	base := map[string]factType{
		"bool":      {cel: cel.BoolType, parse: parseBool},
		"int":       {cel: cel.IntType, parse: parseInt},
		"double":    {cel: cel.DoubleType, parse: parseDouble},
		"string":    {cel: cel.StringType, parse: parseString, quoted: true},
		"timestamp": {cel: cel.TimestampType, parse: parseTimestamp, quoted: true},
	}
	all := map[string]factType{}
	for name, t := range base {
		all[name] = t
		all["list("+name+")"] = factType{cel: cel.ListType(t.cel), parse: listOf(t.parse), list: true}
	}
	return all
}()

// fromText returns the JSON form of a text of the type, as a column of a table
// gives it.
func (t factType) fromText(s string) (json.RawMessage, error) {
	raw := json.RawMessage(s)
	if t.quoted {
		b, err := json.Marshal(s)
		if err != nil {
			return nil, err
		}
		raw = b
	}
	_, err := t.parse(raw)
	return raw, err
}

func parseBool(raw json.RawMessage) (any, error) {
	switch string(raw) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return nil, errors.New("no bool")
}

func parseInt(raw json.RawMessage) (any, error) {
	if !json.Valid(raw) {
		return nil, errors.New("no int")
	}
	v, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil {
		return nil, errors.New("no int of 64 bits")
	}
	return v, nil
}

func parseDouble(raw json.RawMessage) (any, error) {
	var n json.Number
	if len(raw) == 0 || raw[0] == '"' || len(bytes.TrimSpace(raw)) != len(raw) || json.Unmarshal(raw, &n) != nil || n == "" {
		return nil, errors.New("no number")
	}
	v, err := n.Float64()
	if err != nil || math.IsInf(v, 0) || math.IsNaN(v) {
		return nil, errors.New("no finite number")
	}
	return v, nil
}

func parseString(raw json.RawMessage) (any, error) {
	s, err := jsonText(raw)
	if err != nil {
		return nil, err
	}
	if len(s) > maxFactText {
		return nil, fmt.Errorf("more than %d bytes", maxFactText)
	}
	return s, nil
}

func parseTimestamp(raw json.RawMessage) (any, error) {
	s, err := jsonText(raw)
	if err != nil {
		return nil, err
	}
	return instant(s)
}

// instant reads RFC 3339. CEL knows the years 1..9999.
func instant(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || t.UTC().Year() < 1 || t.UTC().Year() > 9999 || strings.Contains(s, ",") {
		return time.Time{}, errors.New("no time of RFC 3339")
	}
	return t.UTC(), nil
}

func listOf(parse func(json.RawMessage) (any, error)) func(json.RawMessage) (any, error) {
	return func(raw json.RawMessage) (any, error) {
		var parts []json.RawMessage
		if len(raw) == 0 || raw[0] != '[' || json.Unmarshal(raw, &parts) != nil {
			return nil, errors.New("no list")
		}
		if len(parts) > maxFactList {
			return nil, fmt.Errorf("more than %d elements", maxFactList)
		}
		out := make([]any, len(parts))
		for i, part := range parts {
			v, err := parse(part)
			if err != nil {
				return nil, fmt.Errorf("element %d: %w", i, err)
			}
			out[i] = v
		}
		return out, nil
	}
}

// pointerForm says whether s is a JSON pointer (RFC 6901) to a part of a value.
func pointerForm(s string) bool {
	rest := strings.NewReplacer("~0", "", "~1", "").Replace(s)
	return text(s) && s[0] == '/' && !strings.Contains(rest, "~")
}

// errAbsent means that a source has nothing where a fact should lie.
var errAbsent = errors.New("is absent")

// follow returns the value that a JSON pointer names, errAbsent if there is none
// or null.
func follow(b json.RawMessage, pointer string) (json.RawMessage, error) {
	for _, part := range strings.Split(pointer[1:], "/") {
		part = strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
		if len(b) != 0 && b[0] == '[' {
			var list []json.RawMessage
			i, err := strconv.Atoi(part)
			if err != nil || json.Unmarshal(b, &list) != nil {
				return nil, fmt.Errorf("%s: %q is no index", pointer, part)
			}
			if i < 0 || i >= len(list) {
				return nil, errAbsent
			}
			b = list[i]
			continue
		}
		members, err := object(b)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", pointer, err)
		}
		next, ok := members[part]
		if !ok {
			return nil, errAbsent
		}
		b = next
	}
	if string(b) == "null" {
		return nil, errAbsent
	}
	return b, nil
}
