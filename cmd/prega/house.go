package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mbp-market/mbp/gate"
	"github.com/mbp-market/mbp/gate/evidence"
	"github.com/mbp-market/mbp/gate/stage"
)

// gateHouse does the closing steps in a repository and remembers what came out.
type gateHouse struct {
	stage.Place
	packed evidence.Packed
	anchor evidence.Anchor
}

// readRun reads run.json of the evidence.
func (h *gateHouse) readRun() (gate.Run, error) {
	var run gate.Run
	b, err := os.ReadFile(filepath.Join(h.Evidence(), gate.RunFile))
	if errors.Is(err, fs.ErrNotExist) {
		return run, fmt.Errorf("there is no evidence in %s: prega run makes some", h.Plan.Evidence)
	}
	if err == nil {
		err = json.Unmarshal(b, &run)
	}
	if err != nil {
		return run, fmt.Errorf("read %s: %w", gate.RunFile, err)
	}
	return run, nil
}

// judge gives the verdict on the evidence, with the sheet that lies in it, and
// writes verdict.json and report.txt beside it.
func (h *gateHouse) judge(profile string) (gate.Verdict, error) {
	v, err := h.verdict(profile)
	if err != nil {
		return v, err
	}
	b, err := v.Bytes()
	if err != nil {
		return v, err
	}
	if err := os.WriteFile(filepath.Join(h.Evidence(), gate.VerdictFile), b, 0o644); err != nil {
		return v, fmt.Errorf("write verdict: %w", err)
	}
	if err := os.WriteFile(filepath.Join(h.Evidence(), gate.ReportFile), gate.Report(v), 0o644); err != nil {
		return v, fmt.Errorf("write report: %w", err)
	}
	return v, nil
}

// verdict judges without writing.
func (h *gateHouse) verdict(profile string) (gate.Verdict, error) {
	f, err := os.Open(filepath.Join(h.Evidence(), filepath.FromSlash(gate.SheetFile)))
	if err != nil {
		return gate.Verdict{}, fmt.Errorf("open the sheet in the evidence: %w", err)
	}
	defer f.Close()
	sheet, err := gate.ReadSheet(f)
	if err != nil {
		return gate.Verdict{}, err
	}
	return gate.Judge(os.DirFS(h.Evidence()), sheet, profile)
}

// pack packs the evidence; it may hold none of the secrets.
func (h *gateHouse) pack(ctx context.Context, secrets []string) (err error) {
	h.packed, err = evidence.Pack(ctx, h.Evidence(), h.Output(), secrets)
	return err
}

// anchorPack anchors a pack and writes ANCHOR.json and ANCHOR.txt beside it.
func (h *gateHouse) anchorPack(ctx context.Context, pack string) (err error) {
	h.anchor, err = evidence.AnchorPack(ctx, pack)
	return err
}

// lastPack finds the newest pack in the output folder: its name ends with the
// end of its run.
func (h *gateHouse) lastPack() (string, error) {
	packs, err := filepath.Glob(filepath.Join(h.Output(), "*_evidence_bundle_*.zip"))
	if err != nil || len(packs) == 0 {
		return "", fmt.Errorf("there is no pack in %s: prega pack makes one", h.Plan.Output)
	}
	when := func(p string) string { return p[strings.LastIndexByte(p, '_')+1:] }
	return slices.MaxFunc(packs, func(a, b string) int { return strings.Compare(when(a), when(b)) }), nil
}

// relative shows a path of the repository.
func (h *gateHouse) relative(path string) string {
	if rel, err := filepath.Rel(h.Root, path); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return path
}

// colours reports whether w is a terminal that shows them.
func colours(w io.Writer) bool {
	f, isFile := w.(*os.File)
	if !isFile || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	_, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	return err == nil
}

// report prints the verdict for people.
func report(w io.Writer, v gate.Verdict) {
	if colours(w) {
		_, _ = w.Write(gate.ReportANSI(v)) // terminal output: nowhere left to report its failure
		return
	}
	_, _ = w.Write(gate.Report(v))
}

// outcome is the result of a run for machines.
type outcome struct {
	Decision string        `json:"decision"` // empty if the run ended before the judge
	Bad      []string      `json:"bad_steps"`
	Seconds  float64       `json:"seconds"`
	Evidence string        `json:"evidence"`
	Pack     string        `json:"pack,omitempty"`
	SHA256   string        `json:"pack_sha256,omitempty"`
	Root     string        `json:"root,omitempty"`
	Verdict  *gate.Verdict `json:"verdict,omitempty"`
}

// outcome sums a run up.
func (h *gateHouse) outcome(res stage.Result) outcome {
	o := outcome{Bad: append([]string{}, res.Bad...), Seconds: res.Took.Seconds(), Evidence: h.Plan.Evidence, Verdict: res.Verdict}
	if res.Verdict != nil {
		o.Decision = res.Verdict.Decision
	}
	if h.packed.Path != "" {
		o.Pack, o.SHA256, o.Root = h.relative(h.packed.Path), h.packed.SHA256, h.packed.Root
	}
	return o
}

// print shows the end of a run; the decision is the last line.
func (h *gateHouse) print(w io.Writer, res stage.Result) {
	if res.Verdict == nil {
		for _, b := range res.Bad {
			fmt.Fprintln(w, b)
		}
		fmt.Fprintf(w, "evidence %s, not judged; %s\n", h.Plan.Evidence, res.Took.Round(time.Second/10))
		return
	}
	fmt.Fprintln(w)
	report(w, *res.Verdict)
	fmt.Fprintln(w)
	line := func(name, value string) { fmt.Fprintf(w, "%-9s %s\n", name, value) }
	line("evidence", h.Plan.Evidence)
	if h.packed.Path != "" {
		line("pack", h.relative(h.packed.Path))
		line("sha256", h.packed.SHA256)
		line("root", fmt.Sprintf("%s of %d leaves", h.packed.Root, h.packed.TreeSize))
	}
	if h.anchor.Root != "" {
		line("anchor", fmt.Sprintf("%s, run %d of the chain in %s", evidence.AnchorFile, h.anchor.Seq, h.Plan.Output))
		if tag := h.anchor.Tag(); tag != "" {
			line("next", "prega anchor sets the tag "+tag)
		}
	}
	line("time", res.Took.Round(time.Second/10).String())
	decision := res.Verdict.Decision
	if colours(w) {
		code := "\x1b[1;31m"
		if res.Verdict.Passed() {
			code = "\x1b[1;32m"
		}
		decision = code + decision + "\x1b[0m"
	}
	fmt.Fprintf(w, "\n%s\n", decision)
}

// writeJSON writes v for machines.
func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
