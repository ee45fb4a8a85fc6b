package repeat_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/mbp-market/mbp/engine/internal/repeat"
)

// The set equals a plain list that is filtered each time.
func TestRemembersByTimeAndNumber(t *testing.T) {
	type item struct {
		key repeat.Tag
		e   repeat.Entry
	}
	rapid.Check(t, func(t *rapid.T) {
		window, limit := rapid.Int64Range(1, 100).Draw(t, "window"), rapid.IntRange(1, 20).Draw(t, "limit")
		s := repeat.New(window, limit)
		var list []item
		now := int64(0)
		for n := range rapid.IntRange(1, 200).Draw(t, "n") {
			now += rapid.Int64Range(0, 10).Draw(t, "wait")
			it := item{repeat.Tag{byte(n >> 8), byte(n), 1}, repeat.Entry{Seq: uint64(n + 1), At: now}}
			s.Remember(it.key, it.e)
			list = append(list, it)
			for now-list[0].e.At >= window || len(list) > limit {
				list = list[1:]
			}
			i := 0
			s.Each(func(k repeat.Tag, e repeat.Entry) {
				if i >= len(list) || list[i] != (item{k, e}) {
					t.Fatalf("entry %d is %v", i, e)
				}
				i++
			})
			if i != len(list) || s.Len() != i {
				t.Fatalf("%d remembered, want %d", i, len(list))
			}
		}
		if e, ok := s.Find(list[0].key); !ok || e != list[0].e {
			t.Fatal("the oldest is not found")
		}
		if _, ok := s.Find(repeat.Tag{9, 9, 9}); ok {
			t.Fatal("a stranger is found")
		}
	})
}
