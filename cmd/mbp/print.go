package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
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
	fmt.Fprintf(w, "%s has %s credits available\n", paint(w, bold, a.Account.Account.String()), formatMicros(a.Available))
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
			t.Name(), t.Category, t.TruthSource, formatMicros(t.MinLiquidity) + ".." + formatMicros(t.MaxLiquidity),
			formatMicros(t.MinPrice) + ".." + formatMicros(t.MaxPrice), formatMicros(t.MaxOrder),
		})
	}
	table(w, rows)
}

func showMarkets(w io.Writer, markets []engine.Market) {
	rows := [][]string{{"MARKET", "STATE", "YES", "NO", "VOLUME", "TRADES", "TITLE"}}
	for _, m := range markets {
		rows = append(rows, []string{
			m.Market.String(), m.State.String(), formatMicros(m.PriceYes), formatMicros(m.PriceNo), formatMicros(m.Volume), fmt.Sprint(m.Trades), m.Title,
		})
	}
	table(w, rows)
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
		{"price", formatMicros(m.PriceYes) + " YES, " + formatMicros(m.PriceNo) + " NO, average " + formatMicros(m.TWAP) + " YES"},
		{"pool", formatMicros(m.PoolYes) + " YES, " + formatMicros(m.PoolNo) + " NO"},
		{"depth", formatMicros(m.Depth) + " credits move the price by two points"},
		{"traded", fmt.Sprintf("%s credits in %d trades", formatMicros(m.Volume), m.Trades)},
	} {
		fmt.Fprintf(w, "  %-9s %s\n", line[0], line[1])
	}
}

func showQuote(w io.Writer, q *client.Quote) {
	if q.Code != engine.OK {
		fmt.Fprintf(w, "%s: the order would be refused (market at sequence %d)\n", paint(w, amber, q.Code.String()), q.Seq)
		return
	}
	fmt.Fprintf(w, "%s %s %s of %s for %s credits, average %s; price %s -> %s\n", q.Side, formatMicros(q.Shares), q.Outcome, q.Market,
		formatMicros(q.Amount), formatMicros(q.Average), formatMicros(q.PriceBefore), formatMicros(q.PriceAfter))
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
		if into(&e) {
			return fmt.Sprintf("%s opened at %s with %s credits: %s", e.Market, formatMicros(e.Price), formatMicros(e.Liquidity), e.Title)
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
	case "resolution_proposed":
		var e engine.ResolutionProposed
		if into(&e) {
			return fmt.Sprintf("%s proposed for %s, evidence %s", e.Outcome, e.Market, e.EvidenceURI)
		}
	}
	return string(raw)
}
