package recent

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/mbp-market/mbp/engine/internal/dump"
	"github.com/mbp-market/mbp/engine/internal/wire"
)

type entryOf struct {
	seq   uint64
	owner uint32
	value int
}

// naive is a set as a list.
type naive struct {
	most, each int
	list       []entryOf
}

func (n *naive) add(e entryOf) {
	for _, x := range n.list {
		if x.seq == e.seq {
			return
		}
	}
	mine := 0
	for _, x := range n.list {
		if x.owner == e.owner {
			mine++
		}
	}
	if mine == n.each {
		i := slices.IndexFunc(n.list, func(x entryOf) bool { return x.owner == e.owner })
		n.list = slices.Delete(n.list, i, i+1)
	}
	if len(n.list) == n.most {
		n.list = n.list[1:]
	}
	n.list = append(slices.Clone(n.list), e)
}

// reread goes on with what is read from a dump.
func reread(t *rapid.T, r *Set[uint64, int]) *Set[uint64, int] {
	code := func(c *dump.Codec, r *Set[uint64, int]) error {
		r.Code(c, 1000, func(v *int) { u := uint64(*v); wire.Num(&c.Codec, &u); *v = int(u) })
		return c.Close()
	}
	var b bytes.Buffer
	again := New[uint64, int](r.most, r.each)
	if err := errors.Join(code(dump.To(&b), r), code(dump.From(&b), again)); err != nil {
		t.Fatal(err)
	}
	return again
}

// TestSet holds a set to the list, and its memory to what it remembers.
func TestSet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := &naive{most: rapid.IntRange(1, 8).Draw(t, "most"), each: rapid.IntRange(1, 8).Draw(t, "each")}
		r := New[uint64, int](n.most, n.each)
		seq := uint64(1)
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 5).Draw(t, "what") {
			default:
				if _, again := r.Get(seq); !again || rapid.Bool().Draw(t, "next") { // a batch may tell of one decision twice
					seq++
				}
				e := entryOf{seq, uint32(rapid.IntRange(0, 3).Draw(t, "owner")), rapid.Int().Draw(t, "value")}
				r.Add(e.seq, e.owner, e.value)
				n.add(e)
			case 3:
				r = reread(t, r)
			case 1:
				q := uint64(rapid.IntRange(1, int(seq)).Draw(t, "set"))
				r.Put(q, 7)
				for i := range n.list {
					if n.list[i].seq == q {
						n.list[i].value = 7
					}
				}
			case 2:
				q := uint64(rapid.IntRange(1, int(seq)).Draw(t, "drop"))
				r.Drop(q)
				n.list = slices.DeleteFunc(slices.Clone(n.list), func(e entryOf) bool { return e.seq == q })
			}
			var got []entryOf
			r.Each(func(q uint64, v int) { got = append(got, entryOf{q, r.kept[q].owner, v}) })
			if len(got)+len(n.list) != 0 && !reflect.DeepEqual(got, n.list) {
				t.Fatalf("%+v, want %+v", got, n.list)
			}
			listed := 0
			for _, mine := range r.of {
				listed += len(mine)
			}
			if len(r.kept) != len(n.list) || listed != len(n.list) || len(r.order) > 2*n.most {
				t.Fatalf("%d kept, %d of owners, %d in order for %d", len(r.kept), listed, len(r.order), len(n.list))
			}
		}
	})
}
