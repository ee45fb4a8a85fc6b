package history

import (
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/wire"
)

// page is which rows are asked for.
type page struct {
	market      engine.MarketID // 0: any
	outcome     *engine.Outcome
	side        engine.Side // 0: either
	from, until engine.Time // from on, before until
	before      uint64      // the cursor: a place after the first one; 0: none
	limit       int
}

// spanOf reads what every page takes: a cursor, a span of time, a limit.
func spanOf(r *wire.Request, most int64) *page {
	p := &page{until: 1 << 62, before: uint64(r.Positive("before")), limit: int(r.Within("limit", most, normalPage))}
	if r.Given("from") {
		p.from = r.Moment("from", true)
	}
	if r.Given("until") {
		p.until = r.Moment("until", true)
	}
	return p
}

// pageOf reads what every list of trades or orders takes.
func pageOf(r *wire.Request) *page {
	p := spanOf(r, maxPage)
	if r.Given("outcome") {
		p.outcome = new(engine.Outcome)
		r.Into("outcome", true, p.outcome)
	}
	r.Into("side", false, &p.side)
	return p
}

func (p *page) marketOf(r *wire.Request) { r.Into("market", false, &p.market) }

func (p *page) wants(m engine.MarketID, o engine.Outcome, s engine.Side) bool {
	return (p.market == 0 || p.market == m) && (p.outcome == nil || *p.outcome == o) && (p.side == 0 || p.side == s)
}

// row is what a walk sees of a row.
type row struct {
	before uint64 // the place of the row before it
	at     engine.Time
	wanted bool
}

// walk goes through a list of rows backwards, from the cursor on if there is one,
// else from its last place. see looks at the row of a place and says whether it
// is there and of this list, for a cursor may name anything; take takes it. The
// result is the cursor of the next page, 0 if there is none.
func (p *page) walk(last uint64, see func(place uint64) (row, bool), take func(place uint64)) (next uint64) {
	place := last
	if p.before != 0 {
		place = p.before - 1
	}
	for taken, looked := 0, 0; ; looked++ {
		r, there := see(place)
		switch {
		case !there || r.at < p.from:
			return 0
		case taken == p.limit || looked == maxLookedAt:
			return place + 1
		case r.wanted && r.at < p.until:
			take(place)
			taken++
		}
		place = r.before
	}
}
