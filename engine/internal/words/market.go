package words

// Reason says why orders left the book without being filled.
type Reason uint8

// The reasons. The numbers are journalled.
const (
	ByOwner     Reason = 1 // cancelled
	ByExpiry    Reason = 2 // its time came
	ByPause     Reason = 3 // the market was paused with its orders
	ByEnd       Reason = 4 // the market closed or ended
	ByAmendment Reason = 5 // replaced
	BySelfTrade Reason = 6 // met an order of its own account
	ByGroups    Reason = 7 // its account may not trade the market any more
)

var reasonNames = []string{"", "owner", "expiry", "pause", "end", "amendment", "self_trade", "groups"}

// MarshalText writes the stable word.
func (r Reason) MarshalText() ([]byte, error) { return []byte(Name(reasonNames, int(r))), nil }

// UnmarshalText reads the stable word.
func (r *Reason) UnmarshalText(b []byte) error {
	i, err := Index(reasonNames, "reason", string(b))
	*r = Reason(i)
	return err
}

// TripKind says which condition of the price guard was met.
type TripKind uint8

// The kinds of trip. The numbers are journalled.
const (
	Divergence TripKind = 1 // two windows in a row too far from the average
	Band       TripKind = 2 // samples in a row outside the 99 % band
)

var tripNames = []string{"", "divergence", "band"}

// MarshalText writes divergence or band.
func (k TripKind) MarshalText() ([]byte, error) { return []byte(Name(tripNames, int(k))), nil }

// UnmarshalText reads divergence or band.
func (k *TripKind) UnmarshalText(b []byte) error {
	i, err := Index(tripNames, "kind", string(b))
	*k = TripKind(i)
	return err
}

// Ending says how a market ends.
type Ending uint8

// The endings. The numbers are journalled.
const (
	EndByOutcome Ending = 1 // every share pays by the outcome
	EndByVoid    Ending = 2 // the same, of the positions at an effective time
	EndByPrice   Ending = 3 // cancelled: every share pays a price
	EndByRefund  Ending = 4 // cancelled: who paid in is paid back
)

var endingNames = []string{"", "outcome", "void", "price", "refund"}

// MarshalText writes the stable word.
func (e Ending) MarshalText() ([]byte, error) { return []byte(Name(endingNames, int(e))), nil }

// UnmarshalText reads the stable word.
func (e *Ending) UnmarshalText(b []byte) error {
	i, err := Index(endingNames, "ending", string(b))
	*e = Ending(i)
	return err
}

// Phase says which part of the settlement a decision did.
type Phase uint8

// The phases. The numbers are journalled.
const (
	PhaseRewind  Phase = 1 // going back to the effective time
	PhaseCollect Phase = 2 // adding up what is due, recovering what was received above it
	PhasePay     Phase = 3
)

var phaseNames = []string{"", "rewind", "collect", "pay"}

// MarshalText writes the stable word.
func (p Phase) MarshalText() ([]byte, error) { return []byte(Name(phaseNames, int(p))), nil }

// UnmarshalText reads the stable word.
func (p *Phase) UnmarshalText(b []byte) error {
	i, err := Index(phaseNames, "phase", string(b))
	*p = Phase(i)
	return err
}
