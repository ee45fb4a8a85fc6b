package offline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/mbp-market/mbp/cmd/mbp/exact"
	"github.com/mbp-market/mbp/cmd/mbp/exit"
	"github.com/mbp-market/mbp/cmd/mbp/rules"
	"github.com/mbp-market/mbp/engine/resolver"
)

// RuleCommand checks resolution rules.
func RuleCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rule",
		Short: "Check resolution rules, and say what they make of facts",
		Long: `Look at rule documents: YAML that says which facts are needed, from where, and
what outcome follows. Nothing is sent to a server.

Exit codes: 0 done, 1 a rule has faults or the facts decide nothing, 2 wrong usage.`,
	}
	cmd.AddCommand(ruleCheckCommand(), ruleEvaluateCommand())
	return cmd
}

func ruleCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "check FILE...",
		Short:   "Check and compile rules, and print their hashes",
		Example: "  mbp rule check rules/*.yaml",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			var faults []error
			for _, f := range files {
				p, err := rules.Load(f)
				if err != nil {
					faults = append(faults, err)
					continue
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s  %s@%s  %s\n", p.Hash(), p.Rule().ID, p.Rule().Version, f)
			}
			return errors.Join(faults...)
		},
	}
}

// evaluation is what `mbp rule evaluate` was told.
type evaluation struct {
	source, facts, table string
	params               []string
	market, closes, at   string
	min, max             exact.Value
	asJSON               bool
}

func ruleEvaluateCommand() *cobra.Command {
	x := &evaluation{}
	cmd := &cobra.Command{
		Use:   "evaluate FILE",
		Short: "Say what a rule makes of facts",
		Long: `Say what a rule makes of the facts of one of its sources: a facts document
(--facts), the file of a table source (--table), or the answers of an endpoint
source, which are fetched over https. Undecided facts end with exit code 1 and the
reason.`,
		Example: `  mbp rule evaluate match.yaml --source referee --facts facts.json
  mbp rule evaluate rate.yaml --source bank --min 0 --max 10 --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return x.run(cmd.Context(), args[0], cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.StringVar(&x.source, "source", "", "`name` of the source; the only one by default")
	f.StringVar(&x.facts, "facts", "", "facts document, a JSON `file`")
	f.StringVar(&x.table, "table", "", "`file` of a table source")
	f.StringArrayVar(&x.params, "param", nil, "a parameter of the rule, as `name=value`")
	f.StringVar(&x.market, "market", "", "`id` of the market, for rules that ask")
	f.StringVar(&x.closes, "close", "", "close `time` of the market, RFC 3339")
	f.StringVar(&x.at, "at", "", "`time` of the evaluation, RFC 3339; now by default")
	f.Var(&x.min, "min", "lower `end` of a scalar market")
	f.Var(&x.max, "max", "upper `end` of a scalar market")
	f.BoolVar(&x.asJSON, "json", false, "print the finding as JSON")
	return cmd
}

func (x *evaluation) run(ctx context.Context, path string, stdout io.Writer) error {
	p, err := rules.Load(path)
	if err != nil {
		return err
	}
	m, now, err := x.context()
	if err != nil {
		return exit.BadUsage(err)
	}
	facts, err := x.read(ctx, p, m, now)
	if err != nil {
		return err
	}
	finding, err := p.Evaluate(ctx, facts, m, now)
	if err != nil {
		return err
	}
	switch {
	case x.asJSON:
		err = json.NewEncoder(stdout).Encode(finding)
	case finding.Decided && finding.Cancel != "":
		_, err = fmt.Fprintf(stdout, "cancel by %s: %s\n", finding.Cancel, finding.Reason)
	case finding.Decided && p.Rule().Kind == resolver.Scalar:
		_, err = fmt.Fprintf(stdout, "value %s: %s\n", exact.Format(finding.Value), finding.Reason)
	case finding.Decided:
		_, err = fmt.Fprintf(stdout, "outcome %s: %s\n", finding.Outcome, finding.Reason)
	}
	if err == nil && !finding.Decided {
		return fmt.Errorf("undecided: %s", finding.Reason)
	}
	return err
}

// context is what the rule may know of market and time.
func (x *evaluation) context() (resolver.Market, int64, error) {
	m := resolver.Market{ID: x.market, Min: int64(x.min), Max: int64(x.max)}
	now := time.Now()
	var err error
	if m.Params, err = rules.Params(x.params); err != nil {
		return m, 0, err
	}
	for _, t := range []struct {
		text string
		set  func(time.Time)
	}{{x.closes, func(t time.Time) { m.Close = t.UnixMicro() }}, {x.at, func(t time.Time) { now = t }}} {
		if t.text == "" {
			continue
		}
		v, err := time.Parse(time.RFC3339Nano, t.text)
		if err != nil {
			return m, 0, fmt.Errorf("%q is not an RFC 3339 time: %w", t.text, err)
		}
		t.set(v)
	}
	return m, now.UnixMicro(), nil
}

// read makes the facts document of the source.
func (x *evaluation) read(ctx context.Context, p *resolver.Program, m resolver.Market, now int64) ([]byte, error) {
	sources := p.Rule().Sources
	var s *resolver.Source
	for i := range sources {
		if sources[i].Name == x.source || x.source == "" && len(sources) == 1 {
			s = &sources[i]
		}
	}
	switch {
	case s == nil:
		return nil, exit.BadUsage(fmt.Errorf("--source names none of the rule's %d sources", len(sources)))
	case x.facts != "":
		return rules.Facts(x.facts)
	case s.Type == resolver.TypeEndpoint:
		return p.Endpoint(ctx, s.Name, resolver.HTTP(resolver.FetchConfig{}), m, now)
	case s.Type == resolver.TypeTable && x.table != "":
		b, err := rules.Table(x.table)
		if err != nil {
			return nil, err
		}
		return p.Table(s.Name, b, m)
	}
	return nil, exit.BadUsage(fmt.Errorf("source %s is of type %s: give --facts or --table", s.Name, s.Type))
}
