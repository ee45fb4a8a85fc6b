package lake

import (
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"github.com/mbp-market/mbp/schemas/registry"
)

// groupRows is how many rows of a stream lie in memory before they are written as
// a group: of rows of a kilobyte, 8 MB.
const groupRows = 8192

// Stream writes rows as one Parquet file while they come, in groups, for files
// that are no part of a lake. One goroutine uses it. Nothing is a file before
// Close.
type Stream struct {
	schema *registry.Schema
	w      *parquet.GenericWriter[any]
	room   [1]parquet.Row
	group  int // rows of the group that is not written yet
}

// NewStream returns a stream of rows of a schema, of which only table, version and
// columns count.
func NewStream(w io.Writer, s *registry.Schema) *Stream {
	return &Stream{schema: s, w: parquet.NewGenericWriter[any](w, parquetSchema(s), parquet.Compression(new(zstd.Codec)),
		parquet.KeyValueMetadata(metaTable, s.Table), parquet.KeyValueMetadata(metaVersion, s.Version))}
}

// Write adds a row: int64, string or nil, in the order of the schema's columns.
func (s *Stream) Write(values []any) error {
	row, err := encodeRow(s.schema, Row{Values: values})
	if err != nil {
		return err
	}
	s.room[0] = row
	if _, err := s.w.WriteRows(s.room[:]); err != nil {
		return fmt.Errorf("write a row of %s: %w", s.schema.Table, err)
	}
	if s.group++; s.group < groupRows {
		return nil
	}
	s.group = 0
	if err := s.w.Flush(); err != nil {
		return fmt.Errorf("write rows of %s: %w", s.schema.Table, err)
	}
	return nil
}

// Close writes what is left and the end of the file.
func (s *Stream) Close() error {
	if err := s.w.Close(); err != nil {
		return fmt.Errorf("close file of %s: %w", s.schema.Table, err)
	}
	return nil
}
