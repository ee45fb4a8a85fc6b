package main

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// tryIt returns the commands that the README tells a newcomer to type.
func tryIt(t *testing.T) []string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(b), "\n## Try it\n\n```sh\n")
	block, _, ok := strings.Cut(after, "```\n")
	if !ok {
		t.Fatal("the README has no section Try it that begins with commands")
	}
	return strings.Split(strings.TrimSuffix(block, "\n"), "\n")
}

// TestTheReadmeWorks types the README's commands into a shell of somebody who has
// nothing yet, as they stand there but for the first one, which builds what this
// test is. In the place of the default address the settings in the environment put
// a free one, because a machine that runs tests may serve at the default.
func TestTheReadmeWorks(t *testing.T) {
	lines := tryIt(t)
	if len(lines) >= 10 || lines[0] != `make build && export PATH="$PWD/bin:$PATH"` {
		t.Fatalf("%d commands, the first %q", len(lines), lines[0])
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	shell := exec.Command("bash", "-eu")
	shell.Dir = dir
	shell.Env = append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME="+filepath.Join(dir, ".config"), "MBP_LISTEN="+address)
	in, err := shell.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out := &transcript{}
	shell.Stdout, shell.Stderr = out, out
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- shell.Wait() }()
	for n, line := range lines[1:] {
		mark := fmt.Sprintf("that was %d", n)
		fmt.Fprintf(in, "%s\necho %s\n", line, mark)
		waitFor(t, line, func() bool {
			select {
			case err := <-ended:
				t.Fatalf("%s: %v\n%s", line, err, out)
			default:
			}
			return strings.Contains(out.String(), mark)
		})
		if strings.Contains(line, "mbp serve") { // who types is slower than the server
			waitFor(t, "the server", func() bool {
				res, err := http.Get("http://" + address + "/readyz")
				return err == nil && res.Body.Close() == nil && res.StatusCode == http.StatusOK
			})
		}
	}
	fmt.Fprint(in, "kill %1\nwait %1\n")
	_ = in.Close() // the shell ends
	if err := <-ended; err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	for _, want := range []string{"mkt_2 opened at 0.6", "YES of mkt_2 for 10 credits", "proposed to settling", `acc_2 made 6\.[0-9]+ credits: 6\.[0-9]+ realised`} {
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("the transcript does not say %q:\n%s", want, out)
		}
	}
	if bytes.Contains([]byte(out.String()), []byte("mbp_")) {
		t.Errorf("a secret shows:\n%s", out)
	}
}
