package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"runtime/pprof"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/catchup"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/journal/file"
	"github.com/mbp-market/mbp/engine/sequencer"
	"github.com/mbp-market/mbp/engine/snapshot"
)

// profileTo names a file for a processor profile.
const profileTo = "MBP_RESTART_PROFILE"

// result is what one measure found; seconds of wall time, bytes.
type result struct {
	Decisions    uint64  `json:"decisions,omitempty"`
	Seconds      float64 `json:"seconds,omitempty"`       // of everything below
	Open         float64 `json:"open,omitempty"`          // opening the journal
	Load         float64 `json:"load,omitempty"`          // reading the snapshot
	Dump         float64 `json:"dump,omitempty"`          // writing it, with sync
	DumpBytes    int64   `json:"dump_bytes,omitempty"`    // of the state
	RecordBytes  int64   `json:"record_bytes,omitempty"`  // of all payloads
	FileBytes    int64   `json:"file_bytes,omitempty"`    // of the journal's files
	Processor    float64 `json:"processor,omitempty"`     // seconds of all processors
	Heap         uint64  `json:"heap,omitempty"`          // live at the end
	Peak         int64   `json:"peak,omitempty"`          // resident at most
	Hash         string  `json:"hash,omitempty"`          // of the state at the end
	SnapshotHash string  `json:"snapshot_hash,omitempty"` // of the state in the snapshot
}

// measure runs one measure over a folder and prints its result.
func measure(name, dir string, stdout io.Writer) (err error) {
	if to := os.Getenv(profileTo); to != "" {
		f, err := os.Create(to)
		if err != nil {
			return err
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	fn := map[string]func(string) (result, error){"load": load, "restart": restart, "decode": decode, "evolve": evolve, "fold": fold}[name]
	if fn == nil {
		return errors.New("no such measure")
	}
	r, err := fn(dir)
	if err != nil {
		return err
	}
	var use unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &use); err != nil {
		return err
	}
	r.Peak = use.Maxrss * 1024
	r.Processor = time.Duration(use.Utime.Nano() + use.Stime.Nano()).Seconds()
	return json.NewEncoder(stdout).Encode(r)
}

func seconds(since time.Time) float64 { return time.Since(since).Seconds() }

// heap is what lives.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// load reads the snapshot alone.
func load(dir string) (r result, err error) {
	store := snapshot.ReadStore(file.ReadOnly{}, snapshotsDir(dir))
	begin := time.Now()
	s, i, err := store.Newest(1<<62, slog.Default())
	if err != nil {
		return r, err
	}
	if s == nil {
		return r, errors.New("no snapshot")
	}
	r.Load, r.DumpBytes, r.Hash = seconds(begin), i.Size, i.Hash.String()
	begin = time.Now()
	if err := s.Dump(io.Discard); err != nil {
		return r, err
	}
	r.Dump = seconds(begin)
	r.Seconds, r.Decisions, r.Heap = r.Load, uint64(s.Seq()), heap()
	runtime.KeepAlive(s)
	return r, nil
}

// open opens the journal for writing, as a server does.
func open(dir string, r *result) (*file.Log, error) {
	begin := time.Now()
	log, err := file.Open(file.Config{Dir: journalDir(dir)})
	r.Open = seconds(begin)
	return log, err
}

// restart is what mbp serve does before its first decision.
func restart(dir string) (r result, err error) {
	begin := time.Now()
	log, err := open(dir, &r)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	loading := time.Now()
	store, err := snapshot.OpenStore(file.OS{}, snapshotsDir(dir))
	if err != nil {
		return r, err
	}
	s, twin, i, err := store.Twins(engine.Seq(log.Next()-1), slog.Default())
	if err != nil {
		return r, err
	}
	if s == nil {
		return r, errors.New("no snapshot")
	}
	r.Load = seconds(loading)
	q, err := sequencer.New(sequencer.Config{Log: log, Start: s, Twin: twin})
	if err != nil {
		return r, err
	}
	r.Seconds, r.Heap, r.Decisions = seconds(begin), heap(), uint64(q.Durable()-i.Seq)
	q.View(func(s *core.State) { r.Hash = s.Hash().String() })
	return r, nil
}

// fold folds everything.
func fold(dir string) (r result, err error) {
	log, err := open(dir, &r)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	s := core.New()
	begin := time.Now()
	if r.Decisions, err = catchup.Fold(log, s, 0, nil); err != nil {
		return r, err
	}
	r.Seconds, r.Heap = seconds(begin), heap()
	r.Hash = s.Hash().String()
	return r, nil
}

// decode reads and decodes everything.
func decode(dir string) (r result, err error) {
	log, err := open(dir, &r)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	begin := time.Now()
	err = log.Read(0, func(rec journal.Record) error {
		r.Decisions++
		_, err := engine.Decode(engine.Seq(rec.Seq), rec.Payload)
		return err
	})
	r.Seconds = seconds(begin)
	return r, err
}

// evolveChunk is how many decisions are held to be folded without a reader beside.
const evolveChunk = 50_000

// evolve folds everything; only the folding counts.
func evolve(dir string) (r result, err error) {
	log, err := open(dir, &r)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	s, spent := core.New(), time.Duration(0)
	held := make([]*engine.Decision, 0, evolveChunk)
	flush := func() error {
		begin := time.Now()
		for _, d := range held {
			if err := s.Evolve(d); err != nil {
				return err
			}
		}
		spent += time.Since(begin)
		held = held[:0]
		return nil
	}
	err = log.Read(0, func(rec journal.Record) error {
		d, err := engine.Decode(engine.Seq(rec.Seq), rec.Payload)
		if held = append(held, d); err == nil && len(held) == evolveChunk {
			err = flush()
		}
		return err
	})
	if err = errors.Join(err, flush()); err != nil {
		return r, err
	}
	r.Decisions, r.Seconds, r.Hash = uint64(s.Seq()), spent.Seconds(), s.Hash().String()
	return r, nil
}

// report prints the table and judges.
func (o *options) report(got map[string]result, stdout io.Writer) int {
	if o.json {
		_ = json.NewEncoder(stdout).Encode(struct {
			size
			Measures map[string]result `json:"measures"`
		}{o.size, got})
	} else {
		o.table(got, stdout)
	}
	code := 0
	bound := func(beyond bool, format string, args ...any) {
		if beyond {
			fmt.Fprintf(stdout, "BEYOND "+format+"\n", args...)
			code = 1
		}
	}
	if r, ok := got["restart"]; o.maxRestart > 0 && (ok || o.only == "") {
		bound(r.Seconds == 0 || r.Seconds > o.maxRestart, "a restart took %.1f s, at most %.1f are allowed", r.Seconds, o.maxRestart)
	}
	if r, ok := got["fold"]; o.minFold > 0 && (ok || o.only == "") {
		bound(rate(r) < o.minFold, "a fold did %.0f decisions a second, at least %.0f are wanted", rate(r), o.minFold)
	}
	return code
}

func rate(r result) float64 {
	if r.Seconds == 0 {
		return 0
	}
	return float64(r.Decisions) / r.Seconds
}

func (o *options) table(got map[string]result, w io.Writer) {
	const mb = 1e6
	m := got["make"]
	n := float64(o.Decisions)
	fmt.Fprintf(w, "%d decisions, %d accounts, %d markets, %d orders\n", o.Decisions, o.Accounts, o.Markets, o.Orders)
	fmt.Fprintf(w, "journal   %7.0f bytes a decision, %.0f with framing and what is allotted ahead\n", float64(m.RecordBytes)/n, float64(m.FileBytes)/n)
	if r, ok := got["load"]; ok {
		size := float64(r.DumpBytes)
		fmt.Fprintf(w, "state     %7.1f MB dumped, %.0f MB in memory (peak %.0f)\n", size/mb, float64(r.Heap)/mb, float64(r.Peak)/mb)
		fmt.Fprintf(w, "dump      %7.2f s, %.0f MB/s; into a file with hash and sync %.2f s\n", r.Dump, size/mb/r.Dump, m.Dump)
		fmt.Fprintf(w, "load      %7.2f s, %.0f MB/s, hash checked\n", r.Load, size/mb/r.Load)
	}
	if r, ok := got["restart"]; ok {
		fmt.Fprintf(w, "restart   %7.2f s: journal opened in %.2f, snapshot read in %.2f, %d decisions folded and both states made in %.2f; %.0f MB, peak %.0f\n",
			r.Seconds, r.Open, r.Load, r.Decisions, r.Seconds-r.Open-r.Load, float64(r.Heap)/mb, float64(r.Peak)/mb)
	}
	for _, name := range []string{"decode", "evolve", "fold"} {
		if r, ok := got[name]; ok {
			fmt.Fprintf(w, "%-9s %7.0f decisions/s, %.1f s of wall time, %.1f s of processors in all, peak %.0f MB\n", name, rate(r), r.Seconds, r.Processor, float64(r.Peak)/mb)
		}
	}
}
