package cdc

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/mbp-market/mbp/data/cdc/lake"
	"github.com/mbp-market/mbp/schemas/registry"
)

// Envelope is one change in the shape of Debezium's events.
type Envelope struct {
	Before map[string]any `json:"before"` // always null, see the package comment
	After  map[string]any `json:"after"`
	Op     string         `json:"op"`    // c or u
	TsMs   int64          `json:"ts_ms"` // when the journal had made the decision durable
	Source Origin         `json:"source"`
}

// Origin says where a change comes from. Sequence is the decision and the
// position of the change in it: together they order all changes.
type Origin struct {
	Version       string   `json:"version"` // of the envelope
	Connector     string   `json:"connector"`
	Name          string   `json:"name"`
	TsMs          int64    `json:"ts_ms"` // when the engine decided
	TsUs          int64    `json:"ts_us"`
	Snapshot      string   `json:"snapshot"`
	DB            string   `json:"db"`
	Schema        string   `json:"schema"`
	Table         string   `json:"table"`
	Seq           uint64   `json:"seq"`
	Sequence      []string `json:"sequence"`
	SchemaVersion string   `json:"schema_version"`
}

// change is what a decision did to one row of a table: the columns of its own.
// Timestamps are int64 µs, integers int64, absent means null.
type change struct {
	table, op string
	columns   map[string]any
}

// decided is one durable decision as the pipeline handles it.
type decided struct {
	seq                uint64
	decided, committed int64 // µs
	changes            []change
}

const timeLayout = "2006-01-02T15:04:05.000000Z"

// envelope completes a change with the columns every table has, and renders it
// as the JSON document that its schema describes.
func envelope(s *registry.Schema, d decided, n int) Envelope {
	c := d.changes[n]
	after := make(map[string]any, len(s.Columns))
	for k, v := range c.columns {
		after[k] = v
	}
	// The engine's clock never runs backwards, the journal's wall clock may.
	committed := max(d.committed, d.decided)
	after["seq"] = int64(d.seq)
	after["decided_at"], after["committed_at"], after["op"] = d.decided, committed, c.op
	for _, col := range s.Columns {
		us, isInt := after[col.Name].(int64)
		if col.Kind == registry.Timestamp && isInt {
			after[col.Name] = time.UnixMicro(us).UTC().Format(timeLayout)
		}
	}
	return Envelope{
		After: after, Op: c.op, TsMs: committed / 1000,
		Source: Origin{
			Version: "1", Connector: "mbp", Name: "mbp", TsMs: d.decided / 1000, TsUs: d.decided, Snapshot: "false",
			DB: "mbp", Schema: "mbp", Table: c.table, Seq: d.seq,
			Sequence: []string{strconv.FormatUint(d.seq, 10), strconv.Itoa(n)}, SchemaVersion: s.Version,
		},
	}
}

// row turns a valid envelope into a row of the lake.
func row(s *registry.Schema, d decided, e Envelope) (lake.Row, error) {
	r := lake.Row{Seq: d.seq, DecidedAt: d.decided, Values: make([]any, len(s.Columns))}
	for i, col := range s.Columns {
		v := e.After[col.Name]
		if text, isText := v.(string); isText && col.Kind == registry.Timestamp {
			t, err := time.Parse(timeLayout, text)
			if err != nil {
				return r, fmt.Errorf("column %s: %w", col.Name, err)
			}
			v = t.UnixMicro()
		}
		r.Values[i] = v
	}
	return r, nil
}

// deadLetter keeps the whole envelope beside the reason.
func deadLetter(d decided, n int, e Envelope, reason error) (lake.DeadLetter, error) {
	body, err := json.MarshalIndent(struct {
		Error    string   `json:"error"`
		Envelope Envelope `json:"envelope"`
	}{reason.Error(), e}, "", "  ")
	if err != nil {
		return lake.DeadLetter{}, fmt.Errorf("encode dead letter of seq %d: %w", d.seq, err)
	}
	return lake.DeadLetter{Table: d.changes[n].table, Seq: d.seq, N: n, Body: append(body, '\n')}, nil
}
