package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/mbp-market/mbp/gate/stage"
)

// The exit codes.
const (
	exitPassed      = 0
	exitRefused     = 1
	exitCouldNotRun = 2
	exitInterrupted = 130
)

// errRefused says that the gate did its work and the answer is no. Everything
// there is to say about it has been printed.
var errRefused = errors.New("refused")

// run is the whole program; tests call it, too.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	root := rootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	return root.ExecuteContext(ctx)
}

// exitCode prints an error that was not printed yet and says which code the
// process ends with.
func exitCode(err error, stderr io.Writer) int {
	switch {
	case err == nil:
		return exitPassed
	case errors.Is(err, errRefused):
		return exitRefused
	}
	fmt.Fprintln(stderr, "prega:", err)
	if errors.Is(err, stage.ErrInterrupted) {
		return exitInterrupted
	}
	return exitCouldNotRun
}

// gateFlags are those of every verb that works in a repository.
type gateFlags struct {
	plan string
	json bool
}

func (f *gateFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.plan, "plan", "", "the plan (default: prega.yaml here or in a folder above)")
	cmd.Flags().BoolVar(&f.json, "json", false, "write the result to standard output as JSON, the rest to standard error")
	_ = cmd.MarkFlagFilename("plan", "yaml")
}

// place finds the repository.
func (f *gateFlags) place() (stage.Place, error) { return stage.Find(".", f.plan) }

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "prega",
		Short: "The release gate: run, judge, pack, anchor, verify",
		Long: `prega decides whether a release may go out, and proves why.

  prega run --profile smoke    every stage with one minute of load; ends with
                               SMOKE PASS or SMOKE FAIL, in under 8 minutes
  prega run                    the full profile: an hour of load, then APPROVED
                               or REFUSED
  prega verify PACK            check somebody's pack, without any network

What runs is written in prega.yaml, what must hold in the sheet that it names.
A run leaves its evidence in out/s4_orr/EVI and the pack in out/. The verbs
judge, report, pack and anchor repeat one step on the evidence of the last run.

Of six verdicts (PASS, FAIL, NO_DATA, NOT_RUN, ERROR, NOT_EVALUABLE) only PASS
passes: what was not measured has not been shown.

Exit codes: 0 passed, 1 refused, 2 could not run, 130 interrupted.`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddGroup(&cobra.Group{ID: "gate", Title: "The gate:"}, &cobra.Group{ID: "steps", Title: "One step, on the evidence of the last run:"})
	for _, c := range []*cobra.Command{runCommand(), verifyCommand()} {
		c.GroupID = "gate"
		root.AddCommand(c)
	}
	for _, c := range []*cobra.Command{judgeCommand(), reportCommand(), packCommand(), anchorCommand()} {
		c.GroupID = "steps"
		root.AddCommand(c)
	}
	return root
}
