package enginetest

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/mbp-market/mbp/engine"
)

// args are the words of a line: plain ones in order, and named ones.
type args struct {
	w     *world
	plain []string
	named map[string]string
	used  map[string]bool
	err   error
}

func (w *world) parse(words []string) *args {
	a := &args{w: w, named: map[string]string{}, used: map[string]bool{}}
	for _, word := range words {
		if k, v, ok := strings.Cut(word, "="); ok {
			a.named[k] = v
		} else {
			a.plain = append(a.plain, word)
		}
	}
	return a
}

func (a *args) fail(format string, v ...any) {
	if a.err == nil {
		a.err = fmt.Errorf(format, v...)
	}
}

// done returns the first error, or an error for a word that nobody asked for.
func (a *args) done() error {
	if a.err != nil {
		return a.err
	}
	for k := range a.named {
		if !a.used[k] {
			return fmt.Errorf("what is %s=?", k)
		}
	}
	if len(a.plain) > 0 {
		return fmt.Errorf("what is %q?", a.plain[0])
	}
	return nil
}

// next takes the next plain word, "" if there is none.
func (a *args) next() string {
	if len(a.plain) == 0 {
		return ""
	}
	v := a.plain[0]
	a.plain = a.plain[1:]
	return v
}

// flag takes a plain word if it is there, wherever it stands.
func (a *args) flag(word string) bool {
	for i, p := range a.plain {
		if p == word {
			a.plain = append(a.plain[:i], a.plain[i+1:]...)
			return true
		}
	}
	return false
}

// words reads names with commas between them; none without the argument.
func (a *args) words(k string) []string {
	if v := a.text(k, ""); v != "" {
		return strings.Split(v, ",")
	}
	return nil
}

func (a *args) text(k, otherwise string) string {
	a.used[k] = true
	if v, ok := a.named[k]; ok {
		return v
	}
	return otherwise
}

// micros reads a decimal number of at most six decimals.
func (a *args) micros(k string, otherwise int64) int64 {
	v := a.text(k, "")
	if v == "" {
		return otherwise
	}
	return a.decimal(v)
}

func (a *args) decimal(v string) int64 {
	digits, negative := strings.CutPrefix(v, "-")
	whole, part, _ := strings.Cut(digits, ".")
	if len(part) > 6 || whole == "" {
		a.fail("%q is not a number of at most six decimals", v)
		return 0
	}
	n, err := strconv.ParseInt(whole+part+strings.Repeat("0", 6-len(part)), 10, 64)
	if err != nil {
		a.fail("%q is not a number", v)
	}
	if negative {
		n = -n
	}
	return n
}

func (a *args) number(k string, otherwise int64) int64 {
	v := a.text(k, "")
	if v == "" {
		return otherwise
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil {
		a.fail("%s=%q is not a whole number", k, v)
	}
	return n
}

// span reads a length of time as µs.
func (a *args) span(v string) int64 {
	d, err := time.ParseDuration(v)
	if err != nil {
		a.fail("%q is not a length of time like 90s, 5m or 24h", v)
	}
	return d.Microseconds()
}

func (a *args) spanOf(k string, otherwise int64) int64 {
	v := a.text(k, "")
	if v == "" {
		return otherwise
	}
	return a.span(v)
}

// at reads a time as +10m after now, -10m before it, or @10m after the script
// began; 0 for none.
func (a *args) at(k string) engine.Time {
	v := a.text(k, "")
	switch {
	case v == "":
		return 0
	case strings.HasPrefix(v, "+"):
		return a.w.now + engine.Time(a.span(v[1:]))
	case strings.HasPrefix(v, "-"):
		return a.w.now - engine.Time(a.span(v[1:]))
	case strings.HasPrefix(v, "@"):
		return start + engine.Time(a.span(v[1:]))
	}
	a.fail("%s=%q is not a time like +10m, -10m or @10m", k, v)
	return 0
}

// account reads the name of an account; unknown ones are acc_999.
func (a *args) account(k string) engine.AccountID {
	v := a.text(k, "")
	if id, ok := a.w.accounts[v]; ok {
		return id
	}
	if v == "nobody" {
		return 999
	}
	a.fail("%s=%q is not an account of the script", k, v)
	return 0
}

// market reads the market that is meant, the last opened one if none is named.
func (a *args) market() engine.MarketID {
	v := a.text("market", "")
	if v == "" {
		return a.w.current
	}
	if id, ok := a.w.markets[v]; ok {
		return id
	}
	if v == "nowhere" {
		return 999
	}
	a.fail("market=%q is not a market of the script", v)
	return 0
}

// outcome reads YES, NO, LONG, SHORT, O1.. or a label of the market.
func (a *args) outcome(m engine.MarketID, v string) engine.Outcome {
	var o engine.Outcome
	if o.UnmarshalText([]byte(strings.ToUpper(v))) == nil {
		return o
	}
	if view, ok := a.w.state.Market(m, a.w.now); ok {
		for _, x := range view.Outcomes {
			if strings.EqualFold(x.Label, v) {
				return x.Outcome
			}
		}
	}
	a.fail("%q is not an outcome", v)
	return 0
}

// order reads #3, the third order that rested, or an id.
func (a *args) order() engine.OrderID {
	v := a.next()
	if n, err := strconv.Atoi(strings.TrimPrefix(v, "#")); err == nil && n >= 1 && n <= len(a.w.orders) {
		return a.w.orders[n-1]
	}
	var id engine.OrderID
	if err := id.UnmarshalText([]byte(v)); err != nil {
		a.fail("%q is not an order of the script", v)
	}
	return id
}

// word reads a named word of the engine's vocabulary.
func word[T any, P interface {
	*T
	UnmarshalText([]byte) error
}](a *args, k, otherwise string) T {
	var v T
	s := a.text(k, otherwise)
	if s == "" {
		return v
	}
	if err := P(&v).UnmarshalText([]byte(s)); err != nil {
		a.fail("%s: %v", k, err)
	}
	return v
}
