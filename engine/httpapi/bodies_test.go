package httpapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// body is a good body of a route; optional members may be absent or null, and are
// named with their group.
type body struct {
	path     string
	members  map[string]string // raw JSON
	optional string
}

const (
	digest = `"abababababababababababababababababababababababababababababababab"`
	later  = `"2099-01-01T00:00:00Z"`
	after  = `"2199-01-01T00:00:00Z"`
)

// set makes the members of a body: name, raw JSON, …
func set(pairs ...string) map[string]string {
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return m
}

func evidence(pairs ...string) map[string]string {
	return set(append(pairs, "evidence_uri", `"https://example.org/x"`, "evidence_sha256", digest)...)
}

var bodies = []body{
	{path: "/v1/accounts"},
	{path: "/v1/accounts/acc_1/grants", members: set("amount_micros", `5`)},
	{path: "/v1/grant-schedules", members: set("name", `"allowance"`, "period", `"monthly"`, "amount_micros", `5`, "cap_micros", `50`, "groups", `["staff"]`, "start", later, "end", after),
		optional: "cap_micros groups start end"},
	{path: "/v1/grant-schedules/allowance/end"},
	{path: "/v1/seasons", members: set("name", `"spring"`, "start", later, "end", after), optional: "start"},
	{path: "/v1/seasons/spring/end"},
	{path: "/v1/accounts/acc_1/ranking", members: set("ranked", `false`)},
	{path: "/v1/keys", members: set("principal", `"x"`, "roles", `["auditor"]`, "sha256", digest, "account", `"acc_1"`, "id", `"k7abcdef"`, "expires_at", later, "identity", `false`),
		optional: "account id expires_at identity"},
	{path: "/v1/keys/abababababababababababababababababababababababababababababababab/revoke"},
	{path: "/v1/templates", members: set(
		"id", `"slow"`, "version", `"1.0.0"`, "category", `"general"`, "kind", `"binary"`, "max_title", `100`, "max_duration_us", `0`,
		"min_liquidity_micros", `1000000`, "max_liquidity_micros", `9000000`, "min_price_micros", `1000`, "max_price_micros", `999000`,
		"max_order_micros", `1000000`, "collar_micros", `20000`,
		"fee", `{"kind":"curve","rate_ppm":20000,"lp_ppm":500000,"creator_ppm":100000}`,
		"guard", `{"window_us":60000000,"bound_ppm":10000,"relative":false,"outliers":3,"floor_ppm":100,"reopen_after_us":600000000}`,
		"risk", `{"max_position_micros":5000000,"max_exposure_micros":5000000,"max_open_interest_micros":90000000,"order_interval_us":1000,"order_burst":100,"spike_move_micros":100000,"spike_span_us":60000000,"cool_down_us":60000000}`,
		"truth", `{"source":"quorum","approvals":1,"dispute_window_us":60000000,"max_disputes":2,"sla_us":86400000000,"reporters":["p-service"],"quorum":1,"max_age_us":3600000000,"max_divergence_ppm":1000}`,
		"end", `{"uniform":true,"clawback":true,"void_trades":1000,"void_window_us":3600000000}`,
	), optional: "max_duration_us collar_micros fee guard risk end fee.rate_ppm fee.lp_ppm fee.creator_ppm guard.* risk.* end.* truth.dispute_window_us truth.max_disputes " +
		"truth.sla_us truth.reporters truth.quorum truth.max_age_us truth.max_divergence_ppm"},
	{path: "/v1/markets", members: set(
		"template", `"binary@1.0.0"`, "title", `"Snow"`, "creator", `"acc_1"`, "liquidity_micros", `10000000`, "price_micros", `500000`, "close_at", later,
		"draft", `false`,
	), optional: "close_at price_micros draft"},
	{path: "/v1/markets", members: set(
		"template", `"horse-race@1.0.0"`, "title", `"Who?"`, "creator", `"acc_1"`, "liquidity_micros", `10000000`, "outcomes", `["a","b"]`,
		"prices_micros", `[400000,600000]`, "min", `0`, "max", `0`,
		"allow_groups", `["staff"]`, "deny_groups", `["board"]`,
	), optional: "outcomes prices_micros min max allow_groups deny_groups"},
	{path: "/v1/accounts/acc_1/groups", members: set("groups", `["board"]`)},
	{path: "/v1/markets/mkt_1/groups", members: set("allow_groups", `["staff"]`, "deny_groups", `["board","press"]`), optional: "allow_groups deny_groups"},
	{path: "/v1/markets/mkt_1/activate"},
	{path: "/v1/markets/mkt_1/clarifications", members: set("text", `"what it means"`)},
	{path: "/v1/decisions/5/notes", members: set("text", `"why it was"`)},
	{path: "/v1/markets/mkt_1/pause", members: set("cancel_orders", `true`), optional: "cancel_orders"},
	{path: "/v1/markets/mkt_1/resume"},
	{path: "/v1/markets/mkt_1/reopen"},
	{path: "/v1/markets/mkt_1/close-time", members: set("close_at", later), optional: "close_at"},
	{path: "/v1/markets/mkt_1/close"},
	{path: "/v1/markets/mkt_1/cancel", members: evidence("kind", `"refund"`)},
	{path: "/v1/markets/mkt_1/split", members: set("amount_micros", `5`)},
	{path: "/v1/markets/mkt_1/merge", members: set("amount_micros", `5`)},
	{path: "/v1/markets/mkt_1/liquidity/add", members: set("amount_micros", `5`)},
	{path: "/v1/markets/mkt_1/liquidity/remove", members: set("units_micros", `5`)},
	{path: "/v1/markets/mkt_1/facts", members: set(
		"outcome", `"YES"`, "observed_at", `"2026-01-01T00:00:00Z"`, "evidence_uri", `"https://example.org/x"`, "rule_sha256", digest, "facts_sha256", digest,
	)},
	{path: "/v1/markets/mkt_1/facts", members: set(
		"cancel", `"price"`, "observed_at", `"2026-01-01T00:00:00Z"`, "evidence_uri", `"https://example.org/x"`, "rule_sha256", digest, "facts_sha256", digest,
	)},
	{path: "/v1/markets/mkt_1/resolution", members: evidence("outcome", `"YES"`, "rule_sha256", digest, "effective_at", `"2026-01-01T00:00:00Z"`), optional: "rule_sha256 effective_at"},
	{path: "/v1/markets/mkt_1/resolution", members: evidence("outcome", `"LONG"`, "value", `-5`), optional: "outcome value"},
	{path: "/v1/markets/mkt_1/resolution/approve"},
	{path: "/v1/markets/mkt_1/resolution/reject"},
	{path: "/v1/markets/mkt_1/resolution/dispute", members: evidence()},
	{path: "/v1/orders", members: set(
		"market", `"mkt_1"`, "outcome", `"YES"`, "side", `"buy"`, "tif", `"ioc"`, "amount_micros", `5`, "limit_price_micros", `600000`,
	), optional: "limit_price_micros amount_micros"},
	{path: "/v1/orders", members: set(
		"market", `"mkt_1"`, "outcome", `"YES"`, "side", `"sell"`, "tif", `"gtd"`, "shares_micros", `5`, "limit_price_micros", `600000`, "expires_at", later,
		"post_only", `true`, "self_trade", `"decrement"`, "if_seq", `5`,
	), optional: "limit_price_micros shares_micros expires_at post_only self_trade if_seq"},
	{path: "/v1/orders/batch", members: set(
		"items", `[{"type":"place_order","market":"mkt_1","outcome":"YES","side":"buy","tif":"ioc","amount_micros":5},{"type":"cancel_order","order":"ord_5.1"},`+
			`{"type":"cancel_all"},{"type":"amend_order","order":"ord_5","shares_micros":5}]`,
	)},
	{path: "/v1/orders/batches", members: set("items", `[{"type":"place_order","market":"mkt_1","outcome":"YES","side":"buy","tif":"ioc","amount_micros":5},{"type":"cancel_all"}]`)},
	{path: "/v1/orders/cancel-all", members: set("market", `"mkt_1"`), optional: "market"},
	{path: "/v1/orders/ord_5/cancel"},
	{path: "/v1/orders/ord_5/amend", members: set("shares_micros", `5`, "limit_price_micros", `600000`), optional: "limit_price_micros"},
	{path: "/v1/policy", members: set(
		"version", `"1.0.1"`, "order_interval_us", `100000`, "order_burst", `30`, "max_accounts", `1000000`, "max_markets", `100000`, "max_keys", `1000000`,
		"max_templates", `1000`, "max_open_orders", `500`, "max_fills_of_order", `500`, "trade_interval_us", `0`, "trade_burst", `0`,
		"burst", `{"sigmas":8,"floor":50}`, "account_burst", `{"sigmas":8,"floor":20}`, "wash", `{"times":4,"window_us":3600000000}`, "self_trades", `{"times":5,"window_us":600000000}`,
		"degrade", `{"push_interval_us":1000000,"shed_divisor":4}`,
	)},
	{path: "/v1/policy/rollback"},
	{path: "/v1/mode", members: set("mode", `"lite"`, "reason", `"drill"`)},
	{path: "/v1/deadlines", members: set("held", `true`, "reason", `"drill"`)},
	{path: "/v1/house/upgrade", members: set("version", `2`)},
	{path: "/v1/moderation", members: evidence("action", `"limit"`, "account", `"acc_1"`, "until", later), optional: "account until"},
	{path: "/v1/moderation", members: evidence("action", `"freeze"`, "account", `"acc_1"`), optional: "account"},
	{path: "/v1/moderation", members: evidence("action", `"dismiss"`, "abuse", `5`), optional: "abuse"},
	{path: "/v1/webhooks", members: set("url", `"https://example.org/h"`, "events", `["trade"]`, "markets", `["mkt_1"]`), optional: "events markets"},
	{path: "/v1/webhooks/whk_5/pause", members: set("reason", `"drill"`), optional: "reason"},
	{path: "/v1/webhooks/whk_5/resume"},
	{path: "/v1/webhooks/whk_5/rotate"},
	{path: "/v1/webhooks/whk_5/replay", members: set("from_seq", `1`)},
	{path: "/v1/webhooks/whk_5/test"},
	{path: "/v1/webhooks/whk_5/delete"},
	{path: "/v1/moderation/undo", members: set("decision", `5`)},
}

// bodyOf returns the first good body of a path.
func bodyOf(path string) body {
	return bodies[slices.IndexFunc(bodies, func(b body) bool { return b.path == path })]
}

// may reports whether a member may be absent.
func (b body) may(name string) bool {
	words := strings.Fields(b.optional)
	group, _, _ := strings.Cut(name, ".")
	return slices.Contains(words, name) || slices.Contains(words, group+".*")
}

func (b body) with(name, value string) string { return object(b.members, name, value) }

// object writes members with one of them replaced, or left out.
func object(members map[string]string, name, value string) string {
	var parts []string
	for _, n := range slices.Sorted(maps.Keys(members)) {
		if n != name {
			parts = append(parts, fmt.Sprintf("%q:%s", n, members[n]))
		}
	}
	if value != "" {
		parts = append(parts, fmt.Sprintf("%q:%s", name, value))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// group returns the members of a nested object, nil for other values.
func group(value string) map[string]string {
	var raw map[string]json.RawMessage
	if json.Unmarshal([]byte(value), &raw) != nil {
		return nil
	}
	m := map[string]string{}
	for n, v := range raw {
		m[n] = string(v)
	}
	return m
}

// templated puts the parameters of the routes in place of the test's values.
var templated = strings.NewReplacer("acc_1", "{account}", "mkt_1", "{market}", "ord_5", "{order}", "whk_5", "{webhook}", "/allowance/", "/{schedule}/", "/spring/", "/{season}/", "/v1/decisions/5/", "/v1/decisions/{seq}/", digest[1:65], "{sha256}")
