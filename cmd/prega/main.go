// Command prega is the release gate. `prega run` starts the system that
// prega.yaml describes, drives it like its users would, keeps what it saw,
// judges it against the sheet, packs the evidence and anchors the pack. The
// other verbs do one of these steps on evidence that is there already; `prega
// verify` checks a pack of anybody, offline.
//
// It promises that the exit code tells what happened (0 passed, 1 the gate
// refused, 2 it could not run, 130 interrupted), and that nothing it started
// outlives it. It refuses to guess: what it could not measure has not passed.
// It never pushes anything anywhere.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go func() {
		<-ctx.Done()
		stop() // a second Ctrl-C ends at once
	}()
	os.Exit(exitCode(run(ctx, os.Args[1:], os.Stdout, os.Stderr), os.Stderr))
}
