package main

import (
	"github.com/spf13/cobra"

	"github.com/mbp-market/mbp/cmd/mbp/bench"
	"github.com/mbp-market/mbp/cmd/mbp/hook"
	"github.com/mbp-market/mbp/cmd/mbp/keyring"
	"github.com/mbp-market/mbp/cmd/mbp/privacy"
	"github.com/mbp-market/mbp/cmd/mbp/profile"
	"github.com/mbp-market/mbp/cmd/mbp/remote"
	"github.com/mbp-market/mbp/cmd/mbp/watch"
)

// careCommands make an installation, look after it, measure it, name it, and watch
// and resolve its markets.
func careCommands() []*cobra.Command {
	var all []*cobra.Command
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			all = append(all, c)
		}
	}
	add("run", initCommand(), doctorCommand())
	add("trade", keyring.Command(), profile.Command(), watch.Command(), hook.Command(), remote.ResolveCommand())
	add("trade", privacy.Commands()...)
	add("load", bench.Command())
	return all
}
