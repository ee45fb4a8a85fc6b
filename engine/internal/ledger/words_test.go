package ledger_test

import "github.com/mbp-market/mbp/engine/internal/ledger"

// Short words for the accounts and assets of the tests.
var (
	credits  = ledger.Asset{}
	issuance = ledger.Account{Kind: ledger.Issuance}
	platform = ledger.Account{Kind: ledger.Platform}
)

func avail(a uint32) ledger.Account    { return ledger.Account{Kind: ledger.Available, ID: a} }
func reserved(a uint32) ledger.Account { return ledger.Account{Kind: ledger.Reserved, ID: a} }
func coll(m uint32) ledger.Account     { return ledger.Account{Kind: ledger.Collateral, ID: m} }
func pool(m uint32) ledger.Account     { return ledger.Account{Kind: ledger.Pool, ID: m} }
func supply(m uint32) ledger.Account   { return ledger.Account{Kind: ledger.Supply, ID: m} }
func fees(m uint32) ledger.Account     { return ledger.Account{Kind: ledger.Fees, ID: m} }
func rounding(m uint32) ledger.Account { return ledger.Account{Kind: ledger.Rounding, ID: m} }

func share(m uint32, o uint8) ledger.Asset { return ledger.Asset{Market: m, Outcome: o} }
func units(m uint32) ledger.Asset          { return share(m, ledger.Units) }

// move takes an amount from one account to another.
func move(a ledger.Asset, from, to ledger.Account, q int64) []ledger.Posting {
	return []ledger.Posting{{Account: from, Asset: a, Amount: -q}, {Account: to, Asset: a, Amount: q}}
}

// mint pays for q complete sets of n outcomes that arrive at an account.
func mint(m uint32, n int, payer, to ledger.Account, q int64) []ledger.Posting {
	ps := move(credits, payer, coll(m), q)
	for o := range n {
		ps = append(ps, move(share(m, uint8(o)), supply(m), to, q)...)
	}
	return ps
}

// failer is a test, also one of rapid.
type failer interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func mustApply(tb failer, l *ledger.Ledger, at int64, m uint32, ps []ledger.Posting) {
	tb.Helper()
	if err := l.Apply(at, m, ps); err != nil {
		tb.Fatal(err)
	}
}
