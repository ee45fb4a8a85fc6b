package book

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"

	"github.com/mbp-market/mbp/engine/internal/fixed"
)

// model is the rule in its shortest form: a list of orders, sorted when asked.
type model struct{ orders []Order }

func (m *model) find(id uint64) int {
	return slices.IndexFunc(m.orders, func(o Order) bool { return o.ID == id })
}

// side returns the orders of one side of a book in price-time priority.
func (m *model) side(book uint8, bid bool) []Order {
	var out []Order
	for _, o := range m.orders {
		if o.Book == book && o.Bid == bid {
			out = append(out, o)
		}
	}
	slices.SortFunc(out, func(a, b Order) int {
		better := int(a.Price - b.Price)
		if bid {
			better = -better
		}
		if better != 0 {
			return better
		}
		return byID(a, b)
	})
	return out
}

func byID(a, b Order) int {
	if a.ID < b.ID {
		return -1
	}
	return 1 // ids are unique
}

// take removes q shares of order i and reports whether that was all.
func (m *model) take(i int, q, filled fixed.Shares) bool {
	m.orders[i].Shares -= q
	m.orders[i].Filled += filled
	if m.orders[i].Shares > 0 {
		return false
	}
	m.orders = slices.Delete(m.orders, i, i+1)
	return true
}

// twin runs a store and the model side by side.
type twin struct {
	t     fataler
	s     *Store
	books []*Book
	m     model
	next  uint64 // the id that comes next in time
}

const accounts = 5

func newTwin(t fataler, books int) *twin {
	w := &twin{t: t, s: NewStore(), next: 1}
	for range books {
		w.books = append(w.books, &Book{})
	}
	return w
}

func (w *twin) add(o Order) {
	w.s.Add(w.books[o.Book], o)
	w.m.orders = append(w.m.orders, o)
}

// pick returns the place of the n-th order, modulo their number.
func (w *twin) pick(n int) (int, Order, bool) {
	if len(w.m.orders) == 0 {
		return 0, Order{}, false
	}
	i := n % len(w.m.orders)
	return i, w.m.orders[i], true
}

// fill takes a part of an order, all of it if part is 0.
func (w *twin) fill(n, part int, filled bool) {
	i, o, ok := w.pick(n)
	if !ok {
		return
	}
	q := o.Shares
	if part > 0 {
		q = 1 + (q-1)*fixed.Shares(part%100)/100
	}
	var done, want bool
	if filled {
		done, want = w.s.Fill(w.books[o.Book], o.ID, q), w.m.take(i, q, q)
	} else {
		done, want = w.s.Reduce(w.books[o.Book], o.ID, q), w.m.take(i, q, 0)
	}
	if done != want {
		w.t.Fatalf("taking %d of %+v: done=%v", q, o, done)
	}
}

func (w *twin) remove(n int) {
	i, o, ok := w.pick(n)
	if !ok {
		return
	}
	if got, ok := w.s.Remove(w.books[o.Book], o.ID); !ok || got != o {
		w.t.Fatalf("removed %+v (%v), want %+v", got, ok, o)
	}
	w.m.orders = slices.Delete(w.m.orders, i, i+1)
	if _, ok := w.s.Get(o.ID); ok {
		w.t.Fatalf("order %d is still there", o.ID)
	}
	if _, ok := w.s.Remove(w.books[o.Book], o.ID); ok {
		w.t.Fatalf("order %d is removed twice", o.ID)
	}
}

// eat removes, while walking, the orders that a cursor has returned; another
// book takes their memory.
func (w *twin) eat(book uint8, bid bool, n int) {
	c := w.s.Cursor(w.books[book], bid)
	for i, want := range w.m.side(book, bid) {
		if i == n {
			break
		}
		peek, _ := c.Peek()
		o, ok := c.Next()
		if !ok || *o != want || peek != o {
			w.t.Fatalf("cursor at %d: %v %v, want %+v", i, o, ok, want)
		}
		w.s.Fill(w.books[book], want.ID, want.Shares)
		w.m.take(w.m.find(want.ID), want.Shares, want.Shares)
		if other := (book + 1) % uint8(len(w.books)); other != book {
			w.add(Order{ID: w.next * 4, Account: accounts, Book: other, Price: 1, Shares: 1})
			w.next++
		}
	}
}

// cancel removes up to n orders of an account while iterating over them, and has
// another account take the memory that each leaves.
func (w *twin) cancel(account uint32, n int) {
	last, first := uint64(0), true
	left := max(0, w.s.Count(account)-n)
	for o := range w.s.ByAccount(account) {
		if n--; n < 0 {
			break
		}
		id := o.ID
		if !first && id <= last || o.Account != account {
			w.t.Fatalf("account %d: order %d of %d after %d", account, id, o.Account, last)
		}
		last, first = id, false
		book := o.Book
		w.s.Remove(w.books[book], id)
		i := w.m.find(id)
		w.m.orders = slices.Delete(w.m.orders, i, i+1)
		w.add(Order{ID: w.next * 4, Account: accounts, Book: book, Price: 1, Shares: 1})
		w.next++
	}
	if got := w.s.Count(account); got != left {
		w.t.Fatalf("account %d keeps %d orders, want %d", account, got, left)
	}
}

// compare asks the store everything and expects what the model says.
func (w *twin) compare() {
	verify(w.t, w.s, w.books)
	if w.s.Len() != len(w.m.orders) {
		w.t.Fatalf("%d orders, want %d", w.s.Len(), len(w.m.orders))
	}
	for _, want := range w.m.orders {
		if o, ok := w.s.Get(want.ID); !ok || *o != want {
			w.t.Fatalf("order %v %v, want %+v", o, ok, want)
		}
	}
	if _, ok := w.s.Get(^uint64(0)); ok {
		w.t.Fatalf("a stranger is found")
	}
	for i, b := range w.books {
		w.compareBook(uint8(i), b)
	}
	for a := range uint32(accounts + 1) {
		var want, got []Order
		for _, o := range w.m.orders {
			if o.Account == a {
				want = append(want, o)
			}
		}
		slices.SortFunc(want, byID)
		for o := range w.s.ByAccount(a) {
			got = append(got, *o)
		}
		if !slices.Equal(got, want) || w.s.Count(a) != len(want) {
			w.t.Fatalf("account %d has %v (%d), want %v", a, got, w.s.Count(a), want)
		}
	}
}

func (w *twin) compareBook(i uint8, b *Book) {
	var all []Order
	for _, bid := range []bool{true, false} {
		side := w.m.side(i, bid)
		all = append(all, side...)
		best, ok := b.Best(bid)
		if ok != (len(side) > 0) || ok && best != side[0].Price {
			w.t.Fatalf("book %d, bid=%v: best %d %v", i, bid, best, ok)
		}
		var levels []Level
		for _, o := range side {
			if n := len(levels); n == 0 || levels[n-1].Price != o.Price {
				levels = append(levels, Level{Price: o.Price})
			}
			l := &levels[len(levels)-1]
			l.Shares += o.Shares
			l.Orders++
		}
		for _, n := range []int{0, 1, 5, len(levels), len(levels) + 3} {
			if got := w.s.Levels(b, bid, n, []Level{{}})[1:]; !slices.Equal(got, levels[:min(n, len(levels))]) {
				w.t.Fatalf("book %d, bid=%v: %d levels %v, want %v", i, bid, n, got, levels)
			}
		}
	}
	if got := each(w.s, b); !slices.Equal(got, all) || b.Len() != len(all) {
		w.t.Fatalf("book %d: %v (%d), want %v", i, got, b.Len(), all)
	}
}

func each(s *Store, b *Book) (out []Order) {
	s.Each(b, func(o *Order) { out = append(out, *o) })
	return out
}

// run executes a program of six bytes per operation. Prices come from a narrow
// band or from all, so that both full levels and large trees come up.
func (w *twin) run(program []byte) {
	for ; len(program) >= 6; program = program[6:] {
		op, a, n := program[0], program[1], int(binary.LittleEndian.Uint32(program[2:]))
		book, bid := a%uint8(len(w.books)), a&64 != 0
		switch op % 16 {
		case 0, 1, 2, 3, 4, 5, 6:
			price := fixed.Price(1 + n%(fixed.One-1))
			if op&16 != 0 {
				price = fixed.Price(499_990 + n%20)
			}
			w.add(w.order(Order{ID: w.next * 4, Book: book, Bid: bid, Price: price, Shares: fixed.Shares(1 + n>>8)}, op, a))
			w.next++
		case 7: // an id of the past, as in a store that is filled again
			if id := uint64(n) % (w.next * 4); w.m.find(id) < 0 {
				w.add(w.order(Order{ID: id, Book: book, Bid: bid, Price: 499_990 + fixed.Price(n%20), Shares: 7}, op, a))
			}
		case 8, 9, 10:
			w.fill(n, int(a), true)
		case 11:
			w.fill(n, int(a), false)
		case 12, 13:
			w.remove(n)
		case 14:
			w.eat(book, bid, n%8)
		case 15:
			w.cancel(uint32(n%accounts), n%8)
		}
	}
}

// order fills in what the store only carries.
func (w *twin) order(o Order, op, a byte) Order {
	o.Account, o.Market = uint32(a)%accounts, uint32(o.Book)
	o.Outcome, o.Sell, o.TIF = a%7, op&32 != 0, op%4
	o.Limit, o.Expires = o.Price/2+1, int64(op)*1000
	return o
}

// noise returns a program of n operations.
func noise(r *rand.Rand, n int) []byte {
	out := make([]byte, 0, 6*n+8)
	for len(out) < 6*n {
		out = binary.LittleEndian.AppendUint64(out, r.Uint64())
	}
	return out[:6*n]
}
