package season

import (
	"bytes"
	"slices"
	"testing"

	"github.com/mbp-market/mbp/engine/internal/dump"
	"github.com/mbp-market/mbp/engine/internal/fixed"
	"github.com/mbp-market/mbp/engine/internal/words"
)

func nobody(uint32) bool { return false }

// count adds up in pieces of so many accounts.
func count(t *testing.T, s *Set, each int, worth ...fixed.Micros) {
	t.Helper()
	for from := 0; from < len(worth); from += each {
		p := Piece{From: uint32(from + 1), Worth: worth[from:min(from+each, len(worth))], Unranked: func(a uint32) bool { return a == 9 }, Erased: nobody}
		if from+each < len(worth) {
			p.Next = uint32(from + each + 1)
		}
		if !s.Count(&p) {
			t.Fatalf("the piece from %d is not taken", from+1)
		}
	}
}

// played is a set in which a season has ended.
func played(t *testing.T, each int) *Set {
	t.Helper()
	s := &Set{}
	s.Add("spring", 10, 20)
	s.Add("summer", 20, 30)
	if at, ok := s.Next(); at != 10 || !ok || !s.Turn("", "spring", 12, 9) {
		t.Fatal("spring does not begin")
	}
	count(t, s, each, 5, 5, 5, 5, 5, 5, 5, 5, 5)
	s.Grant(3, 100) // no profit
	s.Grant(10, 7)  // of an account that came later
	if ends, begins := s.Turning(20); ends != "spring" || begins != "summer" {
		t.Fatalf("%q ends, %q begins", ends, begins)
	}
	if !s.Turn("spring", "summer", 21, 10) {
		t.Fatal("spring does not end")
	}
	count(t, s, each, 6, 9, 109, 4, 5, 9, -5, 6, 99, 7)
	return s
}

// Equal profits share a rank, those without one and those who are not ranked are left
// out, and the pieces do not matter.
func TestStandings(t *testing.T) {
	for each := 1; each <= 10; each++ {
		s := played(t, each)
		x := s.Find("spring")
		want := []Standing{{2, 4}, {3, 4}, {6, 4}, {1, 1}, {8, 1}, {4, -1}, {7, -10}}
		if x.State != words.Ended || x.Began != 12 || x.Over != 21 || !slices.Equal(x.Standings, want) {
			t.Fatalf("in pieces of %d: %+v", each, x)
		}
		var ranks []int
		for i := range x.Standings {
			ranks = append(ranks, x.Rank(i))
		}
		if !slices.Equal(ranks, []int{1, 1, 1, 4, 4, 6, 7}) {
			t.Fatalf("ranks %v", ranks)
		}
		if s.Running().Name != "summer" || s.Base(3) != 109 || s.Base(10) != 7 || s.Base(11) != 0 || s.Counting() != nil {
			t.Fatal("summer does not begin with what spring ended with")
		}
		s.Forget(3)
		if i, ok := x.Place(6); !ok || x.Rank(i) != 1 || len(x.Standings) != 7 {
			t.Error("who is forgotten takes ranks of others along")
		}
		if _, ok := x.Place(3); ok {
			t.Error("the account is still there")
		}
	}
}

// A count takes the next piece and no other.
func TestPiecesComeInOrder(t *testing.T) {
	for name, p := range map[string]Piece{
		"another account": {From: 3, Worth: make([]fixed.Micros, 2), Next: 5},
		"too many":        {From: 1, Worth: make([]fixed.Micros, 6)},
		"no step":         {From: 1, Next: 1},
		"a gap":           {From: 1, Worth: make([]fixed.Micros, 2), Next: 4},
		"too early":       {From: 1, Worth: make([]fixed.Micros, 2)},
		"too late":        {From: 1, Worth: make([]fixed.Micros, 5), Next: 6},
	} {
		s := &Set{}
		s.Add("spring", 10, 20)
		s.Turn("", "spring", 10, 5)
		p.Unranked, p.Erased = nobody, nobody
		if s.Count(&p) {
			t.Errorf("%s is taken", name)
		}
		if s.Turn("spring", "", 20, 5) {
			t.Error("a turn in the midst of a count")
		}
		if at, ok := s.Next(); ok {
			t.Errorf("a turn at %d is waited for in the midst of a count", at)
		}
	}
}

// Seasons come one after another, so many that ended are kept, and of an empty house
// there is nothing to count.
func TestSeasonsAreKept(t *testing.T) {
	s := &Set{}
	for i := range int64(Kept + 3) {
		name := string('a' + rune(i))
		if s.Add(name, 10*i, 10*i+10); s.Free(10*i+9, 10*i+11) || !s.Free(10*i+10, 10*i+11) {
			t.Fatal("another season has that time")
		}
		if s.Turn(name, "", 10*i, 0) || !s.Turn("", name, 10*i, 0) || s.Turn("", name, 10*i, 0) || !s.Turn(name, "", 10*i+10, 0) {
			t.Fatal("a season ends before it begins, or begins twice")
		}
	}
	if all := s.All(); len(all) != Kept || all[0].Name != "d" || s.Find("a") != nil || s.Coming() != 0 {
		t.Errorf("%d are kept, the first is %s", len(all), all[0].Name)
	}
	s.Add("later", 1000, 1010)
	s.Add("soon", 500, 510)
	if at, _ := s.Next(); at != 500 || s.Coming() != 2 {
		t.Errorf("the next turn is at %d", at)
	}
	if s.Stop("d", 600) || s.Stop("none", 600) || !s.Stop("soon", 400) || s.Find("soon") != nil {
		t.Error("what is over is stopped, or what has not begun stays")
	}
	if s.Turn("", "later", 1000, 0); !s.Stop("later", 1005) {
		t.Error("it does not stop")
	}
	if at, _ := s.Next(); at != 1005 {
		t.Errorf("it ends at %d", at)
	}
}

// A dump of a set in the midst of a count is the set again; cut or changed it is none.
func TestDumpOfACount(t *testing.T) {
	s := played(t, 4)
	s.Turn("summer", "", 30, 10)
	s.Count(&Piece{From: 1, Worth: []fixed.Micros{1, 2}, Next: 3, Markets: 2, Part: 40, Unranked: nobody, Erased: nobody})
	c := s.Counting()
	c.Keep(7, 0, 9)
	c.Keep(7, 2, 8)
	c.Mark(2, &Mark{Prices: []fixed.Price{1, 2}, Pools: 3, Units: 4})
	c.KeepRanked(7, true)
	c.KeepRanked(7, false) // too late
	c.KeepRanked(1, true)  // it is counted
	code := func(s *Set) []byte {
		var b bytes.Buffer
		w := dump.To(&b)
		s.Code(w, 10, 2)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	b := code(s)
	again := &Set{}
	r := dump.From(bytes.NewReader(b))
	again.Code(r, 10, 2)
	if err := r.Close(); err != nil || !bytes.Equal(code(again), b) {
		t.Fatalf("%v", err)
	}
	if worth, ok := again.Counting().Kept(7, 2); worth != 8 || !ok || again.Counting().Marked(2).Units != 4 {
		t.Error("something is not kept")
	}
	if ranked, changed := again.Counting().Ranked(7); !ranked || !changed {
		t.Error("who could be ranked is not kept")
	}
	for i := range b {
		for _, v := range []byte{b[i] ^ 1, 0, 0xff} {
			bad := slices.Clone(b)
			if bad[i] = v; bytes.Equal(bad, b) {
				continue
			}
			x := &Set{}
			r := dump.From(bytes.NewReader(bad))
			if x.Code(r, 10, 2); r.Close() == nil && bytes.Equal(code(x), b) {
				t.Fatalf("byte %d means nothing", i)
			}
		}
	}
}
