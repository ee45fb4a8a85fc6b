package resolver

import (
	"strings"
	"testing"
)

func TestPropose(t *testing.T) {
	f := Finding{Decided: true, Outcome: "YES", RuleSHA256: Digest{1}, FactsSHA256: Digest{2}, Evidence: "https://x.example/1"}
	got, err := Propose(f, "")
	if want := (Proposal{Outcome: "YES", RuleSHA256: [32]byte{1}, FactsSHA256: [32]byte{2}, EvidenceURI: "https://x.example/1"}); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err = Propose(f, "urn:sha256:abc"); err != nil || got.EvidenceURI != "urn:sha256:abc" {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []struct {
		f        Finding
		evidence string
	}{{Finding{Reason: "no condition holds"}, "https://x.example"}, {f, "x"}, {Finding{Decided: true}, ""}, {f, "https://x.example/" + strings.Repeat("x", maxText)}} {
		if got, err := Propose(bad.f, bad.evidence); err == nil {
			t.Errorf("%+v", got)
		}
	}
}
