package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
)

// seq and text of one thing that a stream, or the journal, tells of.
type item struct {
	seq  uint64
	text string
}

// truth is what the journal has for the streams of one path: the things that they tell,
// and the decisions that they tell of.
type truth struct {
	items []item
	ids   []uint64
}

// story is the truth by the path of the stream.
type story map[string]*truth

func (s story) of(path string) *truth {
	if s[path] == nil {
		s[path] = &truth{}
	}
	return s[path]
}

// add notes that a decision is told on a path, with what it tells; "" is that something
// stands elsewhere.
func (s story) add(path string, seq engine.Seq, text string) {
	t := s.of(path)
	if n := len(t.ids); n == 0 || t.ids[n-1] != uint64(seq) {
		t.ids = append(t.ids, uint64(seq))
	}
	if text != "" {
		t.items = append(t.items, item{uint64(seq), text})
	}
}

// met counts what makers traded.
func (s story) met() (n int) {
	for _, t := range s {
		for _, i := range t.items {
			if strings.HasPrefix(i.text, "maker ") {
				n++
			}
		}
	}
	return n
}

// fact is what the journal says of orders in an event.
type fact struct {
	Type    string           `json:"type"`
	Order   engine.OrderID   `json:"order"`
	Account engine.AccountID `json:"account"`
	deal
	Fills []struct {
		Maker   engine.OrderID   `json:"maker"`
		Account engine.AccountID `json:"maker_account"`
		Shares  engine.Shares    `json:"shares_micros"`
		Counter engine.Micros    `json:"maker_amount_micros"`
	} `json:"fills"`
	Met    []engine.Met         `json:"met"`
	Orders []engine.ClosedOrder `json:"orders"`
}

// deal is what the streams of markets and the journal both tell of a trade.
type deal struct {
	Market  engine.MarketID `json:"market"`
	Outcome engine.Outcome  `json:"outcome"`
	Side    engine.Side     `json:"side"`
	Amount  engine.Micros   `json:"amount_micros"`
	Shares  engine.Shares   `json:"shares_micros"`
}

func (d *deal) String() string {
	return fmt.Sprintf("%s %s %s %d %d", d.Market, d.Outcome, d.Side, d.Amount, d.Shares)
}

// fill and change are what an account's stream tells of its own.
func fill(role string, o engine.OrderID, amount engine.Micros, shares engine.Shares) string {
	return fmt.Sprintf("%s %s %d %d", role, o, amount, shares)
}

func change(what string, o engine.OrderID, shares engine.Shares) string {
	return fmt.Sprintf("%s %s %d", what, o, shares)
}

// take adds an event of a decision.
func (s story) take(seq engine.Seq, raw json.RawMessage) error {
	var head struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		return err
	}
	switch head.Type {
	case "order_filled", "order_rested", "order_reduced", "orders_closed":
	default:
		return nil // the load makes nothing else
	}
	var x fact
	if err := json.Unmarshal(raw, &x); err != nil {
		return fmt.Errorf("decision %d: %w", seq, err)
	}
	both := func(m engine.MarketID, text string) {
		s.add(everything, seq, text)
		s.add(ofMarket(m), seq, text)
	}
	switch x.Type {
	case "order_filled":
		text := ""
		if x.Shares > 0 {
			text = x.String()
			s.add(ofAccount(x.Account), seq, fill("taker", x.Order, x.Amount, x.Shares))
		}
		both(x.Market, text)
		for _, m := range x.Met {
			s.add(ofAccount(x.Account), seq, change("met_own", m.Order, m.Shares))
		}
		for _, f := range x.Fills {
			if f.Maker != 0 {
				s.add(ofAccount(f.Account), seq, fill("maker", f.Maker, f.Counter, f.Shares))
			}
		}
	case "orders_closed":
		for _, o := range x.Orders {
			both(o.Market, "")
			s.add(ofAccount(o.Account), seq, change("closed", o.Order, o.Shares))
		}
	default:
		both(x.Market, "")
		s.add(ofAccount(x.Account), seq, change(x.Type[len("order_"):], x.Order, x.Shares))
	}
	return nil
}

// told reads the journal up to a sequence over the API.
func (h *house) told(ctx context.Context, last uint64) (story, error) {
	s := story{}
	for after := engine.Seq(0); uint64(after) < last; {
		page, err := h.admin.Decisions(ctx, after, 1000)
		if err != nil {
			return nil, err
		}
		if len(page.Decisions) == 0 {
			return nil, io.ErrUnexpectedEOF
		}
		for _, d := range page.Decisions {
			if after = d.Seq; uint64(after) > last {
				break
			}
			for _, raw := range d.Events {
				if err := s.take(d.Seq, raw); err != nil {
					return nil, err
				}
			}
		}
	}
	return s, nil
}

// reported reads an event of a stream, from the client or from the line: what it tells, "" if
// that is where something stands, and whether it is one of a decision.
func reported(e client.Event) (i item, is bool, err error) {
	var x struct {
		Seq    uint64         `json:"seq"`
		Order  engine.OrderID `json:"order"`
		Role   string         `json:"role"`
		Change string         `json:"change"`
		deal
	}
	switch e.Kind {
	case "trade", "fill", "order":
	case "quote", "account":
		return i, true, nil
	case "snapshot", "heartbeat", "gap":
		return i, false, nil
	default:
		return i, false, &fault{fmt.Sprintf("an event of kind %q", e.Kind)}
	}
	if err := json.Unmarshal(e.Data, &x); err != nil {
		return i, false, &fault{fmt.Sprintf("an event %.200q: %v", e.Data, err)}
	}
	i = item{x.Seq, x.String()}
	switch e.Kind {
	case "fill":
		i.text = fill(x.Role, x.Order, x.Amount, x.Shares)
	case "order":
		i.text = change(x.Change, x.Order, x.Shares)
	}
	return i, true, nil
}

// compare returns how many things and decisions of the journal a subscriber did not
// get since its first snapshot, and how many it got twice, or out of order, or that
// are none.
func (t *truth) compare(s *subscriber) (missing, extra int) {
	m, x := compare(t.items, s.items, func(a item) uint64 { return a.seq }, s.base)
	missing, extra = m, x
	m, x = compare(t.ids, s.ids, func(a uint64) uint64 { return a }, s.base)
	return missing + m, extra + x
}

// compare holds a list against what it should be, both in order by a sequence: what
// comes at another place than its own is extra there, and missing at its own.
func compare[T comparable](want, got []T, seq func(T) uint64, base uint64) (missing, extra int) {
	for len(want) > 0 && seq(want[0]) <= base {
		want = want[1:]
	}
	end := uint64(0)
	if len(want) > 0 {
		end = seq(want[len(want)-1])
	}
	for len(got) > 0 {
		switch {
		case len(want) > 0 && got[0] == want[0]:
			want, got = want[1:], got[1:]
		case len(want) > 0 && seq(got[0]) > seq(want[0]):
			missing++
			want = want[1:]
		case seq(got[0]) > end: // it came after the end of the comparison
			got = got[1:]
		default:
			extra++
			got = got[1:]
		}
	}
	return missing + len(want), extra
}
