package pii

import (
	"strings"
	"testing"

	"github.com/mbp-market/mbp/tests/given"
)

// TestSuspect: numbers are made up, from the examples of the standards or with check
// digits of nobody's.
func TestSuspect(t *testing.T) {
	for _, c := range []struct {
		text string
		want Kind
	}{
		{"Ask ana.souza@example.com about it", Email},
		{"ana+mbp@mail.example.co.uk", Email},
		{"Mail me: ana@example.org.", Email},
		{"ana＠example．com", Email},
		{"ana@exam\u200bple.com", Email},
		{"ana (at) example (dot) com", Email},
		{"ana [at] example [dot] com", Email},
		{"ana(@)example.com", Email},
		{"ana at example dot com", Email},
		{"ana arroba exemplo ponto com", Email},
		{"ana at example.com", Email},
		{"ana at exemplo dot com dot br", Email},
		{"ana at example (dot) com", Email},
		{"ana&#64;example.com", Email},
		{"ana&#x40;example.com", Email},
		{"ana%40example.com", Email},
		{"https://ana@example.org/notes", Email},
		{"аня@пример.рф", Email},
		{"\"ana souza\"@example.com", Email},

		{"CPF 529.982.247-25", CPF},
		{"52998224725", CPF},
		{"529 982 247 25", CPF},
		{"529982247-25", CPF},
		{"5 2 9 9 8 2 2 4 7 2 5", CPF},
		{"５２９．９８２．２４７－２５", CPF},
		{"529.982.\u200d247-25", CPF},
		{"٥٢٩٩٨٢٢٤٧٢٥", CPF},
		{"𝟓𝟐𝟗𝟗𝟖𝟐𝟐𝟒𝟕𝟐𝟓", CPF},
		{"⁵²⁹·⁹⁸²·²⁴⁷–²⁵", CPF},
		{"on 2026-11-30 529.982.247-25", CPF},
		{"on 2026-11-30 52998224725 again", CPF},
		{strings.Repeat("1 ", 40) + "529.982.247-25", CPF},

		{"11.222.333/0001-81", CNPJ},
		{"11222333000181", CNPJ},
		{"12.ABC.345/01DE-35", CNPJ},

		{"4111 1111 1111 1111", Card},
		{"4111-1111-1111-1111", Card},
		{"4111111111111111", Card},
		{"3782 822463 10005", Card},
		{"card 5555555555554444 exp 12/27", Card},
		{"exp 12/27 5555 5555 5555 4444", Card},

		{"GB82 WEST 1234 5698 7654 32", IBAN},
		{"pay to DE89370400440532013000 please", IBAN},
		{"BR1800360305000010009795493C1", IBAN},

		{"(11) 98765-4321", Phone},
		{"11 98765-4321", Phone},
		{"11987654321", Phone},
		{"+55 11 98765 4321", Phone},
		{"+5511987654321", Phone},
		{"5511987654321", Phone},
		{"011 98765-4321", Phone},
		{"98765-4321", Phone},
		{"(21) 3333-4444", Phone},
		{"whatsapp 987654321", Phone},
		{"tel: 3333 4444", Phone},
		{"+1 (415) 555-2671", Phone},
		{"415-555-2671", Phone},
		{"(415) 555-2671", Phone},
		{"0044 20 7946 0958", Phone},
		{"+44 20 7946 0958", Phone},

		{"seen from 203.0.113.7 yesterday", IP},
		{"203.0.113.7:8080", IP},
		{"2001:db8::8a2e:370:7334", IP},
		{"[2001:db8:0:0:1:0:0:1]", IP},
		{"２０３．０．１１３．７", IP},

		{"", None},
		{"Do we ship in March?", None},
		{"Will @acme post by 2026-12-31?", None},
		{"Meet at noon", None},
		{"look at the dot plot", None},
		{"at 10:30:45 on 30.11.2026", None},
		{"between 2024-2025 and 2027-2028", None},
		{"529.982.247-24", None}, // the check digits do not hold
		{"111.111.111-11", None},
		{"R$ 52998224725", None},
		{"$11,987,654,321 in sales", None},
		{"21.900.000.000 de reais", None},
		{"4111 1111 1111 1112", None},
		{"1764547200", None},
		{"1764547200123", None},
		{"v1.24.3.1", None},
		{"Chrome 126.0.6478.127", None},
		{"127.0.0.1", None},
		{"std::vector", None},
		{"acc_11987654321x", None},
		{"https://example.org/2026/11/30/report-20261130.pdf", None},
		{"0xde0b295669a9fd93d5f28d9ec85e40f4cb697bae", None},
		{"sha256 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", None},
		{"S&P 500 above 6,000.50 by Q4 (at least 3 days)", None},
		{"score 3-2 or 10-9 at 90+5", None},
		{"ISBN 978-3-16-148410-0", None},
		{"50% of 10,000 to 20,000", None},
		{"\xff\xfe\x80", None},
	} {
		if got := Suspect(c.text); got != c.want {
			t.Errorf("%q: %q, want %q", c.text, got, c.want)
		}
	}
}

// TestKinds: every kind can be found, and its word is told nowhere else.
func TestKinds(t *testing.T) {
	seen := map[Kind]bool{}
	for _, k := range Kinds() {
		if k == None || seen[k] {
			t.Errorf("kind %q", k)
		}
		seen[k] = true
	}
}

// TestCheckDigits: each wrong digit is seen.
func TestCheckDigits(t *testing.T) {
	for name, c := range map[string]struct {
		digits string
		valid  func([]byte) bool
	}{
		"cpf": {"52998224725", validCPF}, "cnpj": {"11222333000181", validCNPJ}, "card": {"4111111111111111", card},
	} {
		d := []byte(c.digits)
		for i := range d {
			d[i] -= '0'
		}
		if !c.valid(d) {
			t.Fatalf("%s: %s does not check", name, c.digits)
		}
		for i := range d {
			was := d[i]
			d[i] = (was + 1) % 10
			if c.valid(d) {
				t.Errorf("%s: digit %d may be wrong", name, i)
			}
			d[i] = was
		}
	}
}

// TestOrdinaryQuestions measures what is refused of the titles of real markets. The
// bound is what was measured when the rules were written: none of them.
func TestOrdinaryQuestions(t *testing.T) {
	path := given.RealData(t, "markets.csv.gz")
	kinds, titles := map[Kind]int{}, 0
	given.Rows(t, path, func(row func(string) string) {
		titles++
		if k := Suspect(row("question")); k != None {
			kinds[k]++
			t.Logf("%s: %q", k, row("question"))
		}
	})
	t.Logf("%d titles, suspected: %v", titles, kinds)
	if titles < 2000 || len(kinds) != 0 {
		t.Errorf("%d titles, suspected: %v", titles, kinds)
	}
}

// TestLinear: what a caller may send takes time in proportion, counted in steps that
// a machine's load does not change: allocations.
func TestLinear(t *testing.T) {
	for _, unit := range []string{"@", "1 ", "a@b.", "(at) ", " at x dot ", "1.", ":", "a1", "11-", "&#", "%4", "GB82 "} {
		long := strings.Repeat(unit, maxText/len(unit))
		if n := testing.AllocsPerRun(1, func() { Suspect(long) }); n > 16 {
			t.Errorf("%q: %v allocations", unit, n)
		}
	}
}

// FuzzSuspect: any bytes get an answer of the list; a text after a finding changes
// nothing about it, unless it touches what was found.
func FuzzSuspect(f *testing.F) {
	for _, s := range []string{"ana@example.com", "529.982.247-25", "+55 11 98765 4321", "203.0.113.7", "GB82 WEST 1234 5698 7654 32", " at x dot y", "&#64;", "%40"} {
		f.Add(s)
	}
	known := map[Kind]bool{None: true}
	for _, k := range Kinds() {
		known[k] = true
	}
	f.Fuzz(func(t *testing.T, s string) {
		k := Suspect(s)
		if !known[k] {
			t.Fatalf("%q: %q", s, k)
		}
		if Suspect(s) != k {
			t.Fatalf("%q: not the same again", s)
		}
		if len(s) < 1000 && Suspect("ana@example.com, "+s) != Email {
			t.Fatalf("%q hides an address before it", s)
		}
		if len(s) < 1000 && Suspect(s+"\n\n; 529.982.247-25") == None {
			t.Fatalf("%q hides a number after it", s)
		}
	})
}

func BenchmarkSuspect(b *testing.B) {
	const title = "Will the S&P 500 close above 6,000.50 on 2026-12-31 (official close, in USD)?"
	b.SetBytes(int64(len(title)))
	for b.Loop() {
		if Suspect(title) != None {
			b.Fatal("suspected")
		}
	}
}
