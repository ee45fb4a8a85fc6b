package resolver

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// NotMapped says which node of a tree has no counterpart in a rule document.
type NotMapped struct {
	Node string // such as manifold.this.PopularValueRule
	Why  string
}

// Error names the node and the reason.
func (e *NotMapped) Error() string { return "tree not mapped: " + e.Node + ": " + e.Why }

// tree is a market with its rules as ManifoldMarketManager, a bot that resolves
// markets on Manifold, keeps them: it resolves when any of the first holds, to the
// value of the second.
type tree struct {
	MarketID string  `json:"market_id"` // manifold:…
	Question string  `json:"question"`
	Type     string  `json:"type"`
	Do       []*node `json:"do_resolve_rules"`
	To       []*node `json:"resolve_to_rules"`
}

type node struct {
	Rule      string `json:"rule"`
	Rule1     *node  `json:"rule1"`
	Rule2     *node  `json:"rule2"`
	Child     *node  `json:"child"`
	ID        string `json:"id_"`
	ResolveAt string `json:"resolve_at"`
	Owner     string `json:"owner"`
	Repo      string `json:"repo"`
	Number    int64  `json:"number"`
	Start     string `json:"start"`
	User      string `json:"user"`
	Field     string `json:"field"`
}

// truth is a node as two expressions: when it is known to hold, and when it is
// known not to. A market that has not resolved makes neither true; the bot takes
// any probability above zero for true there, and a rule does not guess.
type truth struct{ yes, no string }

// mapper builds one rule.
type mapper struct {
	rule     Rule
	market   string
	numbered map[string]string // what is referenced to the prefix of its facts
	requests map[string]int    // address to index of its request
}

// FromTree maps a tree in JSON to a rule document, as far as it goes; else the
// error is a *NotMapped. Trees are read from the bot's API endpoints, so the
// document fetches the same fields itself. Times without a zone count as UTC.
func FromTree(b []byte) (*Rule, error) {
	var t tree
	if err := json.Unmarshal(b, &t); err != nil {
		return nil, fmt.Errorf("tree: %w", err)
	}
	id, ok := strings.CutPrefix(t.MarketID, "manifold:")
	if !ok || !wordForm.MatchString(id) || len(t.Do) == 0 || len(t.To) != 1 || t.To[0] == nil {
		return nil, &NotMapped{Node: "tree", Why: "needs a Manifold market, a trigger and one value"}
	}
	m := mapper{market: id, numbered: map[string]string{}, requests: map[string]int{}}
	m.rule = Rule{
		ID: "manifold-" + id, Version: "1.0.0", Title: strings.TrimSpace(t.Question),
		Quorum: Quorum{K: 1}, Facts: map[string]string{}, Otherwise: Wait,
		Sources: []Source{{Name: "api", Type: TypeEndpoint, MaxAge: "1h"}},
	}
	var triggers []string
	for _, n := range t.Do {
		s, err := m.trigger(n)
		if err != nil {
			return nil, err
		}
		triggers = append(triggers, s)
	}
	var err error
	switch when := "(" + strings.Join(triggers, " || ") + ")"; t.Type {
	case "BINARY":
		m.rule.Kind = Binary
		err = m.binary(when, t.To[0])
	case "PSEUDO_NUMERIC":
		m.rule.Kind = Scalar
		err = m.scalar(when, t.To[0])
	default:
		err = &NotMapped{Node: t.To[0].Rule, Why: "the tree does not list the answers of a " + t.Type + " market"}
	}
	if err != nil {
		return nil, err
	}
	if len(m.rule.Facts) == 0 { // the clock decides alone; a person says that it was looked at
		m.rule.Sources = []Source{{Name: "desk", Type: TypeManual, MaxAge: "24h"}}
	}
	return &m.rule, nil
}

// binary adds the conditions of a yes-or-no market.
func (m *mapper) binary(when string, n *node) error {
	if n.Rule == "manifold.this.CurrentValueRule" {
		m.add(Condition{When: when, Cancel: CancelPrice})
		return nil
	}
	if n.Rule == "generic.ConditionalRule" && n.Rule1 != nil && n.Rule2 != nil {
		premise, err := m.truth(n.Rule1)
		if err != nil {
			return err
		}
		m.add(Condition{When: when + " && " + premise.no, Cancel: CancelRefund})
		when, n = when+" && "+premise.yes, n.Rule2
	}
	v, err := m.truth(n)
	if err != nil {
		return err
	}
	m.add(Condition{When: when + " && " + v.yes, Outcome: "YES"})
	m.add(Condition{When: when + " && " + v.no, Outcome: "NO"})
	return nil
}

// scalar adds the conditions of a market with a value.
func (m *mapper) scalar(when string, n *node) error {
	switch n.Rule {
	case "manifold.this.CurrentValueRule":
		m.add(Condition{When: when, Cancel: CancelPrice})
	case "github.ResolveToPRDelta":
		pull, err := m.pull(n)
		if err != nil {
			return err
		}
		start, err := naive(n.Start)
		if err != nil {
			return &NotMapped{Node: n.Rule, Why: err.Error()}
		}
		m.add(Condition{When: fmt.Sprintf("%s && %s_merged", when, pull),
			Value: fmt.Sprintf("double((%s_merged_at - timestamp(%q)).getSeconds()) / 86400.0", pull, start)})
		m.add(Condition{When: fmt.Sprintf("%s && !%s_merged", when, pull), Value: "market.max"})
	case "manifold.user.ResolveToUserProfit":
		if !wordForm.MatchString(n.User) || !wordForm.MatchString(n.Field) {
			return &NotMapped{Node: n.Rule, Why: "no plain user and field"}
		}
		fact := m.fact("user_profit", "double", "https://api.manifold.markets/v0/user/"+n.User, Field{At: "/profitCached/" + n.Field})
		m.add(Condition{When: when, Value: fact})
	default:
		return refuse(n)
	}
	return nil
}

func (m *mapper) add(c Condition) { m.rule.Conditions = append(m.rule.Conditions, c) }

// trigger maps a node that says when to resolve.
func (m *mapper) trigger(n *node) (string, error) {
	if n == nil {
		return "", &NotMapped{Node: "tree", Why: "a node is missing"}
	}
	switch n.Rule {
	case "manifold.this.ThisMarketClosed":
		return "market.close < market.now", nil
	case "generic.ResolveAtTime":
		at, err := naive(n.ResolveAt)
		if err != nil {
			return "", &NotMapped{Node: n.Rule, Why: err.Error()}
		}
		return fmt.Sprintf("timestamp(%q) <= market.now", at), nil
	case "manifold.other.OtherMarketClosed":
		other, err := m.other(n)
		if err != nil {
			return "", err
		}
		ms := m.fact(other+"_close_ms", "int", marketURL(n.ID), Field{At: "/closeTime"})
		return fmt.Sprintf("%s || timestamp(%s / 1000) < market.now", m.resolved(other, n.ID), ms), nil
	case "manifold.other.OtherMarketResolved":
		other, err := m.other(n)
		if err != nil {
			return "", err
		}
		return m.resolved(other, n.ID), nil
	case "github.ResolveWithPR":
		pull, err := m.pull(n)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("%s_state != \"open\" || %s_merged", pull, pull), nil
	case "generic.BothRule":
		a, err := m.trigger(n.Rule1)
		if err != nil {
			return "", err
		}
		b, err := m.trigger(n.Rule2)
		return "(" + a + ") && (" + b + ")", err
	}
	return "", refuse(n)
}

// truth maps a node that says yes or no.
func (m *mapper) truth(n *node) (truth, error) {
	if n == nil {
		return truth{}, &NotMapped{Node: "tree", Why: "a node is missing"}
	}
	switch n.Rule {
	case "manifold.this.RoundValueRule": // to even, as the bot rounds: one half is NO
		p := m.fact("this_probability", "double", marketURL(m.market), Field{At: "/probability"})
		return truth{yes: "(" + p + " > 0.5)", no: "(" + p + " <= 0.5)"}, nil
	case "manifold.other.OtherMarketValue":
		other, err := m.other(n)
		if err != nil {
			return truth{}, err
		}
		none := ""
		r := m.fact(other+"_resolution", "string", marketURL(n.ID), Field{At: "/resolution", Absent: &none})
		return truth{yes: "(" + r + ` == "YES")`, no: "(" + r + ` == "NO")`}, nil
	case "generic.NegateRule":
		x, err := m.truth(n.Child)
		return truth{yes: x.no, no: x.yes}, err
	case "generic.BothRule", "generic.XNORRule":
		a, err := m.truth(n.Rule1)
		if err != nil {
			return truth{}, err
		}
		b, err := m.truth(n.Rule2)
		if n.Rule == "generic.BothRule" {
			return truth{yes: "(" + a.yes + " && " + b.yes + ")", no: "(" + a.no + " || " + b.no + ")"}, err
		}
		return truth{
			yes: "(" + a.yes + " && " + b.yes + " || " + a.no + " && " + b.no + ")",
			no:  "(" + a.yes + " && " + b.no + " || " + a.no + " && " + b.yes + ")",
		}, err
	}
	return truth{}, refuse(n)
}

// refuse says why a node goes no further.
func refuse(n *node) error {
	why := "no such node is known"
	switch n.Rule {
	case "manifold.other.AmplifiedOddsRule":
		why = "draws from Python's random generator by a seed; chance is no fact that anybody can check"
	case "generic.AdditiveRule", "generic.MultiplicitiveRule", "generic.ResolveToValue":
		why = "a yes-or-no market pays one outcome, not a fraction"
	case "generic.ConditionalRule":
		why = "only at the root: an outcome may depend on a cancellation, a truth may not"
	case "manifold.this.CurrentValueRule":
		why = "only at the root: a price is no truth"
	}
	return &NotMapped{Node: n.Rule, Why: why}
}

var wordForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// repoForm is an owner or a repository; a dot may not stand alone.
var repoForm = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$`)

func marketURL(id string) string { return "https://api.manifold.markets/v0/market/" + id }

// number gives what is referenced a prefix, m1, m2 or pr1, in order of appearance.
func (m *mapper) number(prefix, what string) string {
	if m.numbered[what] == "" {
		m.numbered[what] = prefix + strconv.Itoa(len(m.numbered)+1)
	}
	return m.numbered[what]
}

func (m *mapper) other(n *node) (string, error) {
	if !wordForm.MatchString(n.ID) {
		return "", &NotMapped{Node: n.Rule, Why: "no id of a market"}
	}
	return m.number("m", n.ID), nil
}

func (m *mapper) resolved(other, id string) string {
	return m.fact(other+"_resolved", "bool", marketURL(id), Field{At: "/isResolved"})
}

// pull declares the facts of a pull request.
func (m *mapper) pull(n *node) (string, error) {
	if !repoForm.MatchString(n.Owner) || !repoForm.MatchString(n.Repo) || n.Number < 1 {
		return "", &NotMapped{Node: n.Rule, Why: "no pull request is named"}
	}
	address := fmt.Sprintf("https://api.github.com/repos/%s/%s/pulls/%d", n.Owner, n.Repo, n.Number)
	p, never := m.number("pr", address), "1970-01-01T00:00:00Z"
	m.fact(p+"_state", "string", address, Field{At: "/state"})
	m.fact(p+"_merged", "bool", address, Field{At: "/merged"})
	m.fact(p+"_merged_at", "timestamp", address, Field{At: "/merged_at", Absent: &never})
	return p, nil
}

// fact declares a fact once and says which address gives it.
func (m *mapper) fact(name, kind, address string, f Field) string {
	s := &m.rule.Sources[0]
	i, known := m.requests[address]
	if !known {
		i = len(s.Requests)
		m.requests[address] = i
		s.Requests = append(s.Requests, Request{URL: address, Fields: map[string]Field{}})
	}
	m.rule.Facts[name] = kind
	s.Requests[i].Fields[name] = f
	return name
}

// naive reads Python's isoformat, with or without zone, as RFC 3339.
func naive(s string) (string, error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC().Format(time.RFC3339Nano), nil
		}
	}
	return "", fmt.Errorf("%q is no time", s)
}
