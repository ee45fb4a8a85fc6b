package remote

import (
	"context"
	"crypto/sha256"
	"encoding"
	"errors"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
)

// idArg reads the id that is the first argument of a verb.
func idArg[T any, P interface {
	*T
	encoding.TextUnmarshaler
}](args []string) (id T, err error) {
	if err := P(&id).UnmarshalText([]byte(args[0])); err != nil {
		return id, usage(err)
	}
	return id, nil
}

// word is a flag of a value that reads itself.
type word struct {
	into encoding.TextUnmarshaler
	text string
}

// String implements pflag.Value.
func (w *word) String() string { return w.text }

// Set implements pflag.Value.
func (w *word) Set(s string) error {
	w.text = s
	return w.into.UnmarshalText([]byte(s))
}

// Type implements pflag.Value.
func (w *word) Type() string { return "word" }

// Moment is a flag of a time that may be said as a day: its midnight in UTC.
type Moment struct {
	At   engine.Time // 0: it was not said
	text string
}

// String implements pflag.Value.
func (m *Moment) String() string { return m.text }

// Set implements pflag.Value.
func (m *Moment) Set(s string) error {
	m.text = s
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		m.At = engine.Time(t.UnixMicro())
		return nil
	}
	return m.At.UnmarshalText([]byte(s))
}

// Type implements pflag.Value.
func (m *Moment) Type() string { return "time" }

// wordVar adds a flag of a value that reads itself. The usage names it in
// backquotes.
func wordVar(f *pflag.FlagSet, into encoding.TextUnmarshaler, name, usage string) {
	f.Var(&word{into: into}, name, usage)
}

// evidence is what a verb is told about evidence: where it is, and its digest or
// the file to compute that from.
type evidence struct {
	uri, file string
	digest    engine.Digest
}

func (e *evidence) bind(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&e.uri, "evidence-uri", "", "where the evidence is published")
	f.StringVar(&e.file, "evidence", "", "the evidence as a `file`, to compute its digest")
	wordVar(f, &e.digest, "evidence-sha256", "its SHA-256 in `hex`, without the file")
	cmd.MarkFlagsMutuallyExclusive("evidence", "evidence-sha256")
}

// require makes both parts of the evidence necessary.
func (e *evidence) require(cmd *cobra.Command) {
	_ = cmd.MarkFlagRequired("evidence-uri") // fails only for a flag that is not there
	cmd.MarkFlagsOneRequired("evidence", "evidence-sha256")
}

// read returns the evidence.
func (e *evidence) read() (uri string, digest engine.Digest, err error) {
	if e.file == "" {
		return e.uri, e.digest, nil
	}
	f, err := os.Open(e.file)
	if err != nil {
		return "", digest, usage(err)
	}
	h := sha256.New()
	_, err = io.Copy(h, f)
	copy(digest[:], h.Sum(nil))
	return e.uri, digest, errors.Join(err, f.Close())
}

// completeAfter is how long completion waits for the server; a person waits for
// the shell.
const completeAfter = time.Second

// choices completes a flag with the words that it takes.
func choices(cmd *cobra.Command, flag string, words ...string) {
	_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)) // fails only for a flag that is not there
}

// completion completes one argument of a verb.
type completion func(ctx context.Context, args []string) []string

// complete lets the shell complete the arguments of a verb, one after the other.
func complete(cmd *cobra.Command, by ...completion) {
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) >= len(by) {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, stop := context.WithTimeout(cmd.Context(), completeAfter)
		defer stop()
		return by[len(args)](ctx, args), cobra.ShellCompDirectiveNoFileComp
	}
}

// CompleteMarkets lets the shell complete any number of markets.
func (c *Connection) CompleteMarkets(cmd *cobra.Command) {
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		ctx, stop := context.WithTimeout(cmd.Context(), completeAfter)
		defer stop()
		return c.markets(ctx, args), cobra.ShellCompDirectiveNoFileComp
	}
}

// CompleteBy lets the shell complete the one argument of a verb with what the server
// has.
func (c *Connection) CompleteBy(cmd *cobra.Command, have func(context.Context, *client.Client) []string) {
	complete(cmd, func(ctx context.Context, _ []string) []string {
		cl, err := c.Open()
		if err != nil {
			return nil
		}
		return have(ctx, cl.With(client.NoRetry()))
	})
}

// markets completes a market with what the server has.
func (c *Connection) markets(ctx context.Context, _ []string) (out []string) {
	cl, err := c.Open()
	if err != nil {
		return nil
	}
	page, err := cl.With(client.NoRetry()).Markets(ctx, 0, 0)
	if err != nil {
		return nil
	}
	for _, m := range page.Markets {
		out = append(out, cobra.CompletionWithDesc(m.Market.String(), m.Title))
	}
	return out
}

// outcomes completes an outcome of the market before it.
func (c *Connection) outcomes(ctx context.Context, args []string) (out []string) {
	id, err := idArg[engine.MarketID](args)
	if err != nil {
		return nil
	}
	cl, err := c.Open()
	if err != nil {
		return nil
	}
	m, err := cl.With(client.NoRetry()).Market(ctx, id)
	if err != nil {
		return nil
	}
	for _, o := range m.Outcomes {
		out = append(out, cobra.CompletionWithDesc(o.Outcome.String(), o.Label))
	}
	return out
}

// orders completes an order of the account.
func (c *Connection) orders(ctx context.Context, _ []string) (out []string) {
	cl, err := c.Open()
	if err != nil {
		return nil
	}
	list, err := cl.With(client.NoRetry()).Orders(ctx, 0)
	if err != nil {
		return nil
	}
	for _, o := range list.Orders {
		out = append(out, cobra.CompletionWithDesc(o.Order.String(), orderLine(&o)))
	}
	return out
}

// these completes an argument with fixed words.
func these(words ...string) completion {
	return func(context.Context, []string) []string { return words }
}
