package wire

import (
	"testing"

	"github.com/mbp-market/mbp/engine"
)

// A key that is a trader's alone disputes for its account, an office for none.
func TestWhoDisputes(t *testing.T) {
	for roles, want := range map[engine.Roles]engine.AccountID{
		engine.RoleTrader: 7, engine.RoleTrader | engine.RoleAuditor | engine.RoleService: 7,
		engine.RoleResolver: 0, engine.RoleModerator: 0, engine.RoleOperator: 0, engine.RoleAdmin: 0, engine.RoleTrader | engine.RoleResolver: 0,
	} {
		f, err := ParseBody([]byte(`{"evidence_uri":"a:b","evidence_sha256":"` + engine.Digest{1}.String() + `"}`))
		if err != nil {
			t.Fatal(err)
		}
		r := &Request{Form: f, Path: func(string) string { return "mkt_3" }, Account: 7, Roles: roles}
		x, is := DisputeResolution(r).(*engine.DisputeResolution)
		if !is || x.Account != want || x.Market != 3 || x.EvidenceURI != "a:b" {
			t.Errorf("%v: %+v, want account %s", roles.Names(), x, want)
		}
	}
}
