// Package remote holds the verbs of mbp that talk to a running server: accounts,
// templates, markets, orders, what was, moderation and decisions.
//
// It promises that the API is used through its Go client alone, that amounts and
// prices are read and written exactly, that each answer can be had as a table for
// people or as the server's JSON, and that a refusal says what to do about it.
//
// It refuses secrets on the command line, where other users of the machine see
// them, and guesses of any kind: what cannot be read is a fault of usage. Names
// and exit codes follow the Command Line Interface Guidelines (clig.dev).
package remote

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/mbp-market/mbp/engine/httpapi/client"
)

// Commands returns the verbs in the order in which the help lists them.
func Commands() []*cobra.Command {
	return []*cobra.Command{
		accountCommand(), templateCommand(), marketCommand(), quoteCommand(), orderCommand(), bookCommand(), portfolioCommand(), historyCommand(), decisionCommand(),
		moderateCommand(),
	}
}

// Verb makes a RunE of what a verb of another package asks the server, and how a person
// reads the answer.
func Verb[T any](c *Connection, ask func(context.Context, *client.Client, []string) (T, error), show func(io.Writer, T)) func(*cobra.Command, []string) error {
	return verb(c, ask, show)
}

// ShowDecision writes a decision for people.
func ShowDecision(w io.Writer, d *client.Decision) { showDecision(w, d) }

// ShowTable writes rows under a first one of titles.
func ShowTable(w io.Writer, rows [][]string) { table(w, rows) }

// The colours that verbs of other packages use; see Paint.
const (
	Bold  = bold
	Amber = amber
)

// Paint colours text if w is a terminal and nobody asked for none.
func Paint(w io.Writer, colour, text string) string { return paint(w, colour, text) }

// CompleteWords lets the shell complete the one argument of a verb with fixed words.
func CompleteWords(cmd *cobra.Command, words ...string) { complete(cmd, these(words...)) }

// BindKey adds the flag that makes a mutation repeatable over processes, and Calls
// returns what it says.
func (c *Connection) BindKey(cmds ...*cobra.Command) { c.bindKey(cmds...) }

// Calls returns what BindKey's flag says.
func (c *Connection) Calls() []client.Call { return c.calls() }
