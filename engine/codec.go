package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrEncoding wraps every error of decoding a record.
var ErrEncoding = errors.New("record is not a decision")

// codec reads or writes fields in a fixed order, so that each type says its
// layout once. Numbers are varints (signed ones zigzag), in the shortest form
// only: one value has one encoding.
type codec struct {
	b        []byte // written so far, or what is left to read
	decoding bool
	err      error
}

func (c *codec) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf("%w: %s", ErrEncoding, fmt.Sprintf(format, args...))
	}
	c.b = nil
}

func (c *codec) uvarint(v *uint64) {
	if !c.decoding {
		c.b = binary.AppendUvarint(c.b, *v)
		return
	}
	var n int
	*v, n = binary.Uvarint(c.b)
	if n <= 0 || n > 1 && c.b[n-1] == 0 {
		*v = 0
		c.fail("bad number")
		return
	}
	c.b = c.b[n:]
}

// num codes an unsigned integer; a value that does not fit its type fails.
func num[T ~uint8 | ~uint16 | ~uint32 | ~uint64](c *codec, v *T) {
	u := uint64(*v)
	c.uvarint(&u)
	*v = T(u)
	if uint64(*v) != u {
		*v = 0
		c.fail("number %d is too large", u)
	}
}

// signed codes a signed integer.
func signed[T ~int64](c *codec, v *T) {
	u := uint64(*v)<<1 ^ uint64(*v>>63)
	c.uvarint(&u)
	*v = T(u>>1) ^ -T(u&1)
}

func (c *codec) flag(v *bool) {
	u := uint8(0)
	if *v {
		u = 1
	}
	num(c, &u)
	if u > 1 {
		c.fail("flag is %d", u)
	}
	*v = u == 1
}

func (c *codec) raw(v []byte) {
	if !c.decoding {
		c.b = append(c.b, v...)
		return
	}
	if len(c.b) < len(v) {
		c.fail("record ends early")
		return
	}
	c.b = c.b[copy(v, c.b):]
}

// text codes a string of at most limit bytes.
func (c *codec) text(v *string, limit uint64) {
	n := uint64(len(*v))
	c.uvarint(&n)
	if !c.decoding {
		c.b = append(c.b, *v...)
		return
	}
	if n > limit || n > uint64(len(c.b)) {
		c.fail("text of %d bytes", n)
		return
	}
	*v = string(c.b[:n])
	c.b = c.b[n:]
}

// count codes the length of a list whose elements take at least one byte.
func (c *codec) count(n, limit int) int {
	u := uint64(n)
	c.uvarint(&u)
	if u > uint64(limit) || c.decoding && u > uint64(len(c.b)) {
		c.fail("list of %d elements", u)
		return 0
	}
	return int(u)
}

func (p *Policy) fields(c *codec) {
	signed(c, &p.OrderInterval)
	signed(c, &p.OrderBurst)
	signed(c, &p.MaxAccounts)
	signed(c, &p.MaxMarkets)
	signed(c, &p.MaxKeys)
	signed(c, &p.MaxTemplates)
}

func (t *Template) fields(c *codec) {
	c.text(&t.ID, 64)
	c.text(&t.Version, 16)
	c.text(&t.Category, 64)
	c.text(&t.TruthSource, 64)
	signed(c, &t.MaxTitle)
	signed(c, &t.MinLiquidity)
	signed(c, &t.MaxLiquidity)
	signed(c, &t.MinPrice)
	signed(c, &t.MaxPrice)
	signed(c, &t.MaxOrder)
}

func (k *Key) fields(c *codec) {
	c.raw(k.SHA256[:])
	c.text(&k.Principal, 64)
	num(c, &k.Roles)
	num(c, &k.Account)
}

func (x *Initialise) fields(c *codec) {
	x.Policy.fields(c)
	x.Template.fields(c)
	x.Admin.fields(c)
}
func (x *AddTemplate) fields(c *codec) { x.Template.fields(c) }
func (x *AddKey) fields(c *codec)      { x.Key.fields(c) }
func (x *RevokeKey) fields(c *codec)   { c.raw(x.SHA256[:]) }
func (*OpenAccount) fields(*codec)     {}
func (x *GrantCredits) fields(c *codec) {
	num(c, &x.Account)
	signed(c, &x.Amount)
}

func (x *OpenMarket) fields(c *codec) {
	c.text(&x.Template, 96)
	c.text(&x.Title, maxText)
	num(c, &x.Creator)
	signed(c, &x.Liquidity)
	signed(c, &x.Price)
	signed(c, &x.CloseAt)
}
func (x *PauseMarket) fields(c *codec)  { num(c, &x.Market) }
func (x *ResumeMarket) fields(c *codec) { num(c, &x.Market) }

func (x *PlaceOrder) fields(c *codec) {
	num(c, &x.Account)
	num(c, &x.Market)
	num(c, &x.Outcome)
	num(c, &x.Side)
	num(c, &x.TIF)
	signed(c, &x.Amount)
	signed(c, &x.Shares)
	signed(c, &x.Limit)
}

func (x *ProposeResolution) fields(c *codec) {
	num(c, &x.Market)
	num(c, &x.Outcome)
	c.text(&x.EvidenceURI, maxText)
	c.raw(x.EvidenceSHA256[:])
}
func (x *ApproveResolution) fields(c *codec) { num(c, &x.Market) }
func (x *RejectResolution) fields(c *codec)  { num(c, &x.Market) }
func (x *SettleMarket) fields(c *codec)      { num(c, &x.Market) }

func (x *PolicySet) fields(c *codec)     { x.Policy.fields(c) }
func (x *TemplateAdded) fields(c *codec) { x.Template.fields(c) }
func (x *KeyAdded) fields(c *codec)      { x.Key.fields(c) }
func (x *KeyRevoked) fields(c *codec)    { c.raw(x.SHA256[:]) }
func (x *AccountOpened) fields(c *codec) { num(c, &x.Account) }
func (x *CreditsGranted) fields(c *codec) {
	num(c, &x.Account)
	signed(c, &x.Amount)
}

func (x *MarketOpened) fields(c *codec) {
	num(c, &x.Market)
	c.text(&x.Template, 96)
	c.text(&x.Title, maxText)
	num(c, &x.Creator)
	signed(c, &x.Liquidity)
	signed(c, &x.CloseAt)
	signed(c, &x.PoolYes)
	signed(c, &x.PoolNo)
	signed(c, &x.Price)
}

func (x *MarketStateChanged) fields(c *codec) {
	num(c, &x.Market)
	num(c, &x.From)
	num(c, &x.To)
}

func (x *OrderFilled) fields(c *codec) {
	num(c, &x.Order)
	num(c, &x.Account)
	num(c, &x.Market)
	num(c, &x.Outcome)
	num(c, &x.Side)
	signed(c, &x.Amount)
	signed(c, &x.Shares)
	signed(c, &x.Average)
	signed(c, &x.PriceBefore)
	signed(c, &x.PriceAfter)
	signed(c, &x.PoolYes)
	signed(c, &x.PoolNo)
}

func (x *AbuseRaised) fields(c *codec) {
	num(c, &x.Account)
	num(c, &x.Market)
	c.text(&x.Rule, 64)
	c.text(&x.Severity, 16)
	c.text(&x.Action, 16)
	signed(c, &x.Observed)
	signed(c, &x.Bound)
}

func (x *ResolutionProposed) fields(c *codec) {
	num(c, &x.Market)
	num(c, &x.Outcome)
	c.text(&x.EvidenceURI, maxText)
	c.raw(x.EvidenceSHA256[:])
}

func (x *ResolutionApproved) fields(c *codec) {
	num(c, &x.Market)
	num(c, &x.Outcome)
	c.raw(x.EvidenceSHA256[:])
}

func (x *ResolutionRejected) fields(c *codec) {
	num(c, &x.Market)
	num(c, &x.Outcome)
	c.raw(x.EvidenceSHA256[:])
}

func (x *PayoutsMade) fields(c *codec) {
	num(c, &x.Market)
	num(c, &x.Outcome)
	c.raw(x.EvidenceSHA256[:])
	n := c.count(len(x.Payouts), SettleLimit)
	if c.decoding {
		x.Payouts = make([]Payout, n)
	}
	for i := range x.Payouts {
		p := &x.Payouts[i]
		num(c, &p.Account)
		signed(c, &p.Yes)
		signed(c, &p.No)
		signed(c, &p.Credits)
	}
	signed(c, &x.PoolYes)
	signed(c, &x.PoolNo)
	signed(c, &x.PoolCredits)
	c.flag(&x.Last)
}
