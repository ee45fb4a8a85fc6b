package sequencer_test

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/journal/file"
	"github.com/mbp-market/mbp/engine/sequencer"
)

// The environment of a child process, which runs a writer until it is killed.
const (
	childDir   = "MBP_TEST_CHILD_JOURNAL"
	childStart = "MBP_TEST_CHILD_START" // the next operation of each submitter
	childLate  = "MBP_TEST_CHILD_LATE"  // not empty: acknowledge before the append
)

const (
	submitters = 16
	ackBytes   = 48       // submitter, operation: u32 each; sequence: u64; digest
	killLog    = 64 << 10 // segment: some kills meet the change to the next one
)

// operation is what submitter i asks for as its nth request: the same in every
// process, so that parent and child need not tell each other.
func operation(i, n int) sequencer.Request {
	a := engine.AccountID(i + 1)
	r := sequencer.Request{Principal: "trader-" + strconv.Itoa(i), Key: "op-" + strconv.Itoa(n), Input: fmt.Append(nil, i, n)}
	order := &engine.PlaceOrder{Account: a, Market: 1, Outcome: engine.Outcome(n / 2 % 2), Side: engine.Buy, TIF: engine.IOC, Amount: engine.One}
	r.Command = order
	switch n % 8 {
	case 2:
		r.Command = &engine.GrantCredits{Account: a, Amount: 7}
	case 4:
		r.Command = &engine.OpenAccount{}
	case 5: // rejected, and journalled like any other
		order.Side, order.Amount, order.Shares = engine.Sell, 0, 1_000_000*engine.One
	case 6:
		order.Side, order.Amount, order.Shares = engine.Sell, 0, engine.One/4
	}
	return r
}

// child runs submitters that each wait for their answer, say so on the pipe in
// one write, and go on. What the parent has read was acknowledged; at most one
// more operation of each submitter may have been asked for.
func child(dir string) error {
	l, err := file.Open(file.Config{Dir: dir, SegmentSize: killLog})
	if err != nil {
		return err
	}
	var log journal.Log = l
	if os.Getenv(childLate) != "" {
		log = newLate(l, 4)
	}
	h, err := enter(sequencer.Config{Log: log})
	if err != nil {
		return err
	}
	go func() { _ = l.Run(context.Background()) }()
	pipe := os.NewFile(3, "acks")
	failed := make(chan error)
	for i, text := range strings.Split(os.Getenv(childStart), ",") {
		n, err := strconv.Atoi(text)
		if err != nil {
			return err
		}
		go func() {
			for ; ; n++ {
				a, err := h.Submit(context.Background(), operation(i, n))
				if err == nil {
					_, err = pipe.Write(encodeAck(i, n, a.Decision)) // fails when the parent is gone
				}
				if err != nil {
					failed <- err
					return
				}
			}
		}()
	}
	return <-failed
}

func encodeAck(i, n int, d *engine.Decision) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(i))
	b = binary.LittleEndian.AppendUint32(b, uint32(n))
	b = binary.LittleEndian.AppendUint64(b, uint64(d.Seq))
	sum := digest(d)
	return append(b, sum[:]...)
}

// answer is what a submitter was told.
type answer struct {
	seq    engine.Seq
	digest engine.Digest
}

// killer knows all that was acknowledged over all rounds.
type killer struct {
	t    *testing.T
	dir  string
	late bool
	rng  *rand.Rand
	told [submitters][]answer // by operation

	setup                          int // decisions before the first round
	acked, lost, doubled, reworded int
	retried, retriedDurable, early int
}

func newKiller(t *testing.T, late bool) *killer {
	k := &killer{t: t, dir: filepath.Join(t.TempDir(), "j"), late: late, rng: rand.New(rand.NewPCG(4, 2))}
	k.inside(func(h *hall) {
		for _, c := range opening(submitters) {
			h.must(t, "boot", c)
		}
		k.setup = int(h.Durable())
	})
	return k
}

// inside runs a writer over the journal in this process.
func (k *killer) inside(fn func(h *hall)) {
	k.t.Helper()
	l, err := file.Open(file.Config{Dir: k.dir, SegmentSize: killLog})
	if err != nil {
		k.t.Fatal(err)
	}
	h, err := enter(sequencer.Config{Log: l})
	if err != nil {
		k.t.Fatal(err)
	}
	fn(h)
	if err := h.leave(); err != nil {
		k.t.Fatal(err)
	}
}

// round starts a child, kills it at a random moment, and reads what it said.
func (k *killer) round(n int) {
	k.t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		k.t.Fatal(err)
	}
	defer r.Close()
	var start []string
	for i := range k.told {
		start = append(start, strconv.Itoa(len(k.told[i])))
	}
	cmd := exec.CommandContext(k.t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+k.dir, childStart+"="+strings.Join(start, ","))
	if k.late {
		cmd.Env = append(cmd.Env, childLate+"=1")
	}
	cmd.ExtraFiles, cmd.Stderr = []*os.File{w}, os.Stderr
	if err := cmd.Start(); err != nil {
		k.t.Fatal(err)
	}
	w.Close()
	// Most kills come a moment after some acknowledgement, so that they meet a
	// writer under load; every fifth comes at any time after the start and may
	// meet the opening, the repair or the fold.
	target, delay := 1+k.rng.IntN(500), time.Duration(k.rng.IntN(2000))*time.Microsecond
	kill := func() { _ = cmd.Process.Kill() }
	if n%5 == 4 {
		target = -1
		time.AfterFunc(time.Duration(k.rng.IntN(50))*time.Millisecond, kill)
	}
	before := k.acked
	for b := make([]byte, ackBytes); ; {
		if _, err := io.ReadFull(r, b); err != nil {
			break // the pipe ends with the child
		}
		k.hear(b)
		if k.acked-before == target {
			time.AfterFunc(delay, kill)
		}
	}
	if k.acked == before {
		k.early++
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != -1 {
		k.t.Fatalf("round %d: the child was not killed but ended by itself: %v", n, err)
	}
}

func (k *killer) hear(b []byte) {
	i, n := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
	if int(i) >= submitters || int(n) != len(k.told[i]) {
		k.t.Fatalf("submitter %d was answered for operation %d, after %d answers", i, n, len(k.told[i]))
	}
	k.told[i] = append(k.told[i], answer{engine.Seq(binary.LittleEndian.Uint64(b[8:])), engine.Digest(b[16:])})
	k.acked++
}

// check compares the journal with what was acknowledged, asks again for what is
// unknown, and checks that each operation was decided exactly once.
func (k *killer) check() {
	k.t.Helper()
	k.inside(func(h *hall) {
		was := k.look(h.log)
		if k.lost > 0 && k.late {
			return // found: the rest would only follow from it
		}
		for i := range k.told {
			n := len(k.told[i])
			_, durable := was[tagOf(operation(i, n))]
			k.ask(h, i, n, durable)
			if n > 0 {
				k.ask(h, i, k.rng.IntN(n), true)
			}
		}
		now := k.look(h.log)
		want := 0
		for i := range k.told {
			want += len(k.told[i])
		}
		if len(now) != want || int(h.Durable()) != want+k.setup {
			k.t.Errorf("%d keys in %d decisions, want %d and %d", len(now), h.Durable(), want, want+k.setup)
		}
		h.View(func(s *core.State) {
			if err := conserved(s); err != nil {
				k.t.Error(err)
			}
		})
	})
}

// look reads the journal: which keys it holds, and whether all that was told is
// there as it was told.
func (k *killer) look(log journal.Log) map[engine.Tag]engine.Seq {
	k.t.Helper()
	keys, next := map[engine.Tag]engine.Seq{}, engine.Seq(1)
	digests := []engine.Digest{{}}
	err := log.Read(1, func(r journal.Record) error {
		d, err := engine.Decode(engine.Seq(r.Seq), r.Payload)
		if err != nil {
			return err
		}
		if d.Seq != next {
			return fmt.Errorf("decision %d follows %d", d.Seq, next-1)
		}
		next++
		digests = append(digests, digest(d))
		if d.Key != (engine.Tag{}) {
			if _, twice := keys[d.Key]; twice {
				k.doubled++
			}
			keys[d.Key] = d.Seq
		}
		return nil
	})
	if err != nil {
		k.t.Fatal(err)
	}
	for i := range k.told {
		last := engine.Seq(0)
		for n, a := range k.told[i] {
			if int(a.seq) >= len(digests) || keys[tagOf(operation(i, n))] != a.seq {
				k.lost++
			} else if digests[a.seq] != a.digest {
				k.reworded++
			}
			if a.seq <= last {
				k.t.Errorf("submitter %d: operation %d has sequence %d, the one before %d", i, n, a.seq, last)
			}
			last = a.seq
		}
	}
	return keys
}

// ask repeats an operation. durable says that it must be answered from before.
func (k *killer) ask(h *hall, i, n int, durable bool) {
	k.t.Helper()
	a, err := h.Submit(k.t.Context(), operation(i, n))
	if err != nil || a.Replayed != durable {
		k.t.Errorf("submitter %d, operation %d again: replayed %v, want %v, %v", i, n, a.Replayed, durable, err)
		return
	}
	got := answer{a.Decision.Seq, digest(a.Decision)}
	if n == len(k.told[i]) {
		k.told[i] = append(k.told[i], got)
		k.retried++
		if durable {
			k.retriedDurable++
		}
	} else if got != k.told[i][n] {
		k.reworded++
	}
	other := operation(i, n)
	other.Input = []byte("something else")
	if _, err := h.Submit(k.t.Context(), other); !errors.Is(err, sequencer.ErrConflict) {
		k.t.Errorf("another request with the key of submitter %d, operation %d: %v", i, n, err)
	}
}

var kills = flag.Int("kills", 50, "how often TestKilledWriterLosesNothing kills the writer")

// A process that is killed under load, again and again over the same journal,
// loses no acknowledged decision and takes none twice, retries included.
func TestKilledWriterLosesNothing(t *testing.T) {
	rounds := *kills
	if testing.Short() {
		rounds = min(rounds, 8)
	}
	k := newKiller(t, false)
	for n := range rounds {
		k.round(n)
		k.check()
		if t.Failed() {
			t.Fatalf("in round %d", n)
		}
	}
	t.Logf("rounds %d, acknowledged %d, lost %d, doubled %d, answered differently %d; of %d operations in flight %d were durable and all were decided once; %d kills before the first answer",
		rounds, k.acked, k.lost, k.doubled, k.reworded, k.retried, k.retriedDurable, k.early)
	if k.lost+k.doubled+k.reworded > 0 {
		t.Error("the journal broke its promise")
	}
	if k.acked < 20*rounds || k.retriedDurable == k.retried && !testing.Short() {
		t.Errorf("the load was too light: %d acknowledged, %d of %d in flight were durable", k.acked, k.retriedDurable, k.retried)
	}
}

// The same test finds a writer that acknowledges before the record is written.
func TestKillFindsEarlyAnswers(t *testing.T) {
	k := newKiller(t, true)
	for n := range 4 {
		k.round(n)
		if k.check(); k.lost > 0 {
			t.Logf("found in round %d: %d of %d acknowledged decisions are lost", n+1, k.lost, k.acked)
			return
		}
	}
	t.Error("a writer that acknowledges before the append goes unnoticed")
}
