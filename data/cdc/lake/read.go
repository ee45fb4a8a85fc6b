package lake

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"

	"github.com/mbp-market/mbp/schemas/registry"
)

// ReadFile decodes a data file of the lake into rows whose values stand in the
// order of s's columns; s must be the version that the file names. It is for
// checks and tests: readers of the lake use a query engine. Give it only bytes
// whose digest the manifest confirms; a crafted file can cost gigabytes.
func ReadFile(s *registry.Schema, raw []byte) (out []Row, err error) {
	defer catch(&err)
	table, version, _, err := fileColumns(raw)
	if err != nil {
		return nil, err
	}
	if table != s.Table || version != s.Version {
		return nil, fmt.Errorf("file of %s v%s, expected %s v%s", table, version, s.Table, s.Version)
	}
	r := parquet.NewReader(bytes.NewReader(raw))
	defer func() { _ = r.Close() }() // only read
	buf := make([]parquet.Row, 1)
	for {
		n, err := r.ReadRows(buf)
		if n == 1 {
			row, derr := decodeRow(s, buf[0])
			if derr != nil {
				return nil, derr
			}
			out = append(out, row)
		}
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read rows of %s: %w", s.Table, err)
		}
		if n == 0 {
			return nil, fmt.Errorf("read rows of %s: no progress after %d rows", s.Table, len(out))
		}
	}
}

func decodeRow(s *registry.Schema, in parquet.Row) (Row, error) {
	if len(in) != len(s.Columns) {
		return Row{}, fmt.Errorf("%d values for %d columns of %s", len(in), len(s.Columns), s.Table)
	}
	row := Row{Values: make([]any, len(in))}
	for i, c := range s.Columns {
		switch {
		case in[i].IsNull():
		case c.Kind == registry.String:
			row.Values[i] = string(in[i].ByteArray())
		default:
			row.Values[i] = in[i].Int64()
		}
		n, _ := row.Values[i].(int64)
		switch c.Name {
		case "seq":
			row.Seq = uint64(n)
		case "decided_at":
			row.DecidedAt = n
		}
	}
	return row, nil
}
