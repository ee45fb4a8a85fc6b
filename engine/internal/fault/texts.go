package fault

import (
	"strings"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/internal/form"
)

// maxField bounds the name of a member, in bytes: truth.reporters[15] is a long one.
const maxField = 96

// AllowText returns what is wrong with the texts that somebody lets through, "" if
// nothing is.
func AllowText(x *engine.AllowText) string {
	if len(x.Texts) == 0 || !word(x.For) {
		return "for is a command, and texts says where"
	}
	for _, t := range x.Texts {
		if !form.Title(t.Field, maxField) || !word(t.Kind) {
			return "texts: field or kind is none"
		}
	}
	return ""
}

// word reports whether a text is one of the contract's words: a-z, 0-9 and _.
func word(s string) bool { return form.Slug(strings.ReplaceAll(s, "_", "-")) }
