package remote

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
)

// seqArg reads the sequence that is the first argument of a verb.
func seqArg(args []string) (engine.Seq, error) {
	seq, err := strconv.ParseUint(args[0], 10, 63)
	if err != nil || seq == 0 {
		return 0, usage(fmt.Errorf("%q is not a sequence", args[0]))
	}
	return engine.Seq(seq), nil
}

func decisionCommand() *cobra.Command {
	c := &Connection{}
	cmd := &cobra.Command{Use: "decision", Short: "Read decisions back"}
	c.Bind(cmd)
	show := &cobra.Command{
		Use: "show SEQ", Short: "Show a decision", Args: cobra.ExactArgs(1),
		RunE: verb(c, func(ctx context.Context, cl *client.Client, args []string) (*client.Decision, error) {
			seq, err := seqArg(args)
			if err != nil {
				return nil, err
			}
			return cl.Decision(ctx, seq)
		}, showDecision),
	}
	var after uint64
	limit := 100
	list := &cobra.Command{
		Use: "list", Short: "List decisions in order", Args: cobra.NoArgs,
		RunE: verb(c, func(ctx context.Context, cl *client.Client, _ []string) (*client.DecisionPage, error) {
			return cl.Decisions(ctx, engine.Seq(after), limit)
		}, showDecisions),
	}
	list.Flags().Uint64Var(&after, "after", 0, "the first one comes after this `sequence`")
	list.Flags().IntVar(&limit, "limit", limit, "how many at most, up to 1000")
	cmd.AddCommand(show, list)
	return cmd
}
