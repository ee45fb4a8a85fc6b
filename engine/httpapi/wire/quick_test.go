package wire

import (
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/mbp-market/mbp/engine"
)

// ways are the commands that have a quick way, with their long one.
var ways = []struct {
	quick   func([]byte, engine.AccountID) engine.Command
	command func(*Request) engine.Command
}{{QuickOrder, PlaceOrder}, {QuickBatch, Batch}, {QuickBatches, Batches}}

// agree says which of the quick ways read a body, and fails where one reads what the
// long way refuses, or something else.
func agree(t interface{ Fatalf(string, ...any) }, body string) (quickly [3]bool) {
	for i, w := range ways {
		got := w.quick([]byte(body), 7)
		if quickly[i] = got != nil; !quickly[i] {
			continue
		}
		r := &Request{Account: 7}
		want, err := r.Read([]byte(body), nil, w.command)
		if err != nil {
			t.Fatalf("%q is read quickly, and is refused: %v", body, err)
		}
		if len(r.Suspects()) != 0 || !reflect.DeepEqual(got, want) {
			t.Fatalf("%q is read quickly as %+v, and is %+v", body, got, want)
		}
	}
	return quickly
}

const anOrder = `"market":"mkt_12","outcome":"YES","side":"buy","tif":"ioc","shares_micros":1000000`

// TestOrdinaryBodiesAreReadQuickly: those of the two clients, and of batches of all kinds.
func TestOrdinaryBodiesAreReadQuickly(t *testing.T) {
	full := `{"type":"place_order",` + anOrder + `,"limit_price_micros":510000,"expires_at":"2030-01-02T03:04:05.000006Z","post_only":true,"self_trade":"decrement","if_seq":9}`
	for body, want := range map[string][3]bool{
		`{` + anOrder + `}`: {true, false, false},
		"\n{ \"side\" : \"sell\", \"market\":\"mkt_1\",\"tif\":\"gtc\",\t\"outcome\":\"O64\" , \"amount_micros\" : 999999999999999999 }\r\n": {true, false, false},
		`{"items":[` + full + `]}`: {false, true, true},
		`{"items":[` + strings.Repeat(full+",", 3) + `{"type":"cancel_order","order":"ord_5.7"},{"type":"cancel_all"},{"market":"mkt_2","type":"cancel_all"},
			{"type":"amend_order","order":"ord_5","shares_micros":2},{"type":"amend_order","order":"ord_5","shares_micros":2,"limit_price_micros":1}]}`: {false, true, true},
		`{"items":[` + strings.Repeat(full+",", 50) + full + `]}`:  {false, false, true},
		`{"items":[` + strings.Repeat(full+",", 200) + full + `]}`: {},
		`{"items":[]}`:                       {},
		`{"items":[{}]}`:                     {},
		`{}`:                                 {},
		``:                                   {},
		`{` + anOrder + `} x`:                {},
		`{` + anOrder + `,"side":"buy"}`:     {},
		`{` + anOrder + `,"if_seq":null}`:    {},
		`{` + anOrder + `,"if_seq":0}`:       {},
		`{` + anOrder + `,"if_seq":1.0}`:     {},
		`{` + anOrder + `,"post_only":1}`:    {},
		`{` + anOrder + `,"order":"ord_1"}`:  {},
		`{"items":[{"type":"place_order"}]}`: {},
		`{"items":[{"type":"cancel_order","order":"ord_1","market":"mkt_1"}]}`: {},
		`{"items":[{"type":"amend_order","order":"ord_1"}]}`:                   {},
		`{"items":[{"type":"cancel_all"}],"items":[]}`:                         {},
	} {
		if got := agree(t, body); got != want {
			t.Errorf("%q: quickly %v, want %v", body, got, want)
		}
	}
}

// TestQuickReadsTheSame: of made-up bodies with members of all kinds, right and wrong.
func TestQuickReadsTheSame(t *testing.T) {
	value := rapid.SampledFrom([]string{
		`"place_order"`, `"cancel_order"`, `"cancel_all"`, `"amend_order"`, `"mkt_1"`, `"mkt_01"`, `"mkt_4294967296"`, `"YES"`, `"O3"`, `"O65"`, `"buy"`, `"sell"`, `"gtc"`, `"fok"`,
		`"decrement"`, `"ord_3"`, `"ord_3.1"`, `"ord_3.50"`, `"2030-01-02T03:04:05Z"`, `"1960-01-02T03:04:05Z"`, `""`, `"b\u0075y"`, `"büy"`,
		`1`, `0`, `-1`, `01`, `17`, `1e3`, `1.5`, `999999999999999999`, `1000000000000000000`, `9223372036854775808`, `true`, `false`, `null`, `truex`, `[]`, `{}`,
	})
	usual := map[string][]string{
		"type": {`"place_order"`}, "market": {`"mkt_1"`, `"mkt_4294967295"`}, "outcome": {`"NO"`, `"O64"`}, "side": {`"buy"`, `"sell"`}, "tif": {`"ioc"`, `"gtd"`},
		"amount_micros": {`1`, `70`}, "shares_micros": {`9`}, "limit_price_micros": {`500000`}, "expires_at": {`"2030-01-02T03:04:05.1Z"`}, "post_only": {`true`, `false`},
		"self_trade": {`"cancel_newest"`, `"cancel_oldest"`}, "if_seq": {`3`}, "order": {`"ord_3.9"`}, "x": {`1`},
	}
	rarely := func(t *rapid.T) bool { return rapid.IntRange(0, 19).Draw(t, "rarely") == 19 }
	may := rapid.SampledFrom([]string{"amount_micros", "shares_micros", "limit_price_micros", "expires_at", "post_only", "self_trade", "if_seq"})
	quickly := 0
	rapid.Check(t, func(t *rapid.T) {
		object := func() string {
			names := rapid.SliceOfNDistinct(may, 0, 3, func(s string) string { return s }).Draw(t, "names")
			if names = append(names, "market", "outcome", "side", "tif"); rarely(t) {
				names[0] = rapid.SampledFrom([]string{"order", "type", "x", "side"}).Draw(t, "name")
			}
			var b strings.Builder
			for i, name := range rapid.Permutation(names).Draw(t, "order") {
				v, space := rapid.SampledFrom(usual[name]).Draw(t, "usual"), rapid.SampledFrom([]string{"", " ", "\n\t", "\r"}).Draw(t, "space")
				if rarely(t) {
					v = value.Draw(t, "value")
				}
				if rarely(t) {
					space = rapid.SampledFrom([]string{"\x00", "\u00a0", ",", "x"}).Draw(t, "no space")
				}
				if i > 0 {
					b.WriteByte(',')
				}
				b.WriteString(space + `"` + name + `"` + space + `:` + v)
			}
			return "{" + b.String() + "}"
		}
		one := object()
		if agree(t, one)[0] {
			quickly++
		}
		items := []string{strings.Replace(one, "{", `{"type":"place_order",`, 1)}
		for range rapid.IntRange(0, 2).Draw(t, "more") {
			items = append(items, rapid.SampledFrom([]string{`{"type":"cancel_all"}`, object()}).Draw(t, "item"))
		}
		if agree(t, `{"items":[`+strings.Join(items, ",")+`]}`)[1] {
			quickly++
		}
	})
	least := 20
	if testing.Short() { // which checks a fifth of it
		least = 4
	}
	if quickly < least {
		t.Errorf("%d bodies were read quickly", quickly)
	}
}

// FuzzQuick: what a quick way reads, the long way reads as the same.
func FuzzQuick(f *testing.F) {
	f.Add(`{` + anOrder + `}`)
	f.Add(`{"items":[{"type":"place_order",` + anOrder + `},{"type":"cancel_all"},{"type":"amend_order","order":"ord_1.2","shares_micros":1}]}`)
	f.Fuzz(func(t *testing.T, body string) { agree(t, body) })
}
