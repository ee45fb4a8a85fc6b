package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/mbp-market/mbp/cmd/mbp/exit"
	"github.com/mbp-market/mbp/engine/httpapi/client"
)

// halfRequest opens a connection with a request whose body never comes.
func halfRequest(t *testing.T, url, secret string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "POST /v1/accounts HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nIdempotency-Key: k\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n", secret)
	if _, err := conn.Read(make([]byte, 16)); err != nil { // "100 Continue": the handler reads the body
		t.Fatal(err)
	}
	return conn
}

func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no sign of %s", what)
		}
	}
}

// settings parses flags, environment and a file as mbp serve does.
func settings(file string, env map[string]string, flags ...string) (Config, error) {
	c := defaultConfig()
	f := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	c.bind(f)
	f.String("config", "", "")
	if err := f.Parse(flags); err != nil {
		return c, err
	}
	err := load(f, file, func(name string) (string, bool) { v, ok := env[name]; return v, ok })
	return c, err
}

func writeFile(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "mbp.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestSettingsPrecedence(t *testing.T) {
	file := writeFile(t, "env: from-file\nqueue: 7\ncdc_flush: 2s\nallow_remote: true\nrum_url: ''\n")
	env := map[string]string{"MBP_ENV": "from-env", "MBP_QUEUE": "8"}
	c, err := settings(file, env, "--env", "from-flag")
	if err != nil {
		t.Fatal(err)
	}
	if c.Env != "from-flag" || c.Queue != 8 || c.CDCFlush != 2*time.Second || !c.AllowRemote || c.RUMURL != "" || c.MaxBatch != defaultConfig().MaxBatch {
		t.Errorf("%+v", c)
	}
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
}

func TestSettingsFaults(t *testing.T) {
	for text, want := range map[string]string{
		"lissten: x\n":              "lissten is not known",
		"config: x\n":               "config is not known",
		"queue: many\n":             "queue",
		"queue: [1]\n":              "not a single value",
		"queue:\n":                  "not a single value",
		"queue: 1\nqueue: 2\n":      "already defined",
		"queue: 1\n---\nqueue: 2\n": "more than one",
		"- a\n":                     "cannot unmarshal",
	} {
		if _, err := settings(writeFile(t, text), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if _, err := settings(filepath.Join(t.TempDir(), "none"), nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if _, err := settings("", map[string]string{"MBP_MAX_BATCH": "x", "MBP_SHUTDOWN": "5"}); err == nil ||
		!strings.Contains(err.Error(), "MBP_MAX_BATCH") || !strings.Contains(err.Error(), "MBP_SHUTDOWN") {
		t.Errorf("not every fault is told: %v", err)
	}
}

// TestValidateReportsEverything breaks every field at once.
func TestValidateReportsEverything(t *testing.T) {
	c := Config{
		Listen: "x", RUMURL: "ftp://x", DbtResults: "results.json", LogFormat: "xml", LogLevel: "loud",
		Journal: "postgres://mbp:hunter2@[", TraderRate: -1, StaffRate: 1, StaffBurst: -1, ReadRate: 2_000_000, ReadBurst: 1, AdmitRate: -1,
	}
	err := c.Validate()
	for _, name := range []string{"listen", "data", "journal", "journal-lease", "env", "rum-url", "dbt-results", "log-format", "log-level", "queue", "max-batch", "max-body", "max-streams", "max-connections", "trader-rate", "staff-rate", "read-rate", "admit-rate", "cdc-flush", "shutdown"} {
		if err == nil || !strings.Contains(err.Error(), name+":") {
			t.Errorf("%s is not in %v", name, err)
		}
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the password is in %v", err)
	}
	for listen, remote := range map[string]bool{"127.0.0.1:1": false, "[::1]:1": false, "localhost:1": false, "127.9.9.9:1": false, ":8420": true, "0.0.0.0:1": true, "[::]:1": true, "10.0.0.1:1": true, "example.org:1": true} {
		c := defaultConfig()
		c.Listen = listen
		if err := c.Validate(); (err != nil) != remote {
			t.Errorf("%s: %v", listen, err)
		}
		c.AllowRemote = true
		if err := c.Validate(); err != nil {
			t.Errorf("%s allowed: %v", listen, err)
		}
	}
}

// TestPrintedConfigReadsBack: --print-config is a file of --config.
func TestPrintedConfigReadsBack(t *testing.T) {
	want := Config{
		Listen: "127.0.0.1:1", AllowRemote: true, Data: "a b: #c", Env: "x-1", RUMURL: "", DbtResults: "x/run_results.json", LogFormat: "json",
		LogLevel: "warn", Queue: 5, MaxBatch: 6, MaxBody: 2048, MaxStreams: 3, CDCFlush: 1500 * time.Millisecond, Shutdown: time.Minute,
		Journal: "postgres://mbp@db1:5432,db2:5433/mbp?sslmode=verify-full", JournalLease: 2 * time.Second,
		TLSCert: "c.pem", TLSKey: "k.pem", PublicURL: "https://m.example", OIDCIssuer: "https://i.example", OIDCAudience: "mbp", OIDCRoles: "a=trader;b=admin",
		OIDCGroups: "roles", OIDCClient: "panel", OIDCSecret: "s", MaxConnections: 9, TraderRate: 1, TraderBurst: 2, StaffRate: 0, StaffBurst: 4, ReadRate: 5, ReadBurst: 6, AdmitRate: 7, AdmitBurst: 8,
	}
	c := want
	f := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	c.bind(f)
	var b bytes.Buffer
	printConfig(&b, f)
	got, err := settings(writeFile(t, b.String()), nil)
	if err != nil || got != want {
		t.Errorf("%v\n%s\n%+v", err, b.String(), got)
	}
	fields := 0
	f.VisitAll(func(*pflag.Flag) { fields++ })
	if lines := strings.Count(b.String(), "\n"); lines != 2*fields {
		t.Errorf("%d lines for %d settings", lines, fields)
	}
}

// TestAdminKeyAfterACrash: each file that a crash can leave, and each that it
// cannot.
func TestAdminKeyAfterACrash(t *testing.T) {
	name := filepath.Join(t.TempDir(), adminKeyFile)
	first, _, err := adminKey(name)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(name)
	if err != nil || !secretForm.Match(whole) || client.DigestOf(strings.TrimSpace(string(whole))) != first {
		t.Fatalf("%v %q", err, whole)
	}
	if st, err := os.Stat(name); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", err, st.Mode())
	}
	if again, _, err := adminKey(name); err != nil || again != first {
		t.Errorf("a whole file is not taken: %v", err)
	}
	for n := range len(whole) { // torn anywhere
		if err := os.WriteFile(name, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		if next, _, err := adminKey(name); err != nil || next == first {
			t.Fatalf("torn after %d bytes: %v", n, err)
		}
	}
	if err := os.WriteFile(name, []byte(strings.Repeat("letter to my aunt\n", 10)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := adminKey(name); err == nil {
		t.Error("a stranger's file is overwritten")
	}
}

func TestExitCodes(t *testing.T) {
	problem := func(status int, code string) error {
		return &client.Problem{Status: status, Code: code, Title: "title"}
	}
	for want, errs := range map[int][]error{
		exit.OK:       {nil},
		exit.Rejected: {problem(422, "insufficient_funds"), problem(403, "forbidden"), problem(429, "overloaded"), errors.New("x"), exit.Error{Code: 1, Err: errors.New("x")}, &os.PathError{Op: "open", Err: syscall.EEXIST}},
		exit.Usage:    {usage(errors.New("x")), fmt.Errorf("y: %w", usage(errors.New("x")))},
		exit.NoAnswer: {problem(401, "unauthenticated"), problem(503, "failed"), problem(500, "internal"), fmt.Errorf("x: %w", &net.OpError{Op: "dial", Err: errors.New("refused")}), context.DeadlineExceeded},
	} {
		for _, err := range errs {
			var b bytes.Buffer
			if got := exitCode(err, &b); got != want || (err != nil) != strings.HasPrefix(b.String(), "mbp: ") {
				t.Errorf("%v: %d, want %d; %q", err, got, want, b.String())
			}
		}
	}
}
