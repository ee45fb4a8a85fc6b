package ledger_test

import (
	"encoding/binary"
	"errors"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/mbp-market/mbp/engine/internal/ledger"
)

// small is a ledger of two accounts and markets of 2 and 3 outcomes, and its
// reference.
func small(tb failer) (*ledger.Ledger, *naive) {
	l, n := ledger.New(), &naive{accounts: 2, outcomes: []int{2, 3}}
	l.OpenAccount()
	l.OpenAccount()
	l.OpenMarket(2, ledger.RingLimits{})
	l.OpenMarket(3, ledger.RingLimits{})
	for _, d := range []applied{
		{0, 0, move(credits, issuance, avail(1), 100)},
		{0, 1, mint(1, 2, avail(1), pool(1), 40)},
		{0, 2, mint(2, 3, avail(1), avail(1), 20)},
	} {
		mustApply(tb, l, d.at, d.market, d.ps)
		n.applied = append(n.applied, d)
	}
	return l, n
}

func join(parts ...[]ledger.Posting) (ps []ledger.Posting) {
	for _, p := range parts {
		ps = append(ps, p...)
	}
	return ps
}

func TestApplyRefuses(t *testing.T) {
	const most = ledger.MaxBalance
	for _, c := range []struct {
		name   string
		at     int64
		market uint32
		ps     []ledger.Posting
		ok     bool
	}{
		{"nothing", 5, 0, nil, true},
		{"credits", 5, 0, move(credits, avail(1), avail(2), 40), true},
		{"a dip", 5, 1, join(move(share(1, 0), pool(1), avail(2), 45), mint(1, 2, avail(1), pool(1), 5)), true},
		{"a dip that stays", 5, 1, join(move(share(1, 0), pool(1), avail(2), 46), mint(1, 2, avail(1), pool(1), 5)), false},
		{"all credits there may be", 5, 0, move(credits, issuance, avail(2), most-100), true},
		{"one credit more", 5, 0, move(credits, issuance, avail(2), most-99), false},
		{"more than one posting moves", 5, 0, join(move(credits, issuance, avail(2), 2*most+1), move(credits, avail(2), issuance, 2*most+1)), false},
		{"back and forth", 5, 0, join(move(credits, issuance, avail(2), 2*most), move(credits, avail(2), issuance, 2*most)), true},
		{"debt", 5, 0, move(credits, avail(2), avail(1), 1), false},
		{"debt of shares", 5, 1, move(share(1, 0), avail(1), pool(1), 1), false},
		{"debt of a reserve", 5, 1, move(credits, reserved(1), avail(1), 1), false},
		{"debt of the house", 5, 0, move(credits, platform, avail(1), 1), false},
		{"credits taken back from the world", 5, 0, move(credits, avail(1), issuance, 40), true},
		{"shares out of nothing", 5, 1, []ledger.Posting{{Account: avail(1), Asset: share(1, 0), Amount: 1}}, false},
		{"credits into nothing", 5, 0, []ledger.Posting{{Account: avail(1), Amount: -1}}, false},
		{"shares of another outcome", 5, 1, join(move(share(1, 0), pool(1), avail(1), 1)[:1], move(share(1, 1), pool(1), avail(1), 1)[1:]), false},
		{"the least number", 5, 0, []ledger.Posting{{Account: avail(1), Amount: math.MinInt64}, {Account: avail(1), Amount: math.MinInt64}}, false},
		{"account zero", 5, 0, move(credits, avail(1), avail(0), 1), false},
		{"an unknown account", 5, 0, move(credits, avail(1), avail(3), 1), false},
		{"an unknown market", 5, 3, nil, false},
		{"a market's account of an unknown market", 5, 0, move(credits, avail(1), coll(3), 1), false},
		{"an unknown outcome", 5, 1, move(share(1, 2), supply(1), pool(1), 1), false},
		{"an outcome in the place of the units", 5, 1, move(share(1, 2), supply(1), avail(1), 1), false},
		{"an outcome of the other market's number", 5, 2, move(share(2, 2), avail(1), pool(2), 1), true},
		{"shares in another market's pool", 5, 2, move(share(2, 0), avail(1), pool(1), 1), false},
		{"shares as collateral", 5, 1, move(share(1, 0), pool(1), coll(1), 1), false},
		{"credits in a pool", 5, 1, move(credits, avail(1), pool(1), 1), false},
		{"units", 5, 1, move(units(1), supply(1), avail(1), 1), true},
		{"units in an order", 5, 1, join(move(units(1), supply(1), avail(1), 1), move(units(1), avail(1), reserved(1), 1)), false},
		{"units in the pool", 5, 1, move(units(1), supply(1), pool(1), 1), false},
		{"units of credits", 5, 0, move(units(0), avail(1), avail(2), 0), false},
		{"a house of another number", 5, 0, move(credits, avail(1), ledger.Account{Kind: ledger.Platform, ID: 1}, 1), false},
		{"an issuance of another number", 5, 0, move(credits, ledger.Account{Kind: ledger.Issuance, ID: 1}, avail(1), 1), false},
		{"shares of the house", 5, 1, move(share(1, 0), pool(1), platform, 1), false},
		{"a kind that is none", 5, 0, move(credits, avail(1), ledger.Account{Kind: 10, ID: 1}, 1), false},
		{"time that runs back", -1, 0, nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, n := small(t)
			err := l.Apply(c.at, c.market, c.ps)
			if (err == nil) != c.ok || err != nil && !errors.Is(err, ledger.ErrLedger) {
				t.Fatalf("Apply: %v, want ok %v", err, c.ok)
			}
			if c.at >= 0 && c.market <= 2 && n.valid(c.ps) != c.ok {
				t.Fatal("the reference says otherwise")
			}
			if err == nil {
				if err := l.Conserved(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// A sum may not wrap: 2^11 postings of 2^53 are 2^64, which is zero.
func TestSumsDoNotWrap(t *testing.T) {
	for _, to := range []ledger.Account{avail(1), issuance} {
		l, _ := small(t)
		var ps []ledger.Posting
		for range 1 << 11 {
			ps = append(ps, ledger.Posting{Account: to, Amount: 2 * ledger.MaxBalance})
		}
		if err := l.Apply(1, 0, ps); !errors.Is(err, ledger.ErrLedger) {
			t.Fatalf("Apply: %v", err)
		}
	}
	l, _ := small(t)
	var ps []ledger.Posting
	for range 1 << 11 { // here every sum is zero in time
		ps = append(ps, move(credits, fees(1), coll(1), 2*ledger.MaxBalance)...)
	}
	if err := l.Apply(1, 0, ps); !errors.Is(err, ledger.ErrLedger) {
		t.Fatalf("Apply: %v", err)
	}
	l, _ = small(t)
	ps = nil
	for _, q := range []int64{2 * ledger.MaxBalance, -2 * ledger.MaxBalance} {
		for i := range uint32(800) { // each balance stays below 2^62, their sum does not
			ps = append(ps, ledger.Posting{Account: avail(i%2 + 1), Amount: q})
		}
	}
	if err := l.Apply(1, 0, ps); !errors.Is(err, ledger.ErrLedger) {
		t.Fatalf("Apply: %v", err)
	}
}

func TestMarketsOfNoSizeArePanics(t *testing.T) {
	for _, n := range []int{-1, 0, 1, ledger.MaxOutcomes + 1} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("a market of %d outcomes opens", n)
				}
			}()
			ledger.New().OpenMarket(n, ledger.RingLimits{})
		}()
	}
}

func TestUnknownNumbersHaveNothing(t *testing.T) {
	l, _ := small(t)
	for _, a := range []uint32{0, 3, math.MaxUint32} {
		if l.Available(a) != 0 || l.Reserved(a) != 0 || l.MarketsOf(a) != nil || l.Market(a) != nil {
			t.Errorf("account or market %d has something", a)
		}
		if i, ok := l.Market(1).Index(a); ok {
			t.Errorf("account %d is holder %d", a, i)
		}
	}
	if ledger.New().Market(1) != nil {
		t.Error("a market where none is")
	}
}

// Apply accepts what the reference accepts, of anything at all.
func TestApplyAgreesOnAnyPostings(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var ps []ledger.Posting
		pair := ledger.Posting{}
		for i := range rapid.IntRange(0, 12).Draw(t, "n") {
			if i%2 == 1 && rapid.IntRange(0, 9).Draw(t, "pair") > 0 {
				pair.Amount = -pair.Amount
			} else {
				pair.Asset = rapid.SampledFrom([]ledger.Asset{credits, credits, share(1, 0), share(1, 1), share(1, 2), share(2, 2), units(1), share(0, 1), share(3, 0)}).Draw(t, "asset")
				pair.Amount = rapid.OneOf(rapid.Int64Range(-25, 25), rapid.Int64Range(1<<52-101, 1<<52-99)).Draw(t, "amount")
			}
			kinds := []ledger.Kind{1, 2, 3, 4, 5, 6, 7, 8, 9, 2, 2, 4, 5, 0, 10}
			pair.Account = ledger.Account{
				Kind: rapid.SampledFrom(kinds).Draw(t, "kind"),
				ID:   rapid.SampledFrom([]uint32{1, 1, 1, 2, 0, 3}).Draw(t, "id"),
			}
			if pair.Account.Kind == ledger.Issuance || pair.Account.Kind == ledger.Platform {
				pair.Account.ID = 0
			}
			ps = append(ps, pair)
		}
		agree(t, ps)
	})
}

// agree applies the postings to a small ledger and asks the reference.
func agree(t failer, ps []ledger.Posting) {
	t.Helper()
	l, n := small(t)
	err := l.Apply(1, 1, ps)
	if want := n.valid(ps); (err == nil) != want {
		t.Fatal("Apply:", err, "want ok", want, ps)
	}
	if err != nil {
		return
	}
	if err := l.Conserved(); err != nil {
		t.Fatal(err)
	}
	n.applied = append(n.applied, applied{1, 1, ps})
	for a := uint32(1); a <= 2; a++ {
		if got, want := int64(l.Available(a)), n.balance(cell{avail(a), credits}, 1); got != want {
			t.Fatal("account", a, "has", got, "want", want)
		}
	}
}

func FuzzApply(f *testing.F) {
	add := func(ps ...ledger.Posting) {
		var b []byte
		for _, p := range ps {
			b = append(b, byte(p.Account.Kind), byte(p.Account.ID), byte(p.Asset.Market), p.Asset.Outcome)
			b = binary.LittleEndian.AppendUint64(b, uint64(p.Amount))
		}
		f.Add(b)
	}
	add(mint(1, 2, avail(1), pool(1), 5)...)
	add(move(units(1), supply(1), avail(2), 9)...)
	add(move(credits, issuance, avail(2), 1<<52)...)
	f.Fuzz(func(t *testing.T, b []byte) {
		var ps []ledger.Posting
		for ; len(b) >= 12 && len(ps) < 100; b = b[12:] {
			ps = append(ps, ledger.Posting{
				Account: ledger.Account{Kind: ledger.Kind(b[0]), ID: uint32(b[1])},
				Asset:   share(uint32(b[2]), b[3]), Amount: int64(binary.LittleEndian.Uint64(b[4:])),
			})
		}
		agree(t, ps)
	})
}
