// Package ident holds what things are known by: times, sequences, the numbers of
// accounts, markets and orders, digests and tags, each with its one text form.
//
// It promises: what a text form writes, it reads, and nothing else, so that a thing
// has one name in logs, paths and files; a zero number is no name. It refuses clocks
// and randomness: ids are counted by whoever decides. Times follow RFC 3339.
package ident

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// BatchLimit is the most items of a batch, and so the most places of an order in one.
const BatchLimit = 50

// Tag is the first 16 bytes of a SHA-256 value: enough to tell requests apart (a
// collision takes about 2^64 of them), half the size in the journal.
type Tag [16]byte

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

// OrderID names an order by the decision that took it and, in a batch, its place
// there; its text form is ord_<seq>, or ord_<seq>.<place> from the second item of
// a batch on. Later orders have larger ids.
type OrderID uint64

// WebhookID names an endpoint by the decision that added it; its text form is
// whk_<seq>.
type WebhookID uint64

// OrderOf returns the id of the order that an item of a decision placed; item is
// 0 but in a batch.
func OrderOf(seq Seq, item int) OrderID { return OrderID(seq)<<6 | OrderID(item) }

// Seq returns the sequence of the decision that took the order.
func (o OrderID) Seq() Seq { return Seq(o >> 6) }

// Item returns the place of the order in its batch, from 0.
func (o OrderID) Item() int { return int(o & 63) }

// String returns the text form.
func (a AccountID) String() string { return "acc_" + strconv.FormatUint(uint64(a), 10) }

// String returns the text form.
func (m MarketID) String() string { return "mkt_" + strconv.FormatUint(uint64(m), 10) }

// String returns the text form.
func (o OrderID) String() string {
	s := "ord_" + strconv.FormatUint(uint64(o.Seq()), 10)
	if i := o.Item(); i != 0 {
		s += "." + strconv.Itoa(i)
	}
	return s
}

// String returns the text form.
func (w WebhookID) String() string { return "whk_" + strconv.FormatUint(uint64(w), 10) }

// MarshalText writes the text form; no webhook is the empty text.
func (w WebhookID) MarshalText() ([]byte, error) { return textID(w.String(), w == 0), nil }

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
func (w *WebhookID) UnmarshalText(b []byte) error {
	n, err := parseID("whk_", string(b), 63)
	*w = WebhookID(n)
	return err
}

// UnmarshalText reads the text form.
func (o *OrderID) UnmarshalText(b []byte) error {
	seq, place, batch := strings.Cut(string(b), ".")
	n, err := parseID("ord_", seq, 58)
	item := uint64(0)
	if batch && err == nil {
		item, err = strconv.ParseUint(place, 10, 8)
		if err != nil || item == 0 || item >= BatchLimit || place[0] == '0' || place[0] == '+' {
			err = fmt.Errorf("%q is not an order id of the form ord_<number>.<place>", b)
		}
	}
	*o = OrderOf(Seq(n), int(item))
	return err
}

func parseID(prefix, s string, bits int) (uint64, error) {
	digits, ok := strings.CutPrefix(s, prefix)
	n, err := strconv.ParseUint(digits, 10, bits)
	if !ok || err != nil || n == 0 || digits[0] == '0' || digits[0] == '+' {
		return 0, fmt.Errorf("%q is not an id of the form %s<number>", strings.Clone(s), prefix)
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
