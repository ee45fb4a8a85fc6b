package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/mbp-market/mbp/cmd/mbp/backup"
	"github.com/mbp-market/mbp/cmd/mbp/exit"
	"github.com/mbp-market/mbp/cmd/mbp/grants"
	"github.com/mbp-market/mbp/cmd/mbp/membership"
	"github.com/mbp-market/mbp/cmd/mbp/notary"
	"github.com/mbp-market/mbp/cmd/mbp/offline"
	"github.com/mbp-market/mbp/cmd/mbp/remote"
	"github.com/mbp-market/mbp/cmd/mbp/seasons"
	"github.com/mbp-market/mbp/cmd/mbp/steering"
)

func usage(err error) error { return exit.BadUsage(err) }

// run is the whole program; tests call it, too.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	started := false
	root := rootCommand(func() { started = true })
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	var e exit.Error
	if err != nil && !started && !errors.As(err, &e) { // cobra refused the command line
		return usage(fmt.Errorf("%w; see mbp --help", err))
	}
	return err
}

// exitCode prints an error and says which code the process ends with.
func exitCode(err error, stderr io.Writer) int {
	if err == nil {
		return exit.OK
	}
	fmt.Fprintln(stderr, "mbp:", remote.Describe(err))
	var e exit.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return remote.CodeOf(err)
}

func rootCommand(started func()) *cobra.Command {
	root := &cobra.Command{
		Use:   "mbp",
		Short: "The prediction-market platform and its command line",
		Long: `mbp serve runs the platform. Most other verbs talk to a running server.

Amounts and shares are in credits with up to six decimals (10.5), prices are
probabilities between 0 and 1 with up to six decimals (0.55). Both are exact.

A server and a key come from --url and --key-file, from MBP_URL and MBP_KEY_FILE, or
from a profile (mbp profile). Shells complete verbs, flags, markets and profiles:
mbp completion bash|zsh|fish --help says how.

Exit codes: 0 done, 1 rejected, 2 wrong usage, 3 no answer or not authenticated.`,
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if err := errors.Join(cmd.ValidateRequiredFlags(), cmd.ValidateFlagGroups()); err != nil {
				return err // cobra would look only after this, when it counts as begun
			}
			started()
			return nil
		},
	}
	root.AddCommand(careCommands()...)
	root.AddGroup(
		&cobra.Group{ID: "run", Title: "Run the platform:"},
		&cobra.Group{ID: "trade", Title: "Talk to a server:"},
		&cobra.Group{ID: "load", Title: "Fill a server, check data:"},
	)
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add("load", offline.FsckCommand())
	add("run", serveCommand(), backup.SnapshotCommand(), backup.BackupCommand(), backup.RestoreCommand())
	add("trade", remote.Commands()...)
	add("trade", steering.Commands()...)
	add("trade", membership.Command(), grants.Command(), seasons.Command())
	add("load", seedCommand(), importCommand(), exportCommand(), simulateCommand(), offline.SchemaCommand(), offline.ReplayCommand(), offline.JournalCommand(), offline.RuleCommand(), notary.Command())
	return root
}
