package remote

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mbp-market/mbp/cmd/mbp/exit"
	"github.com/mbp-market/mbp/cmd/mbp/profile"
	"github.com/mbp-market/mbp/engine/httpapi/client"
)

func usage(err error) error { return exit.BadUsage(err) }

const defaultURL = "http://127.0.0.1:8420"

// Connection is what every client verb needs to reach a server.
type Connection struct {
	url     string
	keyFile string
	profile string
	idem    string
	json    bool
	normal  string // the server where nobody names one; defaultURL if empty
}

// Reach adds the flags that say which server it is and whose key is used.
func (c *Connection) Reach(f *pflag.FlagSet) {
	f.StringVar(&c.url, "url", "", "`URL` of the server (MBP_URL, default "+defaultURL+")")
	f.StringVar(&c.profile, "profile", "", "`name` of a server and a key (MBP_PROFILE; see mbp profile)")
	f.StringVar(&c.keyFile, "key-file", "", "`file` with the secret of the API key (MBP_KEY_FILE; or the secret itself in MBP_KEY)")
}

// Bind adds the flags to a verb and everything below it.
func (c *Connection) Bind(cmd *cobra.Command) {
	f := cmd.PersistentFlags()
	c.Reach(f)
	f.BoolVar(&c.json, "json", false, "print the server's answer as JSON")
	_ = cmd.RegisterFlagCompletionFunc("profile", profile.Complete) // the flag is there
}

// Normally sets which server it is where nobody names one.
func (c *Connection) Normally(url string) { c.normal = url }

// JSON reports whether the answer shall be printed as JSON.
func (c *Connection) JSON() bool { return c.json }

// bindKey adds the flag that makes a mutation repeatable over processes.
func (c *Connection) bindKey(cmds ...*cobra.Command) {
	for _, cmd := range cmds {
		cmd.Flags().StringVar(&c.idem, "idempotency-key", "", "repeat safely: the same `key` and content give the first answer again")
	}
}

func (c *Connection) calls() []client.Call {
	if c.idem == "" {
		return nil
	}
	return []client.Call{client.Key(c.idem)}
}

// settle fills what no flag says from the profile. --profile names one; without it,
// whoever names an address or, in the environment, a key gets no other half of
// either from a profile, because a secret goes to its own server only.
func (c *Connection) settle() error {
	name := c.profile
	if name != "" && c.url != "" {
		return errors.New("--profile has an address, and so has --url: say one of them")
	}
	if name == "" {
		if cmp.Or(c.url, os.Getenv("MBP_URL"), os.Getenv("MBP_KEY"), os.Getenv("MBP_KEY_FILE")) != "" {
			return nil
		}
		name = os.Getenv("MBP_PROFILE")
	}
	all, err := profile.Load()
	if err != nil {
		return err
	}
	if name = cmp.Or(name, all.Use); name == "" {
		return nil
	}
	p, err := all.Find(name)
	c.url, c.keyFile = p.URL, cmp.Or(c.keyFile, p.KeyFile)
	c.profile = "" // its halves are the connection's own now
	return err
}

// KeyFile is the file of the secret, "" if it comes from elsewhere or from nowhere.
// It is known once the connection was opened.
func (c *Connection) KeyFile() string {
	if c.keyFile == "" && os.Getenv("MBP_KEY") != "" {
		return ""
	}
	return cmp.Or(c.keyFile, os.Getenv("MBP_KEY_FILE"))
}

// Open returns the client. The secret never comes from the command line, where
// other users of the machine could see it.
func (c *Connection) Open() (*client.Client, error) {
	if err := c.settle(); err != nil {
		return nil, usage(err)
	}
	secret := os.Getenv("MBP_KEY")
	if name := c.KeyFile(); name != "" {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, usage(fmt.Errorf("read the key: %w", err))
		}
		secret = strings.TrimSpace(string(b))
	}
	if secret == "" {
		return nil, usage(errors.New("no API key: say --key-file or --profile, or set MBP_KEY_FILE or MBP_KEY"))
	}
	return c.as(secret)
}

// Public returns a client without a key, for what anybody may read.
func (c *Connection) Public() (*client.Client, error) {
	if err := c.settle(); err != nil {
		return nil, usage(err)
	}
	return c.as("")
}

func (c *Connection) as(secret string) (*client.Client, error) {
	cl, err := client.New(cmp.Or(c.url, os.Getenv("MBP_URL"), c.normal, defaultURL), secret)
	if err != nil {
		return nil, usage(err)
	}
	return cl, nil
}

// verb makes a RunE of what a verb asks the server and how a person reads the
// answer.
func verb[T any](c *Connection, ask func(context.Context, *client.Client, []string) (T, error), show func(io.Writer, T)) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		cl, err := c.Open()
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

// Describe says what went wrong and what to do.
func Describe(err error) string {
	var p *client.Problem
	if !errors.As(err, &p) {
		return err.Error()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", p.Code, cmp.Or(p.Detail, p.Title))
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

// CodeOf returns the exit code of an error of a client verb.
func CodeOf(err error) int {
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
