package offline

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mbp-market/mbp/cmd/mbp/exit"
	"github.com/mbp-market/mbp/data/cdc"
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/journal"
)

func groupsCommand() *cobra.Command {
	p := &place{}
	cmd := &cobra.Command{
		Use: "groups NAME [NAME…]", Short: "Say by which pseudonyms the lake knows groups", Args: cobra.MinimumNArgs(1),
		Long: `Say by which pseudonyms the lake, and what is made of it, know groups. A pseudonym
follows from the name and from the digest of the first key: who has the lake alone
finds no name by trying. It needs no server, and reads one record of the journal.`,
		Example: "  mbp journal groups board staff --data /var/lib/mbp",
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			log, err := p.open(nil)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, log.Close()) }()
			var first *engine.Initialise
			err = log.Read(log.First(), func(r journal.Record) error {
				d, err := engine.Decode(engine.Seq(r.Seq), r.Payload)
				if err != nil {
					return err
				}
				first, _ = d.Command.(*engine.Initialise)
				return journal.ErrStop
			})
			if err != nil {
				return fmt.Errorf("read the first record: %w", err)
			}
			if first == nil {
				return exit.BadUsage(errors.New("the journal does not begin with decision 1: say --archive"))
			}
			for _, name := range args {
				fmt.Fprintf(cmd.OutOrStdout(), "%s  %s\n", cdc.GroupID(first.Admin.SHA256, name), name)
			}
			return nil
		},
	}
	p.bind(cmd)
	return cmd
}
