package wire

// Mask says which fields of a group are not zero: bit i stands for the i-th
// field. A group costs one byte per seven fields when all are zero, and a field
// can be added at the end of a group without changing any older record.
type Mask uint64

// MaxMask is how many fields a group may have.
const MaxMask = 64

// Has says whether bit i, 0..MaxMask-1, is set.
func (m Mask) Has(i int) bool { return m>>i&1 == 1 }

// Mask codes the mask of a group. When encoding, given says for each field
// whether it is not zero; when decoding, only the length of given counts, and a
// bit beyond it fails.
func (c *Codec) Mask(given ...bool) Mask {
	var m Mask
	if !c.Decoding {
		for i, set := range given {
			if set {
				m |= 1 << i
			}
		}
	}
	Num(c, &m)
	if c.Decoding && m>>len(given) != 0 {
		c.Fail("mask %b of %d fields", m, len(given))
		return 0
	}
	return m
}

// dull fails on a field that the mask gave but that is zero: it would have a
// second encoding.
func (c *Codec) dull(zero bool) {
	if zero && c.Decoding {
		c.Fail("a field of a mask is zero")
	}
}

// OptNum codes an unsigned integer if its mask has it; else it is zero.
func OptNum[T ~uint8 | ~uint16 | ~uint32 | ~uint64](c *Codec, has bool, v *T) {
	switch {
	case has:
		Num(c, v)
		c.dull(*v == 0)
	case c.Decoding:
		*v = 0
	}
}

// OptSigned codes a signed integer if its mask has it; else it is zero.
func OptSigned[T ~int64](c *Codec, has bool, v *T) {
	switch {
	case has:
		Signed(c, v)
		c.dull(*v == 0)
	case c.Decoding:
		*v = 0
	}
}

// OptFlag is a truth value that is its bit of the mask and takes no room of its
// own.
func (c *Codec) OptFlag(has bool, v *bool) {
	if c.Decoding {
		*v = has
	}
}

// OptText codes a string of 1 to limit bytes if its mask has it; else it is
// empty.
func (c *Codec) OptText(has bool, v *string, limit uint64) {
	switch {
	case has:
		c.Text(v, limit)
		c.dull(*v == "")
	case c.Decoding:
		*v = ""
	}
}

// OptRaw codes bytes of a fixed length, not all zero, if their mask has them;
// else they are zero.
func (c *Codec) OptRaw(has bool, v []byte) {
	switch {
	case has:
		c.Raw(v)
		c.dull(!Given(v))
	case c.Decoding:
		clear(v)
	}
}

// Given says whether any byte of v is not zero.
func Given(v []byte) bool {
	for _, b := range v {
		if b != 0 {
			return true
		}
	}
	return false
}
