package words

import "github.com/mbp-market/mbp/engine/internal/ident"

// Period is how often a schedule grants credits, by the calendar of UTC.
type Period uint8

// The periods. The numbers are journalled.
const (
	Daily   Period = 1 // from midnight to midnight
	Weekly  Period = 2 // from Monday to Monday
	Monthly Period = 3 // from the first day of a month to that of the next
)

var periodNames = []string{"", "daily", "weekly", "monthly"}

// MarshalText writes daily, weekly or monthly.
func (p Period) MarshalText() ([]byte, error) { return []byte(Name(periodNames, int(p))), nil }

// UnmarshalText reads daily, weekly or monthly.
func (p *Period) UnmarshalText(b []byte) error {
	i, err := Index(periodNames, "period", string(b))
	*p = Period(i)
	return err
}

const day = 24 * 3600 * 1_000_000 // µs

// Begin returns the first begin of a period after a time, or at it.
func (p Period) Begin(t ident.Time) ident.Time {
	days := int64(t) / day
	if int64(t)%day != 0 {
		days++
	}
	at := ident.Time(days * day)
	switch p {
	case Weekly: // the first day of 1970 was a Thursday
		at += ident.Time((7 - (days+3)%7) % 7 * day)
	case Monthly:
		if of := at.Time(); of.Day() != 1 {
			at = ident.Time(of.AddDate(0, 1, 1-of.Day()).UnixMicro())
		}
	}
	return at
}
