package wire

import (
	"encoding"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/mbp-market/mbp/engine"
)

// The longest texts that a record holds, in bytes.
const (
	MaxName     = 64  // ids, categories, principals
	MaxVersion  = 16  // semver of a template or policy
	MaxTemplate = 96  // id@version
	MaxText     = 512 // titles, URIs
	MaxReason   = 128 // labels of outcomes, too
)

// Request is a form with what else contributes to a command.
type Request struct {
	*Form
	Path    func(name string) string // segments of the path
	Account engine.AccountID         // of the API key; 0 for none
	Roles   engine.Roles             // of who asks
	Groups  []string                 // of a person, at the identity provider
	Prose   string                   // a text for the store that can forget; the command has its id
}

// maxProse bounds such a text, in bytes; it is texts.MaxText.
const maxProse = 1000

// prose reads a text of one or more lines.
func (r *Request) prose() {
	r.Prose = r.Text("text", maxProse)
	if strings.TrimSpace(r.Prose) == "" || strings.ContainsFunc(r.Prose, func(c rune) bool { return c < ' ' && c != '\n' || c == 0x7f }) {
		r.Fail("text says nothing, or has control characters")
	}
}

// ClarifyMarket reads a text.
func ClarifyMarket(r *Request) engine.Command {
	r.prose()
	return &engine.ClarifyMarket{Market: r.market()}
}

// NoteDecision reads a text.
func NoteDecision(r *Request) engine.Command {
	x := &engine.NoteDecision{}
	r.prose()
	r.ID("seq", (*Seq)(&x.Decision))
	return x
}

// ErasePerson reads nothing but the path.
func ErasePerson(r *Request) engine.Command {
	x := &engine.ErasePerson{}
	r.ID("account", &x.Account)
	return x
}

// Seq is a sequence in a path.
type Seq engine.Seq

// UnmarshalText reads a decimal number without leading zeros.
func (s *Seq) UnmarshalText(b []byte) error {
	n, err := strconv.ParseUint(string(b), 10, 63)
	if err != nil || n == 0 || strconv.FormatUint(n, 10) != string(b) {
		return fmt.Errorf("%q is not a sequence", b)
	}
	*s = Seq(n)
	return nil
}

// ID reads a segment of the path; what does not parse is a fault of the form.
func (r *Request) ID(name string, v encoding.TextUnmarshaler) {
	if err := v.UnmarshalText([]byte(r.Path(name))); err != nil {
		r.Fail("%s: %s", name, ClipText(err.Error()))
	}
}

func (r *Request) market() (id engine.MarketID) {
	r.ID("market", &id)
	return id
}

// Moment reads a time. The epoch and what is before it would read as no time at
// all where the caller meant one.
func (f *Form) Moment(name string, required bool) (t engine.Time) {
	f.Into(name, required, &t)
	if f.Given(name) && t <= 0 {
		f.Fail("%s is not after 1970", name)
	}
	return t
}

func (f *Form) micros(name string) engine.Micros { return engine.Micros(f.Int64(name, true)) }

func (f *Form) evidence(digest string) (uri string, sha256 engine.Digest) {
	uri = f.Text("evidence_uri", MaxText)
	f.Into(digest, true, &sha256)
	return uri, sha256
}

// OpenAccount reads nothing.
func OpenAccount(*Request) engine.Command { return &engine.OpenAccount{} }

// GrantCredits reads an amount.
func GrantCredits(r *Request) engine.Command {
	x := &engine.GrantCredits{Amount: r.micros("amount_micros")}
	r.ID("account", &x.Account)
	return x
}

// AddKey reads a key.
func AddKey(r *Request) engine.Command {
	x := &engine.AddKey{}
	r.Into("sha256", true, &x.Key.SHA256)
	x.Key.Principal = r.Text("principal", MaxName)
	r.Into("account", false, &x.Key.Account)
	roles, err := engine.ParseRoles(r.Texts("roles", true, maxMembers, MaxName))
	if err != nil {
		r.Fail("roles: %s", ClipText(err.Error()))
	}
	x.Key.Roles = roles
	x.Key.ExpiresAt, x.Key.Identity = r.Moment("expires_at", false), r.Bool("identity")
	x.Key.ID = r.Optional("id", maxWord)
	return x
}

// RevokeKey reads nothing but the path.
func RevokeKey(r *Request) engine.Command {
	x := &engine.RevokeKey{}
	r.ID("sha256", &x.SHA256)
	return x
}

// OpenMarket reads a market.
func OpenMarket(r *Request) engine.Command {
	x := &engine.OpenMarket{
		Template: r.Text("template", MaxTemplate), Title: r.Text("title", MaxText), Liquidity: r.micros("liquidity_micros"),
		Price: engine.Price(r.Int64("price_micros", false)), Outcomes: r.Texts("outcomes", false, engine.MaxOutcomes, MaxReason),
		Min: r.Int64("min", false), Max: r.Int64("max", false), CloseAt: r.Moment("close_at", false), Draft: r.Bool("draft"),
	}
	for _, p := range r.Numbers("prices_micros", engine.MaxOutcomes) {
		x.Prices = append(x.Prices, engine.Price(p))
	}
	r.Into("creator", true, &x.Creator)
	allow, deny := r.groups("allow_groups", engine.MaxMarketGroups), r.groups("deny_groups", engine.MaxMarketGroups)
	if len(allow)+len(deny) > 0 {
		return &engine.OpenMarketFor{Market: *x, Allow: allow, Deny: deny}
	}
	return x
}

// groups reads names of groups and brings them into the engine's order.
func (f *Form) groups(name string, limit int) []string {
	list := f.Texts(name, false, limit, MaxName)
	slices.Sort(list)
	return slices.Compact(list)
}

// SetMarketGroups reads who may trade a market.
func SetMarketGroups(r *Request) engine.Command {
	return &engine.SetMarketGroups{
		Market: r.market(), Allow: r.groups("allow_groups", engine.MaxMarketGroups), Deny: r.groups("deny_groups", engine.MaxMarketGroups),
	}
}

// SetAccountGroups reads all groups that an operator gives an account.
func SetAccountGroups(r *Request) engine.Command {
	if !r.Given("groups") { // that it is missing must not let somebody trade
		r.Fail("groups is missing")
	}
	x := &engine.SetAccountGroups{Groups: r.groups("groups", engine.MaxAccountGroups)}
	r.ID("account", &x.Account)
	return x
}

// ActivateMarket reads nothing but the path.
func ActivateMarket(r *Request) engine.Command { return &engine.ActivateMarket{Market: r.market()} }

// PauseMarket reads whether the orders go, too.
func PauseMarket(r *Request) engine.Command {
	return &engine.PauseMarket{Market: r.market(), CancelOrders: r.Bool("cancel_orders")}
}

// ResumeMarket reads nothing but the path.
func ResumeMarket(r *Request) engine.Command { return &engine.ResumeMarket{Market: r.market()} }

// ReopenMarket reads nothing but the path.
func ReopenMarket(r *Request) engine.Command { return &engine.ReopenMarket{Market: r.market()} }

// ChangeClose reads a time, or that there is none.
func ChangeClose(r *Request) engine.Command {
	return &engine.ChangeClose{Market: r.market(), CloseAt: r.Moment("close_at", false)}
}

// CloseMarket reads nothing but the path.
func CloseMarket(r *Request) engine.Command { return &engine.CloseMarket{Market: r.market()} }

// CancelMarket reads how a market ends, with evidence.
func CancelMarket(r *Request) engine.Command {
	x := &engine.CancelMarket{Market: r.market()}
	r.Into("kind", true, &x.Kind)
	x.EvidenceURI, x.EvidenceSHA256 = r.evidence("evidence_sha256")
	return x
}

// truth reads an outcome or, of a scalar market, a value.
func (f *Form) truth() (o engine.Outcome, value int64) {
	value = f.Int64("value", false)
	if o = engine.Long; !f.Given("value") || f.Given("outcome") {
		f.Into("outcome", true, &o)
	}
	f.know("outcome")
	return o, value
}

// ProposeResolution reads the truth with its evidence.
func ProposeResolution(r *Request) engine.Command {
	x := &engine.ProposeResolution{Market: r.market(), EffectiveAt: r.Moment("effective_at", false)}
	x.Outcome, x.Value = r.truth()
	x.EvidenceURI, x.EvidenceSHA256 = r.evidence("evidence_sha256")
	r.Into("rule_sha256", false, &x.RuleSHA256)
	return x
}

// ApproveResolution reads nothing but the path.
func ApproveResolution(r *Request) engine.Command {
	return &engine.ApproveResolution{Market: r.market()}
}

// RejectResolution reads nothing but the path.
func RejectResolution(r *Request) engine.Command { return &engine.RejectResolution{Market: r.market()} }

// DisputeResolution reads evidence. A key that may dispute as a trader only speaks
// for its account, every other one ex officio.
func DisputeResolution(r *Request) engine.Command {
	x := &engine.DisputeResolution{Market: r.market()}
	if !r.Roles.Has(engine.RoleResolver | engine.RoleModerator | engine.RoleOperator | engine.RoleAdmin) {
		x.Account = r.Account
	}
	x.EvidenceURI, x.EvidenceSHA256 = r.evidence("evidence_sha256")
	return x
}

// ReportFact reads the truth as a reporter saw it, or that there is none.
func ReportFact(r *Request) engine.Command {
	x := &engine.ReportFact{Market: r.market(), ObservedAt: r.Moment("observed_at", true)}
	r.Into("cancel", false, &x.Cancel)
	switch named := r.Given("outcome") || r.Given("value"); {
	case named && r.Given("cancel"):
		r.Fail("cancel goes with neither outcome nor value")
	case named:
		x.Outcome, x.Value = r.truth()
	case r.Given("cancel"):
		x.Outcome = engine.None
		r.know("outcome")
		r.know("value")
	default:
		r.Fail("outcome is missing, and so are value and cancel")
	}
	x.EvidenceURI, x.FactsSHA256 = r.evidence("facts_sha256")
	r.Into("rule_sha256", true, &x.RuleSHA256)
	return x
}

// SplitSets reads an amount.
func SplitSets(r *Request) engine.Command {
	return &engine.SplitSets{Account: r.Account, Market: r.market(), Amount: r.micros("amount_micros")}
}

// MergeSets reads an amount.
func MergeSets(r *Request) engine.Command {
	return &engine.MergeSets{Account: r.Account, Market: r.market(), Amount: r.micros("amount_micros")}
}

// AddLiquidity reads an amount.
func AddLiquidity(r *Request) engine.Command {
	return &engine.AddLiquidity{Account: r.Account, Market: r.market(), Amount: r.micros("amount_micros")}
}

// RemoveLiquidity reads how many units go.
func RemoveLiquidity(r *Request) engine.Command {
	return &engine.RemoveLiquidity{Account: r.Account, Market: r.market(), Units: engine.Shares(r.Int64("units_micros", true))}
}

// Moderate reads what a moderator does, with evidence.
func Moderate(r *Request) engine.Command {
	x := &engine.Moderate{Until: r.Moment("until", false), Abuse: engine.Seq(r.Positive("abuse"))}
	r.Into("action", true, &x.Action)
	r.Into("account", false, &x.Account)
	x.EvidenceURI, x.EvidenceSHA256 = r.evidence("evidence_sha256")
	return x
}

// UndoModeration reads which act is taken back.
func UndoModeration(r *Request) engine.Command {
	return &engine.UndoModeration{Decision: engine.Seq(r.Uint64("decision", true))}
}

// SetMode reads a mode and why.
func SetMode(r *Request) engine.Command {
	x := &engine.SetMode{Reason: r.Text("reason", MaxReason)}
	r.Into("mode", true, &x.Mode)
	return x
}

// SetDeadlines reads whether deadlines are held, and why.
func SetDeadlines(r *Request) engine.Command {
	if !r.Given("held") { // that it is missing must not let what cannot be undone go on
		r.Fail("held is missing")
	}
	return &engine.SetDeadlines{Held: r.Bool("held"), Reason: r.Text("reason", MaxReason)}
}

// UpgradeEngine reads a version of the rules.
func UpgradeEngine(r *Request) engine.Command {
	n := r.Int64("version", true)
	if n < 0 || n > math.MaxUint32 {
		r.Fail("version lies in 0..%d", uint32(math.MaxUint32))
	}
	return &engine.UpgradeEngine{Version: uint32(n)}
}

// RollbackPolicy reads nothing.
func RollbackPolicy(*Request) engine.Command { return &engine.RollbackPolicy{} }
