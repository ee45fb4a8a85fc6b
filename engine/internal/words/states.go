package words

// MarketState is the life of a market: draft → open ⇄ paused or frozen → closed →
// proposed ⇄ disputed → settling → resolved or canceled. Package core holds the
// table of what is allowed where.
type MarketState uint8

// The states of a market. The numbers are journalled.
const (
	Open         MarketState = 1  // trades
	MarketPaused MarketState = 2  // an operator or moderator halted trading
	Proposed     MarketState = 3  // an outcome was named; approvals and the dispute window run
	Settling     MarketState = 4  // the outcome stands or the market is cancelled; holders are being paid
	Resolved     MarketState = 5  // everybody was paid by the outcome; the end
	Draft        MarketState = 6  // seeded, not yet open
	Frozen       MarketState = 7  // the price guard tripped
	Closed       MarketState = 8  // past its close time; waits for its outcome
	Disputed     MarketState = 9  // the proposal was disputed; waits for another one
	Canceled     MarketState = 10 // everybody was paid back; the end
)

var marketStateNames = []string{"", "open", "paused", "proposed", "settling", "resolved", "draft", "frozen", "closed", "disputed", "canceled"}

// MarketStates returns every state in order.
func MarketStates() []MarketState {
	out := make([]MarketState, 0, len(marketStateNames)-1)
	for i := range marketStateNames[1:] {
		out = append(out, MarketState(i+1))
	}
	return out
}

// String returns the stable word of the state.
func (m MarketState) String() string { return Name(marketStateNames, int(m)) }

// MarshalText writes the stable word.
func (m MarketState) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads the stable word.
func (m *MarketState) UnmarshalText(b []byte) error {
	i, err := Index(marketStateNames, "state", string(b))
	*m = MarketState(i)
	return err
}
