package registry

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// obj wraps a property schema into a closed object with the property a.
func obj(a string) string {
	return `{"type":"object","additionalProperties":false,"properties":{"a":` + a + `}}`
}

// The cases state the rule table in our own words: one line per kind of change,
// with the rule it must raise and whether it breaks.
func TestRuleTable(t *testing.T) {
	for _, c := range []struct {
		name, old, new, rule string
		breaking             bool
	}{
		{"same", obj(`{"type":"string"}`), obj(`{"type":"string"}`), "", false},
		{"title", obj(`{"type":"string","title":"x"}`), obj(`{"type":"string","title":"y"}`), "TITLE_CHANGED", false},
		{"description added", obj(`{"type":"string"}`), obj(`{"type":"string","description":"y"}`), "DESCRIPTION_ADDED", false},
		{"default", obj(`{"type":"string","default":"x"}`), obj(`{"type":"string"}`), "DEFAULT_REMOVED", false},
		{"type", obj(`{"type":"string"}`), obj(`{"type":"integer"}`), "TYPE_CHANGED", true},
		{"integer to number", obj(`{"type":"integer"}`), obj(`{"type":"number"}`), "TYPE_CHANGED", true},
		{"nullable", obj(`{"type":"string"}`), obj(`{"type":["null","string"]}`), "TYPE_WIDENED", true},
		{"not nullable", obj(`{"type":["string","null"]}`), obj(`{"type":"string"}`), "TYPE_NARROWED", true},
		{"type order", obj(`{"type":["string","null"]}`), obj(`{"type":["null","string"]}`), "", false},
		{"max length up", obj(`{"type":"string","maxLength":3}`), obj(`{"type":"string","maxLength":4}`), "MAX_LENGTH_INCREASED", false},
		{"max length down", obj(`{"type":"string","maxLength":3}`), obj(`{"type":"string","maxLength":2}`), "MAX_LENGTH_DECREASED", true},
		{"max length added", obj(`{"type":"string"}`), obj(`{"type":"string","maxLength":2}`), "MAX_LENGTH_ADDED", true},
		{"max length removed", obj(`{"type":"string","maxLength":3}`), obj(`{"type":"string"}`), "MAX_LENGTH_REMOVED", false},
		{"min up", obj(`{"type":"integer","minimum":3}`), obj(`{"type":"integer","minimum":4}`), "MINIMUM_INCREASED", true},
		{"min down", obj(`{"type":"integer","minimum":3}`), obj(`{"type":"integer","minimum":2}`), "MINIMUM_DECREASED", false},
		{"min as exclusive", obj(`{"type":"integer","minimum":3}`), obj(`{"type":"integer","exclusiveMinimum":2}`), "EXCLUSIVE_MINIMUM_ADDED", true},
		{"max by one above 2^53", obj(`{"type":"integer","maximum":9007199254740993}`), obj(`{"type":"integer","maximum":9007199254740992}`), "MAXIMUM_DECREASED", true},
		{"same number, other text", obj(`{"type":"integer","maximum":10}`), obj(`{"type":"integer","maximum":1e1}`), "", false},
		{"pattern", obj(`{"type":"string","pattern":"^a"}`), obj(`{"type":"string","pattern":"^[ab]"}`), "PATTERN_CHANGED", true},
		{"pattern removed", obj(`{"type":"string","pattern":"^a"}`), obj(`{"type":"string"}`), "PATTERN_REMOVED", false},
		{"format added", obj(`{"type":"string"}`), obj(`{"type":"string","format":"date-time"}`), "FORMAT_ADDED", true},
		{"format removed", obj(`{"type":"string","format":"date"}`), obj(`{"type":"string"}`), "FORMAT_REMOVED", true},
		{"multiple finer", obj(`{"type":"integer","multipleOf":6}`), obj(`{"type":"integer","multipleOf":3}`), "MULTIPLE_OF_REDUCED", false},
		{"multiple coarser", obj(`{"type":"integer","multipleOf":3}`), obj(`{"type":"integer","multipleOf":6}`), "MULTIPLE_OF_CHANGED", true},
		{"multiple added", obj(`{"type":"integer"}`), obj(`{"type":"integer","multipleOf":6}`), "MULTIPLE_OF_ADDED", true},
		{"enum more", obj(`{"type":"string","enum":["a"]}`), obj(`{"type":"string","enum":["b","a"]}`), "ENUM_EXTENDED", false},
		{"enum fewer", obj(`{"type":"string","enum":["a","b"]}`), obj(`{"type":"string","enum":["a"]}`), "ENUM_NARROWED", true},
		{"enum other", obj(`{"type":"string","enum":["a","b"]}`), obj(`{"type":"string","enum":["a","c","d"]}`), "ENUM_NARROWED", true},
		{"enum added", obj(`{"type":"string"}`), obj(`{"type":"string","enum":["a"]}`), "ENUM_ADDED", true},
		{"enum number text", obj(`{"type":"integer","enum":[1]}`), obj(`{"type":"integer","enum":[1.0]}`), "", false},
		{"const", obj(`{"type":"string","const":"a"}`), obj(`{"type":"string","const":"b"}`), "CONST_CHANGED", true},
		{"unique added", obj(`{"type":"array","items":{"type":"string"}}`), obj(`{"type":"array","items":{"type":"string"},"uniqueItems":true}`), "UNIQUE_ITEMS_ADDED", true},
		{"unique off", obj(`{"type":"array","items":{"type":"string"},"uniqueItems":true}`), obj(`{"type":"array","items":{"type":"string"},"uniqueItems":false}`), "UNIQUE_ITEMS_CHANGED", false},
		{"items narrower", obj(`{"type":"array","items":{"type":"string"}}`), obj(`{"type":"array","items":{"type":"string","maxLength":1}}`), "MAX_LENGTH_ADDED", true},
		{"field id", obj(`{"type":"string","x-field-id":1}`), obj(`{"type":"string","x-field-id":2}`), "FIELD_ID_CHANGED", true},
		{"unit", obj(`{"type":"integer","x-unit":"micros"}`), obj(`{"type":"integer","x-unit":"credits"}`), "UNIT_CHANGED", true},
		{"property removed", obj(`{"type":"string"}`), `{"type":"object","additionalProperties":false,"properties":{}}`, "PROPERTY_REMOVED", true},
		{"optional added", obj(`{"type":"string"}`), `{"type":"object","additionalProperties":false,"properties":{"a":{"type":"string"},"b":{"type":"string"}}}`, "PROPERTY_ADDED_OPTIONAL", false},
		{"required added", obj(`{"type":"string"}`), `{"type":"object","additionalProperties":false,"required":["b"],"properties":{"a":{"type":"string"},"b":{"type":"string","default":"x"}}}`, "PROPERTY_ADDED_REQUIRED", true},
		{"required on existing, default", obj(`{"type":"string"}`), `{"type":"object","additionalProperties":false,"required":["a"],"properties":{"a":{"type":"string","default":""}}}`, "REQUIRED_ADDED", true},
		{"required dropped", `{"type":"object","additionalProperties":false,"required":["a"],"properties":{"a":{"type":"string"}}}`, obj(`{"type":"string"}`), "REQUIRED_REMOVED", true},
		{"field id reused", obj(`{"type":"string","x-field-id":1}`), `{"type":"object","additionalProperties":false,"properties":{"b":{"type":"string","x-field-id":1}}}`, "FIELD_ID_REUSED", true},
		{"opened", obj(`{"type":"string"}`), `{"type":"object","properties":{"a":{"type":"string"}}}`, "OBJECT_OPEN", true},
		{"unknown keyword, unchanged", obj(`{"type":"string","x-new":1}`), obj(`{"type":"string","x-new":1}`), "KEYWORD_UNKNOWN", true},
		{"reference", obj(`{"type":"string"}`), obj(`{"$ref":"#"}`), "KEYWORD_UNKNOWN", true},
		{"no type", obj(`{}`), obj(`{}`), "TYPE_MISSING", true},
		{"boolean schema", obj(`true`), obj(`true`), "BOOLEAN_SCHEMA", true},
		{"root true", `true`, `true`, "DOCUMENT_INVALID", true},
		{"draft-07", `{"$schema":"http://json-schema.org/draft-07/schema#","type":"string"}`, `{"type":"string"}`, "DIALECT_UNKNOWN", true},
		{"required nowhere", obj(`{"type":"string"}`), `{"type":"object","additionalProperties":false,"required":["x"],"properties":{"a":{"type":"string"}}}`, "REQUIRED_WITHOUT_PROPERTY", true},
		{"meta-schema", obj(`{"type":"strin"}`), obj(`{"type":"strin"}`), "SCHEMA_INVALID", true},
		{"look-ahead", obj(`{"type":"string","pattern":"(?=a)"}`), obj(`{"type":"string","pattern":"(?=a)"}`), "SCHEMA_INVALID", true},
		{"duplicate key", `{"type":"string","type":"string"}`, `{"type":"string"}`, "DUPLICATE_KEY", true},
		{"duplicate by escape", `{"type":"string","\u0074ype":"string"}`, `{"type":"string"}`, "DUPLICATE_KEY", true},
		{"trailing text", `{"type":"string"} {}`, `{"type":"string"}`, "DOCUMENT_INVALID", true},
		{"not UTF-8", "{\"type\":\"string\",\"title\":\"\xff\"}", `{"type":"string"}`, "DOCUMENT_INVALID", true},
		{"empty", ``, `{"type":"string"}`, "DOCUMENT_INVALID", true},
		{"huge exponent", `{"type":"number","maximum":1e999999999}`, `{"type":"number"}`, "DOCUMENT_INVALID", true},
		{"too deep", strings.Repeat(`{"items":`, MaxDepth+2) + `{}` + strings.Repeat(`}`, MaxDepth+2), `{"type":"string"}`, "DOCUMENT_INVALID", true},
		{"too large", `{"type":"string","title":"` + strings.Repeat("x", MaxBytes) + `"}`, `{"type":"string"}`, "DOCUMENT_INVALID", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			list, err := Check([]byte(c.old), []byte(c.new))
			if err != nil {
				t.Fatal(err)
			}
			if got := len(Breaking(list)) > 0; got != c.breaking {
				t.Errorf("breaking = %v, want %v: %v", got, c.breaking, list)
			}
			has := slices.ContainsFunc(list, func(d Difference) bool { return d.Rule == c.rule && d.Breaking == c.breaking })
			if c.rule != "" && !has {
				t.Errorf("rule %s is missing: %v", c.rule, list)
			}
			if c.rule == "" && len(list) > 0 {
				t.Errorf("unexpected differences: %v", list)
			}
		})
	}
}

func TestPointersEscapeTokens(t *testing.T) {
	old := `{"type":"object","additionalProperties":false,"properties":{"a/b~c":{"type":"string"}}}`
	new := strings.Replace(old, "string", "integer", 1)
	list, _ := Check([]byte(old), []byte(new))
	if len(list) != 1 || list[0].Path != "#/properties/a~1b~0c/type" {
		t.Fatalf("got %v", list)
	}
}

func TestPanicAndTimeoutAreBreaking(t *testing.T) {
	list, err := guarded(time.Minute, func() []Difference { panic("defect") })
	if !errors.Is(err, ErrUndecided) || len(Breaking(list)) != 1 || list[0].Rule != "CHECK_PANICKED" {
		t.Errorf("panic: %v, %v", list, err)
	}
	release := make(chan struct{})
	defer close(release)
	list, err = guarded(time.Nanosecond, func() []Difference { <-release; return nil })
	if !errors.Is(err, ErrUndecided) || len(Breaking(list)) != 1 || list[0].Rule != "CHECK_TIMED_OUT" {
		t.Errorf("timeout: %v, %v", list, err)
	}
}

func TestNothingIsLoaded(t *testing.T) {
	for _, ref := range []string{"file:///etc/hostname", "https://example.com/s.json"} {
		_, err := compile(map[string]any{"$ref": ref})
		if !errors.Is(err, errNoLoader) && (err == nil || !strings.Contains(err.Error(), errNoLoader.Error())) {
			t.Errorf("%s: %v", ref, err)
		}
	}
}

func FuzzCheck(f *testing.F) {
	f.Add([]byte(obj(`{"type":"string"}`)), []byte(obj(`{"type":"string","maxLength":1}`)))
	f.Add([]byte(`{"type":["a",1]}`), []byte(`{"enum":{},"required":3,"properties":[]}`))
	f.Fuzz(func(t *testing.T, old, new []byte) {
		list, err := Check(old, new)
		if err != nil {
			t.Fatalf("undecided: %v", err)
		}
		if _, bad := parseSide(new, New); bad != nil && len(Breaking(list)) == 0 {
			t.Fatalf("an unreadable document passed")
		}
	})
}
