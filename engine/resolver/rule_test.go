package resolver

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strings"
	"testing"

	"github.com/google/cel-go/common/types"
	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"
)

// shuffled writes a document anew with the keys of every mapping in a random
// order, in block or flow style.
func shuffled(t *rapid.T, n *yaml.Node) {
	for _, c := range n.Content {
		shuffled(t, c)
	}
	if n.Kind == yaml.MappingNode || n.Kind == yaml.SequenceNode {
		n.Style = rapid.SampledFrom([]yaml.Style{0, yaml.FlowStyle}).Draw(t, "style")
	}
	if n.Kind != yaml.MappingNode {
		return
	}
	var pairs [][2]*yaml.Node
	for i := 0; i < len(n.Content); i += 2 {
		pairs = append(pairs, [2]*yaml.Node{n.Content[i], n.Content[i+1]})
	}
	n.Content = nil
	for _, p := range rapid.Permutation(pairs).Draw(t, "keys") {
		p[0].HeadComment = rapid.SampledFrom([]string{"", "# why"}).Draw(t, "comment")
		n.Content = append(n.Content, p[0], p[1])
	}
}

// TestLayoutDoesNotMatter: the hash names what a rule says, not how it is laid
// out.
func TestLayoutDoesNotMatter(t *testing.T) {
	for _, name := range []string{"match.txtar", "rate.txtar"} {
		a, _ := archive(t, name)
		source := file(t, a, "rule.yaml")
		want, err := Load(source)
		if err != nil {
			t.Fatal(err)
		}
		rapid.Check(t, func(rt *rapid.T) {
			var doc yaml.Node
			if err := yaml.Unmarshal(source, &doc); err != nil {
				rt.Fatal(err)
			}
			shuffled(rt, &doc)
			b, err := yaml.Marshal(&doc)
			if err != nil {
				rt.Fatal(err)
			}
			got, err := Load(b)
			if err != nil {
				rt.Fatalf("%v\n%s", err, b)
			}
			if got.Hash() != want.Hash() {
				rt.Fatalf("another hash for\n%s", b)
			}
		})
	}
}

// TestEveryWordMatters: a change of any value in the document changes the hash
// or is refused.
func TestEveryWordMatters(t *testing.T) {
	a, _ := archive(t, "match.txtar")
	source := file(t, a, "rule.yaml")
	base, err := Load(source)
	if err != nil {
		t.Fatal(err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(source, &doc); err != nil {
		t.Fatal(err)
	}
	changed := 0
	var each func(n *yaml.Node)
	each = func(n *yaml.Node) {
		for i, c := range n.Content {
			if n.Kind == yaml.MappingNode && i%2 == 0 || c.Kind != yaml.ScalarNode {
				each(c)
				continue
			}
			old := *c
			for _, value := range []string{"other", "1", old.Value + "0", "manual", "false"} {
				if value == old.Value {
					continue
				}
				c.Value, c.Tag, c.Style = value, "!!str", yaml.DoubleQuotedStyle
				b, err := yaml.Marshal(&doc)
				if err != nil {
					t.Fatal(err)
				}
				if p, err := Load(b); err == nil && p.Hash() == base.Hash() {
					t.Errorf("%q for %q leaves the hash", value, old.Value)
				} else if err == nil {
					changed++
				}
			}
			*c = old
		}
	}
	each(&doc)
	if changed < 20 {
		t.Errorf("only %d changed documents were valid: the test shows little", changed)
	}
}

// TestEveryByteOfFactsMatters: whatever byte is flipped, the finding names other
// facts.
func TestEveryByteOfFactsMatters(t *testing.T) {
	a, _ := archive(t, "match.txtar")
	p, q := scene(t, a)
	facts := bytes.Clone(file(t, a, "finished.facts"))
	want, err := p.Evaluate(t.Context(), facts, q.market(), q.Now.UnixMicro())
	if err != nil || !want.Decided {
		t.Fatal(want, err)
	}
	seen := map[Digest]bool{want.FactsSHA256: true}
	for i := range facts {
		for bit := range 8 {
			facts[i] ^= 1 << bit
			got, err := p.Evaluate(t.Context(), facts, q.market(), q.Now.UnixMicro())
			if err != nil {
				t.Fatal(err)
			}
			if seen[got.FactsSHA256] {
				t.Fatalf("bit %d of byte %d leaves the digest", bit, i)
			}
			seen[got.FactsSHA256] = true
			facts[i] ^= 1 << bit
		}
	}
}

func FuzzLoad(f *testing.F) {
	for _, name := range []string{"match.txtar", "rate.txtar", "faults.txtar"} {
		a, err := parse(name)
		if err != nil {
			f.Fatal(err)
		}
		for _, x := range a.Files {
			if strings.HasSuffix(x.Name, ".yaml") {
				f.Add(x.Data)
			}
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := Load(b)
		if err != nil {
			if faults := (Faults)(nil); !errors.As(err, &faults) || len(faults) == 0 {
				t.Fatalf("%v is not Faults", err)
			}
			return
		}
		// What was accepted is canonical: its JSON is YAML of the same rule.
		canonical, err := p.rule.Canonical()
		if err != nil {
			t.Fatal(err)
		}
		again, err := Load(canonical)
		if err != nil {
			t.Fatalf("%v\n%s", err, canonical)
		}
		if again.Hash() != p.Hash() {
			t.Fatalf("hash %s, of its canonical form %s", p.Hash(), again.Hash())
		}
		got, err := p.Evaluate(t.Context(), []byte(`{}`), Market{Max: 1}, 0)
		if err != nil || got.Decided {
			t.Fatalf("decided without facts: %+v, %v", got, err)
		}
	})
}

func FuzzFacts(f *testing.F) {
	a, err := parse("rate.txtar")
	if err != nil {
		f.Fatal(err)
	}
	p, err := Load(a.Files[0].Data)
	if err != nil {
		f.Fatal(err)
	}
	for _, x := range a.Files {
		if strings.HasSuffix(x.Name, ".facts") {
			f.Add(x.Data)
		}
	}
	m := Market{Close: 1_793_491_200_000_000, Min: -2_000_000, Max: 12_000_000}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := p.Evaluate(t.Context(), b, m, 1_795_680_000_000_000)
		if err != nil {
			t.Fatal(err)
		}
		if got.Reason == "" || got.Decided && (got.Source == "" || !json.Valid(b)) {
			t.Fatalf("%+v", got)
		}
	})
}

// TestMillionthsAreNearest compares with arithmetic on decimal text.
func TestMillionthsAreNearest(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		v := rapid.OneOf(rapid.Float64Range(-9e9, 9e9), rapid.Float64Range(-3, 3),
			rapid.Map(rapid.Int64Range(-1<<42, 1<<42), func(i int64) float64 { return float64(i) / 1024 })).Draw(rt, "v")
		got, err := millionths(types.Double(v))
		if err != nil {
			rt.Fatal(err)
		}
		exact, _ := new(big.Float).SetPrec(2000).SetString(new(big.Float).SetFloat64(v).Text('f', 1100))
		exact.Mul(exact, big.NewFloat(1e6).SetPrec(2000))
		diff := new(big.Float).Sub(exact, new(big.Float).SetInt64(got))
		half := big.NewFloat(0.5)
		if d := new(big.Float).Abs(diff); d.Cmp(half) > 0 || d.Cmp(half) == 0 && diff.Sign() == exact.Sign() {
			rt.Fatalf("%v gives %d, off by %s", v, got, diff.String())
		}
	})
	for _, v := range []float64{9_007_199_254.740994, -9_007_199_254.740994, 1e300, math.Inf(1), math.NaN()} {
		if got, err := millionths(types.Double(v)); err == nil {
			t.Errorf("%v gives %d", v, got)
		}
	}
	for v, want := range map[int64]int64{0: 0, -7: -7_000_000, 9_007_199_254: 9_007_199_254_000_000, -9_007_199_254: -9_007_199_254_000_000} {
		if got, err := millionths(types.Int(v)); err != nil || got != want {
			t.Errorf("%d gives %d, %v", v, got, err)
		}
	}
	for _, v := range []int64{9_007_199_255, -9_007_199_255, math.MaxInt64, math.MinInt64} {
		if got, err := millionths(types.Int(v)); err == nil {
			t.Errorf("%d gives %d", v, got)
		}
	}
}

// costly is a rule whose worst case is near the bound, and the largest facts it
// admits.
func costly() (*Rule, []byte) {
	r := &Rule{
		ID: "costly", Version: "1.0.0", Title: "Near the bound", Kind: Binary, Otherwise: Wait,
		Sources: []Source{{Name: "desk", Type: TypeManual, MaxAge: "1h"}}, Quorum: Quorum{K: 1},
		Facts:      map[string]string{"n": "list(int)"},
		Conditions: []Condition{{When: "n.all(a, n.all(b, a <= b))", Outcome: "YES"}},
	}
	facts := `{"source": "desk", "observed_at": "1970-01-01T00:00:00Z", "evidence": "https://x.example/y", "facts": {"n": [0` +
		strings.Repeat(", 0", maxFactList-1) + "]}}"
	return r, []byte(facts)
}

// TestWorkIsBounded: the largest facts pass a rule at the bound, one element
// more is refused, and an ended context ends the evaluation.
func TestWorkIsBounded(t *testing.T) {
	r, facts := costly()
	p, err := r.Compile()
	if err != nil {
		t.Fatal(err)
	}
	got, err := p.Evaluate(t.Context(), facts, Market{}, 0)
	if err != nil || !got.Decided || got.Outcome != "YES" {
		t.Errorf("%+v, %v", got, err)
	}
	more := bytes.Replace(facts, []byte("[0"), []byte("[0, 0"), 1)
	got, err = p.Evaluate(t.Context(), more, Market{}, 0)
	if err != nil || got.Decided || got.Reason != fmt.Sprintf("facts: n: more than %d elements", maxFactList) {
		t.Errorf("%+v, %v", got, err)
	}
	ctx, cancel := contextEnded(t)
	defer cancel()
	if got, err = p.Evaluate(ctx, facts, Market{}, 0); !errors.Is(err, ctx.Err()) || got.Decided {
		t.Errorf("%+v, %v", got, err)
	}
	r.Conditions[0].When = "n.all(a, n.all(b, n.all(c, a <= b + c)))"
	if _, err := r.Compile(); err == nil || !strings.Contains(err.Error(), "may cost") {
		t.Errorf("three nested walks: %v", err)
	}
}

// TestProgramIsShared: goroutines that share a program find the same.
func TestProgramIsShared(t *testing.T) {
	a, _ := archive(t, "match.txtar")
	p, q := scene(t, a)
	facts := file(t, a, "finished.facts")
	found := make(chan Finding)
	for range 8 {
		go func() {
			f, err := p.Evaluate(t.Context(), facts, q.market(), q.Now.UnixMicro())
			if err != nil {
				f.Reason = err.Error()
			}
			found <- f
		}()
	}
	first := <-found
	for range 7 {
		if f := <-found; f != first || f.Outcome != "home" {
			t.Errorf("%+v, and %+v", f, first)
		}
	}
}

// TestWhatIsAsked: the arguments of Evaluate have bounds of their own.
func TestWhatIsAsked(t *testing.T) {
	r, facts := costly()
	r.Kind, r.Conditions = Scalar, []Condition{{When: "true", Value: "market.max"}}
	p, err := r.Compile()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []Market{{}, {Min: 1, Max: 1}, {Max: 1, Close: -1}, {Max: 1, Close: endOfTime + 1}} {
		if got, err := p.Evaluate(t.Context(), facts, m, 0); err == nil {
			t.Errorf("%+v: %+v", m, got)
		}
	}
	for _, now := range []int64{-1, endOfTime + 1, math.MaxInt64} {
		if got, err := p.Evaluate(t.Context(), facts, Market{Max: 1}, now); err == nil {
			t.Errorf("%d: %+v", now, got)
		}
	}
	r.Conditions[0] = Condition{When: "market.close < market.now", Value: "1"}
	if p, err = r.Compile(); err != nil {
		t.Fatal(err)
	}
	if got, err := p.Evaluate(t.Context(), facts, Market{Max: 1}, 0); err != nil || got.Decided || !strings.Contains(got.Reason, "market.close") {
		t.Errorf("a market without close: %+v, %v", got, err)
	}
}

func BenchmarkEvaluate(b *testing.B) {
	a, err := parse("match.txtar")
	if err != nil {
		b.Fatal(err)
	}
	p, err := Load(a.Files[0].Data)
	if err != nil {
		b.Fatal(err)
	}
	facts := a.Files[2].Data
	b.ReportAllocs()
	for b.Loop() {
		if got, err := p.Evaluate(b.Context(), facts, Market{Close: 1}, 1_795_680_000_000_000); err != nil || !got.Decided {
			b.Fatal(got, err)
		}
	}
}

// BenchmarkBound is the dearest evaluation that a rule can ask for, but for its
// number of conditions.
func BenchmarkBound(b *testing.B) {
	r, facts := costly()
	p, err := r.Compile()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if got, err := p.Evaluate(b.Context(), facts, Market{}, 0); err != nil || !got.Decided {
			b.Fatal(got, err)
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	a, err := parse("match.txtar")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Load(a.Files[0].Data); err != nil {
			b.Fatal(err)
		}
	}
}
