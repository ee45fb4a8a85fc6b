package repeat_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/mbp-market/mbp/engine/internal/repeat"
)

type item struct {
	who string
	key repeat.Tag
	e   repeat.Entry
}

// loser is the place of the request that is forgotten for want of room: the
// oldest of the principal that has the most, the one whose oldest is older among
// equals.
func loser(list []item) int {
	held, first := map[string]int{}, map[string]int{}
	for i, it := range list {
		if held[it.who]++; held[it.who] == 1 {
			first[it.who] = i
		}
	}
	worst := list[0].who
	for who, n := range held {
		if n > held[worst] || n == held[worst] && first[who] < first[worst] {
			worst = who
		}
	}
	return first[worst]
}

func listed(s *repeat.Set) (list []item) {
	s.Each(func(who string, k repeat.Tag, e repeat.Entry) { list = append(list, item{who, k, e}) })
	return list
}

func tagged(n int) (t repeat.Tag) {
	binary.BigEndian.PutUint64(t[:], uint64(n))
	return t
}

// The set equals a plain list that is searched each time, and one that was filled
// again from it goes on like it.
func TestRemembersByTimeAndShare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		window, limit := rapid.Int64Range(1, 300).Draw(t, "window"), rapid.IntRange(1, 30).Draw(t, "limit")
		s := repeat.New(window, limit)
		var list []item
		now := int64(0)
		for n := range rapid.IntRange(1, 300).Draw(t, "n") {
			now += rapid.Int64Range(0, 10).Draw(t, "wait")
			who := fmt.Sprint(rapid.IntRange(0, 6).Draw(t, "who") * rapid.IntRange(0, 1).Draw(t, "flood"))
			it := item{who, tagged(n), repeat.Entry{Input: tagged(n + 1), Seq: uint64(n + 1), At: now}}
			s.Remember(it.who, it.key, it.e)
			s.Remember(it.who, it.key, repeat.Entry{Seq: 9999, At: now})
			for len(list) > 0 && now-list[0].e.At >= window {
				list = list[1:]
			}
			if len(list) == limit {
				list = slices.Delete(list, loser(list), loser(list)+1)
			}
			list = append(list, it)
			if got := listed(s); !slices.Equal(got, list) || s.Len() != len(list) {
				t.Fatalf("%d remembered: %v, want %v", s.Len(), got, list)
			}
			if rapid.IntRange(0, 20).Draw(t, "again") == 0 {
				s = repeat.New(window, limit)
				for _, it := range list {
					s.Remember(it.who, it.key, it.e)
				}
			}
		}
		for _, it := range list {
			if e, ok := s.Find(it.key); !ok || e != it.e {
				t.Fatalf("%v is not found", it)
			}
		}
		if _, ok := s.Find(repeat.Tag{9, 9, 9}); ok {
			t.Fatal("a stranger is found")
		}
	})
}

// One principal floods; nobody else loses a request before its time.
func TestFloodForgetsItsOwn(t *testing.T) {
	const limit, quiet = 10_000, 20
	s := repeat.New(1<<40, limit)
	seq := 0
	remember := func(who string) {
		seq++
		s.Remember(who, tagged(seq), repeat.Entry{Seq: uint64(seq), At: int64(seq)})
	}
	for range 300 { // each has less than an equal part of the limit
		for i := range quiet {
			remember(fmt.Sprint("quiet-", i))
		}
		for range 1000 {
			remember("flood")
		}
	}
	held := map[string]int{}
	for _, it := range listed(s) {
		held[it.who]++
	}
	for i := range quiet {
		if n := held[fmt.Sprint("quiet-", i)]; n != 300 {
			t.Errorf("quiet-%d has %d of 300", i, n)
		}
	}
	if held["flood"] != limit-quiet*300 {
		t.Errorf("the flood has %d", held["flood"])
	}
}

// BenchmarkRemember is one request of a hundred principals, with as many
// remembered as there is room for.
func BenchmarkRemember(b *testing.B) {
	const limit = 1_000_000
	s := repeat.New(1<<60, limit)
	var names []string
	for i := range 100 {
		names = append(names, fmt.Sprint("principal-", i))
	}
	key := func(n int) repeat.Tag {
		var t repeat.Tag
		binary.LittleEndian.PutUint64(t[:], uint64(n)*0x9e3779b97f4a7c15)
		return t
	}
	for n := range limit {
		s.Remember(names[n*n%97], key(n), repeat.Entry{Seq: uint64(n), At: int64(n)})
	}
	b.ReportAllocs()
	n := limit
	for b.Loop() {
		n++
		s.Remember(names[n*n%97], key(n), repeat.Entry{Seq: uint64(n), At: int64(n)})
	}
}

// The index finds what is remembered and nothing else, while full tables grow and
// shrink under it.
func TestIndexOfMany(t *testing.T) {
	const limit, all = 20_000, 100_000
	s := repeat.New(1<<62, limit)
	for n := 1; n <= all; n++ {
		s.Remember("x", tagged(n), repeat.Entry{Seq: uint64(n), At: int64(n)})
		if n%997 != 0 && n != all {
			continue
		}
		for i := 0; i <= n+1; i += 1 + n%7 {
			e, ok := s.Find(tagged(i))
			if want := i > max(0, n-limit) && i <= n; ok != want || ok && e.Seq != uint64(i) {
				t.Fatalf("of %d remembered, %d is found as %d: %v, want %v", n, i, e.Seq, ok, want)
			}
		}
	}
}

// Requests that are remembered a few at once are remembered as one by one, whether
// there is room, a principal comes and goes, or a key comes twice.
func TestTogether(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 30 {
		limit, names := 1+r.IntN(200), 1+r.IntN(100)
		one, many := repeat.New(300, limit), repeat.New(300, limit)
		var rs []repeat.Request
		for n := range 1000 {
			key := n
			if r.IntN(50) == 0 {
				key = n - r.IntN(20)
			}
			q := repeat.Request{Principal: fmt.Sprint(n * n % names), Key: tagged(key), Entry: repeat.Entry{Seq: uint64(n + 1), At: int64(n)}}
			one.Remember(q.Principal, q.Key, q.Entry)
			if rs = append(rs, q); r.IntN(30) == 0 {
				many.RememberAll(rs)
				rs = rs[:0]
			}
		}
		many.RememberAll(rs)
		if a, b := listed(one), listed(many); !slices.Equal(a, b) || len(a) != one.Len() || len(a) > limit {
			t.Fatalf("one by one %v, together %v", a, b)
		}
	}
}
