// Package telemetry gives every program of the house its logger. It promises
// that what passes through it carries no secret and no personal data: the values
// of attributes whose name says "secret" are dropped whole, and API keys,
// authorization headers, passwords in URLs, e-mail addresses, IP addresses,
// phone numbers and CPF numbers are masked in every other text, wherever it
// hides: the message, attributes, groups, errors, structs, values that render
// themselves. It refuses to print a value it cannot look into. What a mask looks
// like is stable, so that a log search can count it (LGPD, invariant I4).
//
// It is a net, not a licence: what must not be logged should not be logged.
package telemetry

import (
	"context"
	"io"
	"log/slog"
)

// Logger returns a redacting logger that writes one record a line to w: JSON
// for machines, or key=value text for a terminal. A nil level means Info.
func Logger(w io.Writer, level slog.Leveler, asJSON bool) *slog.Logger {
	opts := &slog.HandlerOptions{Level: level}
	if asJSON {
		return slog.New(Redact(slog.NewJSONHandler(w, opts)))
	}
	return slog.New(Redact(slog.NewTextHandler(w, opts)))
}

// Redact wraps a handler so that it never sees a secret or personal data.
func Redact(next slog.Handler) slog.Handler { return handler{next: next} }

type handler struct {
	next   slog.Handler
	masked bool // inside a group whose name says "secret"
}

func (h handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

func (h handler) Handle(ctx context.Context, r slog.Record) error {
	clean := slog.NewRecord(r.Time, r.Level, Text(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		clean.AddAttrs(h.attr(a))
		return true
	})
	return h.next.Handle(ctx, clean)
}

func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	clean := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		clean[i] = h.attr(a)
	}
	return handler{next: h.next.WithAttrs(clean), masked: h.masked}
}

func (h handler) WithGroup(name string) slog.Handler {
	return handler{next: h.next.WithGroup(Text(name)), masked: h.masked || secretName(name)}
}

func (h handler) attr(a slog.Attr) slog.Attr {
	if h.masked {
		return slog.String(Text(a.Key), maskSecret)
	}
	return attr(a, 0)
}
