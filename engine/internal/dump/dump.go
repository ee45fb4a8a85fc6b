// Package dump is the framing of a whole state on its way to and from a stream:
// fields are coded by package wire, elements are gathered into blocks, and each
// block goes out behind its length. It promises that equal states give equal
// bytes, that a reader holds one block and never more than a few times what it
// was given, and that it accepts exactly what a writer writes; whatever else it
// meets is an error that wraps ErrFormat. It refuses to know what a state is, and
// to find damage that still reads as a state: that is for the digest beside it.
package dump

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/mbp-market/mbp/engine/internal/wire"
)

// ErrFormat wraps every error of reading what is no dump.
var ErrFormat = errors.New("bytes are not a dump")

const (
	// blockBytes is where a block ends: with the first element that reaches it.
	// It is large enough that framing costs nothing, and small enough for a cache.
	blockBytes = 32 << 10
	// maxBlock bounds what a reader allocates for a length that it is told. No
	// element comes near the difference to blockBytes.
	maxBlock = 256 << 10
	// firstElements bounds what a reader allocates for the length of a list before
	// it has seen the elements.
	firstElements = 4096
)

// Codec writes or reads elements, so that each type says its layout once: fields
// through the wire.Codec inside, Next before each element of a list. After the
// first error nothing that it gives means anything; Close tells it.
type Codec struct {
	wire.Codec

	w     io.Writer
	r     *bufio.Reader
	block []byte // the one being read
	room  [4096]byte
}

// To returns a codec that writes.
func To(w io.Writer) *Codec {
	c := &Codec{w: w}
	c.B = c.room[:0]
	return c
}

// From returns a codec that reads. It may read beyond the dump's end, where
// nothing may follow.
func From(r io.Reader) *Codec {
	c := &Codec{r: bufio.NewReaderSize(r, blockBytes)}
	c.Decoding = true
	c.load()
	return c
}

// Next stands before every element of a list: here a block may end.
func (c *Codec) Next() {
	switch {
	case c.Err != nil:
	case !c.Decoding:
		if len(c.B) >= blockBytes {
			c.flush()
		}
	case len(c.block)-len(c.B) >= blockBytes:
		if len(c.B) != 0 {
			c.Fail("a block of %d bytes goes on after %d", len(c.block), len(c.block)-len(c.B))
			return
		}
		c.load()
	}
}

// Close writes what is left, or finds out whether everything was read. The error
// is that of the writer or the reader, or wraps ErrFormat.
func (c *Codec) Close() error {
	switch {
	case c.Err != nil:
	case !c.Decoding:
		c.flush()
	case len(c.B) != 0:
		c.Fail("%d bytes too many", len(c.B))
	default:
		if _, err := c.r.ReadByte(); err == nil {
			c.Fail("another block follows the end")
		} else if !errors.Is(err, io.EOF) {
			c.Err = err
		}
	}
	if errors.Is(c.Err, wire.ErrFormat) {
		return fmt.Errorf("%w: %s", ErrFormat, strings.TrimPrefix(c.Err.Error(), wire.ErrFormat.Error()+": "))
	}
	return c.Err
}

func (c *Codec) flush() {
	if len(c.B) == 0 {
		return
	}
	var head [binary.MaxVarintLen64]byte
	if _, err := c.w.Write(binary.AppendUvarint(head[:0], uint64(len(c.B)))); err != nil {
		c.Err = err
		return
	}
	if _, err := c.w.Write(c.B); err != nil {
		c.Err = err
	}
	c.B = c.B[:0]
}

// load reads the next block.
func (c *Codec) load() {
	n, err := c.length()
	if err == nil {
		if n > uint64(cap(c.block)) {
			c.block = make([]byte, 0, max(n, blockBytes+blockBytes/8))
		}
		c.block = c.block[:n]
		_, err = io.ReadFull(c.r, c.block)
	}
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		c.Fail("it ends early")
	case err != nil && c.Err == nil:
		c.Err, c.B = err, nil
	case err == nil:
		c.B = c.block
	}
}

// length reads the length of a block.
func (c *Codec) length() (n uint64, err error) {
	for i := 0; ; i++ {
		b, err := c.r.ReadByte()
		if err != nil {
			return 0, err
		}
		n |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			if n == 0 || n > maxBlock || b == 0 {
				return 0, fmt.Errorf("%w: a block of %d bytes", ErrFormat, n)
			}
			return n, nil
		}
		if i == 2 {
			return 0, fmt.Errorf("%w: a block of more than %d bytes", ErrFormat, maxBlock)
		}
	}
}

// List codes the length of a list and then each element with fn, which takes at
// least one byte. An empty list is read as nil, and so is one that ends in an error.
func List[S ~[]E, E any](c *Codec, v *S, limit int, fn func(*E)) {
	n := c.Len(len(*v), limit)
	if !c.Decoding {
		for i := range *v {
			c.Next()
			fn(&(*v)[i])
		}
		return
	}
	if *v = nil; n == 0 {
		return
	}
	s := make(S, 0, min(n, len(c.B), firstElements))
	for i := 0; i < n && c.Err == nil; i++ {
		var zero E
		c.Next()
		s = append(s, zero)
		fn(&s[i])
	}
	if c.Err == nil {
		*v = s
	}
}

// Len codes the length of a list whose elements may lie in several blocks; a
// reader refuses one above limit.
func (c *Codec) Len(n, limit int) int {
	u := uint64(n)
	wire.Num(&c.Codec, &u)
	if c.Decoding && u > uint64(limit) {
		c.Fail("list of %d elements", u)
		return 0
	}
	return int(u)
}

// Form is a value that has a canonical form of its own: Load reads what Append
// wrote and returns the bytes after it, or false.
type Form interface {
	Append(b []byte) []byte
	Load(b []byte) ([]byte, bool)
}

// Form codes such a value.
func (c *Codec) Form(v Form) {
	if !c.Decoding {
		c.B = v.Append(c.B)
		return
	}
	rest, ok := v.Load(c.B)
	if !ok {
		c.Fail("%T has another form", v)
		return
	}
	c.B = rest
}
