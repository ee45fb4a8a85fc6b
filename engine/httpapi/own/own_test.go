package own

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mbp-market/mbp/engine"
)

// told are the events that name an account, with what they tell it; silent those that
// tell it nothing, and why.
var told = map[string]string{
	"CreditsGranted": "grant", "GrantsPaid": "grant", "MarketOpened": "liquidity", "OrderFilled": "fill", "OrderRested": "order",
	"OrdersClosed": "order", "OrderReduced": "order", "SetsSplit": "sets", "SetsMerged": "sets", "LiquidityAdded": "liquidity",
	"LiquidityRemoved": "liquidity", "AbuseRaised": "account", "SettlementStepped": "payout", "Moderated": "account", "ModerationUndone": "account",
}

var silent = map[string]string{
	"AccountOpened": "nobody listens to it before", "KeyAdded": "a key is not the account's to hold", "PersonErased": "it ends the streams",
	"AccountGroupsSet": "it holds what it held; orders that leave a book are told of by themselves",
	"SeasonTurned":     "nobody has more or less by it", "SeasonCounted": "it says what is held, and moves nothing",
	"RankingSet":  "it holds what it held",
	"GrantsBegun": "nothing is granted yet", "MarketSifted": "it is how far the work has come",
}

// TestEveryEventIsToldOrSilent: an event that names an account is one or the other; a new
// one has to be decided about here, or the streams of accounts would have a gap.
func TestEveryEventIsToldOrSilent(t *testing.T) {
	files, err := filepath.Glob("../../*.go")
	if err != nil {
		t.Fatal(err)
	}
	structs, events := map[string]*ast.StructType{}, []string{}
	mark := regexp.MustCompile(`(?m)^//wire:event \d+ `)
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			g, is := d.(*ast.GenDecl)
			if !is || g.Tok != token.TYPE {
				continue
			}
			spec := g.Specs[0].(*ast.TypeSpec)
			if x, is := spec.Type.(*ast.StructType); is {
				structs[spec.Name.Name] = x
				if g.Doc != nil && slices.ContainsFunc(g.Doc.List, func(c *ast.Comment) bool { return mark.MatchString(c.Text) }) {
					events = append(events, spec.Name.Name)
				}
			}
		}
	}
	var names func(x *ast.StructType) bool
	names = func(x *ast.StructType) (found bool) {
		for _, f := range x.Fields.List {
			ast.Inspect(f.Type, func(n ast.Node) bool {
				if id, is := n.(*ast.Ident); is {
					inner := structs[id.Name]
					found = found || id.Name == "AccountID" || inner != nil && inner != x && names(inner)
				}
				return !found
			})
		}
		return found
	}
	about := map[string]bool{}
	for _, e := range events {
		if names(structs[e]) {
			about[e] = true
		}
	}
	for e := range about {
		if told[e] == "" && silent[e] == "" {
			t.Errorf("%s names an account: what is that account told?", e)
		}
	}
	for _, e := range slices.Concat(slices.Collect(maps.Keys(told)), slices.Collect(maps.Keys(silent))) {
		if !about[e] {
			t.Errorf("%s is no event that names an account", e)
		}
	}
	if len(events) < 40 || len(about) < 15 {
		t.Errorf("%d events, %d about accounts: the test reads the source wrongly", len(events), len(about))
	}
}

// nowhere is a world in which nobody holds anything and no order is remembered.
type nowhere struct{}

func (nowhere) Standing(id engine.AccountID, _ []engine.MarketID) (engine.Account, engine.Seq) {
	return engine.Account{Account: id, Positions: []engine.Position{}}, 9
}
func (nowhere) Holder(engine.AccountID, engine.MarketID) bool { return false }
func (nowhere) Rested(engine.OrderID) *engine.OrderRested     { return nil }

// TestWhoIsTold: Touched and Encode agree on whom a decision is about, and a maker whose
// order nobody can read any more is told of the fill without its terms.
func TestWhoIsTold(t *testing.T) {
	d := &engine.Decision{Seq: 9, Request: engine.Request{At: 1_700_000_000_000_001}, Events: []engine.Event{
		&engine.OrderFilled{
			Order: 9, Account: 3, Market: 1, Outcome: engine.Yes, Side: engine.Buy, Shares: 10, Amount: 5,
			Fills: []engine.Fill{{Shares: 4, Amount: 2}, {Maker: 7, Account: 5, Shares: 6, Amount: 3, Counter: 3}},
			Met:   []engine.Met{{Order: 8, Shares: 1}},
		},
		&engine.AbuseRaised{Account: 6, Rule: engine.RuleWash, Action: "alert"},
		&engine.AbuseRaised{Account: 8, Rule: engine.RuleOrderRate, Action: "limit"},
		&engine.SettlementStepped{Market: 2, Payouts: []engine.Payout{{Account: 4, Credits: -7}}},
	}}
	accounts, ends := Touched(d)
	if !slices.Equal(accounts, []engine.AccountID{3, 4, 5, 8}) || ends {
		t.Errorf("%v, ends %v", accounts, ends)
	}
	for id, want := range map[engine.AccountID]string{
		3: "fill order account", 4: "payout account", 5: "fill account", 6: "", 8: "account",
	} {
		text, err := Encode(d, id, nowhere{})
		if err != nil {
			t.Fatal(err)
		}
		var kinds []string
		for line := range strings.Lines(string(text)) {
			if kind, is := strings.CutPrefix(line, "event: "); is {
				kinds = append(kinds, strings.TrimSpace(kind))
			}
		}
		if got := strings.Join(kinds, " "); got != want {
			t.Errorf("%s is told %q, want %q", id, got, want)
		}
		if want != "" && (strings.Count(string(text), "id: 9\nevent: account\n") != 1 || strings.Count(string(text), "id: ") != 1) {
			t.Errorf("%s: the id does not stand on the last event:\n%s", id, text)
		}
		if id == 5 && strings.Contains(string(text), "outcome") {
			t.Errorf("it makes up the terms of an order: %s", text)
		}
	}
}
