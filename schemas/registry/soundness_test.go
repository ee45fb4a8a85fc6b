package registry

import (
	"encoding/json"
	"testing"

	"pgregory.net/rapid"
)

// genSchema draws a small closed object schema. The space is narrow on purpose,
// so that compatible pairs and documents at the bounds are frequent.
func genSchema(t *rapid.T, label string) map[string]any {
	props := map[string]any{}
	required := []any{}
	for _, name := range []string{"a", "b"} {
		if !rapid.Bool().Draw(t, label+name) {
			continue
		}
		props[name] = genProperty(t, label+name)
		if rapid.IntRange(0, 3).Draw(t, label+name+"required") == 0 {
			required = append(required, name)
		}
	}
	return map[string]any{"type": "object", "additionalProperties": false, "properties": props, "required": required}
}

func genProperty(t *rapid.T, label string) map[string]any {
	p := map[string]any{"type": rapid.SampledFrom([]any{"integer", "string", []any{"integer", "null"}}).Draw(t, label+"type")}
	number := func() any { return json.Number(rapid.SampledFrom([]string{"1", "2", "3"}).Draw(t, label+"n")) }
	for _, k := range []string{"minimum", "maximum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength"} {
		if rapid.IntRange(0, 3).Draw(t, label+k) == 0 {
			p[k] = number()
		}
	}
	if rapid.IntRange(0, 4).Draw(t, label+"enum") == 0 {
		p["enum"] = rapid.SliceOfNDistinct(rapid.SampledFrom([]any{json.Number("1"), json.Number("2"), "x", nil}), 1, 3, rapid.ID[any]).Draw(t, label+"values")
	}
	if rapid.IntRange(0, 5).Draw(t, label+"pattern") == 0 {
		p["pattern"] = rapid.SampledFrom([]string{"^x", "y$"}).Draw(t, label+"re")
	}
	return p
}

// Whatever Check passes must keep every old document valid: the judge is the
// validator, which knows nothing of the rule table.
func TestPassedVersionsKeepOldDocumentsValid(t *testing.T) {
	passed := 0
	rapid.Check(t, func(t *rapid.T) {
		old := genSchema(t, "old.")
		changed := genSchema(t, "new.")
		if rapid.Bool().Draw(t, "evolve") { // most random pairs break: start from the old one
			for name, p := range old["properties"].(map[string]any) {
				changed["properties"].(map[string]any)[name] = p
			}
			changed["required"] = old["required"]
		}
		rawOld, _ := json.Marshal(old)
		rawNew, _ := json.Marshal(changed)
		list, err := Check(rawOld, rawNew)
		if err != nil {
			t.Fatal(err)
		}
		if len(Breaking(list)) > 0 {
			return
		}
		passed++
		so, _ := compile(old)
		sn, _ := compile(changed)
		values := []any{nil, json.Number("0"), json.Number("1"), json.Number("2"), json.Number("3"), json.Number("4"), "", "x", "xy", "xxxy"}
		for i := -1; i < len(values); i++ {
			for j := -1; j < len(values); j++ {
				doc := map[string]any{}
				if i >= 0 {
					doc["a"] = values[i]
				}
				if j >= 0 {
					doc["b"] = values[j]
				}
				if so.Validate(doc) == nil && sn.Validate(doc) != nil {
					t.Fatalf("%v was valid under %s and is not under %s", doc, rawOld, rawNew)
				}
			}
		}
	})
	t.Logf("%d drawn pairs passed the check", passed)
	if passed == 0 {
		t.Error("no pair passed, the property was not exercised")
	}
}
