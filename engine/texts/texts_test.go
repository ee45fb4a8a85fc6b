package texts

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/journal/faultfs"
	"github.com/mbp-market/mbp/engine/journal/file"
)

const dir = "data/texts"

func open(t testing.TB, fs file.FS) *Store {
	t.Helper()
	s, err := Open(fs, dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func draft(n int, account engine.AccountID) Draft {
	return Draft{Kind: Note, Request: engine.Tag{byte(n), 1}, Author: fmt.Sprintf("p%d", account), Account: account, Of: 3, At: 7, Text: fmt.Sprintf("text %d of %d", n, account)}
}

func put(t testing.TB, s *Store, d Draft) engine.Digest {
	t.Helper()
	id, err := s.Put(d)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func count(s *Store) int { return len(s.find(1000, func(*Entry) bool { return true })) }

func text(s *Store, id engine.Digest) (string, bool) {
	all, _ := s.Texts([]engine.Digest{id})
	words, ok := all[id]
	return words, ok
}

// TestStore: what was put is there, also after a restart; a retry gets the same id,
// another text of the same request another one, and equal texts have no equal ids.
func TestStore(t *testing.T) {
	fs := faultfs.New()
	s := open(t, fs)
	a := put(t, s, draft(1, 1))
	if b := put(t, s, draft(1, 1)); b != a || count(s) != 1 {
		t.Errorf("a retry got %s, before %s; %d entries", b, a, count(s))
	}
	other := draft(1, 1)
	other.Text = "another text"
	again := draft(2, 1)
	again.Text = draft(1, 1).Text
	if b, c := put(t, s, other), put(t, s, again); b == a || c == a {
		t.Error("two texts have one id")
	}
	p, _, err := s.Person(engine.Digest{5}, 1)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if q, _, err := s.Person(engine.Digest{5}, 9); err != nil || q != p {
			t.Errorf("%v: the person is %s, was %s", err, q, p)
		}
		if words, ok := text(s, a); !ok || words != "text 1 of 1" {
			t.Errorf("text %q", words)
		}
		if _, ok := text(s, p); ok {
			t.Error("an identity is told as a text")
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Put(draft(9, 1)); !errors.Is(err, ErrFailed) {
			t.Errorf("a closed store takes a text: %v", err)
		}
		s = open(t, fs)
	}
	if got, err := Read(fs, dir); err != nil || len(got) != 4 {
		t.Errorf("%v: %d entries are read", err, len(got))
	}
}

// TestErase: what is by or about an account, and its identity, is gone from the file
// and from the bytes of the file before; the rest stays; a person who comes again is
// somebody else.
func TestErase(t *testing.T) {
	fs := faultfs.New()
	s := open(t, fs)
	gone, kept := put(t, s, draft(1, 1)), put(t, s, draft(2, 2))
	about := draft(3, 2)
	about.About = 1
	put(t, s, about)
	p, _, _ := s.Person(engine.Digest{5}, 1)
	old := s.f
	n, err := s.Erase(1, []engine.Digest{p})
	if err != nil || n != 3 {
		t.Fatalf("%d erased: %v", n, err)
	}
	if _, ok := text(s, gone); ok {
		t.Error("it is still told")
	}
	if words, _ := text(s, kept); words != "text 2 of 2" {
		t.Errorf("kept %q", words)
	}
	for _, name := range fs.Names() {
		if b := fs.Bytes(name); bytes.Contains(b, []byte("of 1")) || bytes.Contains(b, []byte(p.String())) {
			t.Errorf("%s has %q", name, b)
		}
	}
	if b := make([]byte, 10); true {
		if _, err := old.ReadAt(b, 20); err == nil && !bytes.Equal(b, make([]byte, 10)) {
			t.Errorf("the old file has %q", b)
		}
	}
	if n, err := s.Erase(1, []engine.Digest{p}); n != 0 || err != nil {
		t.Errorf("%d erased again: %v", n, err)
	}
	if q, _, _ := s.Person(engine.Digest{5}, 1); q == p {
		t.Error("the person has the same pseudonym again")
	}
	s = open(t, fs)
	if count(s) != 2 {
		t.Errorf("%d entries", count(s))
	}
}

// TestBind: an identity is found by the account that is bound to it, also after a
// restart, and there is one of it.
func TestBind(t *testing.T) {
	fs := faultfs.New()
	s := open(t, fs)
	p, account, err := s.Person(engine.Digest{5}, 1)
	if err != nil || account != 0 || s.Bind(p, 4) != nil || s.Bind(p, 4) != nil || s.Bind(engine.Digest{9}, 4) != nil {
		t.Fatalf("account %v: %v", account, err)
	}
	for range 2 {
		if q, account, err := s.Person(engine.Digest{5}, 1); q != p || account != 4 || err != nil || count(s) != 1 {
			t.Fatalf("%s of %s, %d entries: %v", q, account, count(s), err)
		}
		s = open(t, fs)
	}
	if n, err := s.Erase(4, nil); n != 1 || err != nil {
		t.Errorf("%d erased: %v", n, err)
	}
}

// TestCrashes stops the machine before each operation of puts and an erasure, in
// every way that a disk may lose things: what was answered is there or was erased,
// and an erasure that was answered stays.
func TestCrashes(t *testing.T) {
	for _, keep := range faultfs.Keeps {
		for n := 1; ; n++ {
			fs := faultfs.New()
			var told []engine.Digest
			erased := false
			before := 0
			work := func() error {
				s, err := Open(fs, dir)
				if err != nil {
					return err
				}
				for i := range 3 {
					id, err := s.Put(draft(i, engine.AccountID(i+1)))
					if err != nil {
						return err
					}
					told = append(told, id)
				}
				if _, err := s.Erase(1, nil); err != nil {
					return err
				}
				erased = true
				_, err = s.Put(draft(7, 7))
				return err
			}
			fs.SetPlan(func(op faultfs.Op) faultfs.Fault { return faultfs.Fault{Crash: op.N == before+n} })
			err := work()
			fs.Restart(keep, uint64(n))
			s, opened := Open(fs, dir)
			if opened != nil {
				t.Fatalf("keep %s, operation %d: %v", keep, n, opened)
			}
			for i, id := range told {
				words, ok := text(s, id)
				if i == 0 && ok == erased && erased || i > 0 && words != draft(i, engine.AccountID(i+1)).Text {
					t.Fatalf("keep %s, operation %d: text %d is %q", keep, n, i, words)
				}
			}
			put(t, s, draft(8, 8))
			if err == nil {
				break // no operation is left
			}
		}
	}
}

// TestFailedWrites: after a disk has failed nothing more is taken.
func TestFailedWrites(t *testing.T) {
	fs := faultfs.New()
	s := open(t, fs)
	put(t, s, draft(1, 1))
	fs.SetPlan(func(op faultfs.Op) faultfs.Fault {
		if op.Kind == faultfs.Sync {
			return faultfs.Fault{Err: errors.New("no")}
		}
		return faultfs.Fault{}
	})
	if _, err := s.Put(draft(2, 1)); !errors.Is(err, ErrFailed) {
		t.Errorf("a text is taken: %v", err)
	}
	fs.SetPlan(nil)
	if _, err := s.Put(draft(3, 1)); !errors.Is(err, ErrFailed) {
		t.Errorf("the next one is: %v", err)
	}
	if _, err := s.Erase(1, nil); !errors.Is(err, ErrFailed) {
		t.Errorf("it erases: %v", err)
	}
}

// TestBounds: what is too long, of no author or one too many is refused.
func TestBounds(t *testing.T) {
	s := open(t, faultfs.New())
	for name, spoil := range map[string]func(*Draft){
		"no text": func(d *Draft) { d.Text = "" }, "a long one": func(d *Draft) { d.Text = strings.Repeat("x", MaxText+1) },
		"no author": func(d *Draft) { d.Author = "" }, "an identity": func(d *Draft) { d.Kind = Identity },
	} {
		d := draft(1, 1)
		spoil(&d)
		if _, err := s.Put(d); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	s.authors["p1"] = MaxOfAuthor
	if _, err := s.Put(draft(1, 1)); !errors.Is(err, ErrFull) {
		t.Errorf("one too many of an author: %v", err)
	}
	s.end = MaxBytes
	if _, err := s.Put(draft(1, 2)); !errors.Is(err, ErrFull) {
		t.Errorf("one too many: %v", err)
	}
}

// TestDamage flips every bit of a file, a few of each byte in a short run: it is
// refused, or the last record is taken for torn.
func TestDamage(t *testing.T) {
	fs := faultfs.New()
	s := open(t, fs)
	for i := range 3 {
		put(t, s, draft(i, 1))
	}
	path := filepath.Join(dir, name)
	good := fs.Bytes(path)
	for i := range good {
		for bit := range 8 {
			if testing.Short() && bit != i%8 {
				continue
			}
			b := bytes.Clone(good)
			b[i] ^= 1 << bit
			entries, _, torn, err := parse(b)
			if err == nil && (!torn || len(entries) != 2) {
				t.Fatalf("bit %d of byte %d: %d entries", bit, i, len(entries))
			}
		}
	}
}

// FuzzParse: any bytes are a store or are not, and what is read is whole.
func FuzzParse(f *testing.F) {
	fs := faultfs.New()
	s := open(f, fs)
	put(f, s, draft(1, 1))
	b := fs.Bytes(filepath.Join(dir, name))
	f.Add(b)
	f.Add(b[:len(b)-3])
	f.Fuzz(func(t *testing.T, b []byte) {
		entries, end, torn, err := parse(b)
		if err == nil && (end > int64(len(b)) || torn == (end == int64(len(b)))) {
			t.Errorf("%d entries up to %d of %d, torn %v", len(entries), end, len(b), torn)
		}
	})
}

// TestRekey: a person is found by another digest from then on, and no more by the one of
// before, also after a restart; who is on record under a pseudonym is noted with it, once;
// and an erasure finds them by the account or by the pseudonym.
func TestRekey(t *testing.T) {
	fs := faultfs.New()
	s := open(t, fs)
	before, now := engine.Digest{1}, engine.Digest{2}
	id, _, err := s.Person(before, 3)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Bind(id, 7); err != nil {
		t.Fatal(err)
	}
	rekey := func(before, now, known engine.Digest, want engine.Digest, account engine.AccountID, found bool) {
		t.Helper()
		for range 2 {
			got, of, ok, err := s.Rekey(before, now, known, 9)
			if err != nil || got != want || of != account || ok != found {
				t.Errorf("%v: %s of %s, found %t; want %s of %s", err, got, of, ok, want, account)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = open(t, fs)
		}
	}
	rekey(before, now, engine.Digest{}, id, 7, true)
	if e := s.person(now); e == nil || e.At != 9 || count(s) != 1 || s.person(before) != nil {
		t.Errorf("%+v, %d entries, by the digest of before %+v", e, count(s), s.person(before))
	}
	rekey(engine.Digest{3}, engine.Digest{4}, engine.Digest{}, engine.Digest{}, 0, false)
	known := engine.Digest{5}
	rekey(known, engine.Digest{6}, known, known, 0, true)
	if err := s.Bind(known, 8); err != nil {
		t.Fatal(err)
	}
	rekey(known, engine.Digest{6}, known, known, 8, true)
	if again, _, err := s.Person(before, 10); err != nil || again == id {
		t.Errorf("%v: the digest of before still finds %s", err, again)
	}
	for _, erase := range []func() (int, error){
		func() (int, error) { return s.Erase(7, nil) }, func() (int, error) { return s.Erase(0, []engine.Digest{known}) },
	} {
		if n, err := erase(); n != 1 || err != nil {
			t.Errorf("%d erased: %v", n, err)
		}
	}
}
