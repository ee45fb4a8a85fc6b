// Command contract holds a running `mbp serve` against its OpenAPI document with
// schemathesis: all of its checks, on made-up requests that fit the contract, on
// ones that do not, and on chains of them.
//
// It promises that a pass has looked: every operation but the streams, which never
// end, was tried, and most links were followed; a chain that ended in an error has not
// passed; the reports are kept; the server gave no 5xx, ended well, and
// its journal decides the same again. It refuses to take the tool's exit code
// for an answer. The seed is pinned, so a failure comes again.
//
//	go run ./tests/contract                # 90 seconds, reports in out/contract
//	go run ./tests/contract -time 25s
//
// Exit codes: 0 the contract holds, 1 it does not, 2 it was not tested.
package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	contract = "engine/httpapi/openapi.yaml"
	// streams are the operations that are left out.
	streams = `/stream$`
	// What the requests find: enough markets that one which a request ends is not
	// missed, and orders that wait in the first of them.
	markets, orders = 40, 8
	// grace is what the tool may take beyond its time, for loading and reporting.
	grace = 3 * time.Minute
)

// errBroken means that the contract does not hold; every other error that it was
// not tested.
var errBroken = errors.New("the contract does not hold")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp), err == nil:
		return
	case errors.Is(err, errBroken):
		fmt.Fprintln(os.Stderr, "contract:", err)
		os.Exit(1)
	}
	fmt.Fprintln(os.Stderr, "contract:", err)
	os.Exit(2)
}

// settings are what the command line says.
type settings struct {
	time time.Duration
	seed int
	out  string
	tool string
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var s settings
	f := flag.NewFlagSet("contract", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.DurationVar(&s.time, "time", 90*time.Second, "how long requests are made up")
	f.IntVar(&s.seed, "seed", 20261, "of what is made up")
	f.StringVar(&s.out, "out", "out/contract", "folder of the reports")
	f.StringVar(&s.tool, "tool", ".tools/bin/schemathesis", "the tool; `make tools` puts it there")
	if err := f.Parse(args); err != nil {
		return err
	}
	if _, err := os.Stat(s.tool); err != nil {
		return fmt.Errorf("the tool is missing (make tools): %w", err)
	}
	work, err := os.MkdirTemp("", "mbp-contract-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work) //nolint:errcheck // a folder of the system's own
	h := &house{work: work, mbp: filepath.Join(work, "mbp"), stderr: stderr}
	if err := h.build(ctx); err != nil {
		return err
	}
	if err := h.serve(ctx); err != nil {
		return err
	}
	defer h.kill()
	env, err := h.furnish(ctx)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.out, 0o750); err != nil {
		return err
	}
	broken := schemathesis(ctx, s, env, stdout, stderr)
	return errors.Join(broken, h.inspect(ctx, s.out))
}

// part is one run of the tool: made-up requests, or chains of them, each with a share of
// the time, or else the first would leave the second none.
type part struct {
	name, phases string
	mode         string        // of what is made up: what does not fit the contract ends a chain
	thirds       time.Duration // of the time
	judge        func(out string, said error, stdout io.Writer) error
}

// The names of the parts, which their reports carry.
const requestsPart, chainsPart = "requests", "chains"

var parts = []part{
	{requestsPart, "examples,coverage,fuzzing", "all", 1, judgeRequests},
	{chainsPart, "stateful", "positive", 2, judgeChains},
}

// schemathesis runs the tool, twice, and judges its reports.
func schemathesis(ctx context.Context, s settings, env []string, stdout, stderr io.Writer) error {
	var errs []error
	for _, p := range parts {
		errs = append(errs, p.run(ctx, s, env, stdout, stderr))
	}
	return errors.Join(errs...)
}

// The reports of a part.
func junit(out, name string) string  { return filepath.Join(out, name+".xml") }
func ndjson(out, name string) string { return filepath.Join(out, name+".ndjson") }

func (p *part) run(ctx context.Context, s settings, env []string, stdout, stderr io.Writer) error {
	each := s.time * p.thirds / 3
	ctx, cancel := context.WithTimeout(ctx, each+grace)
	defer cancel()
	out, err := filepath.Abs(s.out)
	if err != nil {
		return err
	}
	tool, err := filepath.Abs(s.tool)
	if err != nil {
		return err
	}
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	complaints := filepath.Join(out, p.name+".txt")
	for _, old := range []string{junit(out, p.name), ndjson(out, p.name), complaints} {
		_ = os.Remove(old) // an old one proves nothing; a missing one is found below
	}
	cmd := exec.CommandContext(ctx, tool, "--config-file", "schemathesis.toml", "run", filepath.Join(root, contract),
		"--url", value(env, "MBP_URL"), "--header", "Authorization: Bearer "+value(env, "MBP_KEY"),
		"--checks", "all", "--phases", p.phases, "--mode", p.mode, "--exclude-path-regex", streams,
		"--max-time", strconv.Itoa(max(1, int(each.Seconds()))), "--seed", strconv.Itoa(s.seed), "--generation-database", "none",
		"--continue-on-failure", "--request-timeout", "15", "--no-color",
		"--report", "junit,ndjson", "--report-junit-path", junit(out, p.name), "--report-ndjson-path", ndjson(out, p.name))
	cmd.Dir = filepath.Join(root, "tests", "contract")
	if err := os.RemoveAll(filepath.Join(cmd.Dir, ".schemathesis")); err != nil { // what an earlier run found would come first
		return err
	}
	cmd.Env = append(append(os.Environ(), env...), "PYTHONPATH="+cmd.Dir, "PYTHONDONTWRITEBYTECODE=1", "MBP_COMPLAINTS="+complaints)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	said := cmd.Run()
	if b, err := os.ReadFile(complaints); err == nil {
		return fmt.Errorf("%w: %s", errBroken, bytes.TrimSpace(b))
	}
	return p.judge(out, said, stdout)
}

func value(env []string, name string) string {
	for _, e := range env {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			return v
		}
	}
	return ""
}

// house is a server with something in it.
type house struct {
	work, mbp string
	url       string
	stderr    io.Writer
	cmd       *exec.Cmd
	log       *os.File
}

func (h *house) build(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, cmp.Or(os.Getenv("GO"), "go"), "build", "-o", h.mbp, "./cmd/mbp")
	cmd.Stderr = h.stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("build mbp: %w", err)
	}
	return nil
}

func (h *house) data() string { return filepath.Join(h.work, "data") }

// serve starts the server without rates: a refusal for haste would hide every
// other answer.
func (h *house) serve(ctx context.Context) error {
	var err error
	if h.log, err = os.Create(filepath.Join(h.work, "server.log")); err != nil {
		return err
	}
	h.cmd = exec.CommandContext(ctx, h.mbp, "serve", "--listen", "127.0.0.1:0", "--webhook-networks", "127.0.0.0/8", "--data", h.data(), "--dbt-results", "", "--rum-url", "",
		"--trader-rate", "0", "--staff-rate", "0", "--read-rate", "0", "--log-format", "json")
	h.cmd.Stderr = h.log
	out, err := h.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := h.cmd.Start(); err != nil {
		return err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if fields := strings.Fields(line); err == nil && len(fields) > 2 {
		h.url = fields[2]
		return nil
	}
	h.kill()
	return fmt.Errorf("the server did not start: %w", err)
}

func (h *house) kill() {
	if h.cmd.ProcessState == nil {
		_ = h.cmd.Process.Kill() // it may have ended
		_ = h.cmd.Wait()
	}
}

// ask runs a verb of the command line and returns what it says.
func (h *house) ask(ctx context.Context, key string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, h.mbp, append(args, "--url", h.url, "--key-file", key)...)
	cmd.Stderr = h.stderr
	b, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("mbp %s: %w", strings.Join(args, " "), err)
	}
	return string(b), nil
}

// furnish makes accounts, a key of every role, markets, and orders that wait, and
// says where they are.
func (h *house) furnish(ctx context.Context) ([]string, error) {
	admin, key := filepath.Join(h.data(), "admin.key"), filepath.Join(h.work, "all.key")
	var steps [][]string
	for i := range 3 {
		steps = append(steps, []string{"account", "create"}, []string{"account", "grant", fmt.Sprintf("acc_%d", i+1), "--amount", "100000000"})
	}
	steps = append(steps, []string{"key", "new", "--principal", "all", "--account", "acc_1", "--out", key, "--roles", "trader,operator,resolver,moderator,auditor,admin,service"})
	for range markets {
		steps = append(steps, []string{"market", "create", "--title", "Rain", "--creator", "acc_2", "--liquidity", "1000"})
	}
	for _, s := range steps {
		if _, err := h.ask(ctx, admin, s...); err != nil {
			return nil, err
		}
	}
	var waiting []string
	for i := range orders {
		said, err := h.ask(ctx, key, "order", fmt.Sprintf("mkt_%d", i+1), "YES", "buy", "--shares", "5", "--limit", "0.2", "--tif", "gtc")
		if err != nil {
			return nil, err
		}
		waiting = append(waiting, regexp.MustCompile(`ord_[0-9]+`).FindString(said))
	}
	secret, err := os.ReadFile(key)
	if err != nil {
		return nil, err
	}
	return []string{
		"MBP_URL=" + h.url, "MBP_KEY=" + strings.TrimSpace(string(secret)), "MBP_MARKETS=" + strconv.Itoa(markets), "MBP_ORDERS=" + strings.Join(waiting, ","),
	}, nil
}

// inspect ends the server and looks at what it left: no request failed inside, the
// end was graceful, and the journal decides the same again.
func (h *house) inspect(ctx context.Context, out string) error {
	if err := h.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := h.cmd.Wait(); err != nil {
		return fmt.Errorf("%w: the server ended with %w", errBroken, err)
	}
	log, err := os.ReadFile(h.log.Name())
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(out, "server.log"), log, 0o600); err != nil {
		return err
	}
	for line := range strings.Lines(string(log)) {
		if strings.Contains(line, `"level":"ERROR"`) || strings.Contains(line, "panic") {
			return fmt.Errorf("%w: the server complains: %s", errBroken, strings.TrimSpace(line))
		}
	}
	cmd := exec.CommandContext(ctx, h.mbp, "replay", "--data", h.data(), "--verify")
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: the journal does not replay: %w: %s", errBroken, err, said)
	}
	return nil
}
