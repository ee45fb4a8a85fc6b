package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mbp-market/mbp/cmd/mbp/exit"
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
)

const defaultURL = "http://127.0.0.1:8420"

// connection is what every client verb needs to reach a server.
type connection struct {
	url     string
	keyFile string
	idem    string
	json    bool
}

// bind adds the flags to a verb and everything below it.
func (c *connection) bind(cmd *cobra.Command) {
	f := cmd.PersistentFlags()
	f.StringVar(&c.url, "url", "", "`URL` of the server (MBP_URL, default "+defaultURL+")")
	f.StringVar(&c.keyFile, "key-file", "", "`file` with the secret of the API key (MBP_KEY_FILE; or the secret itself in MBP_KEY)")
	f.BoolVar(&c.json, "json", false, "print the server's answer as JSON")
}

// bindKey adds the flag that makes a mutation repeatable over processes.
func (c *connection) bindKey(cmds ...*cobra.Command) {
	for _, cmd := range cmds {
		cmd.Flags().StringVar(&c.idem, "idempotency-key", "", "repeat safely: the same `key` and content give the first answer again")
	}
}

func (c *connection) calls() []client.Call {
	if c.idem == "" {
		return nil
	}
	return []client.Call{client.Key(c.idem)}
}

// open returns the client. The secret never comes from the command line, where
// other users of the machine could see it.
func (c *connection) open() (*client.Client, error) {
	url := firstOf(c.url, os.Getenv("MBP_URL"), defaultURL)
	secret := os.Getenv("MBP_KEY")
	if name := firstOf(c.keyFile, os.Getenv("MBP_KEY_FILE")); name != "" && (c.keyFile != "" || secret == "") {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, usage(fmt.Errorf("read the key: %w", err))
		}
		secret = strings.TrimSpace(string(b))
	}
	if secret == "" {
		return nil, usage(errors.New("no API key: say --key-file, or set MBP_KEY_FILE or MBP_KEY"))
	}
	cl, err := client.New(url, secret)
	if err != nil {
		return nil, usage(err)
	}
	return cl, nil
}

func firstOf(texts ...string) string {
	for _, s := range texts {
		if s != "" {
			return s
		}
	}
	return ""
}

// verb makes a RunE of what a verb asks the server and how a person reads the
// answer.
func verb[T any](c *connection, ask func(context.Context, *client.Client, []string) (T, error), show func(io.Writer, T)) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		cl, err := c.open()
		if err != nil {
			return err
		}
		doc, err := ask(cmd.Context(), cl, args)
		if err != nil {
			return err
		}
		if c.json {
			return json.NewEncoder(cmd.OutOrStdout()).Encode(doc)
		}
		show(cmd.OutOrStdout(), doc)
		return nil
	}
}

// hints say what to do about a code; the title of the problem says what it is.
var hints = map[string]string{
	"unauthenticated":                  "check the key file; `mbp key new` makes keys",
	"forbidden":                        "use a key that has the role, or ask an admin for one",
	"overloaded":                       "try again in a second with the same --idempotency-key",
	"too_many_requests":                "wait as long as it says, with the same --idempotency-key; see --trader-rate, --staff-rate and --read-rate of `mbp serve`",
	"idempotency_conflict":             "take another --idempotency-key",
	"not_leader":                       "the server is shutting down or was replaced; try again",
	"failed":                           "repeat it with the same --idempotency-key to learn the outcome",
	engine.AccountNotFound.String():    "see `mbp account show`",
	engine.MarketNotFound.String():     "see `mbp market list`",
	engine.TemplateNotFound.String():   "see `mbp template list`",
	engine.InsufficientFunds.String():  "see `mbp account show`; order less, or have credits granted",
	engine.InsufficientShares.String(): "see `mbp account show`; sell less",
	engine.RateLimited.String():        "wait as long as it says; an account may order ten times a second",
	engine.MarketNotOpen.String():      "see `mbp market show`; only open markets trade",
	engine.PriceLimit.String():         "see `mbp quote`; give a wider --limit",
	engine.FOKUnfilled.String():        "see `mbp quote`; order less, or --tif ioc",
	engine.TooSmall.String():           "order more",
	engine.WrongState.String():         "see `mbp market show`",
	engine.SameApprover.String():       "use the key of another principal than the proposer's",
	engine.TemplateBounds.String():     "see `mbp template list`",
}

// describe says what went wrong and what to do.
func describe(err error) string {
	var p *client.Problem
	if !errors.As(err, &p) {
		return err.Error()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", p.Code, firstOf(p.Detail, p.Title))
	if p.Detail != "" && p.Title != "" {
		fmt.Fprintf(&b, " (%s)", p.Title)
	}
	if p.Seq != 0 && p.Instance != "" {
		fmt.Fprintf(&b, ", decision %d", p.Seq)
	}
	if p.RetryAfter > 0 {
		fmt.Fprintf(&b, ", wait %s", p.RetryAfter)
	}
	if hint := hints[p.Code]; hint != "" {
		fmt.Fprintf(&b, "\n     what to do: %s", hint)
	}
	return b.String()
}

// codeOf returns the exit code of an error of a client verb.
func codeOf(err error) int {
	var p *client.Problem
	switch {
	case !errors.As(err, &p):
		if isNetwork(err) {
			return exit.NoAnswer
		}
	case p.Code == "unauthenticated", p.Status >= 500:
		return exit.NoAnswer
	}
	return exit.Rejected
}
