package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"mbp": main})
}

// TestScripts runs the transcripts of testdata/script: each is what a person
// types and sees, against a real server.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		UpdateScripts: os.Getenv("MBP_REWRITE") != "",
		Setup: func(e *testscript.Env) error {
			for _, name := range []string{"MBP_URL", "MBP_KEY", "MBP_KEY_FILE", "MBP_PROFILE"} {
				e.Setenv(name, "")
			}
			e.Setenv("MBP_PROFILES", filepath.Join(e.WorkDir, "config", "profiles.yaml"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"server": scriptServer, "exit": scriptExit, "shutdown": scriptShutdown, "now": scriptNow,
			"signed": scriptSigned, "setenv": scriptSetenv, "replace": scriptReplace, "damage": scriptDamage, "spoil": scriptSpoil, "opened": scriptOpened, "until": scriptUntil,
		},
	})
}

// scriptServer starts a server in this process on a free port, sets MBP_URL and
// stops it, gracefully, when the script ends: `server [FLAG…]`. What it logged is in
// server.log then.
func scriptServer(ts *testscript.TestScript, neg bool, args []string) {
	ctx, cancel := context.WithCancel(context.Background())
	out, in := io.Pipe()
	done := make(chan error, 1)
	var logs bytes.Buffer
	go func() {
		err := run(ctx, append([]string{"serve", "--listen", "127.0.0.1:0", "--data", ts.MkAbs("data"), "--dbt-results", ""}, args...), in, &logs)
		in.CloseWithError(io.EOF)
		done <- err
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	go func() { _, _ = io.Copy(io.Discard, out) }()
	if err != nil {
		cancel()
		ts.Fatalf("the server did not start: %v %v", err, <-done)
	}
	ts.Setenv("MBP_URL", strings.Fields(line)[2])
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			ts.Fatalf("the server ended with %v\n%s", err, logs.String())
		}
		ts.Check(os.WriteFile(ts.MkAbs("server.log"), logs.Bytes(), 0o600))
	})
	stops.Store(ts, stop)
	ts.Defer(stop)
}

// stops holds how to stop the server of each running script.
var stops sync.Map

// scriptShutdown stops the server before the script ends: `shutdown`. It is not
// called stop, which testscript has for itself and which ends a script in success.
func scriptShutdown(ts *testscript.TestScript, _ bool, _ []string) {
	stop, ok := stops.Load(ts)
	if !ok {
		ts.Fatalf("there is no server")
	}
	stop.(func())() //nolint:forcetypeassert // see scriptServer
}

// scriptNow writes the time for the word NOW in files: `now FILE…`. Facts must be
// fresh.
func scriptNow(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		text := strings.ReplaceAll(ts.ReadFile(name), "NOW", time.Now().UTC().Format(time.RFC3339))
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(text), 0o600))
	}
}

// scriptExit runs a program and wants exactly this status: `exit CODE PROGRAM
// [ARG…]`.
func scriptExit(ts *testscript.TestScript, neg bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if want := args[0]; strconv.Itoa(code) != want {
		ts.Fatalf("exit status %d, want %s", code, want)
	}
}

// process is a real `mbp serve` in a process of its own.
type process struct {
	cmd  *exec.Cmd
	url  string
	logs *transcript
}

func serveProcess(t *testing.T, data string, args ...string) *process {
	t.Helper()
	self, err := exec.LookPath("mbp") // testscript.Main put this test binary there
	if err != nil {
		t.Fatal(err)
	}
	return startProcess(t, exec.Command(self, append([]string{"serve", "--listen", "127.0.0.1:0", "--data", data, "--dbt-results", ""}, args...)...))
}

func startProcess(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{cmd: cmd, logs: &transcript{}}
	p.cmd.Stderr = p.logs
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill(); _ = p.cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("%v %s", err, p.logs)
	}
	p.url = strings.Fields(line)[2]
	return p
}

// mbp runs a client verb in this process.
func (p *process) mbp(t *testing.T, key string, args ...string) (string, error) {
	t.Helper()
	var out, errs bytes.Buffer
	args = append(args, "--url", p.url, "--key-file", key)
	if err := run(t.Context(), args, &out, &errs); err != nil {
		return out.String(), fmt.Errorf("mbp %s: %w", strings.Join(args, " "), err)
	}
	return out.String(), nil
}

// TestServerSurvivesKill: what was answered before SIGKILL is there after a
// restart, also the key; and SIGTERM ends with status 0.
func TestServerSurvivesKill(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	admin := filepath.Join(data, adminKeyFile)
	p := serveProcess(t, data)
	first, err := p.mbp(t, admin, "account", "create", "--idempotency-key", "one")
	if err != nil || !strings.Contains(first, "acc_1 opened") {
		t.Fatalf("%v %s", err, first)
	}
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.cmd.Wait() // it was killed
	p = serveProcess(t, data)
	again, err := p.mbp(t, admin, "account", "create", "--idempotency-key", "one")
	if err != nil || !strings.Contains(again, "acc_1 opened") || !strings.Contains(again, "answered before") {
		t.Fatalf("%v %s", err, again)
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Wait(); err != nil || !strings.Contains(p.logs.String(), `msg="shut down" seq=2`) {
		t.Errorf("%v %s", err, p.logs)
	}
}

// transcript is what a process writes, to be read while it writes.
type transcript struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *transcript) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *transcript) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// TestOneServerForEachFolder: a second one refuses the folder and says why.
func TestOneServerForEachFolder(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	serveProcess(t, data)
	var out, errs bytes.Buffer
	err := run(t.Context(), []string{"serve", "--listen", "127.0.0.1:0", "--data", data}, &out, &errs)
	if err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("%v", err)
	}
}

// TestTakenAddress: the address is tried before the journal is touched.
func TestTakenAddress(t *testing.T) {
	p := serveProcess(t, filepath.Join(t.TempDir(), "one"))
	other := filepath.Join(t.TempDir(), "two")
	var out, errs bytes.Buffer
	err := run(t.Context(), []string{"serve", "--listen", strings.TrimPrefix(p.url, "http://"), "--data", other}, &out, &errs)
	if err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(other); !os.IsNotExist(err) {
		t.Errorf("the data folder was made: %v", err)
	}
}

// TestSecondSignalEndsAtOnce holds a shutdown up with a request that never ends
// its body, and signals again.
func TestSecondSignalEndsAtOnce(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	p := serveProcess(t, data, "--shutdown", "60s")
	secret, err := os.ReadFile(filepath.Join(data, adminKeyFile))
	if err != nil {
		t.Fatal(err)
	}
	conn := halfRequest(t, p.url, strings.TrimSpace(string(secret)))
	defer conn.Close()
	begin := time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	// A second signal that comes before the first was taken is the same signal.
	waitFor(t, "the shutdown", func() bool { return strings.Contains(p.logs.String(), `msg="shutting down"`) })
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	err = p.cmd.Wait()
	if err == nil || !strings.Contains(p.logs.String(), "second signal") || time.Since(begin) > 14*time.Second {
		t.Errorf("%v after %s: %s", err, time.Since(begin), p.logs)
	}
}
