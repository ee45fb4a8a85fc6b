package main

import (
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
	fmt.Fprintf(w, "%s has %s credits available", paint(w, bold, a.Account.Account.String()), formatMicros(a.Available))
	if a.Reserved != 0 {
		fmt.Fprintf(w, ", %s reserved for open orders", formatMicros(a.Reserved))
	}
	fmt.Fprintln(w)
	if len(a.Positions) == 0 {
		return
	}
	rows := [][]string{{"MARKET", "OUTCOME", "SHARES"}}
	for _, p := range a.Positions {
		rows = append(rows, []string{p.Market.String(), p.Outcome.String(), formatMicros(p.Shares)})
	}
	table(w, rows)
}

func showTemplates(w io.Writer, l *client.TemplateList) {
	rows := [][]string{{"TEMPLATE", "CATEGORY", "TRUTH", "LIQUIDITY", "PRICES", "LARGEST ORDER"}}
	for _, t := range l.Templates {
		rows = append(rows, []string{
			t.Name(), t.Category, word(t.Truth.Source), formatMicros(t.MinLiquidity) + ".." + formatMicros(t.MaxLiquidity),
			formatMicros(t.MinPrice) + ".." + formatMicros(t.MaxPrice), formatMicros(t.MaxOrder),
		})
	}
	table(w, rows)
}

func showMarkets(w io.Writer, markets []engine.Market) {
	rows := [][]string{{"MARKET", "STATE", "PRICES", "VOLUME", "TRADES", "TITLE"}}
	for _, m := range markets {
		rows = append(rows, []string{
			m.Market.String(), m.State.String(), prices(m.Outcomes), formatMicros(m.Volume), fmt.Sprint(m.Trades), m.Title,
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
		b.WriteString(formatMicros(o.Price) + " " + firstOf(o.Label, o.Outcome.String()))
	}
	if len(all) > 3 {
		b.WriteString(", …")
	}
	return b.String()
}

// word is the stable word of a value of the engine's vocabulary.
func word(v encoding.TextMarshaler) string {
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
		{"traded", fmt.Sprintf("%s credits in %d trades, %s sets exist, %d orders wait", formatMicros(m.Volume), m.Trades, formatMicros(m.Interest), m.Orders)},
	} {
		fmt.Fprintf(w, "  %-9s %s\n", line[0], line[1])
	}
	if p := m.Proposal; p != nil {
		fmt.Fprintf(w, "  %-9s %s, %d of %d approvals, final at %s\n", "proposed", p.Outcome, p.Approvals, p.Needed, p.FinalAt)
	}
	rows := [][]string{{"OUTCOME", "PRICE", "AVERAGE 5M", "BID", "ASK", "POOL", "DEPTH", "LABEL"}}
	for _, o := range m.Outcomes {
		rows = append(rows, []string{
			o.Outcome.String(), formatMicros(o.Price), formatMicros(o.TWAP), orNone(o.Bid), orNone(o.Ask), formatMicros(o.Pool), formatMicros(o.Depth), o.Label,
		})
	}
	table(w, rows)
}

func orNone(p engine.Price) string {
	if p == 0 {
		return "-"
	}
	return formatMicros(p)
}

func showQuote(w io.Writer, q *client.Quote) {
	if q.Code != engine.OK {
		fmt.Fprintf(w, "%s: the order would be refused (market at sequence %d)\n", paint(w, amber, q.Code.String()), q.Seq)
		return
	}
	fmt.Fprintf(w, "%s %s %s of %s for %s credits, average %s; price %s -> %s\n", q.Side, formatMicros(q.Shares), q.Outcome, q.Market,
		formatMicros(q.Amount), formatMicros(q.Average), formatMicros(q.PriceBefore), formatMicros(q.PriceAfter))
	if q.Fee != 0 {
		fmt.Fprintf(w, "  fee %s credits on top\n", formatMicros(q.Fee))
	}
	if q.Rests != 0 {
		fmt.Fprintf(w, "  %s shares would wait in the book\n", formatMicros(q.Rests))
	}
}

func showOrders(w io.Writer, l *client.OrderList) {
	rows := [][]string{{"ORDER", "MARKET", "OUTCOME", "SIDE", "SHARES", "LIMIT", "FILLED", "EXPIRES"}}
	for _, o := range l.Orders {
		expires := "never"
		if o.Expires != 0 {
			expires = o.Expires.String()
		}
		rows = append(rows, []string{
			o.Order.String(), o.Market.String(), o.Outcome.String(), o.Side.String(), formatMicros(o.Shares), formatMicros(o.Limit), formatMicros(o.Filled), expires,
		})
	}
	table(w, rows)
}

func showBook(w io.Writer, b *client.Book) {
	rows := [][]string{{"SIDE", "PRICE", "SHARES", "ORDERS"}}
	for _, l := range slices.Backward(b.Asks) {
		rows = append(rows, []string{"ask", formatMicros(l.Price), formatMicros(l.Shares), fmt.Sprint(l.Orders)})
	}
	for _, l := range b.Bids {
		rows = append(rows, []string{"bid", formatMicros(l.Price), formatMicros(l.Shares), fmt.Sprint(l.Orders)})
	}
	table(w, rows)
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

// eventLine reads an event as a person does; the rarer ones as the server wrote
// them.
func eventLine(raw json.RawMessage) string {
	into := func(v any) bool { return json.Unmarshal(raw, v) == nil }
	switch typeOf(raw) {
	case "account_opened":
		var e engine.AccountOpened
		if into(&e) {
			return e.Account.String() + " opened"
		}
	case "credits_granted":
		var e engine.CreditsGranted
		if into(&e) {
			return fmt.Sprintf("%s got %s credits", e.Account, formatMicros(e.Amount))
		}
	case "key_added":
		var e engine.KeyAdded
		if into(&e) {
			return fmt.Sprintf("key %s for %s: %s", e.Key.SHA256, e.Key.Principal, strings.Join(e.Key.Roles.Names(), ", "))
		}
	case "market_opened":
		var e engine.MarketOpened
		if into(&e) && len(e.Prices) > 0 {
			return fmt.Sprintf("%s opened at %s with %s credits: %s", e.Market, formatMicros(e.Prices[0]), formatMicros(e.Liquidity), e.Title)
		}
	case "market_state_changed":
		var e engine.MarketStateChanged
		if into(&e) {
			return fmt.Sprintf("%s went from %s to %s", e.Market, e.From, e.To)
		}
	case "order_filled":
		var e engine.OrderFilled
		if into(&e) {
			return fmt.Sprintf("%s: %s %s %s of %s for %s credits, average %s; price %s -> %s", e.Order, e.Side, formatMicros(e.Shares), e.Outcome,
				e.Market, formatMicros(e.Amount), formatMicros(e.Average), formatMicros(e.PriceBefore), formatMicros(e.PriceAfter))
		}
	case "order_rested":
		var e engine.OrderRested
		if into(&e) {
			return fmt.Sprintf("%s waits: %s %s %s of %s at %s", e.Order, e.Side, formatMicros(e.Shares), e.Outcome, e.Market, formatMicros(e.Limit))
		}
	case "resolution_proposed":
		var e engine.ResolutionProposed
		if into(&e) {
			return fmt.Sprintf("%s proposed for %s, evidence %s", e.Outcome, e.Market, e.EvidenceURI)
		}
	}
	return string(raw)
}
