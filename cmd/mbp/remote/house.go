package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
)

// maxDocument bounds a template or policy that is read from a file.
const maxDocument = 64 << 10

// ReadDocument reads a file that is one JSON document, with no members but those
// of T.
func ReadDocument[T any](name string) (v T, err error) {
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
			t, err := ReadDocument[engine.Template](args[0])
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
