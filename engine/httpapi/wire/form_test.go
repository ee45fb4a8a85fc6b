package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestParseBodyRefuses(t *testing.T) {
	for body, want := range map[string]string{
		``:                             "not JSON",
		`null`:                         "not a JSON object",
		`[]`:                           "not a JSON object",
		`"x"`:                          "not a JSON object",
		`{`:                            "not JSON",
		`{"a":1,}`:                     "not JSON",
		`{"a" 1}`:                      "not JSON",
		`{a:1}`:                        "not JSON",
		`{'a':1}`:                      "not JSON",
		`{"a":01}`:                     "not JSON",
		`{"a":+1}`:                     "not JSON",
		`{"a":NaN}`:                    "not JSON",
		`{"a":1}{}`:                    "after the JSON object",
		`{"a":1} x`:                    "after the JSON object",
		`{"a":1,"a":1}`:                "a is given twice",
		`{"a":1,"\u0061":1}`:           "a is given twice",
		`{"a":{"b":1,"b":2}}`:          "a.b is given twice",
		"{\"a\":\"\xff\"}":             "not UTF-8",
		`{"a":"\ud800"}`:               "a is not a text of Unicode",
		"{\"a\":\"\x01\"}":             "not JSON",
		"\xef\xbb\xbf{}":               "not JSON",
		strings.Repeat(`{"a":`, 10000): "nested deeper",
		strings.Repeat(`[`, 10000):     "nested deeper",
		`{"a":` + strings.Repeat(`[`, 7) + strings.Repeat(`]`, 7) + `}`: "",
		`{"a":` + strings.Repeat(`[`, 8) + strings.Repeat(`]`, 8) + `}`: "nested deeper",
		`{"a":[` + strings.Repeat(`1,`, 64) + `1]}`:                     "more than 64 elements",
		manyMembers(65): "more than 64 members",
		manyMembers(64): "",
	} {
		_, err := ParseBody([]byte(body))
		switch {
		case want == "" && err != nil:
			t.Errorf("%.60q: %v", body, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%.60q: %v, want %q", body, err, want)
		}
	}
}

func manyMembers(n int) string {
	var parts []string
	for i := range n {
		parts = append(parts, fmt.Sprintf("%q:1", fmt.Sprint("m", i)))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// FuzzParseBody: what passes is JSON by the standard library's judgement, too,
// and holds the same members.
func FuzzParseBody(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":[1,"x",null,true,{"b":-0.5e3}]}`, `{"a":1,"a":2}`, `{"market":"mkt_1","outcome":"YES","side":"buy","tif":"ioc","amount_micros":10000000}`, "{\"\xff\":1}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		form, err := ParseBody(b)
		if err != nil {
			return
		}
		var other map[string]any
		if !json.Valid(b) || json.Unmarshal(b, &other) != nil {
			t.Fatalf("%q passed and is not JSON", b)
		}
		if len(other) != len(form.members) {
			t.Fatalf("%q has %d members, not %d", b, len(other), len(form.members))
		}
		if _, err := ParseQuery(string(b)); err != nil && !errors.As(err, new(*Fault)) {
			t.Fatal(err)
		}
	})
}
