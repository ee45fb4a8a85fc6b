package words

import (
	"fmt"
	"strconv"
	"strings"
)

// Outcome names an outcome together with the kind of market it belongs to: Yes
// and No of a binary market, Long and Short of a scalar one, Nth(i) of a
// categorical one.
type Outcome uint8

// The outcomes of markets with two. Long and Short are those of a scalar market.
const (
	Yes   Outcome = 0
	No    Outcome = 1
	Long  Outcome = 2
	Short Outcome = 3
	None  Outcome = 4  // of no market: it is cancelled
	first Outcome = 64 // of a categorical market
)

// MaxOutcomes is the most outcomes of a categorical market.
const MaxOutcomes = 64

// Nth returns the outcome with index i, 0..63, of a categorical market.
func Nth(i int) Outcome { return first + Outcome(i) }

// Index returns the place of the outcome in its market, from 0.
func (o Outcome) Index() int {
	if o >= first {
		return int(o - first)
	}
	return int(o & 1)
}

// Other returns the opposite outcome of a market with two.
func (o Outcome) Other() Outcome { return o ^ 1 }

// Of returns the outcome with an index in a market of a kind.
func (k MarketKind) Of(index int) Outcome {
	switch k {
	case Categorical:
		return Nth(index)
	case Scalar:
		return Long + Outcome(index)
	}
	return Outcome(index)
}

// Has reports whether a market of the kind with n outcomes has this one.
func (k MarketKind) Has(o Outcome, n int) bool {
	return o.Index() < n && k.Of(o.Index()) == o
}

// String returns YES, NO, LONG, SHORT, NONE or O1..O64.
func (o Outcome) String() string {
	if o >= first && o < first+MaxOutcomes {
		return "O" + strconv.Itoa(o.Index()+1)
	}
	return Name(outcomeNames, int(o))
}

// MarshalText writes the text form.
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText reads the text form.
func (o *Outcome) UnmarshalText(b []byte) error {
	s := string(b)
	if digits, ok := strings.CutPrefix(s, "O"); ok {
		n, err := strconv.ParseUint(digits, 10, 8)
		if err != nil || n < 1 || n > MaxOutcomes || digits[0] == '0' || digits[0] == '+' {
			return fmt.Errorf("outcome %q is not one of O1 .. O%d", strings.Clone(s), MaxOutcomes)
		}
		*o = Nth(int(n) - 1)
		return nil
	}
	i, err := Index(outcomeNames, "outcome", s)
	*o = Outcome(i)
	return err
}

// MarketKind says how many outcomes a market has and how it pays.
type MarketKind uint8

// The kinds of market. The numbers are journalled.
const (
	Binary      MarketKind = 1 // YES and NO; one of them pays
	Categorical MarketKind = 2 // 2..64 outcomes; one of them pays
	Scalar      MarketKind = 3 // LONG and SHORT; they share the credit linearly
)

// String returns binary, categorical or scalar.
func (k MarketKind) String() string { return Name(kindNames, int(k)) }

// MarshalText writes the stable word.
func (k MarketKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads the stable word.
func (k *MarketKind) UnmarshalText(b []byte) error {
	i, err := Index(kindNames, "kind", string(b))
	*k = MarketKind(i)
	return err
}

var (
	outcomeNames = []string{"YES", "NO", "LONG", "SHORT", "NONE"}
	kindNames    = []string{"", "binary", "categorical", "scalar"}
)
