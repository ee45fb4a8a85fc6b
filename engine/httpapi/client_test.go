package httpapi

import (
	"testing"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
)

// as returns the Go client of a key.
func (e *edge) as(secret string) *client.Client {
	e.t.Helper()
	c, err := client.New(e.url, secret, client.WithRetry(client.NoRetry()))
	if err != nil {
		e.t.Fatal(err)
	}
	return c
}

// done wants a call of the client to succeed.
func done[T any](t *testing.T) func(v *T, err error) *T {
	return func(v *T, err error) *T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// TestClientTrades: the Go client and the edge mean the same by every call that a
// trader makes.
func TestClientTrades(t *testing.T) {
	e := start(t, options{})
	e.market(e.funded(10_000))
	ctx, c, ok := t.Context(), e.as(traders(e, 1)[0]), done[client.Decision](t)
	rest := client.Order{
		Market: 1, Outcome: engine.No, Side: engine.Buy, TIF: engine.GTD, Shares: 5 * engine.One, Limit: 450_000,
		Expires: e.seq.Now() + 3_600_000_000, PostOnly: true, SelfTrade: engine.Decrement,
	}
	if q := done[client.Quote](t)(c.Quote(ctx, rest)); q.Code != engine.OK || q.Rests != rest.Shares || q.Shares != 0 {
		t.Errorf("%+v", q)
	}
	placed := ok(c.PlaceOrder(ctx, rest)).Rested()
	if placed == nil || placed.Expires != rest.Expires || placed.Shares != rest.Shares {
		t.Fatalf("%+v", placed)
	}
	if book := done[client.Book](t)(c.Book(ctx, 1, engine.No, 5)); len(book.Bids) != 1 || book.Bids[0] != (engine.BookLevel{Price: 450_000, Shares: rest.Shares, Orders: 1}) {
		t.Errorf("%+v", book)
	}
	ok(c.AmendOrder(ctx, placed.Order, 3*engine.One, 0))
	if list := done[client.OrderList](t)(c.Orders(ctx, 0)); len(list.Orders) != 1 || list.Orders[0].Shares != 3*engine.One || list.Account != 2 {
		t.Errorf("%+v", list)
	}
	if d := done[client.Decision](t)(c.Order(ctx, placed.Order)); d.Seq != placed.Order.Seq() {
		t.Errorf("%+v", d)
	}
	ok(c.CancelOrder(ctx, placed.Order))
	spend := client.Order{Market: 1, Side: engine.Buy, TIF: engine.IOC, Amount: engine.One}
	d := ok(c.Batch(ctx, []client.Item{
		{Place: &rest}, {Place: &spend}, {Cancel: placed.Order}, {Amend: &client.Amendment{Order: placed.Order, Shares: 1}}, {CancelAll: true},
	}))
	var codes []engine.Code
	for _, r := range d.Results {
		codes = append(codes, r.Code)
	}
	want := []engine.Code{engine.OK, engine.OK, engine.OrderNotFound, engine.OrderNotFound, engine.OK}
	for i := range want {
		if len(codes) != len(want) || codes[i] != want[i] {
			t.Fatalf("%v, want %v", codes, want)
		}
	}
	ok(c.PlaceOrder(ctx, rest))
	ok(c.CancelAll(ctx, 1))
	ok(c.Split(ctx, 1, 5*engine.One))
	ok(c.Merge(ctx, 1, 2*engine.One))
	ok(c.AddLiquidity(ctx, 1, 10*engine.One))
	ok(c.RemoveLiquidity(ctx, 1, engine.One))
	sound(t, e)
}

// TestClientRunsTheHouse: the same for those who run it.
func TestClientRunsTheHouse(t *testing.T) {
	e := start(t, options{})
	owner := e.funded(10_000)
	e.market(owner)
	ctx, c, ok := t.Context(), e.as(e.admin), done[client.Decision](t)
	p := done[client.Policy](t)(c.Policy(ctx))
	if p.Policy != engine.DefaultPolicy() || p.SHA256 != p.Policy.Digest() || p.Mode != engine.ModeNormal {
		t.Errorf("%+v", p)
	}
	other := p.Policy
	other.Version, other.OrderBurst = "1.0.1", 31
	ok(c.SetPolicy(ctx, other))
	ok(c.RollbackPolicy(ctx))
	ok(c.SetMode(ctx, engine.ModeReadOnly, "drill"))
	if p := done[client.Policy](t)(c.Policy(ctx)); p.Mode != engine.ModeReadOnly || p.Policy != engine.DefaultPolicy() {
		t.Errorf("%+v", p)
	}
	ok(c.SetMode(ctx, engine.ModeNormal, "over"))
	d := ok(c.Moderate(ctx, engine.Moderate{
		Action: engine.LimitAccount, Account: owner, Until: e.seq.Now() + 3_600_000_000, EvidenceURI: "urn:x:1", EvidenceSHA256: engine.Digest{1},
	}))
	ok(c.UndoModeration(ctx, d.Seq))

	horses := engine.DefaultTemplate()
	horses.ID, horses.Kind, horses.MinPrice, horses.MaxPrice = "horses", engine.Categorical, 100, 999_900
	ranges := engine.DefaultTemplate()
	ranges.ID, ranges.Kind = "range", engine.Scalar
	ranges.Truth = engine.TruthRule{
		Source: engine.SourceQuorum, Approvals: 2, DisputeWindow: 60_000_000, Reporters: []string{"feed", "other"}, Quorum: 2, MaxAge: 60_000_000,
	}
	ok(c.AddTemplate(ctx, horses))
	ok(c.AddTemplate(ctx, ranges))
	ok(c.OpenMarket(ctx, engine.OpenMarket{
		Template: "horses@1.0.0", Title: "Who?", Creator: owner, Liquidity: 100 * engine.One, Outcomes: []string{"a", "b", "c"},
		Prices: []engine.Price{200_000, 300_000, 500_000}, Draft: true,
	}))
	ok(c.OpenMarket(ctx, engine.OpenMarket{Template: "range@1.0.0", Title: "How much?", Creator: owner, Liquidity: 100 * engine.One, Price: 500_000, Min: -10, Max: 10}))
	if m := done[client.Market](t)(c.Market(ctx, 2)); m.State != engine.Draft || len(m.Outcomes) != 3 || m.Outcomes[2].Label != "c" || m.PriceOf(engine.Nth(2)) != 500_000 {
		t.Errorf("%+v", m)
	}
	ok(c.Activate(ctx, 2))
	ok(c.Pause(ctx, 2, true))
	ok(c.Resume(ctx, 2))
	if _, err := c.Reopen(ctx, 2); client.CodeOf(err) != "wrong_state" { // it is not frozen
		t.Error(err)
	}
	ok(c.Close(ctx, 2))
	ok(c.CancelMarket(ctx, engine.CancelMarket{Market: 2, Kind: engine.CancelPrice, EvidenceURI: "urn:x:1", EvidenceSHA256: engine.Digest{1}}))

	for _, reporter := range []string{"feed", "other"} {
		r := e.as(e.key(reporter, engine.RoleService, 0))
		ok(r.Report(ctx, engine.ReportFact{
			Market: 3, Outcome: engine.Long, Value: 0, ObservedAt: e.seq.Now(), EvidenceURI: "urn:x:2", RuleSHA256: engine.Digest{2}, FactsSHA256: engine.Digest{3},
		}))
	}
	if m := done[client.Market](t)(c.Market(ctx, 3)); m.State != engine.Proposed || m.Proposal == nil || m.Proposal.Value != 0 || m.Proposal.Approvals != 2 {
		t.Errorf("%+v", m)
	}
	ok(c.Dispute(ctx, engine.DisputeResolution{Market: 3, EvidenceURI: "urn:x:3", EvidenceSHA256: engine.Digest{4}}))
	ok(c.Propose(ctx, engine.ProposeResolution{Market: 3, Outcome: engine.Long, Value: 5, EvidenceURI: "urn:x:4", EvidenceSHA256: engine.Digest{5}, RuleSHA256: engine.Digest{2}}))
	if m := done[client.Market](t)(c.Market(ctx, 3)); m.State != engine.Proposed || m.Proposal.Value != 5 {
		t.Errorf("%+v", m.Proposal)
	}
	sound(t, e)
}

// TestClientReadsItsWrites: a read of the client shows what it asks for, or is
// refused.
func TestClientReadsItsWrites(t *testing.T) {
	e := start(t, options{})
	c := e.as(e.admin)
	d := done[client.Decision](t)(c.OpenAccount(t.Context()))
	if me := done[client.Me](t)(c.AtLeast(d.Seq).Me(t.Context())); me.Seq < d.Seq {
		t.Errorf("read at %d, asked for %d", me.Seq, d.Seq)
	}
	if _, err := c.AtLeast(d.Seq+1).Markets(t.Context(), 0, 10); client.CodeOf(err) != "behind" {
		t.Errorf("%v", err)
	}
}
