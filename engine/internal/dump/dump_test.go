package dump_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/mbp-market/mbp/engine/internal/dump"
	"github.com/mbp-market/mbp/engine/internal/wire"
)

// thing is a state of this test: a name and numbers, each with a text.
type thing struct {
	name string
	rows []row
	flag octet
}

type row struct {
	n    uint64
	text string
}

// octet has a form of its own, and only even ones are any.
type octet byte

func (o *octet) Append(b []byte) []byte { return append(b, byte(*o)) }

func (o *octet) Load(b []byte) ([]byte, bool) {
	if len(b) == 0 || b[0]%2 != 0 {
		return b, false
	}
	*o = octet(b[0])
	return b[1:], true
}

func (x *thing) code(c *dump.Codec) {
	c.Text(&x.name, 100)
	dump.List(c, &x.rows, 1_000_000, func(r *row) {
		wire.Num(&c.Codec, &r.n)
		c.Text(&r.text, 40_000)
	})
	c.Form(&x.flag)
}

func (x *thing) write(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	c := dump.To(&b)
	x.code(c)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func read(r io.Reader) (*thing, error) {
	x := &thing{}
	c := dump.From(r)
	x.code(c)
	return x, c.Close()
}

func large() *thing {
	x := &thing{name: "a", flag: 8}
	for i := range 30_000 {
		x.rows = append(x.rows, row{uint64(i) << (i % 50), strings.Repeat("x", i%9)})
	}
	x.rows = append(x.rows, row{text: strings.Repeat("y", 40_000)}) // alone above a block
	return x
}

// What is written is read again, through any reader, in blocks.
func TestThereAndBack(t *testing.T) {
	for _, x := range []*thing{{}, {name: "small", rows: []row{{n: 7}}}, large()} {
		b := x.write(t)
		for _, r := range []io.Reader{bytes.NewReader(b), iotest.OneByteReader(bytes.NewReader(b)), iotest.DataErrReader(bytes.NewReader(b))} {
			y, err := read(r)
			if err != nil || y.name != x.name || len(y.rows) != len(x.rows) || y.flag != x.flag {
				t.Fatalf("%d rows of %d, %v", len(y.rows), len(x.rows), err)
			}
			if !bytes.Equal(y.write(t), b) {
				t.Fatal("what was read is written otherwise")
			}
		}
	}
}

// Pieces reach the writer as they come: a large state is never in memory twice.
func TestWritesInPieces(t *testing.T) {
	most := 0
	c := dump.To(writerFunc(func(b []byte) (int, error) { most = max(most, len(b)); return len(b), nil }))
	large().code(c)
	if err := c.Close(); err != nil || most < 40_000 || most > 80_000 {
		t.Fatalf("a piece of %d bytes, %v", most, err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// An error of the stream is told as it is, not as damage.
func TestErrorsOfTheStream(t *testing.T) {
	broken := errors.New("broken")
	for after := range 4 {
		n := 0
		c := dump.To(writerFunc(func(b []byte) (int, error) {
			if n++; n > after {
				return 0, broken
			}
			return len(b), nil
		}))
		large().code(c)
		if err := c.Close(); !errors.Is(err, broken) {
			t.Errorf("write %d: %v", after, err)
		}
	}
	b := large().write(t)
	for _, n := range []int{0, 1, 5, 40_000, len(b)} {
		_, err := read(io.MultiReader(bytes.NewReader(b[:n]), iotest.ErrReader(broken)))
		if !errors.Is(err, broken) || errors.Is(err, dump.ErrFormat) {
			t.Errorf("read %d: %v", n, err)
		}
	}
}

// Whatever is cut off or hung on is no dump, and neither are other blocks.
func TestRefusesOtherForms(t *testing.T) {
	b := large().write(t)
	for n := 0; n < len(b); n += 19_997 {
		if _, err := read(bytes.NewReader(b[:n])); !errors.Is(err, dump.ErrFormat) {
			t.Fatalf("cut at %d: %v", n, err)
		}
	}
	small := (&thing{name: "s"}).write(t) // a block of 1: length, 's', no rows, the octet
	if want := "\x04\x01s\x00\x00"; string(small) != want {
		t.Fatalf("%q, want %q", small, want)
	}
	for _, bad := range []string{
		"", "\x00", "\x84\x00\x01s\x00\x00", "\x84\x80\x00\x01s\x00\x00", "\xff\xff\xff\x01", "\x80\x80\x80\x80\x80\x01",
		"\x04\x01s\x00\x00\x00", "\x04\x01s\x00\x00\x01\x00", "\x05\x01s\x00\x00\x00", "\x02\x01s\x02\x00\x00", "\x04\x01s\x00\x01",
		"\x04\x01s\xff\xff",
	} {
		if _, err := read(strings.NewReader(bad)); !errors.Is(err, dump.ErrFormat) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// FuzzRead: what is accepted is exactly what would be written; nothing panics.
func FuzzRead(f *testing.F) {
	f.Add((&thing{}).write(f))
	f.Add((&thing{name: "small", rows: []row{{n: 7, text: "z"}}, flag: 2}).write(f))
	f.Add(large().write(f))
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := read(bytes.NewReader(b))
		if err == nil && !bytes.Equal(x.write(t), b) {
			t.Fatal("accepts a form that nobody writes")
		}
		if err != nil && !errors.Is(err, dump.ErrFormat) {
			t.Fatalf("another error: %v", err)
		}
	})
}
