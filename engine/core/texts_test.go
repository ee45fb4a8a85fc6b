package core

import (
	"testing"

	"github.com/mbp-market/mbp/engine"
)

// refuses gives a command that must be refused with a code.
func (w *world) refuses(c engine.Command, code engine.Code) {
	w.t.Helper()
	if d := w.do("admin", c); d.Code != code || len(d.Events) != 0 {
		w.t.Fatalf("%s: %s %s, want %s", c.Type(), d.Code, d.Detail, code)
	}
}

func keyOf(n byte, roles engine.Roles, account engine.AccountID) engine.Key {
	return engine.Key{SHA256: digest(int(n)), Principal: "p" + string('a'+rune(n%26)), Roles: roles, Account: account}
}

// TestErasePerson: an account that is erased has no keys, gets none, and cannot be
// erased again; keys of others stay.
func TestErasePerson(t *testing.T) {
	w := newWorld(t, calm(), engine.DefaultTemplate())
	w.rich(2, 1000*one)
	w.open(engine.OpenMarket{})
	for n, account := range []engine.AccountID{2, 2, 1} {
		w.ok("admin", &engine.AddKey{Key: keyOf(byte(100+n), engine.RoleTrader, account)})
	}
	w.ok("p2", rest(2, 1, engine.Yes, engine.Buy, engine.One, 300_000))
	if got := w.s.KeysOf(2); len(got) != 2 || w.s.Erased(2) {
		t.Fatalf("keys %v", got)
	}
	d := w.ok("admin", &engine.ErasePerson{Account: 2})
	e, is := d.Events[len(d.Events)-1].(*engine.PersonErased)
	if !is || len(e.Keys) != 2 || len(d.Events) != 2 || len(w.s.Orders(2)) != 0 {
		t.Errorf("%d events, the last %+v; orders %v", len(d.Events), d.Events[len(d.Events)-1], w.s.Orders(2))
	}
	if !w.s.Erased(2) || w.s.Erased(1) || len(w.s.KeysOf(2)) != 0 || !w.s.Revoked(digest(100)) || w.s.Revoked(digest(102)) {
		t.Error("the wrong account is erased, or the wrong keys are revoked")
	}
	if ids := w.s.Erasures(0); len(ids) != 1 || ids[0] != 2 || len(w.s.Erasures(1)) != 0 {
		t.Errorf("erasures %v", ids)
	}
	w.refuses(&engine.ErasePerson{Account: 2}, engine.WrongState)
	w.refuses(&engine.ErasePerson{Account: 99}, engine.AccountNotFound)
	w.refuses(&engine.AddKey{Key: keyOf(110, engine.RoleTrader, 2)}, engine.WrongState)
	w.refuses(&engine.OpenMarket{Template: "binary@1.0.0", Title: "Next?", Creator: 2, Liquidity: 100 * one, Price: 500_000}, engine.WrongState)
	if a, _ := w.s.Account(2); a.Limited == nil || *a.Limited != engine.Forever {
		t.Errorf("limited until %v", a.Limited)
	}
	reloaded(t, w.s)
}

// TestEraseTheLastAdmin: the house does not lock itself out, and nothing of the
// account is changed then.
func TestEraseTheLastAdmin(t *testing.T) {
	w := newWorld(t, calm(), engine.DefaultTemplate())
	w.rich(1, 1000*one)
	w.ok("admin", &engine.AddKey{Key: keyOf(100, engine.RoleAdmin, 1)})
	for _, k := range w.s.f.Added {
		if key := w.s.f.Keys[k]; key != nil && key.Account == 0 {
			w.ok("admin", &engine.RevokeKey{SHA256: k})
		}
	}
	w.refuses(&engine.ErasePerson{Account: 1}, engine.LastAdmin)
	if len(w.s.KeysOf(1)) != 1 || w.s.Erased(1) {
		t.Error("it was erased all the same")
	}
	w.ok("admin", &engine.AddKey{Key: keyOf(101, engine.RoleAdmin, 0)})
	w.ok("admin", &engine.ErasePerson{Account: 1})
}

// TestErasedKeysAreBounded: an account with more keys than a decision revokes is
// refused as it is.
func TestErasedKeysAreBounded(t *testing.T) {
	w := newWorld(t, calm(), engine.DefaultTemplate())
	w.watch = nil
	w.rich(1, 1000*one)
	for n := range engine.MaxErasedKeys + 1 {
		k := keyOf(1, engine.RoleTrader, 1)
		k.SHA256 = engine.Digest{1: byte(n), 2: byte(n >> 8), 3: 1}
		w.ok("admin", &engine.AddKey{Key: k})
	}
	w.refuses(&engine.ErasePerson{Account: 1}, engine.LimitReached)
	w.ok("admin", &engine.RevokeKey{SHA256: engine.Digest{3: 1}})
	w.ok("admin", &engine.ErasePerson{Account: 1})
}
