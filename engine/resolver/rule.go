package resolver

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/gowebpki/jcs"
)

// The bounds of a rule document. They are far above what people write and low
// enough that a hostile document costs little.
const (
	MaxRuleBytes  = 64 << 10 // of the YAML
	maxDepth      = 8        // a field of a request of a source lies at depth seven
	maxNodes      = 8192     // keys and values
	maxText       = 512      // bytes of a title, an address, a name of a column
	maxExpression = 4096     // code points; a tree of six referenced markets takes 600
	maxConditions = 32
	maxFacts      = 64
	maxSources    = 16 // as many as a template may name reporters
	maxRequests   = 8
	maxKeys       = 8
	maxParams     = 8
	maxOutcomes   = 64
)

// The kinds of market that a rule can be for.
const (
	Binary      = "binary"      // outcomes YES and NO
	Categorical = "categorical" // one of the outcomes listed
	Scalar      = "scalar"      // a value in the range of the market
)

// The types of source.
const (
	TypeTable    = "table"
	TypeManual   = "manual"
	TypeEndpoint = "endpoint"
)

// The ways to end a market without an outcome. What they pay is the engine's.
const (
	CancelPrice  = "price"  // every share pays its outcome's last average price
	CancelRefund = "refund" // everybody gets back what they paid in, as far as it goes
)

// What a rule does when no condition holds.
const (
	Wait   = "wait"   // nothing is decided
	Cancel = "cancel" // once the market is past its close, it is cancelled at price; nothing before
)

// Digest is a SHA-256.
type Digest [sha256.Size]byte

// String returns the 64 hexadecimal digits.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// MarshalText returns the 64 hexadecimal digits.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// Rule is a rule document: what has to be known, from where, and what follows.
// Load reads one; a Rule made by hand goes through Compile, which checks it as
// strictly.
type Rule struct {
	ID         string            `yaml:"rule" json:"rule"`                             // 1..64 letters, digits, . and -
	Version    string            `yaml:"version" json:"version"`                       // semver, three numbers
	Title      string            `yaml:"title" json:"title"`                           // for people, 1..512 bytes
	Kind       string            `yaml:"kind" json:"kind"`                             // binary, categorical or scalar
	Outcomes   []string          `yaml:"outcomes,omitempty" json:"outcomes,omitempty"` // categorical: 2..64 labels
	Params     []string          `yaml:"params,omitempty" json:"params,omitempty"`     // what a market fills in: {name} in addresses and keys
	Sources    []Source          `yaml:"sources" json:"sources"`
	Quorum     Quorum            `yaml:"quorum" json:"quorum"`
	Facts      map[string]string `yaml:"facts" json:"facts"` // name to bool, int, double, string, timestamp or list(one of them)
	Conditions []Condition       `yaml:"conditions" json:"conditions"`
	Otherwise  string            `yaml:"otherwise" json:"otherwise"` // wait or cancel
}

// Source is one place that knows all facts of the rule.
type Source struct {
	Name     string            `yaml:"name" json:"name"`                             // a-z, 0-9, _, 1..64 characters
	Type     string            `yaml:"type" json:"type"`                             // table, manual or endpoint
	MaxAge   string            `yaml:"max_age" json:"max_age"`                       // Go duration, 1s..366 days: older facts are stale
	File     string            `yaml:"file,omitempty" json:"file,omitempty"`         // table: a name that ends in .csv or .ndjson
	Key      map[string]string `yaml:"key,omitempty" json:"key,omitempty"`           // table: column to the text that picks the row
	Observed string            `yaml:"observed,omitempty" json:"observed,omitempty"` // table: the column with the time of observation, RFC 3339
	Fields   map[string]Field  `yaml:"fields,omitempty" json:"fields,omitempty"`     // table: fact to column
	Requests []Request         `yaml:"requests,omitempty" json:"requests,omitempty"` // endpoint: 1..8
}

// Request is one GET of an endpoint source. Its answer is JSON.
type Request struct {
	URL      string           `yaml:"url" json:"url"`                               // https, with {param} and {market} as parts of path or query
	Observed string           `yaml:"observed,omitempty" json:"observed,omitempty"` // JSON pointer to the time of observation, RFC 3339; absent: the time of the request
	Fields   map[string]Field `yaml:"fields" json:"fields"`                         // fact to JSON pointer
}

// Field says where a fact lies.
type Field struct {
	At     string  `yaml:"at" json:"at"`                             // RFC 6901 pointer into an answer, or column of a table
	Absent *string `yaml:"absent,omitempty" json:"absent,omitempty"` // the fact's value where the source has none or null; absent: the fact is missing then
}

// Quorum says how many sources must agree: what the template of the rule's
// markets has to ask for. It is for people to compare; the engine alone counts
// reports, and by the template.
type Quorum struct {
	K             int   `yaml:"k" json:"k"`                                             // 1..number of sources
	MaxDivergence int64 `yaml:"max_divergence_ppm" json:"max_divergence_ppm,omitempty"` // scalar: of the market's range, 0..1,000,000
}

// Condition is one step of the decision. The first whose expression is true
// decides; it names exactly one of Outcome, Value and Cancel.
type Condition struct {
	When    string `yaml:"when" json:"when"`                           // CEL, true or false
	Outcome string `yaml:"outcome,omitempty" json:"outcome,omitempty"` // YES or NO, or one of the outcomes
	Value   string `yaml:"value,omitempty" json:"value,omitempty"`     // CEL, int or double, in the market's unit
	Cancel  string `yaml:"cancel,omitempty" json:"cancel,omitempty"`   // price or refund
}

// Canonical returns the rule in the canonical JSON of RFC 8785: equal rules have
// equal bytes, whatever the layout and the order of keys of their YAML.
func (r *Rule) Canonical() ([]byte, error) {
	b, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("rule %s: %w", r.ID, err)
	}
	if b, err = jcs.Transform(b); err != nil {
		return nil, fmt.Errorf("rule %s: canonical form: %w", r.ID, err)
	}
	return b, nil
}

// Hash is the SHA-256 of the canonical form. It names the rule in proposals.
func (r *Rule) Hash() (Digest, error) {
	b, err := r.Canonical()
	if err != nil {
		return Digest{}, err
	}
	return sha256.Sum256(b), nil
}

// Fault is one thing that is wrong with a rule document.
type Fault struct {
	Line int    // of the YAML, from 1; 0 if the rule came without lines
	Path string // such as conditions[0].when; empty for the document
	Text string
}

func (f Fault) String() string {
	var b strings.Builder
	if f.Line > 0 {
		fmt.Fprintf(&b, "line %d: ", f.Line)
	}
	if f.Path != "" {
		b.WriteString(f.Path + ": ")
	}
	b.WriteString(f.Text)
	return b.String()
}

// Faults is everything that is wrong with a document, as one error.
type Faults []Fault

// Error returns one fault a line.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.String()
	}
	return strings.Join(lines, "\n")
}
