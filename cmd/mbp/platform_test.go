package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mbp-market/mbp/data/cdc"
	"github.com/mbp-market/mbp/data/cdc/lake"
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi"
	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/sequencer"
)

// TestKeylessFlood: 400 connections without a key in a process with few file
// descriptors keep neither decisions nor the lake from going on.
func TestKeylessFlood(t *testing.T) {
	self, err := exec.LookPath("mbp")
	if err != nil {
		t.Fatal(err)
	}
	const files = 100
	data := filepath.Join(t.TempDir(), "data")
	p := startProcess(t, exec.Command("sh", "-c", fmt.Sprintf(`ulimit -n %d; exec "$0" "$@"`, files), self,
		"serve", "--listen", "127.0.0.1:0", "--data", data, "--dbt-results", "", "--cdc-flush", "50ms"))
	for i := range 400 {
		conn, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(conn, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("connection %d: %v", i, err)
		}
		res.Body.Close()
	}
	admin := filepath.Join(data, adminKeyFile)
	for range 3 {
		if out, err := p.mbp(t, admin, "account", "create"); err != nil {
			t.Fatalf("%v %s", err, out)
		}
	}
	waitFor(t, "a platform that is ready", func() bool {
		res, err := http.Get(p.url + "/readyz")
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Wait(); err != nil {
		t.Error(err)
	}
	if strings.Contains(p.logs.String(), "too many open files") || !strings.Contains(p.logs.String(), "connections=50") {
		t.Error(p.logs.String())
	}
}

// flaky is a journal whose reads fail while it is told so.
type flaky struct {
	cdc.Reader
	err  atomic.Pointer[error]
	hold sync.Mutex // reads wait for it
}

func (f *flaky) fail(err error) { f.err.Store(&err) }

func (f *flaky) Read(from uint64, fn func(journal.Record) error) error {
	f.hold.Lock()
	defer f.hold.Unlock()
	if err := f.err.Load(); err != nil && *err != nil {
		return fmt.Errorf("read: %w", *err)
	}
	return f.Reader.Read(from, fn)
}

// running is a platform in this process with a journal that can be told to fail
// for the lake.
type running struct {
	*platform
	flaky *flaky
	dir   string
	addr  string
	shut  func(grace time.Duration) error // once; at the end of the test at the latest
}

func runPlatform(t *testing.T, change ...func(*Config)) *running {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := defaultConfig()
	cfg.Listen = l.Addr().String()
	cfg.Data, cfg.DbtResults, cfg.CDCFlush = filepath.Join(t.TempDir(), "data"), "", 10*time.Millisecond
	cfg.AuditEvery = 100 * time.Millisecond
	for _, f := range change {
		f(&cfg)
	}
	p, err := open(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	r := &running{platform: p, flaky: &flaky{Reader: p.journal}, dir: cfg.Data}
	p.source = follow(r.flaky)
	r.addr = cfg.Listen
	life, end := context.WithCancel(context.Background())
	g, failed := errgroup.WithContext(context.Background())
	if err := p.start(life, failed, g, l); err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	r.shut = func(most time.Duration) (err error) {
		once.Do(func() {
			grace, cancel := context.WithTimeout(context.Background(), most)
			defer cancel()
			if err = p.shutdown(grace, end); err == nil {
				err = g.Wait()
			}
			p.close()
		})
		return err
	}
	t.Cleanup(func() {
		if err := r.shut(10 * time.Second); err != nil {
			t.Error(err)
		}
	})
	var notice httpapi.Notice
	waitFor(t, "a platform that is ready", func() bool { err := p.ready(); return err == nil || errors.As(err, &notice) })
	return r
}

func (r *running) decide(t *testing.T) {
	t.Helper()
	got, err := r.seq.Submit(t.Context(), sequencer.Request{Principal: engine.System, Command: &engine.OpenAccount{}})
	if err != nil || got.Decision.Code != engine.OK {
		t.Fatalf("%v %+v", err, got.Decision)
	}
}

// TestLakeRecovers: what may pass is tried again, and nothing is lost.
func TestLakeRecovers(t *testing.T) {
	r := runPlatform(t)
	r.flaky.fail(&os.PathError{Op: "open", Path: "segment", Err: syscall.EMFILE})
	r.decide(t)
	waitFor(t, "the failure", func() bool {
		err := r.ready()
		return err != nil && strings.Contains(err.Error(), "tried again") && errors.Is(err, syscall.EMFILE)
	})
	r.decide(t) // decisions go on
	r.flaky.fail(nil)
	waitFor(t, "the recovery", func() bool { return r.ready() == nil })
	r.source.drain()
	if err := wait(t.Context(), r.lakeDone); err != nil || r.pipeline.Position() != r.seq.Durable() {
		t.Errorf("%v: the lake is at %d, the journal at %d", err, r.pipeline.Position(), r.seq.Durable())
	}
}

// TestLakeStopsForGood: what the same data would give again is not tried again.
func TestLakeStopsForGood(t *testing.T) {
	r := runPlatform(t)
	r.flaky.fail(&journal.CorruptError{Place: "segment", Reason: "checksum"})
	r.decide(t)
	if err := wait(t.Context(), r.lakeDone); err != nil {
		t.Fatal(err)
	}
	if err := r.ready(); err == nil || !strings.Contains(err.Error(), "stopped") || !strings.Contains(err.Error(), "checksum") {
		t.Errorf("%v", err)
	}
	w := httptest.NewRecorder()
	r.api.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
	if got := w.Body.String(); w.Code != http.StatusServiceUnavailable || !strings.Contains(got, "the change capture has stopped") || strings.Contains(got, "checksum") {
		t.Errorf("anybody is told %d %s", w.Code, got)
	}
	for err, want := range map[error]bool{
		fmt.Errorf("x: %w", cdc.ErrAhead): false, lake.ErrOtherLog: false, errors.New("decode"): false, io.ErrUnexpectedEOF: false,
		cdc.ErrGap: true, syscall.ENOSPC: true, fmt.Errorf("x: %w", &os.PathError{Op: "open", Err: syscall.EMFILE}): true,
		errors.Join(syscall.EIO, &journal.CorruptError{}): false,
	} {
		if passing(err) != want {
			t.Errorf("%v passes: %v", err, !want)
		}
	}
}

// TestShutdownWhileTheLakeFails: the end does not wait for the next try.
func TestShutdownWhileTheLakeFails(t *testing.T) {
	r := runPlatform(t)
	r.flaky.fail(syscall.EMFILE)
	r.decide(t)
	waitFor(t, "the failure", func() bool { return r.ready() != nil })
}

// TestShutdownOutlastsSlowClients: clients without a key that take no answers, or
// send no end of a request, do not make a failure of the end.
func TestShutdownOutlastsSlowClients(t *testing.T) {
	r := runPlatform(t)
	r.decide(t)
	reader, writer := dialPlatform(t, r), dialPlatform(t, r)
	if err := reader.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	var err error
	for err == nil { // until nothing more fits anywhere in between
		_, err = io.WriteString(reader, strings.Repeat("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 100))
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	if _, err := io.WriteString(writer, "POST /v1/orders HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if err := r.shut(6 * time.Second); err != nil {
		t.Error(err)
	}
}

// TestWriterEndsBeforeItsJournal: when the grace is over before the lake has all,
// the writer has still ended.
func TestWriterEndsBeforeItsJournal(t *testing.T) {
	r := runPlatform(t)
	r.flaky.hold.Lock()
	defer r.flaky.hold.Unlock()
	r.decide(t)
	if err := r.shut(300 * time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	select {
	case <-r.writerDone:
	default:
		t.Error("the writer goes on")
	}
}

func dialPlatform(t *testing.T, r *running) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", r.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// TestSegmentsAreMadeAhead: no decision has to wait for the next segment.
func TestSegmentsAreMadeAhead(t *testing.T) {
	r := runPlatform(t)
	r.decide(t)
	var names []string
	waitFor(t, "a second segment", func() bool {
		names = names[:0]
		entries, err := os.ReadDir(filepath.Join(r.dir, "journal"))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if info, err := e.Info(); err == nil && info.Size() > 1<<20 {
				names = append(names, e.Name())
			}
		}
		return len(names) == 2
	})
}

// TestForeignAdminKey: a secret that somebody else chose or may read is not made
// the first admin's.
func TestForeignAdminKey(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, adminKeyFile)
	secret := "mbp_" + strings.Repeat("A", 43) + "\n"
	refused := func(why string) {
		t.Helper()
		if _, _, err := adminKey(name); err == nil || !strings.Contains(err.Error(), why) || !strings.Contains(err.Error(), "move it away") {
			t.Errorf("want %q: %v", why, err)
		}
		if err := os.RemoveAll(name); err != nil {
			t.Fatal(err)
		}
	}
	for _, mode := range []os.FileMode{0o640, 0o620, 0o604, 0o602, 0o644, 0o666} {
		if err := os.WriteFile(name, []byte(secret), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
		refused(fmt.Sprintf("mode %04o", mode))
	}
	other := filepath.Join(dir, "other")
	if err := os.WriteFile(other, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(other, name); err != nil {
		t.Fatal(err)
	}
	refused("symbolic link")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	refused("not a regular file")
	if err := os.Mkdir(name, 0o700); err != nil {
		t.Fatal(err)
	}
	refused("not a regular file")
}
