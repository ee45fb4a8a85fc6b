package engine

// Market is what anybody may know of a market.
type Market struct {
	Market    MarketID       `json:"market"`
	Template  string         `json:"template"`
	Title     string         `json:"title"`
	Kind      MarketKind     `json:"kind"`
	State     MarketState    `json:"state"`
	Creator   AccountID      `json:"creator"`
	Liquidity Shares         `json:"liquidity_micros"` // units of liquidity in existence
	Min       int64          `json:"min,omitempty"`    // scalar
	Max       int64          `json:"max,omitempty"`
	CloseAt   *Time          `json:"close_at"`
	Outcomes  []OutcomeState `json:"outcomes"`
	Interest  Micros         `json:"open_interest_micros"` // complete sets in existence
	Fees      Micros         `json:"fees_micros"`          // held until the end
	Volume    Micros         `json:"volume_micros"`
	Trades    int64          `json:"trades"`
	Orders    int64          `json:"open_orders"`
	CoolUntil *Time          `json:"cooling_until,omitempty"`
	Proposal  *Proposal      `json:"proposal,omitempty"`
	Outcome   *Outcome       `json:"outcome"` // once it pays by one
	Ending    Ending         `json:"ending,omitempty"`
	Limited   bool           `json:"limited,omitempty"` // to the accounts of some groups

	Clarifications []Clarification `json:"clarifications,omitempty"` // in order; their texts are the edge's to tell
}

// OutcomeState is what anybody may know of an outcome. In an ended market the
// price is what a share was paid.
type OutcomeState struct {
	Outcome Outcome `json:"outcome"`
	Label   string  `json:"label,omitempty"`
	Price   Price   `json:"price_micros"`
	TWAP    Price   `json:"twap_micros"` // time-weighted over the last five minutes
	TWAP1   Price   `json:"twap_1m_micros"`
	TWAP15  Price   `json:"twap_15m_micros"`
	Pool    Shares  `json:"pool_micros"`
	Depth   Micros  `json:"depth_micros"` // credits that move the price by two points
	Bid     Price   `json:"best_bid_micros,omitempty"`
	Ask     Price   `json:"best_ask_micros,omitempty"`
}

// Proposal is a resolution that is not final.
type Proposal struct {
	Outcome        Outcome    `json:"outcome"`
	Value          int64      `json:"value,omitempty"`
	Cancel         CancelKind `json:"cancel,omitempty"` // the market has no outcome
	EvidenceURI    string     `json:"evidence_uri"`
	EvidenceSHA256 Digest     `json:"evidence_sha256"`
	EffectiveAt    Time       `json:"effective_at,omitzero"`
	ProposedAt     Time       `json:"proposed_at"`
	FinalAt        Time       `json:"final_at"`
	Approvals      int        `json:"approvals"` // principals that stand behind it
	Needed         int64      `json:"approvals_needed"`
	Stands         bool       `json:"stands,omitempty"` // it cannot be disputed any more
}

// PriceOf returns the published price of an outcome, 0 if the market has none of
// that name.
func (m *Market) PriceOf(o Outcome) Price {
	for i := range m.Outcomes {
		if m.Outcomes[i].Outcome == o {
			return m.Outcomes[i].Price
		}
	}
	return 0
}

// Account is what a trading account holds.
type Account struct {
	Account   AccountID  `json:"account"`
	Available Micros     `json:"available_micros"`
	Reserved  Micros     `json:"reserved_micros"` // for open orders
	Limited   *Time      `json:"limited_until,omitempty"`
	Positions []Position `json:"positions"`
}

// MarketGroups is who may trade a market.
type MarketGroups struct {
	Market MarketID `json:"market"`
	Allow  []string `json:"allow_groups"` // empty: everybody
	Deny   []string `json:"deny_groups"`
}

// AccountGroups is what groups an account is in.
type AccountGroups struct {
	Account AccountID `json:"account"`
	Given   []string  `json:"given"`            // by an operator
	Told    []string  `json:"told"`             // by the identity provider
	ToldAt  Time      `json:"told_at,omitzero"` // when it last did
}

// Position is a holding of shares.
type Position struct {
	Market   MarketID `json:"market"`
	Outcome  Outcome  `json:"outcome"`
	Shares   Shares   `json:"shares_micros"`
	Reserved Shares   `json:"reserved_micros,omitempty"` // of them, for open sales
}

// OpenOrder is an order that waits in the book.
type OpenOrder struct {
	Order   OrderID   `json:"order"`
	Account AccountID `json:"account"`
	Market  MarketID  `json:"market"`
	Outcome Outcome   `json:"outcome"`
	Side    Side      `json:"side"`
	TIF     TIF       `json:"tif"`
	Limit   Price     `json:"limit_price_micros"`
	Shares  Shares    `json:"shares_micros"` // that wait
	Filled  Shares    `json:"filled_micros"` // while it waited
	Expires Time      `json:"expires_at,omitzero"`
}

// BookLevel is a price at which orders wait, seen from one outcome.
type BookLevel struct {
	Price  Price  `json:"price_micros"`
	Shares Shares `json:"shares_micros"`
	Orders int    `json:"orders"`
}

// House is where all credits are. The others sum to Issued.
type House struct {
	Issued     Micros `json:"issued_micros"`     // ever granted
	Accounts   Micros `json:"accounts_micros"`   // of traders, available or reserved
	Collateral Micros `json:"collateral_micros"` // behind the complete sets of all markets
	Fees       Micros `json:"fees_micros"`       // that markets hold until their end
	Rounding   Micros `json:"rounding_micros"`   // what directed rounding left over in markets that have not ended
	Platform   Micros `json:"platform_micros"`   // the income of the house: its part of fees, and dust, of ended markets
}
