// Command setup installs the pinned tools of this repository without root
// rights and links them into .tools/, once per machine and lock file.
//
// It promises: what it links is what the lock files say (module sums for Go,
// hashes for Python and Node); an interrupted run leaves nothing that a later
// run would trust; two clones may run it at once and share one cache; a second
// run does no work. It refuses to fetch anything that no lock file names, to
// write outside the cache and the clone, and to guess: a missing interpreter
// or a version that is too old is an error that says what to install.
//
// The cache is ${XDG_CACHE_HOME:-~/.cache}/mbp/<lock hash>, one folder per
// group of tools. The hash covers the group's lock files, the platform and the
// version of the toolchain that builds it, so a changed lock never meets an
// old build. A folder counts only once its stamp.json is written, which is the
// last step; a folder without one is removed and built anew under a file lock.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return
	}
	fmt.Fprintf(os.Stderr, "setup: %v\n", err)
	stop()
	os.Exit(1) //nolint:gocritic // stop was called on the line above
}
