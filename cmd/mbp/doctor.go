package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mbp-market/mbp/cmd/mbp/doctor"
	"github.com/mbp-market/mbp/cmd/mbp/exit"
	"github.com/mbp-market/mbp/cmd/mbp/remote"
)

func doctorCommand() *cobra.Command {
	c := &remote.Connection{}
	cfg := defaultConfig()
	file := ""
	settings := pflag.NewFlagSet("serve", pflag.ContinueOnError) // of the server, apart from those of a client
	cfg.bind(settings)
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look at an installation, and say what is wrong with it",
		Long: `Look at an installation: settings, data folder, key files, disk, clock, address,
journal, lake, server, the own key, tools. Each check is PASS, FAIL or NOT_RUN, with what
to do next. Nothing is changed, and a running server is not disturbed.

Exit codes: 0 no check failed, 1 one did, 2 wrong usage.`,
		Example: "  mbp doctor --config demo/mbp.yaml --profile admin",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			fault := load(settings, cmp.Or(file, os.Getenv("MBP_CONFIG")), os.LookupEnv)
			if fault == nil {
				fault = cfg.Validate()
			}
			i := doctor.Installation{
				ConfigFile: cmp.Or(file, os.Getenv("MBP_CONFIG")), ConfigFault: fault, Data: cfg.Data, Archive: cfg.Archive, Database: cfg.Journal != "", Listen: cfg.Listen, Connections: cfg.MaxConnections, Now: time.Now(),
			}
			c.Normally("http://" + cfg.Listen)
			i.Server, i.ServerFault = c.Open()
			for _, name := range []string{c.KeyFile(), filepath.Join(cfg.Data, adminKeyFile)} {
				if _, err := os.Lstat(name); name != "" && (err == nil || name == c.KeyFile()) {
					i.Keys = append(i.Keys, name)
				}
			}
			all := doctor.Examine(cmd.Context(), i)
			if err := doctor.Write(cmd.OutOrStdout(), all, c.JSON()); err != nil {
				return err
			}
			if n := doctor.Failed(all); n > 0 {
				return exit.Error{Code: exit.Rejected, Err: fmt.Errorf("%d of %d checks failed", n, len(all))}
			}
			return nil
		},
	}
	c.Bind(cmd)
	cmd.Flags().AddFlagSet(settings)
	cmd.Flags().StringVar(&file, "config", "", "YAML `file` with the settings of the server (MBP_CONFIG)")
	return cmd
}
