package resolver

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/mbp-market/mbp/tests/given"
)

// realTrees reads the rule trees that a bot really used.
func realTrees(t *testing.T) [][]byte {
	t.Helper()
	var out [][]byte
	for lines := bufio.NewScanner(given.Unzipped(t, given.RealData(t, "resolution_rules.jsonl.gz"))); lines.Scan(); {
		out = append(out, append([]byte(nil), lines.Bytes()...))
	}
	return out
}

// visit calls see with the name of every node of a tree.
func visit(v any, see func(string)) {
	switch x := v.(type) {
	case []any:
		for _, y := range x {
			visit(y, see)
		}
	case map[string]any:
		if name, ok := x["rule"].(string); ok {
			see(name)
		}
		for _, y := range x {
			visit(y, see)
		}
	}
}

// TestRealTrees maps every real tree, compiles what was mapped, and keeps the
// counts: of trees by the reason they went no further, and of nodes in mapped and
// other trees.
func TestRealTrees(t *testing.T) {
	trees := realTrees(t)
	type nodes struct {
		Mapped int `json:"in_mapped_trees"`
		Other  int `json:"in_others"`
	}
	count := struct {
		Trees     int               `json:"trees"`
		Mapped    int               `json:"mapped"`
		NotMapped map[string]int    `json:"not_mapped"`
		Nodes     map[string]*nodes `json:"nodes"`
		Decided   map[string]int    `json:"conditions"` // of mapped rules, by what they name
	}{NotMapped: map[string]int{}, Nodes: map[string]*nodes{}, Decided: map[string]int{}}
	for _, b := range trees {
		count.Trees++
		rule, err := FromTree(b)
		if stuck := (*NotMapped)(nil); errors.As(err, &stuck) {
			count.NotMapped[stuck.Node+": "+stuck.Why]++
		} else if err != nil {
			t.Fatal(err)
		} else {
			count.Mapped++
			if _, err := rule.Compile(); err != nil {
				t.Errorf("%s: %v", rule.ID, err)
			}
			for _, c := range rule.Conditions {
				switch {
				case c.Value != "":
					count.Decided["value"]++
				default:
					count.Decided[c.Outcome+c.Cancel]++
				}
			}
		}
		var v any
		if err := json.Unmarshal(b, &v); err != nil {
			t.Fatal(err)
		}
		visit(v, func(name string) {
			if count.Nodes[name] == nil {
				count.Nodes[name] = &nodes{}
			}
			if rule != nil {
				count.Nodes[name].Mapped++
			} else {
				count.Nodes[name].Other++
			}
		})
	}
	_, put := archive(t, "trees.txtar")
	put("counts.json", indented(count))
}

// world answers the addresses that mapped trees ask for, and lets a tree be
// walked as the bot walks it.
type world struct {
	now, close time.Time
	markets    map[string]map[string]any // id to answer
	pull       map[string]any
	profit     float64
}

func (w world) fetch(_ context.Context, address string) ([]byte, error) {
	switch {
	case strings.HasPrefix(address, "https://api.manifold.markets/v0/market/"):
		return json.Marshal(w.markets[strings.TrimPrefix(address, "https://api.manifold.markets/v0/market/")])
	case strings.HasPrefix(address, "https://api.github.com/repos/"):
		return json.Marshal(w.pull)
	case strings.HasPrefix(address, "https://api.manifold.markets/v0/user/"):
		return json.Marshal(map[string]any{"profitCached": map[string]any{"allTime": w.profit}})
	}
	return nil, fmt.Errorf("asked for %s", address)
}

// state is what a node can be. The bot knows no third: it takes a market that has
// not resolved for true. A rule waits instead, and so does this reading.
type state int

const (
	no state = iota
	yes
	unknown
)

func is(b bool) state {
	if b {
		return yes
	}
	return no
}

// walk reads a node by what the bot says that it means, tree and answers in hand,
// without an expression in between.
func (w world) walk(n map[string]any, this string) state {
	child := func(name string) state { return w.walk(n[name].(map[string]any), this) }
	id, _ := n["id_"].(string)
	switch name := n["rule"].(string); name {
	case "manifold.this.ThisMarketClosed":
		return is(w.close.Before(w.now))
	case "generic.ResolveAtTime":
		at, _ := time.Parse("2006-01-02T15:04:05", n["resolve_at"].(string))
		return is(!w.now.Before(at))
	case "manifold.other.OtherMarketResolved":
		return is(w.markets[id]["isResolved"].(bool))
	case "manifold.other.OtherMarketClosed":
		return is(w.markets[id]["isResolved"].(bool) || w.markets[id]["closeTime"].(int64) < w.now.UnixMilli())
	case "github.ResolveWithPR":
		return is(w.pull["state"] != "open" || w.pull["merged"].(bool))
	case "manifold.this.RoundValueRule":
		return is(w.markets[this]["probability"].(float64) > 0.5)
	case "manifold.other.OtherMarketValue":
		switch w.markets[id]["resolution"] {
		case "YES":
			return yes
		case "NO":
			return no
		}
		return unknown
	case "generic.NegateRule":
		return map[state]state{yes: no, no: yes, unknown: unknown}[child("child")]
	case "generic.BothRule":
		a, b := child("rule1"), child("rule2")
		switch {
		case a == no || b == no:
			return no
		case a == yes && b == yes:
			return yes
		}
		return unknown
	case "generic.XNORRule":
		a, b := child("rule1"), child("rule2")
		if a == unknown || b == unknown {
			return unknown
		}
		return is(a == b)
	}
	panic(n["rule"])
}

// expect is what the bot would do: nothing, an outcome, a value or a cancel.
func (w world) expect(t map[string]any, this string, m Market) (outcome, cancel string, value float64, decided bool) {
	triggered := false
	for _, n := range t["do_resolve_rules"].([]any) {
		triggered = triggered || w.walk(n.(map[string]any), this) == yes
	}
	if !triggered {
		return "", "", 0, false
	}
	n := t["resolve_to_rules"].([]any)[0].(map[string]any)
	switch n["rule"] {
	case "manifold.this.CurrentValueRule":
		return "", CancelPrice, 0, true
	case "manifold.user.ResolveToUserProfit":
		return "", "", w.profit, true
	case "github.ResolveToPRDelta":
		if !w.pull["merged"].(bool) {
			return "", "", float64(m.Max) / million, true
		}
		start, _ := time.Parse("2006-01-02T15:04:05", n["start"].(string))
		at, _ := time.Parse(time.RFC3339, w.pull["merged_at"].(string))
		return "", "", at.Sub(start).Seconds() / 86400, true
	case "generic.ConditionalRule":
		switch w.walk(n["rule1"].(map[string]any), this) {
		case no:
			return "", CancelRefund, 0, true
		case unknown:
			return "", "", 0, false
		}
		n = n["rule2"].(map[string]any)
	}
	switch w.walk(n, this) {
	case yes:
		return "YES", "", 0, true
	case no:
		return "NO", "", 0, true
	}
	return "", "", 0, false
}

// near is a time at a moment that matters, or just beside it.
func near(t *rapid.T, label string, moments []time.Time) time.Time {
	beside := rapid.SampledFrom([]time.Duration{-400 * 24 * time.Hour, -time.Hour, -time.Second, 0, time.Second, time.Hour}).Draw(t, label)
	return rapid.SampledFrom(moments).Draw(t, label+" to").Add(beside)
}

func drawWorld(t *rapid.T, ids []string, moments []time.Time) world {
	now := near(t, "now", moments)
	moments = []time.Time{now}
	w := world{now: now, close: near(t, "close", moments), markets: map[string]map[string]any{}, profit: float64(rapid.IntRange(-4000, 4000).Draw(t, "profit")) / 4}
	for _, id := range ids {
		p := rapid.SampledFrom([]float64{0.01, math.Nextafter(0.5, 0), 0.5, math.Nextafter(0.5, 1), 0.99}).Draw(t, "p")
		a := map[string]any{"closeTime": near(t, "closes", moments).UnixMilli(), "probability": p, "isResolved": false}
		if r := rapid.SampledFrom([]string{"", "", "YES", "NO", "YES", "NO", "CANCEL", "MKT"}).Draw(t, "resolution"); r != "" {
			a["isResolved"], a["resolution"] = true, r
		} else if rapid.Bool().Draw(t, "null") {
			a["resolution"] = nil
		}
		w.markets[id] = a
	}
	merged := rapid.Bool().Draw(t, "merged")
	w.pull = map[string]any{"state": rapid.SampledFrom([]string{"open", "closed"}).Draw(t, "state"), "merged": merged, "merged_at": nil}
	if merged {
		w.pull["state"], w.pull["merged_at"] = "closed", near(t, "merged at", moments).Format(time.RFC3339)
	}
	return w
}

// TestMappedTreesDecideAsTheBot runs every mapped rule and the bot's reading on
// the same worlds: fetched, digested, evaluated, and with the same end.
func TestMappedTreesDecideAsTheBot(t *testing.T) {
	ends := map[string]int{}
	for _, b := range realTrees(t) {
		rule, err := FromTree(b)
		if err != nil {
			continue
		}
		p, err := rule.Compile()
		if err != nil {
			t.Fatal(err)
		}
		var tree map[string]any
		if err := json.Unmarshal(b, &tree); err != nil {
			t.Fatal(err)
		}
		this := strings.TrimPrefix(tree["market_id"].(string), "manifold:")
		ids := []string{this}
		for _, q := range rule.Sources[0].Requests {
			ids = append(ids, strings.TrimPrefix(q.URL, "https://api.manifold.markets/v0/market/"))
		}
		moments := []time.Time{time.Date(2022, 12, 31, 23, 59, 59, 0, time.UTC)}
		for _, n := range tree["do_resolve_rules"].([]any) {
			if at, ok := n.(map[string]any)["resolve_at"].(string); ok {
				moment, err := time.Parse("2006-01-02T15:04:05", at)
				if err != nil {
					t.Fatal(err)
				}
				moments = append(moments, moment)
			}
		}
		rapid.Check(t, func(rt *rapid.T) {
			w := drawWorld(rt, ids, moments)
			now := w.now.UnixMicro()
			m := Market{ID: this, Close: w.close.UnixMicro(), Min: -1_000 * million, Max: 1_000 * million}
			facts := []byte(fmt.Sprintf(`{"source": "desk", "observed_at": %q, "facts": {}, "evidence": "https://x.example/1"}`, w.now.Format(time.RFC3339)))
			if rule.Sources[0].Type == TypeEndpoint {
				if facts, err = p.Endpoint(rt.Context(), "api", w.fetch, m, now); err != nil {
					rt.Fatal(err)
				}
			}
			got, err := p.Evaluate(rt.Context(), facts, m, now)
			if err != nil {
				rt.Fatal(err)
			}
			outcome, cancel, value, decided := w.expect(tree, this, m)
			diff := value*million - float64(got.Value)
			if got.Decided != decided || got.Outcome != outcome || got.Cancel != cancel || diff > 0.51 || diff < -0.51 {
				rt.Fatalf("%+v, the bot says %v %q %q %v\n%s\n%s", got, decided, outcome, cancel, value, b, facts)
			}
			ends[fmt.Sprint(decided, outcome, cancel)]++
		})
	}
	if len(ends) != 6 { // nothing, YES, NO, price, refund, a value
		t.Errorf("only these ends were seen: %v", ends)
	}
}

// TestTreesThatGoNoFurther: a node that means something else elsewhere, or
// nothing at all, is never mapped to what it nearly means.
func TestTreesThatGoNoFurther(t *testing.T) {
	const closed = `{"rule": "manifold.this.ThisMarketClosed"}`
	const round = `{"rule": "manifold.this.RoundValueRule"}`
	for _, c := range []struct{ id, kind, do, to, node string }{
		{"manifold:a", "BINARY", closed, `{"rule": "generic.ConditionalRule"}`, "generic.ConditionalRule"},
		{"manifold:a", "BINARY", closed, `{"rule": "generic.NegateRule"}`, "tree"},
		{"manifold:a", "BINARY", closed, `{"rule": "generic.NegateRule", "child": {"rule": "manifold.this.CurrentValueRule"}}`, "manifold.this.CurrentValueRule"},
		{"manifold:a", "BINARY", closed, `{"rule": "manifold.other.OtherMarketValue", "id_": "../x"}`, "manifold.other.OtherMarketValue"},
		{"manifold:a", "BINARY", closed, `{"rule": "manifold.other.OtherMarketValue"}`, "manifold.other.OtherMarketValue"},
		{"manifold:a", "BINARY", `{"rule": "generic.ResolveAtTime", "resolve_at": "soon"}`, round, "generic.ResolveAtTime"},
		{"manifold:a", "BINARY", round, round, "manifold.this.RoundValueRule"},
		{"manifold:a", "BINARY", `{"rule": "github.ResolveWithPR", "owner": "..", "repo": "x", "number": 1}`, round, "github.ResolveWithPR"},
		{"manifold:a", "PSEUDO_NUMERIC", closed, round, "manifold.this.RoundValueRule"},
		{"manifold:a", "PSEUDO_NUMERIC", closed, `{"rule": "manifold.user.ResolveToUserProfit", "user": "a/b", "field": "x"}`, "manifold.user.ResolveToUserProfit"},
		{"manifold:a", "NUMERIC", closed, round, "manifold.this.RoundValueRule"},
		{"elsewhere:a", "BINARY", closed, round, "tree"},
		{"manifold:a", "BINARY", "", round, "tree"},
		{"manifold:a", "BINARY", closed, round + "," + round, "tree"},
		{"manifold:a", "BINARY", "null", round, "tree"},
		{"manifold:a", "BINARY", closed, "null", "tree"},
	} {
		b := fmt.Sprintf(`{"market_id": %q, "question": "?", "type": %q, "do_resolve_rules": [%s], "resolve_to_rules": [%s]}`, c.id, c.kind, c.do, c.to)
		var stuck *NotMapped
		if _, err := FromTree([]byte(b)); !errors.As(err, &stuck) || stuck.Node != c.node {
			t.Errorf("%s: %v, want it stuck at %s", b, err, c.node)
		}
	}
	if _, err := FromTree([]byte("{")); err == nil {
		t.Error("half a tree was mapped")
	}
}
