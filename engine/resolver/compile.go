package resolver

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/checker"
	"github.com/google/cel-go/common/env"
	"github.com/google/cel-go/common/types"
)

// maxCost bounds the work of one expression, in cel-go's units of about one
// elementary step. Compile refuses an expression whose worst case is above it,
// given the largest facts that Evaluate lets through, and evaluation stops there
// as well. Two nested walks over the longest lists of numbers fit; two over lists
// of the longest strings do not.
const maxCost = 200_000

// Bounds of the syntax, against documents that are written to hurt the parser.
const (
	maxNesting    = 64
	maxSyntax     = 4000
	interruptStep = 100 // iterations between looks at the context
)

// Program is a rule that was checked and compiled. It is immutable and may be
// used by several goroutines.
type Program struct {
	rule  *Rule
	hash  Digest
	steps []step
}

type step struct {
	when  cel.Program
	value cel.Program // nil unless scalar
}

// Rule returns a copy of the document's fields; slices and maps are shared and
// must not be changed.
func (p *Program) Rule() Rule { return *p.rule }

// Hash is the digest that findings carry.
func (p *Program) Hash() Digest { return p.hash }

// Compile checks the rule and its expressions. The error is Faults.
func (r *Rule) Compile() (*Program, error) {
	p, faults := compile(r)
	if len(faults) != 0 {
		return nil, faults
	}
	return p, nil
}

func compile(r *Rule) (*Program, Faults) {
	faults := r.Validate()
	e, err := environment(r)
	if err != nil {
		return nil, append(faults, Fault{Path: "facts", Text: err.Error()})
	}
	p := &Program{rule: r}
	for i := range r.Conditions[:min(len(r.Conditions), maxConditions)] {
		x, path, s := &r.Conditions[i], fmt.Sprintf("conditions[%d]", i), step{}
		if x.When != "" {
			s.when = expression(e, x.When, path+".when", &faults, types.BoolType)
		}
		if x.Value != "" {
			s.value = expression(e, x.Value, path+".value", &faults, types.IntType, types.DoubleType)
		}
		p.steps = append(p.steps, s)
	}
	if len(faults) != 0 {
		return nil, faults
	}
	if p.hash, err = r.Hash(); err != nil {
		return nil, Faults{{Text: err.Error()}}
	}
	return p, nil
}

// environment declares the facts and the market. Two parts of the language are
// left out: accessors that take a time zone, because zone tables differ between
// machines and a rule may not, and regular expressions, because their size is not
// what their text costs (cel-go's own limit for it panics on x{2} up to v0.31.0).
func environment(r *Rule) (*cel.Env, error) {
	options := []cel.EnvOption{
		cel.StdLib(cel.StdLibSubset(&env.LibrarySubset{ExcludeFunctions: excluded()})),
		cel.ParserRecursionLimit(maxNesting),
		cel.ParserExpressionSizeLimit(maxExpression),
		cel.ExpressionNodeLimit(maxSyntax),
		cel.ASTValidators(cel.ValidateDurationLiterals(), cel.ValidateTimestampLiterals()),
		cel.Variable("market.close", cel.TimestampType),
		cel.Variable("market.now", cel.TimestampType),
	}
	if r.Kind == Scalar {
		options = append(options, cel.Variable("market.min", cel.DoubleType), cel.Variable("market.max", cel.DoubleType))
	}
	for _, name := range slices.Sorted(maps.Keys(r.Facts)) {
		if kind, ok := factTypes[r.Facts[name]]; ok && nameForm.MatchString(name) && !slices.Contains(taken, name) {
			options = append(options, cel.Variable(name, kind.cel))
		}
	}
	return cel.NewCustomEnv(options...)
}

// excluded lists what is left out.
func excluded() []*env.Function {
	out := []*env.Function{{Name: "matches"}}
	for function, overload := range map[string]string{
		"getFullYear": "timestamp_to_year_with_tz", "getMonth": "timestamp_to_month_with_tz",
		"getDayOfYear": "timestamp_to_day_of_year_with_tz", "getDayOfMonth": "timestamp_to_day_of_month_with_tz",
		"getDate": "timestamp_to_day_of_month_1_based_with_tz", "getDayOfWeek": "timestamp_to_day_of_week_with_tz",
		"getHours": "timestamp_to_hours_with_tz", "getMinutes": "timestamp_to_minutes_with_tz",
		"getSeconds": "timestamp_to_seconds_tz", "getMilliseconds": "timestamp_to_milliseconds_with_tz",
	} {
		out = append(out, &env.Function{Name: function, Overloads: []*env.Overload{{ID: overload}}})
	}
	return out
}

// expression compiles one expression to a bounded program, or adds its faults.
func expression(e *cel.Env, source, path string, faults *Faults, want ...*types.Type) cel.Program {
	fault := func(format string, args ...any) cel.Program {
		*faults = append(*faults, Fault{Path: path, Text: fmt.Sprintf(format, args...)})
		return nil
	}
	ast, issues := e.Compile(source)
	if issues.Err() != nil {
		for _, x := range issues.Errors() {
			message := strings.Join(strings.Fields(x.Message), " ")
			if x.Location.Line() > 0 {
				message = fmt.Sprintf("at %d:%d: %s", x.Location.Line(), x.Location.Column()+1, message)
			}
			fault("%s", message)
		}
		return nil
	}
	if !slices.ContainsFunc(want, ast.OutputType().IsExactType) {
		return fault("is of type %s, want %s", ast.OutputType(), want)
	}
	cost, err := e.EstimateCost(ast, sizes{})
	if err != nil {
		return fault("cost: %v", err)
	}
	if cost.Max > maxCost {
		return fault("may cost %d steps, at most %d are allowed", cost.Max, maxCost)
	}
	p, err := e.Program(ast, cel.CostLimit(maxCost), cel.InterruptCheckFrequency(interruptStep))
	if err != nil {
		return fault("%v", err)
	}
	return p
}

// sizes tells the estimate how large a fact can be.
type sizes struct{}

// EstimateSize bounds strings and lists that come from facts.
func (sizes) EstimateSize(n checker.AstNode) *checker.SizeEstimate {
	if len(n.Path()) == 0 {
		return nil
	}
	switch n.Type().Kind() {
	case types.StringKind:
		return &checker.SizeEstimate{Max: maxFactText}
	case types.ListKind:
		return &checker.SizeEstimate{Max: maxFactList}
	}
	return nil
}

// EstimateCallCost leaves calls to cel-go's own estimates.
func (sizes) EstimateCallCost(string, string, *checker.AstNode, []checker.AstNode) *checker.CallEstimate {
	return nil
}
