// Package fault says what is wrong with a command by its own fields: an order, a key,
// a policy, a template, the outcomes and prices of a market, evidence.
//
// It promises: the same answer whatever the state and the time it is asked in, but
// for a time that is handed to it; one sentence for whoever sent the command, in the
// words of the API, and "" where nothing is wrong. It refuses to look at the state, to
// change or to complete a command, and to decide: the code is package core's. The
// bounds are those of "The rules of the market".
package fault

import (
	"strings"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/internal/form"
	"github.com/mbp-market/mbp/engine/internal/member"
	"github.com/mbp-market/mbp/engine/internal/settle"
)

// Order returns what is wrong with the fields of an order, whatever the state.
func Order(x *engine.PlaceOrder) string {
	switch {
	case x.Side != engine.Buy && x.Side != engine.Sell:
		return "side is buy or sell"
	case x.TIF < engine.IOC || x.TIF > engine.GTD:
		return "tif is ioc, fok, gtc or gtd"
	case x.SelfTrade > engine.Decrement:
		return "self_trade is cancel_newest, cancel_oldest or decrement"
	case x.Limit < 0 || x.Limit >= engine.One:
		return "limit_price_micros lies in 1..999999"
	case x.TIF.Rests() && x.Limit == 0:
		return "an order that may wait in the book needs limit_price_micros"
	case (x.TIF == engine.GTD) != (x.Expires != 0):
		return "expires_at goes with tif gtd"
	case x.PostOnly && !x.TIF.Rests():
		return "post_only goes with tif gtc or gtd"
	case x.Amount < 0 || x.Amount > engine.MaxAmount || x.Shares < 0 || x.Shares > engine.MaxAmount:
		return "amount_micros and shares_micros lie in 1..2^52"
	case (x.Amount == 0) == (x.Shares == 0):
		return "exactly one of amount_micros and shares_micros is needed"
	case x.Side == engine.Sell && x.Shares == 0:
		return "a sale names shares_micros"
	}
	return ""
}

// maxKeyID is the most characters of a key's public id; ours have 8.
const maxKeyID = 16

// Key returns what is wrong with a key, "" if nothing is.
func Key(k *engine.Key) string {
	known, err := engine.ParseRoles(k.Roles.Names())
	switch {
	case k.SHA256 == engine.Digest{}:
		return "key: sha256 is missing"
	case !form.Principal(k.Principal) || k.Principal == engine.System:
		return "key: principal has 1..64 characters a-z, 0-9, ., _, - and is not system"
	case k.Roles == 0 || err != nil || known != k.Roles:
		return "key: at least one known role is needed"
	case k.Roles.Has(engine.RoleTrader) && k.Account == 0:
		return "key: a trader needs an account"
	case k.ID != "" && !form.Label(k.ID, maxKeyID):
		return "key: id has 1..16 characters a-z, 0-9"
	case k.ExpiresAt < 0 || k.Identity && (k.ExpiresAt != 0 || k.ID != ""):
		return "key: expires_at is a time, and an identity has neither that nor an id"
	}
	return ""
}

// Evidence returns what is wrong with the evidence of an act.
func Evidence(uri string, digest engine.Digest) string {
	switch {
	case !form.URI(uri):
		return "evidence_uri is a URI of at most 512 visible ASCII characters"
	case digest == engine.Digest{}:
		return "evidence_sha256 is missing"
	}
	return ""
}

// Reason returns what is wrong with the reason of an act.
func Reason(s string) string {
	if form.Title(s, 128) {
		return ""
	}
	return "reason is one line of at most 128 bytes"
}

// Opening returns the opening prices, and what is wrong with the outcomes.
func Opening(t *engine.Template, x *engine.OpenMarket) (prices []engine.Price, why string) {
	const most = 1 << 53
	if t.Kind == engine.Scalar && (x.Min >= x.Max || x.Min < -most || x.Max > most) {
		return nil, "min is below max, both within ±2^53"
	} else if t.Kind != engine.Scalar && (x.Min != 0 || x.Max != 0) {
		return nil, "min and max are of scalar markets"
	}
	if t.Kind != engine.Categorical {
		if len(x.Outcomes) != 0 || len(x.Prices) != 0 || x.Price < 1 || x.Price >= engine.One {
			return nil, "price_micros lies in 1..999999; outcomes and prices_micros are of categorical markets"
		}
		return []engine.Price{x.Price, engine.One - x.Price}, ""
	}
	n := len(x.Outcomes)
	if n < 2 || n > engine.MaxOutcomes || x.Price != 0 || len(x.Prices) != 0 && len(x.Prices) != n {
		return nil, "outcomes has 2..64 labels, and prices_micros, if given, one price for each"
	}
	seen := make(map[string]bool, n)
	for _, label := range x.Outcomes {
		if !form.Title(label, 128) || seen[label] {
			return nil, "outcomes are different lines of 1..128 bytes without control characters"
		}
		seen[label] = true
	}
	if len(x.Prices) == 0 {
		return settle.Normalise(make([]engine.Price, n)), ""
	}
	sum := engine.Price(0)
	for _, p := range x.Prices {
		if p < 1 || p >= engine.One {
			return nil, "prices_micros lie in 1..999999"
		}
		sum += p
	}
	if sum != engine.One {
		return nil, "prices_micros sum to 1000000"
	}
	return x.Prices, ""
}

// Refusals returns what is wrong with a summary of refusals that is noted at a time.
func Refusals(x *engine.NoteRefusals, now engine.Time) string {
	switch {
	case x.From < 1 || x.From > x.Until || x.Until > now:
		return "from and until are in this order, and not in the future"
	case len(x.Refusals) == 0:
		return "refusals: there are none"
	}
	for _, r := range x.Refusals {
		someone := r.Principal == "" || r.Principal == engine.OtherPrincipals || form.Principal(r.Principal)
		if !someone || !form.Slug(strings.ReplaceAll(r.Reason, "_", "-")) || r.Count < 1 {
			return "refusals: principal, reason or count is none"
		}
	}
	return ""
}

// Schedule returns what is wrong with a schedule of grants.
func Schedule(x *engine.GrantSchedule) string {
	switch {
	case !form.Slug(x.Name):
		return "schedule: name has 1..64 characters a-z, 0-9, -"
	case x.Period < engine.Daily || x.Period > engine.Monthly:
		return "schedule: period is daily, weekly or monthly"
	case x.Amount < 1 || x.Amount > engine.MaxAmount || x.Cap < 0 || x.Cap > engine.MaxAmount:
		return "schedule: amount_micros lies in 1..2^52 and cap_micros in 0..2^52"
	case x.Start < 0 || x.End < 0 || x.Start > farthest || x.End > farthest:
		return "schedule: start and end are times before the year 10000"
	}
	if why := member.Fault(x.Groups, engine.MaxMarketGroups); why != "" {
		return "schedule: " + why
	}
	return ""
}

// Season returns what is wrong with a season that is opened at a time.
func Season(x *engine.OpenSeason, now engine.Time) string {
	switch {
	case !form.Slug(x.Name):
		return "name has 1..64 characters a-z, 0-9, -"
	case x.Start < 0 || x.Start != 0 && x.Start < now:
		return "start is in the past"
	case x.End <= max(x.Start, now) || x.End > farthest:
		return "end comes after start, and before the year 10000"
	}
	return ""
}

// Said returns what is wrong with a report for a market of a kind, with so many
// outcomes: an outcome or a value, or a way to cancel.
func Said(k engine.MarketKind, outcomes int, o engine.Outcome, value int64, cancel engine.CancelKind) string {
	switch {
	case cancel == 0:
		return Truth(k, outcomes, o, value)
	case cancel > engine.CancelRefund:
		return "cancel is price or refund"
	case o != engine.None || value != 0:
		return "a report that cancels has the outcome NONE and no value"
	}
	return ""
}

// Truth returns what is wrong with an outcome or a value for such a market.
func Truth(k engine.MarketKind, outcomes int, o engine.Outcome, value int64) string {
	switch {
	case k == engine.Scalar && o != engine.Long:
		return "a scalar market resolves to a value; its outcome is LONG"
	case k == engine.Scalar && (value < -1<<53 || value > 1<<53):
		return "value lies within ±2^53"
	case k != engine.Scalar && value != 0:
		return "value is of scalar markets"
	case !k.Has(o, outcomes):
		return "the market has no such outcome"
	}
	return ""
}

// farthest is the last time that every reader of RFC 3339 knows.
const farthest engine.Time = 253_402_300_799_000_000
