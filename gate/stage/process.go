package stage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// maxLog bounds what is kept of one output stream: a talkative service
	// must not fill the disk during an hour of load.
	maxLog = 8 << 20
	// maxTail is what is kept of the end of a longer stream, where reasons are.
	maxTail = 16 << 10
	// drain is how long pipes may stay open after a process has ended, because
	// a child of it still holds them.
	drain = 3 * time.Second
	// grace is the time between SIGTERM and SIGKILL where nothing else is said.
	grace = 10 * time.Second
)

// logFile keeps the first limit bytes of a stream in a file and the last
// maxTail in memory; close appends the latter.
type logFile struct {
	mu      sync.Mutex
	f       *os.File
	limit   int
	kept    int
	dropped int
	tail    []byte
}

func newLog(path string, limit int) (*logFile, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	return &logFile{f: f, limit: limit}, nil
}

// Write never fails: a full disk must not stop the process that logs.
func (l *logFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	keep := min(len(p), l.limit-l.kept)
	if n, err := l.f.Write(p[:keep]); err != nil {
		keep = n
	}
	l.kept += keep
	l.dropped += len(p) - keep
	l.tail = append(l.tail, p...)
	if over := len(l.tail) - maxTail; over > 0 {
		l.tail = append(l.tail[:0], l.tail[over:]...)
	}
	return len(p), nil
}

// lastLine is the last line that says something, for a reason. Wrappers such as
// go run and make end with a line that only repeats the exit status.
func (l *logFile) lastLine() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(string(l.tail)), "\n")
	for len(lines) > 1 && repeats.MatchString(lines[len(lines)-1]) {
		lines = lines[:len(lines)-1]
	}
	return clip(strings.TrimSpace(lines[len(lines)-1]), 300)
}

var repeats = regexp.MustCompile(`^\s*(exit status \d+|make(\[\d+\])?: \*\*\* .*|)$`)

// close ends the file; what it kept is what there is.
func (l *logFile) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dropped > 0 {
		fmt.Fprintf(l.f, "\n[%d bytes were not kept; the stream ended with:]\n%s", l.dropped, l.tail[max(0, len(l.tail)-l.dropped):])
	}
	_ = l.f.Close()
}

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n] + "…"
}

// process is a running child in a process group of its own.
type process struct {
	cmd      *exec.Cmd
	out, err *logFile
	started  time.Time
	done     chan struct{} // closed when it has ended; the fields below are valid then
	ended    time.Time
	exit     int    // exit status, -1 when a signal ended it
	signal   string // its name, empty otherwise
	fault    error  // the process could not be waited for
}

// launch says how to start a process.
type launch struct {
	argv    []string
	env     []string
	dir     string
	outPath string // files that take its output
	errPath string
	maxOut  int // bytes kept of the output; at least maxLog
}

func start(l launch) (*process, error) {
	out, err := newLog(l.outPath, max(l.maxOut, maxLog))
	if err != nil {
		return nil, err
	}
	errLog, err := newLog(l.errPath, maxLog)
	if err != nil {
		out.close()
		return nil, err
	}
	// The context of the run does not kill the process: stop does, in order.
	cmd := exec.CommandContext(context.Background(), l.argv[0], l.argv[1:]...)
	cmd.Env, cmd.Dir = l.env, l.dir
	cmd.Stdout, cmd.Stderr = out, errLog
	cmd.WaitDelay = drain
	cmd.SysProcAttr = ownGroup()
	p := &process{cmd: cmd, out: out, err: errLog, started: time.Now(), done: make(chan struct{})}
	if err := cmd.Start(); err != nil {
		out.close()
		errLog.close()
		return nil, fmt.Errorf("start %s: %w", l.argv[0], err)
	}
	go p.wait()
	return p, nil
}

// wait reaps the process. Whatever it left in its group is killed then, so
// that a script cannot leave workers behind.
func (p *process) wait() {
	err := p.cmd.Wait()
	p.ended = time.Now()
	p.kill(syscall.SIGKILL)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) && !errors.Is(err, exec.ErrWaitDelay) {
		p.fault = err
	}
	p.exit = p.cmd.ProcessState.ExitCode()
	if ws, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		p.signal = ws.Signal().String()
	}
	p.out.close()
	p.err.close()
	close(p.done)
}

// kill signals the whole group; that it is gone already is fine.
func (p *process) kill(sig syscall.Signal) { _ = syscall.Kill(-p.cmd.Process.Pid, sig) }

// alive is false once the process has been reaped.
func (p *process) alive() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// stop asks with SIGTERM, insists with SIGKILL, and returns when it has ended.
// It says whether insisting was needed.
func (p *process) stop(patience time.Duration) (killed bool) {
	if !p.alive() {
		return false
	}
	p.kill(syscall.SIGTERM)
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case <-p.done:
		return false
	case <-t.C:
	}
	p.kill(syscall.SIGKILL)
	<-p.done
	return true
}

// how says how the process ended, for a person.
func (p *process) how() string {
	switch {
	case p.fault != nil:
		return p.fault.Error()
	case p.signal != "":
		return "signal: " + p.signal
	}
	return fmt.Sprintf("exit status %d", p.exit)
}
