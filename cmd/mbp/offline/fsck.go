package offline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/mbp-market/mbp/cmd/mbp/exit"
	"github.com/mbp-market/mbp/cmd/mbp/table"
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/journal/postgres"
)

// check is one of the things that `mbp fsck` looks at. run fills what it found, and
// says with an error why it could not look, which is no better than a fault.
type check struct {
	name string
	run  func(ctx context.Context, f *fsck, found *finding) error
}

// checks are all of them, in their order. The first decides whether there is
// anything to look at for the others.
func (f *fsck) checks() []check {
	all := []check{{"journal", checkJournal}, {"ledger", checkLedger}}
	if f.data != "" { // else it is a database alone
		all = append(all, check{"snapshot", checkSnapshots})
	}
	if f.data != "" && f.audit {
		all = append(all, check{"audit", checkAudit})
	}
	if f.texts {
		all = append(all, check{"texts", checkTexts})
	}
	return all
}

// The verdicts of a check. Only the first passes.
const (
	holds  = "ok"
	fails  = "failed"
	notRun = "not_run"
)

// maxFaults bounds the faults that one check tells, beside their number; a disk that
// is gone has one for each segment, a table one for each row.
const maxFaults = 64

// finding is what a check found.
type finding struct {
	Check   string  `json:"check"`
	Verdict string  `json:"verdict"`
	Why     string  `json:"why,omitempty"` // of not_run
	Seconds float64 `json:"seconds"`
	Bytes   int64   `json:"bytes"` // read by this check: of the journal, or of the snapshots
	Rate    int64   `json:"bytes_per_second"`
	Found   any     `json:"found,omitempty"`
	Faults  []fault `json:"faults,omitempty"` // the first maxFaults of them
	Count   int     `json:"faults_total"`     // how many there are
	said    string  // of Found, for people
}

// fault is one thing that does not hold.
type fault struct {
	Place  string `json:"place,omitempty"` // file
	Offset int64  `json:"offset,omitempty"`
	Seq    uint64 `json:"seq,omitempty"`
	Reason string `json:"reason"`
}

func (f fault) String() string {
	out := f.Reason
	if f.Seq > 0 {
		out = fmt.Sprintf("sequence %d: %s", f.Seq, out)
	}
	if f.Place != "" {
		out = fmt.Sprintf("%s at offset %d, %s", f.Place, f.Offset, out)
	}
	return out
}

func (f *finding) fault(x fault) {
	f.Count++
	if len(f.Faults) < maxFaults {
		f.Faults = append(f.Faults, x)
	}
}

func (f *finding) damage(c *journal.CorruptError) {
	f.fault(fault{c.Place, c.Offset, c.Seq, c.Reason})
}

// fsck is one run of `mbp fsck`.
type fsck struct {
	place
	audit  bool
	texts  bool
	asJSON bool
	log    reader // nil: it cannot be opened
	meter  *meter
	words  *words                       // what the journal says of the store of texts, by checkLedger; nil: it was not folded
	folded map[engine.Seq]engine.Digest // hashes of the state by checkLedger, where a snapshot is; nil: it was not folded
}

// FsckCommand checks a data folder.
func FsckCommand() *cobra.Command {
	f := &fsck{}
	cmd := &cobra.Command{
		Use:   "fsck",
		Short: "Check every byte that a data folder has to have",
		Long: `Read a data folder, or a journal in a database, and say what does not hold:

  journal  every check value of every segment, in the archive and in the log, or of
           every row; that batches are whole, and sequences follow each other
           without a gap
  ledger   the journal folded from its first decision: credits and shares are
           conserved, balances are the sum of their postings, every invariant holds
  snapshot every byte of every snapshot, and that its state is the one that the
           journal folds to; one in the form of another version cannot be used and
           counts as a fault (mbp snapshot writes a new one)
  audit    each record hashed again and compared with the audit tree, and the tree
           with every signed checkpoint
  texts    the store of what can be forgotten: each text has the id under which it is
           held, each id that a decision names is held, unless it went with a person,
           and of who was erased nothing is held

Nothing is written. It may run beside a server: what is checked then ends before the
last batch, unless a signed checkpoint covers that, because its sync may not be over.
A torn batch at the end is what a crash leaves; it is said, and no fault. The last
answered batch, damaged, looks the same; a checkpoint that covers it tells.

With --journal the journal, the ledger and the texts are read from the database, up to
the last commit. The snapshots and the audit tree of a server lie in its data folder: name that with
--data, and they are compared with the database.

Damage is reported with file, offset and sequence, or with the table and the sequence
as its offset: all of it is looked for, and the first 64 faults of a check are told with
how many there are. mbp replay --verify decides every
command again, too. docs/spec/durability.md says what the journal promises.

Exit codes: 0 all of it holds, 1 it does not, or a check could not look, 2 wrong
usage or no journal there.`,
		Example: "  mbp fsck --data mbp-data\n  mbp fsck --data mbp-data --archive /mnt/cold --json | jq .ok\n  mbp fsck --journal postgres://mbp@db.example/mbp --data mbp-data",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			var err error
			if f.data, err = table.Folder(cmd, f.journal, f.data); err != nil {
				return err
			}
			f.meter = newMeter(cmd.ErrOrStderr())
			return f.run(ctx, cmd.OutOrStdout())
		},
	}
	f.bind(cmd)
	cmd.Flags().BoolVar(&f.audit, "audit", true, "check the audit tree; false for a server that keeps none")
	cmd.Flags().BoolVar(&f.texts, "texts", true, "check the store of texts; false for a copy of the journal alone")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print the result as JSON")
	return cmd
}

func (f *fsck) run(ctx context.Context, stdout io.Writer) (err error) {
	f.log, err = f.open(f.meter.progress)
	var corrupt *journal.CorruptError
	if err != nil && !errors.As(err, &corrupt) {
		return err
	}
	if f.log != nil {
		defer func() { err = errors.Join(err, f.log.Close()) }()
	}
	var all []*finding
	broken := ""
	for _, c := range f.checks() {
		found := &finding{Check: c.name, Verdict: notRun, Why: broken}
		all = append(all, found)
		switch {
		case corrupt != nil && len(all) == 1: // it cannot even be opened
			found.Verdict, found.Why = fails, ""
			found.damage(corrupt)
			if f.journal != "" { // what else is wrong with it
				if _, err := postgres.Examine(ctx, f.journal, 0, found.damage); err != nil {
					found.Why = err.Error()
				}
			}
		case broken == "":
			f.one(ctx, c, found)
		}
		if len(all) == 1 && found.Verdict != holds {
			broken = "the journal does not hold"
		}
	}
	f.meter.clear()
	return f.tell(stdout, all)
}

// one runs a check.
func (f *fsck) one(ctx context.Context, c check, found *finding) {
	f.meter.begin(c.name)
	began := time.Now()
	found.Bytes = -1
	err := c.run(ctx, f, found)
	took := max(time.Since(began), time.Microsecond)
	if found.Seconds = took.Seconds(); found.Bytes < 0 {
		found.Bytes = f.log.Bytes()
	}
	found.Rate = int64(float64(found.Bytes) / took.Seconds())
	switch {
	case err == nil && ctx.Err() != nil:
		err = ctx.Err()
		fallthrough
	case err != nil:
		found.Verdict, found.Why = notRun, err.Error()
	case len(found.Faults) > 0:
		found.Verdict = fails
	default:
		found.Verdict = holds
	}
	if len(found.Faults) > 0 {
		found.Verdict = fails
	}
}

// tell prints what was found, and returns an error unless all of it holds.
func (f *fsck) tell(w io.Writer, all []*finding) error {
	bad := 0
	for _, x := range all {
		if x.Verdict != holds {
			bad++
		}
	}
	if f.asJSON {
		err := json.NewEncoder(w).Encode(struct {
			OK     bool       `json:"ok"`
			Held   bool       `json:"held"` // by a server, while it was checked
			Checks []*finding `json:"checks"`
		}{bad == 0, f.log != nil && f.log.Held(), all})
		if err != nil {
			return err
		}
	} else {
		f.print(w, all)
	}
	if bad > 0 {
		return exit.Error{Code: exit.Rejected, Err: fmt.Errorf("%s: %d of %d checks do not hold", f.name(), bad, len(all))}
	}
	return nil
}

func (f *fsck) print(w io.Writer, all []*finding) {
	if f.log != nil && f.log.Held() {
		fmt.Fprintf(w, "a server holds the journal: checked up to sequence %d, which is durable\n", f.log.Next()-1)
	}
	for _, x := range all {
		switch x.Verdict {
		case holds:
			fmt.Fprintf(w, "%-8s ok       %s; %.1f s, %s/s\n", x.Check, x.said, x.Seconds, size(x.Rate))
		case notRun:
			fmt.Fprintf(w, "%-8s NOT RUN  %s\n", x.Check, x.Why)
		default:
			fmt.Fprintf(w, "%-8s FAILED   %d faults\n", x.Check, x.Count)
		}
		for _, y := range x.Faults {
			fmt.Fprintf(w, "         %s\n", y)
		}
		if more := x.Count - len(x.Faults); more > 0 {
			fmt.Fprintf(w, "         and %d more\n", more)
		}
	}
}

// size writes a number of bytes for people.
func size(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
}
