package wire

import (
	"bytes"
	"io"
	"slices"
	"sync"
)

// mostRoom bounds the buffers that are kept: an answer to the largest request of orders
// is below it.
const mostRoom = 256 << 10

// rooms are buffers for bodies and answers. Of a request with a hundred orders they are
// 60 KiB, which nobody needs once the answer is out.
var rooms = sync.Pool{New: func() any { return new([]byte) }}

// Borrow returns an empty buffer with whatever room it has. It is the caller's until it
// is given back.
func Borrow() *[]byte {
	b := rooms.Get().(*[]byte) //nolint:forcetypeassert // there is nothing else in it
	*b = (*b)[:0]
	return b
}

// Return takes a buffer back that nobody uses any more.
func Return(b *[]byte) {
	if cap(*b) <= mostRoom {
		rooms.Put(b)
	}
}

// ReadInto reads all of r into a borrowed buffer; r is likely to have so many bytes, -1
// says nothing.
func ReadInto(room *[]byte, r io.Reader, likely int64) ([]byte, error) {
	b := bytes.NewBuffer(slices.Grow(*room, int(max(0, likely))+bytes.MinRead))
	_, err := b.ReadFrom(r)
	*room = b.Bytes()
	return *room, err
}
