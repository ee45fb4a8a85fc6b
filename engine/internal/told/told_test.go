package told

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/mbp-market/mbp/engine/internal/dump"
)

const markets, accounts, each, last = 9, 9, 3, 100

func write(t *testing.T, s *Set) []byte {
	t.Helper()
	var b bytes.Buffer
	c := dump.To(&b)
	s.Code(c, markets, accounts, each, last)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func read(b []byte) (*Set, error) {
	s, c := &Set{}, dump.From(bytes.NewReader(b))
	s.Code(c, markets, accounts, each, last)
	return s, c.Close()
}

func filled() *Set {
	s := &Set{}
	for i, m := range []uint32{7, 2, 7} {
		s.Add(m, Text{Seq: uint64(i + 1), At: int64(i), ID: [32]byte{byte(m), byte(i)}})
	}
	s.Erase(3)
	s.Erase(1)
	return s
}

// TestSet: what was added is there in order, and an account is erased once.
func TestSet(t *testing.T) {
	s := filled()
	if got := s.Texts(7); len(got) != 2 || got[0].Seq != 1 || got[1].Seq != 3 || s.Texts(1) != nil {
		t.Errorf("texts %v", got)
	}
	if s.Erase(3) || !s.Erased(3) || s.Erased(2) {
		t.Error("account 3 is erased twice, or account 2 is")
	}
	if got := s.Erasures(1); !reflect.DeepEqual(got, []uint32{1}) || len(s.Erasures(9)) != 0 {
		t.Errorf("erasures %v", got)
	}
}

// TestDump: a set is read as it was written, in one form; an empty one, too.
func TestDump(t *testing.T) {
	for _, s := range []*Set{{}, filled()} {
		b := write(t, s)
		got, err := read(b)
		if err != nil || !bytes.Equal(write(t, got), b) || !reflect.DeepEqual(got.Erasures(0), s.Erasures(0)) || !reflect.DeepEqual(got.Texts(7), s.Texts(7)) {
			t.Errorf("%v: read as %+v", err, got)
		}
	}
}

// TestBadDumps: what no set writes is refused.
func TestBadDumps(t *testing.T) {
	for name, spoil := range map[string]func(*Set){
		"a market that is not there": func(s *Set) { s.Add(markets+1, Text{}) },
		"market 0":                   func(s *Set) { s.Add(0, Text{}) },
		"a market without texts":     func(s *Set) { s.texts[5] = nil },
		"a text of the future":       func(s *Set) { s.Add(5, Text{Seq: last + 1}) },
		"an account twice":           func(s *Set) { s.erased = append(s.erased, 3) },
		"account 0":                  func(s *Set) { s.erased = append(s.erased, 0) },
		"an account not there":       func(s *Set) { s.erased = append(s.erased, accounts+1) },
	} {
		s := filled()
		spoil(s)
		var b bytes.Buffer
		c := dump.To(&b)
		s.Code(c, 1000, 1000, 1000, 1000)
		if c.Close() != nil {
			continue // it does not even write
		}
		if _, err := read(b.Bytes()); err == nil {
			t.Errorf("%s is read", name)
		}
	}
}

// FuzzCode: what is read writes the same bytes again.
func FuzzCode(f *testing.F) {
	var b bytes.Buffer
	c := dump.To(&b)
	filled().Code(c, markets, accounts, each, last)
	if err := c.Close(); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := read(b); err == nil && !bytes.Equal(write(t, s), b) {
			t.Errorf("%x is read as %+v", b, s)
		}
	})
}
