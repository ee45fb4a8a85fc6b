package pii

// same reports whether all digits are equal: those satisfy every check and are
// nobody's.
func same(d []byte) bool {
	for _, v := range d {
		if v != d[0] {
			return false
		}
	}
	return true
}

// validCPF checks the two check digits of eleven digits, modulo 11.
func validCPF(d []byte) bool {
	if len(d) != 11 || same(d) {
		return false
	}
	for n := 9; n < 11; n++ {
		sum := 0
		for i := range n {
			sum += int(d[i]) * (n + 1 - i)
		}
		if int(d[n]) != sum*10%11%10 {
			return false
		}
	}
	return true
}

// validCNPJ checks the two check digits of fourteen values, modulo 11 with weights
// that run from 2 to 9 from the right. A letter counts as its code less 48.
func validCNPJ(d []byte) bool {
	if len(d) != 14 || same(d) {
		return false
	}
	for n := 12; n < 14; n++ {
		sum := 0
		for i := range n {
			sum += int(d[i]) * ((n-1-i)%8 + 2)
		}
		want := 11 - sum%11
		if want > 9 {
			want = 0
		}
		if int(d[n]) != want {
			return false
		}
	}
	return true
}

// cnpjForm is how a CNPJ is written: x a letter or digit, 0 a digit.
const cnpjForm = "xx.xxx.xxx/xxxx-00"

// hasCNPJ looks for CNPJ with letters, which are told from other words by their
// signs alone.
func hasCNPJ(s string) bool {
	for i := 0; i+len(cnpjForm) <= len(s); i++ {
		if s[i+2] != '.' || s[i+10] != '/' {
			continue
		}
		if d, ok := cnpjAt(s[i : i+len(cnpjForm)]); ok && validCNPJ(d[:]) {
			return true
		}
	}
	return false
}

func cnpjAt(s string) (d [14]byte, ok bool) {
	n := 0
	for i := range len(cnpjForm) {
		c := s[i]
		switch {
		case cnpjForm[i] == 'x' && word(c) || cnpjForm[i] == '0' && digit(c):
			if c >= 'a' {
				c -= 'a' - 'A'
			}
			d[n] = c - '0'
			n++
		case c != cnpjForm[i]:
			return d, false
		}
	}
	return d, true
}

// card reports whether digits are the number of a payment card: an issuer's prefix,
// the length that goes with it, and Luhn's check.
func card(d []byte) bool {
	if len(d) < 13 || len(d) > 19 || same(d) || !issued(d) {
		return false
	}
	sum := 0
	for i := range len(d) {
		v := int(d[len(d)-1-i])
		if i%2 == 1 {
			if v *= 2; v > 9 {
				v -= 9
			}
		}
		sum += v
	}
	return sum%10 == 0
}

// issued knows the prefixes of Visa, Mastercard and Maestro, American Express,
// Diners, Discover, JCB, UnionPay, Elo and Hipercard.
func issued(d []byte) bool {
	first := func(n int) (v int) {
		for _, x := range d[:n] {
			v = v*10 + int(x)
		}
		return v
	}
	n, two, three, four := len(d), first(2), first(3), first(4)
	switch {
	case d[0] == 4:
		return n == 13 || n == 16 || n == 19
	case two >= 51 && two <= 55, four >= 2221 && four <= 2720, two == 35:
		return n == 16
	case two == 34, two == 37:
		return n == 15
	case two == 36, two == 38, three >= 300 && three <= 305:
		return n == 14 || n == 16
	case two == 50, two == 60, two >= 62 && two <= 65:
		return n >= 16
	}
	return false
}

// The bounds of an IBAN: Norway's has 15 characters, Malta's 31, and the standard
// allows 34.
const (
	minIBAN = 15
	maxIBAN = 34
)

// hasIBAN looks for two letters, two digits and a rest whose check, modulo 97, is 1,
// in one piece or in groups of four.
func hasIBAN(s string) bool {
	for i := 0; i+minIBAN <= len(s); i++ {
		start := i == 0 || !word(s[i-1])
		if start && letter(s[i]) && letter(s[i+1]) && digit(s[i+2]) && digit(s[i+3]) && iban(s[i:]) {
			return true
		}
	}
	return false
}

func iban(s string) bool {
	var b [maxIBAN]byte
	n, digits := 0, 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == ' ' && n%4 == 0 && i+1 < len(s) && word(s[i+1]) {
			continue
		}
		if !word(c) {
			break
		}
		if n == maxIBAN {
			return false
		}
		if c >= 'a' {
			c -= 'a' - 'A'
		}
		if digit(c) {
			digits++
		}
		b[n] = c
		n++
		// The text may go on after a group; what has checked is enough.
		if n >= minIBAN && digits >= 10 && (i+1 == len(s) || !word(s[i+1])) && mod97(b[:n]) == 1 {
			return true
		}
	}
	return false
}

func mod97(b []byte) int {
	m := 0
	for i := range b {
		c := b[(i+4)%len(b)]
		if digit(c) {
			m = (m*10 + int(c-'0')) % 97
		} else {
			m = (m*100 + int(c-'A') + 10) % 97
		}
	}
	return m
}
