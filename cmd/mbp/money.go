package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/mbp-market/mbp/engine"
)

const decimals = 6

// parseMicros reads a decimal number with up to six decimals as millionths,
// exactly: no float, no rounding, no exponent, no sign.
func parseMicros(s string) (int64, error) {
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

// formatMicros writes millionths as a decimal number, without trailing zeros.
func formatMicros[T ~int64](v T) string {
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

// amountFlag is a flag of credits or shares.
type amountFlag struct{ micros int64 }

// String implements pflag.Value.
func (a *amountFlag) String() string {
	if a.micros == 0 {
		return ""
	}
	return formatMicros(a.micros)
}

// Set implements pflag.Value.
func (a *amountFlag) Set(s string) error {
	n, err := parseMicros(s)
	if err == nil && (n < 1 || n > engine.MaxAmount) {
		err = fmt.Errorf("%q is not between 0.000001 and %s", s, formatMicros(int64(engine.MaxAmount)))
	}
	a.micros = n
	return err
}

// Type implements pflag.Value.
func (a *amountFlag) Type() string { return "credits" }

// priceFlag is a flag of a price, which is a probability.
type priceFlag struct{ price engine.Price }

// String implements pflag.Value.
func (p *priceFlag) String() string {
	if p.price == 0 {
		return ""
	}
	return formatMicros(p.price)
}

// Set implements pflag.Value.
func (p *priceFlag) Set(s string) error {
	n, err := parseMicros(s)
	if err == nil && (n < 1 || n >= engine.One) {
		err = fmt.Errorf("%q is not between 0.000001 and 0.999999", s)
	}
	p.price = engine.Price(n)
	return err
}

// Type implements pflag.Value.
func (p *priceFlag) Type() string { return "price" }
