package engine

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
)

// Every code that a command can meet, on one market.
func TestRejections(t *testing.T) {
	d := newDesk(t, DefaultTemplate())
	a := d.rich(3, 1000*One)
	poor := d.rich(1, 5*One)[0]
	m := d.open(a[0], 100*One, 500_000)
	closing := d.ok("ops", &OpenMarket{Template: "binary@1.0.0", Title: "x", Creator: a[0], Liquidity: 50 * One, Price: 400_000, CloseAt: d.now + 1_000_000}).Events[0].(*MarketOpened).Market
	paused := d.open(a[0], 50*One, 400_000)
	d.ok("ops", &PauseMarket{Market: paused})
	d.now += 5_000_000
	order := func(change func(*PlaceOrder)) *PlaceOrder {
		x := &PlaceOrder{Account: a[1], Market: m, Outcome: Yes, Side: Buy, TIF: IOC, Amount: One}
		change(x)
		return x
	}
	admin := Key{SHA256: digest(1), Principal: "admin", Roles: RoleAdmin}
	for _, c := range []struct {
		name string
		give Command
		want Code
	}{
		{"second start", &Initialise{Policy: DefaultPolicy(), Template: DefaultTemplate(), Admin: admin}, WrongState},
		{"no such outcome", order(func(x *PlaceOrder) { x.Outcome = 2 }), InvalidCommand},
		{"no side", order(func(x *PlaceOrder) { x.Side = 0 }), InvalidCommand},
		{"no tif", order(func(x *PlaceOrder) { x.TIF = 9 }), InvalidCommand},
		{"limit one", order(func(x *PlaceOrder) { x.Limit = One }), InvalidCommand},
		{"limit negative", order(func(x *PlaceOrder) { x.Limit = -1 }), InvalidCommand},
		{"two sizes", order(func(x *PlaceOrder) { x.Shares = 1 }), InvalidCommand},
		{"no size", order(func(x *PlaceOrder) { x.Amount = 0 }), InvalidCommand},
		{"negative", order(func(x *PlaceOrder) { x.Amount = -1 }), InvalidCommand},
		{"huge", order(func(x *PlaceOrder) { x.Amount = MaxAmount + 1 }), InvalidCommand},
		{"sale by amount", order(func(x *PlaceOrder) { x.Side = Sell }), InvalidCommand},
		{"stranger", order(func(x *PlaceOrder) { x.Account = 77 }), AccountNotFound},
		{"nobody", order(func(x *PlaceOrder) { x.Account = 0 }), AccountNotFound},
		{"no market", order(func(x *PlaceOrder) { x.Market = 77 }), MarketNotFound},
		{"paused", order(func(x *PlaceOrder) { x.Market = paused }), MarketNotOpen},
		{"closed", order(func(x *PlaceOrder) { x.Market = closing }), MarketClosed},
		{"reopen closed", &ResumeMarket{Market: closing}, MarketClosed},
		{"above the template", order(func(x *PlaceOrder) { x.Amount = 100_001 * One }), TemplateBounds},
		{"poor", order(func(x *PlaceOrder) { x.Amount = 1001 * One }), InsufficientFunds},
		{"poor by shares", order(func(x *PlaceOrder) { x.Account, x.Amount, x.Shares = poor, 0, 100*One }), InsufficientFunds},
		{"short sale", order(func(x *PlaceOrder) { x.Side, x.Amount, x.Shares = Sell, 0, 1 }), InsufficientShares},
		{"at the limit already", order(func(x *PlaceOrder) { x.Limit = 500_000 }), PriceLimit},
		{"fok over the limit", order(func(x *PlaceOrder) { x.TIF, x.Limit, x.Amount = FOK, 510_000, 900*One }), FOKUnfilled},
		{"key again", &AddKey{Key: admin}, AlreadyExists},
		{"key of nobody", &AddKey{Key: Key{SHA256: digest(5), Principal: "x", Roles: RoleTrader, Account: 77}}, AccountNotFound},
		{"trader without account", &AddKey{Key: Key{SHA256: digest(5), Principal: "x", Roles: RoleTrader}}, InvalidCommand},
		{"key for the system", &AddKey{Key: Key{SHA256: digest(5), Principal: System, Roles: RoleAuditor}}, InvalidCommand},
		{"the last admin", &RevokeKey{SHA256: digest(1)}, LastAdmin},
		{"unknown key", &RevokeKey{SHA256: digest(8)}, KeyNotFound},
		{"template again", &AddTemplate{Template: DefaultTemplate()}, AlreadyExists},
		{"template without name", &AddTemplate{}, InvalidCommand},
		{"grant nothing", &GrantCredits{Account: a[0]}, InvalidCommand},
		{"grant to nobody", &GrantCredits{Account: 77, Amount: 1}, AccountNotFound},
		{"grant too much", &GrantCredits{Account: a[0], Amount: MaxAmount}, LimitReached},
		{"market of no template", &OpenMarket{Template: "no@1.0.0", Title: "x", Creator: a[0], Liquidity: 50 * One, Price: 500_000}, TemplateNotFound},
		{"market of nobody", &OpenMarket{Template: "binary@1.0.0", Title: "x", Creator: 77, Liquidity: 50 * One, Price: 500_000}, AccountNotFound},
		{"market of the poor", &OpenMarket{Template: "binary@1.0.0", Title: "x", Creator: a[1], Liquidity: 5000 * One, Price: 500_000}, InsufficientFunds},
		{"market too thin", &OpenMarket{Template: "binary@1.0.0", Title: "x", Creator: a[1], Liquidity: One, Price: 500_000}, TemplateBounds},
		{"market at the bound", &OpenMarket{Template: "binary@1.0.0", Title: "x", Creator: a[1], Liquidity: 50 * One, Price: 10_000}, TemplateBounds},
		{"two lines", &OpenMarket{Template: "binary@1.0.0", Title: "x\ny", Creator: a[1], Liquidity: 50 * One, Price: 500_000}, TemplateBounds},
		{"closes in the past", &OpenMarket{Template: "binary@1.0.0", Title: "x", Creator: a[1], Liquidity: 50 * One, Price: 500_000, CloseAt: 5}, InvalidCommand},
		{"approve nothing", &ApproveResolution{Market: m}, WrongState},
		{"reject nothing", &RejectResolution{Market: m}, WrongState},
		{"settle nothing", &SettleMarket{Market: m}, WrongState},
		{"resume an open one", &ResumeMarket{Market: m}, WrongState},
		{"pause a stranger", &PauseMarket{Market: 0}, MarketNotFound},
		{"resolve without evidence", &ProposeResolution{Market: m, Outcome: Yes, EvidenceURI: "https://e.org"}, InvalidCommand},
		{"resolve without place", &ProposeResolution{Market: m, Outcome: Yes, EvidenceSHA256: digest(1)}, InvalidCommand},
	} {
		d.now += 1_000_000
		dec := d.give("ana", c.give)
		if dec.Code != c.want || len(dec.Events) != 0 {
			t.Errorf("%s: %s %q with %d events, want %s", c.name, dec.Code, dec.Detail, len(dec.Events), c.want)
		}
		if dec.Code == InvalidCommand && dec.Detail == "" {
			t.Errorf("%s: no word about what is wrong", c.name)
		}
	}
}

// A text of any length is refused, and the record of the refusal can be read
// and decided again.
func TestOverlongTextsAreNotRecorded(t *testing.T) {
	long := strings.Repeat("a", 100_000)
	tmpl := DefaultTemplate()
	tmpl.Category = long
	d := newDesk(t, DefaultTemplate())
	for principal, c := range map[string]Command{
		"ana":   &OpenMarket{Template: "binary@1.0.0", Title: long, Creator: 1, Liquidity: One, Price: 1},
		"bob":   &OpenMarket{Template: long, Title: "x", Creator: 1, Liquidity: One, Price: 1},
		"carol": &AddTemplate{Template: tmpl},
		"dave":  &AddKey{Key: Key{SHA256: digest(2), Principal: long, Roles: RoleAuditor}},
		"erin":  &ProposeResolution{Market: 1, EvidenceURI: long, EvidenceSHA256: digest(2)},
		"frank": nil,
		long:    &OpenAccount{},
		"A":     &OpenAccount{},
		"":      &OpenAccount{},
	} {
		dec := &Decision{}
		d.s.Decide(Request{At: d.now, Principal: principal, Command: c}, dec)
		if dec.Code != InvalidCommand || len(dec.Append(nil)) > 300 {
			t.Errorf("%.20s: %s, %d bytes", principal, dec.Code, len(dec.Append(nil)))
		}
		d.give(dec.Principal, dec.Command)
	}
	if _, err := replay(d.log); err != nil {
		t.Error(err)
	}
}

func TestTooSmall(t *testing.T) {
	d := newDesk(t, DefaultTemplate())
	a := d.rich(2, 1000*One)
	m := d.open(a[0], 100*One, 500_000)
	d.ok("ana", &PlaceOrder{Account: a[1], Market: m, Outcome: Yes, Side: Buy, TIF: IOC, Amount: One})
	if dec := d.give("ana", &PlaceOrder{Account: a[1], Market: m, Outcome: Yes, Side: Sell, TIF: IOC, Shares: 1}); dec.Code != TooSmall {
		t.Errorf("one micro-share sells: %s", dec.Code)
	}
}

// The rate allows a burst, then an order each interval; a flood raises one abuse
// event, and does not keep itself shut.
func TestOrderRate(t *testing.T) {
	d := newDesk(t, DefaultTemplate())
	a := d.rich(2, 1000*One)
	m := d.open(a[0], 1000*One, 500_000)
	order := &PlaceOrder{Account: a[1], Market: m, Outcome: Yes, Side: Buy, TIF: IOC, Amount: One}
	burst := int(DefaultPolicy().OrderBurst)
	var raised, limited int
	for range burst + 20 {
		dec := d.give("ana", order)
		if dec.Code == RateLimited {
			limited++
		}
		for _, e := range dec.Events {
			if x, ok := e.(*AbuseRaised); ok {
				raised++
				if x.Observed <= x.Bound || x.Account != a[1] || x.Market != m {
					t.Errorf("%+v", x)
				}
			}
		}
	}
	if limited != 20 || raised != 1 {
		t.Errorf("%d limited and %d raised, want 20 and 1", limited, raised)
	}
	if wait := d.s.RetryAfter(a[1], d.now); wait != DefaultPolicy().OrderInterval {
		t.Errorf("retry after %d µs", wait)
	}
	d.now += Time(DefaultPolicy().OrderInterval)
	if dec := d.give("ana", order); dec.Code != OK {
		t.Errorf("after an interval: %s", dec.Code)
	}
	if dec := d.give("ana", order); dec.Code != RateLimited || len(dec.Events) != 1 {
		t.Errorf("next episode: %s with %d events", dec.Code, len(dec.Events))
	}
}

// Evolve refuses what does not follow from the state, and says so.
func TestEvolveRefusesStrangers(t *testing.T) {
	for name, spoil := range map[string]func(*Decision){
		"gap":                     func(d *Decision) { d.Seq++ },
		"time backwards":          func(d *Decision) { d.At = 1 },
		"pool":                    func(d *Decision) { d.Events[0].(*OrderFilled).PoolYes++ },
		"shares":                  func(d *Decision) { d.Events[0].(*OrderFilled).Shares += 1_000_000 },
		"amount":                  func(d *Decision) { d.Events[0].(*OrderFilled).Amount = MaxAmount },
		"overflow":                func(d *Decision) { d.Events[0].(*OrderFilled).Amount = 1 << 62 },
		"account":                 func(d *Decision) { d.Events[0].(*OrderFilled).Account = 77 },
		"outcome":                 func(d *Decision) { d.Events[0].(*OrderFilled).Outcome = 7 },
		"market":                  func(d *Decision) { d.Events[0].(*OrderFilled).Market = 7 },
		"state":                   func(d *Decision) { d.Events[0] = &MarketStateChanged{Market: 1, From: Paused, To: Open} },
		"end":                     func(d *Decision) { d.Events[0] = &MarketStateChanged{Market: 1, From: Open, To: Resolved} },
		"payout":                  func(d *Decision) { d.Events[0] = &PayoutsMade{Market: 1} },
		"outcome of a resolution": func(d *Decision) { d.Events[0] = &ResolutionProposed{Market: 1, Outcome: 9} },
		"account id":              func(d *Decision) { d.Events[0] = &AccountOpened{Account: 77} },
		"market id":               func(d *Decision) { d.Events[0] = &MarketOpened{Market: 77} },
	} {
		d := newDesk(t, DefaultTemplate())
		a := d.rich(2, 1000*One)
		m := d.open(a[0], 100*One, 500_000)
		var dec Decision
		d.s.Decide(Request{At: d.now, Principal: "ana", Command: &PlaceOrder{Account: a[1], Market: m, Side: Buy, TIF: IOC, Amount: One}}, &dec)
		spoil(&dec)
		if err := d.s.Evolve(&dec); !errors.Is(err, ErrFold) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The API's form of a decision, as a golden document.
func TestDecisionJSON(t *testing.T) {
	d := newDesk(t, DefaultTemplate())
	a := d.rich(2, 1000*One)
	m := d.open(a[0], 100*One, 500_000)
	docs := []*Decision{
		d.ok("ana", &PlaceOrder{Account: a[1], Market: m, Side: Buy, TIF: IOC, Amount: 10 * One}),
		d.give("ana", &PlaceOrder{Account: a[1], Market: m, Side: Buy, TIF: FOK, Amount: 5000 * One}),
		d.ok("ana", &ProposeResolution{Market: m, Outcome: No, EvidenceURI: "https://example.org/e", EvidenceSHA256: digest(3)}),
		d.ok("ops", &OpenAccount{}),
	}
	got, err := json.MarshalIndent(docs, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/decisions.json"
	if os.Getenv("MBP_REWRITE") != "" {
		if err := os.WriteFile(golden, append(got, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || strings.TrimSpace(string(want)) != string(got) {
		t.Errorf("differs from %s (%v); MBP_REWRITE=1 rewrites it:\n%s", golden, err, got)
	}
}
