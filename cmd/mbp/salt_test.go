package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mbp-market/mbp/cmd/mbp/machine"
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
	"github.com/mbp-market/mbp/engine/httpapi/identity"
	"github.com/mbp-market/mbp/engine/httpapi/issuer"
	"github.com/mbp-market/mbp/tests/idp"
)

// TestReplaceSalt: a person from before there was a store is listed; the salt is
// replaced; whoever comes keeps the account and is listed no more; and without the salt
// of before everybody who came is found, and nothing in the folder leads to them.
func TestReplaceSalt(t *testing.T) {
	p, data := idp.Start(t), filepath.Join(t.TempDir(), "data")
	salt, admin := filepath.Join(data, personSaltFile), filepath.Join(data, adminKeyFile)
	serve := func() *process {
		t.Helper()
		return serveProcess(t, data, "--oidc-issuer", p.URL, "--oidc-audience", "mbp", "--oidc-roles", "staff=trader")
	}
	server := serve()
	said := func(args ...string) string {
		t.Helper()
		out, err := server.mbp(t, admin, args...)
		if err != nil {
			t.Fatalf("%v %s", err, out)
		}
		return out
	}
	account := func(name string) engine.AccountID {
		t.Helper()
		cl, err := client.New(server.url, p.Token(p.Standard("mbp", name, time.Now(), "staff")))
		if err != nil {
			t.Fatal(err)
		}
		me, err := cl.Me(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return me.Account
	}
	secret, err := personSalt(salt, true)
	if err != nil {
		t.Fatal(err)
	}
	said("account", "create")
	key, err := os.ReadFile(admin)
	if err != nil {
		t.Fatal(err)
	}
	house, err := client.New(server.url, strings.TrimSpace(string(key)))
	if err != nil {
		t.Fatal(err)
	}
	before := identity.DigestOf(secret, issuer.Person{Issuer: p.URL, Subject: "old"}) // as it was
	if _, err := house.AddKey(t.Context(), engine.Key{SHA256: before, Principal: "person-old", Roles: engine.RoleTrader, Account: 1, Identity: true}); err != nil {
		t.Fatal(err)
	}
	if got := account("old"); got != 1 {
		t.Fatalf("the person from before has %s", got)
	}
	if got := account("new"); got != 2 {
		t.Fatalf("another one has %s", got)
	}
	if out := said("privacy", "persons"); !strings.HasPrefix(out, "acc_1  person-old  the pseudonym follows from the salt\n") || strings.Contains(out, "acc_2") {
		t.Errorf("listed: %s", out)
	}
	if err := server.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := server.cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if out, err := runVerb(t, "privacy", "replace-salt", "--data", data); err != nil || !strings.Contains(out, "person.salt.before is needed") {
		t.Fatalf("%v %s", err, out)
	}
	server = serve()
	now := time.Now().UTC().Format(time.RFC3339Nano)
	var left []struct{ Account engine.AccountID }
	if err := json.Unmarshal([]byte(said("privacy", "persons", "--before", now, "--json")), &left); err != nil || len(left) != 2 {
		t.Errorf("nobody has come: %+v %v", left, err)
	}
	for name, want := range map[string]engine.AccountID{"old": 1, "new": 2} {
		if got := account(name); got != want {
			t.Errorf("%s has %s now", name, got)
		}
	}
	if out := said("privacy", "persons", "--before", now); !strings.HasPrefix(out, "nobody") {
		t.Errorf("everybody has come: %s", out)
	}
	if err := server.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = server.cmd.Wait() // it was killed
	if err := os.Remove(machine.Before(salt)); err != nil {
		t.Fatal(err)
	}
	server = serve()
	for name, want := range map[string]engine.AccountID{"old": 1, "new": 2} {
		if got := account(name); got != want {
			t.Errorf("%s has %s without the salt of before", name, got)
		}
	}
	after, err := personSalt(salt, true)
	if err != nil || identity.DigestOf(after, issuer.Person{Issuer: p.URL, Subject: "old"}) == before {
		t.Errorf("%v: the salt leads to the pseudonym", err)
	}
	if said("privacy", "erase", "acc_1", "--sure", "acc_1"); account("old") != 3 {
		t.Error("a person who was erased is not somebody new")
	}
}
