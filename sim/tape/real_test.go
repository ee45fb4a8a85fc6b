package tape

import (
	"context"
	"testing"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/tests/given"
)

func options() Options {
	return Options{Seed: 1, Synthetic: 500, Template: engine.DefaultTemplate()}
}

// TestReal maps every row of the real recording: nothing is lost between rows,
// executed rows and trades, and hardly anything that traded is skipped.
func TestReal(t *testing.T) {
	tp, err := Load(context.Background(), given.RealData(t, "trades.csv.gz"), options())
	if err != nil {
		t.Fatal(err)
	}
	rows, executed, trades := 0, 0, 0
	for _, s := range tp.Sources {
		skipped := 0
		for _, n := range s.Skipped {
			skipped += n
		}
		if s.Rows != s.Trades+skipped {
			t.Errorf("%s: %d rows, %d trades, %d skipped", s.Name, s.Rows, s.Trades, skipped)
		}
		rows, executed, trades = rows+s.Rows, executed+s.Executed, trades+s.Trades
		t.Logf("%+v", s)
	}
	if rows != tp.Rows || trades != len(tp.Trades) || trades < executed*99/100 || trades < 50_000 {
		t.Errorf("%d rows of %d, %d executed, %d trades", rows, tp.Rows, executed, trades)
	}
	var issued, seeded engine.Micros
	for _, a := range tp.Accounts {
		issued += a.Credits
	}
	for _, m := range tp.Markets {
		seeded += m.Liquidity
		if m.Title == "" || m.Open <= 10_000 || m.Open >= 990_000 {
			t.Errorf("%+v", m)
		}
	}
	t.Logf("%d accounts with %d credits, %d markets with %d credits", len(tp.Accounts), issued/engine.One, len(tp.Markets), seeded/engine.One)
	if issued+seeded > engine.MaxAmount/4 {
		t.Errorf("%d micros are more than a quarter of what may be issued", issued+seeded)
	}
	for i := 0; i < 20; i++ {
		x := tp.Trades[i*2000]
		t.Logf("%+v %+v", x, tp.Markets[x.Market])
	}
}
