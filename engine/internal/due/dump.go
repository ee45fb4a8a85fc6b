package due

import (
	"math"

	"github.com/mbp-market/mbp/engine/internal/dump"
	"github.com/mbp-market/mbp/engine/internal/wire"
)

// Code writes or reads all deadlines, the first one first. What is read into is
// New.
func (q *Queue) Code(c *dump.Codec) {
	n := c.Len(len(q.heap), math.MaxInt32)
	var before Entry
	if !c.Decoding {
		q.Each(func(e Entry) {
			c.Next()
			e.code(c, before.At)
			before.At = e.At
		})
		return
	}
	for i := 0; i < n && c.Err == nil; i++ {
		var e Entry
		c.Next()
		e.code(c, before.At)
		if _, twice := q.slots[name{e.ID, e.Kind}]; twice || i > 0 && !less(&before, &e) {
			c.Fail("deadline %d of kind %d is out of order", e.ID, e.Kind)
			return
		}
		q.Set(e)
		before = e
	}
}

func (e *Entry) code(c *dump.Codec, before int64) {
	e.At -= before
	wire.Signed(&c.Codec, &e.At)
	e.At += before
	wire.Num(&c.Codec, &e.Kind)
	wire.Num(&c.Codec, &e.ID)
}
