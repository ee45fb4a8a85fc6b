package pii

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// fold writes a text in ASCII, as its reader would say it: digits of any script as
// 0..9, letters of other scripts as x, the many dashes, dots and spaces as one of
// each, nothing for what is invisible, and the spellings of an at sign or of a dot
// as the sign.
func fold(text string) string {
	var b strings.Builder
	b.Grow(len(text))
	for i := 0; i < len(text); {
		if c, n := encoded(text[i:]); n > 0 {
			b.WriteByte(c)
			i += n
			continue
		}
		r, n := utf8.DecodeRuneInString(text[i:])
		if c := ascii(r); c != 0 {
			b.WriteByte(c)
		}
		i += n
	}
	return spelled(b.String())
}

// encoded reads %40 and &#64; and &commat; at the start of a text: one ASCII
// character, in how many bytes it was written; 0: there is none.
func encoded(s string) (c byte, n int) {
	switch {
	case len(s) >= 3 && s[0] == '%' && hex(s[1]) && hex(s[2]):
		if v := unhex(s[1])<<4 | unhex(s[2]); v > ' ' && v < 0x7f {
			return v, 3
		}
	case strings.HasPrefix(s, "&#"):
		base, i := 10, 2
		if i < len(s) && s[i]|0x20 == 'x' {
			base, i = 16, i+1
		}
		v := 0
		for ; i < len(s) && i < 10 && hex(s[i]) && v < 0x80; i++ {
			v = v*base + int(unhex(s[i]))
		}
		if i < len(s) && s[i] == ';' && v > ' ' && v < 0x7f {
			return byte(v), i + 1
		}
	case strings.HasPrefix(s, "&commat;"):
		return '@', len("&commat;")
	case strings.HasPrefix(s, "&period;"):
		return '.', len("&period;")
	}
	return 0, 0
}

func unhex(c byte) byte {
	if digit(c) {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}

// ascii is the ASCII character that a rune reads as; 0: it is not seen.
func ascii(r rune) byte {
	switch {
	case r >= ' ' && r < 0x7f:
		return byte(r)
	case r < ' ' || r == 0x7f:
		return ' '
	case r >= 0xff01 && r <= 0xff5e: // full-width forms
		return byte(r - 0xff01 + '!')
	}
	if c := sign(r); c != 0 {
		return c
	}
	switch {
	case unicode.Is(unicode.Cf, r), unicode.Is(unicode.M, r), unicode.Is(unicode.Cc, r), r == 0x115f, r == 0x3164:
		return 0
	case unicode.Is(unicode.Nd, r):
		return '0' + byte(nth(r))
	case unicode.Is(unicode.Pd, r):
		return '-'
	case unicode.IsSpace(r), unicode.Is(unicode.Zs, r):
		return ' '
	case unicode.IsLetter(r):
		return 'x'
	}
	return '|' // a sign that joins nothing
}

// sign reads the look-alikes of single signs.
func sign(r rune) byte {
	switch r {
	case '²', '³':
		return byte(r-'²') + '2'
	case '¹':
		return '1'
	case '⁰', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹':
		return byte(r-'⁰') + '0'
	case '₀', '₁', '₂', '₃', '₄', '₅', '₆', '₇', '₈', '₉':
		return byte(r-'₀') + '0'
	case '①', '②', '③', '④', '⑤', '⑥', '⑦', '⑧', '⑨':
		return byte(r-'①') + '1'
	case '⓪':
		return '0'
	case '﹫':
		return '@'
	case '。', '｡', '․', '·', '•', '∙', '⋅', '・', '﹒', '܁', '٫':
		return '.'
	case '−', '⁃', '‑':
		return '-'
	case '⁄', '∕':
		return '/'
	case '∶', '︓':
		return ':'
	case '﹢', '➕':
		return '+'
	}
	return 0
}

// nth is the value of a decimal digit: Unicode keeps the ten of a script together,
// zero first, at the beginning of a range or a multiple of ten after it.
func nth(r rune) rune {
	for _, t := range unicode.Nd.R16 {
		if r >= rune(t.Lo) && r <= rune(t.Hi) {
			return (r - rune(t.Lo)) % 10
		}
	}
	for _, t := range unicode.Nd.R32 {
		if r >= rune(t.Lo) && r <= rune(t.Hi) {
			return (r - rune(t.Lo)) % 10
		}
	}
	return 0
}

// spelling is a word that stands for a sign: in brackets always, bare only between
// single spaces and beside the other one (see spelled).
type spelling struct {
	word string
	sign byte
}

var spellings = []spelling{{"arroba", '@'}, {"ponto", '.'}, {"punto", '.'}, {"dot", '.'}, {"at", '@'}}

// brackets around a spelled sign.
const brackets = "([{<"

// spelled turns "(at)" and " at … dot " into signs. A bare "at" is one only if a
// bare or bracketed dot follows within a domain's length and one word: "meet at
// noon" has none.
func spelled(s string) string {
	if !strings.ContainsAny(s, brackets+" ") {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); {
		if c, n := bracketed(s[i:]); n > 0 {
			out = trimSpace(out)
			out = append(out, c)
			i += n
			for i < len(s) && s[i] == ' ' {
				i++
			}
			continue
		}
		if c, n := bare(s, i); n > 0 {
			out = append(trimSpace(out), c)
			i += n
			continue
		}
		out = append(out, s[i])
		i++
	}
	return string(out)
}

func trimSpace(b []byte) []byte {
	for len(b) > 0 && b[len(b)-1] == ' ' {
		b = b[:len(b)-1]
	}
	return b
}

// bracketed reads a sign in brackets, itself or spelled: "(at)", "[ @ ]", "{dot}".
func bracketed(s string) (c byte, n int) {
	if strings.IndexByte(brackets, s[0]) < 0 {
		return 0, 0
	}
	i := 1
	for i < len(s) && i < 4 && s[i] == ' ' {
		i++
	}
	c, n = reads(s[i:])
	if n == 0 && i < len(s) && (s[i] == '@' || s[i] == '.') {
		c, n = s[i], 1
	}
	if n == 0 {
		return 0, 0
	}
	i += n
	for j := 0; i < len(s) && j < 3 && s[i] == ' '; j++ {
		i++
	}
	if i < len(s) && strings.IndexByte(")]}>", s[i]) >= 0 {
		return c, i + 1
	}
	return 0, 0
}

// reads returns the sign that a text begins with the word of.
func reads(s string) (byte, int) {
	for _, w := range spellings {
		if len(s) >= len(w.word) && strings.EqualFold(s[:len(w.word)], w.word) {
			return w.sign, len(w.word)
		}
	}
	return 0, 0
}

// bare reads " at " and " dot " at i, with their spaces. An "at" needs a domain
// behind it whose dot may be spelled, a "dot" a usual top level.
func bare(s string, i int) (byte, int) {
	if s[i] != ' ' || i == 0 || !word(s[i-1]) || i+1 >= len(s) {
		return 0, 0
	}
	c, n := reads(s[i+1:])
	end := i + 1 + n
	if n == 0 || end >= len(s) || s[end] != ' ' {
		return 0, 0
	}
	rest := s[end+1:]
	name := 0
	for name < len(rest) && name < 64 && (word(rest[name]) || rest[name] == '-' || c == '@' && rest[name] == '.') {
		name++
	}
	if name == 0 {
		return 0, 0
	}
	if c == '@' {
		if strings.Contains(strings.Trim(rest[:name], "."), ".") && domain(rest) || spelledDot(rest[name:]) {
			return c, n + 2
		}
		return 0, 0
	}
	if !endings[strings.ToLower(rest[:name])] && !spelledDot(rest[name:]) {
		return 0, 0
	}
	return c, n + 2
}

// maxSpelled bounds how far a spelled dot and what follows it may reach.
const maxSpelled = 24

// spelledDot reports whether " dot br" or "(dot) br" follows, with a usual ending.
func spelledDot(s string) bool {
	s = strings.TrimLeft(s[:min(len(s), maxSpelled)], " ")
	if s == "" {
		return false
	}
	c, n := bracketed(s)
	if n == 0 {
		c, n = reads(s)
	}
	s = strings.TrimLeft(s[n:], " ")
	end := 0
	for end < len(s) && letter(s[end]) {
		end++
	}
	return c == '.' && endings[strings.ToLower(s[:end])]
}

// endings are the top levels that a spelled dot may lead to. Of all the others
// there are too many that are words: "look at the dot plot".
var endings = func() map[string]bool {
	m := map[string]bool{}
	for _, e := range strings.Fields("com net org edu gov mil info biz app dev io ai me co br pt es fr de uk us eu it nl ar mx cl ch at jp cn in ru") {
		m[e] = true
	}
	return m
}()
