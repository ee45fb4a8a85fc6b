package stage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/mbp-market/mbp/gate/plan"
	"github.com/mbp-market/mbp/gate/scan"
)

// scan runs one scanner. Its programs run like every other: in a group of
// their own, in the environment of the run, bounded by the step's time.
func (r *runner) scan(ctx context.Context, j job) outcome {
	work := filepath.Join(r.scratch, "scan", j.Kind)
	if err := os.MkdirAll(work, 0o700); err != nil {
		return failed("make scratch folder: %v", err)
	}
	s := scan.Scanner{Tool: r.scope["tool."+j.Tool], Root: r.Root, Work: work, Reports: filepath.Join(r.evi, "security")}
	n := 0
	s.Exec = func(ctx context.Context, c scan.Command) (scan.Output, error) {
		n++
		// What the scanner said, word by word, is evidence beside its reports.
		return r.scanExec(ctx, j, filepath.Join(j.dir, fmt.Sprintf("call-%02d", n)), c)
	}
	defer r.scrubFiles(j.dir)
	var err error
	switch j.Kind {
	case plan.KindGitleaks:
		_, err = s.Gitleaks(ctx)
	case plan.KindGovulncheck:
		err = r.govulncheck(ctx, j, s)
	case plan.KindSBOM:
		_, err = s.CycloneDX(ctx)
	}
	switch {
	case errors.Is(err, scan.ErrUnavailable):
		return notRun("%v", err)
	case err != nil:
		return failed("%v", err)
	}
	return ok()
}

func (r *runner) govulncheck(ctx context.Context, j job, s scan.Scanner) error {
	path, err := r.scope.Expand(j.Database)
	if err != nil {
		return err
	}
	if path != "" {
		path = r.abs(path)
	}
	required := j.DatabaseEnv != "" && os.Getenv(j.DatabaseEnv) != ""
	_, _, err = s.Govulncheck(ctx, path, required, r.run.StartedAt)
	return err
}

// scanExec runs one program of a scanner and notes it in the record.
func (r *runner) scanExec(ctx context.Context, j job, logs string, c scan.Command) (scan.Output, error) {
	env, err := r.environ(j.Env)
	if err != nil {
		return scan.Output{}, err
	}
	p, err := start(launch{argv: c.Argv, env: append(env, c.Env...), dir: c.Dir, outPath: logs + ".stdout.txt", errPath: logs + ".stderr.txt", maxOut: maxAnswer})
	if err != nil {
		return scan.Output{}, err
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		p.stop(grace)
		return scan.Output{}, context.Cause(ctx)
	}
	for _, a := range c.Argv {
		j.rec.Argv = append(j.rec.Argv, r.scrub(a))
	}
	j.rec.Argv = append(j.rec.Argv, ";")
	if p.exit < 0 || p.fault != nil {
		return scan.Output{}, fmt.Errorf("%s: %s", filepath.Base(c.Argv[0]), p.how())
	}
	stdout, err := readUpTo(logs+".stdout.txt", maxAnswer)
	if err != nil {
		return scan.Output{}, err
	}
	stderr, err := readUpTo(logs+".stderr.txt", maxLog)
	return scan.Output{Stdout: stdout, Stderr: stderr, Exit: p.exit}, err
}

// readUpTo reads a log of a scanner; one that was cut is no answer.
func readUpTo(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) >= limit {
		err = fmt.Errorf("%s is larger than %d bytes", filepath.Base(path), limit)
	}
	return b, err
}
