// Package hook is the verbs of mbp that register webhooks and look after them, and the
// one that tells whether a request came from the server.
//
// It promises that a secret is written once, to a new file of its owner alone or to the
// terminal, and is never taken from the command line, where other users of the machine
// see it; each answer can be had as lines for people or as the server's JSON.
//
// It refuses to deliver and to receive: the server does the one, docs/examples/receiver
// shows the other. The form is that of the Standard Webhooks specification.
package hook

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mbp-market/mbp/cmd/mbp/exit"
	"github.com/mbp-market/mbp/cmd/mbp/machine"
	"github.com/mbp-market/mbp/cmd/mbp/remote"
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
	"github.com/mbp-market/mbp/engine/webhook/sign"
)

// maxSaved bounds a saved request; a message has some 300 kB at most.
const maxSaved = 1 << 20

// desk is what the verbs have in common.
type desk struct{ remote.Connection }

// Command is webhook with its verbs.
func Command() *cobra.Command {
	d := &desk{}
	cmd := &cobra.Command{
		Use:   "webhook",
		Short: "Tell endpoints of others what is decided",
		Long: `Register endpoints that the server tells, by signed POST requests, of trades and of
what happens to markets: at least once, in the order of decisions. What is not taken
waits in the journal; an endpoint that takes nothing for about an hour and a half
fails, and goes on from there once it is resumed.

A receiver checks each request with its secret: see docs/examples/receiver, or
mbp webhook verify for one that was saved.`,
	}
	d.Bind(cmd)
	cmd.AddCommand(d.add(), d.list(), d.show(), verify())
	change := func(use, short, example string, do func(*client.Client, context.Context, engine.WebhookID, ...client.Call) (*client.Decision, error)) *cobra.Command {
		c := &cobra.Command{
			Use: use + " WEBHOOK", Short: short, Example: "  mbp webhook " + example, Args: cobra.ExactArgs(1),
			RunE: d.verb(func(ctx context.Context, cl *client.Client, args []string) (*client.Decision, error) {
				id, err := idOf(args[0])
				if err != nil {
					return nil, err
				}
				return do(cl, ctx, id, d.Calls()...)
			}, ""),
		}
		d.BindKey(c)
		cmd.AddCommand(c)
		return c
	}
	change("resume", "Go on with one that was paused or has failed, from where it was", "resume whk_7", (*client.Client).ResumeWebhook)
	change("test", "Send it an event of the type test", "test whk_7", (*client.Client).TestWebhook)
	change("delete", "End it", "delete whk_7", (*client.Client).DeleteWebhook)
	reason, from := "", uint64(0)
	pause := change("pause", "Tell it nothing, for now; it misses nothing", "pause whk_7 --reason 'their release'",
		func(cl *client.Client, ctx context.Context, id engine.WebhookID, calls ...client.Call) (*client.Decision, error) {
			return cl.PauseWebhook(ctx, id, reason, calls...)
		})
	pause.Flags().StringVar(&reason, "reason", "", "why, one line of at most 128 bytes")
	replay := change("replay", "Tell it again, from a decision on", "replay whk_7 --from 1200",
		func(cl *client.Client, ctx context.Context, id engine.WebhookID, calls ...client.Call) (*client.Decision, error) {
			return cl.ReplayWebhook(ctx, id, engine.Seq(from), calls...)
		})
	replay.Flags().Uint64Var(&from, "from", 0, "the first decision that it is told of next")
	_ = replay.MarkFlagRequired("from") // the flag is there
	cmd.AddCommand(d.rotate())
	return cmd
}

func idOf(text string) (id engine.WebhookID, err error) {
	if err := id.UnmarshalText([]byte(text)); err != nil {
		return 0, exit.BadUsage(err)
	}
	return id, nil
}

// verb makes a RunE of a change. What its decision has of a secret goes to a file, if
// one is named, and out of what is printed then.
func (d *desk) verb(ask func(context.Context, *client.Client, []string) (*client.Decision, error), secretFile string) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if f := cmd.Flags().Lookup("secret-file"); f != nil {
			secretFile = f.Value.String()
		}
		if _, err := os.Lstat(secretFile); secretFile != "" && err == nil {
			return exit.BadUsage(fmt.Errorf("%s is there already; name another file", secretFile))
		}
		cl, err := d.Open()
		if err != nil {
			return err
		}
		got, err := ask(cmd.Context(), cl, args)
		if err != nil {
			return err
		}
		secret := got.Secret
		if secret != "" && secretFile != "" {
			if err := machine.WriteSecret(secretFile, secret); err != nil {
				return fmt.Errorf("the webhook is on record, its secret is not saved: rotate it: %w", err)
			}
			got.Secret = ""
		}
		if d.JSON() {
			return json.NewEncoder(cmd.OutOrStdout()).Encode(got) //nolint:gosec // the secret, if no file took it, is for who asked
		}
		w, err := got.Webhook()
		if err != nil {
			return err
		}
		out := cmd.OutOrStdout()
		fmt.Fprintf(out, "%s %s, decision %d%s\n", w.ID, w.State, got.Seq, map[bool]string{true: " (answered before)"}[got.Replayed])
		if got.Secret != "" {
			fmt.Fprintf(out, "secret, shown this once: %s\n", got.Secret)
		}
		return nil
	}
}

// words takes a list with commas between its elements.
func words(text string) (out []string) {
	for w := range strings.SplitSeq(text, ",") {
		if w = strings.TrimSpace(w); w != "" {
			out = append(out, w)
		}
	}
	return out
}

func (d *desk) add() *cobra.Command {
	events, markets := "", ""
	cmd := &cobra.Command{
		Use: "add URL", Short: "Register an endpoint", Args: cobra.ExactArgs(1),
		Long: `Register an endpoint, which is told of what is decided from now on. The secret that
signs its messages is in the answer, this once.

Events: ` + strings.Join(engine.WebhookEvents(), ", ") + `.`,
		Example: "  mbp webhook add https://hooks.example.org/mbp --secret-file hook.secret\n  mbp webhook add https://hooks.example.org/mbp --events trade --markets mkt_1,mkt_2",
		RunE: d.verb(func(ctx context.Context, cl *client.Client, args []string) (*client.Decision, error) {
			x := engine.AddWebhook{URL: args[0], Events: words(events)}
			for _, w := range words(markets) {
				var id engine.MarketID
				if err := id.UnmarshalText([]byte(w)); err != nil {
					return nil, exit.BadUsage(err)
				}
				x.Markets = append(x.Markets, id)
			}
			return cl.AddWebhook(ctx, x, d.Calls()...)
		}, ""),
	}
	f := cmd.Flags()
	f.StringVar(&events, "events", "", "`words` of what it is told of, with commas between them; everything by default")
	f.StringVar(&markets, "markets", "", "`markets` that these have to be about, with commas between them; all by default")
	bindSecret(cmd)
	d.BindKey(cmd)
	return cmd
}

func bindSecret(cmd *cobra.Command) {
	cmd.Flags().String("secret-file", "", "new `file` that takes the secret, for its owner alone; printed by default")
}

func (d *desk) rotate() *cobra.Command {
	cmd := &cobra.Command{
		Use: "rotate WEBHOOK", Short: "Give it another secret; the one before signs for a day, too", Args: cobra.ExactArgs(1),
		Example: "  mbp webhook rotate whk_7 --secret-file hook.secret.2",
		RunE: d.verb(func(ctx context.Context, cl *client.Client, args []string) (*client.Decision, error) {
			id, err := idOf(args[0])
			if err != nil {
				return nil, err
			}
			return cl.RotateWebhook(ctx, id, d.Calls()...)
		}, ""),
	}
	bindSecret(cmd)
	d.BindKey(cmd)
	return cmd
}

func (d *desk) list() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List every webhook, with its last attempt", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cl, err := d.Open()
			if err != nil {
				return err
			}
			all, err := cl.Webhooks(cmd.Context())
			if err != nil {
				return err
			}
			if d.JSON() {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(all)
			}
			for i := range all.Webhooks {
				line(cmd.OutOrStdout(), all.Seq, &all.Webhooks[i])
			}
			return nil
		},
	}
}

func (d *desk) show() *cobra.Command {
	return &cobra.Command{
		Use: "show WEBHOOK", Short: "Show one with its last attempts, the newest first", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := idOf(args[0])
			if err != nil {
				return err
			}
			cl, err := d.Open()
			if err != nil {
				return err
			}
			w, err := cl.Webhook(cmd.Context(), id)
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			if d.JSON() {
				return json.NewEncoder(out).Encode(w)
			}
			line(out, w.Seq, &w.Webhook)
			if w.Delivery != nil {
				for _, a := range w.Delivery.Attempts {
					fmt.Fprintf(out, "  %s  %d..%d  attempt %d  %s  %d ms\n", a.At.Format(time.RFC3339), a.First, a.Last, a.Attempt, outcome(a), a.Millis)
				}
			}
			return nil
		},
	}
}

func outcome(a client.Attempt) string {
	if a.Status == 0 {
		return a.Why
	}
	return fmt.Sprintf("%d %s", a.Status, http.StatusText(a.Status))
}

// line is a webhook in a line.
func line(out io.Writer, seq engine.Seq, w *client.Webhook) {
	fmt.Fprintf(out, "%s  %s  %s", w.ID, w.State, w.URL)
	if len(w.Events) > 0 {
		fmt.Fprintf(out, "  events=%s", strings.Join(w.Events, ","))
	}
	if len(w.Markets) > 0 {
		fmt.Fprintf(out, "  markets=%v", w.Markets)
	}
	if w.Reason != "" {
		fmt.Fprintf(out, "  (%s)", w.Reason)
	}
	if d := w.Delivery; d != nil {
		fmt.Fprintf(out, "  behind=%d failures=%d", seq-min(seq, d.After), d.Failures)
	}
	fmt.Fprintln(out)
}

func verify() *cobra.Command {
	secretFile, old := "", false
	cmd := &cobra.Command{
		Use: "verify REQUEST", Short: "Tell whether a saved request came from the server", Args: cobra.ExactArgs(1),
		Long: `Tell whether a request that was saved as it came, request line, headers, an empty
line and body, was signed with the secret. It needs no server. One that is older than
five minutes passes with --old alone: a receiver has to refuse it.`,
		Example: "  mbp webhook verify request.txt --secret-file hook.secret",
		RunE: func(cmd *cobra.Command, args []string) error {
			secret, err := machine.ReadOwn(secretFile)
			if err != nil {
				return exit.BadUsage(fmt.Errorf("read the secret: %w", err))
			}
			f, err := os.Open(args[0])
			if err != nil {
				return exit.BadUsage(err)
			}
			defer f.Close()
			h, body, err := saved(io.LimitReader(f, maxSaved))
			if err != nil {
				return exit.BadUsage(fmt.Errorf("%s is no request: %w", args[0], err))
			}
			at, err := sign.Genuine(h, body, string(secret))
			if err == nil && !old {
				err = sign.Verify(h, body, time.Now(), string(secret))
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "genuine: %s of %s\n", h.Get(sign.HeaderID), at.UTC().Format(time.RFC3339))
			return nil
		},
	}
	cmd.Flags().StringVar(&secretFile, "secret-file", "", "`file` with the secret, of this user alone")
	cmd.Flags().BoolVar(&old, "old", false, "whatever its age")
	_ = cmd.MarkFlagRequired("secret-file") // the flag is there
	return cmd
}

// saved reads a request whose lines may end as people's editors end them.
func saved(r io.Reader) (http.Header, []byte, error) {
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, nil, err
	}
	head, body, found := bytes.Cut(b, []byte("\r\n\r\n"))
	if !found {
		if head, body, found = bytes.Cut(b, []byte("\n\n")); !found {
			return nil, nil, errors.New("there is no empty line after the headers")
		}
	}
	q, err := http.ReadRequest(bufio.NewReader(io.MultiReader(bytes.NewReader(head), strings.NewReader("\r\n\r\n"))))
	if err != nil {
		return nil, nil, err
	}
	return q.Header, body, nil
}
