// Package wire is the binary form of the journal's records: one Codec that reads
// and writes, so that a layout is said once. It promises that every value has
// exactly one encoding and that hostile input costs no more memory than its own
// length; it refuses whatever it would not have written itself.
//
// Numbers are varints as in Protocol Buffers, in the shortest form only; signed
// ones are zigzag. Fields that are mostly zero can share a mask (see Mask). What
// calls the Codec is mostly written by tools/wiregen from the structs themselves.
package wire

import (
	"errors"
	"fmt"
)

// ErrFormat wraps every error of decoding.
var ErrFormat = errors.New("record is not a decision")

// Codec reads or writes fields in a fixed order, so that each type says its
// layout once. It writes to B, or reads from B if Decoding is set; the first
// error stays in Err, and what B holds from then on means nothing.
type Codec struct {
	B        []byte // written so far, or what is left to read
	Decoding bool
	Err      error
}

// Fail notes an error that wraps ErrFormat, unless there is one already.
func (c *Codec) Fail(format string, args ...any) {
	if c.Err == nil {
		c.Err = fmt.Errorf("%w: %s", ErrFormat, fmt.Sprintf(format, args...))
	}
	c.B = nil
}

func (c *Codec) put(u uint64) { c.B = Put(c.B, u) }

func (c *Codec) next() uint64 {
	u, i := Next(c.B, 0)
	c.Read(i, 0)
	return u
}

func (c *Codec) uvarint(v *uint64) {
	if c.Decoding {
		*v = c.next()
		return
	}
	c.put(*v)
}

// Num codes an unsigned integer; a value that does not fit its type fails.
func Num[T ~uint8 | ~uint16 | ~uint32 | ~uint64](c *Codec, v *T) {
	if !c.Decoding {
		c.put(uint64(*v))
		return
	}
	u := c.next()
	if *v = T(u); uint64(*v) != u {
		*v = 0
		c.Fail("number %d is too large", u)
	}
}

// Signed codes a signed integer.
func Signed[T ~int64](c *Codec, v *T) {
	if !c.Decoding {
		c.put(Zigzag(int64(*v)))
		return
	}
	*v = T(Zagzig(c.next()))
}

// Flag codes a truth value.
func (c *Codec) Flag(v *bool) {
	u := uint8(0)
	if *v {
		u = 1
	}
	Num(c, &u)
	if u > 1 {
		c.Fail("flag is %d", u)
	}
	if c.Decoding {
		*v = u == 1
	}
}

// Raw codes bytes of a fixed length.
func (c *Codec) Raw(v []byte) {
	if !c.Decoding {
		c.B = append(c.B, v...)
		return
	}
	if len(c.B) < len(v) {
		c.Fail("record ends early")
		return
	}
	c.B = c.B[copy(v, c.B):]
}

// Text codes a string of at most limit bytes. A longer one is an error in both
// directions: nothing is written that could not be read.
func (c *Codec) Text(v *string, limit uint64) {
	n := uint64(len(*v))
	c.uvarint(&n)
	if n > limit || c.Decoding && n > uint64(len(c.B)) {
		c.Fail("text of %d bytes", n)
		return
	}
	if !c.Decoding {
		c.B = append(c.B, *v...)
		return
	}
	if string(c.B[:n]) != *v { // else it is there already: see Coder.Reread
		*v = string(c.B[:n])
	}
	c.B = c.B[n:]
}

// Count codes the length of a list whose elements take at least one byte.
func (c *Codec) Count(n, limit int) int {
	u := uint64(n)
	c.uvarint(&u)
	if u > uint64(limit) || c.Decoding && u > uint64(len(c.B)) {
		c.Fail("list of %d elements", u)
		return 0
	}
	return int(u)
}

// Bytes codes at most limit bytes. Like Text it refuses more in both
// directions; decoded bytes are a copy, and none are nil.
func (c *Codec) Bytes(v *[]byte, limit int) {
	n := c.Count(len(*v), limit)
	if !c.Decoding {
		c.B = append(c.B, (*v)[:n]...)
		return
	}
	*v = append([]byte(nil), c.B[:n]...)
	c.B = c.B[n:]
}

// List codes the length of a list and makes the list if it decodes; the caller
// codes as many elements as it returns, which is none after an error. An element
// takes at least one byte, so a list never costs more than its limit and than
// the input has bytes.
func List[S ~[]E, E any](c *Codec, v *S, limit int) int {
	n := c.Count(len(*v), limit)
	if c.Decoding {
		*v = make(S, n)
	}
	return n
}
