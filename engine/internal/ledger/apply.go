package ledger

import (
	"fmt"

	"github.com/mbp-market/mbp/engine/internal/fixed"
)

// Ledger holds all balances. One goroutine owns it; use New.
type Ledger struct {
	at       int64 // of the last Apply, µs
	accounts []account
	markets  []*Market
	issued   fixed.Micros // minus the balance of Issuance
	platform fixed.Micros

	// Scratch of one Apply.
	tally   tally
	touched []*Market
}

// account is what a trading account has besides its shares and units, which lie
// in the markets.
type account struct {
	available fixed.Micros
	reserved  fixed.Micros
	markets   []uint32 // where it ever took part, in order of the first time
	move      uint32   // where the tally has its credits, if it has
}

// New returns a ledger without accounts and markets.
func New() *Ledger { return &Ledger{} }

// OpenAccount adds a trading account and returns its number; numbers are 1, 2, …
func (l *Ledger) OpenAccount() uint32 {
	l.accounts = append(l.accounts, account{})
	return uint32(len(l.accounts))
}

// Accounts returns how many trading accounts there are.
func (l *Ledger) Accounts() int { return len(l.accounts) }

// OpenMarket adds a market of 2..MaxOutcomes outcomes, without any shares, and
// returns its number; numbers are 1, 2, … Another number of outcomes panics.
func (l *Ledger) OpenMarket(outcomes int, limits RingLimits) uint32 {
	l.markets = append(l.markets, newMarket(uint32(len(l.markets)+1), outcomes, limits))
	return uint32(len(l.markets))
}

// Markets returns how many markets there are.
func (l *Ledger) Markets() int { return len(l.markets) }

// Market returns a market, nil if there is none of that number.
func (l *Ledger) Market(m uint32) *Market {
	if m-1 >= uint32(len(l.markets)) {
		return nil
	}
	return l.markets[m-1]
}

// Available returns the credits that an account can use; zero for an unknown one.
func (l *Ledger) Available(a uint32) fixed.Micros {
	if a-1 >= uint32(len(l.accounts)) {
		return 0
	}
	return l.accounts[a-1].available
}

// Reserved returns the credits that an account has set aside for open orders;
// zero for an unknown one.
func (l *Ledger) Reserved(a uint32) fixed.Micros {
	if a-1 >= uint32(len(l.accounts)) {
		return 0
	}
	return l.accounts[a-1].reserved
}

// MarketsOf returns the markets where an account ever held or paid anything, in
// the order of the first time. The slice is the ledger's: read it before the next
// Apply, never write to it.
func (l *Ledger) MarketsOf(a uint32) []uint32 {
	if a-1 >= uint32(len(l.accounts)) {
		return nil
	}
	ms := l.accounts[a-1].markets
	return ms[:len(ms):len(ms)]
}

// Issued returns all credits ever granted.
func (l *Ledger) Issued() fixed.Micros { return l.issued }

// Platform returns the income of the house.
func (l *Ledger) Platform() fixed.Micros { return l.platform }

// Apply adds the postings of one decision to the balances. They must sum to zero
// for each asset, and every balance they name must end within 0..MaxBalance
// (minus that for Issuance and Supply); what happens between two postings does
// not matter. Times (µs, not negative) never run backwards.
//
// market is the market whose decision it is, zero if it is none's: the net
// credits of each trading account count as paid into that market, and go to its
// ring. Shares and units go to the ring of their own market.
//
// An error wraps ErrLedger; the ledger is not usable then.
func (l *Ledger) Apply(at int64, market uint32, ps []Posting) error {
	home := l.Market(market)
	if market != 0 && home == nil {
		return fmt.Errorf("%w: there is no market %d", ErrLedger, market)
	}
	if at < l.at {
		return fmt.Errorf("%w: time %d is before %d", ErrLedger, at, l.at)
	}
	l.at = at
	l.tally.reset()
	l.touched = l.touched[:0]
	dips := false
	for i := range ps {
		p := &ps[i]
		if uint64(p.Amount+maxAmount) > 2*maxAmount {
			return refuse(p, "moves too much")
		}
		after, ok := l.post(p)
		if !ok {
			return refuse(p, "there is no such account of this asset")
		}
		if uint64(after) > MaxBalance {
			if uint64(after+maxSum) > 2*maxSum {
				return refuse(p, "leaves the range of numbers")
			}
			dips = true
		}
	}
	if dips { // somewhere on the way; only the end counts
		if err := l.within(ps); err != nil {
			return err
		}
	}
	return l.settle(home)
}

func refuse(p *Posting, why string) error {
	return fmt.Errorf("%w: %d of asset %d/%d to %s %d: %s", ErrLedger,
		p.Amount, p.Asset.Market, p.Asset.Outcome, p.Account.Kind, p.Account.ID, why)
}

// within checks the balances that the postings ended with.
func (l *Ledger) within(ps []Posting) error {
	for i := range ps {
		p := ps[i]
		p.Amount = 0
		if b, _ := l.post(&p); uint64(b) > MaxBalance {
			return refuse(&ps[i], fmt.Sprintf("it ends with %d", b))
		}
	}
	return nil
}

// post adds a posting to its balance and returns the new one, with the sign
// turned for Issuance and Supply; ok is false if there is no such balance.
func (l *Ledger) post(p *Posting) (after int64, ok bool) {
	if p.Asset == (Asset{}) {
		l.tally.credits = l.tally.sum(l.tally.credits, p.Amount)
		return l.postCredits(p)
	}
	m, o := l.Market(p.Asset.Market), int(p.Asset.Outcome)
	if m == nil {
		return 0, false
	}
	if o == Units {
		o = m.n // the place of the units behind the outcomes
	} else if o >= m.n {
		return 0, false
	}
	l.touch(m)
	s := &l.tally.sums[m.sums+o]
	*s = l.tally.sum(*s, p.Amount)
	id := p.Account.ID
	if k := p.Account.Kind; k != Available && k != Reserved {
		if id != p.Asset.Market {
			return 0, false
		}
		return m.stock(k, o, p.Amount)
	}
	if id-1 >= uint32(len(l.accounts)) {
		return 0, false
	}
	l.tally.take(id, p.Asset, p.Amount)
	return m.hold(p.Account.Kind, l.holder(m, id), o, p.Amount)
}

// postCredits is post for credits.
func (l *Ledger) postCredits(p *Posting) (after int64, ok bool) {
	id := p.Account.ID
	switch p.Account.Kind {
	case Available, Reserved:
		if id-1 >= uint32(len(l.accounts)) {
			return 0, false
		}
		a := &l.accounts[id-1]
		l.tally.takeCredits(id, &a.move, p.Amount)
		b := &a.available
		if p.Account.Kind == Reserved {
			b = &a.reserved
		}
		*b += fixed.Micros(p.Amount)
		return int64(*b), true
	case Issuance:
		l.issued -= fixed.Micros(p.Amount)
		return int64(l.issued), id == 0
	case Platform:
		l.platform += fixed.Micros(p.Amount)
		return int64(l.platform), id == 0
	}
	m := l.Market(id)
	if m == nil {
		return 0, false
	}
	l.touch(m)
	return m.fund(p.Account.Kind, p.Amount)
}

// touch remembers a market of this Apply and what it had.
func (l *Ledger) touch(m *Market) {
	if !m.touched {
		m.touched, m.was, m.sums = true, m.funds, l.tally.room(m.n+1)
		l.touched = append(l.touched, m)
	}
}

// holder returns the index of an account among the holders of a market, which it
// joins if it has to.
func (l *Ledger) holder(m *Market, id uint32) int {
	if m.lastAccount == id {
		return m.lastIndex
	}
	i := m.index.find(m.holders, id)
	if i < 0 {
		i = m.join(id)
		a := &l.accounts[id-1]
		a.markets = append(a.markets, m.id)
	}
	m.lastAccount, m.lastIndex = id, i
	return i
}

// settle checks the sums and notes what changed in the rings.
func (l *Ledger) settle(home *Market) error {
	if l.tally.wild {
		return fmt.Errorf("%w: a sum leaves the range of numbers", ErrLedger)
	}
	if s := l.tally.credits; s != 0 {
		return fmt.Errorf("%w: the postings of credits sum to %d", ErrLedger, s)
	}
	for _, m := range l.touched {
		for o, s := range l.tally.sums[m.sums : m.sums+m.n+1] {
			if s != 0 {
				return fmt.Errorf("%w: the postings of asset %d of market %d sum to %d", ErrLedger, o, m.id, s)
			}
		}
	}
	for i := range l.tally.moves {
		v := &l.tally.moves[i]
		switch {
		case v.amount == 0:
		case v.asset != Asset{}:
			m := l.markets[v.asset.Market-1]
			m.note(delta{at: l.at, amount: v.amount, holder: uint32(l.holder(m, v.account)), outcome: v.asset.Outcome, kind: Available})
		case home != nil:
			h := l.holder(home, v.account)
			if home.net[h] -= fixed.Micros(v.amount); uint64(home.net[h]+maxSum) > 2*maxSum {
				return fmt.Errorf("%w: what account %d paid into market %d leaves the range of numbers", ErrLedger, v.account, home.id)
			}
			home.note(delta{at: l.at, amount: v.amount, holder: uint32(h), outcome: money, kind: Available})
		}
	}
	for _, m := range l.touched {
		m.settle(l.at)
	}
	return nil
}
