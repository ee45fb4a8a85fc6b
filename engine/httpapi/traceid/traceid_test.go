package traceid_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/mbp-market/mbp/engine/httpapi/traceid"
)

const (
	given = "4bf92f3577b34da6a3ce929d0e0e4736"
	span  = "00f067aa0ba902b7"
)

var form = regexp.MustCompile(`^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$`)

// TestTraces are the examples of the recommendation, and what is none.
func TestTraces(t *testing.T) {
	for text, goesOn := range map[string]bool{
		"00-" + given + "-" + span + "-01":            true,
		"00-" + given + "-" + span + "-00":            true,
		"00-" + given + "-" + span + "-ff":            true, // flags of a later level
		"cc-" + given + "-" + span + "-01":            true,
		"cc-" + given + "-" + span + "-01-what-comes": true,
		"":                                  false,
		"00-" + given + "-" + span + "-01-": false,
		"cc-" + given + "-" + span + "-01.": false,
		"ff-" + given + "-" + span + "-01":  false,
		"00-" + strings.ToUpper(given) + "-" + span + "-01":   false,
		"00-" + strings.Repeat("0", 32) + "-" + span + "-01":  false,
		"00-" + given + "-" + strings.Repeat("0", 16) + "-01": false,
		"00-" + given + "-" + span + "-0":                     false,
		"00_" + given + "-" + span + "-01":                    false,
		"00-" + given + "-" + span + "-0x":                    false,
		"0x-" + given + "-" + span + "-01":                    false,
	} {
		id := traceid.Of(http.Header{traceid.Parent: {text}})
		if !form.MatchString(id.Parent) || (id.Trace() == given) != goesOn || strings.Contains(id.Parent, span) {
			t.Errorf("%q goes on as %q", text, id.Parent)
		}
		if sampled := strings.HasSuffix(text, "1") || strings.HasSuffix(text, "ff") || strings.HasSuffix(text, "-comes"); goesOn && sampled != strings.HasSuffix(id.Parent, "1") {
			t.Errorf("%q goes on with the flags of %q", text, id.Parent)
		}
	}
	if id := traceid.Of(http.Header{traceid.Parent: {"00-" + given + "-" + span + "-01", "00-" + given + "-" + span + "-01"}}); id.Trace() == given {
		t.Error("two traces are one")
	}
}

// TestRequestIDs: a plain one comes back, and who gives none gets one that is new.
func TestRequestIDs(t *testing.T) {
	for text, ok := range map[string]bool{
		"a": true, "f47ac10b-58cc-4372-a567-0e02b2c3d479": true, "A.b_c~9": true, strings.Repeat("x", 64): true,
		"": false, strings.Repeat("x", 65): false, "a b": false, "a\nb": false, "é": false, "a@b": false, "<b>": false,
	} {
		if id := traceid.Of(http.Header{traceid.Request: {text}}); (id.Request == text) != ok || id.Request == "" {
			t.Errorf("%q becomes %q", text, id.Request)
		}
	}
	seen := map[string]bool{}
	for range 1000 {
		id := traceid.Of(nil)
		seen[id.Request], seen[id.Trace()] = true, true
	}
	if len(seen) != 2000 {
		t.Errorf("%d ids of 1000 requests", len(seen))
	}
}

func BenchmarkOf(b *testing.B) {
	h := http.Header{traceid.Parent: {"00-" + given + "-" + span + "-01"}}
	b.ReportAllocs()
	for b.Loop() {
		traceid.Of(h)
	}
}
