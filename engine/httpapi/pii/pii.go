// Package pii finds what looks like personal data in free text: e-mail addresses,
// Brazilian CPF and CNPJ numbers, telephone numbers, payment cards, bank accounts
// (IBAN) and addresses of the internet.
//
// It promises: an answer in time linear in the text and without a pattern engine,
// for any bytes; the same answer for the same text everywhere; numbers that carry
// check digits are suspected only if those hold; digits of other scripts, full-width
// forms, invisible characters, entities, percent-encoding and the usual spellings of
// @ and of a dot hide nothing. It never returns a part of the text.
//
// It refuses to guess at names, streets and health: no rule tells those from the
// words of an ordinary question. What a text says about a person without such a
// number is for moderators to see, and for the erasable store to forget.
//
// It follows Receita Federal's modulus 11 for CPF and CNPJ (letters included, as
// from 2026), ISO/IEC 7812-1 (Luhn) with the issuers' prefixes, ISO 13616 (IBAN),
// ITU-T E.164 and Anatel's numbering plan for telephones, RFC 5321 and RFC 4291.
package pii

import (
	"net/netip"
	"strings"
)

// Kind is a stable word for what was found; empty: nothing.
type Kind string

// The kinds, in the order in which they are looked for.
const (
	None  Kind = ""
	Email Kind = "email"
	CPF   Kind = "cpf"
	CNPJ  Kind = "cnpj"
	Card  Kind = "card"
	IBAN  Kind = "iban"
	Phone Kind = "phone"
	IP    Kind = "ip"
)

// Kinds returns every kind but None.
func Kinds() []Kind { return []Kind{Email, CPF, CNPJ, Card, IBAN, Phone, IP} }

// maxText bounds the bytes that are looked at: no field of the edge takes more. What
// comes after them is not looked at.
const maxText = 64 << 10

// Suspect returns the first kind of personal data that a text looks to hold.
func Suspect(text string) Kind {
	if plain(text) {
		return None
	}
	if len(text) > maxText {
		text = text[:maxText]
	}
	s := fold(text)
	if hasEmail(s) {
		return Email
	}
	if kind := numbers(s); kind != None {
		return kind
	}
	if hasCNPJ(s) {
		return CNPJ
	}
	if hasIBAN(s) {
		return IBAN
	}
	if hasAddress(s) {
		return IP
	}
	return None
}

// plain reports whether a text is ASCII without digit, at sign, entity or percent
// sign, and without a spelling of the at sign: most words of a contract.
func plain(text string) bool {
	for i := range len(text) {
		switch c := text[i]; {
		case c >= 0x80, c >= '0' && c <= '9', c == '@', c == '&', c == '%', c == ':', c == ' ', c == '(', c == '[', c == '{':
			return false
		}
	}
	return true
}

// hasEmail looks for a mailbox around each at sign: something before it, and a
// domain with a dot and a top level of two letters or more after it. A handle
// (@name) has nothing before it.
func hasEmail(s string) bool {
	for at := strings.IndexByte(s, '@'); at >= 0; {
		if at > 0 && local(s[at-1]) && domain(s[at+1:]) {
			return true
		}
		next := strings.IndexByte(s[at+1:], '@')
		if next < 0 {
			return false
		}
		at += 1 + next
	}
	return false
}

// local reports whether a character may end the local part of an address. A quote
// ends a quoted one; letters of all scripts are folded to 'x'.
func local(c byte) bool { return word(c) || strings.IndexByte(".!#$%&'*+/=?^_`{|}~-\"", c) >= 0 }

func word(c byte) bool { return digit(c) || letter(c) }

func digit(c byte) bool { return c >= '0' && c <= '9' }

func letter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// maxDomain bounds a domain name (RFC 1035), so that a text of at signs is read in
// linear time.
const maxDomain = 255

// domain reports whether a text begins with a domain name of two labels or more.
func domain(s string) bool {
	label, dots, letters := 0, 0, 0
	for i := 0; i < len(s) && i <= maxDomain; i++ {
		switch c := s[i]; {
		case c == '.':
			if label == 0 {
				return dots > 1 && letters >= 2
			}
			if dots > 0 && letters == label && letters >= 2 && !more(s[i+1:]) {
				return true // the full stop of a sentence
			}
			dots, label, letters = dots+1, 0, 0
		case word(c) || c == '-':
			label++
			if letter(c) {
				letters++
			}
		default:
			return dots > 0 && letters == label && letters >= 2
		}
	}
	return dots > 0 && letters == label && letters >= 2
}

func more(s string) bool { return s != "" && word(s[0]) }

// maxAddress is the longest text of an address (RFC 4291, section 2.2, with an IPv4
// tail).
const maxAddress = 45

// hasAddress looks for addresses of the internet: four numbers of a byte, or groups
// of hexadecimal digits with colons. Loopback and unspecified addresses name nobody,
// and neither does a version number behind a v.
func hasAddress(s string) bool {
	for i := 0; i < len(s); {
		if !hex(s[i]) && s[i] != ':' {
			i++
			continue
		}
		end := i
		for end < len(s) && (hex(s[end]) || s[end] == ':' || s[end] == '.') {
			end++
		}
		alone := (i == 0 || !word(s[i-1])) && (end == len(s) || !word(s[end]))
		if alone && end-i <= maxAddress && address(s[i:end]) {
			return true
		}
		i = end
	}
	return false
}

func hex(c byte) bool { return digit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' }

func address(s string) bool {
	s = strings.Trim(s, ".")
	colons := strings.Count(s, ":")
	if colons == 1 { // a port, or what comes before a colon
		s, _, _ = strings.Cut(s, ":")
		colons = 0
	}
	if colons == 0 && strings.Count(s, ".") != 3 || len(s) < 7 {
		return false
	}
	ip, err := netip.ParseAddr(s)
	if err != nil && strings.HasSuffix(s, ":") && !strings.HasSuffix(s, "::") {
		ip, err = netip.ParseAddr(strings.TrimSuffix(s, ":"))
	}
	if err != nil {
		return false
	}
	ip = ip.Unmap()
	return !ip.IsLoopback() && !ip.IsUnspecified()
}
