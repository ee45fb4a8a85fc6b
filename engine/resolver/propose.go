package resolver

import (
	"errors"
	"fmt"
)

// Proposal is what a reporter tells the engine (engine.ReportFact): the outcome, by which rule, from which
// facts. The engine knows neither expressions nor facts, only their digests.
type Proposal struct {
	Outcome     string // binary, categorical: the label; empty for a value or a cancel
	Value       int64  // scalar: millionths of the unit
	Cancel      string // price or refund; empty for an outcome or a value
	RuleSHA256  [32]byte
	FactsSHA256 [32]byte
	EvidenceURI string // where people find the facts and what they were read from
}

// Propose makes the proposal of a decided finding. The evidence is an absolute
// URI; empty takes the one the facts name.
func Propose(f Finding, evidenceURI string) (Proposal, error) {
	if !f.Decided {
		return Proposal{}, fmt.Errorf("propose: not decided: %s", f.Reason)
	}
	if evidenceURI == "" {
		evidenceURI = f.Evidence
	}
	if !evidence(evidenceURI) {
		return Proposal{}, errors.New("propose: evidence is an absolute URI")
	}
	return Proposal{
		Outcome: f.Outcome, Value: f.Value, Cancel: f.Cancel,
		RuleSHA256: f.RuleSHA256, FactsSHA256: f.FactsSHA256, EvidenceURI: evidenceURI,
	}, nil
}
