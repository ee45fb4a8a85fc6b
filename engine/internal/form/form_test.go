package form_test

import (
	"strings"
	"testing"

	"github.com/mbp-market/mbp/engine/internal/form"
)

func TestForms(t *testing.T) {
	title := func(s string) bool { return form.Title(s, 240) }
	long := strings.Repeat("a", 65)
	for _, c := range []struct {
		name string
		is   func(string) bool
		good []string
		bad  []string
	}{
		{"principal", form.Principal, []string{"a", "ops-1", "a.b_c", strings.Repeat("a", 64)}, []string{"", long, "A", "a b", "a\n", "ä", "aAa", "a/b"}},
		{"slug", form.Slug, []string{"binary", "a-1"}, []string{"", long, "a.b", "a_b", "a@1"}},
		{"semver", form.Semver, []string{"1.0.0", "0.10.3"}, []string{"", "1.0", "1.0.0.0", "01.0.0", "1.0.-1", "1.0.0-rc", "1..0", "99999999.9999999.9"}},
		{"uri", form.URI, []string{"https://e.org/a?b=c", "urn:x:y"}, []string{"", "nothing", ":x", "a b:c", "a:\n", "a:é", "a:" + strings.Repeat("b", form.MaxText)}},
		{"title", title, []string{"Vai chover amanhã?", "x"}, []string{"", " x", "x ", "a\nb", "a\x00b", "a\u0085b", "a\u2028b", "a\xffb", strings.Repeat("a", 241)}},
	} {
		for _, s := range c.good {
			if !c.is(s) {
				t.Errorf("%s refuses %q", c.name, s)
			}
		}
		for _, s := range c.bad {
			if c.is(s) {
				t.Errorf("%s accepts %q", c.name, s)
			}
		}
	}
}
