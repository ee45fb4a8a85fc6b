package remote

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mbp-market/mbp/cmd/mbp/exact"
	"github.com/mbp-market/mbp/cmd/mbp/rules"
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
	"github.com/mbp-market/mbp/engine/resolver"
)

// byRule is what a rule makes of facts, for verbs that say what is true.
type byRule struct {
	rule, facts string
	params      []string
}

func (r *byRule) bind(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&r.rule, "rule", "", "rule document, a YAML `file`: it decides on the facts")
	f.StringVar(&r.facts, "facts", "", "facts document, a JSON `file`")
	f.StringArrayVar(&r.params, "param", nil, "a parameter of the rule, as `name=value`")
	cmd.MarkFlagsRequiredTogether("rule", "facts")
}

// truth is what holds of a market, by whom and from what.
type truth struct {
	outcome     engine.Outcome
	value       int64
	cancel      engine.CancelKind // then there is no outcome
	rule, facts engine.Digest
	observed    engine.Time
	uri         string
}

// decide lets the rule judge the facts for a market. The evidence is at uri, or
// where the facts say.
func (r *byRule) decide(ctx context.Context, cl *client.Client, id engine.MarketID, uri string) (truth, error) {
	p, err := rules.Load(r.rule)
	if err != nil {
		return truth{}, err
	}
	facts, err := rules.Facts(r.facts)
	if err != nil {
		return truth{}, err
	}
	m, err := cl.Market(ctx, id)
	if err != nil {
		return truth{}, err
	}
	asked := resolver.Market{ID: id.String(), Min: m.Min, Max: m.Max}
	if m.CloseAt != nil {
		asked.Close = int64(*m.CloseAt)
	}
	if asked.Params, err = rules.Params(r.params); err != nil {
		return truth{}, err
	}
	if k := p.Rule().Kind; k != m.Kind.String() {
		return truth{}, usage(fmt.Errorf("%s is a rule for %s markets, and %s is %s", r.rule, k, id, m.Kind))
	}
	f, err := p.Evaluate(ctx, facts, asked, time.Now().UnixMicro())
	if err != nil {
		return truth{}, err
	}
	found, err := resolver.Propose(f, uri)
	if err != nil {
		return truth{}, err
	}
	t := truth{value: found.Value, rule: found.RuleSHA256, facts: found.FactsSHA256, observed: engine.Time(f.ObservedAt), uri: found.EvidenceURI}
	if found.Cancel != "" {
		t.outcome = engine.None
		return t, t.cancel.UnmarshalText([]byte(found.Cancel))
	}
	t.outcome, err = named(m, found.Outcome)
	return t, err
}

// named returns the outcome that a rule names: by its label in a categorical
// market.
func named(m *client.Market, word string) (engine.Outcome, error) {
	if m.Kind == engine.Scalar {
		return engine.Long, nil
	}
	for _, o := range m.Outcomes {
		if o.Outcome.String() == word && m.Kind == engine.Binary || o.Label == word && m.Kind == engine.Categorical {
			return o.Outcome, nil
		}
	}
	return 0, usage(fmt.Errorf("the rule names the outcome %q, which %s does not have", word, m.Market.Market))
}

// proposeFlags are what market propose is told.
type proposeFlags struct {
	engine.ProposeResolution
	evidence
	byRule
	value exact.Value
}

func (p *proposeFlags) bind(cmd *cobra.Command) {
	f := cmd.Flags()
	wordVar(f, &p.Outcome, "outcome", "YES or NO, or O1, O2, … of a categorical `market`")
	f.Var(&p.value, "value", "the `value` of a scalar market")
	wordVar(f, &p.EffectiveAt, "effective-at", "void what was traded after this `time`, RFC 3339")
	p.evidence.bind(cmd)
	p.byRule.bind(cmd)
	cmd.MarkFlagsOneRequired("outcome", "value", "rule")
	cmd.MarkFlagsMutuallyExclusive("outcome", "value", "rule")
	cmd.MarkFlagsMutuallyExclusive("evidence", "evidence-sha256", "rule")
	choices(cmd, "outcome", "YES", "NO")
}

// proposal is the command that the flags ask for; valued says that --value was
// given, which may be zero.
func (p *proposeFlags) proposal(ctx context.Context, cl *client.Client, id engine.MarketID, valued bool) (engine.ProposeResolution, error) {
	x := p.ProposeResolution
	x.Market = id
	if p.rule != "" {
		t, err := p.decide(ctx, cl, id, p.uri)
		if err == nil && t.cancel != 0 {
			err = fmt.Errorf("the rule gives the market no outcome: mbp market cancel %s --kind %s", id, wordOf(t.cancel))
		}
		x.Outcome, x.Value, x.EvidenceURI, x.EvidenceSHA256, x.RuleSHA256 = t.outcome, t.value, t.uri, t.facts, t.rule
		return x, err
	}
	if valued {
		x.Outcome, x.Value = engine.Long, int64(p.value)
	}
	var err error
	x.EvidenceURI, x.EvidenceSHA256, err = p.read()
	if err == nil && (x.EvidenceURI == "" || x.EvidenceSHA256 == engine.Digest{}) {
		err = usage(errors.New("say where the evidence is (--evidence-uri), and --evidence or --evidence-sha256"))
	}
	return x, err
}

func marketProposeCommand(c *Connection) *cobra.Command {
	p := &proposeFlags{}
	var cmd *cobra.Command
	cmd = c.onMarket("propose", "Name the outcome with its evidence; trading halts",
		func(cl *client.Client, ctx context.Context, id engine.MarketID, calls ...client.Call) (*client.Decision, error) {
			x, err := p.proposal(ctx, cl, id, cmd.Flags().Changed("value"))
			if err != nil {
				return nil, err
			}
			return cl.Propose(ctx, x, calls...)
		})
	cmd.Use = "propose MARKET (--outcome OUTCOME | --value VALUE | --rule FILE --facts FILE)"
	cmd.Long = `Name the outcome of a market, or the value of a scalar one, with its evidence.
Trading halts; another principal must approve, and the template may give a window
for disputes.

With --rule a rule document judges a facts document, on this machine: it names the
outcome, the facts say where the evidence is, and the digests of both go into the
proposal.

With --effective-at the market ends as if trading had stopped then: what was
traded later is undone, as far back as the template remembers.`
	cmd.Example = `  mbp market propose mkt_1 --outcome YES --evidence-uri https://example.org/report.pdf --evidence report.pdf
  mbp market propose mkt_2 --value 2.4 --evidence-uri https://example.org/cpi.csv --evidence cpi.csv
  mbp market propose mkt_1 --rule match.yaml --facts facts.json
  MBP_KEY_FILE=second.key mbp market approve mkt_1`
	p.bind(cmd)
	return cmd
}

func marketReportCommand(c *Connection) *cobra.Command {
	r, e := &byRule{}, ""
	cmd := c.onMarket("report", "Report facts as one of the reporters that the template names",
		func(cl *client.Client, ctx context.Context, id engine.MarketID, calls ...client.Call) (*client.Decision, error) {
			t, err := r.decide(ctx, cl, id, e)
			if err != nil {
				return nil, err
			}
			return cl.Report(ctx, engine.ReportFact{
				Market: id, Outcome: t.outcome, Value: t.value, Cancel: t.cancel, ObservedAt: t.observed, EvidenceURI: t.uri, RuleSHA256: t.rule, FactsSHA256: t.facts,
			}, calls...)
		})
	cmd.Use = "report MARKET --rule FILE --facts FILE"
	cmd.Long = `Report what a rule makes of facts, as one of the reporters that the market's
template names. When as many agree as the template wants, the outcome is proposed;
or, where the rule gives the market none, that it is cancelled.`
	cmd.Example = "  mbp market report mkt_1 --rule match.yaml --facts facts.json"
	r.bind(cmd)
	cmd.Flags().StringVar(&e, "evidence-uri", "", "where the evidence is published; by default where the facts say")
	_ = cmd.MarkFlagRequired("rule") // the flag is there, and brings the other
	return cmd
}

func marketDisputeCommand(c *Connection) *cobra.Command {
	e := &evidence{}
	cmd := c.onMarket("dispute", "Object to the proposed outcome within its window",
		func(cl *client.Client, ctx context.Context, id engine.MarketID, calls ...client.Call) (*client.Decision, error) {
			uri, digest, err := e.read()
			if err != nil {
				return nil, err
			}
			return cl.Dispute(ctx, engine.DisputeResolution{Market: id, EvidenceURI: uri, EvidenceSHA256: digest}, calls...)
		})
	cmd.Long = `Object to the proposed outcome within its window, once for a market. The account of
a trader's key has to hold shares or liquidity of it. The market then waits for
another proposal, which stands, and cannot be disputed, if one principal more than
needed is behind it.`
	cmd.Example = "  mbp market dispute mkt_1 --evidence-uri https://example.org/other.pdf --evidence other.pdf"
	e.bind(cmd)
	e.require(cmd)
	return cmd
}

func marketCancelCommand(c *Connection) *cobra.Command {
	e := &evidence{}
	var kind engine.CancelKind
	cmd := c.onMarket("cancel", "End a market without an outcome",
		func(cl *client.Client, ctx context.Context, id engine.MarketID, calls ...client.Call) (*client.Decision, error) {
			uri, digest, err := e.read()
			if err != nil {
				return nil, err
			}
			return cl.CancelMarket(ctx, engine.CancelMarket{Market: id, Kind: kind, EvidenceURI: uri, EvidenceSHA256: digest}, calls...)
		})
	cmd.Use = "cancel MARKET --kind price|refund"
	cmd.Long = `End a market without an outcome:

  price   every share pays the last average price of its outcome
  refund  who paid in more than they got out is paid back, as far as it goes`
	cmd.Example = "  mbp market cancel mkt_1 --kind refund --evidence-uri https://example.org/called-off.html --evidence called-off.html"
	wordVar(cmd.Flags(), &kind, "kind", "`how` holders are paid: price or refund")
	_ = cmd.MarkFlagRequired("kind") // the flag is there
	choices(cmd, "kind", "price", "refund")
	e.bind(cmd)
	e.require(cmd)
	return cmd
}

// ResolveCommand gathers what resolves a market; the verbs are those of `mbp
// market`.
func ResolveCommand() *cobra.Command {
	c := &Connection{}
	cmd := &cobra.Command{
		Use:   "resolve",
		Short: "Resolve markets: propose an outcome, approve, dispute",
		Long: `Resolve markets: one principal proposes the outcome with its evidence, another one
approves; within the window that the template gives, who holds something of the
market may dispute. The same verbs are below mbp market.`,
	}
	c.Bind(cmd)
	cmd.AddCommand(
		marketProposeCommand(c), marketApproveCommand(c), marketRejectCommand(c), marketDisputeCommand(c), marketReportCommand(c), marketCancelCommand(c),
	)
	for _, sub := range cmd.Commands() {
		sub.Example = strings.ReplaceAll(sub.Example, "mbp market ", "mbp resolve ")
	}
	return cmd
}

func marketApproveCommand(c *Connection) *cobra.Command {
	return c.onMarket("approve", "Accept the proposed outcome; needs another principal than the proposer", (*client.Client).Approve)
}

func marketRejectCommand(c *Connection) *cobra.Command {
	return c.onMarket("reject", "Drop the proposed outcome; the market is paused or closed then", (*client.Client).Reject)
}
