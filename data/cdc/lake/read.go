package lake

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/parquet-go/parquet-go"

	"github.com/mbp-market/mbp/schemas/registry"
)

// ReadFile decodes a data file of the lake into rows whose values stand in the
// order of s's columns; s must be the version that the file names. It is for
// checks, tests and Backward: readers of the lake use a query engine. Give it only bytes
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

// Position returns the last decision that the lake of a folder covers, 0 if there is
// none. It opens nothing else, and may be asked beside the process that holds the lake.
func Position(fs FS) (seq uint64, err error) {
	at, err := readCheckpoint(fs)
	return at.Seq, err
}

// Backward calls fn for the rows of a table, the newest first, with the schema that
// its values follow, until fn says that it wants no more. A file that is not what the
// manifest says of it is an error.
func (l *Lake) Backward(table string, fn func(s *registry.Schema, r Row) (more bool, err error)) error {
	files := l.Files(table)
	slices.SortStableFunc(files, func(a, b Entry) int { return cmp.Compare(b.FirstSeq, a.FirstSeq) })
	for _, e := range files {
		raw, err := l.fs.ReadFile(e.Path)
		if err != nil {
			return fmt.Errorf("read %s: %w", e.Path, err)
		}
		if sum := sha256.Sum256(raw); hex.EncodeToString(sum[:]) != e.SHA256 {
			return fmt.Errorf("read %s: it is not the file that the manifest names", e.Path)
		}
		s, err := l.reg.Version(table, e.SchemaVersion)
		if err != nil {
			return fmt.Errorf("read %s: %w", e.Path, err)
		}
		rows, err := ReadFile(s, raw)
		if err != nil {
			return fmt.Errorf("read %s: %w", e.Path, err)
		}
		for _, r := range slices.Backward(rows) {
			if more, err := fn(s, r); err != nil || !more {
				return err
			}
		}
	}
	return nil
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
