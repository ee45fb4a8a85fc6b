package engine

import (
	"github.com/mbp-market/mbp/engine/internal/form"
	"github.com/mbp-market/mbp/engine/internal/wire"
)

// ErrEncoding wraps every error of decoding a record.
var ErrEncoding = wire.ErrFormat

func (p *Policy) fields(c *wire.Codec) {
	wire.Signed(c, &p.OrderInterval)
	wire.Signed(c, &p.OrderBurst)
	wire.Signed(c, &p.MaxAccounts)
	wire.Signed(c, &p.MaxMarkets)
	wire.Signed(c, &p.MaxKeys)
	wire.Signed(c, &p.MaxTemplates)
}

func (t *Template) fields(c *wire.Codec) {
	c.Text(&t.ID, 64)
	c.Text(&t.Version, 16)
	c.Text(&t.Category, 64)
	c.Text(&t.TruthSource, 64)
	wire.Signed(c, &t.MaxTitle)
	wire.Signed(c, &t.MinLiquidity)
	wire.Signed(c, &t.MaxLiquidity)
	wire.Signed(c, &t.MinPrice)
	wire.Signed(c, &t.MaxPrice)
	wire.Signed(c, &t.MaxOrder)
}

func (k *Key) fields(c *wire.Codec) {
	c.Raw(k.SHA256[:])
	c.Text(&k.Principal, 64)
	wire.Num(c, &k.Roles)
	wire.Num(c, &k.Account)
}

func (x *Initialise) fields(c *wire.Codec) {
	x.Policy.fields(c)
	x.Template.fields(c)
	x.Admin.fields(c)
}
func (x *AddTemplate) fields(c *wire.Codec) { x.Template.fields(c) }
func (x *AddKey) fields(c *wire.Codec)      { x.Key.fields(c) }
func (x *RevokeKey) fields(c *wire.Codec)   { c.Raw(x.SHA256[:]) }
func (*OpenAccount) fields(*wire.Codec)     {}
func (x *GrantCredits) fields(c *wire.Codec) {
	wire.Num(c, &x.Account)
	wire.Signed(c, &x.Amount)
}

func (x *OpenMarket) fields(c *wire.Codec) {
	c.Text(&x.Template, 96)
	c.Text(&x.Title, form.MaxText)
	wire.Num(c, &x.Creator)
	wire.Signed(c, &x.Liquidity)
	wire.Signed(c, &x.Price)
	wire.Signed(c, &x.CloseAt)
}
func (x *PauseMarket) fields(c *wire.Codec)  { wire.Num(c, &x.Market) }
func (x *ResumeMarket) fields(c *wire.Codec) { wire.Num(c, &x.Market) }

func (x *PlaceOrder) fields(c *wire.Codec) {
	wire.Num(c, &x.Account)
	wire.Num(c, &x.Market)
	wire.Num(c, &x.Outcome)
	wire.Num(c, &x.Side)
	wire.Num(c, &x.TIF)
	wire.Signed(c, &x.Amount)
	wire.Signed(c, &x.Shares)
	wire.Signed(c, &x.Limit)
}

func (x *ProposeResolution) fields(c *wire.Codec) {
	wire.Num(c, &x.Market)
	wire.Num(c, &x.Outcome)
	c.Text(&x.EvidenceURI, form.MaxText)
	c.Raw(x.EvidenceSHA256[:])
}
func (x *ApproveResolution) fields(c *wire.Codec) { wire.Num(c, &x.Market) }
func (x *RejectResolution) fields(c *wire.Codec)  { wire.Num(c, &x.Market) }
func (x *SettleMarket) fields(c *wire.Codec)      { wire.Num(c, &x.Market) }

func (*Malformed) fields(*wire.Codec) {}

// recordable says whether the record format holds the command.
func recordable(x Command) bool {
	if _, plain := x.(*PlaceOrder); plain { // numbers alone; the common case
		return true
	}
	var c wire.Codec
	x.fields(&c)
	return c.Err == nil
}

func (x *PolicySet) fields(c *wire.Codec)     { x.Policy.fields(c) }
func (x *TemplateAdded) fields(c *wire.Codec) { x.Template.fields(c) }
func (x *KeyAdded) fields(c *wire.Codec)      { x.Key.fields(c) }
func (x *KeyRevoked) fields(c *wire.Codec)    { c.Raw(x.SHA256[:]) }
func (x *AccountOpened) fields(c *wire.Codec) { wire.Num(c, &x.Account) }
func (x *CreditsGranted) fields(c *wire.Codec) {
	wire.Num(c, &x.Account)
	wire.Signed(c, &x.Amount)
}

func (x *MarketOpened) fields(c *wire.Codec) {
	wire.Num(c, &x.Market)
	c.Text(&x.Template, 96)
	c.Text(&x.Title, form.MaxText)
	wire.Num(c, &x.Creator)
	wire.Signed(c, &x.Liquidity)
	wire.Signed(c, &x.CloseAt)
	wire.Signed(c, &x.PoolYes)
	wire.Signed(c, &x.PoolNo)
	wire.Signed(c, &x.Price)
}

func (x *MarketStateChanged) fields(c *wire.Codec) {
	wire.Num(c, &x.Market)
	wire.Num(c, &x.From)
	wire.Num(c, &x.To)
}

func (x *OrderFilled) fields(c *wire.Codec) {
	wire.Num(c, &x.Order)
	wire.Num(c, &x.Account)
	wire.Num(c, &x.Market)
	wire.Num(c, &x.Outcome)
	wire.Num(c, &x.Side)
	wire.Signed(c, &x.Amount)
	wire.Signed(c, &x.Shares)
	wire.Signed(c, &x.Average)
	wire.Signed(c, &x.PriceBefore)
	wire.Signed(c, &x.PriceAfter)
	wire.Signed(c, &x.PoolYes)
	wire.Signed(c, &x.PoolNo)
}

func (x *AbuseRaised) fields(c *wire.Codec) {
	wire.Num(c, &x.Account)
	wire.Num(c, &x.Market)
	c.Text(&x.Rule, 64)
	c.Text(&x.Severity, 16)
	c.Text(&x.Action, 16)
	wire.Signed(c, &x.Observed)
	wire.Signed(c, &x.Bound)
}

func (x *ResolutionProposed) fields(c *wire.Codec) {
	wire.Num(c, &x.Market)
	wire.Num(c, &x.Outcome)
	c.Text(&x.EvidenceURI, form.MaxText)
	c.Raw(x.EvidenceSHA256[:])
}

func (x *ResolutionApproved) fields(c *wire.Codec) {
	wire.Num(c, &x.Market)
	wire.Num(c, &x.Outcome)
	c.Raw(x.EvidenceSHA256[:])
}

func (x *ResolutionRejected) fields(c *wire.Codec) {
	wire.Num(c, &x.Market)
	wire.Num(c, &x.Outcome)
	c.Raw(x.EvidenceSHA256[:])
}

func (x *PayoutsMade) fields(c *wire.Codec) {
	wire.Num(c, &x.Market)
	wire.Num(c, &x.Outcome)
	c.Raw(x.EvidenceSHA256[:])
	n := c.Count(len(x.Payouts), SettleLimit)
	if c.Decoding {
		x.Payouts = make([]Payout, n)
	}
	for i := range x.Payouts {
		p := &x.Payouts[i]
		wire.Num(c, &p.Account)
		wire.Signed(c, &p.Yes)
		wire.Signed(c, &p.No)
		wire.Signed(c, &p.Credits)
	}
	wire.Signed(c, &x.PoolYes)
	wire.Signed(c, &x.PoolNo)
	wire.Signed(c, &x.PoolCredits)
	c.Flag(&x.Last)
}
