package core

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"

	"github.com/mbp-market/mbp/engine/internal/book"
	"github.com/mbp-market/mbp/engine/internal/due"
	"github.com/mbp-market/mbp/engine/internal/fold"
	"github.com/mbp-market/mbp/engine/internal/guard"
	"github.com/mbp-market/mbp/engine/internal/repeat"
	"github.com/mbp-market/mbp/engine/internal/twap"
)

// comparer compares two states in every field, exported or not. A type that is not
// in rules is compared field by field; so a new field is compared at once.
type comparer struct {
	t    failer
	seen map[string]bool // type.field: whether it ever had anything in it
}

// rule says what of a type is not compared as it lies in memory. All of its fields
// are named, so that a new one must be thought of here.
type rule struct {
	same    []string // compared as they are
	short   []string // lists whose end may be missing while it is zero
	skipped []string // scratch, caches, indexes and layout: what they say is compared elsewhere
	flat    bool     // chunks from head on are one list
	form    func(reflect.Value) []byte
}

// formOf reads the canonical form of a value that is exported all the way.
func formOf[T any, P interface {
	*T
	Append(b []byte) []byte
}](v reflect.Value) []byte {
	return P(v.Addr().Interface().(*T)).Append(nil) //nolint:forcetypeassert // by the rule's type
}

var rules = map[string]rule{
	"fold.State": {
		same: []string{"Seq", "At", "Init", "Version", "Policy", "Before", "Mode", "DueHeld", "Ruled", "Templates", "Keys", "Added", "Accounts", "Roster", "Schedules", "Webhooks", "Markets", "Ledger", "Held", "Orders",
			"Due", "Work", "Moderations", "Abuses", "Repeats", "Told", "Seasons"},
		skipped: []string{"entry", "pools"},
	},
	"recent.Set[github.com/mbp-market/mbp/engine/internal/ident.Seq,*github.com/mbp-market/mbp/engine.Moderated]": {same: []string{"most", "each", "kept", "of"}, skipped: []string{"order"}},
	"recent.Set[github.com/mbp-market/mbp/engine/internal/ident.Seq,bool]":                                        {same: []string{"most", "each", "kept", "of"}, skipped: []string{"order"}},
	"ledger.Ledger":  {same: []string{"at", "accounts", "markets", "issued", "platform"}, skipped: []string{"tally", "touched"}},
	"ledger.account": {same: []string{"available", "reserved", "markets"}, skipped: []string{"move"}},
	"ledger.Market": {
		same:    []string{"id", "n", "pools", "supply", "units", "funds", "holders", "shares", "net", "ring"},
		short:   []string{"held", "unitsOf", "lack"},
		skipped: []string{"index", "lastAccount", "lastIndex", "moves", "touched", "was", "sums"},
	},
	"told.Set":    {same: []string{"texts", "erased", "nobodys"}},
	"ledger.ring": {same: []string{"limit", "window", "n", "newest", "lost"}, skipped: []string{"chunks", "head", "spare", "oldest"}, flat: true},
	"ledger.Past": {
		same:    []string{"s", "left", "done", "holders", "shares", "unitsOf", "received", "pools", "supply", "sets", "units", "funds"},
		skipped: []string{"m", "seen"},
	},
	"book.Book":  {skipped: []string{"bids", "asks"}},
	"book.Store": {skipped: []string{"nodes", "levels", "blocks", "index", "accounts"}},
	"due.Queue":  {skipped: []string{"heap", "place", "free", "slots"}},
	"repeat.Set": {
		same:    []string{"window", "limit", "n"},
		skipped: []string{"keys", "pages", "used", "free", "first", "last", "names", "owners", "spare", "heap", "at", "seen"},
	},
	"twap.Guard":  {skipped: []string{"Ring", "variance", "begin", "from", "ref", "samples", "still", "run", "diverged"}, form: formOf[twap.Guard]},
	"guard.Spike": {skipped: []string{"open", "until", "last", "head", "lo", "hi"}, form: formOf[guard.Spike]},
	"guard.Wash":  {skipped: []string{"head", "runs"}, form: formOf[guard.Wash]},
}

// states compares two states and what lies behind the rules.
func (c *comparer) states(t failer, a, b *fold.State) {
	t.Helper()
	c.t = t
	c.walk("state", reflect.ValueOf(a).Elem(), reflect.ValueOf(b).Elem())
	c.list("orders", ordersOf(a), ordersOf(b))
	c.list("deadlines", deadlinesOf(a), deadlinesOf(b))
	c.list("requests", requestsOf(a), requestsOf(b))
	for i := range a.Markets {
		for j := range a.Markets[i].Books {
			x, y := &a.Markets[i].Books[j], &b.Markets[i].Books[j]
			c.list("a book", standing(a, x), standing(b, y))
			for _, bid := range []bool{true, false} {
				c.list("levels", a.Orders.Levels(x, bid, 1000, nil), b.Orders.Levels(y, bid, 1000, nil))
				p, _ := x.Best(bid)
				if q, _ := y.Best(bid); p != q || x.Len() != y.Len() {
					t.Fatalf("the best price of market %d is %d, was %d", i+1, q, p)
				}
			}
		}
	}
	for id := range uint32(len(a.Accounts) + 1) {
		var x, y []uint64
		for o := range a.Orders.ByAccount(id) {
			x = append(x, o.ID)
		}
		for o := range b.Orders.ByAccount(id) {
			y = append(y, o.ID)
		}
		if !slices.Equal(x, y) || b.Orders.Count(id) != len(x) {
			t.Fatalf("account %d has orders %d, had %d", id, y, x)
		}
	}
}

func (c *comparer) list(path string, a, b any) {
	c.t.Helper()
	c.walk(path, reflect.ValueOf(a), reflect.ValueOf(b))
}

func ordersOf(s *fold.State) (all []book.Order) {
	s.Orders.InOrder(func(o *book.Order) { all = append(all, *o) })
	return all
}

func standing(s *fold.State, b *book.Book) (all []book.Order) {
	s.Orders.Each(b, func(o *book.Order) { all = append(all, *o) })
	return all
}

func deadlinesOf(s *fold.State) (all []due.Entry) {
	s.Due.Each(func(e due.Entry) { all = append(all, e) })
	return all
}

type request struct {
	who   string
	key   repeat.Tag
	entry repeat.Entry
}

func requestsOf(s *fold.State) (all []request) {
	s.Repeats.Each(func(who string, key repeat.Tag, e repeat.Entry) { all = append(all, request{who, key, e}) })
	return all
}

func (c *comparer) walk(path string, a, b reflect.Value) {
	c.t.Helper()
	if a.Kind() != reflect.Struct && a.Kind() != reflect.Slice && a.Kind() != reflect.Array && a.Kind() != reflect.Map && a.Kind() != reflect.Pointer {
		if !a.Equal(b) {
			c.t.Fatalf("%s is %v, was %v", path, b, a)
		}
		return
	}
	switch a.Kind() {
	case reflect.Struct:
		c.fields(path, a, b)
	case reflect.Slice, reflect.Array:
		if a.Len() != b.Len() {
			c.t.Fatalf("%s has %d elements, had %d", path, b.Len(), a.Len())
		}
		for i := range a.Len() {
			c.walk(fmt.Sprintf("%s[%d]", path, i), a.Index(i), b.Index(i))
		}
	case reflect.Map:
		if a.Len() != b.Len() {
			c.t.Fatalf("%s has %d keys, had %d", path, b.Len(), a.Len())
		}
		for _, k := range a.MapKeys() {
			if !b.MapIndex(k).IsValid() {
				c.t.Fatalf("%s has no %v", path, k)
			}
			c.walk(fmt.Sprintf("%s[%v]", path, k), a.MapIndex(k), b.MapIndex(k))
		}
	default:
		if a.IsNil() != b.IsNil() {
			c.t.Fatalf("%s is nil: %t, was %t", path, b.IsNil(), a.IsNil())
		}
		if !a.IsNil() {
			c.walk(path, a.Elem(), b.Elem())
		}
	}
}

func (c *comparer) fields(path string, a, b reflect.Value) {
	c.t.Helper()
	t := a.Type()
	r, ruled := rules[t.String()]
	for i := range t.NumField() {
		name := t.Field(i).Name
		at := path + "." + name
		x, y := a.Field(i), b.Field(i)
		switch {
		case ruled && slices.Contains(r.skipped, name):
			continue
		case ruled && slices.Contains(r.short, name):
			x, y = trim(x), trim(y)
		case ruled && !slices.Contains(r.same, name):
			c.t.Fatalf("%s has a field %s: say in rules how it is compared", t, name)
		}
		field := t.String() + "." + name
		c.seen[field] = c.seen[field] || !empty(x)
		c.walk(at, x, y)
	}
	if r.flat {
		x, y := flatten(a), flatten(b)
		if len(x) != len(y) {
			c.t.Fatalf("%s has %d elements, had %d", path, len(y), len(x))
		}
		for i := range x {
			c.walk(fmt.Sprintf("%s[%d]", path, i), x[i], y[i])
		}
	}
	if r.form != nil && !bytes.Equal(r.form(a), r.form(b)) {
		c.t.Fatalf("%s is %x, was %x", path, r.form(b), r.form(a))
	}
}

func empty(v reflect.Value) bool {
	if k := v.Kind(); k == reflect.Slice || k == reflect.Map {
		return v.Len() == 0
	}
	return v.IsZero()
}

// trim cuts the zeros off the end of a list.
func trim(v reflect.Value) reflect.Value {
	n := v.Len()
	for n > 0 && v.Index(n-1).IsZero() {
		n--
	}
	return v.Slice(0, n)
}

// flatten is the list in the chunks of a ring.
func flatten(ring reflect.Value) (all []reflect.Value) {
	chunks := ring.FieldByName("chunks")
	for i := range chunks.Len() {
		for j := range chunks.Index(i).Len() {
			all = append(all, chunks.Index(i).Index(j))
		}
	}
	return all[ring.FieldByName("head").Int():]
}
