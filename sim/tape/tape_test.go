package tape

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/mbp-market/mbp/engine"
)

func TestMicros(t *testing.T) {
	const bad = -7
	for text, want := range map[string]int64{
		"0": 0, "1": 1e6, "-1": -1e6, "+2.5": 2_500_000, ".5": 500_000, "5.": 5e6, "0.0000019": 1, "-0.0000019": -1,
		"17.366729422445914": 17_366_729, "1e3": 1e9, "1.5E-3": 1500, "5.684341886080801e-16": 0, "0e400": 0, "00012": 12e6,
		"999999999999.999999": 999_999_999_999_999_999,
		"":                    bad, ".": bad, "-": bad, "e5": bad, "1e": bad, "1e401": bad, "1e9999999999": bad, "1e12": bad, "NaN": bad, "nan": bad, "Inf": bad, "-inf": bad,
		"0x10": bad, "1_000": bad, "1,5": bad, "1.2.3": bad, "--1": bad, "-+0": bad, "+-1": bad, " 1": bad, "1 ": bad, "١": bad, strings.Repeat("1", 65): bad,
	} {
		got, err := micros(text)
		if (err != nil) != (want == bad) || err == nil && got != want {
			t.Errorf("micros(%q) = %d, %v; want %d", text, got, err, want)
		}
	}
}

// FuzzMicros compares with arbitrary precision: the result is the number in
// micros, truncated.
func FuzzMicros(f *testing.F) {
	for _, s := range []string{"0", "-17.366729422445914", "1e3", "5.68e-16", ".5", "99999999999.9"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := micros(s)
		if err != nil {
			return
		}
		r, ok := new(big.Rat).SetString(s)
		if !ok {
			t.Fatalf("micros(%q) = %d, and big.Rat refuses it", s, got)
		}
		r.Mul(r, big.NewRat(1_000_000, 1))
		if want := new(big.Int).Quo(r.Num(), r.Denom()); !want.IsInt64() || want.Int64() != got {
			t.Fatalf("micros(%q) = %d, want %s", s, got, want)
		}
	})
}

func TestRatio(t *testing.T) {
	for p, want := range map[engine.Price]int64{500_000: 1_000_000, 800_000: 2_000_000, 200_000: 500_000, 990_000: 9_949_874, 1: 1000, 999_999: 999_999_499} {
		if got := ratio(p); got != want {
			t.Errorf("ratio(%d) = %d, want %d", p, got, want)
		}
	}
	for _, v := range []uint64{0, 1, 2, 3, 4, 15, 16, 17, 1<<62 - 1, 1<<64 - 1} {
		r := root(v)
		if hi := new(big.Int).SetUint64(r + 1); r*r > v || new(big.Int).Mul(hi, hi).Cmp(new(big.Int).SetUint64(v)) <= 0 {
			t.Errorf("root(%d) = %d", v, r)
		}
	}
}

const header = "ts,source,market_id,trade_id,account,outcome,side,amount,shares,price,price_before,price_after,limit_price,status\n"

// file writes a recording and returns its path.
func file(t testing.TB, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "trades.csv")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func load(t testing.TB, rows ...string) *Tape {
	t.Helper()
	tp, err := Load(context.Background(), file(t, header+strings.Join(rows, "\n")+"\n"), options())
	if err != nil {
		t.Fatal(err)
	}
	return tp
}

// line makes a row of the market m in a source, from its last nine fields.
func line(source, rest string) string { return "2026-01-02T12:00:00.5Z," + source + ",m,t," + rest }

func text(o engine.PlaceOrder) string {
	s := fmt.Sprintf("%s %s", o.Side, o.Outcome)
	if o.Amount != 0 {
		s += fmt.Sprintf(" amount=%d", o.Amount)
	}
	if o.Shares != 0 {
		s += fmt.Sprintf(" shares=%d", o.Shares)
	}
	if o.Limit != 0 {
		s += fmt.Sprintf(" limit=%d", o.Limit)
	}
	return s
}

// TestMapping is the documented mapping, row by row.
func TestMapping(t *testing.T) {
	for _, c := range []struct{ row, want string }{
		// account,outcome,side,amount,shares,price,before,after,limit,status
		{"a,YES,BUY,10,19.09,0.52,0.5,0.55,,filled", "buy YES amount=10000000"},
		{"a,NO,BUY,10.1234567,19,,,,,filled_cost_mismatch", "buy NO amount=10123456"},
		{"a,YES,BUY,-100,190.9,,0.5,0.55,,filled", "buy YES amount=100000000"},
		{"a,YES,BUY,,3,,,,,partial_open", "buy YES shares=3000000"},
		{"a,YES,BUY,0,3,,,,,filled", "buy YES shares=3000000"},
		{"a,NO,SELL,-5,-12.5,,0.4,0.45,,filled", "sell NO shares=12500000"},
		{"a,YES,SELL,5,12.5,,,,,partial_cancelled", "sell YES shares=12500000"},
		{"a,YES,BUY,10,,,,,0.61,filled", "buy YES amount=10000000 limit=610000"},
		{",YES,,4,16,0.25,0.2,0.25,,inplay", "buy YES amount=4000000 side_inferred"},
		{",YES,,4,16,0.25,0.3,0.25,,preplay:suspended", "buy NO shares=16000000 side_inferred"},
		{",YES,,4,16,0.25,0.25,0.25,,preplay", "buy YES amount=4000000 side_inferred"},
		{"a,,BUY,10,25.5,0.39,0.39,0.39,,filled", "buy YES amount=10000000 outcome_inferred"},
		{"a,,BUY,10,25.5,0.62,0.39,0.39,,filled", "buy NO amount=10000000 outcome_inferred"},
		{"a,,SELL,-10,-25.5,0.6,0.39,0.39,,filled", "sell NO shares=25500000 outcome_inferred"},
		{"a,YES,BUY,,,,0.5,0.6,,filled", "buy YES amount=10000000000 limit=600000 played_to_price"},
		{"a,YES,SELL,,,,0.5,0.4,,filled", "buy NO amount=10000000000 limit=600000 played_to_price"},
		{"a,YES,BUY,200000,,,,,,filled", "buy YES amount=100000000000 clipped"},
		{"a,YES,SELL,,200000,,,,,filled", "sell YES shares=100000000000 clipped"},
		// skipped
		{"a,YES,BUY,,,,,,,filled", "no_size"},
		{"a,YES,SELL,5,,,,,,filled", "no_size"},
		{"a,YES,BUY,0.0000001,0,,,,,filled", "no_size"},
		{"a,,BUY,10,20,,0.4,0.4,,filled", "unknown_outcome"},
		{"a,NO,,10,20,,0.4,0.4,,inplay", "unknown_side"},
		{",YES,,,,0.25,0.2,0.25,,inplay", "no_size"},
		{"a,YES,BUY,10,20,,,,,limit_open", "status_limit_open"},
		{"a,YES,BUY,10,20,,,,,", "status_unreadable"},
		{"a,YES,BUY,10,20,,,,,<script>", "status_unreadable"},
		{"a,YES,BUY,NaN,20,,,,,filled", "bad_number"},
		{"a,YES,BUY,10,1e30,,,,,filled", "bad_number"},
		{"a,YES,BUY,10,20,-0.1,,,,filled", "bad_price"},
		{"a,YES,BUY,10,20,,101,,,filled", "bad_price"},
		{"a,MAYBE,BUY,10,20,,,,,filled", "bad_outcome"},
		{"a,YES,HOLD,10,20,,,,,filled", "bad_side"},
		{strings.Repeat("a", 257) + ",YES,BUY,10,20,,,,,filled", "bad_id"},
	} {
		tp := load(t, line("src", c.row))
		got := ""
		if len(tp.Trades) == 1 {
			x := tp.Trades[0]
			got = text(x.Order)
			for i, n := range NoteNames {
				if x.Notes&(1<<i) != 0 {
					got += " " + n
				}
			}
			if x.Row != 1 || x.At.String() != "2026-01-02T12:00:00.500000Z" || x.Order.TIF != engine.IOC {
				t.Errorf("%s: %+v", c.row, x)
			}
		} else {
			for reason := range tp.Sources[0].Skipped {
				got += reason
			}
		}
		if got != c.want {
			t.Errorf("%s\n is %s\nwant %s", c.row, got, c.want)
		}
		if s := tp.Sources[0]; s.Rows != 1 || s.Trades+len(s.Skipped) != 1 {
			t.Errorf("%s: counted %+v", c.row, s)
		}
	}
}

func TestTickRuleGoesOn(t *testing.T) {
	up, down, same := ",YES,,4,16,0.3,0.2,0.3,,inplay", ",YES,,4,16,0.2,0.3,0.2,,inplay", ",YES,,4,16,0.2,0.2,0.2,,inplay"
	got := ""
	for _, x := range load(t, line("s", same), line("s", down), line("s", same), line("s", up), line("s", same)).Trades {
		got += x.Order.Outcome.String() + " "
	}
	if got != "YES NO NO YES YES " {
		t.Error(got)
	}
}

// TestDepth: a maker's market is as deep as its first telling purchase shows,
// so that the engine's own arithmetic moves the price as the source's did.
func TestDepth(t *testing.T) {
	for row, want := range map[string]engine.Micros{
		"a,YES,BUY,100,,,0.5,0.8,,filled":   100 * engine.One, // √(0.8/0.2) − 1 = 1
		"a,NO,BUY,100,,,0.5,0.2,,filled":    100 * engine.One,
		"a,YES,SELL,100,9,,0.5,0.2,,filled": DefaultDepth, // sales are not fitted
		"a,YES,BUY,1,,,0.5,0.501,,filled":   DefaultDepth, // too small a move
		"a,YES,BUY,0.1,,,0.5,0.8,,filled":   10 * engine.One,
		"a,YES,BUY,9e9,,,0.5,0.51,,filled":  1_000_000 * engine.One,
	} {
		m := load(t, line("manifold_x", row)).Markets[0]
		if m.Depth != want || m.Liquidity != want {
			t.Errorf("%s: depth %d, liquidity %d, want %d", row, m.Depth, m.Liquidity, want)
		}
	}
	// At 0.8 the scarcer pool is half the depth and the creator seeds twice it.
	m := load(t, line("manifold_x", "a,YES,BUY,100,,,0.8,0.8,,filled")).Markets[0]
	if m.Open != 800_000 || m.Liquidity != 2*DefaultDepth {
		t.Errorf("%+v", m)
	}
	// A book's market gets a tenth of its flow.
	m = load(t, line("book", "a,YES,BUY,90000,,,0.5,0.8,,filled"), line("book", "a,NO,BUY,60000,,,0.5,0.8,,filled")).Markets[0]
	if m.Depth != 15_000*engine.One {
		t.Errorf("%+v", m)
	}
	opt := options()
	opt.Liquidity = 50 * engine.One
	tp, err := Load(context.Background(), file(t, header+line("manifold_x", "a,YES,BUY,100,,,0.8,0.8,,filled")), opt)
	if err != nil || tp.Markets[0].Liquidity != 50*engine.One || tp.Markets[0].Depth != 25*engine.One {
		t.Errorf("%+v, %v", tp.Markets, err)
	}
}

func TestOpening(t *testing.T) {
	for row, want := range map[string]engine.Price{
		"a,YES,BUY,1,,0.7,0.6,,,filled": 600_000, "a,YES,BUY,1,,0.7,,,,filled": 700_000, "a,NO,BUY,1,,0.7,,,,filled": 300_000,
		"a,YES,BUY,1,,,,0.9,,filled": 500_000, "a,YES,BUY,1,,0.001,,,,filled": 10_001, "a,YES,BUY,1,,0.999,,,,filled": 989_999,
	} {
		if m := load(t, line("s", row)).Markets[0]; m.Open != want {
			t.Errorf("%s opens at %d, want %d", row, m.Open, want)
		}
	}
	// A definition beside the file says more than a price alone, and names it.
	path := file(t, header+line("s", "a,YES,BUY,1,,0.7,,,,filled"))
	defs := "market_id,question,mechanism,initial_prob\nm,\" Will\tit \x01\u202erain?\n  \",cpmm-1,0.25\n"
	if err := os.WriteFile(filepath.Join(filepath.Dir(path), "markets.csv"), []byte(defs), 0o600); err != nil {
		t.Fatal(err)
	}
	tp, err := Load(context.Background(), path, options())
	if err != nil || tp.Markets[0].Open != 250_000 || tp.Markets[0].Title != "Will it rain?" || !tp.Sources[0].AMM {
		t.Errorf("%+v, %v", tp.Markets, err)
	}
}

func TestPercents(t *testing.T) {
	tp := load(t, line("pct", "a,YES,BUY,1,,,40,60,,filled"), line("pct", "a,YES,BUY,1,,,1,0.5,,filled"),
		line("frac", "a,YES,BUY,1,,,0.4,0.6,,filled"), line("frac", "a,YES,BUY,1,,,0.6,40,,filled"))
	if x := tp.Trades[0]; x.Before != 400_000 || x.After != 600_000 {
		t.Errorf("%+v", x)
	}
	if x := tp.Trades[1]; x.Before != 10_000 || x.After != 5_000 {
		t.Errorf("%+v", x)
	}
	if len(tp.Trades) != 3 || tp.Sources[1].Skipped["bad_price"] != 1 {
		t.Errorf("a single price above one: %+v", tp.Sources[1])
	}
}

// TestAccounts: names do not meet across sources; rows without one spread over
// synthetic accounts by the seed, and everybody can pay for all they do.
func TestAccounts(t *testing.T) {
	rows := []string{line("s1", "ana,YES,BUY,7000,,,,,,filled"), line("s2", "ana,YES,BUY,1,,,,,,filled"), line("s1", "ana,YES,SELL,,500,,,,,filled")}
	for range 200 {
		rows = append(rows, line("s1", ",YES,BUY,1,,,,,,filled"))
	}
	tp := load(t, rows...)
	if tp.Trades[0].Account == tp.Trades[1].Account || tp.Trades[0].Account != tp.Trades[2].Account {
		t.Error("accounts are mixed up")
	}
	if got := tp.Accounts[tp.Trades[0].Account].Credits; got != 15_000*engine.One {
		t.Errorf("credits %d", got)
	}
	if n := len(tp.Accounts); n < 100 || n > 202 {
		t.Errorf("%d accounts for 200 rows without one", n)
	}
	if again := load(t, rows...); !reflect.DeepEqual(again.Trades, tp.Trades) || !reflect.DeepEqual(again.Accounts, tp.Accounts) || again.SHA256 != tp.SHA256 {
		t.Error("equal files give different tapes")
	}
	opt := options()
	opt.Synthetic, opt.Limit = 1, 5
	one, err := Load(context.Background(), file(t, header+strings.Join(rows, "\n")), opt)
	if err != nil || len(one.Accounts) != 3 || len(one.Trades) != 5 || one.Sources[0].Trades != 202 {
		t.Errorf("%d accounts, %d trades, %v", len(one.Accounts), len(one.Trades), err)
	}
}

func TestRefusedFiles(t *testing.T) {
	pack := func(s string) string {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = z.Write([]byte(s))
		_ = z.Close()
		return b.String()
	}
	good := header + line("s", "a,YES,BUY,1,,,,,,filled") + "\n"
	many := strings.Builder{}
	many.WriteString(header)
	for i := range MaxSources + 1 {
		many.WriteString(line(fmt.Sprint("s", i), "a,YES,BUY,1,,,,,,filled") + "\n")
	}
	for name, c := range map[string]struct {
		content string
		is      error // nil: any error
	}{
		"empty":                {"", ErrColumns},
		"no header":            {"1,2,3\n", ErrColumns},
		"a column too few":     {strings.Replace(good, "price_after", "after", 1), ErrColumns},
		"a column twice":       {strings.Replace(good, "trade_id", "status", 1), nil},
		"half a gzip":          {pack(good)[:40], nil},
		"not really gzip":      {"\x1f\x8bnonsense", nil},
		"a flipped bit":        {flip(pack(good)), nil},
		"an endless field":     {good + strings.Repeat("x", 2*MaxRecord), ErrTooLong},
		"an endless quote":     {good + "\"" + strings.Repeat("x\n", MaxRecord), ErrTooLong},
		"a bomb":               {pack(good + strings.Repeat("\x00", 64<<20)), ErrTooLong},
		"more sources than we": {many.String(), ErrTooMuch},
	} {
		_, err := Load(context.Background(), file(t, c.content), options())
		if err == nil || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: %v, want %v", name, err, c.is)
		}
	}
	for name, content := range map[string]string{"plain": good, "gzip": pack(good), "with a byte order mark": "\ufeff" + good, "two members": pack(good) + pack("")} {
		if tp, err := Load(context.Background(), file(t, content), options()); err != nil || len(tp.Trades) != 1 {
			t.Errorf("%s: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Load(ctx, file(t, good), options()); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func flip(s string) string {
	b := []byte(s)
	b[len(b)/2] ^= 1
	return string(b)
}

// TestHostileRows: whatever a row says, it is counted and the next one is read.
func TestHostileRows(t *testing.T) {
	tp := load(t,
		"too,few", `a"b,`, line("s", "a,YES,BUY,1,,,,,,filled"), line("s<script>", "a,YES,BUY,1,,,,,,filled"), line("", "a,YES,BUY,1,,,,,,filled"),
		"yesterday,s,m,t,a,YES,BUY,1,,,,,,filled", "2026-01-02T12:00:00Z,s,,t,a,YES,BUY,1,,,,,,filled",
		line("s", "a,YES,BUY,"+strings.Repeat("9", 500_000)+",,,,,,filled"), line("s", "\x00\xff,YES,BUY,1,,,,,,filled"))
	want := map[string]map[string]int{"unreadable": {"malformed_row": 4}, "s": {"bad_time": 1, "bad_id": 1, "bad_number": 1}}
	for _, s := range tp.Sources {
		if !maps.Equal(s.Skipped, want[s.Name]) {
			t.Errorf("%s skipped %v, want %v", s.Name, s.Skipped, want[s.Name])
		}
	}
	if len(tp.Trades) != 2 || tp.Rows != 9 {
		t.Errorf("%d trades of %d rows", len(tp.Trades), tp.Rows)
	}
	var rows []string
	for i := range maxReasons + 50 {
		rows = append(rows, line("s", fmt.Sprintf("a,YES,BUY,1,,,,,,status%d", i)))
	}
	if s := load(t, rows...).Sources[0]; len(s.Skipped) > maxReasons+1 || s.Skipped["other"] != 50 {
		t.Errorf("%d reasons, %d others", len(s.Skipped), s.Skipped["other"])
	}
}

func TestTitles(t *testing.T) {
	for in, want := range map[string]string{
		"": "", " a\tb\nc ": "a b c", "\u202eevil\u200b": "evil", "\x00\x1b[31mred": "[31mred", "a\u0085b\u2028c": "a b c", "\xff\ufffdx": "x",
		"caf\u00e9 \u4e16": "caf\u00e9 \u4e16", strings.Repeat("\u00e9", 200): strings.Repeat("\u00e9", 120), strings.Repeat("ab ", 100): strings.TrimSpace(strings.Repeat("ab ", 80)),
	} {
		if got := cleanTitle(in, 240); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

// FuzzLoad: no input crashes, every row is counted once, and what is played is
// what the engine accepts as an order.
func FuzzLoad(f *testing.F) {
	f.Add(header + line("s", "a,YES,BUY,1,2,0.5,0.5,0.6,,filled") + "\n" + line("s", ",YES,,1,2,0.5,0.5,0.4,,inplay"))
	f.Add(header + "\"\n,,,\n" + line("s", "a,,SELL,1,2,50,40,60,,partial_open"))
	path := filepath.Join(f.TempDir(), "trades.csv") // of this fuzzing process
	f.Fuzz(func(t *testing.T, content string) {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		tp, err := Load(context.Background(), path, options())
		if err != nil {
			return
		}
		rows := 0
		for _, s := range tp.Sources {
			rows += s.Rows
			skipped := 0
			for _, n := range s.Skipped {
				skipped += n
			}
			if s.Rows != s.Trades+skipped {
				t.Errorf("%+v", s)
			}
		}
		if rows != tp.Rows {
			t.Errorf("%d rows of %d", rows, tp.Rows)
		}
		for _, x := range tp.Trades {
			o := x.Order
			if (o.Amount == 0) == (o.Shares == 0) || o.Amount < 0 || o.Shares < 0 || o.Amount > options().Template.MaxOrder || o.Limit < 0 || o.Limit >= engine.One {
				t.Errorf("%+v", o)
			}
			if m := tp.Markets[x.Market]; m.Open <= 10_000 || m.Open >= 990_000 || m.Liquidity < 10*engine.One || m.Title == "" {
				t.Errorf("%+v", m)
			}
		}
	})
}
