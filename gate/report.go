package gate

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// colours of a terminal, by what a state means.
const (
	green  = "\x1b[32m"
	red    = "\x1b[31m"
	yellow = "\x1b[33m"
	bold   = "\x1b[1m"
	plain  = "\x1b[0m"
)

// Report is report.txt: one line for each criterion, the load, the steps that
// were not OK, what else blocks, and the decision. Equal verdicts give equal
// bytes.
func Report(v Verdict) []byte { return render(v, false) }

// ReportANSI is Report for a terminal that shows colours.
func ReportANSI(v Verdict) []byte { return render(v, true) }

// page writes lines, in colour or not.
type page struct {
	bytes.Buffer
	colour bool
}

func (p *page) paint(code, s string) string {
	if !p.colour {
		return s
	}
	return code + s + plain
}

func render(v Verdict, colour bool) []byte {
	p := &page{colour: colour}
	tree := ""
	if v.Subject.Dirty {
		tree = " and changes that are not committed"
	}
	fmt.Fprintf(p, "%s  profile %s  run %s  ended %s\n", p.paint(bold, "prega"), v.Profile, or(v.RunID, "?"), or(v.EndedAt, "?"))
	fmt.Fprintf(p, "commit %s%s\n\n", or(v.Subject.Commit, "?"), tree)
	p.criteria(v.Rows)
	p.load(v.Load)
	p.steps(v.Steps)
	for i, f := range v.Faults {
		if i == 0 {
			fmt.Fprintf(p, "\n%s\n", p.paint(bold, "Also blocking"))
		}
		fmt.Fprintf(p, "  %s\n", clean(f))
	}
	code := red
	if v.Passed() {
		code = green
	}
	fmt.Fprintf(p, "\n%s  %s\n", p.paint(code, v.Decision), tally(v))
	return p.Bytes()
}

// criteria is the table of rows.
func (p *page) criteria(rows []RowVerdict) {
	table := [][]string{{"REQ", "KPI", "VALUE", "BOUND", "SAMPLES", "VERDICT"}}
	for _, r := range rows {
		value := "-"
		if r.Value != "" {
			value = withUnit(shown(r), r.Unit)
		}
		table = append(table, []string{r.Requirement, r.KPI, value, r.Op + " " + r.Threshold, or(short(r.Samples), "-"), string(r.State)})
	}
	width := make([]int, len(table[0]))
	for _, line := range table {
		for i, cell := range line {
			width[i] = max(width[i], utf8.RuneCountInString(clean(cell)))
		}
	}
	for i, line := range table {
		var b strings.Builder
		for c, cell := range line[:len(line)-1] {
			cell = clean(cell)
			pad := strings.Repeat(" ", width[c]-utf8.RuneCountInString(cell))
			if c == 2 || c == 4 { // numbers
				b.WriteString(pad + cell + "  ")
			} else {
				b.WriteString(cell + pad + "  ")
			}
		}
		if i == 0 {
			fmt.Fprintf(p, "%s\n", p.paint(bold, b.String()+line[len(line)-1]))
			continue
		}
		r := rows[i-1]
		b.WriteString(p.paint(stateColour(r), string(r.State)))
		if !r.Blocks {
			b.WriteString(" (recorded only)")
		}
		if r.State != Pass {
			b.WriteString("  " + clean(r.Reason))
		}
		fmt.Fprintf(p, "%s\n", b.String())
	}
}

func stateColour(r RowVerdict) string {
	switch {
	case r.State == Pass:
		return green
	case r.Blocks:
		return red
	}
	return yellow
}

// load shows the latencies, the mix and the answers of the load.
func (p *page) load(l *LoadSummary) {
	fmt.Fprintf(p, "\n%s\n", p.paint(bold, "Load"))
	if l == nil {
		fmt.Fprintf(p, "  k6 left no summary\n")
		return
	}
	fmt.Fprintf(p, "  decision latency  p50 %s  p95 %s  p99 %s", ms(l.P50), ms(l.P95), ms(l.P99))
	if l.Requests != "" {
		fmt.Fprintf(p, "  of %s requests", short(l.Requests))
	}
	if l.Rate != "" {
		fmt.Fprintf(p, ", %s/s", short(l.Rate))
	}
	fmt.Fprintln(p)
	p.counts("mix", l.Mix, l.Requests)
	p.counts("answers", l.Codes, l.Requests)
}

// counts lists the named numbers that are not zero, with their share of the
// requests. Shares need not add up: an order is a buy and has a limit.
func (p *page) counts(title string, list []Count, requests string) {
	sum, _ := strconv.ParseFloat(requests, 64)
	wide := 0
	for _, c := range list {
		wide = max(wide, utf8.RuneCountInString(clean(c.Name)))
	}
	for _, c := range list {
		n, err := strconv.ParseFloat(c.Value, 64)
		if err == nil && n == 0 {
			continue
		}
		name := clean(c.Name)
		fmt.Fprintf(p, "  %-8s  %s%s  %8s", title, name, strings.Repeat(" ", wide-utf8.RuneCountInString(name)), short(c.Value))
		if sum > 0 {
			fmt.Fprintf(p, "  %6.2f %%", 100*n/sum)
		}
		fmt.Fprintln(p)
		title = ""
	}
}

// steps lists what was not OK, with DISABLED ones for completeness.
func (p *page) steps(steps []StepVerdict) {
	title := true
	for _, s := range steps {
		if s.State == StepOK && !s.Blocks {
			continue
		}
		if title {
			fmt.Fprintf(p, "\n%s\n", p.paint(bold, "Steps that are not OK"))
			title = false
		}
		code := yellow
		if s.Blocks {
			code = red
		}
		fmt.Fprintf(p, "  %s  %s  %s\n", s.Stage, p.paint(code, string(s.State)), clean(s.Reason))
	}
}

// tally counts what decided.
func tally(v Verdict) string {
	pass, block, recorded, steps := 0, 0, 0, 0
	for _, r := range v.Rows {
		switch {
		case !r.Blocks:
			recorded++
		case r.State == Pass:
			pass++
		default:
			block++
		}
	}
	for _, s := range v.Steps {
		if s.Blocks {
			steps++
		}
	}
	text := fmt.Sprintf("%d of %d blocking criteria pass", pass, pass+block)
	if recorded > 0 {
		text += fmt.Sprintf(", %d recorded only", recorded)
	}
	if steps > 0 {
		text += fmt.Sprintf(", %d steps block", steps)
	}
	if len(v.Faults) > 0 {
		text += fmt.Sprintf(", %d faults", len(v.Faults))
	}
	return text
}

// shown shortens the row's value for reading, unless the short form would tell
// another story about the bound than the exact one.
func shown(r RowVerdict) string {
	s := short(r.Value)
	exact, err1 := strconv.ParseFloat(r.Value, 64)
	rounded, err2 := strconv.ParseFloat(s, 64)
	bound, err3 := number(r.Threshold)
	if err1 != nil || err2 != nil || err3 != nil || ops[r.Op] == nil || ops[r.Op](exact, bound) != ops[r.Op](rounded, bound) {
		return r.Value
	}
	return s
}

// short rounds a long number to six digits; whole numbers stay whole.
func short(s string) string {
	f, err := strconv.ParseFloat(s, 64)
	switch {
	case err != nil || len(s) <= 7:
		return s
	case f == math.Trunc(f) && math.Abs(f) < 1e15:
		return strconv.FormatFloat(f, 'f', -1, 64)
	case math.Abs(f) >= 1e5 && math.Abs(f) < 1e15:
		return strconv.FormatFloat(f, 'f', 1, 64)
	}
	return strconv.FormatFloat(f, 'g', 6, 64)
}

func withUnit(value, unit string) string {
	if unit == "" || unit == "1" {
		return value
	}
	return value + " " + unit
}

func ms(s string) string {
	if s == "" {
		return "-"
	}
	return short(s) + " ms"
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return clean(s)
}

// clean keeps one line one line, and the terminal's state ours: evidence comes
// from programs that are being judged.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == utf8.RuneError || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return ' '
		}
		return r
	}, s)
}
