package words

// Side says whether an order buys or sells shares.
type Side uint8

// The sides of an order.
const (
	Buy  Side = 1
	Sell Side = 2
)

// String returns buy or sell.
func (s Side) String() string { return Name(sideNames, int(s)) }

// MarshalText writes buy or sell.
func (s Side) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads buy or sell.
func (s *Side) UnmarshalText(b []byte) error {
	i, err := Index(sideNames, "side", string(b))
	*s = Side(i)
	return err
}

// TIF is the time in force of an order.
type TIF uint8

// The times in force. The numbers are journalled.
const (
	IOC TIF = 1 // immediate or cancel: fill what the limit allows, drop the rest
	FOK TIF = 2 // fill or kill: all or nothing
	GTC TIF = 3 // good till cancelled: the rest waits in the book
	GTD TIF = 4 // good till date: the rest waits in the book until it expires
)

// Rests reports whether what is left of an order waits in the book.
func (t TIF) Rests() bool { return t == GTC || t == GTD }

// String returns ioc, fok, gtc or gtd.
func (t TIF) String() string { return Name(tifNames, int(t)) }

// MarshalText writes the stable word.
func (t TIF) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads the stable word.
func (t *TIF) UnmarshalText(b []byte) error {
	i, err := Index(tifNames, "tif", string(b))
	*t = TIF(i)
	return err
}

// SelfTrade says what happens when an order meets an order of the same account.
type SelfTrade uint8

// The ways of self-trade prevention. The numbers are journalled.
const (
	CancelNewest SelfTrade = 0 // the incoming order stops there
	CancelOldest SelfTrade = 1 // the resting order is cancelled
	Decrement    SelfTrade = 2 // both shrink by the smaller size, without a trade
)

// String returns cancel_newest, cancel_oldest or decrement.
func (t SelfTrade) String() string { return Name(selfTradeNames, int(t)) }

// MarshalText writes the stable word.
func (t SelfTrade) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads the stable word.
func (t *SelfTrade) UnmarshalText(b []byte) error {
	i, err := Index(selfTradeNames, "self_trade", string(b))
	*t = SelfTrade(i)
	return err
}

var (
	sideNames      = []string{"", "buy", "sell"}
	tifNames       = []string{"", "ioc", "fok", "gtc", "gtd"}
	selfTradeNames = []string{"cancel_newest", "cancel_oldest", "decrement"}
)
