package lake

import (
	"bytes"
	"fmt"
	"reflect"
	"runtime"
	"slices"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"
	"github.com/parquet-go/parquet-go/format"

	"github.com/mbp-market/mbp/schemas/registry"
)

// The keys of the file's own metadata.
const (
	metaTable   = "mbp.table"
	metaVersion = "mbp.schema_version"
)

// yieldRows is how many rows are encoded before others are let run: who yields waits
// behind all that are ready, so with small pieces the lake takes little from who waits
// for an answer.
const yieldRows = 32

// orderedGroup is a parquet.Group whose columns stand in field id order;
// parquet.Group alone sorts them by name.
type orderedGroup struct {
	parquet.Group
	fields []parquet.Field
}

func (g orderedGroup) Fields() []parquet.Field { return g.fields }

type field struct {
	parquet.Node
	name string
}

func (f field) Name() string { return f.name }

func (f field) Value(base reflect.Value) reflect.Value {
	return base.MapIndex(reflect.ValueOf(f.name))
}

// parquetSchema maps a registered schema to a file schema: int64, UTF8 and
// TIMESTAMP(MICROS, UTC); nullable columns are optional.
func parquetSchema(s *registry.Schema) *parquet.Schema {
	g := orderedGroup{Group: parquet.Group{}}
	for _, c := range s.Columns {
		var n parquet.Node
		switch c.Kind {
		case registry.Timestamp:
			n = parquet.Timestamp(parquet.Microsecond)
		case registry.String:
			n = parquet.Encoded(parquet.String(), &parquet.RLEDictionary)
		default:
			n = parquet.Int(64)
		}
		if c.Nullable {
			n = parquet.Optional(n)
		}
		n = parquet.FieldID(n, c.FieldID)
		g.Group[c.Name] = n
		g.fields = append(g.fields, field{n, c.Name})
	}
	return parquet.NewSchema(s.Table, g)
}

// encode writes rows as one Parquet file with zstd. Values stand in the order
// of the schema's columns. The codec keeps its encoders for the next file.
func encode(codec *zstd.Codec, s *registry.Schema, rows []Row) ([]byte, error) {
	var buf bytes.Buffer
	w := parquet.NewGenericWriter[any](&buf, parquetSchema(s), parquet.Compression(codec),
		parquet.KeyValueMetadata(metaTable, s.Table), parquet.KeyValueMetadata(metaVersion, s.Version))
	out := make([]parquet.Row, 0, yieldRows)
	for some := range slices.Chunk(rows, yieldRows) {
		out = out[:0]
		for _, r := range some {
			row, err := encodeRow(s, r)
			if err != nil {
				return nil, fmt.Errorf("row of seq %d: %w", r.Seq, err)
			}
			out = append(out, row)
		}
		if _, err := w.WriteRows(out); err != nil { // it copies them
			return nil, fmt.Errorf("write rows of %s: %w", s.Table, err)
		}
		runtime.Gosched()
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("close file of %s: %w", s.Table, err)
	}
	return buf.Bytes(), nil
}

func encodeRow(s *registry.Schema, r Row) (parquet.Row, error) {
	if len(r.Values) != len(s.Columns) {
		return nil, fmt.Errorf("%d values for %d columns of %s", len(r.Values), len(s.Columns), s.Table)
	}
	row := make(parquet.Row, len(r.Values))
	for i, c := range s.Columns {
		defined := 0
		if c.Nullable {
			defined = 1
		}
		var v parquet.Value
		switch x := r.Values[i].(type) {
		case nil:
			if !c.Nullable {
				return nil, fmt.Errorf("column %s is null", c.Name)
			}
			defined = 0
		case int64:
			if c.Kind == registry.String {
				return nil, fmt.Errorf("column %s is a string, not an integer", c.Name)
			}
			v = parquet.Int64Value(x)
		case string:
			if c.Kind != registry.String {
				return nil, fmt.Errorf("column %s is no string", c.Name)
			}
			v = parquet.ByteArrayValue([]byte(x))
		default:
			return nil, fmt.Errorf("column %s has a %T", c.Name, x)
		}
		row[i] = v.Level(0, defined, i)
	}
	return row, nil
}

// fileColumns describes the columns of a Parquet file in a comparable form.
func fileColumns(raw []byte) (table, version string, columns []string, err error) {
	defer catch(&err)
	f, err := parquet.OpenFile(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		return "", "", nil, fmt.Errorf("open parquet: %w", err)
	}
	table, _ = f.Lookup(metaTable)
	version, _ = f.Lookup(metaVersion)
	for i, e := range f.Metadata().Schema {
		if i > 0 { // the first element is the root
			columns = append(columns, describeElement(e))
		}
	}
	return table, version, columns, nil
}

// catch turns a panic of the Parquet decoder into an error: it trusts the
// offsets in a file.
func catch(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("decode parquet: %v", p)
	}
}

func describeElement(e format.SchemaElement) string {
	kind := "nested"
	if e.Type.Valid {
		kind = e.Type.V.String()
	}
	if l := e.LogicalType.String(); l != "" {
		kind += " " + l
	}
	return fmt.Sprintf("%s %s %s id %d", e.Name, kind, e.RepetitionType.V, e.FieldID)
}

// wantColumns returns what fileColumns must answer for a file of schema s.
func wantColumns(s *registry.Schema) ([]string, error) {
	raw, err := encode(new(zstd.Codec), s, nil)
	if err != nil {
		return nil, err
	}
	_, _, columns, err := fileColumns(raw)
	return columns, err
}
