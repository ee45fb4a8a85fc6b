package main

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mbp-market/mbp/gate"
	"github.com/mbp-market/mbp/gate/evidence"
	"github.com/mbp-market/mbp/gate/stage"
)

func runCommand() *cobra.Command {
	var f gateFlags
	var o stage.Options
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the stages of the plan, judge, pack and anchor",
		Long: `Run the stages of prega.yaml in order and judge what they left.

A step is OK, FAILED, NOT_RUN (something is missing; the reason says what to
do) or DISABLED (optional and not asked for, or another step has its place). The
gate goes on after a step that is not OK, so that the report is complete, but it
cannot pass then.

A new run removes the evidence of the last one; its pack stays in out/. Ctrl-C
stops everything that was started and keeps the evidence so far, marked as
INTERRUPTED. A second run in the same repository is refused.

  prega run --profile smoke               a minute of load
  prega run --profile smoke --until up    start the services, stop them again
  prega run --from judge                  judge, pack and anchor once more`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			place, err := f.place()
			if err != nil {
				return err
			}
			if o.From != "" && !cmd.Flags().Changed("profile") {
				run, err := (&gateHouse{Place: place}).readRun()
				if err != nil {
					return err
				}
				o.Profile = run.Profile // a run is resumed as what it was
			}
			return runGate(cmd.Context(), place, o, f.json, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&o.Profile, "profile", gate.Full, "smoke (a minute of load) or full (an hour; the only one that can approve)")
	cmd.Flags().StringVar(&o.From, "from", "", "first stage; only one that needs no running service")
	cmd.Flags().StringVar(&o.Until, "until", "", "last stage")
	for flag, values := range map[string]func(stage.Place) []string{"profile": profiles, "from": stages, "until": stages} {
		_ = cmd.RegisterFlagCompletionFunc(flag, func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			place, err := f.place()
			if err != nil {
				return nil, cobra.ShellCompDirectiveError
			}
			return values(place), cobra.ShellCompDirectiveNoFileComp
		})
	}
	return cmd
}

func profiles(p stage.Place) (names []string) {
	for n := range p.Plan.Profiles {
		names = append(names, n)
	}
	return names
}

func stages(p stage.Place) (names []string) {
	for _, s := range p.Plan.Stages {
		names = append(names, s.Name+"\t"+s.Title)
	}
	return names
}

// runGate runs the stages and says how it ended.
func runGate(ctx context.Context, place stage.Place, o stage.Options, asJSON bool, stdout, stderr io.Writer) error {
	h := &gateHouse{Place: place}
	o.Place, o.Progress = place, stdout
	if asJSON {
		o.Progress = stderr
	}
	o.Closing = stage.Closing{
		Judge:  h.judge,
		Pack:   func(secrets []string) error { return h.pack(ctx, secrets) },
		Anchor: func() error { return h.anchorAgain(ctx) },
		Report: func() error { return nil }, // printed below, when all is done
	}
	res, err := stage.Run(ctx, o)
	if err != nil && res.Verdict == nil {
		return err
	}
	if asJSON {
		if err := writeJSON(stdout, h.outcome(res)); err != nil {
			return err
		}
	} else {
		h.print(stdout, res)
	}
	switch {
	case err != nil:
		return err
	case res.Verdict != nil && !res.Verdict.Passed(), res.Verdict == nil && len(res.Bad) > 0:
		return errRefused
	}
	return nil
}

// anchorAgain anchors the pack of this run, or the last one if this run begins
// after it.
func (h *gateHouse) anchorAgain(ctx context.Context) error {
	pack := h.packed.Path
	if pack == "" {
		var err error
		if pack, err = h.lastPack(); err != nil {
			return err
		}
	}
	return h.anchorPack(ctx, pack)
}

func judgeCommand() *cobra.Command {
	var f gateFlags
	cmd := &cobra.Command{
		Use:   "judge",
		Short: "Judge the evidence: verdict.json and report.txt",
		Long: `Judge the evidence of the last run with the sheet that lies in it, and write
verdict.json and report.txt. Both are pure functions of the evidence: judging
again gives the same bytes.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.verdict(cmd, (*gateHouse).judge)
		},
	}
	f.add(cmd)
	return cmd
}

func reportCommand() *cobra.Command {
	var f gateFlags
	cmd := &cobra.Command{
		Use:   "report",
		Short: "Print the report on the evidence, without writing anything",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.verdict(cmd, (*gateHouse).verdict)
		},
	}
	f.add(cmd)
	return cmd
}

// verdict judges and prints.
func (f *gateFlags) verdict(cmd *cobra.Command, judge func(*gateHouse, string) (gate.Verdict, error)) error {
	place, err := f.place()
	if err != nil {
		return err
	}
	h := &gateHouse{Place: place}
	run, err := h.readRun()
	if err != nil {
		return err
	}
	v, err := judge(h, run.Profile)
	if err != nil {
		return err
	}
	if f.json {
		if err := writeJSON(cmd.OutOrStdout(), v); err != nil {
			return err
		}
	} else {
		report(cmd.OutOrStdout(), v)
	}
	if !v.Passed() {
		return errRefused
	}
	return nil
}

func packCommand() *cobra.Command {
	var f gateFlags
	cmd := &cobra.Command{
		Use:   "pack",
		Short: "Pack the judged evidence into one file with its .sha256",
		Long: `Pack the evidence of the last run. Equal evidence gives equal bytes and the
same name. The evidence has to be judged, and it may hold no secret of the run.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			place, err := f.place()
			if err != nil {
				return err
			}
			h := &gateHouse{Place: place}
			if err := h.pack(cmd.Context(), nil); err != nil {
				return err
			}
			if f.json {
				return writeJSON(cmd.OutOrStdout(), h.outcome(stage.Result{}))
			}
			fmt.Fprintf(cmd.OutOrStdout(), "pack    %s\nsha256  %s\nroot    %s of %d leaves\n", h.relative(h.packed.Path), h.packed.SHA256, h.packed.Root, h.packed.TreeSize)
			return nil
		},
	}
	f.add(cmd)
	return cmd
}

func anchorCommand() *cobra.Command {
	var f gateFlags
	cmd := &cobra.Command{
		Use:   "anchor [PACK]",
		Short: "Anchor a pack: ANCHOR.json, ANCHOR.txt, and the tag of an approved run",
		Long: `Verify a pack (default: the last one), append it to the chain of runs and write
ANCHOR.json and ANCHOR.txt beside it. Every run is anchored, refused ones too.

The pack of an APPROVED full run also gets the annotated git tag
anchor-M2-<root> on the commit that was judged, if the work tree is clean and at
that commit. Doing it again changes nothing. The tag is not pushed.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			place, err := f.place()
			if err != nil {
				return err
			}
			h := &gateHouse{Place: place}
			pack, err := h.lastPack()
			if len(args) > 0 {
				pack, err = args[0], nil
			}
			if err != nil {
				return err
			}
			if err := h.anchorPack(cmd.Context(), pack); err != nil {
				return err
			}
			tag, err := h.setTag(cmd.Context())
			if err != nil {
				return err
			}
			if f.json {
				return writeJSON(cmd.OutOrStdout(), h.anchor)
			}
			_, _ = cmd.OutOrStdout().Write(h.anchor.Text())
			fmt.Fprintln(cmd.OutOrStdout(), tag)
			return nil
		},
	}
	f.add(cmd)
	return cmd
}

// setTag tags the judged commit with the root of an approved run and says what
// it did. A tag that is there already must be on the same commit.
func (h *gateHouse) setTag(ctx context.Context) (string, error) {
	tag := h.anchor.Tag()
	if tag == "" {
		return fmt.Sprintf("no tag: %s of profile %s", h.anchor.Decision, h.anchor.Profile), nil
	}
	git := func(args ...string) (string, error) {
		out, err := exec.CommandContext(ctx, "git", append([]string{"-C", h.Root}, args...)...).Output()
		if err != nil {
			return "", fmt.Errorf("git %s: %w", args[0], err)
		}
		return strings.TrimSpace(string(out)), nil
	}
	if at, err := git("rev-parse", "--verify", "--quiet", tag+"^{commit}"); err == nil {
		if at != h.anchor.Commit {
			return "", fmt.Errorf("the tag %s is on %s, judged was %s", tag, at, h.anchor.Commit)
		}
		return "tag " + tag + " is there already", nil
	}
	changed, err := git("status", "--porcelain")
	if err != nil {
		return "", err
	}
	head, err := git("rev-parse", "HEAD")
	if err != nil {
		return "", err
	}
	if changed != "" || head != h.anchor.Commit {
		return "", fmt.Errorf("no tag: the work tree has to be clean and at %s, the commit that was judged", h.anchor.Commit)
	}
	if _, err := git("tag", "-a", tag, "-m", string(h.anchor.Text()), h.anchor.Commit); err != nil {
		return "", err
	}
	return "tag " + tag + " set; to publish it: git push origin " + tag, nil
}

func verifyCommand() *cobra.Command {
	var o evidence.Options
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "verify PACK",
		Short: "Check a pack offline: every byte, the root, the verdict",
		Long: `Check a pack without any network: that it is exactly what the packer wrote, that
its root binds every file, that verdict and report are what its evidence gives,
and that the .sha256 and ANCHOR files beside it, if any, agree. The error names
the file in the pack that is not what was packed.

  prega verify out/smoke_evidence_bundle_20260101T000000Z.zip
  prega verify pack.zip --root 3f0c…      a root that you know from elsewhere, such
                                          as the tag anchor-M2-<root>`,
		Args: cobra.ExactArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return []string{"zip"}, cobra.ShellCompDirectiveFilterFileExt
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := evidence.Verify(cmd.Context(), args[0], o)
			if err != nil {
				fmt.Fprintln(cmd.ErrOrStderr(), "prega:", err)
				return errRefused
			}
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), r)
			}
			printVerified(cmd.OutOrStdout(), filepath.Base(args[0]), r)
			return nil
		},
	}
	cmd.Flags().StringVar(&o.Root, "root", "", "the root that the pack must have, in hex")
	cmd.Flags().BoolVar(&o.SkipReevaluation, "skip-reevaluation", false, "check the bytes only; for packs of a prega with other rules")
	cmd.Flags().BoolVar(&asJSON, "json", false, "write the result as JSON")
	return cmd
}

func printVerified(w io.Writer, name string, r evidence.Result) {
	fmt.Fprintf(w, "%s: OK\n", name)
	line := func(what, value string) { fmt.Fprintf(w, "  %-9s %s\n", what, value) }
	line("root", fmt.Sprintf("%s of %d leaves", r.Root, r.TreeSize))
	line("sha256", r.SHA256)
	line("run", fmt.Sprintf("%s, profile %s, ended %s", r.Manifest.RunID, r.Manifest.Profile, r.Manifest.EndedAt))
	line("commit", r.Manifest.Subject.Commit)
	verdict := r.Manifest.Decision + ", as the pack says (not judged again)"
	if r.Reevaluated {
		verdict = r.Verdict.Decision + ", judged again with the same result"
	}
	line("verdict", verdict)
	if len(r.Beside) > 0 {
		line("beside it", strings.Join(r.Beside, ", ")+" agree")
	}
}
