// Package remote holds the verbs of mbp that talk to a running server: accounts,
// keys, templates, markets, orders, policies, moderation and decisions.
//
// It promises that the API is used through its Go client alone, that amounts and
// prices are read and written exactly, that each answer can be had as a table for
// people or as the server's JSON, and that a refusal says what to do about it.
//
// It refuses secrets on the command line, where other users of the machine see
// them, and guesses of any kind: what cannot be read is a fault of usage. Names
// and exit codes follow the Command Line Interface Guidelines (clig.dev).
package remote

import "github.com/spf13/cobra"

// Commands returns the verbs in the order in which the help lists them.
func Commands() []*cobra.Command {
	return []*cobra.Command{
		accountCommand(), keyCommand(), templateCommand(), marketCommand(), quoteCommand(), orderCommand(), bookCommand(), portfolioCommand(), historyCommand(), decisionCommand(),
		policyCommand(), modeCommand(), clockCommand(), houseCommand(), moderateCommand(),
	}
}
