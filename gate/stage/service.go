package stage

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/mbp-market/mbp/gate"
	"github.com/mbp-market/mbp/gate/plan"
)

const (
	// pollEvery is how often readiness is asked.
	pollEvery = 100 * time.Millisecond
	// askTimeout bounds one question to a service.
	askTimeout = 5 * time.Second
)

// service is one that was started in this run.
type service struct {
	cfg      plan.Service
	p        *process
	stopping atomic.Bool
	died     chan struct{} // closed if it ended before it was told to
	how      string        // how it died; valid once died is closed
	killed   bool          // SIGKILL was needed; owned by stopServices
}

// death says how the service died, or nothing.
func (s *service) death() string {
	select {
	case <-s.died:
		return s.how
	default:
		return ""
	}
}

func (r *runner) service(name string) *service {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.services {
		if s.cfg.Name == name {
			return s
		}
	}
	return nil
}

// startServices starts them in order, each when the one before is ready. One
// that cannot start leaves those that do not need it.
func (r *runner) startServices(ctx context.Context, j job) outcome {
	var reasons []string
	worst := ok()
	for _, c := range r.cfg.Services {
		r.ui.live("starting " + c.Name)
		o := r.startService(ctx, j, c)
		if o.state == gate.StepOK {
			continue
		}
		reasons = append(reasons, fmt.Sprintf("service %s: %s", c.Name, o.reason))
		if worst.state != gate.StepFailed {
			worst = o
		}
		if ctx.Err() != nil {
			break
		}
	}
	worst.reason = strings.Join(reasons, "; ")
	return worst
}

func (r *runner) startService(ctx context.Context, j job, c plan.Service) outcome {
	for _, n := range c.Needs {
		if s := r.service(n); s == nil || s.death() != "" {
			return notRun("it needs %s, which does not run", n)
		}
	}
	if o := r.toolThere(c.Tool); o.state != gate.StepOK {
		return o
	}
	for _, f := range c.Files {
		if err := r.place(f); err != nil {
			return failed("%v", err)
		}
	}
	dir := filepath.Join(j.dir, c.Name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return failed("make its folder: %v", err)
	}
	// A service's log has a folder of its own; its record is the stage's.
	rec := gate.Step{}
	p, o := r.launchStep(job{Step: plan.Step{Argv: c.Argv, Env: c.Env}, dir: dir, rec: &rec})
	if p == nil {
		return o
	}
	j.rec.Argv = append(j.rec.Argv, strings.Join(rec.Argv, " "))
	s := &service{cfg: c, p: p, died: make(chan struct{})}
	go r.watch(s)
	r.mu.Lock()
	r.services = append(r.services, s)
	r.mu.Unlock()
	return r.untilReady(ctx, s)
}

// place writes a file that a service reads when it starts.
func (r *runner) place(f plan.File) error {
	to, err := r.scope.Expand(f.To)
	if err != nil {
		return err
	}
	text := f.Text
	if f.From != "" {
		from, err := r.scope.Expand(f.From)
		if err != nil {
			return err
		}
		b, err := os.ReadFile(r.abs(from))
		if err != nil {
			return fmt.Errorf("copy %s: %w", f.From, err)
		}
		text = string(b)
	} else if text, err = r.scope.Expand(text); err != nil {
		return err
	}
	to = r.abs(to)
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return fmt.Errorf("write %s: %w", f.To, err)
	}
	if err := os.WriteFile(to, []byte(text), 0o600); err != nil {
		return fmt.Errorf("write %s: %w", f.To, err)
	}
	return nil
}

// watch notices a death at once and names it.
func (r *runner) watch(s *service) {
	<-s.p.done
	if s.stopping.Load() {
		return
	}
	s.how = s.p.how()
	if last := s.p.err.lastLine(); last != "" {
		s.how += ", last words: " + last
	}
	close(s.died)
	r.ui.note(fmt.Sprintf("service %s died: %s", s.cfg.Name, r.scrub(s.how)))
}

func (r *runner) untilReady(ctx context.Context, s *service) outcome {
	url, err := r.scope.Expand(s.cfg.Ready)
	if err != nil {
		return failed("%v", err)
	}
	limit := s.cfg.ReadyTimeout.Or(30 * time.Second)
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	last := "no answer"
	for {
		status, body, err := httpGet(ctx, url)
		switch {
		case err == nil && status == http.StatusOK:
			return ok()
		case err == nil:
			last = fmt.Sprintf("status %d: %s", status, clip(strings.TrimSpace(string(body)), 200))
		case ctx.Err() == nil:
			last = err.Error()
		}
		select {
		case <-s.died:
			return failed("it ended before it was ready (%s)", s.how)
		case <-ctx.Done():
			return failed("not ready after %s (%s)", limit, last)
		case <-tick.C:
		}
	}
}

// stopServices stops what runs, in reverse, so that a reader ends before what
// it reads.
func (r *runner) stopServices() {
	r.mu.Lock()
	list := r.services
	r.mu.Unlock()
	for i := len(list) - 1; i >= 0; i-- {
		s := list[i]
		s.stopping.Store(true)
		s.killed = s.p.stop(s.cfg.StopTimeout.Or(grace)) || s.killed
	}
}

// stopStep stops the services and fails if one of them had died, would not
// stop, or ended badly; and it fails on secrets that reached the evidence.
func (r *runner) stopStep() outcome {
	r.stopServices()
	var reasons []string
	for _, s := range r.services {
		switch death := s.death(); {
		case death != "":
			reasons = append(reasons, fmt.Sprintf("service %s died during the run (%s)", s.cfg.Name, death))
		case s.killed:
			reasons = append(reasons, fmt.Sprintf("service %s did not stop within %s and was killed", s.cfg.Name, s.cfg.StopTimeout.Or(grace)))
		case s.p.exit != 0 && s.p.exit != 128+int(syscall.SIGTERM) && s.p.signal != syscall.SIGTERM.String():
			reasons = append(reasons, fmt.Sprintf("service %s, told to stop, ended with %s: %s", s.cfg.Name, s.p.how(), s.p.err.lastLine()))
		}
	}
	if n := strays(r.cookie); n > 0 {
		r.ui.note(fmt.Sprintf("killed %d processes that had left their group", n))
	}
	for _, s := range r.services {
		r.scrubFiles(filepath.Dir(s.p.out.f.Name()))
	}
	r.gatherSecrets()
	leaks, err := r.leaks()
	if err != nil {
		reasons = append(reasons, err.Error())
	}
	for _, path := range leaks {
		reasons = append(reasons, "a secret of the run was in "+path+"; the file was removed")
	}
	if len(reasons) > 0 {
		return failed("%s", strings.Join(reasons, "; "))
	}
	return ok()
}
