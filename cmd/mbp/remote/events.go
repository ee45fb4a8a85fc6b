package remote

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/mbp-market/mbp/cmd/mbp/exact"
	"github.com/mbp-market/mbp/engine"
)

// line makes a reader of one kind of event.
func line[E any](say func(*E) string) func(json.RawMessage) string {
	return func(raw json.RawMessage) string {
		e := new(E)
		if json.Unmarshal(raw, e) != nil {
			return string(raw)
		}
		return say(e)
	}
}

// lines say events as a person does.
var lines = map[string]func(json.RawMessage) string{
	"account_opened": line(func(e *engine.AccountOpened) string { return e.Account.String() + " opened" }),
	"credits_granted": line(func(e *engine.CreditsGranted) string {
		return fmt.Sprintf("%s got %s credits", e.Account, exact.Format(e.Amount))
	}),
	"grant_schedule_set": line(func(e *engine.GrantScheduleSet) string {
		x := e.Schedule
		return fmt.Sprintf("schedule %s grants %s credits %s to %s, next at %s", x.Name, exact.Format(x.Amount), wordOf(x.Period), cmp.Or(strings.Join(x.Groups, ", "), "everybody"), e.Next)
	}),
	"grant_schedule_ended": line(func(e *engine.GrantScheduleEnded) string {
		return fmt.Sprintf("schedule %s grants nothing any more", e.Name)
	}),
	"grants_begun": line(func(e *engine.GrantsBegun) string {
		if e.Last == 0 {
			return fmt.Sprintf("schedule %s grants for the period from %s, and there is no account", e.Name, e.Period)
		}
		return fmt.Sprintf("schedule %s grants for the period from %s, to accounts up to %s", e.Name, e.Period, e.Last)
	}),
	"grants_paid": line(func(e *engine.GrantsPaid) string {
		var sum engine.Micros
		for _, p := range e.Grants {
			sum += p.Credits
		}
		whom := fmt.Sprintf("%d accounts", len(e.Grants))
		if len(e.Grants) == 1 {
			whom = e.Grants[0].Account.String()
		}
		return fmt.Sprintf("schedule %s granted %s credits to %s for the period from %s", e.Name, exact.Format(sum), whom, e.Period)
	}),
	"season_opened": line(func(e *engine.SeasonOpened) string {
		return fmt.Sprintf("season %s runs from %s to %s", e.Name, e.Start, e.End)
	}),
	"season_stopped": line(func(e *engine.SeasonStopped) string {
		return fmt.Sprintf("season %s ends now, or is withdrawn if it has not begun", e.Name)
	}),
	"season_turned": line(func(e *engine.SeasonTurned) string {
		var what []string
		if e.Ends != "" {
			what = append(what, fmt.Sprintf("season %s is over", e.Ends))
		}
		if e.Begins != "" {
			what = append(what, fmt.Sprintf("season %s begins", e.Begins))
		}
		return fmt.Sprintf("%s; what %d accounts have now counts", strings.Join(what, " and "), e.Last)
	}),
	"season_counted": line(func(e *engine.SeasonCounted) string {
		if e.Next == 0 {
			return fmt.Sprintf("counted what %d accounts from %s on had at the turn, the last ones", len(e.Values), e.From)
		}
		return fmt.Sprintf("counted what %d accounts from %s on had at the turn", len(e.Values), e.From)
	}),
	"ranking_set": line(func(e *engine.RankingSet) string {
		if e.Ranked {
			return fmt.Sprintf("%s may stand in standings", e.Account)
		}
		return fmt.Sprintf("%s stands in no standings", e.Account)
	}),
	"key_added": line(func(e *engine.KeyAdded) string {
		return fmt.Sprintf("key %s for %s: %s", e.Key.SHA256, e.Key.Principal, strings.Join(e.Key.Roles.Names(), ", "))
	}),
	"key_revoked": line(func(e *engine.KeyRevoked) string { return fmt.Sprintf("key %s ended", e.SHA256) }),
	"template_added": line(func(e *engine.TemplateAdded) string {
		return fmt.Sprintf("template %s of %s markets", e.Template.Name(), e.Template.Kind)
	}),
	"policy_set": line(func(e *engine.PolicySet) string {
		if e.Rollback {
			return "policy " + e.Policy.Version + " is in force again"
		}
		return "policy " + e.Policy.Version + " is in force"
	}),
	"engine_upgraded": line(func(e *engine.EngineUpgraded) string { return fmt.Sprintf("the rules of version %d decide", e.Version) }),
	"mode_set":        line(func(e *engine.ModeSet) string { return fmt.Sprintf("mode %s: %s", e.Mode, e.Reason) }),
	"deadlines_set": line(func(e *engine.DeadlinesSet) string {
		if e.Held {
			return "deadlines are held: " + e.Reason
		}
		return "the time is confirmed, deadlines go on: " + e.Reason
	}),
	"market_opened": line(func(e *engine.MarketOpened) string {
		how := "opened"
		if e.Draft {
			how = "drafted"
		}
		prices := make([]string, len(e.Prices))
		for i, p := range e.Prices {
			prices[i] = exact.Format(p)
		}
		if len(prices) == 2 {
			prices = prices[:1] // the other one follows
		}
		return fmt.Sprintf("%s %s at %s with %s credits: %s", e.Market, how, strings.Join(prices, ", "), exact.Format(e.Liquidity), e.Title)
	}),
	"close_changed": line(func(e *engine.CloseChanged) string {
		if e.To == 0 {
			return fmt.Sprintf("%s stays open until somebody closes it", e.Market)
		}
		return fmt.Sprintf("%s closes at %s", e.Market, e.To)
	}),
	"market_state_changed": line(func(e *engine.MarketStateChanged) string {
		return fmt.Sprintf("%s went from %s to %s", e.Market, e.From, e.To)
	}),
	"order_filled": line(filledLine),
	"order_rested": line(func(e *engine.OrderRested) string {
		until := ""
		if e.Expires != 0 {
			until = ", until " + e.Expires.String()
		}
		return fmt.Sprintf("%s waits: %s %s %s of %s at %s%s", e.Order, e.Side, exact.Format(e.Shares), e.Outcome, e.Market, exact.Format(e.Limit), until)
	}),
	"orders_closed": line(func(e *engine.OrdersClosed) string {
		texts := make([]string, len(e.Orders))
		for i, o := range e.Orders {
			texts[i] = fmt.Sprintf("%s (%s shares)", o.Order, exact.Format(o.Shares))
		}
		return fmt.Sprintf("out of the book by %s: %s", wordOf(e.Reason), strings.Join(texts, ", "))
	}),
	"order_reduced": line(func(e *engine.OrderReduced) string {
		return fmt.Sprintf("%s waits with %s shares", e.Order, exact.Format(e.Shares))
	}),
	"sets_split": line(func(e *engine.SetsSplit) string {
		return fmt.Sprintf("%s split %s credits into as many sets of %s", e.Account, exact.Format(e.Amount), e.Market)
	}),
	"sets_merged": line(func(e *engine.SetsMerged) string {
		return fmt.Sprintf("%s merged sets of %s into %s credits", e.Account, e.Market, exact.Format(e.Amount))
	}),
	"liquidity_added": line(func(e *engine.LiquidityAdded) string {
		return fmt.Sprintf("%s gave %s credits to the pools of %s for %s units", e.Account, exact.Format(e.Amount), e.Market, exact.Format(e.Units))
	}),
	"liquidity_removed": line(func(e *engine.LiquidityRemoved) string {
		return fmt.Sprintf("%s gave %s units of %s back for %s credits and the shares beside them", e.Account, exact.Format(e.Units), e.Market, exact.Format(e.Amount))
	}),
	"guard_tripped": line(func(e *engine.GuardTripped) string {
		return fmt.Sprintf("the price guard of %s tripped on %s: %d ppm from the average %s, bound %d", e.Market, e.Outcome, e.Observed, exact.Format(e.TWAP), e.Bound)
	}),
	"abuse_raised": line(func(e *engine.AbuseRaised) string {
		return fmt.Sprintf("abuse %s (%s, %s): %s observed %d, bound %d", e.Rule, e.Severity, e.Action, e.Account, e.Observed, e.Bound)
	}),
	"cooled": line(func(e *engine.Cooled) string { return fmt.Sprintf("%s takes no orders until %s", e.Market, e.Until) }),
	"fact_reported": line(func(e *engine.FactReported) string {
		return fmt.Sprintf("%s reported for %s, evidence %s", truthOf(e.Outcome, e.Value, e.Cancel), e.Market, e.EvidenceURI)
	}),
	"resolution_proposed": line(func(e *engine.ResolutionProposed) string {
		return fmt.Sprintf("%s proposed for %s, evidence %s", truthOf(e.Outcome, e.Value, e.Cancel), e.Market, e.EvidenceURI)
	}),
	"resolution_approved": line(func(e *engine.ResolutionApproved) string {
		return fmt.Sprintf("%s approved for %s", e.Outcome, e.Market)
	}),
	"resolution_rejected": line(func(e *engine.ResolutionRejected) string {
		return fmt.Sprintf("%s rejected for %s", e.Outcome, e.Market)
	}),
	"resolution_disputed": line(func(e *engine.ResolutionDisputed) string {
		return fmt.Sprintf("%s disputed, evidence %s", e.Market, e.EvidenceURI)
	}),
	"settlement_started": line(func(e *engine.SettlementStarted) string {
		return fmt.Sprintf("%s pays by %s, %s credits in all", e.Market, wordOf(e.Ending), exact.Format(e.Pot))
	}),
	"moderated": line(func(e *engine.Moderated) string {
		if e.Action == engine.DismissAbuse {
			return fmt.Sprintf("the abuse event of decision %d is dismissed", e.Abuse)
		}
		if e.Action == engine.Freeze {
			return fmt.Sprintf("%s places no orders until that is undone", e.Account)
		}
		return fmt.Sprintf("%s places no orders before %s", e.Account, e.Until)
	}),
	"moderation_undone": line(func(e *engine.ModerationUndone) string {
		return fmt.Sprintf("decision %d (%s) is undone", e.Decision, wordOf(e.Action))
	}),
}

// eventLine reads an event as a person does; the rarer ones as the server wrote
// them.
func eventLine(raw json.RawMessage) string {
	if say := lines[typeOf(raw)]; say != nil {
		return say(raw)
	}
	return string(raw)
}

func filledLine(e *engine.OrderFilled) string {
	fee := ""
	if e.Fee != 0 {
		fee = ", fee " + exact.Format(e.Fee)
	}
	return fmt.Sprintf("%s: %s %s %s of %s for %s credits%s, average %s; price %s -> %s", e.Order, e.Side, exact.Format(e.Shares), e.Outcome,
		e.Market, exact.Format(e.Amount), fee, exact.Format(e.Average), exact.Format(e.PriceBefore), exact.Format(e.PriceAfter))
}
