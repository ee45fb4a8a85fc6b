package cdc

import (
	"context"
	"errors"
	"fmt"

	"github.com/mbp-market/mbp/data/cdc/lake"
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/schemas/registry"
)

// Seeker is a Source that can begin with any decision that its journal has.
type Seeker interface {
	Source
	// Seek makes next the decision that Next returns next.
	Seek(next uint64)
}

// Lack says which decisions the lake lacks and cannot take: the journal that this
// process reads begins later, and no snapshot reaches back to where the lake ends.
// Nothing after From is written either, so that the lake has no hole: it goes on at
// From as soon as a process runs that reads the archive, too.
type Lack struct {
	From engine.Seq // the first decision that the lake lacks
	Why  string     // one clause
}

// Error says what is lacking, and why.
func (l *Lack) Error() string {
	return fmt.Sprintf("the lake ends at decision %d and takes none after it: %s", l.From-1, l.Why)
}

// Lacks returns what the lake lacks and cannot take, nil if there is no such thing. It
// is safe for concurrent use.
func (p *Pipeline) Lacks() *Lack {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lack
}

// lacks notes what is lacking; nil: nothing is.
func (p *Pipeline) lacks(l *Lack) {
	p.mu.Lock()
	p.lack = l
	p.mu.Unlock()
	if l == nil {
		p.metrics.lacks.Set(0)
		return
	}
	p.metrics.lacks.Set(float64(l.From))
	p.cfg.Logger.Error("the lake stands still, and trading goes on: start with --archive and the folder that has the older segments, and it goes on without a gap",
		"lacks_from", uint64(l.From), "why", l.Why)
}

// late begins where the lake ends, because the journal has not its first decision any
// more: from the state of a snapshot, and with what the lake itself says of its
// markets. Where that cannot be done it stands still, with a lag that grows, until the
// source or ctx ends.
func (p *Pipeline) late(ctx context.Context, src Seeker) error {
	if _, err := p.resume(); err != nil { // whose lake it is, recall finds out
		return err
	}
	f, err := p.recall(ctx, src)
	var lack *Lack
	switch {
	case errors.As(err, &lack):
		p.lacks(lack)
		return p.stand(ctx, src)
	case ended(ctx, err):
		return nil
	case err != nil:
		return fmt.Errorf("cdc: begin at decision %d: %w", p.Position()+1, err)
	}
	return p.run(ctx, func(ctx context.Context) (decided, error) {
		c, err := src.Next(ctx)
		if err != nil {
			return decided{}, err
		}
		return f.take(c)
	})
}

// recall returns the fold as it was at the lake's last decision.
func (p *Pipeline) recall(ctx context.Context, src Seeker) (*fold, error) {
	last := p.Position()
	if p.cfg.Head != nil && p.cfg.Head() < last {
		return nil, fmt.Errorf("%w: the lake is at %d, the journal at %d", ErrAhead, last, p.cfg.Head())
	}
	lack := &Lack{From: last + 1}
	state, err := p.cfg.Start(last)
	if err != nil {
		return nil, err
	}
	if state == nil {
		lack.Why = "the journal here begins later than with decision 1, and no snapshot is as old as the lake"
		return nil, lack
	}
	src.Seek(uint64(state.Seq()) + 1)
	for state.Seq() < last {
		c, err := src.Next(ctx)
		if errors.Is(err, journal.ErrArchived) {
			lack.Why = fmt.Sprintf("the journal here begins after decision %d", state.Seq()+1)
			return nil, lack
		}
		if err != nil {
			return nil, err
		}
		if err := state.Evolve(c.Decision); err != nil {
			return nil, err
		}
	}
	f := &fold{state, map[engine.MarketID]*told{}}
	return f, p.remember(f)
}

// stand holds the place of a lake that cannot go on, until the source or ctx ends.
func (p *Pipeline) stand(ctx context.Context, src Seeker) error {
	defer p.lacks(nil)
	stop, cancel := context.WithCancel(ctx)
	beaten := make(chan struct{})
	go func() { defer close(beaten); p.beat(stop) }()
	defer func() { cancel(); <-beaten }()
	if p.cfg.Head != nil {
		src.Seek(uint64(p.cfg.Head()) + 1)
	}
	for {
		if _, err := src.Next(ctx); ended(ctx, err) {
			return nil
		} else if err != nil {
			return fmt.Errorf("cdc: %w", err)
		}
	}
}

// columns finds the values of a row by their names.
type columns map[string]any

func columnsOf(s *registry.Schema, r lake.Row) columns {
	out := make(columns, len(s.Columns))
	for i, c := range s.Columns {
		out[c.Name] = r.Values[i]
	}
	return out
}

// text is the value of a column, empty if it is null.
func (c columns) text(name string) string {
	v, _ := c[name].(string)
	return v
}

// number is the value of a column, 0 if it is null.
func (c columns) number(name string) int64 {
	v, _ := c[name].(int64)
	return v
}

// remember fills what rows of a market say and the state does not, from the state
// and from the newest rows about the market. It refuses a lake that says something
// else of a market than the state.
func (p *Pipeline) remember(f *fold) error {
	left, settling := f.state.MarketCount(), 0
	for id := engine.MarketID(1); int(id) <= f.state.MarketCount(); id++ {
		m, of := f.state.Market(id, f.state.At())
		if !of {
			return fmt.Errorf("market %s is not in the state", id)
		}
		f.told[id] = known(m)
		if beingPaid(m) {
			settling++
		}
	}
	err := p.lake.Backward(tableMarkets, func(s *registry.Schema, r lake.Row) (bool, error) {
		of, fresh, err := f.seeded(columnsOf(s, r))
		if fresh {
			of.seeded = true
			left--
		}
		return left > 0, err
	})
	if err == nil && left > 0 {
		err = fmt.Errorf("%w: it has no row of %d markets", lake.ErrOtherLog, left)
	}
	if err != nil || settling == 0 {
		return err
	}
	return p.lake.Backward(tableResolutions, func(s *registry.Schema, r lake.Row) (bool, error) {
		done, err := f.ending(columnsOf(s, r))
		if done {
			settling--
		}
		return settling > 0, err
	})
}

// known is what the state knows of what rows have told of a market.
func known(m engine.Market) *told {
	of := &told{}
	if m.State == engine.Resolved || m.State == engine.Canceled {
		return of
	}
	of.prices = make([]engine.Price, len(m.Outcomes))
	for i := range m.Outcomes {
		of.prices[i] = m.Outcomes[i].Price
	}
	if x := m.Proposal; x != nil {
		of.proposal = &engine.ResolutionProposed{
			Market: m.Market, Outcome: x.Outcome, Value: x.Value, Cancel: x.Cancel, EvidenceURI: x.EvidenceURI,
			EvidenceSHA256: x.EvidenceSHA256, EffectiveAt: x.EffectiveAt,
		}
	}
	return of
}

// seeded takes what seeded a market from its newest row; fresh says that it is that.
func (f *fold) seeded(row columns) (of *told, fresh bool, err error) {
	var id engine.MarketID
	if err := id.UnmarshalText([]byte(row.text("market"))); err != nil {
		return nil, false, fmt.Errorf("%w: %w", lake.ErrOtherLog, err)
	}
	m, ok := f.state.Market(id, f.state.At())
	of = f.told[id]
	if !ok || of == nil {
		return nil, false, fmt.Errorf("%w: it tells of market %s", lake.ErrOtherLog, id)
	}
	if of.seeded {
		return of, false, nil
	}
	if row.text("title") != m.Title || row.text("creator") != m.Creator.String() || row.text("state") != m.State.String() {
		return nil, false, fmt.Errorf("%w: market %s is another one there", lake.ErrOtherLog, id)
	}
	of.seed = engine.Micros(row.number("liquidity_micros"))
	return of, true, nil
}

// ending takes how a market that is being settled ends from the row that said so.
func (f *fold) ending(row columns) (done bool, err error) {
	if phase := row.text("phase"); phase != "started" && phase != "canceled" {
		return false, nil
	}
	var id engine.MarketID
	x := &engine.SettlementStarted{Value: row.number("value"), EffectiveAt: engine.Time(row.number("effective_at"))}
	err = errors.Join(
		id.UnmarshalText([]byte(row.text("market"))), x.Ending.UnmarshalText([]byte(row.text("ending"))),
		x.Outcome.UnmarshalText([]byte(row.text("outcome"))), x.EvidenceSHA256.UnmarshalText([]byte(row.text("evidence_sha256"))),
	)
	of := f.told[id]
	if err != nil || of == nil {
		return false, fmt.Errorf("%w: it tells of the end of market %s: %w", lake.ErrOtherLog, id, err)
	}
	m, _ := f.state.Market(id, f.state.At())
	if !beingPaid(m) || of.ending != nil {
		return false, nil
	}
	x.Market, of.ending = id, x
	return true, nil
}

// beingPaid reports whether it is decided how a market ends, and its holders are not
// all paid yet.
func beingPaid(m engine.Market) bool { return m.State == engine.Settling && m.Ending != 0 }
