package core

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"sort"
	"strings"
	"testing"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/tests/given"
)

// sound are commands that take effect at the stage, one of each type.
func sound(now engine.Time, order engine.OrderID) []engine.Command {
	uri, sum := "https://example.org/e", digest(9)
	second := engine.DefaultTemplate()
	second.Version, second.Truth.Reporters = "1.2.0", []string{}
	policy := calm()
	policy.Version = "1.1.0"
	gtd := rest(2, 1, engine.Yes, engine.Buy, engine.One, 300_000)
	gtd.TIF, gtd.Expires = engine.GTD, now+sec
	return append(acts(now, order),
		gtd,
		&engine.Initialise{Policy: policy, Template: second, Admin: engine.Key{SHA256: sum, Principal: "zoe", Roles: engine.RoleAdmin}},
		&engine.AddTemplate{Template: second},
		&engine.AddKey{Key: engine.Key{SHA256: sum, Principal: "zoe", Roles: engine.RoleTrader, Account: 2}},
		&engine.RevokeKey{SHA256: sum},
		&engine.OpenAccount{},
		&engine.GrantCredits{Account: 1, Amount: one},
		&engine.OpenMarket{Template: "binary@1.0.0", Title: "Next?", Creator: 1, Liquidity: 100 * one, Price: 500_000, CloseAt: now + 100*sec},
		&engine.OpenMarket{Template: "many@1.0.0", Title: "Next?", Creator: 1, Liquidity: 100 * one, Outcomes: []string{"a", "b"}, Prices: []engine.Price{400_000, 600_000}},
		&engine.OpenMarket{Template: "scalar@1.0.0", Title: "Next?", Creator: 1, Liquidity: 100 * one, Price: 500_000, Min: -5, Max: 5},
		&engine.CancelOrder{Account: 2, Order: order},
		&engine.CancelAll{Account: 2, Market: 1},
		&engine.Batch{Items: []engine.Command{buy(2, 1, engine.Yes, one)}},
		&engine.Tick{},
		&engine.SettleMarket{Market: 1},
		&engine.SetPolicy{Policy: policy},
		&engine.RollbackPolicy{},
		&engine.SetMode{Mode: engine.ModeLite, Reason: "drill"},
		&engine.SetDeadlines{Held: true, Reason: "the clock jumped"},
		&engine.Moderate{Action: engine.LimitAccount, Account: 2, Until: now + sec, EvidenceURI: uri, EvidenceSHA256: sum},
		&engine.UndoModeration{Decision: 3},
		&engine.UpgradeEngine{Version: 1},
		&engine.AllowText{For: "open_market", Texts: []engine.Suspected{{Field: "title", Kind: "email"}}},
		&engine.NoteDecision{Decision: 3, Text: sum},
		&engine.ErasePerson{Account: 2},
		&engine.AddWebhook{URL: "https://example.org/h", Events: []string{"trade"}, Markets: []engine.MarketID{1}},
		&engine.OpenSeason{Name: "spring", Start: now + sec, End: now + 100*sec},
		&engine.EndSeason{Name: "spring"},
		&engine.CountSeason{},
		&engine.SetRanking{Account: 2},
		&engine.NoteRefusals{From: now, Until: now, Refusals: []engine.Refusal{{Principal: "ana", Reason: "malformed", Count: 3}}},
	)
}

// bad values by the type of a field. Some of them are right for some fields; the
// golden file says which.
func bad(v reflect.Value) (out []reflect.Value) {
	put := func(x any) { out = append(out, reflect.ValueOf(x).Convert(v.Type())) }
	switch v.Kind() {
	case reflect.Bool:
		put(!v.Bool())
	case reflect.Int64:
		for _, n := range []int64{0, -1, 1, engine.MaxAmount + 1, math.MinInt64, math.MaxInt64} {
			put(n)
		}
	case reflect.Uint8:
		for _, n := range []uint8{0, 7, 255} {
			put(n)
		}
	case reflect.Uint32:
		for _, n := range []uint32{0, 77, math.MaxUint32} {
			put(n)
		}
	case reflect.Uint64:
		for _, n := range []uint64{0, 1, math.MaxUint64} {
			put(n)
		}
	case reflect.String:
		for _, s := range []string{"", " x", "a\nb", "a\x00b", "\xff", "\u2028", strings.Repeat("a", 513), strings.Repeat("a", 100_000)} {
			put(s)
		}
	case reflect.Array:
		out = append(out, reflect.Zero(v.Type()))
	case reflect.Slice:
		out = append(out, reflect.Zero(v.Type()))
		many := reflect.MakeSlice(v.Type(), 0, 65)
		for range 65 {
			if v.Len() > 0 {
				many = reflect.Append(many, v.Index(0))
			} else {
				many = reflect.Append(many, reflect.Zero(v.Type().Elem()))
			}
		}
		out = append(out, many, many.Slice(0, 1), many.Slice(0, 2))
		if v.Type().Elem().Kind() == reflect.Interface { // the items of a batch
			for _, c := range []engine.Command{nil, &engine.Batch{}, &engine.OpenAccount{}, &engine.PlaceOrder{}} {
				out = append(out, reflect.Append(reflect.MakeSlice(v.Type(), 0, 1), reflect.ValueOf(&c).Elem()))
			}
		}
	}
	return out
}

// spoil calls f with every field of a command spoilt in every way, and puts the
// field back.
func spoil(v reflect.Value, path string, f func(path, value string)) {
	if v.Kind() == reflect.Struct {
		for i := range v.NumField() {
			spoil(v.Field(i), path+"."+strings.ToLower(v.Type().Field(i).Name), f)
		}
		return
	}
	was := reflect.New(v.Type()).Elem()
	was.Set(v)
	for i, x := range bad(was) {
		if reflect.DeepEqual(x.Interface(), was.Interface()) {
			continue
		}
		v.Set(x)
		word := fmt.Sprintf("%.20q", fmt.Sprintf("%v", x))
		if v.Kind() == reflect.Slice {
			word = fmt.Sprintf("#%d(%d items)", i, v.Len())
		}
		f(path, word)
	}
	v.Set(was)
}

// Every field of every command with values that it must not have: the code is
// stable, and nothing changes.
func TestBadInput(t *testing.T) {
	codes := map[string][]string{} // field and code: values
	tried := 0
	for i := range sound(0, 0) {
		w, c := footing(t, i)
		spoil(reflect.ValueOf(c).Elem(), c.Type(), func(path, value string) {
			d := w.refused(t, c, path+" "+value)
			if d == nil { // it took effect: the next one needs a fresh stage
				w, _ = footing(t, i)
				d = &engine.Decision{}
			}
			tried++
			codes[path+" "+d.Code.String()] = append(codes[path+" "+d.Code.String()], value)
		})
	}
	var lines []string
	for k, values := range codes {
		lines = append(lines, k+": "+strings.Join(values, " ")+"\n")
	}
	sort.Strings(lines)
	t.Logf("%d commands, %d lines", tried, len(lines))
	given.Golden(t, "testdata/bad_input.txt", strings.Join(lines, ""))
}

// footing is a stage for a command, and the command.
func footing(t *testing.T, i int) (*world, engine.Command) {
	t.Helper()
	state := engine.Open
	kind := sound(0, 0)[i]
	if _, first := kind.(*engine.Initialise); first {
		return &world{t: t, s: New(), now: testStart}, kind
	}
	if in := allowed[kind.Type()]; in != nil {
		state = in[0]
	}
	w, order := stage(t, state)
	w.ok("ops", &engine.AddTemplate{Template: templates()[2]})
	w.ok("ops", &engine.AddTemplate{Template: templates()[3]})
	return w, sound(w.now, order)[i]
}

// refused gives a command to the state; nil if it took effect.
func (w *world) refused(t *testing.T, c engine.Command, what string) *engine.Decision {
	t.Helper()
	order := counted(c)
	if b, is := c.(*engine.Batch); is {
		order = len(b.Items) > 0
	}
	before := w.s.bare(order)
	d := w.give("ana", c)
	if _, err := json.Marshal(d); err != nil {
		t.Errorf("%s: %v", what, err)
	}
	if _, is := d.Command.(*engine.Batch); is && d.Code == engine.OK {
		return nil
	}
	if d.Code == engine.OK {
		return nil
	}
	if before != w.s.bare(order) || len(d.Events) != 0 {
		t.Errorf("%s: refused with %s, and something changed", what, d.Code)
	}
	if (d.Code == engine.InvalidCommand || d.Code == engine.TemplateBounds && c.Type() == "open_market") && d.Detail == "" {
		t.Errorf("%s: %s without a word about what is wrong", what, d.Code)
	}
	return d
}

// A text of any length, and principals of any form, are refused with a record
// that can be read and decided again.
func TestOverlongTextsAreNotRecorded(t *testing.T) {
	w, _ := stage(t, engine.Open)
	long := strings.Repeat("a", 100_000)
	for _, p := range []string{long, "A", "", "a b", "é", "a/b"} {
		d := w.give(p, &engine.OpenAccount{})
		if d.Code != engine.InvalidCommand || d.Principal != "unknown" || len(w.log[len(w.log)-1]) > 300 {
			t.Errorf("%.20q: %s by %q, %d bytes", p, d.Code, d.Principal, len(w.log[len(w.log)-1]))
		}
	}
	if d := w.give("ana", &engine.PlaceOrder{}); d.Code != engine.AccountNotFound {
		t.Errorf("nothing at all: %s", d.Code)
	}
	if err := w.refold(); err != nil {
		t.Error(err)
	}
}
