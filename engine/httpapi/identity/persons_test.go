package identity

import (
	"bytes"
	"testing"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/httpapi/issuer"
	"github.com/mbp-market/mbp/engine/journal/file"
	"github.com/mbp-market/mbp/engine/sequencer"
	"github.com/mbp-market/mbp/engine/texts"
)

// withPersons is a door whose pseudonyms are kept where they can be erased.
func withPersons(t *testing.T, q *sequencer.Sequencer) (*Door, *texts.Store) {
	t.Helper()
	s, err := texts.Open(file.OS{}, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	d, err := New(Config{Writer: q, Provider: none{}, Salt: salt, Groups: map[string]engine.Roles{"t": engine.RoleTrader}, Persons: s})
	if err != nil {
		t.Fatal(err)
	}
	return d, s
}

var ana = issuer.Person{Issuer: "https://idp.example", Subject: "ana", Groups: []string{"t"}}

func admit(t *testing.T, d *Door, p issuer.Person) Principal {
	t.Helper()
	got, err := d.Admit(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestPseudonyms: nothing on record follows from who a person is, not even under the
// salt; it is the same at each visit; once it is erased the person is somebody new,
// and the store knows of nobody before.
func TestPseudonyms(t *testing.T) {
	q := writer(t)
	d, s := withPersons(t, q)
	first := admit(t, d, ana)
	if again := admit(t, d, ana); again.SHA256 != first.SHA256 || again.Account != first.Account {
		t.Errorf("%+v, then %+v", first.Key, again.Key)
	}
	if index := DigestOf(salt, ana); first.SHA256 == index || first.Principal == nameOf(index) {
		t.Error("the pseudonym follows from the salt and the person")
	}
	give(t, q, &engine.ErasePerson{Account: first.Account})
	if n, err := s.Erase(first.Account, nil); n != 1 || err != nil {
		t.Fatalf("%d erased by the account alone: %v", n, err)
	}
	later := admit(t, d, ana)
	if later.SHA256 == first.SHA256 || later.Account == first.Account {
		t.Errorf("the person is the same again: %+v", later.Key)
	}
}

// TestPersonsFromBefore: who came before there was a store keeps the account, and who
// was shut out then stays out.
func TestPersonsFromBefore(t *testing.T) {
	q := writer(t)
	was := admit(t, door(t, q, none{}), ana)
	d, s := withPersons(t, q)
	got := admit(t, d, ana)
	if got.SHA256 != was.SHA256 || got.Account != was.Account {
		t.Errorf("%+v, before %+v", got.Key, was.Key)
	}
	if got, err := s.Concerning(got.Account, []engine.Digest{got.SHA256}, 9); len(got) != 0 || err != nil {
		t.Errorf("entries %+v: %v", got, err)
	}
	give(t, q, &engine.RevokeKey{SHA256: was.SHA256})
	if _, err := d.Admit(t.Context(), ana); err == nil {
		t.Error("who was shut out comes in")
	}
	q.View(func(s *core.State) {
		if s.AccountCount() != 1 {
			t.Errorf("%d accounts", s.AccountCount())
		}
	})
}

// TestShutOut: a person who was shut out, and not erased, stays out.
func TestShutOut(t *testing.T) {
	q := writer(t)
	d, _ := withPersons(t, q)
	got := admit(t, d, ana)
	give(t, q, &engine.RevokeKey{SHA256: got.SHA256})
	if _, err := d.Admit(t.Context(), ana); err == nil || !bytes.Contains([]byte(err.Error()), []byte("shut out")) {
		t.Errorf("who was shut out: %v", err)
	}
}

// TestAnotherSalt: who comes while the salt is replaced keeps account and pseudonym, from
// before there was a store or not, and is found without the salt of before; who was shut
// out stays out; who is new is found by the new salt alone; and who did not come in time
// is somebody new.
func TestAnotherSalt(t *testing.T) {
	q := writer(t)
	person := func(name string) issuer.Person {
		return issuer.Person{Issuer: "https://idp.example", Subject: name, Groups: []string{"t"}}
	}
	old := admit(t, door(t, q, none{}), person("old")) // there is no store
	shut := admit(t, door(t, q, none{}), person("shut"))
	late := admit(t, door(t, q, none{}), person("late"))
	_, s := withPersons(t, q)
	with := func(salt, before []byte) *Door {
		t.Helper()
		d, err := New(Config{Writer: q, Provider: none{}, Salt: salt, Before: before, Groups: map[string]engine.Roles{"t": engine.RoleTrader}, Persons: s})
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	middle := admit(t, with(salt, nil), person("middle"))
	give(t, q, &engine.RevokeKey{SHA256: shut.SHA256})
	another := bytes.Repeat([]byte{9}, MinSalt)
	turning := with(another, salt)
	for range 2 {
		for name, was := range map[string]Principal{"old": old, "middle": middle} {
			if got := admit(t, turning, person(name)); got.SHA256 != was.SHA256 || got.Account != was.Account || got.Principal != was.Principal {
				t.Errorf("%s: %+v, before %+v", name, got.Key, was.Key)
			}
		}
		if _, err := turning.Admit(t.Context(), person("shut")); err == nil {
			t.Error("who was shut out comes in")
		}
	}
	fresh := admit(t, turning, person("fresh"))
	after := with(another, nil) // the salt of before is destroyed
	for name, was := range map[string]Principal{"old": old, "middle": middle, "fresh": fresh} {
		if got := admit(t, after, person(name)); got.SHA256 != was.SHA256 || got.Account != was.Account {
			t.Errorf("%s: %+v, before %+v", name, got.Key, was.Key)
		}
	}
	if got := admit(t, after, person("late")); got.Account == late.Account {
		t.Error("who did not come in time is found without the salt of before")
	}
	give(t, q, &engine.ErasePerson{Account: old.Account})
	if n, err := s.Erase(old.Account, nil); n != 1 || err != nil {
		t.Fatalf("%d erased by the account alone: %v", n, err)
	}
	if got := admit(t, after, person("old")); got.Account == old.Account || got.SHA256 == old.SHA256 {
		t.Error("a person who was erased is the same again")
	}
	for _, bad := range []Config{{Before: salt[:31], Persons: s}, {Before: salt}} {
		bad.Writer, bad.Provider, bad.Salt, bad.Groups = q, none{}, another, map[string]engine.Roles{"t": engine.RoleTrader}
		if _, err := New(bad); err == nil {
			t.Errorf("a salt of before of %d bytes, store %v, is taken", len(bad.Before), bad.Persons)
		}
	}
}
