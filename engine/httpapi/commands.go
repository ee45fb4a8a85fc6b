package httpapi

import "github.com/mbp-market/mbp/engine"

// The functions of this file read a body into a command. Ranges are the
// engine's business; here is only what JSON and a record of the journal can say.

// The longest texts that a record holds, in bytes.
const (
	maxName     = 64  // ids, categories, principals
	maxVersion  = 16  // semver of a template
	maxTemplate = 96  // id@version
	maxText     = 512 // titles, URIs
)

func openAccount(*call) engine.Command { return &engine.OpenAccount{} }

func grantCredits(c *call) engine.Command {
	x := &engine.GrantCredits{Amount: engine.Micros(c.form.int64("amount_micros", true))}
	c.id("account", &x.Account)
	return x
}

func addKey(c *call) engine.Command {
	x := &engine.AddKey{}
	c.form.into("sha256", true, &x.Key.SHA256)
	x.Key.Principal = c.form.text("principal", maxName)
	c.form.into("account", false, &x.Key.Account)
	roles, err := engine.ParseRoles(c.form.texts("roles"))
	if err != nil {
		c.form.fail("roles: %s", clipText(err.Error()))
	}
	x.Key.Roles = roles
	return x
}

func revokeKey(c *call) engine.Command {
	x := &engine.RevokeKey{}
	c.id("sha256", &x.SHA256)
	return x
}

func addTemplate(c *call) engine.Command {
	f := c.form
	return &engine.AddTemplate{Template: engine.Template{
		ID: f.text("id", maxName), Version: f.text("version", maxVersion), Category: f.text("category", maxName),
		TruthSource: f.text("truth_source", maxName), MaxTitle: f.int64("max_title", true),
		MinLiquidity: engine.Micros(f.int64("min_liquidity_micros", true)), MaxLiquidity: engine.Micros(f.int64("max_liquidity_micros", true)),
		MinPrice: engine.Price(f.int64("min_price_micros", true)), MaxPrice: engine.Price(f.int64("max_price_micros", true)),
		MaxOrder: engine.Micros(f.int64("max_order_micros", true)),
	}}
}

func openMarket(c *call) engine.Command {
	f := c.form
	x := &engine.OpenMarket{
		Template: f.text("template", maxTemplate), Title: f.text("title", maxText),
		Liquidity: engine.Micros(f.int64("liquidity_micros", true)), Price: engine.Price(f.int64("price_micros", true)),
	}
	f.into("creator", true, &x.Creator)
	f.into("close_at", false, &x.CloseAt)
	if f.members["close_at"] != nil && x.CloseAt <= 0 { // 0 would mean that it never closes
		f.fail("close_at is not in the future")
	}
	return x
}

func pauseMarket(c *call) engine.Command {
	x := &engine.PauseMarket{}
	c.id("market", &x.Market)
	return x
}

func resumeMarket(c *call) engine.Command {
	x := &engine.ResumeMarket{}
	c.id("market", &x.Market)
	return x
}

func proposeResolution(c *call) engine.Command {
	x := &engine.ProposeResolution{EvidenceURI: c.form.text("evidence_uri", maxText)}
	c.id("market", &x.Market)
	c.form.into("outcome", true, &x.Outcome)
	c.form.into("evidence_sha256", true, &x.EvidenceSHA256)
	return x
}

func approveResolution(c *call) engine.Command {
	x := &engine.ApproveResolution{}
	c.id("market", &x.Market)
	return x
}

func rejectResolution(c *call) engine.Command {
	x := &engine.RejectResolution{}
	c.id("market", &x.Market)
	return x
}

// placeOrder trades for the account of the key, whoever asks.
func placeOrder(c *call) engine.Command {
	x := orderOf(c.form)
	x.Account = c.key.Account
	c.form.into("tif", true, &x.TIF)
	return x
}

// orderOf reads what an order and a quote have in common.
func orderOf(f *form) *engine.PlaceOrder {
	x := &engine.PlaceOrder{
		Amount: engine.Micros(f.positive("amount_micros")), Shares: engine.Shares(f.positive("shares_micros")),
		Limit: engine.Price(f.positive("limit_price_micros")),
	}
	f.into("market", true, &x.Market)
	f.into("outcome", true, &x.Outcome)
	f.into("side", true, &x.Side)
	return x
}
