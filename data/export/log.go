package export

import (
	"context"
	"fmt"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/journal"
)

// Log is the part of journal.Log that an export needs; it may be read while another
// goroutine appends.
type Log interface {
	Read(from uint64, fn func(journal.Record) error) error
}

// OverLog returns the source over a journal. What accounts hold it folds from the
// first decision on.
func OverLog(log Log) Source { return logSource{log} }

type logSource struct{ log Log }

func (l logSource) Read(ctx context.Context, from engine.Seq, fn func(*engine.Decision) error) error {
	err := l.log.Read(uint64(from), func(r journal.Record) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		d, err := engine.Decode(engine.Seq(r.Seq), r.Payload)
		if err != nil {
			return err
		}
		return fn(d)
	})
	if err != nil {
		return fmt.Errorf("read the journal from %d: %w", from, err)
	}
	return nil
}

func (l logSource) Find(seq engine.Seq) (found *engine.Decision, err error) {
	err = l.log.Read(uint64(seq), func(r journal.Record) error {
		if found, err = engine.Decode(engine.Seq(r.Seq), r.Payload); err != nil {
			return err
		}
		return journal.ErrStop
	})
	if err == nil && found == nil {
		err = fmt.Errorf("there is no decision %d", seq)
	}
	return found, err
}

func (l logSource) Holdings(ctx context.Context, after engine.Seq, fn func(Holding) error) error {
	s := core.New()
	if err := each(ctx, l, 1, after, s.Evolve); err != nil {
		return err
	}
	return HoldingsOf(ctx, func(look func(*core.State)) { look(s) }, fn)
}

// lookAccounts bounds the accounts of one look at a state: whoever else needs it
// waits for some tens of µs.
const lookAccounts = 64

// HoldingsOf calls fn with what every account of a state holds. The state is looked
// at in steps, and each row says as of which decision it is.
func HoldingsOf(ctx context.Context, view func(func(*core.State)), fn func(Holding) error) error {
	for next, more := engine.AccountID(1), true; more; {
		var rows []Holding
		view(func(s *core.State) {
			for range lookAccounts {
				a, there := s.Account(next)
				if more = there; !there {
					return
				}
				for _, p := range a.Positions {
					rows = append(rows, Holding{s.Seq(), next, p})
				}
				next++
			}
		})
		for _, h := range rows {
			if err := fn(h); err != nil {
				return err
			}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}
