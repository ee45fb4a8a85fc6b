package words

// CancelKind says how a cancelled market pays.
type CancelKind uint8

// The kinds of cancelling. The numbers are journalled.
const (
	CancelPrice  CancelKind = 1 // every share pays the last average price of its outcome
	CancelRefund CancelKind = 2 // who paid in more than they got out is paid back, as far as it goes
)

var cancelNames = []string{"", "price", "refund"}

// MarshalText writes price or refund.
func (k CancelKind) MarshalText() ([]byte, error) {
	return []byte(Name(cancelNames, int(k))), nil
}

// UnmarshalText reads price or refund.
func (k *CancelKind) UnmarshalText(b []byte) error {
	i, err := Index(cancelNames, "kind", string(b))
	*k = CancelKind(i)
	return err
}

// Moderation is what a moderator does.
type Moderation uint8

// The acts of moderation. The numbers are journalled.
const (
	LimitAccount Moderation = 1 // the account places no orders until a time
	DismissAbuse Moderation = 2 // an abuse event was a false alarm
	Freeze       Moderation = 3 // the account places no orders until that is undone
)

var moderationNames = []string{"", "limit", "dismiss", "freeze"}

// MarshalText writes limit, dismiss or freeze.
func (m Moderation) MarshalText() ([]byte, error) {
	return []byte(Name(moderationNames, int(m))), nil
}

// UnmarshalText reads limit, dismiss or freeze.
func (m *Moderation) UnmarshalText(b []byte) error {
	i, err := Index(moderationNames, "action", string(b))
	*m = Moderation(i)
	return err
}
