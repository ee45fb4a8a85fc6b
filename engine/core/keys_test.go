package core

import (
	"testing"

	"github.com/mbp-market/mbp/engine"
)

// What a key may be, for how long it is valid, and who may let it in again.
func TestKeysOfPeopleAndSecrets(t *testing.T) {
	w := newWorld(t, calm(), engine.DefaultTemplate())
	w.ok("admin", &engine.OpenAccount{})
	add := func(by string, k engine.Key) engine.Code {
		t.Helper()
		k.Principal, k.Roles = "ana", k.Roles|engine.RoleTrader
		k.Account = 1
		return w.do(by, &engine.AddKey{Key: k}).Code
	}
	expect := func(what string, got, want engine.Code) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	secret, person := digest(2), digest(3)
	expect("a key with an id", add("admin", engine.Key{SHA256: secret, ID: "k7abcdef"}), engine.OK)
	for what, k := range map[string]engine.Key{
		"another alphabet":         {SHA256: digest(9), ID: "K7"},
		"a long id":                {SHA256: digest(9), ID: "abcdefghijklmnopq"},
		"a time before all times":  {SHA256: digest(9), ExpiresAt: -1},
		"a time that has come":     {SHA256: digest(9), ExpiresAt: w.now},
		"a person with a secret":   {SHA256: digest(9), Identity: true, ID: "a"},
		"a person who runs out":    {SHA256: digest(9), Identity: true, ExpiresAt: w.now + sec},
		"a digest without a value": {},
	} {
		expect(what, add("admin", k), engine.InvalidCommand)
	}
	expect("a person", add(engine.System, engine.Key{SHA256: person, Identity: true}), engine.OK)
	expect("twice", add("admin", engine.Key{SHA256: person, Identity: true}), engine.AlreadyExists)
	for _, d := range []engine.Digest{secret, person} {
		w.ok("admin", &engine.RevokeKey{SHA256: d})
		if _, valid := w.s.Key(d, w.now); valid || !w.s.Revoked(d) {
			t.Errorf("%s is valid after it was revoked", d)
		}
	}
	expect("a revoked secret", add("admin", engine.Key{SHA256: secret}), engine.AlreadyExists)
	expect("a revoked person comes again", add(engine.System, engine.Key{SHA256: person, Identity: true}), engine.AlreadyExists)
	expect("the digest of a person as a secret", add("admin", engine.Key{SHA256: person}), engine.AlreadyExists)
	expect("an admin lets the person in", add("admin", engine.Key{SHA256: person, Identity: true}), engine.OK)
	keys, next := w.s.Keys(0, 3)
	if len(keys) != 2 || keys[1].SHA256 != person || next != 0 {
		t.Errorf("keys %v, next %d", keys, next)
	}
	if first, next := w.s.Keys(0, 1); len(first) != 1 || next != 1 {
		t.Errorf("the first key is %v, next %d", first, next)
	}
	if keys, next := w.s.Keys(1<<40, 5); len(keys) != 0 || next != 0 {
		t.Errorf("after the last one: %v, next %d", keys, next)
	}
}

// A key is valid before its time, and not from then on.
func TestKeyExpires(t *testing.T) {
	w := newWorld(t, calm(), engine.DefaultTemplate())
	end := w.now + sec
	w.ok("admin", &engine.AddKey{Key: engine.Key{SHA256: digest(2), Principal: "bot", Roles: engine.RoleAuditor, ExpiresAt: end}})
	for at, want := range map[engine.Time]bool{w.now: true, end - 1: true, end: false, end + sec: false} {
		if _, valid := w.s.Key(digest(2), at); valid != want {
			t.Errorf("%d µs before its end: valid=%v", end-at, valid)
		}
	}
}

// The last key that can add keys cannot be revoked, and one that ends by itself,
// or a person, is no substitute for it.
func TestLastLastingAdmin(t *testing.T) {
	w := newWorld(t, calm(), engine.DefaultTemplate())
	for i, k := range []engine.Key{{ExpiresAt: w.now + sec}, {Identity: true}} {
		k.SHA256, k.Principal, k.Roles = digest(2+i), "root", engine.RoleAdmin
		w.ok("admin", &engine.AddKey{Key: k})
	}
	if d := w.do("admin", &engine.RevokeKey{SHA256: digest(1)}); d.Code != engine.LastAdmin {
		t.Errorf("the last lasting admin: %s", d.Code)
	}
	for i := range 2 {
		w.ok("admin", &engine.RevokeKey{SHA256: digest(2 + i)})
	}
}
