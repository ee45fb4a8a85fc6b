package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
)

// maxDocument bounds a template or policy that is read from a file.
const maxDocument = 64 << 10

// readDocument reads a file that is one JSON document, with no members but those
// of T.
func readDocument[T any](name string) (v T, err error) {
	f, err := os.Open(name)
	if err != nil {
		return v, usage(err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxDocument+1))
	if err != nil {
		return v, usage(fmt.Errorf("read %s: %w", name, err))
	}
	if len(b) > maxDocument {
		return v, usage(fmt.Errorf("%s has more than %d bytes", name, maxDocument))
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		return v, usage(fmt.Errorf("%s: %w", name, err))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return v, usage(fmt.Errorf("%s goes on after its document", name))
	}
	return v, nil
}

func templateCommand() *cobra.Command {
	c := &Connection{}
	cmd := &cobra.Command{Use: "template", Short: "List and register market templates"}
	c.Bind(cmd)
	list := &cobra.Command{
		Use: "list", Short: "List every template version", Args: cobra.NoArgs,
		RunE: verb(c, func(ctx context.Context, cl *client.Client, _ []string) (*client.TemplateList, error) {
			return cl.Templates(ctx)
		}, showTemplates),
	}
	put := &cobra.Command{
		Use: "put FILE", Short: "Register a template version from a JSON document", Args: cobra.ExactArgs(1),
		Long:    "Register a template version. Versions never change: a change is a new version.\nThe document is an element of `mbp template list --json`.",
		Example: `  mbp template put binary-2.json`,
		RunE: verb(c, func(ctx context.Context, cl *client.Client, args []string) (*client.Decision, error) {
			t, err := readDocument[engine.Template](args[0])
			if err != nil {
				return nil, err
			}
			return cl.AddTemplate(ctx, t, c.calls()...)
		}, showDecision),
	}
	c.bindKey(put)
	cmd.AddCommand(list, put)
	return cmd
}

func policyCommand() *cobra.Command {
	c := &Connection{}
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Show and change the limits of the whole platform",
		Long: `Show and change the bundle of limits of the whole platform: order rates,
capacities, and when abuse is raised. A change is a decision, and the bundle
before can be put back.`,
	}
	c.Bind(cmd)
	show := &cobra.Command{
		Use: "show", Short: "Show the bundle in force", Args: cobra.NoArgs,
		Example: "  mbp policy show --json | jq .policy > policy.json",
		RunE: verb(c, func(ctx context.Context, cl *client.Client, _ []string) (*client.Policy, error) {
			return cl.Policy(ctx)
		}, showPolicy),
	}
	set := &cobra.Command{
		Use: "set FILE", Short: "Put another bundle in force, from a JSON document", Args: cobra.ExactArgs(1),
		Long:    "Put another bundle in force. The document is the policy of `mbp policy show --json`,\nwith every limit in it.",
		Example: "  mbp policy set policy.json",
		RunE: verb(c, func(ctx context.Context, cl *client.Client, args []string) (*client.Decision, error) {
			p, err := readDocument[engine.Policy](args[0])
			if err != nil {
				return nil, err
			}
			return cl.SetPolicy(ctx, p, c.calls()...)
		}, showDecision),
	}
	rollback := &cobra.Command{
		Use: "rollback", Short: "Put the bundle before back in force", Args: cobra.NoArgs,
		RunE: verb(c, func(ctx context.Context, cl *client.Client, _ []string) (*client.Decision, error) {
			return cl.RollbackPolicy(ctx, c.calls()...)
		}, showDecision),
	}
	c.bindKey(set, rollback)
	cmd.AddCommand(show, set, rollback)
	return cmd
}

func modeCommand() *cobra.Command {
	c := &Connection{}
	reason := ""
	cmd := &cobra.Command{
		Use:   "mode normal|lite|shed|read_only --reason TEXT",
		Short: "Change how much of its service the platform gives",
		Long: `Change how much of its service the platform gives:

  normal     all of it
  lite       streams tell once in a while where prices and books stand
  shed       the same, and less reading and trading is admitted; to cancel is not
  read_only  nothing trades; orders can still be cancelled

mbp policy show says which mode it is.`,
		Example: "  mbp mode read_only --reason 'disk of the journal is being replaced'",
		Args:    cobra.ExactArgs(1),
		RunE: verb(c, func(ctx context.Context, cl *client.Client, args []string) (*client.Decision, error) {
			m, err := idArg[engine.Mode](args)
			if err != nil {
				return nil, err
			}
			return cl.SetMode(ctx, m, reason, c.calls()...)
		}, showDecision),
	}
	complete(cmd, these("normal", "lite", "shed", "read_only"))
	c.Bind(cmd)
	c.bindKey(cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "why, one line of at most 128 bytes")
	_ = cmd.MarkFlagRequired("reason") // the flag is there
	return cmd
}

func clockCommand() *cobra.Command {
	c := &Connection{}
	cmd := &cobra.Command{Use: "clock", Short: "Hold deadlines, or confirm the time and let them go on"}
	c.Bind(cmd)
	add := func(use, short, long, example string, held bool) {
		reason := ""
		sub := &cobra.Command{
			Use: use + " --reason TEXT", Short: short, Long: long, Example: example, Args: cobra.NoArgs,
			RunE: verb(c, func(ctx context.Context, cl *client.Client, _ []string) (*client.Decision, error) {
				return cl.SetDeadlines(ctx, held, reason, c.calls()...)
			}, showDecision),
		}
		sub.Flags().StringVar(&reason, "reason", "", "why, one line of at most 128 bytes")
		_ = sub.MarkFlagRequired("reason") // the flag is there
		c.bindKey(sub)
		cmd.AddCommand(sub)
	}
	add("hold", "Hold deadlines: nothing happens because a time has come", `Hold deadlines: nothing expires, closes, reopens, becomes final or is overdue until
somebody confirms the time. Trading goes on. An order whose time is over stays in the
book and can be met.`, "  mbp clock hold --reason 'the time server is being replaced'", true)
	add("confirm", "Confirm that the server's clock is right, and let deadlines go on", `Confirm that the server's wall clock is right. Engine time goes on with it, and what
is due by then happens at once, in order, and cannot be taken back: first see what
time it is (mbp house show tells engine time, date -u on the server the wall clock).`, "  mbp clock confirm --reason 'compared with two time servers'", false)
	return cmd
}

func houseCommand() *cobra.Command {
	c := &Connection{}
	cmd := &cobra.Command{Use: "house", Short: "Show how the platform as a whole stands, and upgrade its rules"}
	c.Bind(cmd)
	show := &cobra.Command{
		Use: "show", Short: "Show mode, rules, and where all credits are", Args: cobra.NoArgs,
		Long: `Show mode, rules, and where all credits are. What was issued is what traders have,
what markets hold as collateral, fees and the dust of rounding, and what is the
income of the house.`,
		RunE: verb(c, func(ctx context.Context, cl *client.Client, _ []string) (*client.House, error) {
			return cl.House(ctx)
		}, showHouse),
	}
	upgrade := &cobra.Command{
		Use: "upgrade VERSION", Short: "Let the rules of another version decide from now on", Args: cobra.ExactArgs(1),
		Long: `Let the rules of another version decide from now on. There is no way back: first
run a binary that knows the rules everywhere (mbp house show says which it knows).`,
		Example: "  mbp house upgrade 2",
		RunE: verb(c, func(ctx context.Context, cl *client.Client, args []string) (*client.Decision, error) {
			v, err := strconv.ParseUint(args[0], 10, 32)
			if err != nil {
				return nil, usage(fmt.Errorf("%q is not a version of the rules", args[0]))
			}
			return cl.UpgradeEngine(ctx, uint32(v), c.calls()...)
		}, showDecision),
	}
	c.bindKey(upgrade)
	cmd.AddCommand(show, upgrade)
	return cmd
}

func moderateCommand() *cobra.Command {
	c := &Connection{}
	cmd := &cobra.Command{
		Use:   "moderate",
		Short: "Limit and freeze accounts, dismiss abuse events, and undo it",
		Long: `Act on accounts and abuse events, with evidence. Each act is a decision, and its
sequence is what undo takes. Markets are paused by mbp market pause.`,
	}
	c.Bind(cmd)
	undo := &cobra.Command{
		Use: "undo SEQ", Short: "Take an act of moderation back", Args: cobra.ExactArgs(1),
		Example: "  mbp moderate undo 1207",
		RunE: verb(c, func(ctx context.Context, cl *client.Client, args []string) (*client.Decision, error) {
			seq, err := seqArg(args)
			if err != nil {
				return nil, err
			}
			return cl.UndoModeration(ctx, seq, c.calls()...)
		}, showDecision),
	}
	c.bindKey(undo)
	cmd.AddCommand(moderateLimitCommand(c), moderateFreezeCommand(c), moderateDismissCommand(c), undo)
	return cmd
}

func moderateLimitCommand(c *Connection) *cobra.Command {
	e, x := &evidence{}, engine.Moderate{Action: engine.LimitAccount}
	var span time.Duration
	cmd := &cobra.Command{
		Use: "limit ACCOUNT (--until TIME | --for DURATION)", Short: "Let an account place no orders until a time", Args: cobra.ExactArgs(1),
		Example: "  mbp moderate limit acc_7 --for 24h --evidence-uri https://example.org/case-12 --evidence case-12.txt",
		RunE: verb(c, func(ctx context.Context, cl *client.Client, args []string) (*client.Decision, error) {
			var err error
			if x.Account, err = idArg[engine.AccountID](args); err != nil {
				return nil, err
			}
			if span > 0 {
				x.Until = engine.Time(time.Now().Add(span).UnixMicro())
			}
			if x.EvidenceURI, x.EvidenceSHA256, err = e.read(); err != nil {
				return nil, err
			}
			return cl.Moderate(ctx, x, c.calls()...)
		}, showDecision),
	}
	f := cmd.Flags()
	wordVar(f, &x.Until, "until", "until this `time`, RFC 3339")
	f.DurationVar(&span, "for", 0, "for this long, such as 24h")
	cmd.MarkFlagsOneRequired("until", "for")
	cmd.MarkFlagsMutuallyExclusive("until", "for")
	e.bind(cmd)
	e.require(cmd)
	c.bindKey(cmd)
	return cmd
}

func moderateFreezeCommand(c *Connection) *cobra.Command {
	e := &evidence{}
	cmd := &cobra.Command{
		Use: "freeze ACCOUNT", Short: "Let an account place no orders until that is undone; it may still cancel", Args: cobra.ExactArgs(1),
		Example: "  mbp moderate freeze acc_7 --evidence-uri https://example.org/case-12 --evidence case-12.txt",
		RunE: verb(c, func(ctx context.Context, cl *client.Client, args []string) (*client.Decision, error) {
			x := engine.Moderate{Action: engine.Freeze}
			var err error
			if x.Account, err = idArg[engine.AccountID](args); err != nil {
				return nil, err
			}
			if x.EvidenceURI, x.EvidenceSHA256, err = e.read(); err != nil {
				return nil, err
			}
			return cl.Moderate(ctx, x, c.calls()...)
		}, showDecision),
	}
	e.bind(cmd)
	e.require(cmd)
	c.bindKey(cmd)
	return cmd
}

func moderateDismissCommand(c *Connection) *cobra.Command {
	e := &evidence{}
	cmd := &cobra.Command{
		Use: "dismiss SEQ", Short: "Say that the abuse event of a decision was a false alarm", Args: cobra.ExactArgs(1),
		Example: "  mbp moderate dismiss 1190 --evidence-uri https://example.org/case-12 --evidence case-12.txt",
		RunE: verb(c, func(ctx context.Context, cl *client.Client, args []string) (*client.Decision, error) {
			x := engine.Moderate{Action: engine.DismissAbuse}
			var err error
			if x.Abuse, err = seqArg(args); err != nil {
				return nil, err
			}
			if x.EvidenceURI, x.EvidenceSHA256, err = e.read(); err != nil {
				return nil, err
			}
			return cl.Moderate(ctx, x, c.calls()...)
		}, showDecision),
	}
	e.bind(cmd)
	e.require(cmd)
	c.bindKey(cmd)
	return cmd
}
