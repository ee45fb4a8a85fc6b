package tape

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/mbp-market/mbp/engine"
)

// Errors of a file that is refused as a whole.
var (
	ErrTooLong = errors.New("a row is longer than the bound")
	ErrTooMuch = errors.New("the file is larger than the bound")
	ErrColumns = errors.New("columns are missing")
)

// guard stops a reader after MaxBytes in all and MaxRecord without a row's end.
type guard struct {
	ctx  func() error
	r    io.Reader
	read int64
	row  int64 // where the current row began
}

func (g *guard) Read(b []byte) (int, error) {
	switch {
	case g.ctx() != nil:
		return 0, g.ctx()
	case g.read-g.row > MaxRecord:
		return 0, ErrTooLong
	case g.read > MaxBytes:
		return 0, ErrTooMuch
	}
	n, err := g.r.Read(b)
	g.read += int64(n)
	return n, err
}

// table reads the rows of a CSV file, compressed or not, by column name.
type table struct {
	file  *os.File
	guard *guard
	csv   *csv.Reader
	index []int // of the wanted columns
	n     int   // data rows so far
	row   []string
}

// open opens a CSV file that must have the wanted columns.
func open(ctx context.Context, path string, want []string) (*table, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	t := &table{file: f, row: make([]string, len(want))}
	if err := t.start(ctx, want); err != nil {
		f.Close()
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return t, nil
}

func (t *table) start(ctx context.Context, want []string) error {
	raw := bufio.NewReader(t.file)
	var r io.Reader = raw
	if magic, _ := raw.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(raw)
		if err != nil {
			return err
		}
		r = z
	}
	t.guard = &guard{ctx: ctx.Err, r: r}
	t.csv = csv.NewReader(t.guard)
	t.csv.ReuseRecord = true
	head, err := t.csv.Read()
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: the file is empty", ErrColumns)
	} else if err != nil {
		return err
	}
	head[0] = strings.TrimPrefix(head[0], "\ufeff")
	var missing []string
	for _, name := range want {
		i := slices.Index(head, name)
		if i < 0 {
			missing = append(missing, name)
		} else if slices.Contains(head[i+1:], name) {
			return fmt.Errorf("column %s is there twice", name)
		}
		t.index = append(t.index, i)
	}
	if missing != nil {
		return fmt.Errorf("%w: %s", ErrColumns, strings.Join(missing, ", "))
	}
	return nil
}

// next returns the wanted fields of the next row, which are valid until the
// next call; ok is false for a row that is not CSV or has another number of
// fields. The error is io.EOF at the end.
func (t *table) next() (fields []string, ok bool, err error) {
	t.guard.row = t.csv.InputOffset()
	all, err := t.csv.Read()
	if errors.Is(err, io.EOF) {
		return nil, false, io.EOF
	}
	if t.n++; t.n > MaxRows {
		return nil, false, ErrTooMuch
	}
	if bad := (*csv.ParseError)(nil); errors.As(err, &bad) {
		return nil, false, nil
	} else if err != nil {
		return nil, false, fmt.Errorf("row %d: %w", t.n, err)
	}
	for i, at := range t.index {
		t.row[i] = all[at]
	}
	return t.row, true, nil
}

func (t *table) close() { t.file.Close() }

// digestOf is the SHA-256 of a file's bytes.
func digestOf(path string) (engine.Digest, error) {
	f, err := os.Open(path)
	if err != nil {
		return engine.Digest{}, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, io.LimitReader(f, MaxBytes)); err != nil {
		return engine.Digest{}, fmt.Errorf("read %s: %w", path, err)
	}
	return engine.Digest(h.Sum(nil)), nil
}
