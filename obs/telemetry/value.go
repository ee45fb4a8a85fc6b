package telemetry

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"unicode"
)

// maxDepth bounds how deep groups and documents are followed; deeper ones are
// not printed.
const maxDepth = 16

// unreadable stands for a value that could not be looked into.
const unreadable = "[unreadable]"

// secretWords name attributes whose value is never printed, in whatever case
// and compound: key_file, apiKey, Set-Cookie.
var secretWords = map[string]bool{
	"apikey": true, "auth": true, "authorization": true, "bearer": true, "cookie": true, "cookies": true,
	"cpf": true, "credential": true, "credentials": true, "email": true, "key": true, "keys": true, "passphrase": true,
	"passwd": true, "password": true, "private": true, "secret": true, "secrets": true, "token": true, "tokens": true,
}

// secretName reports whether one of the words of an attribute's name is secret.
func secretName(name string) bool {
	for _, word := range words(name) {
		if secretWords[strings.ToLower(word)] {
			return true
		}
	}
	return false
}

// words splits a name at punctuation and at the humps of camel case.
func words(name string) []string {
	var b strings.Builder
	var last rune
	for _, r := range name {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			b.WriteByte(' ')
		case unicode.IsUpper(r) && unicode.IsLower(last):
			b.WriteByte(' ')
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
		last = r
	}
	return strings.Fields(b.String())
}

func attr(a slog.Attr, depth int) slog.Attr {
	v := a.Value.Resolve()
	if a.Key != "" && secretName(a.Key) {
		return slog.String(Text(a.Key), maskSecret)
	}
	return slog.Attr{Key: Text(a.Key), Value: value(v, depth)}
}

func value(v slog.Value, depth int) slog.Value {
	if depth > maxDepth {
		return slog.StringValue(unreadable)
	}
	switch v.Kind() {
	case slog.KindString:
		return slog.StringValue(Text(v.String()))
	case slog.KindGroup:
		in := v.Group()
		out := make([]slog.Attr, len(in))
		for i, a := range in {
			out[i] = attr(a, depth+1)
		}
		return slog.GroupValue(out...)
	case slog.KindAny:
		return anything(v.Any(), depth)
	case slog.KindLogValuer: // Resolve gave up on a value that resolves to itself
		return slog.StringValue(unreadable)
	default: // booleans, numbers, times, durations carry no text
		return v
	}
}

// anything renders a value of unknown type the way a handler would, and masks
// the text.
func anything(x any, depth int) (v slog.Value) {
	defer func() {
		if recover() != nil { // a method of the value panicked, as on a nil pointer
			v = slog.StringValue(unreadable)
		}
	}()
	switch x := x.(type) {
	case nil:
		return slog.AnyValue(nil)
	case error:
		return slog.StringValue(Text(x.Error()))
	case []byte:
		return slog.StringValue(Text(string(x)))
	case json.Marshaler, encoding.TextMarshaler:
		return document(x, depth)
	case fmt.Stringer:
		return slog.StringValue(Text(x.String()))
	}
	return document(x, depth)
}

// document renders a value as JSON and masks inside it by name and by text.
func document(x any, depth int) slog.Value {
	b, err := json.Marshal(x)
	if err != nil {
		return slog.StringValue(unreadable)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber() // 64-bit integers stay exact
	var doc any
	if err := d.Decode(&doc); err != nil {
		return slog.StringValue(unreadable)
	}
	doc = walk(doc, depth)
	if s, ok := doc.(string); ok {
		return slog.StringValue(s)
	}
	return slog.AnyValue(doc)
}

func walk(doc any, depth int) any {
	if depth > maxDepth {
		return unreadable
	}
	switch doc := doc.(type) {
	case string:
		return Text(doc)
	case []any:
		for i := range doc {
			doc[i] = walk(doc[i], depth+1)
		}
	case map[string]any:
		clean := make(map[string]any, len(doc))
		for name, x := range doc {
			if secretName(name) {
				clean[Text(name)] = maskSecret
			} else {
				clean[Text(name)] = walk(x, depth+1)
			}
		}
		return clean
	}
	return doc
}
