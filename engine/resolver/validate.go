package resolver

import (
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

var (
	idForm     = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9.-]{0,63}$`)
	nameForm   = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)
	semverForm = regexp.MustCompile(`^(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})$`)
	placeForm  = regexp.MustCompile(`\{([^{}]*)\}`)
)

// taken are the words that a fact may not be called: reserved by CEL, types of
// CEL, or ours.
var taken = strings.Fields(`as break const continue else false for function if import in let loop package namespace
	null return true var void while bool bytes double duration dyn int list map null_type optional_type string
	timestamp type uint google market`)

// inspector collects faults.
type inspector struct{ faults Faults }

func (c *inspector) need(ok bool, path, format string, args ...any) {
	if !ok {
		c.faults = append(c.faults, Fault{Path: path, Text: fmt.Sprintf(format, args...)})
	}
}

func text(s string) bool { return s != "" && len(s) <= maxText && strings.TrimSpace(s) == s }

// Validate returns everything that is wrong with the rule short of its
// expressions, which Compile checks.
func (r *Rule) Validate() Faults {
	c := &inspector{}
	c.need(idForm.MatchString(r.ID), "rule", "1..64 letters, digits, . and -")
	c.need(semverForm.MatchString(r.Version), "version", "has the form 1.0.0")
	c.need(text(r.Title), "title", "1..%d bytes without space around them", maxText)
	c.need(r.Kind == Binary || r.Kind == Categorical || r.Kind == Scalar, "kind", "is binary, categorical or scalar")
	c.need(r.Otherwise == Wait || r.Otherwise == Cancel, "otherwise", "is wait or cancel")
	if r.Kind == Categorical {
		c.need(len(r.Outcomes) >= 2 && len(r.Outcomes) <= maxOutcomes, "outcomes", "2..%d labels", maxOutcomes)
	} else {
		c.need(r.Outcomes == nil, "outcomes", "only for categorical")
	}
	for i, o := range r.Outcomes {
		path := fmt.Sprintf("outcomes[%d]", i)
		c.need(text(o), path, "1..%d bytes without space around them", maxText)
		c.need(slices.Index(r.Outcomes, o) == i, path, "named twice")
	}
	c.need(len(r.Params) <= maxParams, "params", "at most %d", maxParams)
	for i, p := range r.Params {
		path := fmt.Sprintf("params[%d]", i)
		c.need(nameForm.MatchString(p) && p != "market", path, "1..64 characters a-z, 0-9, _, and not market")
		c.need(slices.Index(r.Params, p) == i, path, "named twice")
	}
	c.need(r.Quorum.K >= 1 && r.Quorum.K <= len(r.Sources), "quorum.k", "1..the number of sources")
	c.need(r.Quorum.MaxDivergence >= 0 && r.Quorum.MaxDivergence <= million, "quorum.max_divergence_ppm", "0..1000000")
	c.need(r.Kind == Scalar || r.Quorum.MaxDivergence == 0, "quorum.max_divergence_ppm", "only for scalar")
	c.facts(r)
	c.need(len(r.Sources) >= 1 && len(r.Sources) <= maxSources, "sources", "1..%d", maxSources)
	for i := range r.Sources {
		c.source(r, i)
	}
	c.need(len(r.Conditions) >= 1 && len(r.Conditions) <= maxConditions, "conditions", "1..%d", maxConditions)
	for i := range r.Conditions {
		c.condition(r, i)
	}
	return c.faults
}

func (c *inspector) facts(r *Rule) {
	c.need(len(r.Facts) <= maxFacts, "facts", "at most %d", maxFacts)
	for _, name := range slices.Sorted(maps.Keys(r.Facts)) {
		path := "facts." + name
		c.need(nameForm.MatchString(name) && !slices.Contains(taken, name), path, "a name has 1..64 characters a-z, 0-9, _ and is no word of CEL")
		_, ok := factTypes[r.Facts[name]]
		c.need(ok, path, "type is bool, int, double, string, timestamp or list(one of them)")
	}
}

func (c *inspector) source(r *Rule, i int) {
	s, path := &r.Sources[i], fmt.Sprintf("sources[%d]", i)
	c.need(nameForm.MatchString(s.Name), path+".name", "1..64 characters a-z, 0-9, _")
	c.need(slices.IndexFunc(r.Sources, func(o Source) bool { return o.Name == s.Name }) == i, path+".name", "named twice")
	age, err := time.ParseDuration(s.MaxAge)
	c.need(err == nil && age >= time.Second && age <= 366*24*time.Hour, path+".max_age", "a duration of 1s..8784h")
	switch s.Type {
	case TypeManual:
		c.need(s.File == "" && s.Key == nil && s.Observed == "" && s.Fields == nil && s.Requests == nil, path, "manual has name, type and max_age only")
	case TypeTable:
		c.need(s.Requests == nil, path+".requests", "only for endpoint")
		c.need(text(s.File) && (strings.HasSuffix(s.File, ".csv") || strings.HasSuffix(s.File, ".ndjson")), path+".file", "ends in .csv or .ndjson")
		c.need(text(s.Observed), path+".observed", "names the column with the time of observation")
		c.need(len(s.Key) >= 1 && len(s.Key) <= maxKeys, path+".key", "1..%d columns", maxKeys)
		for _, column := range slices.Sorted(maps.Keys(s.Key)) {
			c.need(text(column) && text(s.Key[column]), path+".key."+column, "a column and a text of 1..%d bytes", maxText)
			c.places(r, path+".key."+column, s.Key[column])
		}
		c.fields(r, path, "", s.Fields)
		c.covered(r, path+".fields", s.Fields)
	case TypeEndpoint:
		c.need(s.File == "" && s.Key == nil && s.Observed == "" && s.Fields == nil, path, "endpoint has name, type, max_age and requests only")
		c.requests(r, path+".requests", s.Requests)
	default:
		c.need(false, path+".type", "is table, manual or endpoint")
	}
}

func (c *inspector) requests(r *Rule, path string, requests []Request) {
	c.need(len(requests) >= 1 && len(requests) <= maxRequests, path, "1..%d", maxRequests)
	all := map[string]Field{}
	for i, q := range requests {
		at := fmt.Sprintf("%s[%d]", path, i)
		c.address(r, at+".url", q.URL)
		c.need(q.Observed == "" || pointerForm(q.Observed), at+".observed", "a JSON pointer such as /updated_at")
		c.fields(r, at, "/", q.Fields)
		for _, fact := range slices.Sorted(maps.Keys(q.Fields)) {
			f := q.Fields[fact]
			if _, twice := all[fact]; twice {
				c.need(false, at+".fields."+fact, "another request gives this fact")
			}
			all[fact] = f
		}
	}
	c.covered(r, path, all)
}

// address wants the host to be written, so that a market's parameters never
// choose whom the resolver asks.
func (c *inspector) address(r *Rule, path, address string) {
	u, err := url.Parse(placeForm.ReplaceAllString(address, "x"))
	ok := err == nil && text(address) && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil && u.Fragment == ""
	c.need(ok, path, "an https address without user and fragment, at most %d bytes", maxText)
	if ok {
		authority, _, _ := strings.Cut(strings.SplitN(address, "//", 2)[1], "/")
		authority, _, _ = strings.Cut(authority, "?")
		c.need(!strings.ContainsAny(authority, "{}"), path, "the host is written out")
	}
	c.places(r, path, address)
}

// places checks the {names} in an address or a key.
func (c *inspector) places(r *Rule, path, s string) {
	for _, m := range placeForm.FindAllStringSubmatch(s, -1) {
		c.need(m[1] == "market" || slices.Contains(r.Params, m[1]), path, "{%s} is no parameter of the rule", m[1])
	}
	c.need(!strings.ContainsAny(placeForm.ReplaceAllString(s, ""), "{}"), path, "a brace without its other half")
}

func (c *inspector) fields(r *Rule, path, start string, fields map[string]Field) {
	for _, fact := range slices.Sorted(maps.Keys(fields)) {
		f, at := fields[fact], path+".fields."+fact
		if start == "/" {
			c.need(pointerForm(f.At), at+".at", "a JSON pointer such as /score/home")
		} else {
			c.need(text(f.At), at+".at", "a column, 1..%d bytes", maxText)
		}
		kind, known := factTypes[r.Facts[fact]]
		c.need(known, at, "no fact of that name and a valid type is declared")
		if known && f.Absent != nil {
			_, err := kind.fromText(*f.Absent)
			c.need(err == nil, at+".absent", "is not %s: %v", r.Facts[fact], err)
		}
	}
}

// covered wants a source to know every fact: a source is one voice of a quorum.
func (c *inspector) covered(r *Rule, path string, fields map[string]Field) {
	for _, fact := range slices.Sorted(maps.Keys(r.Facts)) {
		_, ok := fields[fact]
		c.need(ok, path, "does not say where fact %s lies", fact)
	}
}

func (c *inspector) condition(r *Rule, i int) {
	x, path := &r.Conditions[i], fmt.Sprintf("conditions[%d]", i)
	named := 0
	for _, s := range []string{x.Outcome, x.Value, x.Cancel} {
		if s != "" {
			named++
		}
	}
	c.need(named == 1, path, "names exactly one of outcome, value and cancel")
	c.need(x.When != "", path+".when", "is missing")
	c.need(x.Cancel == "" || x.Cancel == CancelPrice || x.Cancel == CancelRefund, path+".cancel", "is price or refund")
	c.need(x.Value == "" || r.Kind == Scalar, path+".value", "only for scalar")
	switch {
	case x.Outcome == "":
	case r.Kind == Binary:
		c.need(x.Outcome == "YES" || x.Outcome == "NO", path+".outcome", "is YES or NO")
	case r.Kind == Categorical:
		c.need(slices.Contains(r.Outcomes, x.Outcome), path+".outcome", "is one of the outcomes")
	default:
		c.need(false, path+".outcome", "a scalar market has a value")
	}
}
