// Command mbp is the platform and its command line. `mbp serve` runs the whole
// platform in one process: the journal, the single writer, the edge, the change
// capture into the lake. Every other verb is a client of a running server's API.
//
// It promises that the exit code tells what happened (0 done, 1 rejected, 2
// wrong usage, 3 no answer or not authenticated), that amounts are read and
// written exactly, and that a secret is only ever in a file of mode 0600 or in
// the environment. It refuses to serve other machines without --allow-remote,
// because it speaks plain HTTP.
package main

import (
	"context"
	"os"
)

func main() {
	os.Exit(exitCode(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr), os.Stderr))
}
