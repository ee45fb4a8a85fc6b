package engine

// OpenMarketFor makes a market that not everybody may trade; see SetMarketGroups.
//
//wire:command 60 open_market_for
type OpenMarketFor struct {
	Market OpenMarket `json:"market"`
	Allow  []string   `json:"allow_groups,omitempty" wire:"max=16,text=64"`
	Deny   []string   `json:"deny_groups,omitempty" wire:"max=16,text=64"`
}

// SetMarketGroups says whose accounts may trade a market: those in any of the groups
// that are allowed, or everybody's where none is named, but nobody's in a group that is
// denied. What waits in the book of others leaves it before anybody trades again.
//
//wire:command 61 set_market_groups
type SetMarketGroups struct {
	Market MarketID `json:"market"`
	Allow  []string `json:"allow_groups,omitempty" wire:"max=16,text=64"`
	Deny   []string `json:"deny_groups,omitempty" wire:"max=16,text=64"`
}

// SetAccountGroups says which groups an account is in, all of them. What it waits with
// in the books of markets that it may not trade any more leaves them. Given by System,
// the groups are those that an identity provider told at a time, and stand beside those
// that an operator gave; what was told earlier than what is known is refused.
//
//wire:command 62 set_account_groups
type SetAccountGroups struct {
	Account AccountID `json:"account"`
	Groups  []string  `json:"groups,omitempty" wire:"max=256,text=64"`
	ToldAt  Time      `json:"told_at,omitzero"` // of System alone
}

// The most groups that a market names of each kind, and that an account is in by each
// who says so: as many as an identity provider may tell of a person.
const (
	MaxMarketGroups  = 16
	MaxAccountGroups = 256
)

// MarketGroupsSet says whose accounts may trade a market from now on.
//
//wire:event 60 market_groups_set
type MarketGroupsSet struct {
	Market MarketID `json:"market"`
	Allow  []string `json:"allow_groups,omitempty" wire:"max=16,text=64"`
	Deny   []string `json:"deny_groups,omitempty" wire:"max=16,text=64"`
	Sift   bool     `json:"sift,omitempty"` // orders of accounts that may not trade are being cancelled
}

// MarketSifted says how far the cancelling has come of orders whose accounts may not
// trade a market any more.
//
//wire:event 61 market_sifted
type MarketSifted struct {
	Market MarketID  `json:"market"`
	Next   AccountID `json:"next,omitempty"` // the first account not looked at; 0: all were
}

// AccountGroupsSet says which groups an account is in.
//
//wire:event 62 account_groups_set
type AccountGroupsSet struct {
	Account AccountID `json:"account"`
	Groups  []string  `json:"groups,omitempty" wire:"max=256,text=64"`
	ToldAt  Time      `json:"told_at,omitzero"` // when the identity provider told them; 0: an operator gave them
}
