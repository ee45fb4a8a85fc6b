package cdc

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"strconv"
	"strings"
	"testing"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
)

// line is a row as the API tells the decision.
type line map[string]any

// teller accounts for the hot tables: it reads the public JSON of decisions,
// keeps the pools of each market itself, prices them with exact fractions, and
// knows nothing of changes.go. Only the average, the depth and the best orders,
// which no event says, come from a state folded beside.
type teller struct {
	t         *testing.T
	out       map[string][]line
	markets   map[string]*toldMarket
	state     *core.State
	first     engine.Digest   // of the first key
	groups    map[string]bool // subject, role and name
	place     float64         // in mbp_grants
	lines     float64         // in mbp_seasons
	counts    [2]string       // the season that ends and the one that begins
	seq       float64
	at        engine.Time
	atText    string
	principal string
}

type toldMarket struct {
	facts    line // columns of mbp_markets that never change
	state    string
	ending   any
	outcomes []string
	pools    []*big.Int
	prices   []int64
	proposal line
	end      line
}

// tell returns the rows of each table, in any order.
func tell(t *testing.T, log []*engine.Decision) map[string][]line {
	t.Helper()
	w := &teller{t: t, out: map[string][]line{}, markets: map[string]*toldMarket{}, groups: map[string]bool{}, state: core.New(), first: log[0].Command.(*engine.Initialise).Admin.SHA256}
	for _, d := range log {
		if err := w.state.Evolve(d); err != nil {
			t.Fatal(err)
		}
		raw, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		var doc struct {
			Seq       float64 `json:"seq"`
			At        string  `json:"decided_at"`
			Principal string  `json:"principal"`
			Events    []line  `json:"events"`
		}
		if err := json.Unmarshal(raw, &doc); err != nil {
			t.Fatal(err)
		}
		w.seq, w.at, w.atText, w.principal = doc.Seq, d.At, doc.At, doc.Principal
		w.decision(doc.Events)
	}
	return w.out
}

func (w *teller) emit(table, op string, row line) {
	row["seq"], row["decided_at"], row["op"] = w.seq, w.atText, op
	w.out[table] = append(w.out[table], row)
}

// decision tells the events of one decision: markets and prices once each, as
// it left them.
func (w *teller) decision(events []line) {
	w.place, w.lines = 0, 0
	moved, priced, abuse := map[string]line{}, map[string]line{}, map[string]line{}
	for _, e := range events {
		name, _ := e["market"].(string)
		m := w.markets[name]
		switch e["type"] {
		case "market_opened":
			w.markets[name] = opened(e)
			moved[name], priced[name] = e, e
		case "market_state_changed":
			m.state = e["to"].(string)
			if moved[name] == nil {
				moved[name] = e
			}
		case "order_filled", "liquidity_added", "liquidity_removed":
			m.flow(e)
			if priced[name] == nil {
				priced[name] = e
			}
		case "abuse_raised":
			key := e["account"].(string) + " " + e["rule"].(string)
			if abuse[key] == nil {
				abuse[key] = line{"market": nil, "events": 0.0, "other_account": e["other"]}
				for _, c := range []string{"account", "rule", "severity", "action", "observed", "bound"} {
					abuse[key][c] = e[c]
				}
				if m != nil {
					abuse[key]["market"] = name
				}
			}
			abuse[key]["events"] = abuse[key]["events"].(float64) + 1
		case "account_groups_set", "market_groups_set":
			w.grouped(e)
		case "grant_schedule_set", "grant_schedule_ended", "grants_begun", "grants_paid", "credits_granted":
			w.granted(e)
		case "season_opened", "season_stopped", "season_turned", "season_counted":
			w.seasoned(e)
		case "ranking_set":
		default:
			w.end(e, m)
		}
	}
	for _, row := range abuse {
		w.emit(tableAbuse, "c", row)
	}
	for name, e := range moved {
		w.emit(tableMarkets, op(e), w.markets[name].row(e["type"]))
	}
	for name, e := range priced {
		w.quotes(name, w.markets[name], op(e), e["type"])
	}
}

func op(e line) string {
	if e["type"] == "market_opened" {
		return "c"
	}
	return "u"
}

// opened reads what a market is from its opening.
func opened(e line) *toldMarket {
	m := &toldMarket{facts: line{}, state: "open"}
	for _, c := range []string{"market", "template", "title", "creator", "liquidity_micros", "close_at"} {
		m.facts[c] = e[c]
	}
	if e["draft"] == true {
		m.state = "draft"
	}
	labels, _ := e["outcomes"].([]any)
	_, low := e["min"]
	_, high := e["max"]
	m.facts["value_min"], m.facts["value_max"] = nil, nil
	switch {
	case labels != nil:
		m.facts["kind"] = "categorical"
		for i := range labels {
			m.outcomes = append(m.outcomes, "O"+strconv.Itoa(i+1))
		}
	case low || high:
		m.facts["kind"], m.outcomes = "scalar", []string{"LONG", "SHORT"}
		m.facts["value_min"], m.facts["value_max"] = number(e["min"]), number(e["max"])
	default:
		m.facts["kind"], m.outcomes = "binary", []string{"YES", "NO"}
	}
	m.facts["outcomes"] = float64(len(m.outcomes))
	m.prices = make([]int64, len(m.outcomes))
	for _, p := range e["pools_micros"].([]any) {
		m.pools = append(m.pools, micros(p))
	}
	return m
}

// number is 0 for what the JSON leaves out.
func number(v any) float64 {
	n, _ := v.(float64)
	return n
}

func micros(v any) *big.Int { return big.NewInt(int64(number(v))) }

func (m *toldMarket) row(cause any) line {
	row := maps.Clone(m.facts)
	row["state"], row["ending"], row["cause"] = m.state, m.ending, cause
	return row
}

// flow moves shares into and out of the pools.
func (m *toldMarket) flow(e line) {
	switch e["type"] {
	case "liquidity_added":
		for i, q := range e["taken_micros"].([]any) {
			m.pools[i].Add(m.pools[i], micros(q))
		}
	case "liquidity_removed":
		for i, q := range e["given_micros"].([]any) {
			m.pools[i].Sub(m.pools[i], micros(q))
		}
	default:
		sign := big.NewInt(1)
		if e["side"] == "sell" {
			sign.SetInt64(-1)
		}
		for i, name := range m.outcomes {
			q := micros(e["pool_amount_micros"])
			if name == e["outcome"] {
				q.Sub(q, micros(e["pool_shares_micros"]))
			}
			m.pools[i].Add(m.pools[i], q.Mul(q, sign))
		}
	}
}

// published are the prices (1/x)/Σ(1/x) in ppm by largest remainder, none below
// one; what that takes comes from the largest.
func (m *toldMarket) published() []int64 {
	sum := new(big.Rat)
	for _, x := range m.pools {
		sum.Add(sum, new(big.Rat).SetFrac(big.NewInt(1), x))
	}
	out, rests, left := make([]int64, len(m.pools)), make([]*big.Rat, len(m.pools)), int64(1_000_000)
	for i, x := range m.pools {
		p := new(big.Rat).SetFrac(big.NewInt(1_000_000), x)
		p.Quo(p, sum)
		whole := new(big.Int).Quo(p.Num(), p.Denom())
		out[i], rests[i] = whole.Int64(), p.Sub(p, new(big.Rat).SetInt(whole))
		left -= out[i]
	}
	for ; left > 0; left-- {
		top := 0
		for i := range rests {
			if rests[i].Cmp(rests[top]) > 0 {
				top = i
			}
		}
		out[top]++
		rests[top] = new(big.Rat)
	}
	top := 0
	for i := range out {
		if out[i] > out[top] {
			top = i
		}
	}
	for i := range out {
		if out[i] == 0 {
			out[i], out[top] = 1, out[top]-1
		}
	}
	return out
}

func (w *teller) quotes(name string, m *toldMarket, op string, cause any) {
	var id engine.MarketID
	if err := id.UnmarshalText([]byte(name)); err != nil {
		w.t.Fatal(err)
	}
	view, _ := w.state.Market(id, w.at)
	null := func(v int64) any {
		if v == 0 {
			return nil
		}
		return float64(v)
	}
	for i, p := range m.published() {
		if p == m.prices[i] {
			continue
		}
		m.prices[i] = p
		of := view.Outcomes[i]
		row := line{
			"market": name, "outcome": m.outcomes[i], "price_micros": float64(p), "cause": cause, "pool_micros": float64(m.pools[i].Int64()),
			"pool_yes_micros": nil, "pool_no_micros": nil, "twap_micros": float64(of.TWAP), "depth_micros": float64(of.Depth),
			"best_bid_micros": null(int64(of.Bid)), "best_ask_micros": null(int64(of.Ask)),
		}
		if m.facts["kind"] != "categorical" {
			row["pool_yes_micros"], row["pool_no_micros"] = float64(m.pools[0].Int64()), float64(m.pools[1].Int64())
		}
		w.emit(tableQuotes, op, row)
	}
}

// end tells an event of a market's end.
func (w *teller) end(e line, m *toldMarket) {
	switch e["type"] {
	case "fact_reported":
		w.step("c", "reported", e, line{"outcome": e["outcome"], "value": e["value"]}, e["facts_sha256"])
	case "resolution_proposed":
		m.proposal = e
		w.step("c", "proposed", e, e, e["evidence_sha256"])
	case "resolution_approved", "resolution_rejected":
		w.step("u", e["type"].(string)[len("resolution_"):], e, m.proposal, m.proposal["evidence_sha256"])
	case "resolution_disputed":
		w.step("u", "disputed", e, m.proposal, e["evidence_sha256"])
	case "settlement_started":
		m.ending, m.end = e["ending"], e
		if e["ending"] == "price" || e["ending"] == "refund" {
			m.end = line{"outcome": "NONE", "ending": e["ending"], "evidence_sha256": e["evidence_sha256"]}
			w.step("c", "canceled", e, m.end, e["evidence_sha256"])
		} else {
			w.step("u", "started", e, e, e["evidence_sha256"])
		}
	case "settlement_stepped":
		row := w.step("u", "settled", e, m.end, m.end["evidence_sha256"])
		row["step"] = e["phase"]
		payouts, _ := e["payouts"].([]any)
		for _, p := range payouts {
			credits := number(p.(map[string]any)["credits_micros"])
			if credits < 0 {
				row["recovered_micros"] = row["recovered_micros"].(float64) - credits
				continue
			}
			row["payout_micros"] = row["payout_micros"].(float64) + credits
			row["accounts_paid"] = row["accounts_paid"].(float64) + 1
		}
	}
}

// step tells a step of a market's end about what is named.
func (w *teller) step(op, phase string, e, named line, evidence any) line {
	row := line{
		"market": e["market"], "phase": phase, "outcome": named["outcome"], "evidence_sha256": evidence, "principal": w.principal,
		"payout_micros": 0.0, "accounts_paid": 0.0, "recovered_micros": 0.0, "step": nil, "ending": named["ending"],
		"effective_at": named["effective_at"], "value": nil,
	}
	if named["outcome"] == "LONG" {
		row["value"] = number(named["value"])
	}
	w.emit(tableResolutions, op, row)
	return row
}

// granted tells an event about credits that are given.
func (w *teller) granted(e line) {
	emit := func(op, step string, row line) {
		for _, c := range []string{"schedule", "account", "amount_micros", "cap_micros", "every", "groups", "period_at", "starts_at", "ends_at", "accounts"} {
			if _, has := row[c]; !has {
				row[c] = nil
			}
		}
		row["step"], row["place"], row["principal"] = step, w.place, w.principal
		w.place++
		w.emit(tableGrants, op, row)
	}
	switch e["type"] {
	case "grant_schedule_set":
		s := line(e["schedule"].(map[string]any))
		groups, _ := s["groups"].([]any)
		emit("c", "set", line{
			"schedule": s["name"], "amount_micros": s["amount_micros"], "cap_micros": s["cap_micros"], "every": s["period"], "groups": float64(len(groups)),
			"period_at": e["next"], "starts_at": s["start"], "ends_at": s["end"],
		})
	case "grant_schedule_ended":
		emit("u", "ended", line{"schedule": e["name"]})
	case "grants_begun":
		last, _ := e["last"].(string)
		n, _ := strconv.ParseFloat(strings.TrimPrefix(last, "acc_"), 64) // 0 if there was none
		emit("c", "begun", line{"schedule": e["name"], "period_at": e["period"], "accounts": n})
	case "grants_paid":
		for _, p := range e["grants"].([]any) {
			p := p.(map[string]any)
			emit("c", "granted", line{"schedule": e["name"], "period_at": e["period"], "account": p["account"], "amount_micros": p["credits_micros"]})
		}
	case "credits_granted":
		emit("c", "granted", line{"account": e["account"], "amount_micros": e["amount_micros"]})
	}
}

// grouped tells who joined and who left, by what was true before.
func (w *teller) grouped(e line) {
	subject, roles := e["account"], map[string]any{"given": e["groups"]}
	if e["told_at"] != nil {
		roles = map[string]any{"told": e["groups"]}
	}
	if e["type"] == "market_groups_set" {
		subject, roles = e["market"], map[string]any{"allow": e["allow_groups"], "deny": e["deny_groups"]}
	}
	for role, v := range roles {
		place, now := subject.(string)+" "+role+" ", map[string]bool{}
		list, _ := v.([]any)
		for _, name := range list {
			now[place+name.(string)] = true
		}
		tell := func(op, step, key string) {
			h := hmac.New(sha256.New, w.first[:])
			h.Write([]byte("group " + strings.TrimPrefix(key, place)))
			w.emit(tableGroups, op, line{
				"subject": subject, "role": role, "step": step, "principal": w.principal, "group_id": fmt.Sprintf("grp_%x", h.Sum(nil))[:len("grp_")+16],
			})
		}
		for key := range w.groups {
			if strings.HasPrefix(key, place) && !now[key] {
				delete(w.groups, key)
				tell("u", "left", key)
			}
		}
		for key := range now {
			if !w.groups[key] {
				w.groups[key] = true
				tell("c", "joined", key)
			}
		}
	}
}

// seasoned tells an event about seasons. A piece of a count names its accounts by the
// first one, and says of none which seasons it is for: the turn before it does.
func (w *teller) seasoned(e line) {
	emit := func(op, step string, season any, row line) {
		for _, c := range []string{"starts_at", "ends_at", "accounts", "account", "worth_micros", "standing"} {
			if _, has := row[c]; !has {
				row[c] = nil
			}
		}
		row["step"], row["season"], row["place"], row["principal"] = step, season, w.lines, w.principal
		w.lines++
		w.emit(tableSeasons, op, row)
	}
	number := func(v any) float64 {
		n, _ := strconv.ParseFloat(strings.TrimPrefix(v.(string), "acc_"), 64)
		return n
	}
	switch e["type"] {
	case "season_opened":
		emit("c", "opened", e["name"], line{"starts_at": e["start"], "ends_at": e["end"]})
	case "season_stopped":
		emit("u", "stopped", e["name"], line{})
	case "season_turned":
		for i, member := range []string{"ends", "begins"} {
			if w.counts[i], _ = e[member].(string); w.counts[i] != "" {
				emit("u", []string{"ended", "begun"}[i], w.counts[i], line{"accounts": number(e["last"])})
			}
		}
	case "season_counted":
		unranked, _ := e["unranked"].([]any)
		for i, worth := range e["values_micros"].([]any) {
			account, standing := fmt.Sprint("acc_", number(e["from"])+float64(i)), "ranked"
			for _, id := range unranked {
				if id == account {
					standing = "unranked"
				}
			}
			for j, step := range []string{"ended_with", "began_with"} {
				if w.counts[j] != "" {
					emit("c", step, w.counts[j], line{"account": account, "worth_micros": worth, "standing": standing})
				}
			}
		}
	}
}
