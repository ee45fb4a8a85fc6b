// Package traceid gives every request an id and a place in a trace, so that what a client
// saw, what a proxy saw and what the log says can be laid beside each other.
//
// It promises: a trace that a client names goes on, under a span of this server's own; a
// request id that a client chose comes back as it is; who names none, or something that
// is none, gets new ones. It refuses to trust them: they tell requests apart for whoever
// looks, and decide nothing. What comes from outside is short and of plain characters.
//
// It follows the W3C recommendation Trace Context, level 1: a trace of a later version is
// read as far as this one goes.
package traceid

import (
	"encoding/hex"
	"log/slog"
	"math/rand/v2"
	"net/http"
)

// The headers, in and out, as net/http spells them.
const (
	Parent  = "Traceparent"
	Request = "X-Request-Id"
)

// maxRequest bounds a client's request id, in characters: a UUID has 36.
const maxRequest = 64

// The parts of a traceparent: version, trace, span and flags in lower hex.
const (
	traceAt, traceEnd = 3, 35
	spanAt, spanEnd   = 36, 52
	flagsAt, size     = 53, 55
)

// ID is what a request goes by.
type ID struct {
	Request string
	Parent  string // the traceparent of the answer
}

// Trace is the part of it that all requests of a trace have.
func (id ID) Trace() string {
	if len(id.Parent) != size {
		return ""
	}
	return id.Parent[traceAt:traceEnd]
}

// Attrs is what a log says of it.
func (id ID) Attrs() []slog.Attr {
	return []slog.Attr{slog.String("request", id.Request), slog.String("trace", id.Trace())}
}

// Of reads a request's headers, and makes what is missing.
func Of(h http.Header) ID {
	id := ID{Parent: next(h[Parent])}
	if given := h[Request]; len(given) == 1 && plain(given[0]) {
		id.Request = given[0]
	} else {
		id.Request = id.Parent[spanAt:spanEnd]
	}
	return id
}

// next is the traceparent of a span of ours, within the trace of the one that was given.
func next(given []string) string {
	var b [size]byte
	copy(b[:], "00-")
	if len(given) == 1 && valid(given[0]) {
		copy(b[traceAt:traceEnd], given[0][traceAt:traceEnd])
		b[flagsAt], b[flagsAt+1] = '0', '0'+sampled(given[0][flagsAt+1]) // the one flag that this version knows
	} else {
		number(b[traceAt : traceAt+16])
		number(b[traceAt+16 : traceEnd])
		b[flagsAt], b[flagsAt+1] = '0', '0'
	}
	b[traceEnd], b[spanEnd] = '-', '-'
	number(b[spanAt:spanEnd])
	return string(b[:])
}

// sampled is the lowest bit of a hex digit.
func sampled(digit byte) byte {
	if digit >= 'a' {
		digit -= 'a' - 10
	}
	return digit & 1
}

// number writes a number that is not 0, which would be no id.
func number(into []byte) {
	var raw [8]byte
	n := rand.Uint64() | 1 //nolint:gosec // it tells requests apart, and keeps nothing secret
	for i := range raw {
		raw[i] = byte(n >> (8 * i))
	}
	hex.Encode(into, raw[:])
}

// valid reports whether a text is a traceparent that this version can go on with.
func valid(s string) bool {
	switch {
	case len(s) < size, s[traceAt-1] != '-', s[traceEnd] != '-', s[spanEnd] != '-', s[:2] == "ff":
		return false
	case len(s) > size && (s[:2] == "00" || s[size] != '-'):
		return false
	}
	zeros := func(part string) bool {
		for i := range len(part) {
			if part[i] != '0' {
				return false
			}
		}
		return true
	}
	for i := range size {
		digit := s[i] >= '0' && s[i] <= '9' || s[i] >= 'a' && s[i] <= 'f'
		if dash := i == traceAt-1 || i == traceEnd || i == spanEnd; !dash && !digit {
			return false
		}
	}
	return !zeros(s[traceAt:traceEnd]) && !zeros(s[spanAt:spanEnd])
}

// plain reports whether a text is a request id: 1..64 letters, digits, - . _ ~ as a URL
// has them without escape.
func plain(s string) bool {
	if len(s) < 1 || len(s) > maxRequest {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '.', c == '_', c == '~':
		default:
			return false
		}
	}
	return true
}
