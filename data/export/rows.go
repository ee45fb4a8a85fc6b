package export

import (
	"encoding/json"
	"fmt"

	"github.com/mbp-market/mbp/data/cdc/lake"
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/schemas/registry"
)

// column is a column of a table; the place in the list is its field id.
type column struct {
	name     string
	kind     registry.Kind
	nullable bool
}

const (
	text   = registry.String
	number = registry.Int64
	moment = registry.Timestamp
)

var columns = map[string][]column{
	Trades: {
		{"seq", number, false}, {"decided_at", moment, false}, {"order", text, false}, {"role", text, false}, {"account", text, false},
		{"market", text, false}, {"outcome", text, false}, {"side", text, false}, {"shares_micros", number, false}, {"amount_micros", number, false},
		{"fee_micros", number, false}, {"price_after_micros", number, true},
	},
	Positions: {
		{"seq", number, false}, {"account", text, false}, {"market", text, false}, {"outcome", text, false}, {"shares_micros", number, false},
		{"reserved_micros", number, false},
	},
	Decisions: {
		{"seq", number, false}, {"decided_at", moment, false}, {"principal", text, false}, {"command", text, false}, {"code", text, false},
		{"detail", text, true}, {"events", number, false}, {"document", text, false},
	},
}

// schemaOf returns a table's columns as the Parquet writer wants them.
func schemaOf(table string) *registry.Schema {
	s := &registry.Schema{Table: "mbp_export_" + table, Version: version}
	for i, c := range columns[table] {
		s.Columns = append(s.Columns, registry.Column{Name: c.name, Kind: c.kind, FieldID: i + 1, Nullable: c.nullable})
	}
	return s
}

// at is a time as a sink wants it.
func at(out sink, t engine.Time) any {
	if _, is := out.(*lake.Stream); is {
		return int64(t)
	}
	return t
}

func (h *Holding) row() []any {
	return []any{int64(h.Seq), h.Account.String(), h.Market.String(), h.Outcome.String(), int64(h.Shares), int64(h.Reserved)}
}

// writeDecision writes a decision with its document: that of GET /v1/decisions/{seq}
// for an auditor.
func writeDecision(out sink, d *engine.Decision) error {
	document, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("encode decision %d: %w", d.Seq, err)
	}
	var detail any
	if d.Detail != "" {
		detail = d.Detail
	}
	return out.Write([]any{
		int64(d.Seq), at(out, d.At), d.Principal, d.Command.Type(), d.Code.String(), detail, int64(len(d.Events)), string(document),
	})
}

// maxWaiting bounds the orders of the book that are remembered while trades are
// written; others are looked up where they were decided.
const maxWaiting = 1 << 16

// rested is what a resting order trades.
type rested struct {
	outcome engine.Outcome
	side    engine.Side
}

// tradeRows makes rows of fills.
type tradeRows struct {
	src     Source
	out     sink
	waiting map[engine.OrderID]rested
}

func (r *tradeRows) take(d *engine.Decision) error {
	for _, e := range d.Events {
		switch x := e.(type) {
		case *engine.OrderRested:
			r.remember(x)
		case *engine.OrdersClosed:
			for i := range x.Orders {
				delete(r.waiting, x.Orders[i].Order)
			}
		case *engine.OrderFilled:
			if x.Shares == 0 {
				continue
			}
			if err := r.fill(d, x); err != nil {
				return err
			}
		}
	}
	return nil
}

// remember keeps what an order trades; where there is no room, nothing is kept any
// more of those before it.
func (r *tradeRows) remember(x *engine.OrderRested) {
	if r.waiting == nil || len(r.waiting) >= maxWaiting {
		r.waiting = map[engine.OrderID]rested{}
	}
	r.waiting[x.Order] = rested{x.Outcome, x.Side}
}

func (r *tradeRows) fill(d *engine.Decision, x *engine.OrderFilled) error {
	err := r.out.Write([]any{
		int64(d.Seq), at(r.out, d.At), x.Order.String(), "taker", x.Account.String(), x.Market.String(), x.Outcome.String(), x.Side.String(),
		int64(x.Shares), int64(x.Amount), int64(x.Fee), int64(x.PriceAfter),
	})
	if err != nil {
		return err
	}
	for i := range x.Fills {
		f := &x.Fills[i]
		if f.Maker == 0 {
			continue
		}
		o, err := r.order(f.Maker)
		if err != nil {
			return err
		}
		err = r.out.Write([]any{
			int64(d.Seq), at(r.out, d.At), f.Maker.String(), "maker", f.Account.String(), x.Market.String(), o.outcome.String(), o.side.String(),
			int64(f.Shares), int64(f.Counter), int64(0), nil,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// order returns what a resting order trades: an order's id names the decision in
// which it came to rest.
func (r *tradeRows) order(id engine.OrderID) (rested, error) {
	if o, known := r.waiting[id]; known {
		return o, nil
	}
	d, err := r.src.Find(id.Seq())
	if err != nil {
		return rested{}, err
	}
	for _, e := range d.Events {
		if x, is := e.(*engine.OrderRested); is && x.Order == id {
			r.remember(x)
			return rested{x.Outcome, x.Side}, nil
		}
	}
	return rested{}, fmt.Errorf("decision %d brought no order %s to rest", id.Seq(), id)
}
