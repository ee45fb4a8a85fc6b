package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
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
		`{"a":[` + strings.Repeat(`1,`, maxElements) + `1]}`:            "more than 256 elements",
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

// same compares what was read with what the standard library reads.
func same(members []member, other map[string]any) bool {
	for i := range members {
		v, there := other[members[i].name]
		if !there || !sameValue(&members[i].value, v) {
			return false
		}
	}
	return len(members) == len(other)
}

func sameValue(v *value, other any) bool {
	switch x := other.(type) {
	case nil:
		return v.kind == null
	case bool:
		return v.kind == truth && v.text == strconv.FormatBool(x)
	case json.Number:
		return v.kind == number && v.text == x.String()
	case string:
		return v.kind == text && v.text == x
	case map[string]any:
		return v.kind == object && same(v.kids, x)
	case []any:
		for i := range x {
			if len(x) != len(v.kids) || !sameValue(&v.kids[i].value, x[i]) {
				return false
			}
		}
		return v.kind == list && len(x) == len(v.kids)
	}
	return false
}

// FuzzParseBody: what passes is JSON by the standard library's judgement, too,
// and holds the same values; what is refused as no JSON is none.
func FuzzParseBody(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":[1,"x",null,true,{"b":-0.5e3}]}`, `{"a":1,"a":2}`, `{"market":"mkt_1","outcome":"YES","side":"buy","tif":"ioc","amount_micros":10000000}`, ` { "a" : [ ] , "b":{ } , "c":[[1 , 2],[]],"d":"\\u00e9\\n\\ud83d\\ude00"}`, `{"a":-0,"b":1.50E+07,"c":0.1,"d":-12e-3}`, `{"a":[1,]}`, `{"a":tru}`, `{"a":1.}`, `{"a":-}`, `{"a":1e}`, `{"a":"\\x"}`, `{"":1}`, "{\"\xff\":1}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		form, err := ParseBody(b)
		if err != nil {
			if errors.As(err, new(*Fault)) && strings.Contains(err.Error(), "is not JSON at byte") && json.Valid(b) {
				t.Fatalf("%q is JSON: %v", b, err)
			}
			return
		}
		var other map[string]any
		d := json.NewDecoder(bytes.NewReader(b))
		d.UseNumber()
		if !json.Valid(b) || d.Decode(&other) != nil {
			t.Fatalf("%q passed and is not JSON", b)
		}
		if same := same(form.members, other); !same {
			t.Fatalf("%q is read as %+v", b, form.members)
		}
		if _, err := ParseQuery(string(b)); err != nil && !errors.As(err, new(*Fault)) {
			t.Fatal(err)
		}
	})
}
