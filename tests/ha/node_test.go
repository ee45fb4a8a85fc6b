package ha_test

import (
	"bufio"
	"bytes"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mbp-market/mbp/engine/httpapi/client"
)

// node is one mbp serve with whoever starts it again when it ends, as an operating
// system does.
type node struct {
	t         *testing.T
	bin, data string
	url       string // of the journal
	secret    string // of the admin
	http      *http.Client

	mu      sync.Mutex
	cmd     *exec.Cmd
	address string // where it serves; empty until it does
	said    bytes.Buffer
	ends    int // how many lives have ended
	over    bool
	changed chan struct{} // closed when a life has ended
	buried  sync.WaitGroup
}

func newNode(t *testing.T, bin, url string) *node {
	t.Helper()
	n := &node{t: t, bin: bin, data: t.TempDir(), url: url, changed: make(chan struct{}), http: &http.Client{Timeout: time.Second}}
	t.Cleanup(n.end)
	return n
}

var serving = regexp.MustCompile(`mbp serves (http://\S+)`)

// start begins a life and waits until it serves. The next ones begin by themselves.
func (n *node) start() {
	n.t.Helper()
	served := make(chan string, 1)
	n.live(served)
	select {
	case <-served:
	case <-time.After(within):
		n.t.Fatalf("mbp serve says nothing:\n%s", n.words())
	}
}

func (n *node) live(served chan<- string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.over || n.t.Context().Err() != nil {
		return
	}
	n.cmd = exec.CommandContext(n.t.Context(), n.bin, "serve", "--data", n.data, "--listen", "127.0.0.1:0", "--journal", n.url,
		"--journal-lease", lease.String(), "--trader-rate", "0", "--staff-rate", "0", "--read-rate", "0", "--shutdown", "1s")
	n.cmd.Stderr = &writer{n}
	out, err := n.cmd.StdoutPipe()
	if err == nil {
		err = n.cmd.Start()
	}
	if err != nil {
		n.t.Error(err)
		return
	}
	cmd := n.cmd
	n.buried.Go(func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if m := serving.FindStringSubmatch(lines.Text()); m != nil {
				n.mu.Lock()
				n.address = m[1]
				n.mu.Unlock()
				if served != nil {
					served <- m[1]
				}
			}
		}
		_ = cmd.Wait()
		n.mu.Lock()
		n.ends++
		n.address = ""
		close(n.changed)
		n.changed = make(chan struct{})
		n.mu.Unlock()
		n.live(nil)
	})
}

// writer keeps what a node says.
type writer struct{ n *node }

func (w *writer) Write(b []byte) (int, error) {
	w.n.mu.Lock()
	defer w.n.mu.Unlock()
	return w.n.said.Write(b)
}

// wordsTail is how many bytes of a node's log a failed test shows.
const wordsTail = 8 << 10

func (n *node) words() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	b := n.said.Bytes()
	return strings.TrimSpace(string(b[max(0, len(b)-wordsTail):]))
}

// spoken is how many bytes a node has said; since what it has said after so many.
func (n *node) spoken() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.said.Len()
}

func (n *node) since(spoken int) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return string(n.said.Bytes()[spoken:])
}

func (n *node) lives() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.ends
}

// awaitEnd waits until a life has ended that was not among the first ones.
func (n *node) awaitEnd(lives int) {
	n.t.Helper()
	limit := time.After(within)
	for {
		n.mu.Lock()
		ends, changed := n.ends, n.changed
		n.mu.Unlock()
		if ends > lives {
			return
		}
		select {
		case <-changed:
		case <-limit:
			n.t.Fatalf("mbp serve did not end within %s:\n%s", within, n.words())
		}
	}
}

// signal sends a signal to the present life and returns its address.
func (n *node) signal(s syscall.Signal) string {
	n.t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.cmd.Process.Signal(s); err != nil {
		n.t.Fatal(err)
	}
	return n.address
}

// at is the address of the present life; empty until it serves.
func (n *node) at() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.address
}

// ready reports whether the node serves and decides, under another address than one.
func (n *node) ready(not string) bool {
	address := n.at()
	if address == "" || address == not {
		return false
	}
	r, err := n.http.Get(address + "/readyz")
	if err != nil {
		return false
	}
	defer r.Body.Close()
	return r.StatusCode == http.StatusOK
}

// client is the admin's at the present life; an error if there is none.
func (n *node) client() (*client.Client, error) {
	return client.New(n.at(), n.secret, client.WithTimeout(time.Second)) // a process that stands still answers nobody
}

// end is the last one.
func (n *node) end() {
	n.mu.Lock()
	n.over = true
	if n.cmd != nil && n.cmd.Process != nil {
		_ = n.cmd.Process.Signal(syscall.SIGCONT)
		_ = n.cmd.Process.Kill()
	}
	n.mu.Unlock()
	n.buried.Wait()
}
