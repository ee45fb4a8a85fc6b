package replay_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/journal/file"
	"github.com/mbp-market/mbp/engine/replay"
	"github.com/mbp-market/mbp/engine/sequencer"
)

// journalOf names a journal to a test binary that is run as an auditor.
const journalOf = "MBP_REPLAY_JOURNAL"

// TestMain makes the binary an auditor if it is asked to be: it replays a journal
// that another build wrote, and decides a history of its own.
func TestMain(m *testing.M) {
	dir := os.Getenv(journalOf)
	if dir == "" {
		os.Exit(m.Run())
	}
	if err := auditor(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func auditor(dir string) error {
	log, err := file.Open(file.Config{Dir: dir})
	if err != nil {
		return err
	}
	theirs, err := replay.Run(context.Background(), log, verify)
	if err := errors.Join(err, log.Close()); err != nil {
		return err
	}
	own, err := replay.Run(context.Background(), play(11, 1500), verify)
	fmt.Printf("%d %s %s, own %s %s\n", theirs.Verified, theirs.State, theirs.Records, own.State, own.Records)
	return err
}

// write makes a journal on disk of a history.
func write(t *testing.T, h *history) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "journal")
	log, err := file.Open(file.Config{Dir: dir, SegmentSize: 16 << 20})
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(h.records); {
		batch := [][]byte{}
		for n := 0; n < 50 && i < len(h.records); n++ {
			batch = append(batch, h.records[i].Payload)
			i++
		}
		if err := log.Append(log.Next(), int64(began), batch); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestSameOnEveryBuild: builds for other processors, with one thread and with two,
// decide a journal as this one did, to the byte. GOAMD64=v3 lets the compiler fuse
// multiplications and additions; 386 has other word sizes.
func TestSameOnEveryBuild(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED with -short: it builds three test binaries")
	}
	if runtime.GOARCH != "amd64" || runtime.GOOS != "linux" {
		t.Skipf("SKIPPED: the builds that are compared run on linux/amd64, not on %s/%s", runtime.GOOS, runtime.GOARCH)
	}
	h := play(12, 1500)
	dir := write(t, h)
	want := ""
	for _, build := range [][]string{{"GOAMD64=v1"}, {"GOAMD64=v3"}, {"GOARCH=386"}} {
		binary := filepath.Join(t.TempDir(), "auditor")
		c := exec.CommandContext(t.Context(), "go", "test", "-c", "-o", binary, ".")
		c.Env = append(append(os.Environ(), "CGO_ENABLED=0"), build...)
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", build, err, out)
		}
		for _, threads := range []string{"1", "2"} {
			c := exec.CommandContext(t.Context(), binary)
			c.Env = append(os.Environ(), journalOf+"="+dir, "GOMAXPROCS="+threads)
			out, err := c.CombinedOutput()
			if strings.Contains(string(out), "microarchitecture support") || errors.Is(err, syscall.ENOEXEC) {
				t.Logf("SKIPPED %v: this machine cannot run it: %v %s", build, err, out)
				continue
			}
			if err != nil {
				t.Fatalf("%v, %s threads: %v\n%s", build, threads, err, out)
			}
			if want == "" {
				want = string(out)
			}
			if string(out) != want {
				t.Errorf("%v, %s threads:\n%s, v1 with one thread:\n%s", build, threads, out, want)
			}
		}
	}
	if !strings.HasPrefix(want, fmt.Sprintf("%d %s ", len(h.records), h.state.Hash())) {
		t.Errorf("the auditors say %q, the history is %d records long and ends at %s", want, len(h.records), h.state.Hash())
	}
}

// TestSequencerJournal: what the real writer made durable verifies, deadlines and
// payouts included.
func TestSequencerJournal(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "journal")
	log, err := file.Open(file.Config{Dir: dir, SegmentSize: 16 << 20})
	if err != nil {
		t.Fatal(err)
	}
	q, err := sequencer.New(sequencer.Config{Log: log, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- q.Run(ctx) }()
	give := func(who string, c engine.Command) {
		t.Helper()
		got, err := q.Submit(ctx, sequencer.Request{Principal: who, Command: c})
		if err != nil || got.Decision.Code != engine.OK {
			t.Fatalf("%s: %v %+v", c.Type(), err, got.Decision)
		}
	}
	give(engine.System, &engine.Initialise{Policy: engine.DefaultPolicy(), Template: engine.DefaultTemplate(), Admin: engine.Key{SHA256: digest(1), Principal: "admin", Roles: engine.RoleAdmin}})
	for i := range engine.AccountID(3) {
		give("admin", &engine.OpenAccount{})
		give("admin", &engine.GrantCredits{Account: i + 1, Amount: 1000 * engine.One})
	}
	give("admin", &engine.OpenMarket{Template: "binary@1.0.0", Title: "x", Creator: 1, Liquidity: 100 * engine.One, Price: 500_000})
	for range 20 {
		give("two", &engine.PlaceOrder{Account: 2, Market: 1, Side: engine.Buy, TIF: engine.GTD, Shares: engine.One, Limit: 400_000, Expires: engine.Time(time.Now().Add(5 * time.Millisecond).UnixMicro())})
		give("three", &engine.PlaceOrder{Account: 3, Market: 1, Outcome: engine.No, Side: engine.Buy, TIF: engine.IOC, Amount: engine.One / 10})
	}
	give("one", &engine.ProposeResolution{Market: 1, Outcome: engine.Yes, EvidenceURI: "https://example.org/e", EvidenceSHA256: digest(9)})
	give("admin", &engine.ApproveResolution{Market: 1})
	stop()
	if err := errors.Join(<-done, log.Close()); err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if log, err = file.Open(file.Config{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	got, err := replay.Run(t.Context(), log, verify)
	if err != nil || got.Verified < 50 || got.Verified != got.Decisions {
		t.Errorf("%+v %v", got, err)
	}
}

// BenchmarkVerify is what an audit costs for each decision.
func BenchmarkVerify(b *testing.B) {
	h := play(13, 20_000)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := replay.Run(b.Context(), h, verify); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(h.records)), "ns/decision")
}
