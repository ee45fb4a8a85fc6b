package engine

import "github.com/mbp-market/mbp/engine/internal/form"

// Policy holds the limits of the engine. It is journalled by Initialise.
type Policy struct {
	OrderInterval int64 `json:"order_interval_us"` // µs between orders of an account on average, > 0
	OrderBurst    int64 `json:"order_burst"`       // orders of an account that may come at once, ≥ 1
	MaxAccounts   int64 `json:"max_accounts"`      // trading accounts
	MaxMarkets    int64 `json:"max_markets"`       // markets, ended ones too
	MaxKeys       int64 `json:"max_keys"`          // API keys, revoked ones too
	MaxTemplates  int64 `json:"max_templates"`     // template versions
}

// DefaultPolicy returns the limits as shipped: ten orders a second for each
// account with bursts of thirty, and capacities that fit the memory of a small
// machine.
func DefaultPolicy() Policy {
	return Policy{
		OrderInterval: 100_000, OrderBurst: 30,
		MaxAccounts: 1_000_000, MaxMarkets: 100_000, MaxKeys: 1_000_000, MaxTemplates: 1_000,
	}
}

// Template is a version of the rules that a market is made from.
type Template struct {
	ID           string `json:"id"`                   // a-z, 0-9, -, 1..64 characters
	Version      string `json:"version"`              // semver, digits and dots, 5..16 characters
	Category     string `json:"category"`             // a-z, 0-9, -, 1..64 characters
	TruthSource  string `json:"truth_source"`         // "manual": two principals and evidence
	MaxTitle     int64  `json:"max_title"`            // bytes of the title, 1..512
	MinLiquidity Micros `json:"min_liquidity_micros"` // what the creator must seed at least
	MaxLiquidity Micros `json:"max_liquidity_micros"`
	MinPrice     Price  `json:"min_price_micros"` // trading stops the walk at these prices
	MaxPrice     Price  `json:"max_price_micros"`
	MaxOrder     Micros `json:"max_order_micros"` // largest amount, or number of shares, of an order
}

// DefaultTemplate returns binary@1.0.0, the template as shipped: prices of
// 1 %..99 %, from ten credits of liquidity, orders of at most 100,000 credits.
func DefaultTemplate() Template {
	return Template{
		ID: "binary", Version: "1.0.0", Category: "general", TruthSource: "manual",
		MaxTitle: 240, MinLiquidity: 10 * One, MaxLiquidity: 1_000_000_000 * One,
		MinPrice: 10_000, MaxPrice: 990_000, MaxOrder: 100_000 * One,
	}
}

// Name returns id@version.
func (t Template) Name() string { return t.ID + "@" + t.Version }

// Key is an API key as the engine knows it.
type Key struct {
	SHA256    Digest    `json:"sha256"`    // of the whole secret
	Principal string    `json:"principal"` // pseudonym, a-z 0-9 . _ -, 1..64 characters
	Roles     Roles     `json:"roles"`
	Account   AccountID `json:"account,omitempty"` // the trading account it may use; 0 for none
}

// fault returns what is wrong with the policy, "" if nothing is.
func (p Policy) fault() string {
	const far = 1 << 40
	for _, v := range []int64{p.OrderInterval, p.OrderBurst, p.MaxAccounts, p.MaxMarkets, p.MaxKeys, p.MaxTemplates} {
		if v < 1 || v > far {
			return "policy: every limit lies in 1..2^40"
		}
	}
	if p.OrderInterval > 3_600_000_000 || p.OrderBurst > 1_000_000 {
		return "policy: order_interval_us is at most an hour and order_burst at most 1000000"
	}
	return ""
}

func (t Template) fault() string {
	switch {
	case !form.Slug(t.ID) || !form.Slug(t.Category):
		return "template: id and category have 1..64 characters a-z, 0-9, -"
	case !form.Semver(t.Version):
		return "template: version has the form 1.0.0"
	case t.TruthSource != "manual":
		return "template: truth_source is manual"
	case t.MaxTitle < 1 || t.MaxTitle > form.MaxText:
		return "template: max_title lies in 1..512"
	case t.MinLiquidity < One || t.MinLiquidity > t.MaxLiquidity || t.MaxLiquidity > MaxAmount/4:
		return "template: 1 credit <= min_liquidity_micros <= max_liquidity_micros <= 2^50"
	case t.MinPrice < 100 || t.MinPrice >= t.MaxPrice || t.MaxPrice > One-100:
		return "template: 100 <= min_price_micros < max_price_micros <= 999900"
	case t.MaxOrder < One || t.MaxOrder > MaxAmount/4:
		return "template: max_order_micros lies in 1 credit..2^50"
	}
	return ""
}

func (k Key) fault() string {
	switch {
	case k.SHA256 == Digest{}:
		return "key: sha256 is missing"
	case !form.Principal(k.Principal) || k.Principal == System:
		return "key: principal has 1..64 characters a-z, 0-9, ., _, - and is not system"
	case k.Roles == 0 || k.Roles&^allRoles != 0:
		return "key: at least one known role is needed"
	case k.Roles.Has(RoleTrader) && k.Account == 0:
		return "key: a trader needs an account"
	}
	return ""
}
