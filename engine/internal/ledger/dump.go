package ledger

import "encoding/binary"

// dumpChunk is how many bytes a dump gathers before it hands them over.
const dumpChunk = 4096

// dump writes varints: every list comes after its length, so that two different
// contents never give the same bytes.
type dump struct {
	b    []byte
	emit func([]byte)
}

func newDump(emit func([]byte)) *dump {
	return &dump{b: make([]byte, 0, dumpChunk), emit: emit}
}

func (d *dump) put(vs ...int64) {
	for _, v := range vs {
		if len(d.b)+binary.MaxVarintLen64 > dumpChunk {
			d.flush()
		}
		d.b = binary.AppendVarint(d.b, v)
	}
}

func (d *dump) flush() {
	if len(d.b) > 0 {
		d.emit(d.b)
		d.b = d.b[:0]
	}
}

// Dump hands emit the canonical form of the ledger, in pieces of at most 4 KiB
// that are emit's until it returns: everything a later Apply or Rewind can depend
// on. Equal histories give equal bytes on every platform, however memory lies.
func (l *Ledger) Dump(emit func([]byte)) {
	d := newDump(emit)
	d.put(l.at, int64(l.issued), int64(l.platform), int64(len(l.accounts)), int64(len(l.markets)))
	for i := range l.accounts {
		a := &l.accounts[i]
		d.put(int64(a.available), int64(a.reserved), int64(len(a.markets)))
		for _, m := range a.markets {
			d.put(int64(m))
		}
	}
	for _, m := range l.markets {
		m.dump(d)
	}
	d.flush()
}

// Dump is Ledger.Dump for one market.
func (m *Market) Dump(emit func([]byte)) {
	d := newDump(emit)
	m.dump(d)
	d.flush()
}

func (m *Market) dump(d *dump) {
	d.put(int64(m.id), int64(m.n), int64(m.units), int64(m.funds.collateral), int64(m.funds.fees), int64(m.funds.rounding))
	for o := range m.n {
		d.put(int64(m.pools[o]), int64(m.supply[o]))
	}
	d.put(int64(len(m.holders)))
	for i, a := range m.holders {
		d.put(int64(a), int64(m.UnitsOf(i)), int64(m.net[i]))
		for o := range m.n {
			d.put(int64(m.Shares(i, o)), int64(m.Held(i, o)))
		}
	}
	r := &m.ring
	d.put(int64(r.limit), r.window, r.newest, r.lost, int64(r.n))
	before := int64(0)
	for i := range r.n {
		e := r.get(i)
		d.put(e.at-before, e.amount, int64(e.holder), int64(e.outcome)<<8|int64(e.kind))
		before = e.at
	}
}

// Dump hands emit the canonical form of a rewind that has done, as Ledger.Dump
// does; of one that has not, only what it was asked for, because the rest follows
// from the market.
func (p *Past) Dump(emit func([]byte)) {
	d := newDump(emit)
	defer d.flush()
	d.put(int64(p.m.id), p.s)
	if !p.done {
		return
	}
	d.put(int64(p.funds.collateral), int64(p.funds.fees), int64(p.funds.rounding), int64(p.units), int64(p.holders))
	for o := range p.m.n {
		d.put(int64(p.supply[o]-p.sets), int64(p.pools[o]-p.sets))
	}
	for i := range p.holders {
		d.put(int64(p.unitsOf[i]), int64(p.received[i]))
		for o := range p.m.n {
			d.put(int64(p.Shares(i, o)))
		}
	}
}
