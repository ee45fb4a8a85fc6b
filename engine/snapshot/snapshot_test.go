package snapshot_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/journal/faultfs"
	"github.com/mbp-market/mbp/engine/journal/file"
	"github.com/mbp-market/mbp/engine/snapshot"
)

const dir = "snapshots"

// venue is a writer that decides into a log: five accounts that trade in a market.
type venue struct {
	t   testing.TB
	log journal.Log
	s   *core.State
	rng *rand.Rand
	d   engine.Decision
}

func newVenue(t testing.TB, log journal.Log) *venue {
	t.Helper()
	v := &venue{t: t, log: log, s: core.New(), rng: rand.New(rand.NewPCG(1, 2))}
	policy := engine.DefaultPolicy()
	policy.OrderInterval, policy.OrderBurst = 1, 1_000_000
	v.do(&engine.Initialise{Policy: policy, Template: engine.DefaultTemplate(), Admin: engine.Key{SHA256: engine.Digest{1}, Principal: "admin", Roles: engine.RoleAdmin}})
	for a := range engine.AccountID(5) {
		v.do(&engine.OpenAccount{})
		v.do(&engine.GrantCredits{Account: a + 1, Amount: 100_000 * engine.One})
	}
	t0 := engine.DefaultTemplate()
	v.do(&engine.OpenMarket{Template: t0.Name(), Title: "Will it ship?", Creator: 1, Liquidity: 1000 * engine.One, Price: 500_000})
	return v
}

func (v *venue) do(c engine.Command) {
	v.t.Helper()
	req := engine.Request{At: v.s.At() + 1000, Principal: "ana", Command: c, Key: engine.Tag{1, byte(v.s.Seq() >> 8), byte(v.s.Seq())}}
	if err := v.s.Step(req, &v.d); err != nil || v.d.Code != engine.OK {
		v.t.Fatalf("%s: %v %s %s", c.Type(), err, v.d.Code, v.d.Detail)
	}
	if err := v.log.Append(uint64(v.d.Seq), int64(v.d.At), [][]byte{v.d.Append(nil)}); err != nil {
		v.t.Fatal(err)
	}
}

// trade makes n orders, most of which wait.
func (v *venue) trade(n int) {
	v.t.Helper()
	for range n {
		v.do(&engine.PlaceOrder{
			Account: engine.AccountID(1 + v.rng.IntN(5)), Market: 1, Outcome: engine.Outcome(v.rng.IntN(2)), Side: engine.Buy, TIF: engine.GTC, Shares: engine.Shares(1 + v.rng.IntN(1_000_000)),
			Limit: engine.Price(450_000 + v.rng.IntN(40_000)),
		})
	}
}

func openLog(t testing.TB, fs file.FS) journal.Log {
	t.Helper()
	log, err := file.Open(file.Config{Dir: "journal", FS: fs, SegmentSize: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	return log
}

func openStore(t testing.TB, fs file.FS) *snapshot.Store {
	t.Helper()
	s, err := snapshot.OpenStore(fs, dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// told is a logger that keeps what it hears.
func told() (*slog.Logger, *bytes.Buffer) {
	var b bytes.Buffer
	return slog.New(slog.NewTextHandler(&b, nil)), &b
}

// What is written is loaded again; the newest two stay.
func TestWriteAndLoad(t *testing.T) {
	fs := faultfs.New()
	v, store := newVenue(t, openLog(t, fs)), openStore(t, fs)
	if s, _, err := store.Newest(v.s.Seq(), slog.Default()); s != nil || err != nil {
		t.Fatalf("a snapshot from nowhere: %v", err)
	}
	var last snapshot.Info
	for n := range 4 {
		v.trade(20)
		i, err := store.Write(v.s)
		if err != nil || i.Seq != v.s.Seq() || i.Hash != v.s.Hash() || i.Version != engine.Version || i.At != v.s.At() {
			t.Fatalf("%+v %v", i, err)
		}
		all, err := store.List()
		if want := min(n+1, snapshot.Keep); err != nil || len(all) != want || all[0].Seq != i.Seq || all[0].Hash != i.Hash {
			t.Fatalf("%+v %v, want %d", all, err, want)
		}
		last = i
	}
	if again, err := store.Write(v.s); err != nil || again != last {
		t.Fatalf("a second one of the same state: %+v %v", again, err)
	}
	log, said := told()
	s, i, err := store.Newest(v.s.Seq(), log)
	if err != nil || s.Hash() != v.s.Hash() || i != last || said.Len() != 0 {
		t.Fatalf("%+v %v %s", i, err, said)
	}
	if _, _, err := store.Newest(v.s.Seq()-1, log); !errors.Is(err, snapshot.ErrAhead) {
		t.Errorf("beyond the journal: %v", err)
	}
	if got, err := snapshot.ReadStore(file.ReadOnly{}, filepath.Join(t.TempDir(), "none")).List(); got != nil || err != nil {
		t.Errorf("an absent folder: %v %v", got, err)
	}
}

// Two processes do not write at once.
func TestOneWriterAtATime(t *testing.T) {
	fs := faultfs.New()
	v, store := newVenue(t, openLog(t, fs)), openStore(t, fs)
	lock, err := fs.Lock(filepath.Join(dir, "LOCK"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Write(v.s); !errors.Is(err, snapshot.ErrBusy) {
		t.Errorf("%v", err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Write(v.s); err != nil {
		t.Error(err)
	}
}

// spoil changes a file.
func spoil(t *testing.T, fs file.FS, name string, change func(file.File)) {
	t.Helper()
	f, err := fs.Open(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	change(f)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// A damaged snapshot is told and passed over, wherever the damage is.
func TestDamageIsPassedOver(t *testing.T) {
	fs := faultfs.New()
	v, store := newVenue(t, openLog(t, fs)), openStore(t, fs)
	v.trade(30)
	older, err := store.Write(v.s)
	if err != nil {
		t.Fatal(err)
	}
	v.trade(30)
	newer, err := store.Write(v.s)
	if err != nil {
		t.Fatal(err)
	}
	size := 128 + newer.Size
	for at := int64(0); at < size; at += 1 + size/300 {
		flip := func(f file.File) {
			b := []byte{0}
			if _, err := f.ReadAt(b, at); err != nil {
				t.Fatal(err)
			}
			b[0] ^= 0x20
			if _, err := f.WriteAt(b, at); err != nil {
				t.Fatal(err)
			}
		}
		spoil(t, fs, newer.Name(), flip)
		var damaged *snapshot.DamagedError
		if _, _, err := store.Load(newer); !errors.As(err, &damaged) || damaged.Name != newer.Name() {
			t.Fatalf("byte %d: %v", at, err)
		}
		if at%7 == 0 {
			log, said := told()
			s, i, err := store.Newest(v.s.Seq(), log)
			if err != nil || i != older || s.Seq() != older.Seq || !strings.Contains(said.String(), newer.Name()) || !strings.Contains(said.String(), "older=1") {
				t.Fatalf("byte %d: %+v %v %s", at, i, err, said)
			}
		}
		spoil(t, fs, newer.Name(), flip)
	}
	spoil(t, fs, newer.Name(), func(f file.File) { _, _ = f.WriteAt([]byte{1}, size) })
	spoil(t, fs, older.Name(), func(f file.File) { _, _ = f.WriteAt([]byte("mbp-snup"), 0) })
	log, said := told()
	if s, _, err := store.Newest(v.s.Seq(), log); s != nil || err != nil || strings.Count(said.String(), "cannot be used") != 2 {
		t.Errorf("both are damaged: %v %s", err, said)
	}
	// A whole one under another name is none either.
	spoil(t, fs, older.Name(), func(f file.File) { _, _ = f.WriteAt([]byte("mbp-snap"), 0) })
	other := older
	other.Seq++
	if err := fs.Rename(filepath.Join(dir, older.Name()), filepath.Join(dir, other.Name())); err != nil {
		t.Fatal(err)
	}
	if _, _, err := store.Load(other); err == nil {
		t.Error("a snapshot loads under another name")
	}
}

// Whenever the machine stops while a snapshot is written, and whatever it keeps, the
// newest whole one is the new one or the one before.
func TestCrashStory(t *testing.T) {
	points := 0
	for ended := false; !ended; {
		points++
		n := points
		for _, keep := range faultfs.Keeps {
			fs := faultfs.New()
			v, store := newVenue(t, openLog(t, faultfs.New())), openStore(t, fs)
			v.trade(3)
			first, err := store.Write(v.s)
			if err != nil {
				t.Fatal(err)
			}
			v.trade(3)
			if _, err := store.Write(v.s); err != nil {
				t.Fatal(err)
			}
			before := fs.Ops()
			second := v.s.Seq()
			v.trade(3)
			fs.SetPlan(func(op faultfs.Op) faultfs.Fault { return faultfs.Fault{Crash: op.N == before+n} })
			_, err = store.Write(v.s)
			ended = err == nil
			fs.Restart(keep, uint64(n))
			log, said := told()
			s, i, err := openStore(t, fs).Newest(v.s.Seq(), log)
			if err != nil || s == nil || i.Seq != second && i.Seq != v.s.Seq() || said.Len() != 0 {
				t.Fatalf("crash %d, keep %s: %+v %v %s", n, keep, i, err, said)
			}
			if ended && i.Seq != v.s.Seq() {
				t.Fatalf("keep %s: a snapshot that was written is gone", keep)
			}
			if i, err := openStore(t, fs).Write(v.s); err != nil || i.Seq <= first.Seq {
				t.Fatalf("crash %d, keep %s: the next one: %v", n, keep, err)
			}
		}
	}
	if points < 7 { // create, write, header, sync, rename, folder, remove
		t.Errorf("only %d points to crash at", points)
	}
}

// follow runs a follower until it waits for more.
func follow(t *testing.T, cfg snapshot.Config) (*snapshot.Follower, error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cfg.Wait = func(context.Context) { cancel() }
	f, err := snapshot.NewFollower(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return f, f.Run(ctx)
}

// The follower writes a snapshot after every so many decisions, goes on from the
// newest after a restart, and ends with the writer's state.
func TestFollower(t *testing.T) {
	fs := faultfs.New()
	v, store := newVenue(t, openLog(t, fs)), openStore(t, fs)
	v.trade(238) // 250 decisions
	cfg := snapshot.Config{Log: v.log, Store: store, Every: 100}
	for range 2 {
		f, err := follow(t, cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Compare(v.s.Seq(), v.s.Hash()); err != nil {
			t.Error(err)
		}
		all, err := store.List()
		if err != nil || len(all) != 2 || all[0].Seq != 200 || all[1].Seq != 100 {
			t.Errorf("%+v %v", all, err)
		}
		if err := f.Compare(v.s.Seq(), engine.Digest{1}); !errors.Is(err, snapshot.ErrDiffers) {
			t.Errorf("another state of the writer: %v", err)
		}
	}
	v.trade(60)
	reg := prometheus.NewRegistry()
	cfg.Registerer = reg
	if _, err := follow(t, cfg); err != nil {
		t.Fatal(err)
	}
	if all, err := store.List(); err != nil || all[0].Seq != 300 || all[1].Seq != 200 {
		t.Errorf("%+v %v", all, err)
	}
	for name, want := range map[string]float64{"mbp_snapshot_seq": 300, "mbp_snapshot_lag_records": 0, "mbp_snapshot_failures_total": 0} {
		if got := metric(t, reg, name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if metric(t, reg, "mbp_snapshot_bytes") < 1000 || metric(t, reg, "mbp_snapshot_age_seconds") > 60 {
		t.Error("bytes or age are not of this snapshot")
	}
}

func metric(t *testing.T, reg *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.Metric[0].GetGauge().GetValue() + f.Metric[0].GetCounter().GetValue()
		}
	}
	t.Fatalf("no series %s", name)
	return 0
}

// What the writer shows is compared at its sequence; what differs ends the follower,
// what was never made durable does not.
func TestPrintsAreCompared(t *testing.T) {
	fs := faultfs.New()
	v, store := newVenue(t, openLog(t, fs)), openStore(t, fs)
	v.trade(50)
	seen := core.Prints{Seq: v.s.Seq(), Of: []core.Print{v.s.Print(1, 1), v.s.Print(2, 1), v.s.Print(0, 1), v.s.Print(3, 0)}}
	v.trade(50)
	prints := func(x ...core.Prints) func(engine.Seq) (core.Prints, bool) {
		return func(after engine.Seq) (core.Prints, bool) {
			for _, p := range x {
				if p.Seq > after {
					return p, true
				}
			}
			return core.Prints{}, false
		}
	}
	lost := core.Prints{Seq: v.s.Seq() + 7, Of: []core.Print{{Account: 1, Market: 1}}}
	reg := prometheus.NewRegistry()
	cfg := snapshot.Config{Log: v.log, Store: store, Registerer: reg, Prints: prints(seen, lost)}
	if _, err := follow(t, cfg); err != nil || metric(t, reg, "mbp_snapshot_compared_total") != 4 {
		t.Fatalf("%v, %v compared", err, metric(t, reg, "mbp_snapshot_compared_total"))
	}
	for i := range seen.Of {
		bad := core.Prints{Seq: seen.Seq, Of: append([]core.Print(nil), seen.Of...)}
		bad.Of[i].Sum[3] ^= 1
		cfg.Prints, cfg.Registerer = prints(bad), nil
		if _, err := follow(t, cfg); !errors.Is(err, snapshot.ErrDiffers) || !strings.Contains(err.Error(), "after decision 62") {
			t.Errorf("print %d: %v", i, err)
		}
	}
}

// A full disk costs the snapshot and nothing else; damage of the journal ends the
// follower.
func TestFollowerAndTheDisk(t *testing.T) {
	v := newVenue(t, openLog(t, faultfs.New()))
	v.trade(190)
	fs := faultfs.New()
	store := openStore(t, fs)
	fs.SetCapacity(100)
	log, said := told()
	reg := prometheus.NewRegistry()
	f, err := follow(t, snapshot.Config{Log: v.log, Store: store, Every: 100, Logger: log, Registerer: reg})
	if err != nil || metric(t, reg, "mbp_snapshot_failures_total") != 2 || !strings.Contains(said.String(), "not written") {
		t.Fatalf("%v %s", err, said)
	}
	if err := f.Compare(v.s.Seq(), v.s.Hash()); err != nil {
		t.Error(err)
	}
	if _, err := follow(t, snapshot.Config{Log: broken{v.log}, Store: store}); err == nil || !strings.Contains(err.Error(), "follow the journal") {
		t.Errorf("%v", err)
	}
	if _, err := snapshot.NewFollower(snapshot.Config{}); err == nil {
		t.Error("a follower of nothing")
	}
}

// broken is a log whose records have another sequence.
type broken struct{ journal.Log }

func (b broken) Read(from uint64, fn func(journal.Record) error) error {
	return b.Log.Read(from, func(r journal.Record) error { r.Seq++; return fn(r) })
}
