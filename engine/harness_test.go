package engine

import (
	"errors"
	"fmt"
	"testing"
)

// desk drives a state through real decisions and checks what must hold after
// each of them.
type desk struct {
	t   testing.TB
	s   *State
	now Time
	log [][]byte // every decision as the journal holds it
}

const testStart = Time(1_767_355_200_000_000) // 2026-01-02T12:00:00Z

func digest(n int) Digest { return Digest{1: byte(n >> 8), 2: byte(n), 31: 1} }

func newDesk(t testing.TB, tmpl Template) *desk {
	d := &desk{t: t, s: NewState(), now: testStart}
	d.ok("boot", &Initialise{Policy: DefaultPolicy(), Template: tmpl, Admin: Key{SHA256: digest(1), Principal: "admin", Roles: RoleAdmin}})
	return d
}

// give decides, journals, folds and checks.
func (d *desk) give(principal string, c Command) *Decision {
	d.t.Helper()
	before := d.s.Hash()
	dec := &Decision{}
	d.s.Decide(Request{At: d.now, Principal: principal, Command: c}, dec)
	if d.s.Hash() != before {
		d.t.Fatalf("deciding %s changed the state", c.Type())
	}
	b := dec.Append(nil)
	d.log = append(d.log, b)
	read, err := Decode(dec.Seq, b)
	if err != nil {
		d.t.Fatal(err)
	}
	if err := d.s.Evolve(read); err != nil {
		d.t.Fatalf("%s: %v", c.Type(), err)
	}
	if err := d.s.audit(); err != nil {
		d.t.Fatalf("after %s: %v", c.Type(), err)
	}
	return dec
}

func (d *desk) ok(principal string, c Command) *Decision {
	d.t.Helper()
	dec := d.give(principal, c)
	if dec.Code != OK {
		d.t.Fatalf("%s: %s %s", c.Type(), dec.Code, dec.Detail)
	}
	return dec
}

// rich opens n accounts with credits.
func (d *desk) rich(n int, amount Micros) []AccountID {
	d.t.Helper()
	var ids []AccountID
	for range n {
		id := d.ok("ops", &OpenAccount{}).Events[0].(*AccountOpened).Account
		d.ok("ops", &GrantCredits{Account: id, Amount: amount})
		ids = append(ids, id)
	}
	return ids
}

func (d *desk) open(creator AccountID, liquidity Micros, price Price) MarketID {
	d.t.Helper()
	name := d.s.templates[0].Name()
	return d.ok("ops", &OpenMarket{Template: name, Title: "Will it ship?", Creator: creator, Liquidity: liquidity, Price: price}).Events[0].(*MarketOpened).Market
}

// settle gives every command that is due.
func (d *desk) settle() (decisions int) {
	d.t.Helper()
	for c := d.s.Due(); c != nil; c = d.s.Due() {
		d.ok(System, c)
		decisions++
	}
	return decisions
}

// audit recomputes the ledger from what each holder has, independently of the
// postings that brought it there.
func (s *State) audit() error {
	var available, collateral Micros
	for i := range s.accounts {
		if s.accounts[i].available < 0 {
			return fmt.Errorf("account %d has %d", i+1, s.accounts[i].available)
		}
		available += s.accounts[i].available
	}
	for _, m := range s.markets {
		collateral += m.collateral
		held := [2]Shares{m.pool.Own, m.pool.Other}
		for _, h := range m.holders {
			for o := range held {
				if h.shares[o] < 0 {
					return fmt.Errorf("%s: %s holds %d", m.id, h.account, h.shares[o])
				}
				held[o] += h.shares[o]
			}
		}
		if held != m.supply {
			return fmt.Errorf("%s: holders have %d, the supply is %d", m.id, held, m.supply)
		}
		if m.state < Settling && (Micros(held[0]) != m.collateral || Micros(held[1]) != m.collateral) {
			return fmt.Errorf("%s: collateral %d, shares %d", m.id, m.collateral, held)
		}
		if m.state >= Settling && Micros(held[m.resolution.outcome]) != m.collateral {
			return fmt.Errorf("%s: collateral %d for %d winning shares", m.id, m.collateral, held[m.resolution.outcome])
		}
		if v, _ := s.Market(m.id, s.at); v.PriceYes+v.PriceNo != One || v.PriceYes < 1 || v.PriceNo < 1 {
			return fmt.Errorf("%s: prices %d and %d", m.id, v.PriceYes, v.PriceNo)
		}
	}
	if available+collateral != s.issued {
		return fmt.Errorf("issued %d, available %d, collateral %d", s.issued, available, collateral)
	}
	return nil
}

// refold folds a log from the start.
func refold(log [][]byte) (*State, error) {
	s := NewState()
	for i, b := range log {
		dec, err := Decode(Seq(i+1), b)
		if err != nil {
			return nil, err
		}
		if err := s.Evolve(dec); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// replay decides every request of a log again and compares the bytes.
func replay(log [][]byte) (*State, error) {
	s := NewState()
	for i, b := range log {
		was, err := Decode(Seq(i+1), b)
		if err != nil {
			return nil, err
		}
		var now Decision
		s.Decide(was.Request, &now)
		if string(now.Append(nil)) != string(b) {
			return nil, fmt.Errorf("sequence %d decides differently", i+1)
		}
		if err := s.Evolve(&now); err != nil {
			return nil, errors.Join(err)
		}
	}
	return s, nil
}
