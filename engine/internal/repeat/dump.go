package repeat

import (
	"math"

	"github.com/mbp-market/mbp/engine/internal/dump"
	"github.com/mbp-market/mbp/engine/internal/wire"
)

// maxName bounds the name of a principal, in bytes.
const maxName = 64

// Code writes or reads all requests, the oldest first; a principal's name stands
// at its first one. What is read into is New.
func (s *Set) Code(c *dump.Codec) {
	n := c.Len(s.n, s.limit)
	var before Entry
	if !c.Decoding {
		seen := make([]uint32, len(s.owners)) // how an owner is called in the dump, from 1
		names := uint32(0)
		for i := s.first; i != 0; {
			x := s.node(i)
			c.Next()
			who, name := seen[x.owner], s.owners[x.owner].name
			if who == 0 {
				names++
				seen[x.owner] = names
			}
			key, e := x.key, x.entry
			e.code(c, &who, &name, &key, before)
			before, i = e, x.next
		}
		return
	}
	var names []string
	for i := 0; i < n && c.Err == nil; i++ {
		var (
			who  uint32
			name string
			key  Tag
			e    Entry
		)
		c.Next()
		e.code(c, &who, &name, &key, before)
		if who == 0 {
			names = append(names, name)
			who = uint32(len(names))
		}
		if int64(who) > int64(len(names)) || e.At < before.At || i > 0 && e.Seq <= before.Seq || e.Seq > math.MaxInt64 || e.At < 0 {
			c.Fail("request %d of principal %d is out of order", e.Seq, who)
			return
		}
		if s.Remember(names[who-1], key, e); s.n != i+1 {
			c.Fail("request %d is one too many", e.Seq)
			return
		}
		before = e
	}
	if len(s.owners)-1 != len(names) && c.Err == nil {
		c.Fail("two principals have one name")
	}
}

// code codes a request of a principal, who is called zero where its name stands.
func (e *Entry) code(c *dump.Codec, who *uint32, name *string, key *Tag, before Entry) {
	if wire.Num(&c.Codec, who); *who == 0 {
		c.Text(name, maxName)
	}
	c.Raw(key[:])
	c.Raw(e.Input[:])
	e.Seq -= before.Seq
	wire.Num(&c.Codec, &e.Seq)
	e.Seq += before.Seq
	e.At -= before.At
	wire.Signed(&c.Codec, &e.At)
	e.At += before.At
}
