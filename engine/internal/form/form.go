// Package form knows the forms of text that commands accept: names, versions,
// URIs and titles. It promises that what passes is bounded, printable and, but
// for titles, ASCII, so that it can stand in logs, labels and file names; it
// refuses the rest and never changes a text.
package form

import "strings"

// MaxText is the most bytes of a title or a URI.
const MaxText = 512

// Sets of ASCII characters as bits: digits and signs of 0..63, letters of 64..127.
// A principal is looked at for every command, and a set made of a string then
// costs more than the look.
const (
	digits  uint64 = (1<<10 - 1) << '0'
	letters uint64 = (1<<26 - 1) << ('a' - 64)
	hyphen  uint64 = 1 << '-'
	dot     uint64 = 1 << '.'
	line    uint64 = 1 << ('_' - 64)
)

// Principal accepts 1..64 characters a-z, 0-9, '.', '_' and '-'.
func Principal(s string) bool { return madeOf(s, digits|dot|hyphen, letters|line) }

// Slug accepts 1..64 characters a-z, 0-9 and '-'.
func Slug(s string) bool { return madeOf(s, digits|hyphen, letters) }

// Label accepts 1..limit characters a-z and 0-9.
func Label(s string, limit int) bool {
	return len(s) <= limit && madeOf(s, digits, letters)
}

// madeOf accepts 1..64 characters of two sets, those below 64 and those above.
func madeOf(s string, low, high uint64) bool {
	for i := range len(s) {
		set := low
		if s[i] >= 64 {
			set = high
		}
		if s[i] >= 128 || set>>(s[i]%64)&1 == 0 {
			return false
		}
	}
	return len(s) >= 1 && len(s) <= 64
}

// Semver accepts three numbers without leading zeros, at most 16 characters
// (Semantic Versioning 2.0.0 without pre-release and build).
func Semver(s string) bool {
	parts := strings.Split(s, ".")
	if len(parts) != 3 || len(s) > 16 {
		return false
	}
	for _, p := range parts {
		if p == "" || len(p) > 1 && p[0] == '0' || strings.Trim(p, "0123456789") != "" {
			return false
		}
	}
	return true
}

// URI accepts visible ASCII with a scheme; whoever fetches it checks the rest.
func URI(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	scheme, _, ok := strings.Cut(s, ":")
	return ok && scheme != "" && len(s) <= MaxText
}

// Title accepts one line of at most limit bytes of text without control
// characters, and without space at its ends.
func Title(s string, limit int64) bool {
	if s == "" || int64(len(s)) > min(limit, MaxText) || strings.TrimSpace(s) != s {
		return false
	}
	for _, r := range s {
		if r < ' ' || r == 0x7f || r == 0xfffd || r >= 0x80 && r < 0xa0 || r == 0x2028 || r == 0x2029 {
			return false
		}
	}
	return true
}
