// Package member keeps who is in which group and says whom a market's groups let
// trade.
//
// It promises: nobody in a group that is denied is let through, whatever else they are
// in; where groups are allowed, only who is in one of them is; an account is in what an
// operator gave it and in what its identity provider told of it, together, so that
// neither can take away what the other said. Answers are the same on every platform.
// It refuses to know who may say so, and to know persons: an account is a number here.
package member

import (
	"maps"
	"math"
	"slices"

	"github.com/mbp-market/mbp/engine/internal/dump"
	"github.com/mbp-market/mbp/engine/internal/form"
	"github.com/mbp-market/mbp/engine/internal/wire"
)

// MaxName is the most bytes of the name of a group.
const MaxName = 64

// Bounds of what is read from a dump: those of the commands.
const (
	maxOfMarket  = 16
	maxOfAccount = 256
)

// Fault returns what is wrong with a list of groups, "" if nothing is.
func Fault(groups []string, most int) string {
	if len(groups) > most {
		return "there are too many groups"
	}
	for i, g := range groups {
		if !Name(g) {
			return "a group is one line of 1..64 bytes without control characters"
		}
		if i > 0 && groups[i-1] >= g {
			return "groups stand in the order of their bytes, each once"
		}
	}
	return ""
}

// Name reports whether a group can have this name.
func Name(s string) bool { return form.Title(s, MaxName) }

// Gate is whom a market lets trade. The zero value is everybody.
type Gate struct{ Allow, Deny []string }

// Open reports whether the gate lets everybody through.
func (g *Gate) Open() bool { return len(g.Allow)+len(g.Deny) == 0 }

// Groups are those of an account. Both lists are sorted.
type Groups struct {
	Given  []string // by an operator
	Told   []string // by the identity provider
	ToldAt int64    // when it last did, µs; 0: never
}

func (g *Groups) has(name string) bool {
	_, given := slices.BinarySearch(g.Given, name)
	_, told := slices.BinarySearch(g.Told, name)
	return given || told
}

// Admits reports whether the gate lets an account through that is in these groups; nil:
// in none.
func (g *Gate) Admits(of *Groups) bool {
	if of == nil {
		return len(g.Allow) == 0
	}
	return !slices.ContainsFunc(g.Deny, of.has) && (len(g.Allow) == 0 || slices.ContainsFunc(g.Allow, of.has))
}

// Roster says which groups each account is in. Use New. It is not safe for concurrent
// use.
type Roster struct {
	of map[uint32]*Groups // never ranged over but sorted
}

// New returns the roster on which nobody is in a group.
func New() *Roster { return &Roster{of: map[uint32]*Groups{}} }

// Of returns the groups of an account, nil if nothing was ever said of it.
func (r *Roster) Of(account uint32) *Groups { return r.of[account] }

// With returns what the groups of an account would be with one of the lists replaced.
func (r *Roster) With(account uint32, groups []string, toldAt int64) Groups {
	var g Groups
	if was := r.of[account]; was != nil {
		g = *was
	}
	if toldAt != 0 {
		g.Told, g.ToldAt = groups, toldAt
	} else {
		g.Given = groups
	}
	return g
}

// Set replaces one of the lists of an account.
func (r *Roster) Set(account uint32, groups []string, toldAt int64) {
	g := r.With(account, groups, toldAt)
	r.of[account] = &g
}

// Forget takes an account out of all groups, for good.
func (r *Roster) Forget(account uint32) { delete(r.of, account) }

// Code writes or reads the roster, in the order of the accounts.
func (r *Roster) Code(c *dump.Codec) {
	accounts := slices.Sorted(maps.Keys(r.of))
	before := uint32(0)
	dump.List(c, &accounts, math.MaxInt32, func(a *uint32) {
		g := r.of[*a]
		if c.Decoding {
			g = &Groups{}
		}
		if wire.Num(&c.Codec, a); c.Decoding && *a <= before {
			c.Fail("groups of account %d after those of %d", *a, before)
		}
		before = *a
		texts(c, &g.Given, maxOfAccount)
		texts(c, &g.Told, maxOfAccount)
		wire.Signed(&c.Codec, &g.ToldAt)
		r.of[*a] = g
	})
}

// Code writes or reads the gate.
func (g *Gate) Code(c *dump.Codec) {
	texts(c, &g.Allow, maxOfMarket)
	texts(c, &g.Deny, maxOfMarket)
}

func texts(c *dump.Codec, v *[]string, most int) {
	dump.List(c, v, most, func(s *string) { c.Text(s, MaxName) })
	if c.Decoding && c.Err == nil && Fault(*v, most) != "" {
		c.Fail("%s", Fault(*v, most))
	}
}
