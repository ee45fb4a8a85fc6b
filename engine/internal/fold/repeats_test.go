package fold

import (
	"encoding/binary"
	"testing"

	"github.com/mbp-market/mbp/engine"
)

// Whoever sends more requests in a day than are remembered loses the oldest of
// them; a request of somebody else stays, and is part of the hash with its owner.
func TestRepeatsAreShared(t *testing.T) {
	s := New()
	d := engine.Decision{}
	fold := func(principal string, key uint64) {
		t.Helper()
		d.Seq, d.At, d.Principal, d.Key = d.Seq+1, d.At+1, principal, engine.Tag{}
		binary.BigEndian.PutUint64(d.Key[:], key)
		if err := s.Fold(&d); err != nil {
			t.Fatal(err)
		}
	}
	fold("ana", 1)
	for key := range uint64(RepeatLimit + 10) {
		fold("flood", key+2)
	}
	has := func(key uint64) bool {
		var tag engine.Tag
		binary.BigEndian.PutUint64(tag[:], key)
		_, ok := s.Repeats.Find(tag)
		return ok
	}
	if s.Repeats.Len() != RepeatLimit || !has(1) || has(12) || !has(13) {
		t.Errorf("%d remembered; of ana %t, of the flood %t %t", s.Repeats.Len(), has(1), has(12), has(13))
	}
	a, b := New(), New()
	for i, x := range []*State{a, b} {
		s, d.Seq, d.At = x, 0, 0
		fold([]string{"ana", "bob"}[i], 1)
	}
	if a.Hash() == b.Hash() {
		t.Error("the hash does not say whose request it is")
	}
}
