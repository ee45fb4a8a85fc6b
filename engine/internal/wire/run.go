package wire

import "math"

// A run is several numbers one after the other, coded without a call for each: the
// generated code keeps the bytes and the place in registers, and what went wrong
// anywhere is asked once, with Read.

// past is the place after a number that could not be read: beyond every input.
const past = math.MaxInt

// Next reads the number at b[i] in the shortest form and returns its end. Once a
// number could not be read, no later one can.
func Next(b []byte, i int) (u uint64, next int) {
	if uint(i) < uint(len(b)) && b[i] < 0x80 { // most of them
		return uint64(b[i]), i + 1
	}
	return long(b, i)
}

// long reads a number of several bytes, or none.
func long(b []byte, i int) (u uint64, next int) {
	const most = 63 // the shift of the tenth byte, which has one bit
	for shift := uint(0); i < len(b); shift += 7 {
		c := b[i]
		i++
		if c >= 0x80 && shift < most {
			u |= uint64(c&0x7f) << shift
			continue
		}
		if c == 0 || shift == most && c > 1 { // a shorter form, or more than 64 bits
			break
		}
		return u | uint64(c)<<shift, i
	}
	return 0, past
}

// Put appends a number in the shortest form.
func Put(b []byte, u uint64) []byte {
	for u >= 0x80 {
		b = append(b, byte(u)|0x80)
		u >>= 7
	}
	return append(b, byte(u))
}

// Zigzag makes a number of a signed one, small if that is near zero.
func Zigzag(v int64) uint64 { return uint64(v)<<1 ^ uint64(v>>63) }

// Zagzig undoes Zigzag.
func Zagzig(u uint64) int64 { return int64(u>>1) ^ -int64(u&1) }

// Read ends a run that was read up to i. It fails if a number was none, or if bad is
// not zero: bits that a number had and its field has not.
func (c *Codec) Read(i int, bad uint64) {
	if i > len(c.B) || bad != 0 {
		c.Fail("bad number")
		return
	}
	c.B = c.B[i:]
}
