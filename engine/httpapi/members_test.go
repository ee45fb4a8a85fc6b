package httpapi

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
	"github.com/mbp-market/mbp/engine/httpapi/history"
	"github.com/mbp-market/mbp/engine/httpapi/league"
	"github.com/mbp-market/mbp/engine/httpapi/news"
	"github.com/mbp-market/mbp/engine/httpapi/own"
	"github.com/mbp-market/mbp/engine/httpapi/personal"
	"github.com/mbp-market/mbp/engine/httpapi/roster"
	"github.com/mbp-market/mbp/engine/httpapi/several"
	"github.com/mbp-market/mbp/engine/httpapi/wire"
	"github.com/mbp-market/mbp/engine/webhook"
)

// members returns the JSON names of a type, and whether each is always written.
func members(typ reflect.Type) map[string]bool {
	out := map[string]bool{}
	for i := range typ.NumField() {
		f := typ.Field(i)
		name, option, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			maps.Copy(out, members(f.Type))
		case name != "-" && f.IsExported():
			out[name] = option == ""
		}
	}
	return out
}

// newMarket is a market with its groups, as it is asked for.
type newMarket struct {
	engine.OpenMarket
	Allow []string `json:"allow_groups,omitempty"`
	Deny  []string `json:"deny_groups,omitempty"`
}

// TestContractKnowsEveryMember holds the schemas against the types that server
// and client encode and decode. Answers of a running server show a rare member
// only on the day when it is needed.
func TestContractKnowsEveryMember(t *testing.T) {
	c := openContract(t)
	const seq, kind = "seq", "type"
	for _, x := range []struct {
		schema string // below components/schemas; a dot goes down
		value  any
		extra  string // a member that the edge adds
		input  bool   // what is always written may be absent all the same
	}{
		{"OrderFilled", engine.OrderFilled{}, kind, false},
		{"Fill", engine.Fill{}, "", false},
		{"OrderFilled.properties.met.items", engine.Met{}, "", false},
		{"Market", engine.Market{}, "", false},
		{"MarketGroups", client.MarketGroups{}, "", false},
		{"AccountGroups", client.AccountGroups{}, "", false},
		{"NewSeason", client.NewSeason{}, "", true},
		{"Season", engine.Season{}, "", false},
		{"Seasons", client.Seasons{}, "", false},
		{"Standing", engine.Standing{}, "", false},
		{"Standings", league.Standings{}, "", false},
		{"Standings", client.Standings{}, "", false},
		{"Ranking", league.Ranking{}, "", false},
		{"Ranking", client.Ranking{}, "", false},
		{"NewGrantSchedule", engine.GrantSchedule{}, "", true},
		{"GrantSchedule", client.GrantSchedule{}, "", false},
		{"GrantScheduleAt", client.GrantScheduleAt{}, "", false},
		{"GrantSchedules", client.GrantSchedules{}, "", false},
		{"GrantRound", client.GrantRound{}, "", false},
		{"GrantRound", history.Round{}, "", false},
		{"AccountGrants", history.Grants{}, "", false},
		{"AccountGrants", client.GrantPage{}, "", false},
		{"CreditGrant", history.Grant{}, "", false},
		{"CreditGrant", client.Grant{}, "", false},
		{"Clarification", engine.Clarification{}, "", false},
		{"PersonalData", personal.Doc{}, "", false},
		{"PersonalData", client.PersonalData{}, "", false},
		{"HeldText", personal.Held{}, "", false},
		{"HeldText", client.HeldText{}, "", false},
		{"Note", personal.Note{}, "", false},
		{"Note", client.Note{}, "", false},
		{"Notes", client.Notes{}, "", false},
		{"Market.properties.proposal", engine.Proposal{}, "", false},
		{"OutcomeState", engine.OutcomeState{}, "", false},
		{"Account", engine.Account{}, seq, false},
		{"Account", client.Account{}, "", false},
		{"Account.properties.positions.items", engine.Position{}, "", false},
		{"OpenOrder", engine.OpenOrder{}, "", false},
		{"Level", engine.BookLevel{}, "", false},
		{"Decision.properties.results.items", engine.Result{}, "", false},
		{"Quote", quoteAnswer{}, "", false},
		{"Quote", client.Quote{}, "", false},
		{"QuoteFill", wire.Piece{}, "", false},
		{"QuoteFill", client.QuoteFill{}, "", false},
		{"StreamTrade", news.Trade{}, "", false},
		{"StreamTrade", client.TradeEvent{}, "", false},
		{"StreamQuote", news.Quote{}, "", false},
		{"StreamQuote", client.PriceEvent{}, "", false},
		{"StreamSnapshot", client.Snapshot{}, "", false},
		{"StreamGap", client.Gap{}, "", false},
		{"AccountSnapshot", own.Snapshot{}, "", false},
		{"AccountSnapshot", client.AccountSnapshot{}, "", false},
		{"AccountSnapshot.properties.account", engine.Account{}, "", false},
		{"StreamFill", own.Fill{}, "", false},
		{"StreamFill", client.FillEvent{}, "", false},
		{"StreamOrder", own.Order{}, "", false},
		{"StreamOrder", client.OrderEvent{}, "", false},
		{"StreamGrant", own.Grant{}, "", false},
		{"StreamGrant", client.GrantEvent{}, "", false},
		{"StreamPayout", own.Payout{}, "", false},
		{"StreamPayout", client.PayoutEvent{}, "", false},
		{"StreamHolding", own.Holding{}, "", false},
		{"StreamHolding", client.HoldingEvent{}, "", false},
		{"StreamSettled", own.Settled{}, "", false},
		{"StreamSettled", client.SettledEvent{}, "", false},
		{"StreamStanding", own.Standing{}, "", false},
		{"StreamStanding", client.StandingEvent{}, "", false},
		{"Decision", client.Decision{}, "", false},
		{"Decisions", client.DecisionPage{}, "", false},
		{"BatchesDecided", several.Doc{}, "", false},
		{"BatchesDecided", client.Batches{}, "", false},
		{"Markets", client.MarketPage{}, "", false},
		{"Templates", client.TemplateList{}, "", false},
		{"Orders", client.OrderList{}, "", false},
		{"Book", client.Book{}, "", false},
		{"House", houseDoc{}, "", false},
		{"House", client.House{}, "", false},
		{"Upgrade", engine.UpgradeEngine{}, "", true},
		{"PolicyAt", client.Policy{}, "", false},
		{"Me", client.Me{}, "", false},
		{"Policy", engine.Policy{}, "", false},
		{"Policy.properties.burst", engine.BurstRule{}, "", false},
		{"Policy.properties.account_burst", engine.BurstRule{}, "", false},
		{"Policy.properties.degrade", engine.DegradeRule{}, "", false},
		{"Policy.properties.wash", engine.WashRule{}, "", false},
		{"Policy.properties.self_trades", engine.AttemptsRule{}, "", false},
		{"Template", engine.Template{}, "", true},
		{"Template.properties.fee", engine.FeeRule{}, "", true},
		{"Template.properties.guard", engine.GuardRule{}, "", true},
		{"Template.properties.risk", engine.RiskRule{}, "", true},
		{"Template.properties.truth", engine.TruthRule{}, "", true},
		{"Template.properties.end", engine.EndRule{}, "", true},
		{"NewMarket", newMarket{}, "", true},
		{"NewKey", engine.Key{}, "", true},
		{"Key", roster.Key{}, "", true},
		{"Key", client.KnownKey{}, "", true},
		{"NewMode", engine.SetMode{}, "", true},
		{"NewDeadlines", engine.SetDeadlines{}, "", true},
		{"Moderation", engine.Moderate{}, "", true},
		{"UndoModeration", engine.UndoModeration{}, "", true},
		{"NewWebhook", engine.AddWebhook{}, "", true},
		{"Webhook", engine.Webhook{}, "", false},
		{"WebhookHere", webhook.Here{}, "", false},
		{"WebhookAt", webhook.At{}, "", false},
		{"Webhooks", webhook.List{}, "", false},
		{"WebhookHere", client.Webhook{}, "", false},
		{"WebhookAt", client.WebhookAt{}, "", false},
		{"Webhooks", client.WebhookList{}, "", false},
		{"Delivery", webhook.Status{}, "", false},
		{"Delivery", client.Delivery{}, "", false},
		{"Attempt", webhook.Attempt{}, "", false},
		{"Attempt", client.Attempt{}, "", false},
		{"WebhookMessage", webhook.Message{}, "", false},
		{"WebhookMessage", client.WebhookMessage{}, "", false},
		{"WebhookMessage.properties.events.items", webhook.Event{}, "", false},
		{"WebhookMessage.properties.events.items", client.WebhookEvent{}, "", false},
	} {
		want := members(reflect.TypeOf(x.value))
		if x.extra != "" {
			want[x.extra] = true
		}
		v, _ := c.at(append([]string{"components", "schemas"}, strings.Split(x.schema, ".")...)...)
		schema, _ := v.(map[string]any)
		properties, _ := schema["properties"].(map[string]any)
		if got := slices.Sorted(maps.Keys(properties)); !slices.Equal(got, slices.Sorted(maps.Keys(want))) {
			t.Errorf("%s has the members\n%v, %T\n%v", x.schema, got, x.value, slices.Sorted(maps.Keys(want)))
		}
		for _, name := range asList(schema["required"]) {
			if always, known := want[name.(string)]; !known || !always {
				t.Errorf("%s requires %v, which %T may leave out", x.schema, name, x.value)
			}
			delete(want, name.(string))
		}
		for name, always := range want {
			if always && !x.input {
				t.Errorf("%s does not require %s, which %T always has", x.schema, name, x.value)
			}
		}
	}
}

// TestContractKnowsEveryWord compares the types of commands and events with the
// marks in the engine's source.
func TestContractKnowsEveryWord(t *testing.T) {
	c := openContract(t)
	for mark, at := range map[string][]string{
		"command": {"components", "schemas", "Decision", "properties", "command", "properties", "type", "enum"},
		"event":   {"components", "schemas", "Event", "properties", "type", "enum"},
	} {
		var source []byte
		files, _ := filepath.Glob("../*.go") // the pattern is a good one
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			source = append(append(source, b...), '\n')
		}
		var want, got []string
		for _, m := range regexp.MustCompile(`(?m)^//wire:`+mark+` \d+ (\w+)$`).FindAllSubmatch(source, -1) {
			want = append(want, string(m[1]))
		}
		v, _ := c.at(at...)
		for _, w := range asList(v) {
			got = append(got, w.(string))
		}
		slices.Sort(want)
		slices.Sort(got)
		if len(want) < 30 || !slices.Equal(got, want) {
			t.Errorf("%s: the contract has\n%v, the engine\n%v", mark, got, want)
		}
	}
}

// TestExamplesFollowTheirSchemas: whoever copies an example of the contract sends, or
// gets, what the contract says.
func TestExamplesFollowTheirSchemas(t *testing.T) {
	c, n := openContract(t), 0
	var walk func(v any, pointer string)
	walk = func(v any, pointer string) {
		switch x := v.(type) {
		case []any:
			for i := range x {
				walk(x[i], pointer+"/"+strconv.Itoa(i))
			}
		case map[string]any:
			if example := x["example"]; example != nil && x["schema"] != nil {
				n++
				if err := c.schema(pointer + "/schema").Validate(example); err != nil {
					t.Errorf("the example at %s: %v", pointer, err)
				}
			}
			for name := range x {
				walk(x[name], pointer+"/"+strings.NewReplacer("~", "~0", "/", "~1").Replace(name))
			}
		}
	}
	walk(c.doc, "")
	if n < 6 {
		t.Errorf("%d examples: the contract is read wrongly", n)
	}
}
