// Package resolver turns rule documents and facts into findings: which outcome
// of a market the facts prove, under which rule. It promises that a finding is a
// function of the rule, the exact bytes of the facts, the market and the time it
// is given, that both are named by their SHA-256 (the rule in the canonical form
// of RFC 8785), and that the work of any rule is bounded before it runs. A rule
// is YAML with conditions in the Common Expression Language (cel-spec, through
// cel-go), checked against the types of the facts it declares.
//
// It refuses to guess: an unknown, missing, ill-typed or stale fact, an error in
// an expression, or reports that contradict each other leave the market
// undecided, with the reason. It reads no clock, and it decides nothing about
// money: the engine gets the proposal and checks quorum and state itself (see
// docs/adr/ADR-002-Resolution-Engine-Regra.md). Floating point lives here and
// stops here; a value leaves as whole millionths.
//
// The way of a fact: a source (Program.Table, Program.Endpoint, Program.Manual)
// gives a facts document, Program.Evaluate makes it a Finding, and Propose makes the
// words for the engine, which counts what its reporters say.
package resolver
