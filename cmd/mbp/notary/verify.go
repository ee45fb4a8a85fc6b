package notary

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/mbp-market/mbp/cmd/mbp/exit"
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/audit"
)

func verifyCommand() *cobra.Command {
	key := ""
	cmd := &cobra.Command{
		Use:   "verify FILE",
		Short: "Check a proof or a checkpoint, without the server",
		Long: `Check a file that mbp audit prove, consistency or checkpoint wrote. It needs
nothing but the verifier key of the log, which is best taken from somebody else
than the proof. Of a decision it prints what was decided, as JSON.

Exit codes: 0 it holds, 1 it does not, 2 wrong usage.`,
		Example: `  mbp audit verify 1234.json --key "$(cat log.key)"`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			v, err := audit.ParseVerifier(key)
			if err != nil {
				return exit.BadUsage(err)
			}
			b, err := readProof(args[0])
			if err != nil {
				return err
			}
			return verify(cmd.OutOrStdout(), v, b)
		},
	}
	cmd.Flags().StringVar(&key, "key", "", "the `verifier` key of the log")
	_ = cmd.MarkFlagRequired("key") // fails only for a flag that is not there
	return cmd
}

// verify checks whichever of the three a file is.
func verify(w io.Writer, v audit.Verifier, b []byte) error {
	if len(b) == 0 || b[0] != '{' {
		c, err := v.Open(b)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "signed: %s\n", line(c))
		return nil
	}
	if p, err := audit.Unmarshal[audit.Inclusion](b); err == nil {
		return verifyInclusion(w, v, p)
	}
	p, err := audit.Unmarshal[audit.Consistency](b)
	if err != nil {
		return fmt.Errorf("neither the proof of a decision nor of consistency: %w", err)
	}
	was, is, err := p.Verify(v)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "consistent: %s\ncontinues:  %s\n", line(is), line(was))
	return nil
}

func verifyInclusion(w io.Writer, v audit.Verifier, p *audit.Inclusion) error {
	c, err := p.Verify(v)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "included: decision %d in %s\n", p.Seq, line(c))
	d, err := engine.Decode(engine.Seq(p.Seq), p.Record)
	if errors.Is(err, engine.ErrEncoding) {
		fmt.Fprintf(w, "this program cannot show it: %v\n", err) // of a later version; the proof holds
		return nil
	} else if err != nil {
		return err
	}
	out, err := json.Marshal(d)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%s\n", out)
	return nil
}

func line(c audit.Checkpoint) string {
	return fmt.Sprintf("%s, %d decisions, the last at %s, root %s", c.Origin, c.Size, c.At, c.Root)
}
