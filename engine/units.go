package engine

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/mbp-market/mbp/engine/internal/fixed"
	"github.com/mbp-market/mbp/engine/internal/repeat"
)

// Micros is an amount of credits in millionths; one credit is One.
type Micros = fixed.Micros

// Shares is a quantity of outcome shares in millionths; one share pays one
// credit if its outcome wins.
type Shares = fixed.Shares

// Price is the price of one share in Micros, 1..999,999, and at the same time
// the probability in parts per million.
type Price = fixed.Price

// Tag is the first 16 bytes of a SHA-256 value: enough to tell requests apart (a
// collision takes about 2^64 of them), half the size in the journal.
type Tag = repeat.Tag

// One is one credit in Micros, one share in Shares, and the sum of the prices
// of a market.
const One = fixed.One

// MaxAmount bounds every amount, order and pool, in micros (2^52).
const MaxAmount = fixed.MaxPool

// Time is µs since the Unix epoch, UTC. The engine has no clock: time comes
// with each command and never runs backwards.
type Time int64

// Time returns t as a standard time in UTC.
func (t Time) Time() time.Time { return time.UnixMicro(int64(t)).UTC() }

const timeLayout = "2006-01-02T15:04:05.000000Z"

// String returns t in RFC 3339 with µs.
func (t Time) String() string { return t.Time().Format(timeLayout) }

// MarshalText writes RFC 3339 with µs.
func (t Time) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads any RFC 3339 time; digits below a µs are dropped.
func (t *Time) UnmarshalText(b []byte) error {
	v, err := time.Parse(time.RFC3339Nano, string(b))
	if err != nil {
		return fmt.Errorf("time %q is not RFC 3339: %w", b, err)
	}
	*t = Time(v.UnixMicro())
	return nil
}

// Seq is the position of a decision in the journal; the first is 1.
type Seq uint64

// AccountID numbers trading accounts densely from 1; its text form is acc_<n>.
type AccountID uint32

// MarketID numbers markets densely from 1; its text form is mkt_<n>.
type MarketID uint32

// OrderID is the sequence of the decision that took the order; its text form is
// ord_<seq>.
type OrderID uint64

// String returns the text form.
func (a AccountID) String() string { return "acc_" + strconv.FormatUint(uint64(a), 10) }

// String returns the text form.
func (m MarketID) String() string { return "mkt_" + strconv.FormatUint(uint64(m), 10) }

// String returns the text form.
func (o OrderID) String() string { return "ord_" + strconv.FormatUint(uint64(o), 10) }

// MarshalText writes the text form; no account is the empty text.
func (a AccountID) MarshalText() ([]byte, error) { return textID(a.String(), a == 0), nil }

// MarshalText writes the text form; no market is the empty text.
func (m MarketID) MarshalText() ([]byte, error) { return textID(m.String(), m == 0), nil }

// MarshalText writes the text form; no order is the empty text.
func (o OrderID) MarshalText() ([]byte, error) { return textID(o.String(), o == 0), nil }

func textID(s string, none bool) []byte {
	if none {
		return nil
	}
	return []byte(s)
}

// UnmarshalText reads the text form.
func (a *AccountID) UnmarshalText(b []byte) error {
	n, err := parseID("acc_", string(b), 32)
	*a = AccountID(n)
	return err
}

// UnmarshalText reads the text form.
func (m *MarketID) UnmarshalText(b []byte) error {
	n, err := parseID("mkt_", string(b), 32)
	*m = MarketID(n)
	return err
}

// UnmarshalText reads the text form.
func (o *OrderID) UnmarshalText(b []byte) error {
	n, err := parseID("ord_", string(b), 64)
	*o = OrderID(n)
	return err
}

func parseID(prefix, s string, bits int) (uint64, error) {
	digits, ok := strings.CutPrefix(s, prefix)
	n, err := strconv.ParseUint(digits, 10, bits)
	if !ok || err != nil || n == 0 || digits[0] == '0' || digits[0] == '+' {
		return 0, fmt.Errorf("%q is not an id of the form %s<number>", s, prefix)
	}
	return n, nil
}

// Digest is a SHA-256 value; its text form is 64 hex digits.
type Digest [32]byte

// String returns lower-case hex.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// MarshalText writes lower-case hex.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads 64 hex digits.
func (d *Digest) UnmarshalText(b []byte) error {
	if len(b) != 64 {
		return fmt.Errorf("a SHA-256 digest has 64 hex digits, not %d characters", len(b))
	}
	_, err := hex.Decode(d[:], b)
	return err
}

// Outcome is the index of an outcome in its market; a binary market has Yes and
// No.
type Outcome uint8

// The outcomes of a binary market.
const (
	Yes Outcome = 0
	No  Outcome = 1
)

// Other returns the opposite outcome of a binary market.
func (o Outcome) Other() Outcome { return 1 - o }

// String returns YES or NO.
func (o Outcome) String() string { return name(outcomeNames, int(o)) }

// MarshalText writes YES or NO.
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText reads YES or NO.
func (o *Outcome) UnmarshalText(b []byte) error {
	i, err := index(outcomeNames, "outcome", string(b))
	*o = Outcome(i)
	return err
}

// Side says whether an order buys or sells shares.
type Side uint8

// The sides of an order.
const (
	Buy  Side = 1
	Sell Side = 2
)

// String returns buy or sell.
func (s Side) String() string { return name(sideNames, int(s)) }

// MarshalText writes buy or sell.
func (s Side) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads buy or sell.
func (s *Side) UnmarshalText(b []byte) error {
	i, err := index(sideNames, "side", string(b))
	*s = Side(i)
	return err
}

// TIF is the time in force of an order.
type TIF uint8

// The times in force.
const (
	IOC TIF = 1 // immediate or cancel: fill what the limit allows, drop the rest
	FOK TIF = 2 // fill or kill: all or nothing
)

// String returns ioc or fok.
func (t TIF) String() string { return name(tifNames, int(t)) }

// MarshalText writes ioc or fok.
func (t TIF) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads ioc or fok.
func (t *TIF) UnmarshalText(b []byte) error {
	i, err := index(tifNames, "tif", string(b))
	*t = TIF(i)
	return err
}

var (
	outcomeNames = []string{"YES", "NO"}
	sideNames    = []string{"", "buy", "sell"}
	tifNames     = []string{"", "ioc", "fok"}
)

func name(names []string, i int) string {
	if i < 0 || i >= len(names) {
		return "unknown"
	}
	return names[i]
}

func index(names []string, what, s string) (int, error) {
	for i := range names {
		if names[i] == s && s != "" {
			return i, nil
		}
	}
	return 0, fmt.Errorf("%s %q is not one of %s", what, s, strings.TrimSpace(strings.Join(names, " ")))
}
