package watch

import (
	"fmt"
	"io"
	"strings"

	"github.com/mbp-market/mbp/cmd/mbp/exact"
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
)

// tellGap says what nobody will be told.
func tellGap(e client.Event, out io.Writer) error {
	var g client.Gap
	err := e.Decode(&g)
	if err == nil {
		_, err = fmt.Fprintf(out, "what was decided after %d and up to %d is not told any more\n", g.After, g.Seq)
	}
	return err
}

// decoded reads the document of an event and writes a line about it.
func decoded[T any](e client.Event, out io.Writer, line func(*T) string) error {
	var doc T
	err := e.Decode(&doc)
	if err == nil {
		_, err = fmt.Fprintln(out, line(&doc))
	}
	return err
}

// tellAccount writes an event of an account as a person reads it.
func tellAccount(e client.Event, out io.Writer) error {
	switch e.Kind {
	case "gap":
		return tellGap(e, out)
	case "snapshot":
		return decoded(e, out, func(s *client.AccountSnapshot) string {
			lines := []string{standing(&s.Account)}
			for i := range s.Orders {
				o := &s.Orders[i]
				lines = append(lines, fmt.Sprintf("%s %s waits: %s %s %s at %s", o.Market, o.Order, o.Side, exact.Format(o.Shares), o.Outcome, exact.Format(o.Limit)))
			}
			return strings.Join(lines, "\n")
		})
	case "fill":
		return decoded(e, out, func(f *client.FillEvent) string {
			what := exact.Format(f.Shares) + " shares"
			if f.Outcome != nil && f.Side != nil {
				what = fmt.Sprintf("%s %s %s", *f.Side, exact.Format(f.Shares), *f.Outcome)
			}
			return fmt.Sprintf("%s %s %s for %s credits, as the %s, by %s", f.At, f.Market, what, exact.Format(f.Amount), f.Role, f.Order)
		})
	case "order":
		return decoded(e, out, order)
	case "grant":
		return decoded(e, out, func(g *client.GrantEvent) string {
			return strings.TrimSpace(fmt.Sprintf("%s granted %s credits %s", g.At, exact.Format(g.Amount), g.Schedule))
		})
	case "payout":
		return decoded(e, out, func(p *client.PayoutEvent) string {
			return fmt.Sprintf("%s %s pays %s credits", p.At, p.Market, exact.Format(p.Credits))
		})
	case "sets", "liquidity":
		return decoded(e, out, func(h *client.HoldingEvent) string {
			return fmt.Sprintf("%s %s %s %s for %s credits", h.At, h.Market, e.Kind, h.Change, exact.Format(h.Amount))
		})
	case "settled":
		return decoded(e, out, func(s *client.SettledEvent) string { return fmt.Sprintf("%s %s is %s", s.At, s.Market, s.State) })
	case "account":
		return decoded(e, out, func(s *client.StandingEvent) string { return fmt.Sprintf("%s %s", s.At, standing(&s.Account)) })
	}
	return nil
}

// order says what became of an order.
func order(o *client.OrderEvent) string {
	line := fmt.Sprintf("%s %s %s %s", o.At, o.Market, o.Order, o.Change)
	switch {
	case o.Outcome != nil && o.Side != nil:
		return fmt.Sprintf("%s: %s %s %s at %s", line, *o.Side, exact.Format(o.Shares), *o.Outcome, exact.Format(o.Limit))
	case o.Reason != nil:
		why, err := o.Reason.MarshalText()
		if err != nil {
			why = []byte("?") // a reason of a newer server
		}
		return fmt.Sprintf("%s: %s, %s waited", line, why, exact.Format(o.Shares))
	}
	return fmt.Sprintf("%s: %s", line, exact.Format(o.Shares))
}

// standing is what an account has, in a few words.
func standing(a *engine.Account) string {
	words := []string{fmt.Sprintf("%s has %s credits, %s reserved", a.Account, exact.Format(a.Available), exact.Format(a.Reserved))}
	for _, p := range a.Positions[:min(shown, len(a.Positions))] {
		words = append(words, fmt.Sprintf("%s %s of %s", exact.Format(p.Shares), p.Outcome, p.Market))
	}
	if len(a.Positions) > shown {
		words = append(words, "…")
	}
	return strings.Join(words, "; ")
}
