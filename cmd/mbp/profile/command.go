package profile

import (
	"encoding/json"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/mbp-market/mbp/cmd/mbp/exit"
	"github.com/mbp-market/mbp/cmd/mbp/machine"
)

// Command keeps the profiles.
func Command() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "profile",
		Short: "Name servers and keys, so that no command has to repeat them",
		Long: `Name servers and keys. A profile is an address and the file of a secret; the
secret itself stays in its file. The profile in use counts where neither --url nor
MBP_URL, MBP_KEY or MBP_KEY_FILE says otherwise; --profile and MBP_PROFILE name
another one.

They lie in mbp/profiles.yaml in the folder for configuration of this user
(MBP_PROFILES names another file), for their owner alone.`,
		Example: `  mbp profile add office --url https://mbp.example.org --key-file ~/ana.key
  mbp profile use office
  mbp market list --profile office`,
	}
	cmd.AddCommand(addCommand(), useCommand(), listCommand(), removeCommand())
	return cmd
}

// edit changes the profiles and says what there is now.
func edit(cmd *cobra.Command, change func(*File) (string, error)) error {
	f, err := Load()
	if err != nil {
		return exit.BadUsage(err)
	}
	said, err := change(&f)
	if err != nil {
		return exit.BadUsage(err)
	}
	if err := f.Save(); err != nil {
		return err
	}
	fmt.Fprintln(cmd.OutOrStdout(), said)
	return nil
}

func addCommand() *cobra.Command {
	p := Profile{}
	cmd := &cobra.Command{
		Use: "add NAME --url URL --key-file FILE", Short: "Add a profile, or change one", Args: cobra.ExactArgs(1),
		Example: "  mbp profile add local --url http://127.0.0.1:8420 --key-file mbp-data/admin.key",
		RunE: func(cmd *cobra.Command, args []string) error {
			file, err := filepath.Abs(p.KeyFile)
			if err != nil {
				return exit.BadUsage(err)
			}
			if _, err := machine.ReadOwn(file); err != nil {
				return exit.BadUsage(fmt.Errorf("read the key: %w", err))
			}
			return edit(cmd, func(f *File) (string, error) {
				err := f.Put(args[0], Profile{URL: p.URL, KeyFile: file})
				return fmt.Sprintf("profile %s is %s with the key in %s; %s is in use", args[0], p.URL, file, f.Use), err
			})
		},
	}
	cmd.Flags().StringVar(&p.URL, "url", "http://127.0.0.1:8420", "`URL` of the server")
	cmd.Flags().StringVar(&p.KeyFile, "key-file", "", "`file` with the secret of the API key")
	_ = cmd.MarkFlagRequired("key-file") // the flag is there
	return cmd
}

func useCommand() *cobra.Command {
	return &cobra.Command{
		Use: "use NAME", Short: "Use a profile from now on", Args: cobra.ExactArgs(1), ValidArgsFunction: Complete,
		RunE: func(cmd *cobra.Command, args []string) error {
			return edit(cmd, func(f *File) (string, error) {
				p, err := f.Find(args[0])
				f.Use = args[0]
				return fmt.Sprintf("%s is in use: %s with the key in %s", args[0], p.URL, p.KeyFile), err
			})
		},
	}
}

func removeCommand() *cobra.Command {
	return &cobra.Command{
		Use: "remove NAME", Short: "Forget a profile; its key file stays", Args: cobra.ExactArgs(1), ValidArgsFunction: Complete,
		RunE: func(cmd *cobra.Command, args []string) error {
			return edit(cmd, func(f *File) (string, error) {
				_, err := f.Find(args[0])
				delete(f.Profiles, args[0])
				if f.Use == args[0] {
					f.Use = ""
				}
				return "profile " + args[0] + " is forgotten", err
			})
		},
	}
}

func listCommand() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use: "list", Short: "List the profiles; * is in use", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f, err := Load()
			if err != nil {
				return exit.BadUsage(err)
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(f)
			}
			for _, name := range f.Names() {
				mark := " "
				if name == f.Use {
					mark = "*"
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s %s\t%s\t%s\n", mark, name, f.Profiles[name].URL, f.Profiles[name].KeyFile)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print them as JSON")
	return cmd
}

// Complete completes the name of a profile.
func Complete(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	f, err := Load()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return f.Names(), cobra.ShellCompDirectiveNoFileComp
}
