// Command suites runs what CI runs, in order, and holds it to a time budget.
//
// It promises: output appears live; a suite that fails does not hide the ones
// after it (only a failed set-up does, because nothing can run without tools);
// a run over budget fails even if every test passed; the last line alone says
// "N passed, N failed". It refuses to run a suite that ci/budget.tsv does not
// name and to start with a budget that names one it does not run.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, ".", suites, os.Stdout, os.Stderr); err != nil {
		if err.Error() != "" {
			fmt.Fprintf(os.Stderr, "suites: %v\n", err)
		}
		stop()
		os.Exit(1) //nolint:gocritic // stop was called on the line above
	}
}
