package resolver

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/big"
	"slices"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
)

// million is one unit of a scalar value in the engine's millionths.
const million = 1_000_000

// maxValue bounds a value in millionths, to both sides; it is what the engine
// takes.
const maxValue = 1 << 53

// endOfTime is the last second CEL can name, in µs since 1970.
const endOfTime = 253402300799 * million

// Market is what a rule may know of the market it is asked about.
type Market struct {
	ID       string            // fills {market}
	Close    int64             // µs since 1970; 0: it has none, and an expression that asks for market.close decides nothing
	Min, Max int64             // scalar: the range, in millionths of the unit
	Params   map[string]string // fills the rule's params
}

// Finding is what a rule says of facts.
type Finding struct {
	Decided     bool   `json:"decided"`
	Outcome     string `json:"outcome,omitempty"`          // binary and categorical
	Value       int64  `json:"value_millionths,omitempty"` // scalar, in millionths of the unit, within ±2^53, not clamped to the market's range
	Cancel      string `json:"cancel,omitempty"`           // price or refund: the market has no outcome
	Condition   int    `json:"condition"`                  // which condition decided, from 0; -1 for none
	Reason      string `json:"reason"`                     // for people: why decided, or why not
	Source      string `json:"source,omitempty"`
	ObservedAt  int64  `json:"observed_at_us,omitempty"` // µs since 1970
	Evidence    string `json:"evidence,omitempty"`
	RuleSHA256  Digest `json:"rule_sha256"`
	FactsSHA256 Digest `json:"facts_sha256"` // of the exact bytes
}

// Evaluate says what the rule makes of the bytes of one facts document at now,
// µs since 1970. Whatever keeps the facts from deciding is the Reason of an
// undecided finding. The error is the caller's: the context ended, the time is
// outside the years 1970..9999, or a scalar market has no range.
func (p *Program) Evaluate(ctx context.Context, facts []byte, m Market, now int64) (Finding, error) {
	if now < 0 || now > endOfTime || m.Close < 0 || m.Close > endOfTime {
		return Finding{}, errors.New("evaluate: times lie in the years 1970..9999")
	}
	if p.rule.Kind == Scalar && m.Min >= m.Max {
		return Finding{}, errors.New("evaluate: a scalar market has a range")
	}
	f := Finding{RuleSHA256: p.hash, FactsSHA256: sha256.Sum256(facts), Condition: -1}
	vars, err := p.admit(&f, facts, now)
	if err != nil {
		f.Reason = err.Error()
		return f, nil //nolint:nilerr // what keeps the facts from deciding is what was found
	}
	vars["market.now"] = time.UnixMicro(now).UTC()
	if m.Close != 0 {
		vars["market.close"] = time.UnixMicro(m.Close).UTC()
	}
	if p.rule.Kind == Scalar {
		vars["market.min"], vars["market.max"] = float64(m.Min)/million, float64(m.Max)/million
	}
	for i, s := range p.steps {
		hit, err := run(ctx, s.when, vars)
		if ctx.Err() != nil {
			return Finding{}, fmt.Errorf("evaluate condition %d: %w", i, ctx.Err())
		}
		if err != nil {
			f.Reason = fmt.Sprintf("condition %d: %v", i, err)
			return f, nil
		}
		if hit == types.True {
			return p.conclude(ctx, f, i, vars)
		}
	}
	f.Reason = "no condition holds"
	if p.rule.Otherwise == Cancel && m.Close != 0 && now >= m.Close && f.ObservedAt >= m.Close {
		f.Decided, f.Cancel, f.Reason = true, CancelPrice, "no condition holds after the market's close"
	}
	return f, nil
}

// conclude fills in what condition i says.
func (p *Program) conclude(ctx context.Context, f Finding, i int, vars map[string]any) (Finding, error) {
	x := p.rule.Conditions[i]
	f.Outcome, f.Cancel = x.Outcome, x.Cancel
	if s := p.steps[i]; s.value != nil {
		v, err := run(ctx, s.value, vars)
		if ctx.Err() != nil {
			return Finding{}, fmt.Errorf("evaluate value %d: %w", i, ctx.Err())
		}
		if err == nil {
			f.Value, err = millionths(v)
		}
		if err != nil {
			f.Reason = fmt.Sprintf("value %d: %v", i, err)
			return f, nil
		}
	}
	f.Decided, f.Condition, f.Reason = true, i, fmt.Sprintf("condition %d holds", i)
	return f, nil
}

// run evaluates within the cost limit.
func run(ctx context.Context, p cel.Program, vars map[string]any) (ref.Val, error) {
	v, _, err := p.ContextEval(ctx, vars)
	return v, err
}

// admit reads the facts and gives the variables of the expressions, or says why
// these facts cannot be used.
func (p *Program) admit(f *Finding, facts []byte, now int64) (map[string]any, error) {
	d, err := parseDocument(facts)
	if err != nil {
		return nil, fmt.Errorf("facts: %w", err)
	}
	s := p.rule.source(d.Source)
	if s == nil {
		return nil, fmt.Errorf("facts: the rule has no source %q", d.Source)
	}
	f.Source, f.Evidence = s.Name, d.Evidence
	if s.Type == TypeManual && !evidence(d.Evidence) {
		return nil, errors.New("facts: a manual source names its evidence by URI")
	}
	at, err := instant(d.Observed)
	if err != nil || at.Year() < 1970 {
		return nil, errors.New("facts: observed_at is no time of RFC 3339 from 1970 on")
	}
	f.ObservedAt = at.UnixMicro()
	if f.ObservedAt > now {
		return nil, fmt.Errorf("facts: observed at %s, which is yet to come", d.Observed)
	}
	if age := now - f.ObservedAt; age > s.maxAge() {
		return nil, fmt.Errorf("facts: stale, observed at %s with a max_age of %s", d.Observed, s.MaxAge)
	}
	for _, name := range slices.Sorted(maps.Keys(d.Facts)) {
		if _, ok := p.rule.Facts[name]; !ok {
			return nil, fmt.Errorf("facts: the rule has no fact %q", name)
		}
	}
	vars := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(p.rule.Facts)) {
		raw, ok := d.Facts[name]
		if !ok || string(raw) == "null" {
			return nil, fmt.Errorf("facts: %s is missing", name)
		}
		if vars[name], err = factTypes[p.rule.Facts[name]].parse(raw); err != nil {
			return nil, fmt.Errorf("facts: %s: %w", name, err)
		}
	}
	return vars, nil
}

// source finds a source by name.
func (r *Rule) source(name string) *Source {
	if i := slices.IndexFunc(r.Sources, func(s Source) bool { return s.Name == name }); i >= 0 {
		return &r.Sources[i]
	}
	return nil
}

// maxAge is the age in µs from which facts are stale; Validate saw the text.
func (s *Source) maxAge() int64 {
	d, _ := time.ParseDuration(s.MaxAge)
	return d.Microseconds()
}

// millionths turns a value in units into whole millionths, the nearest, halves
// away from zero. The arithmetic is exact: 4.35 gives 4350000.
func millionths(v ref.Val) (int64, error) {
	switch x := v.(type) {
	case types.Int:
		if x < -maxValue/million || x > maxValue/million {
			return 0, fmt.Errorf("%d is beyond 2^53 millionths", int64(x))
		}
		return int64(x) * million, nil
	case types.Double:
		if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
			return 0, fmt.Errorf("%v is no value", float64(x))
		}
		q := new(big.Rat).SetFloat64(float64(x))
		q.Mul(q, new(big.Rat).SetInt64(million))
		// ⌊(2·num + den) / (2·den)⌋ of the magnitude is the nearest, halves up.
		num, den := new(big.Int).Abs(q.Num()), q.Denom()
		num.Add(num.Lsh(num, 1), den).Quo(num, new(big.Int).Lsh(den, 1))
		if q.Sign() < 0 {
			num.Neg(num)
		}
		if num.CmpAbs(big.NewInt(maxValue)) > 0 {
			return 0, fmt.Errorf("%v is beyond 2^53 millionths", float64(x))
		}
		return num.Int64(), nil
	}
	return 0, fmt.Errorf("a value of type %s", v.Type())
}
