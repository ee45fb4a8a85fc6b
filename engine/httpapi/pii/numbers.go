package pii

import "strings"

// maxRun bounds the digits of a number that are looked at together; no number of a
// kind has more than an E.164 number with a prefix or a card, and a longer run is an
// amount, a digest or a table.
const maxRun = 24

// run is a number as it is written: digits in groups, with at most three signs
// between two of them.
type run struct {
	digits [maxRun]byte
	n      int      // digits; more than maxRun: too many
	groups [12]int  // lengths
	g      int      // groups
	seps   [12]byte // the sign before each group; 0 of the first; '(' and ')' count before others
	from   int      // in the text
	to     int
}

// numbers looks at every number of a text once.
func numbers(s string) Kind {
	best := None
	for i := 0; i < len(s); {
		if !digit(s[i]) {
			i++
			continue
		}
		r := read(s, i)
		if i = r.to; r.g == len(r.groups) {
			i = r.start(s, len(r.groups)/2) // what goes on is looked at with what came before
		}
		if kind := r.kind(s); kind != None && (best == None || kind != Phone) {
			if kind != Phone {
				return kind
			}
			best = kind
		}
	}
	return best
}

// joins are the signs that may stand between the groups of one number.
const joins = " .-/()_"

// read takes the number that begins at i, to its last digit.
func read(s string, i int) run {
	r := run{from: i, to: i}
	sep := byte(0)
	for i < len(s) && digit(s[i]) && r.g < len(r.groups) {
		r.seps[r.g] = sep
		size := 0
		for ; i < len(s) && digit(s[i]); i++ {
			if r.n < maxRun {
				r.digits[r.n] = s[i] - '0'
			}
			r.n++
			size++
		}
		r.groups[r.g] = size
		r.g++
		r.to = i
		sep = 0
		for j := 0; j < 3 && i < len(s) && strings.IndexByte(joins, s[i]) >= 0; j++ {
			if sep == 0 || s[i] == ')' || s[i] == '(' || sep == ' ' {
				sep = s[i]
			}
			i++
		}
	}
	return r
}

// start is where a group begins.
func (r *run) start(s string, group int) int {
	at := r.from
	for g := 0; ; g++ {
		for !digit(s[at]) {
			at++
		}
		if g == group {
			return at
		}
		at += r.groups[g]
	}
}

// kind judges a number by its digits, and a telephone by how it is written, too.
func (r *run) kind(s string) Kind {
	if r.n > maxRun {
		return r.parts(s)
	}
	glued := r.from > 0 && word(s[r.from-1]) || r.to < len(s) && word(s[r.to]) // part of an identifier
	d := r.digits[:r.n]
	switch {
	case glued && r.g == 1:
		return None
	case r.n == 11 && validCPF(d) && !r.amount(s):
		return CPF
	case r.n == 14 && validCNPJ(d) && !r.amount(s):
		return CNPJ
	case card(d) && !r.amount(s):
		return Card
	case r.phone(s):
		return Phone
	}
	if r.g > 1 {
		return r.parts(s)
	}
	return None
}

// parts judges each group, and each pair of groups that a bare number may be
// written in, of what is no number as a whole: "on 2026-11-30 52998224725".
func (r *run) parts(s string) Kind {
	best := None
	for i := 0; i < r.g; i++ {
		at := r.start(s, i)
		for last := i; last < min(r.g, i+6); last++ {
			if last-i+1 == r.g {
				continue // the whole, which was judged
			}
			sub := r.sub(s, at, i, last)
			if sub.n <= maxRun {
				d := sub.digits[:sub.n]
				switch {
				case sub.n == 11 && sub.shape(3, 3, 3, 2) && validCPF(d), sub.n == 11 && sub.g == 1 && validCPF(d), sub.n == 11 && sub.shape(9, 2) && validCPF(d):
					return CPF
				case sub.n == 14 && (sub.shape(2, 3, 3, 4, 2) || sub.g == 1) && validCNPJ(d):
					return CNPJ
				case (sub.g == 1 || sub.shape(4, 4, 4, 4) || sub.shape(4, 6, 5)) && card(d):
					return Card
				case sub.phone(s):
					best = Phone
				}
			}
		}
	}
	return best
}

// sub is the number of some groups of a longer one.
func (r *run) sub(s string, at, first, last int) run {
	out := run{from: at, to: at}
	for g := first; g <= last; g++ {
		if g > first {
			out.seps[out.g] = r.seps[g]
		}
		for out.to < len(s) && !digit(s[out.to]) {
			out.to++
		}
		for k := 0; k < r.groups[g]; k++ {
			if out.n < maxRun {
				out.digits[out.n] = s[out.to] - '0'
			}
			out.n++
			out.to++
		}
		out.groups[out.g] = r.groups[g]
		out.g++
	}
	return out
}

// shape reports whether the groups have these lengths.
func (r *run) shape(groups ...int) bool {
	if r.g != len(groups) {
		return false
	}
	for i, n := range groups {
		if r.groups[i] != n {
			return false
		}
	}
	return true
}

// thousands reports whether the groups are those of one large number.
func (r *run) thousands() bool {
	if r.g < 2 || r.groups[0] > 3 {
		return false
	}
	for i := 1; i < r.g; i++ {
		if r.groups[i] != 3 || r.seps[i] != r.seps[1] || r.seps[i] != '.' && r.seps[i] != ' ' {
			return false
		}
	}
	return true
}

// amount reports whether a number is money or a plain count: behind a currency sign,
// before a percent sign, or grouped by thousands.
func (r *run) amount(s string) bool {
	before := strings.TrimRight(s[:r.from], " ")
	if strings.HasSuffix(before, "$") || strings.HasSuffix(before, "|") && r.g == 1 {
		return true
	}
	after := strings.TrimLeft(s[r.to:], " ")
	return strings.HasPrefix(after, "%") || r.thousands()
}

// maxLead is how far before a number the word that says telephone may end.
const maxLead = 24

var telephones = []string{"tel", "phone", "whats", "zap", "celular", "fone", "mobile", "cell", "sms", "call me", "ligue", "telegram"}

// phone reports whether a number is written as a telephone number is.
func (r *run) phone(s string) bool {
	if r.n < 7 || r.n > 17 || r.amount(s) || r.g > 7 {
		return false
	}
	lead := strings.ToLower(s[max(0, r.from-maxLead):r.from])
	plus := strings.HasSuffix(strings.TrimRight(lead, " ("), "+")
	if plus && r.n >= 8 && r.n <= 15 && r.digits[0] != 0 {
		return true
	}
	if r.n >= 7 && r.n <= 15 {
		for _, w := range telephones {
			if strings.Contains(lead, w) && !r.date() {
				return true
			}
		}
	}
	if r.international(s) {
		return true
	}
	return r.brazilian(s) || r.northAmerican(s)
}

// international reports whether the prefix 00 is there, and none of the signs that
// identifiers of documents have.
func (r *run) international(s string) bool {
	if r.n < 12 || r.n > 17 || r.g < 2 || r.digits[0] != 0 || r.digits[1] != 0 || r.digits[2] == 0 {
		return false
	}
	for _, sep := range r.seps[1:r.g] {
		if sep != ' ' && sep != '-' {
			return false
		}
	}
	return r.from == 0 || strings.IndexByte("/.-_", s[r.from-1]) < 0
}

// date reports whether the groups are those of a date: a year at either end.
func (r *run) date() bool {
	return r.g >= 3 && (r.groups[0] == 4 && r.groups[1] <= 2 && r.groups[2] <= 2 || r.groups[0] <= 2 && r.groups[1] <= 2 && r.groups[2] == 4)
}

// brazilian: an area code, and 9dddd-dddd or dddd-dddd; the country code and the
// prefix 0 may come before. Without an area code only a mobile number with its
// hyphen is told from a span of years.
func (r *run) brazilian(s string) bool {
	d := r.digits[:r.n]
	skip := 0
	switch {
	case (r.n == 12 || r.n == 13) && d[0] == 5 && d[1] == 5:
		skip = 2
	case (r.n == 11 || r.n == 12) && d[0] == 0:
		skip = 1
	}
	last := r.groups[r.g-1]
	rest := d[skip:]
	switch len(rest) {
	case 11: // mobile
		return area(rest) && rest[2] == 9 && (r.g == 1 || last == 4 || last == 8 || last == 9)
	case 10: // fixed
		return area(rest) && rest[2] >= 2 && rest[2] <= 5 && r.g > 1 && (last == 4 || last == 8) && (r.bracket(s) || r.shape(2, 4, 4) || skip > 0)
	case 9:
		return skip == 0 && rest[0] == 9 && r.shape(5, 4) && r.seps[1] == '-' || r.shape(1, 4, 4) && rest[0] == 9
	}
	return false
}

// bracket reports whether the first group stands in parentheses.
func (r *run) bracket(s string) bool {
	return r.g > 1 && r.from > 0 && s[r.from-1] == '(' && (r.seps[1] == ')')
}

// area reports whether a number begins with an area code of Brazil: 11 to 99 without
// those that Anatel never gave.
func area(d []byte) bool {
	switch n := d[0]*10 + d[1]; {
	case n < 11, d[1] == 0, n == 23, n == 25, n == 26, n == 29, n == 36, n == 39, n == 52, n >= 56 && n <= 59, n == 72, n == 76, n == 78:
		return false
	}
	return true
}

// northAmerican: 415-555-2671, (415) 555-2671, with or without a 1.
func (r *run) northAmerican(s string) bool {
	d, from := r.digits[:r.n], 0
	if r.n == 11 && d[0] == 1 && r.groups[0] == 1 {
		from = 1
	} else if r.n != 10 {
		return false
	}
	groups := r.groups[from:]
	if r.g-from != 3 || groups[0] != 3 || groups[1] != 3 || groups[2] != 4 {
		return false
	}
	return d[from] >= 2 && d[from+3] >= 2 && (r.seps[from+1] != ' ' || r.seps[from+2] != ' ' || from == 1)
}
