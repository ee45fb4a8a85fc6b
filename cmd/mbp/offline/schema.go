// Package offline holds the verbs of mbp that need no server: they judge schemas,
// check resolution rules, fold journals again, and look for damage in a data folder.
// It promises that they change nothing they read and may run beside a server, and
// refuses to talk to one.
package offline

import (
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/mbp-market/mbp/cmd/mbp/exit"
	"github.com/mbp-market/mbp/schemas"
	"github.com/mbp-market/mbp/schemas/registry"
)

// The statuses of mbp schema compat.
const (
	exitBreaking   = 1 // judged, and something breaks
	exitNotChecked = 2 // not judged; fails like a breaking change
)

// SchemaCommand looks at schemas.
func SchemaCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "schema",
		Short: "Look at the registered schemas of the hot tables",
	}
	cmd.AddCommand(schemaCompatCommand())
	return cmd
}

func schemaCompatCommand() *cobra.Command {
	var dir, base string
	var o registry.Options
	cmd := &cobra.Command{
		Use:   "compat",
		Short: "Judge whether every schema version is backward compatible",
		Long: `Judge whether every schema version is strictly backward compatible with all
earlier versions of its major, and whether each is the one that was published.
Exit status 1: something breaks. Exit status 2: it was not checked.`,
		SilenceUsage: true,
		Args: func(cmd *cobra.Command, args []string) error {
			if err := cobra.NoArgs(cmd, args); err != nil {
				return exit.Error{Code: exitNotChecked, Err: err}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			var tree fs.FS = schemas.FS
			if dir != "" {
				tree = os.DirFS(dir)
			}
			if base != "" {
				o.Base = os.DirFS(base)
			}
			rep, err := registry.Compat(tree, cmd.OutOrStdout(), o)
			if err != nil {
				return exit.Error{Code: exitNotChecked, Err: err}
			}
			if rep.Breaking > 0 {
				return exit.Error{Code: exitBreaking, Err: fmt.Errorf("schema compat: %d breaking findings", rep.Breaking)}
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&dir, "dir", "", "folder of the schemas (default: those built into this program)")
	f.StringVar(&base, "base", "", "folder of the schemas as published before; its versions must not change")
	f.StringVar(&o.JSON, "json", "", "write the report as JSON to this file")
	f.StringVar(&o.Diff, "diff", "", "write the report as text to this file")
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return exit.Error{Code: exitNotChecked, Err: err} })
	return cmd
}
