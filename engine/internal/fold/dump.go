package fold

import (
	"crypto/sha256"
	"fmt"
	"io"
	"math"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/internal/book"
	"github.com/mbp-market/mbp/engine/internal/dump"
	"github.com/mbp-market/mbp/engine/internal/guard"
	"github.com/mbp-market/mbp/engine/internal/wire"
)

// DumpVersion is the version of the form of a dump. Another one is not read: what
// it is of is folded from the journal again.
const DumpVersion = 7

// maxEvent bounds the record form of what stands in the state as it came in an
// event, in bytes.
const maxEvent = 16 << 10

// ErrDump wraps every error of Load that is not the reader's.
var ErrDump = dump.ErrFormat

// Hash returns a digest of everything a later decision can depend on: the SHA-256
// of the dump. Equal journals give equal hashes on every platform, and so do a
// state that was folded, one that decided and one that was loaded.
func (s *State) Hash() engine.Digest {
	h := sha256.New()
	if err := s.Dump(h); err != nil { // a hash takes what it gets
		panic(fmt.Sprintf("fold: a state does not fit its dump: %v", err))
	}
	return engine.Digest(h.Sum(nil))
}

// Dump writes the state in its one form, in pieces, and changes nothing. The error
// is the writer's.
func (s *State) Dump(w io.Writer) error {
	c := coder{dump.To(w), s}
	c.state()
	return c.Close()
}

// Load reads a state that Dump wrote, up to the end of r. It decides and folds
// on as the one that was dumped. Whatever else r has is an error that wraps
// ErrDump, and costs no more memory than some hundred times its length. Load looks
// at form and ranges; whether the dump is the right one, its digest tells, and
// whether balances add up, Check.
func Load(r io.Reader) (*State, error) {
	c := coder{dump.From(r), New()}
	c.state()
	if err := c.Close(); err != nil {
		return nil, fmt.Errorf("load a state: %w", err)
	}
	return c.s, nil
}

// coder codes one state: what is said once holds for both directions.
type coder struct {
	*dump.Codec
	s *State
}

func num[T ~uint8 | ~uint16 | ~uint32 | ~uint64](c coder, v *T) { wire.Num(&c.Codec.Codec, v) }

func signed[T ~int64](c coder, vs ...*T) {
	for _, v := range vs {
		wire.Signed(&c.Codec.Codec, v)
	}
}

// event codes what has a record form, as an event around it. Of is the event, with
// the value in it if it is written.
func (c coder) event(of engine.Event) {
	var b []byte
	if !c.Decoding {
		b = engine.Canonical(of)
	}
	if c.Bytes(&b, maxEvent); c.Decoding && c.Err == nil {
		if err := engine.ReadCanonical(of, b); err != nil {
			c.Fail("%s: %v", of.Type(), err)
		}
	}
}

func (c coder) policy(p *engine.Policy) {
	e := engine.PolicySet{Policy: *p}
	c.event(&e)
	if *p = e.Policy; e.Rollback {
		c.Fail("a policy is rolled back")
	}
}

func (c coder) state() {
	s, version := c.s, uint32(DumpVersion)
	if num(c, &version); version != DumpVersion {
		c.Fail("version %d of the form is unknown to this binary", version)
		return
	}
	num(c, &s.Seq)
	signed(c, &s.At)
	c.Flag(&s.Init)
	num(c, &s.Version)
	num(c, &s.Mode)
	c.Flag(&s.DueHeld)
	num(c, &s.Ruled)
	if s.Seq > math.MaxInt64 || s.At < 0 || c.Decoding && s.Ruled > s.Seq {
		c.Fail("sequence %d, time %d, rules of %d", s.Seq, s.At, s.Ruled)
	}
	c.policy(&s.Policy)
	dump.List(c.Codec, &s.Before, maxPolicies, c.policy)
	c.templates()
	c.keys()
	c.webhooks()
	dump.List(c.Codec, &s.Accounts, math.MaxInt32, c.account)
	if c.Decoding {
		for _, d := range s.Added {
			s.employs(s.Keys[d], 1)
		}
	}
	s.Roster.Code(c.Codec)
	c.schedules()
	s.Ledger.Code(c.Codec)
	if c.Err != nil {
		return
	}
	if c.Decoding && s.Ledger.Accounts() != len(s.Accounts) {
		c.Fail("%d accounts, %d in the ledger", len(s.Accounts), s.Ledger.Accounts())
	}
	if c.markets(); c.Err != nil {
		return
	}
	c.orders()
	dump.List(c.Codec, &s.Work, math.MaxInt32, func(id *engine.MarketID) {
		if num(c, id); s.Market(*id) == nil && c.Decoding {
			c.Fail("work for market %d", *id)
		}
	})
	s.Due.Code(c.Codec)
	c.recent()
	s.Repeats.Code(c.Codec)
	s.Seasons.Code(c.Codec, len(s.Accounts), len(s.Markets))
	s.Told.Code(c.Codec, len(s.Markets), len(s.Accounts), engine.MaxClarifications, uint64(s.Seq))
}

func (c coder) templates() {
	dump.List(c.Codec, &c.s.Templates, math.MaxInt32, func(t **engine.Template) {
		e := engine.TemplateAdded{}
		if !c.Decoding {
			e.Template = **t
		}
		c.event(&e)
		if c.Decoding {
			*t = &e.Template
		}
	})
}

// keys codes every key ever added; of those that were revoked, the digest alone.
func (c coder) keys() {
	dump.List(c.Codec, &c.s.Added, math.MaxInt32, func(d *engine.Digest) {
		c.Raw(d[:])
		k := c.s.Keys[*d]
		live := k != nil
		if c.Flag(&live); !live {
			if c.Decoding {
				c.s.Keys[*d] = nil
			}
			return
		}
		e := engine.KeyAdded{}
		if !c.Decoding {
			e.Key = *k
		}
		c.event(&e)
		if c.Decoding {
			if e.Key.SHA256 != *d {
				c.Fail("key %x is under %x", e.Key.SHA256[:4], d[:4])
			}
			c.s.Keys[*d] = &e.Key
		}
	})
	if c.Decoding && len(c.s.Keys) != len(c.s.Added) {
		c.Fail("a key was added twice")
	}
}

func (c coder) account(a *Account) {
	signed(c, &a.Orders, &a.Trades)
	num(c, &a.Flags)
	c.Flag(&a.Unranked)
	signed(c, &a.Limited)
	num(c, &a.by)
	optional(c, &a.Wash)
	optional(c, &a.Burst)
	tried := a.Attempts != (guard.Self{})
	if c.Flag(&tried); tried {
		if c.Form(&a.Attempts); a.Attempts == (guard.Self{}) {
			c.Fail("attempts that are none")
		}
	}
}

// optional codes a detector that may not have seen anything yet.
func optional[T any, P interface {
	*T
	dump.Form
}](c coder, v *P) {
	there := *v != nil
	if c.Flag(&there); !there {
		return
	}
	if c.Decoding {
		*v = new(T)
	}
	c.Form(*v)
}

// orders codes all resting orders. Where one stands in its book follows from its
// market, as when it came.
func (c coder) orders() {
	s := c.s
	s.Orders.Code(c.Codec, func(o *book.Order) *book.Book {
		m := s.Market(engine.MarketID(o.Market))
		if m == nil || !m.Kind.Has(engine.Outcome(o.Outcome), m.Outcomes()) || s.Account(engine.AccountID(o.Account)) == nil {
			return nil
		}
		return m.Stand(o)
	})
	signed(c, &s.Held.Collateral, &s.Held.Fees, &s.Held.Rounding)
	if !c.Decoding {
		return
	}
	var held Funds
	for _, m := range s.Markets {
		held.Add(m.Balance, 1)
	}
	if held != s.Held && c.Err == nil {
		c.Fail("markets hold %+v, it says %+v", held, s.Held)
	}
}

func (c coder) recent() {
	c.s.Moderations.Code(c.Codec, c.s.Seq, func(m **engine.Moderated) {
		if c.Decoding {
			*m = &engine.Moderated{}
		}
		c.event(*m)
	})
	c.s.Abuses.Code(c.Codec, c.s.Seq, func(dismissed *bool) { c.Flag(dismissed) })
}
