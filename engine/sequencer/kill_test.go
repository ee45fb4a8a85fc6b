package sequencer_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/journal/file"
	"github.com/mbp-market/mbp/engine/sequencer"
)

// childDir names the journal of a child process; without it the tests run.
const childDir = "MBP_TEST_CRASH_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		fmt.Fprintln(os.Stderr, child(dir, os.Getenv(childDir+"_ROUND"), os.Stdin, os.Stdout))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

const submitters = 24

// child is the process that gets killed: it first repeats the requests named on
// stdin, then grants credits from many goroutines for ever. It writes "S key"
// before it submits and "A key seq digest" once it has the answer, each in one
// write, so that the parent knows what was asked and what was acknowledged.
func child(dir, round string, in io.Reader, out io.Writer) error {
	q, l, err := open(file.Config{Dir: dir, SegmentSize: 64 << 10})
	if err != nil {
		return err
	}
	ctx := context.Background()
	go func() { _ = l.Run(ctx) }()
	go func() { _ = q.Run(ctx) }()
	if err := boot(q); err != nil {
		return err
	}
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(out, format, args...) }
	one := func(key string) error {
		a, err := q.Submit(ctx, grant(key))
		if err != nil {
			return err
		}
		say("A %s %d %x\n", key, a.Decision.Seq, sha256.Sum256(a.Decision.Append(nil)))
		return nil
	}
	for lines := bufio.NewScanner(in); lines.Scan(); {
		if err := one(lines.Text()); err != nil {
			return err
		}
	}
	failed := make(chan error)
	for w := range submitters {
		go func() {
			for n := 0; ; n++ {
				key := fmt.Sprintf("%s-%d-%d", round, w, n)
				say("S %s\n", key)
				if err := one(key); err != nil {
					failed <- err
					return
				}
			}
		}()
	}
	return <-failed
}

// open opens the log and folds it.
func open(cfg file.Config) (*sequencer.Sequencer, *file.Log, error) {
	l, err := file.Open(cfg)
	if err != nil {
		return nil, nil, err
	}
	q, err := sequencer.New(sequencer.Config{Log: l})
	if err != nil {
		return nil, nil, errors.Join(err, l.Close())
	}
	return q, l, nil
}

// boot initialises an empty journal and opens account 1.
func boot(q *sequencer.Sequencer) error {
	first := &engine.Initialise{
		Policy: engine.DefaultPolicy(), Template: engine.DefaultTemplate(),
		Admin: engine.Key{SHA256: engine.Digest{1}, Principal: "admin", Roles: engine.RoleAdmin},
	}
	if _, err := q.Submit(context.Background(), sequencer.Request{Principal: "admin", Key: "boot", Command: first}); err != nil {
		return err
	}
	_, err := q.Submit(context.Background(), sequencer.Request{Principal: "admin", Key: "account", Command: &engine.OpenAccount{}})
	return err
}

// grant is the request with a key; one micro each, so that the sum counts them.
func grant(key string) sequencer.Request {
	return sequencer.Request{Principal: "admin", Key: key, Input: []byte(key), Command: &engine.GrantCredits{Account: 1, Amount: 1}}
}

// ledger is what the parent knows.
type ledger struct {
	asked map[string]bool   // submitted, no answer seen yet
	acked map[string]string // "seq digest"
}

// round starts a child, lets it work for a while, kills it, and notes all it said.
func (k *ledger) round(t *testing.T, dir string, n int, life time.Duration) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir, fmt.Sprintf("%s_ROUND=%d", childDir, n))
	cmd.Stderr = os.Stderr
	var repeat strings.Builder
	for key := range k.asked {
		repeat.WriteString(key + "\n")
	}
	cmd.Stdin = strings.NewReader(repeat.String())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// The clock starts with the first word, so that every round has load.
	var once sync.Once
	var timer *time.Timer
	for lines := bufio.NewScanner(out); lines.Scan(); {
		once.Do(func() { timer = time.AfterFunc(life, func() { _ = cmd.Process.Kill() }) })
		k.note(t, lines.Text())
	}
	if timer == nil {
		t.Fatalf("round %d: the child said nothing", n)
	}
	_ = cmd.Wait() // killed
}

// note takes a whole line; what the kill cut off was never said.
func (k *ledger) note(t *testing.T, line string) {
	t.Helper()
	f := strings.Fields(line)
	switch {
	case len(f) == 2 && f[0] == "S":
		k.asked[f[1]] = true
	case len(f) == 4 && f[0] == "A" && len(f[3]) == 64:
		if was, again := k.acked[f[1]]; again && was != f[2]+" "+f[3] {
			t.Errorf("%s was answered %s and then %s", f[1], was, f[2]+" "+f[3])
		}
		k.acked[f[1]] = f[2] + " " + f[3]
		delete(k.asked, f[1])
	}
}

// A process that is killed under load, fifty times over the same journal, loses
// no acknowledged decision and takes none twice, retries included.
func TestSIGKILL(t *testing.T) {
	rounds := 50
	if testing.Short() {
		rounds = 6
	}
	dir := filepath.Join(t.TempDir(), "journal")
	k := &ledger{asked: map[string]bool{}, acked: map[string]string{}}
	rng := rand.New(rand.NewPCG(1, 2))
	for n := range rounds {
		k.round(t, dir, n, time.Duration(20+rng.IntN(250))*time.Millisecond)
	}
	found := map[string]string{}
	l, err := file.Open(file.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	keys := map[engine.Tag]engine.Seq{}
	lost, doubled, granted := 0, 0, engine.Micros(0)
	err = l.Read(1, func(r journal.Record) error {
		d, err := engine.Decode(engine.Seq(r.Seq), r.Payload)
		if err != nil {
			return err
		}
		if _, twice := keys[d.Key]; twice {
			doubled++
		}
		keys[d.Key] = d.Seq
		if g, ok := d.Command.(*engine.GrantCredits); ok && d.Code == engine.OK {
			granted += g.Amount
		}
		found[fmt.Sprintf("%d %x", r.Seq, sha256.Sum256(r.Payload))] = ""
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for key, answer := range k.acked {
		if _, there := found[answer]; !there {
			lost++
			t.Errorf("%s was acknowledged with %s and is gone", key, answer)
		}
	}
	q, err := sequencer.New(sequencer.Config{Log: l})
	if err != nil {
		t.Fatal(err)
	}
	q.View(func(s *engine.State) {
		if a, _ := s.Account(1); a.Available != granted || int(granted) != len(found)-2 || int(granted) < len(k.acked) || int(granted) > len(k.acked)+len(k.asked) {
			t.Errorf("account has %d of %d granted; %d acknowledged, %d unknown", a.Available, granted, len(k.acked), len(k.asked))
		}
	})
	t.Logf("%d kills, %d decisions acknowledged, %d unknown at the end, %d lost, %d doubled", rounds, len(k.acked), len(k.asked), lost, doubled)
	if lost+doubled > 0 || len(k.acked) < 10*rounds {
		t.Errorf("%d lost, %d doubled of %d", lost, doubled, len(k.acked))
	}
}
