package remote

import (
	"cmp"
	"context"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/mbp-market/mbp/cmd/mbp/exact"
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
)

// isNetwork reports whether an error is about reaching the server.
func isNetwork(err error) bool {
	var n *net.OpError
	var u *url.Error
	return errors.As(err, &n) || errors.As(err, &u) || errors.Is(err, context.DeadlineExceeded)
}

// The colours of a terminal.
const (
	bold  = "1"
	green = "32"
	amber = "33"
	grey  = "90"
)

// paint colours text if w is a terminal and nobody asked for none.
func paint(w io.Writer, colour, text string) string {
	f, isFile := w.(*os.File)
	if !isFile || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return text
	}
	if st, err := f.Stat(); err != nil || st.Mode()&os.ModeCharDevice == 0 {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// table writes rows in columns; the first row is the head. Colour codes take
// room in tabwriter, so only the head, as a whole line, has one.
func table(w io.Writer, rows [][]string) {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		fmt.Fprintln(t, strings.Join(r, "\t"))
	}
	_ = t.Flush() // into memory
	head, rest, _ := strings.Cut(b.String(), "\n")
	fmt.Fprintln(w, paint(w, bold, strings.TrimRight(head, " ")))
	for line := range strings.Lines(rest) {
		fmt.Fprintln(w, strings.TrimRight(line, " \n"))
	}
}

func showAccount(w io.Writer, a *client.Account) {
	fmt.Fprintf(w, "%s has %s credits available", paint(w, bold, a.Account.Account.String()), exact.Format(a.Available))
	if a.Limited != nil {
		fmt.Fprintf(w, ", places no orders before %s", a.Limited)
	}
	if a.Reserved != 0 {
		fmt.Fprintf(w, ", %s reserved for open orders", exact.Format(a.Reserved))
	}
	fmt.Fprintln(w)
	if len(a.Positions) == 0 {
		return
	}
	rows := [][]string{{"MARKET", "OUTCOME", "SHARES", "FOR SALE"}}
	for _, p := range a.Positions {
		rows = append(rows, []string{p.Market.String(), p.Outcome.String(), exact.Format(p.Shares), exact.Format(p.Reserved)})
	}
	table(w, rows)
}

func showTemplates(w io.Writer, l *client.TemplateList) {
	rows := [][]string{{"TEMPLATE", "KIND", "CATEGORY", "TRUTH", "FEE", "LIQUIDITY", "PRICES", "LARGEST ORDER"}}
	for _, t := range l.Templates {
		rows = append(rows, []string{
			t.Name(), t.Kind.String(), t.Category, wordOf(t.Truth.Source), feeOf(t.Fee), exact.Format(t.MinLiquidity) + ".." + exact.Format(t.MaxLiquidity),
			exact.Format(t.MinPrice) + ".." + exact.Format(t.MaxPrice), exact.Format(t.MaxOrder),
		})
	}
	table(w, rows)
}

// feeOf is what a template takes.
func feeOf(f engine.FeeRule) string {
	if f.Kind == engine.FeeNone {
		return "none"
	}
	return exact.Format(100*f.Rate) + " % " + wordOf(f.Kind)
}

func showMarkets(w io.Writer, markets []engine.Market) {
	rows := [][]string{{"MARKET", "STATE", "PRICES", "VOLUME", "TRADES", "TITLE"}}
	for _, m := range markets {
		rows = append(rows, []string{
			m.Market.String(), m.State.String(), prices(m.Outcomes), exact.Format(m.Volume), fmt.Sprint(m.Trades), m.Title,
		})
	}
	table(w, rows)
}

// prices lists the three likeliest outcomes.
func prices(all []engine.OutcomeState) string {
	all = slices.Clone(all)
	if len(all) > 2 {
		slices.SortStableFunc(all, func(a, b engine.OutcomeState) int { return int(b.Price - a.Price) })
	}
	var b strings.Builder
	for i, o := range all[:min(3, len(all))] {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(exact.Format(o.Price) + " " + cmp.Or(o.Label, o.Outcome.String()))
	}
	if len(all) > 3 {
		b.WriteString(", …")
	}
	return b.String()
}

// wordOf is the stable word of a value of the engine's vocabulary.
func wordOf(v encoding.TextMarshaler) string {
	b, err := v.MarshalText()
	if err != nil {
		return "unknown"
	}
	return string(b)
}

func showMarket(w io.Writer, m *client.Market) {
	state := paint(w, amber, m.State.String())
	if m.State == engine.Open {
		state = paint(w, green, m.State.String())
	}
	fmt.Fprintf(w, "%s %s %s\n", paint(w, bold, m.Market.Market.String()), state, m.Title)
	closes, outcome := "never", "not decided"
	if m.CloseAt != nil {
		closes = m.CloseAt.String()
	}
	if m.Outcome != nil {
		outcome = m.Outcome.String()
	}
	for _, line := range [][2]string{
		{"template", m.Template}, {"creator", m.Creator.String()}, {"closes", closes}, {"outcome", outcome},
		{"traded", fmt.Sprintf("%s credits in %d trades, %s sets exist, %d orders wait", exact.Format(m.Volume), m.Trades, exact.Format(m.Interest), m.Orders)},
	} {
		fmt.Fprintf(w, "  %-9s %s\n", line[0], line[1])
	}
	if p := m.Proposal; p != nil {
		final := "final"
		if p.Stands {
			final = "stands, final"
		}
		fmt.Fprintf(w, "  %-9s %s, %d of %d approvals, %s at %s, evidence %s\n", "proposed", truthOf(p.Outcome, p.Value, p.Cancel), p.Approvals, p.Needed, final, p.FinalAt, p.EvidenceURI)
	}
	if m.Kind == engine.Scalar {
		fmt.Fprintf(w, "  %-9s %s to %s\n", "range", exact.Format(m.Min), exact.Format(m.Max))
	}
	if m.CoolUntil != nil {
		fmt.Fprintf(w, "  %-9s until %s, after a price spike\n", "cools", m.CoolUntil)
	}
	rows := [][]string{{"OUTCOME", "PRICE", "AVERAGE 5M", "BID", "ASK", "POOL", "DEPTH", "LABEL"}}
	for _, o := range m.Outcomes {
		rows = append(rows, []string{
			o.Outcome.String(), exact.Format(o.Price), exact.Format(o.TWAP), orNone(o.Bid), orNone(o.Ask), exact.Format(o.Pool), exact.Format(o.Depth), o.Label,
		})
	}
	table(w, rows)
}

// truthOf is an outcome or, of a scalar market, the value, or how a market without
// one is cancelled.
func truthOf(o engine.Outcome, value int64, cancel engine.CancelKind) string {
	if cancel != 0 {
		return "to cancel by " + wordOf(cancel)
	}
	if o == engine.Long {
		return "value " + exact.Format(value)
	}
	return o.String()
}

func orNone(p engine.Price) string {
	if p == 0 {
		return "-"
	}
	return exact.Format(p)
}

func showQuote(w io.Writer, q *client.Quote) {
	if q.Code != engine.OK {
		fmt.Fprintf(w, "%s: the order would be refused (market at sequence %d)\n", paint(w, amber, q.Code.String()), q.Seq)
		return
	}
	if q.Shares == 0 {
		fmt.Fprintf(w, "nothing of %s %s of %s would trade now; price %s\n", q.Side, q.Outcome, q.Market, exact.Format(q.PriceBefore))
	} else {
		fmt.Fprintf(w, "%s %s %s of %s for %s credits, average %s; price %s -> %s\n", q.Side, exact.Format(q.Shares), q.Outcome, q.Market,
			exact.Format(q.Amount), exact.Format(q.Average), exact.Format(q.PriceBefore), exact.Format(q.PriceAfter))
	}
	if q.Fee != 0 {
		total, word := q.Amount+q.Fee, "paid"
		if q.Side == engine.Sell {
			total, word = q.Amount-q.Fee, "received"
		}
		fmt.Fprintf(w, "  fee %s credits, %s credits %s in all\n", exact.Format(q.Fee), exact.Format(total), word)
	}
	var book engine.Shares
	for _, f := range q.Fills {
		if f.With == "book" {
			book += f.Shares
		}
	}
	if book != 0 {
		fmt.Fprintf(w, "  %s shares of it from orders in the book\n", exact.Format(book))
	}
	if q.Rests != 0 {
		fmt.Fprintf(w, "  %s shares would wait in the book\n", exact.Format(q.Rests))
	}
	fmt.Fprintf(w, "  at sequence %d; mbp order --if-seq %d gets this or nothing\n", q.Seq, q.Seq)
}

// orderLine is an order that waits, in a few words.
func orderLine(o *engine.OpenOrder) string {
	return fmt.Sprintf("%s %s %s of %s at %s", o.Side, exact.Format(o.Shares), o.Outcome, o.Market, exact.Format(o.Limit))
}

func showOrders(w io.Writer, l *client.OrderList) {
	rows := [][]string{{"ORDER", "MARKET", "OUTCOME", "SIDE", "SHARES", "LIMIT", "FILLED", "EXPIRES"}}
	for _, o := range l.Orders {
		expires := "never"
		if o.Expires != 0 {
			expires = o.Expires.String()
		}
		rows = append(rows, []string{
			o.Order.String(), o.Market.String(), o.Outcome.String(), o.Side.String(), exact.Format(o.Shares), exact.Format(o.Limit), exact.Format(o.Filled), expires,
		})
	}
	table(w, rows)
}

// showBooks writes the levels with the best ones in the middle, as a ladder.
func showBooks(w io.Writer, all books) {
	for i, b := range all {
		if i > 0 {
			fmt.Fprintln(w)
		}
		if len(all) > 1 {
			fmt.Fprintln(w, paint(w, bold, b.Outcome.String()))
		}
		rows := [][]string{{"SIDE", "PRICE", "SHARES", "ORDERS"}}
		for _, l := range slices.Backward(b.Asks) {
			rows = append(rows, []string{"ask", exact.Format(l.Price), exact.Format(l.Shares), fmt.Sprint(l.Orders)})
		}
		for _, l := range b.Bids {
			rows = append(rows, []string{"bid", exact.Format(l.Price), exact.Format(l.Shares), fmt.Sprint(l.Orders)})
		}
		table(w, rows)
	}
}

// showDecision writes a decision as one line, and one for each of its events.
func showDecision(w io.Writer, d *client.Decision) {
	colour := green
	if d.Code != engine.OK {
		colour = amber
	}
	note := ""
	if d.Replayed {
		note = " (answered before)"
	}
	fmt.Fprintf(w, "decision %d %s %s%s\n", d.Seq, paint(w, colour, d.Code.String()), typeOf(d.Command), note)
	for _, e := range d.Events {
		fmt.Fprintln(w, "  "+eventLine(e))
	}
	var noted engine.NoteRefusals
	switch {
	case d.Code != engine.OK || len(d.Events) != 0:
	case typeOf(d.Command) != noted.Type():
		fmt.Fprintln(w, "  nothing had to change")
	case json.Unmarshal(d.Command, &noted) == nil:
		for _, r := range noted.Refusals {
			fmt.Fprintf(w, "  %s was refused %d times with %s, %s to %s\n", refusedName(r.Principal), r.Count, r.Reason, noted.From, noted.Until)
		}
	}
}

// refusedName is who was refused.
func refusedName(principal string) string {
	switch principal {
	case "":
		return "who has no valid key"
	case engine.OtherPrincipals:
		return "everybody else"
	}
	return principal
}

func showDecisions(w io.Writer, p *client.DecisionPage) {
	rows := [][]string{{"SEQ", "DECIDED AT", "CODE", "PRINCIPAL", "COMMAND", "EVENTS"}}
	for _, d := range p.Decisions {
		var events []string
		for _, e := range d.Events {
			events = append(events, typeOf(e))
		}
		rows = append(rows, []string{fmt.Sprint(d.Seq), d.At.String(), d.Code.String(), d.Principal, typeOf(d.Command), strings.Join(events, " ")})
	}
	table(w, rows)
	if p.Next != 0 {
		fmt.Fprintln(w, paint(w, grey, fmt.Sprintf("more: --after %d", p.Next)))
	}
}

func typeOf(raw json.RawMessage) string {
	var head struct {
		Type string `json:"type"`
	}
	_ = json.Unmarshal(raw, &head) // the client read it before
	return head.Type
}
