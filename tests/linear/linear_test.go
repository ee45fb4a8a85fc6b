package linear

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/journal/file"
)

var kills = flag.Int("kills", 6, "how often TestKilledPlatform kills the process")

// process is mbp serve as people start it.
type process struct {
	t    *testing.T
	bin  string
	data string
	cmd  *exec.Cmd
	err  bytes.Buffer
}

func newProcess(t *testing.T) *process {
	t.Helper()
	dir := t.TempDir()
	p := &process{t: t, bin: filepath.Join(dir, "mbp"), data: filepath.Join(dir, "data")}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", p.bin, "../../cmd/mbp")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return p
}

var serving = regexp.MustCompile(`mbp serves (http://\S+)`)

// start runs the process and returns the admin's client once it serves.
func (p *process) start() *client.Client {
	p.t.Helper()
	p.cmd = exec.CommandContext(p.t.Context(), p.bin, "serve", "--data", p.data, "--listen", "127.0.0.1:0",
		"--trader-rate", "0", "--staff-rate", "0", "--read-rate", "0", "--log-level", "warn")
	p.err.Reset()
	p.cmd.Stderr = &p.err
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	line := make([]byte, 0, 256)
	for b := make([]byte, 1); !bytes.HasSuffix(line, []byte("\n")); line = append(line, b[0]) {
		if _, err := io.ReadFull(out, b); err != nil {
			p.t.Fatalf("mbp serve says nothing: %v\n%s", err, &p.err)
		}
	}
	m := serving.FindSubmatch(line)
	secret, err := os.ReadFile(filepath.Join(p.data, "admin.key"))
	if err != nil || m == nil {
		p.t.Fatalf("%q, %v", line, err)
	}
	c, err := client.New(string(m[1]), strings.TrimSpace(string(secret)))
	if err != nil {
		p.t.Fatal(err)
	}
	return c
}

// kill ends the process as the kernel would.
func (p *process) kill() {
	p.t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		p.t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := p.cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != -1 {
		p.t.Fatalf("mbp serve was not killed but ended by itself: %v\n%s", err, &p.err)
	}
}

func (p *process) journal() []*engine.Decision {
	p.t.Helper()
	l, err := file.Open(file.Config{Dir: filepath.Join(p.data, "journal")})
	if err != nil {
		p.t.Fatal(err)
	}
	defer l.Close()
	ds, err := decisions(l)
	if err != nil {
		p.t.Fatal(err)
	}
	return ds
}

func decisions(l journal.Log) (out []*engine.Decision, err error) {
	err = l.Read(1, func(r journal.Record) error {
		d, err := engine.Decode(engine.Seq(r.Seq), r.Payload)
		out = append(out, d)
		return err
	})
	return out, err
}

// figures of a history.
func figures(ops []Op) string {
	writes, unknown, replayed, reads := 0, 0, 0, 0
	for _, op := range ops {
		switch {
		case op.Read != nil:
			reads++
		case op.Write.Answer == nil:
			unknown++
		default:
			writes++
			if op.Write.Answer.Replayed {
				replayed++
			}
		}
	}
	return fmt.Sprintf("%d operations: %d writes answered (%d as repetitions), %d attempts without an answer, %d reads", len(ops), writes, replayed, unknown, reads)
}

func unanswered(ops []Op) (n int) {
	for _, op := range ops {
		if op.Write != nil && op.Write.Answer == nil {
			n++
		}
	}
	return n
}

// under runs do under load, and then waits for the last answers.
func under(ctx context.Context, t *testing.T, l *Load, seed uint64, do func()) {
	t.Helper()
	stop, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- l.Run(ctx, seed, stop) }()
	do()
	close(stop)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

// until waits for a sequence to be known. It is not there for ever if ctx ends.
func (l *Load) until(ctx context.Context, seq engine.Seq) {
	for l.History.Known() < seq && pause(ctx) == nil {
	}
}

// The platform is killed again and again under load, on a real disk. The history
// has to be linearizable, and the journal has to explain all of it.
func TestKilledPlatform(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()
	p, l, rng := newProcess(t), NewLoad(), rand.New(rand.NewPCG(1, 2))
	l.Reach(p.start())
	if err := l.Prepare(ctx); err != nil {
		t.Fatal(err)
	}
	under(ctx, t, l, 7, func() {
		for range *kills {
			l.until(ctx, l.History.Known()+engine.Seq(20+rng.IntN(400))) // the load is there again
			p.kill()
			l.Reach(p.start())
		}
	})
	p.kill()
	ops, begin := l.History.Ops(), time.Now()
	log := p.journal()
	if err := Witness(ops, log); err != nil {
		t.Error("witness:", err)
	}
	seen, took := time.Now(), time.Since(begin)
	judged, err := Search(ops)
	if err != nil {
		t.Error("porcupine:", err)
	}
	if n := *kills * workers / 4; unanswered(ops) < n {
		t.Errorf("only %d attempts without an answer: the kills met no load", unanswered(ops))
	}
	t.Logf("%d kills, %d decisions, %s", *kills, len(log), figures(ops))
	t.Logf("witness: %s; porcupine: %d operations in parts, %s", took.Round(time.Millisecond), judged, time.Since(seen).Round(time.Millisecond))
}
