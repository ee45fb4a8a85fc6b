package resolver

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"
)

// The bounds of what sources read.
const (
	MaxTableBytes = 16 << 20
	MaxBodyBytes  = 1 << 20 // of one answer of an endpoint
)

// Fetch gets the body of an address, at most MaxBodyBytes. HTTP makes the real
// one; the body belongs to the caller.
type Fetch func(ctx context.Context, address string) ([]byte, error)

// Table makes the facts document of a table source from the bytes of its file:
// CSV with a header line, or one JSON object a line. Exactly one row has to match
// the source's key.
func (p *Program) Table(source string, file []byte, m Market) ([]byte, error) {
	s, err := p.of(source, TypeTable)
	if err != nil {
		return nil, err
	}
	if len(file) > MaxTableBytes {
		return nil, fmt.Errorf("table %s: more than %d bytes", s.File, MaxTableBytes)
	}
	key := map[string]string{}
	for column, value := range s.Key {
		if key[column], err = p.fill(value, m, func(v string) string { return v }); err != nil {
			return nil, fmt.Errorf("table %s: %w", s.File, err)
		}
	}
	pick := pickCSV
	if strings.HasSuffix(s.File, ".ndjson") {
		pick = pickNDJSON
	}
	row, err := pick(file, key)
	if err != nil {
		return nil, fmt.Errorf("table %s: %w", s.File, err)
	}
	d := document{Source: s.Name, Facts: map[string]json.RawMessage{}, Read: []read{{URI: s.File, SHA256: sha256.Sum256(file)}}}
	if d.Observed, err = row.text(s.Observed); err != nil {
		return nil, fmt.Errorf("table %s: column %s: %w", s.File, s.Observed, err)
	}
	err = p.collect(&d, s.Fields, row.value)
	if err != nil {
		return nil, fmt.Errorf("table %s: %w", s.File, err)
	}
	return d.bytes()
}

// Endpoint makes the facts document of an endpoint source: it fetches every
// address once, in the order of the rule, and names the digest of each answer.
// The facts count as observed at the oldest time that an answer names, or at now
// (µs since 1970) if none does.
func (p *Program) Endpoint(ctx context.Context, source string, fetch Fetch, m Market, now int64) ([]byte, error) {
	s, err := p.of(source, TypeEndpoint)
	if err != nil {
		return nil, err
	}
	at := time.UnixMicro(now).UTC()
	d := document{Source: s.Name, Facts: map[string]json.RawMessage{}}
	for _, q := range s.Requests {
		address, err := p.address(q.URL, m)
		if err != nil {
			return nil, fmt.Errorf("endpoint %s: %w", s.Name, err)
		}
		body, err := fetch(ctx, address)
		if err != nil {
			return nil, fmt.Errorf("endpoint %s: %w", s.Name, err)
		}
		if len(body) > MaxBodyBytes {
			return nil, fmt.Errorf("endpoint %s: %s: more than %d bytes", s.Name, address, MaxBodyBytes)
		}
		d.Read = append(d.Read, read{URI: address, SHA256: sha256.Sum256(body)})
		if q.Observed != "" {
			seen, err := observed(body, q.Observed)
			if err != nil {
				return nil, fmt.Errorf("endpoint %s: %s: %w", s.Name, address, err)
			}
			if seen.Before(at) {
				at = seen
			}
		}
		look := func(pointer string, _ factType) (json.RawMessage, error) { return follow(body, pointer) }
		if err := p.collect(&d, q.Fields, look); err != nil {
			return nil, fmt.Errorf("endpoint %s: %s: %w", s.Name, address, err)
		}
	}
	d.Observed = at.Format(time.RFC3339Nano)
	return d.bytes()
}

// Manual checks that the file is a facts document of the manual source, with its
// evidence, and returns it unchanged: what people signed is what is digested.
func (p *Program) Manual(source string, file []byte) ([]byte, error) {
	s, err := p.of(source, TypeManual)
	if err != nil {
		return nil, err
	}
	d, err := parseDocument(file)
	switch {
	case err != nil:
		return nil, fmt.Errorf("manual %s: %w", s.Name, err)
	case d.Source != s.Name:
		return nil, fmt.Errorf("manual %s: the file is of source %q", s.Name, d.Source)
	case !evidence(d.Evidence):
		return nil, fmt.Errorf("manual %s: evidence is an absolute URI of at most %d bytes", s.Name, maxText)
	}
	return file, nil
}

func evidence(uri string) bool {
	u, err := url.Parse(uri)
	return err == nil && text(uri) && u.IsAbs() && (u.Host != "" || u.Opaque != "")
}

// observed reads the time that an answer names.
func observed(body []byte, pointer string) (time.Time, error) {
	raw, err := follow(body, pointer)
	if err != nil {
		return time.Time{}, fmt.Errorf("observed %s: %w", pointer, err)
	}
	s, err := jsonText(raw)
	if err != nil {
		return time.Time{}, fmt.Errorf("observed %s: %w", pointer, err)
	}
	return instant(s)
}

// of finds the source and wants it to be of the type.
func (p *Program) of(source, kind string) (*Source, error) {
	s := p.rule.source(source)
	if s == nil {
		return nil, fmt.Errorf("rule %s has no source %q", p.rule.ID, source)
	}
	if s.Type != kind {
		return nil, fmt.Errorf("source %s is of type %s, not %s", source, s.Type, kind)
	}
	return s, nil
}

// collect copies the facts that fields name into the document.
func (p *Program) collect(d *document, fields map[string]Field, look func(at string, kind factType) (json.RawMessage, error)) error {
	for fact, f := range fields {
		kind := factTypes[p.rule.Facts[fact]]
		raw, err := look(f.At, kind)
		if errors.Is(err, errAbsent) {
			if f.Absent == nil {
				continue // the fact is missing; Evaluate says so
			}
			raw, err = kind.fromText(*f.Absent)
		}
		if err != nil {
			return fmt.Errorf("fact %s: %w", fact, err)
		}
		d.Facts[fact] = raw
	}
	return nil
}

func (d *document) bytes() ([]byte, error) {
	b, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("facts of %s: %w", d.Source, err)
	}
	if len(b) > MaxFactsBytes {
		return nil, fmt.Errorf("facts of %s: more than %d bytes", d.Source, MaxFactsBytes)
	}
	return b, nil
}

// fill puts the market's parameters where the text names them.
func (p *Program) fill(s string, m Market, escape func(string) string) (string, error) {
	var fault error
	out := placeForm.ReplaceAllStringFunc(s, func(place string) string {
		name := place[1 : len(place)-1]
		value, ok := m.Params[name]
		if name == "market" {
			value, ok = m.ID, true
		}
		if !ok || !text(value) {
			fault = fmt.Errorf("the market has no usable parameter %s", name)
		}
		return escape(value)
	})
	return out, fault
}

// address fills a template. A parameter stays inside its part of the path or
// query, and a path may not climb.
func (p *Program) address(template string, m Market) (string, error) {
	path, query, asks := strings.Cut(template, "?")
	out, err := p.fill(path, m, url.PathEscape)
	if err != nil {
		return "", err
	}
	if asks {
		query, err = p.fill(query, m, url.QueryEscape)
		if err != nil {
			return "", err
		}
		out += "?" + query
	}
	u, err := url.Parse(out)
	if err != nil {
		return "", fmt.Errorf("address: %w", err)
	}
	if slices.ContainsFunc(strings.Split(u.Path, "/"), func(s string) bool { return s == "." || s == ".." }) {
		return "", fmt.Errorf("address %s: the path climbs", out)
	}
	return out, nil
}

// row is one row of a table: texts of CSV, or values of NDJSON.
type row struct {
	texts  map[string]string
	values map[string]json.RawMessage
}

func (r row) text(column string) (string, error) {
	if r.texts != nil {
		return r.texts[column], nil
	}
	return jsonText(r.values[column])
}

func (r row) value(column string, kind factType) (json.RawMessage, error) {
	if r.texts == nil {
		raw, ok := r.values[column]
		if !ok || string(raw) == "null" {
			return nil, errAbsent
		}
		return raw, nil
	}
	s, ok := r.texts[column]
	if !ok || s == "" {
		return nil, errAbsent
	}
	return kind.fromText(s)
}

// only keeps the one row that matches.
type only struct {
	row   row
	found int
}

func (o *only) take(r row) { o.row, o.found = r, o.found+1 }

func (o *only) result() (row, error) {
	if o.found != 1 {
		return row{}, fmt.Errorf("%d rows match the key", o.found)
	}
	return o.row, nil
}

func pickCSV(file []byte, key map[string]string) (row, error) {
	r := csv.NewReader(bytes.NewReader(file))
	header, err := r.Read()
	if err != nil {
		return row{}, fmt.Errorf("header: %w", err)
	}
	for i, column := range header {
		if slices.Index(header, column) != i {
			return row{}, fmt.Errorf("header: column %q appears twice", column)
		}
	}
	for column := range key {
		if !slices.Contains(header, column) {
			return row{}, fmt.Errorf("header: no column %q", column)
		}
	}
	var o only
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return o.result()
		}
		if err != nil {
			return row{}, err
		}
		texts := map[string]string{}
		for i, column := range header {
			texts[column] = record[i]
		}
		if matches(key, func(column string) string { return texts[column] }) {
			o.take(row{texts: texts})
		}
	}
}

func pickNDJSON(file []byte, key map[string]string) (row, error) {
	var o only
	n := 0
	for line := range bytes.Lines(file) {
		if n++; len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		values, err := object(line)
		if err != nil {
			return row{}, fmt.Errorf("line %d: %w", n, err)
		}
		get := func(column string) string {
			if s, err := jsonText(values[column]); err == nil {
				return s
			}
			return string(values[column]) // numbers and bools by how they are written
		}
		if matches(key, get) {
			o.take(row{values: values})
		}
	}
	return o.result()
}

func matches(key map[string]string, get func(string) string) bool {
	for column, want := range key {
		if get(column) != want {
			return false
		}
	}
	return true
}
