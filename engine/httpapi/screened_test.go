package httpapi

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// closedWords are the schemas of the contract whose texts are no words of a person:
// numbers with a prefix, digests, times.
var closedWords = map[string]string{
	"AccountID": "a number", "MarketID": "a number", "OrderID": "a number", "WebhookID": "a number",
	"Digest": "a digest", "Moment": "a time", "Outcome": "a number or one of four words",
}

// explained are the texts that are not screened though anything may be written there,
// by where they stand, with the reason.
var explained = map[string]string{
	"header Idempotency-Key": "kept as a digest of principal and key alone",
	"header If-None-Match":   "compared and forgotten",
	"header Last-Event-ID":   "a number, compared and forgotten",
	"header X-CSRF-Token":    "compared and forgotten",
	"query state":            "a random word of this server, compared and forgotten",
	"query code":             "a random word of the identity provider, sent back to it",
	"path schedule":          "names what is there; screened where it was named",
	"path season":            "names what is there; screened where it was named",
	"/v1/webhooks url":       "the address of a machine, which an admin types: the tokens in such addresses look like numbers of documents",
}

// examplePath has the numbers of freeTexts in a path of the contract.
var examplePath = strings.NewReplacer("{account}", "acc_1", "{market}", "mkt_1", "{webhook}", "whk_5", "{order}", "ord_5", "{seq}", "5", "{schedule}", "weekly", "{season}", "spring")

// leaf is a text that the contract lets somebody write.
type leaf struct {
	at   string // member, or place and name of a parameter
	word string // schema that it refers to; empty: none
	open bool   // it is neither a time nor one of some words
}

// leaves finds the texts of a schema.
func (c *contract) leaves(schema any, at, word string, within []string, out *[]leaf) {
	m, _ := schema.(map[string]any)
	if ref, is := m["$ref"].(string); is {
		if !slices.Contains(within, ref) {
			to, _ := c.at(strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
			c.leaves(to, at, ref[strings.LastIndex(ref, "/")+1:], append(slices.Clip(within), ref), out)
		}
		return
	}
	members, _ := m["properties"].(map[string]any)
	own := map[string]bool{}
	for name, x := range members {
		if at != "" {
			name = at + "." + name
		}
		own[name] = true
		c.leaves(x, name, "", within, out)
	}
	for _, all := range []string{"allOf", "oneOf", "anyOf", "prefixItems"} {
		list, _ := m[all].([]any)
		for _, x := range list {
			var more []leaf
			c.leaves(x, at, word, within, &more)
			for _, l := range more {
				if !own[l.at] { // else it only narrows what the member is
					*out = append(*out, l)
				}
			}
		}
	}
	for _, of := range []string{"items", "additionalProperties"} {
		if x, is := m[of].(map[string]any); is {
			c.leaves(x, at+"[0]", "", within, out)
		}
	}
	kind, several := m["type"].([]any)
	words, _ := m["enum"].([]any)
	if m["type"] == "string" || len(words) > 0 && m["type"] == nil || several && slices.Contains(kind, any("string")) {
		*out = append(*out, leaf{at, word, m["enum"] == nil && m["const"] == nil && m["format"] != "date-time"})
	}
}

// textsOf are the texts that an operation takes.
func (c *contract) textsOf(op map[string]any) (out []leaf) {
	parameters, _ := op["parameters"].([]any)
	for _, p := range parameters {
		v, _ := c.follow(p, "")
		m, _ := v.(map[string]any)
		in, _ := m["in"].(string)
		name, _ := m["name"].(string)
		c.leaves(m["schema"], in+" "+name, "", nil, &out)
	}
	v, _ := c.follow(op["requestBody"], "")
	m, _ := v.(map[string]any)
	content, _ := m["content"].(map[string]any)
	for _, x := range content {
		m, _ := x.(map[string]any)
		c.leaves(m["schema"], "", "", nil, &out)
	}
	return out
}

// TestEveryTextOfTheContractIsKnown walks openapi.yaml: every text that any operation
// takes, in body, path, query or header, is made of words of the contract, or is among
// those that TestFreeTextsAreScreened tries, or is explained here; and nothing is listed
// that no operation takes.
func TestEveryTextOfTheContractIsKnown(t *testing.T) {
	c := openContract(t)
	unused, unlisted := maps.Clone(explained), map[string]bool{}
	for path, fields := range freeTexts {
		for f := range strings.FieldsSeq(fields) {
			unlisted[path+" "+f] = true
		}
	}
	closed, open := 0, 0
	paths, _ := c.at("paths")
	for path, item := range paths.(map[string]any) {
		for method, op := range item.(map[string]any) {
			example := examplePath.Replace(path)
			for _, l := range c.textsOf(op.(map[string]any)) {
				here := example + " " + l.at
				switch {
				case slices.Contains(strings.Fields(freeTexts[example]), l.at):
					delete(unlisted, here)
					open++
				case explained[l.at] != "":
					delete(unused, l.at)
				case explained[here] != "":
					delete(unused, here)
				case !l.open || closedWords[l.word] != "":
					closed++
				default:
					t.Errorf("%s %s takes a text in %q that is neither screened (freeTexts) nor explained", method, path, l.at)
				}
			}
		}
	}
	for f := range unlisted {
		t.Errorf("freeTexts has %s, which no operation takes", f)
	}
	for f := range unused {
		t.Errorf("%q is explained, and no operation takes it", f)
	}
	if open < 25 || closed < 100 { // else the walk misses what it is for
		t.Errorf("%d free texts and %d closed ones were found", open, closed)
	}
}

// TestTheWalkFindsTexts: a text anywhere in a schema is found.
func TestTheWalkFindsTexts(t *testing.T) {
	text := map[string]any{"type": "string"}
	c := openContract(t)
	c.doc["x"] = map[string]any{"Word": text}
	for at, schema := range map[string]map[string]any{
		"m": {"properties": map[string]any{"m": text}}, "m[0]": {"properties": map[string]any{"m": map[string]any{"items": text}}},
		"m.n":  {"allOf": []any{map[string]any{"properties": map[string]any{"m": map[string]any{"oneOf": []any{map[string]any{"properties": map[string]any{"n": text}}}}}}}},
		"r":    {"properties": map[string]any{"r": map[string]any{"$ref": "#/x/Word"}}},
		"w":    {"properties": map[string]any{"w": text}, "anyOf": []any{map[string]any{"properties": map[string]any{"w": text}}}},
		"o":    {"properties": map[string]any{"o": map[string]any{"type": []any{"null", "string"}}}},
		"a[0]": {"properties": map[string]any{"a": map[string]any{"additionalProperties": text}}},
	} {
		body := map[string]any{"requestBody": map[string]any{"content": map[string]any{"application/json": map[string]any{"schema": schema}}}}
		if got := c.textsOf(body); len(got) != 1 || got[0].at != at || !got[0].open {
			t.Errorf("of %s it finds %+v", at, got)
		}
	}
}
