package wire

import (
	"fmt"

	"github.com/mbp-market/mbp/engine"
)

// Slug is the name of a schedule or a season in a path.
type Slug string

// UnmarshalText reads 1..64 characters a-z, 0-9 and -.
func (s *Slug) UnmarshalText(b []byte) error {
	for _, c := range b {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return fmt.Errorf("%q is no name", b)
		}
	}
	if len(b) == 0 || len(b) > MaxName {
		return fmt.Errorf("%d bytes are no name", len(b))
	}
	*s = Slug(b)
	return nil
}

// SetGrantSchedule reads a schedule.
func SetGrantSchedule(r *Request) engine.Command {
	x := engine.GrantSchedule{
		Name: r.Text("name", MaxName), Amount: r.micros("amount_micros"), Cap: engine.Micros(r.Int64("cap_micros", false)),
		Groups: r.groups("groups", engine.MaxMarketGroups), Start: r.Moment("start", false), End: r.Moment("end", false),
	}
	r.Into("period", true, &x.Period)
	return &engine.SetGrantSchedule{Schedule: x}
}

// EndGrantSchedule reads nothing but the path.
func EndGrantSchedule(r *Request) engine.Command {
	x := &engine.EndGrantSchedule{}
	r.ID("schedule", (*Slug)(&x.Name))
	return x
}
