package analytics_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/mbp-market/mbp/data/cdc/lake"
)

// values are the columns of one row that differ from the defaults.
type values map[string]any

// defaults make rows that break no rule.
var defaults = map[string]values{
	"mbp_markets": {
		"template": "binary@1.0.0", "title": "Planted?", "state": "open", "creator": "acc_1", "liquidity_micros": int64(100e6),
		"cause": "market_state_changed", "op": "u", "kind": "binary", "outcomes": int64(2),
	},
	"mbp_quotes": {
		"outcome": "YES", "price_micros": int64(500_000), "pool_yes_micros": int64(100e6), "pool_no_micros": int64(100e6),
		"cause": "order_filled", "twap_micros": int64(500_000), "depth_micros": int64(1e6), "pool_micros": int64(100e6), "op": "u",
	},
	"mbp_resolutions": {
		"phase": "proposed", "outcome": "YES", "evidence_sha256": "00000000000000000000000000000000000000000000000000000000000000aa",
		"principal": "res-1", "payout_micros": int64(0), "accounts_paid": int64(0), "recovered_micros": int64(0), "op": "u",
	},
	"mbp_abuse_events": {
		"account": "acc_1", "rule": "order_rate", "severity": "low", "action": "limit", "observed": int64(31), "bound": int64(30), "events": int64(1), "op": "c",
	},
	"mbp_grants": {
		"place": int64(0), "step": "granted", "account": "acc_1", "amount_micros": int64(5), "principal": "ops", "op": "c",
	},
	"mbp_seasons": {
		"place": int64(0), "step": "ended_with", "season": "spring", "account": "acc_1", "worth_micros": int64(5), "standing": "ranked", "principal": "system", "op": "c",
	},
	"mbp_groups": {
		"subject": "acc_1", "role": "given", "group_id": "grp_00000000000000aa", "step": "joined", "principal": "ops", "op": "c",
	},
}

// put adds a row of the current decision.
func (p *planter) put(table string, v values) *planter {
	p.t.Helper()
	s, err := p.reg.Latest(table)
	if err != nil {
		p.t.Fatal(err)
	}
	row := values{"seq": int64(p.seq), "decided_at": p.at, "committed_at": p.at + 7}
	maps.Copy(row, defaults[table])
	maps.Copy(row, v)
	r := lake.Row{Seq: p.seq, DecidedAt: row["decided_at"].(int64)}
	for _, c := range s.Columns {
		r.Values = append(r.Values, row[c.Name])
	}
	p.rows[table] = append(p.rows[table], r)
	return p
}

// open opens a market with its two prices.
func (p *planter) open(market string) *planter {
	p.next().put("mbp_markets", values{"market": market, "op": "c", "cause": "market_opened"})
	return p.quotes(market, 500_000, 500_000, values{"op": "c"})
}

// quotes puts a row for each outcome.
func (p *planter) quotes(market string, yes, no int64, both values) *planter {
	for outcome, price := range map[string]int64{"YES": yes, "NO": no} {
		v := values{"market": market, "outcome": outcome, "price_micros": price}
		maps.Copy(v, both)
		p.put("mbp_quotes", v)
	}
	return p
}

// many opens a categorical market of three outcomes at one third each, and
// changes the price of the first two.
func (p *planter) many(market string, change int64, pools ...int64) *planter {
	p.next().put("mbp_markets", values{"market": market, "op": "c", "cause": "market_opened", "kind": "categorical", "outcomes": int64(3)})
	for i, price := range []int64{333_334, 333_333, 333_333} {
		p.put("mbp_quotes", values{
			"market": market, "outcome": fmt.Sprint("O", i+1), "price_micros": price, "pool_yes_micros": nil, "pool_no_micros": nil, "op": "c",
		})
	}
	p.next()
	for i, price := range []int64{333_334 + change, 333_333 - change} {
		p.put("mbp_quotes", values{
			"market": market, "outcome": fmt.Sprint("O", i+1), "price_micros": price, "pool_yes_micros": nil, "pool_no_micros": nil, "pool_micros": pools[i],
		})
	}
	return p
}

// step takes a step of a resolution that leaves the market in its state.
func (p *planter) step(market string, resolution values) *planter {
	resolution["market"] = market
	return p.next().put("mbp_resolutions", resolution)
}

// state moves a market, with the step of its resolution if there is one.
func (p *planter) state(market, state string, resolution values) *planter {
	p.next().put("mbp_markets", values{"market": market, "state": state})
	if resolution != nil {
		resolution["market"] = market
		p.put("mbp_resolutions", resolution)
	}
	return p
}

// faults are planted together, each on a market or an account of its own. want
// names every test that must fail for it, and with how many rows: the sum over
// all faults is exactly what dbt reports.
var faults = []struct {
	rule, name string
	plant      func(*planter)
	want       map[string]int
}{
	{"A87-01", "an unknown state", func(p *planter) { p.open("mkt_201").state("mkt_201", "melted", nil) }, map[string]int{
		"mbp_markets_state_is_registered": 1, "mbp_markets_mart_state_is_registered": 1, "markets_follow_their_life": 1, "resolutions_agree_with_their_market": 1,
	}},
	{"A87-01", "prices outside their bounds", func(p *planter) { p.open("mkt_202").next().quotes("mkt_202", 0, 1_000_000, nil) }, map[string]int{
		"mbp_quotes_price_micros_is_in_range": 2,
	}},
	{"A87-01", "a name where an account's id belongs", func(p *planter) { p.next().put("mbp_abuse_events", values{"account": "ana"}) }, map[string]int{
		"mbp_abuse_events_account_matches": 1,
	}},
	{"A87-01", "a rule that nobody knows", func(p *planter) { p.next().put("mbp_abuse_events", values{"rule": "luck"}) }, map[string]int{
		"mbp_abuse_events_rule_is_known": 1,
	}},
	{"A87-01", "an outcome beyond the last", func(p *planter) {
		p.open("mkt_213").next().put("mbp_resolutions", values{"market": "mkt_213", "phase": "reported", "outcome": "O65"})
	}, map[string]int{
		"mbp_resolutions_outcome_is_registered": 1,
	}},
	{"A87-02", "a duplicate row", func(p *planter) {
		p.open("mkt_203").next().quotes("mkt_203", 500_000, 500_000, nil).put("mbp_quotes", values{"market": "mkt_203"})
	}, map[string]int{
		"mbp_quotes_key_is_unique": 1, "quotes_of_both_outcomes_mirror": 1,
	}},
	{"A87-03", "time that runs backwards", func(p *planter) {
		p.open("mkt_204").next().put("mbp_markets", values{"market": "mkt_204", "state": "paused", "decided_at": p.at - 60e6})
	}, map[string]int{
		"mbp_markets_sequence_follows_time": 1, "mbp_markets_times_are_ordered": 1,
	}},
	{"A87-03", "a commit before its decision", func(p *planter) { p.next().put("mbp_abuse_events", values{"committed_at": p.at - 1}) }, map[string]int{
		"mbp_abuse_events_commit_follows_decision": 1,
	}},
	{"A87-04", "a row in the folder of another day", func(p *planter) {
		p.next().put("mbp_abuse_events", nil)
		rows := p.rows["mbp_abuse_events"]
		rows[len(rows)-1].DecidedAt -= 48 * 3600e6
	}, map[string]int{
		"mbp_abuse_events_partition_matches_time": 1,
	}},
	{"A87-05", "a lost file", func(p *planter) { p.lose("mbp_abuse_events") }, map[string]int{
		"mbp_abuse_events_is_complete": 1,
	}},
	{"A87-06", "prices that do not sum to one credit", func(p *planter) { p.open("mkt_205").next().quotes("mkt_205", 500_000, 400_000, nil) }, map[string]int{
		"quotes_prices_sum_to_one": 1, "mbp_markets_prices_sum_to_one": 1, "quotes_price_is_that_of_the_pools": 1, "quotes_of_both_outcomes_mirror": 1,
	}},
	{"A87-06", "an opening that leaves out an outcome", func(p *planter) {
		p.next().put("mbp_markets", values{"market": "mkt_214", "op": "c", "kind": "categorical", "outcomes": int64(3)})
		for _, o := range []string{"O1", "O2"} {
			p.put("mbp_quotes", values{"market": "mkt_214", "outcome": o, "pool_yes_micros": nil, "pool_no_micros": nil, "op": "c"})
		}
	}, map[string]int{
		"quotes_prices_sum_to_one": 1,
	}},
	{"A87-07", "two of many prices that are not those of the pools", func(p *planter) {
		p.many("mkt_215", 16_665, 100e6, 110_525_535).many("mkt_216", 16_665, 100e6, 110_530_535)
	}, map[string]int{
		"quotes_price_is_that_of_the_pools": 1,
	}},
	{"A87-07", "a pool that is not the outcome's own", func(p *planter) {
		p.open("mkt_217").next().quotes("mkt_217", 500_000, 500_000, values{"pool_micros": int64(100e6 + 1)})
	}, map[string]int{
		"quotes_price_is_that_of_the_pools": 2,
	}},
	{"A87-07", "a price that is not that of the pools", func(p *planter) { p.open("mkt_206").next().quotes("mkt_206", 500_002, 499_998, nil) }, map[string]int{
		"quotes_price_is_that_of_the_pools": 2,
	}},
	{"A87-08", "a quote that begins twice", func(p *planter) { p.open("mkt_207").next().quotes("mkt_207", 500_000, 500_000, values{"op": "c"}) }, map[string]int{
		"markets_and_quotes_begin_once": 2,
	}},
	{"A87-09", "a market resolved out of the blue", func(p *planter) { p.open("mkt_208").state("mkt_208", "resolved", nil) }, map[string]int{
		"markets_follow_their_life": 1, "resolutions_agree_with_their_market": 1,
	}},
	{"A87-10", "a trade after the proposal", func(p *planter) {
		p.open("mkt_209").state("mkt_209", "proposed", values{"op": "c"}).next().quotes("mkt_209", 500_000, 500_000, nil)
	}, map[string]int{
		"quotes_only_while_open": 2,
	}},
	{"A87-11", "a price of a market that does not exist", func(p *planter) { p.next().quotes("mkt_999", 500_000, 500_000, values{"op": "c"}) }, map[string]int{
		"mbp_quotes_market_exists": 2,
	}},
	{"A87-12", "an approval of other evidence", func(p *planter) {
		p.open("mkt_210").state("mkt_210", "proposed", values{"op": "c"}).step("mkt_210", values{
			"phase": "approved", "principal": "res-2", "evidence_sha256": "00000000000000000000000000000000000000000000000000000000000000bb",
		})
	}, map[string]int{
		"resolution_steps_follow_a_proposal": 1,
	}},
	{"A87-12", "a settlement of what was not cancelled", func(p *planter) {
		p.open("mkt_218").state("mkt_218", "settling", values{"phase": "settled", "step": "pay", "outcome": "NONE", "ending": "price"})
	}, map[string]int{
		"resolution_steps_follow_a_proposal": 1, "mbp_resolutions_times_are_ordered": 1, "resolutions_agree_with_their_market": 1,
	}},
	{"A87-13", "a proposer who approves", func(p *planter) {
		p.open("mkt_211").state("mkt_211", "proposed", values{"op": "c"}).step("mkt_211", values{"phase": "approved"})
	}, map[string]int{
		"resolutions_have_two_principals": 1,
	}},
	{"A87-14", "a payout before the settlement", func(p *planter) {
		p.open("mkt_212").state("mkt_212", "proposed", values{"op": "c", "payout_micros": int64(5), "accounts_paid": int64(1)})
	}, map[string]int{
		"resolutions_pay_only_when_settled": 1,
	}},
	{"A87-14", "a cancelled market that says it resolved", func(p *planter) {
		p.open("mkt_219").next().put("mbp_markets", values{"market": "mkt_219", "state": "settling", "ending": "refund"}).
			put("mbp_resolutions", values{"market": "mkt_219", "phase": "canceled", "outcome": "NONE", "ending": "refund"}).
			next().put("mbp_markets", values{"market": "mkt_219", "state": "resolved", "ending": "refund"}).
			put("mbp_resolutions", values{"market": "mkt_219", "phase": "settled", "outcome": "NONE", "ending": "refund", "step": "pay"})
	}, map[string]int{
		"resolutions_agree_with_their_market": 1,
	}},
	{"A87-19", "a group that is left before it was joined", func(p *planter) {
		p.next().put("mbp_groups", values{"step": "left", "group_id": "grp_00000000000000bb"})
	}, map[string]int{
		"groups_join_before_they_leave": 1, "marts_agree_with_staging": 1,
	}},
	{"A87-19", "a market that is given a group", func(p *planter) {
		p.open("mkt_220").next().put("mbp_groups", values{"subject": "mkt_220"})
	}, map[string]int{
		"mbp_groups_roles_fit_their_subject": 1,
	}},
	{"A87-20", "a period that is granted twice", func(p *planter) {
		period := p.next().at
		p.put("mbp_grants", values{"step": "begun", "schedule": "twice", "account": nil, "amount_micros": nil, "period_at": period, "accounts": int64(1)})
		for range 2 {
			p.next().put("mbp_grants", values{"schedule": "twice", "period_at": period})
		}
	}, map[string]int{
		"grants_come_once_per_period": 1,
	}},
	{"A87-20", "a grant of a round that never began", func(p *planter) {
		p.next().put("mbp_grants", values{"schedule": "never", "period_at": p.at})
	}, map[string]int{
		"grants_come_once_per_period": 1,
	}},
	{"A87-20", "an end with an amount", func(p *planter) {
		p.next().put("mbp_grants", values{"step": "ended", "schedule": "never", "account": nil, "op": "u"})
	}, map[string]int{
		"grants_say_what_their_step_says": 1,
	}},
	{"A87-15", "an abuse event within its bound", func(p *planter) { p.next().put("mbp_abuse_events", values{"observed": int64(30)}) }, map[string]int{
		"mbp_abuse_events_cross_their_bound": 1,
	}},
}

// lose deletes the oldest file of a table, behind the back of the manifest.
func (p *planter) lose(table string) {
	p.t.Helper()
	e := p.lake.Files(table)[0]
	if err := os.Remove(filepath.Join(p.dir, e.Path)); err != nil {
		p.t.Fatal(err)
	}
}

func TestPlantedFaultsFailByName(t *testing.T) {
	t.Parallel()
	place := newPlace(t)
	place.fill(t, 0)
	p, want := newPlanter(t, place.lake), map[string]int{}
	for _, f := range faults {
		f.plant(p)
		for test, rows := range f.want {
			want[test] += rows
		}
	}
	p.commit()
	if ok, out := place.run(t, "run"); !ok {
		t.Fatalf("the models do not build:\n%s", out)
	}
	ok, out := place.run(t, "test")
	got := failed(place.results(t))
	if !maps.Equal(got, want) {
		for _, f := range faults {
			for test := range f.want {
				if got[test] != want[test] {
					t.Errorf("%s, %s: %s fails with %d rows, want %d over all faults", f.rule, f.name, test, got[test], want[test])
				}
			}
		}
		for test, rows := range got {
			if want[test] == 0 {
				t.Errorf("%s fails with %d rows, nothing was planted for it", test, rows)
			}
		}
	}
	if ok {
		t.Errorf("dbt test passes on a broken lake:\n%s", out)
	}
	// A build of the same lake ends red, and does not go past the first fault.
	if ok, out := place.run(t, "build"); ok {
		t.Errorf("dbt build passes on a broken lake:\n%s", out)
	}
	if r := place.results(t)["mbp_markets"]; r.status != "skipped" {
		t.Errorf("mbp_markets is %q although its source is broken", r.status)
	}
}
