package telemetry

import (
	"net/netip"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The masks. They say what was there, never how long it was.
const (
	maskSecret = "[secret]"
	maskEmail  = "[email]"
	maskIP     = "[ip]"
	maskCPF    = "[cpf]"
	maskPhone  = "[phone]"
)

var (
	// An API key is mbp_ and 43 characters of base64url. A cut one is masked too,
	// down to a length that no table or metric of ours reaches.
	apiKey = regexp.MustCompile(`mbp_[A-Za-z0-9_-]{24,}`)
	// RFC 9110 credentials: a scheme and a token68.
	scheme = regexp.MustCompile(`(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/-]{8,}=*`)
	// RFC 3986 user information that holds a password.
	userinfo = regexp.MustCompile(`://[^\s/?#@]*:[^\s/?#@]*@`)
	// name=value and "name": "value" in running text.
	assigned = regexp.MustCompile(`(?i)\b((?:[a-z0-9]+[_-])*(?:password|passwd|secret|token|authorization|cookie|api[_-]?key))("?\s*[:=]\s*"?)([^\s"',;&}\[]+)`)
	email    = regexp.MustCompile(`[\p{L}\p{N}._%+'-]+@[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)*\.\p{L}{2,}`)
	ipv4     = regexp.MustCompile(`\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b`)
	ipv6     = regexp.MustCompile(`[0-9A-Fa-f]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*[0-9A-Fa-f:]`)
	cpf      = regexp.MustCompile(`\b\d{3}\.\d{3}\.\d{3}-\d{2}\b`)
	bareCPF  = regexp.MustCompile(`\b\d{9}-?\d{2}\b`)
	phone    = regexp.MustCompile(`\+\d{1,3}[ -]?\(?\d{2,3}\)?[ -]?\d{4,5}[ -]?\d{4}\b`)
)

// Text masks secrets and personal data in running text and returns the rest as
// it was. Loopback and unspecified addresses stay: they name a machine's own
// sockets and nobody. Bytes that are no UTF-8 are replaced first, so that they
// cannot split a pattern.
func Text(s string) string {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	if !strings.ContainsAny(s, "@:=._+0123456789 ") {
		return s // a plain word holds none of the patterns
	}
	s = apiKey.ReplaceAllString(s, maskSecret)
	s = scheme.ReplaceAllString(s, "$1 "+maskSecret)
	s = userinfo.ReplaceAllString(s, "://"+maskSecret+"@")
	s = assigned.ReplaceAllString(s, "$1$2"+maskSecret)
	s = email.ReplaceAllString(s, maskEmail)
	s = cpf.ReplaceAllString(s, maskCPF)
	s = phone.ReplaceAllString(s, maskPhone)
	s = bareCPF.ReplaceAllStringFunc(s, func(found string) string {
		if validCPF(found) {
			return maskCPF
		}
		return found
	})
	s = addresses(s, ipv4)
	return addresses(s, ipv6)
}

// addresses masks the matches that really are addresses; times, digests and
// identifiers look alike.
func addresses(s string, pattern *regexp.Regexp) string {
	var b strings.Builder
	end := 0
	for _, at := range pattern.FindAllStringIndex(s, -1) {
		if inWord(s, at[0], at[1]) || !personal(s[at[0]:at[1]]) {
			continue
		}
		b.WriteString(s[end:at[0]])
		b.WriteString(maskIP)
		end = at[1]
	}
	if end == 0 {
		return s
	}
	return b.String() + s[end:]
}

// inWord reports whether a letter or digit touches s[from:to] from outside.
func inWord(s string, from, to int) bool {
	before, _ := utf8.DecodeLastRuneInString(s[:from])
	after, _ := utf8.DecodeRuneInString(s[to:])
	return unicode.IsLetter(before) || unicode.IsDigit(before) || unicode.IsLetter(after) || unicode.IsDigit(after)
}

func personal(text string) bool {
	ip, err := netip.ParseAddr(text)
	if err != nil { // "10.0.0.1:" in front of a port, "fe80::1." at the end of a sentence
		if ip, err = netip.ParseAddr(strings.TrimRight(text, ":.")); err != nil {
			return false
		}
	}
	ip = ip.Unmap()
	return !ip.IsLoopback() && !ip.IsUnspecified()
}

// validCPF checks the two check digits (modulo 11) of a CPF number. Eleven
// equal digits satisfy them and are nobody's.
func validCPF(s string) bool {
	var d []int
	for _, r := range s {
		if r >= '0' && r <= '9' {
			d = append(d, int(r-'0'))
		}
	}
	if len(d) != 11 || strings.Count(s, s[:1]) == 11 {
		return false
	}
	for n := 9; n < 11; n++ {
		sum := 0
		for i := range n {
			sum += d[i] * (n + 1 - i)
		}
		if d[n] != sum*10%11%10 {
			return false
		}
	}
	return true
}
