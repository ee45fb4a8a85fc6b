// Package exact reads and writes the numbers of the command line: credits, shares,
// prices and the values of scalar markets, all with up to six decimals.
//
// It promises that what is read is what was typed and that what is written reads
// back: numbers are whole millionths, and there is no float, no rounding and no
// exponent. It refuses every other form of number, and amounts and prices that
// the engine never takes.
package exact

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/mbp-market/mbp/engine"
)

const decimals = 6

// Parse reads a decimal number with up to six decimals, without a sign, as
// millionths.
func Parse(s string) (int64, error) {
	whole, part, dotted := strings.Cut(s, ".")
	if len(part) > decimals {
		return 0, fmt.Errorf("%q has more than %d decimals", s, decimals)
	}
	digits := whole + part
	if whole == "" || dotted && part == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, fmt.Errorf("%q is not a number such as 10 or 10.5", s)
	}
	n, err := strconv.ParseInt(digits+strings.Repeat("0", decimals-len(part)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is too large", s)
	}
	return n, nil
}

// Format writes millionths as a decimal number, without trailing zeros.
func Format[T ~int64](v T) string {
	n, sign := int64(v), ""
	if n < 0 {
		sign = "-"
	}
	text := strings.TrimPrefix(strconv.FormatInt(n, 10), "-") // the digits, of the smallest number, too
	if len(text) <= decimals {
		text = strings.Repeat("0", decimals+1-len(text)) + text
	}
	whole, part := text[:len(text)-decimals], strings.TrimRight(text[len(text)-decimals:], "0")
	if part != "" {
		whole += "." + part
	}
	return sign + whole
}

// Amount is a flag of credits or shares, 0.000001 to 2^52 millionths; 0 if it was
// not given.
type Amount int64

// Credits returns the amount as credits.
func (a Amount) Credits() engine.Micros { return engine.Micros(a) }

// Shares returns the amount as shares.
func (a Amount) Shares() engine.Shares { return engine.Shares(a) }

// String implements pflag.Value.
func (a Amount) String() string { return given(a) }

// Set implements pflag.Value.
func (a *Amount) Set(s string) error {
	n, err := Parse(s)
	if err == nil && (n < 1 || n > engine.MaxAmount) {
		err = fmt.Errorf("%q is not between 0.000001 and %s", s, Format(int64(engine.MaxAmount)))
	}
	*a = Amount(n)
	return err
}

// Type implements pflag.Value.
func (a Amount) Type() string { return "credits" }

// Price is a flag of a price, which is a probability between 0 and 1; 0 if it was
// not given.
type Price engine.Price

// String implements pflag.Value.
func (p Price) String() string { return given(p) }

// Set implements pflag.Value.
func (p *Price) Set(s string) error {
	n, err := Parse(s)
	if err == nil && (n < 1 || n >= engine.One) {
		err = fmt.Errorf("%q is not between 0.000001 and 0.999999", s)
	}
	*p = Price(n)
	return err
}

// Type implements pflag.Value.
func (p Price) Type() string { return "price" }

// Prices is a flag of several prices with commas between.
type Prices []engine.Price

// String implements pflag.Value.
func (p Prices) String() string {
	texts := make([]string, len(p))
	for i, x := range p {
		texts[i] = Format(x)
	}
	return strings.Join(texts, ",")
}

// Set implements pflag.Value.
func (p *Prices) Set(s string) error {
	*p = nil
	for text := range strings.SplitSeq(s, ",") {
		var x Price
		if err := x.Set(text); err != nil {
			return err
		}
		*p = append(*p, engine.Price(x))
	}
	return nil
}

// Type implements pflag.Value.
func (p Prices) Type() string { return "prices" }

// Value is a flag of a value of a scalar market, in its unit; it may be negative.
type Value int64

// String implements pflag.Value.
func (v Value) String() string { return given(v) }

// Set implements pflag.Value.
func (v *Value) Set(s string) error {
	digits, negative := strings.CutPrefix(s, "-")
	n, err := Parse(digits)
	if negative {
		n = -n
	}
	*v = Value(n)
	return err
}

// Type implements pflag.Value.
func (v Value) Type() string { return "value" }

// given is the text of a flag, empty for one that was not given.
func given[T ~int64](v T) string {
	if v == 0 {
		return ""
	}
	return Format(v)
}
