package audit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/journal/faultfs"
)

// memory is a journal in memory that may begin after its first record.
type memory struct {
	first    uint64
	mu       sync.Mutex // guards the length of payloads
	payloads [][]byte
	at       func(seq uint64) int64
}

func (m *memory) First() uint64 { return max(1, m.first) }
func (m *memory) Next() uint64  { return uint64(len(m.all())) + 1 }

func (m *memory) all() [][]byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.payloads
}

func (m *memory) Read(from uint64, fn func(journal.Record) error) error {
	if from < m.First() {
		return journal.ErrArchived
	}
	payloads := m.all()
	for seq := from; seq <= uint64(len(payloads)); seq++ {
		r := journal.Record{Seq: seq, Payload: payloads[seq-1]}
		if m.at != nil {
			r.At = m.at(seq)
		}
		if err := fn(r); errors.Is(err, journal.ErrStop) {
			return nil
		} else if err != nil {
			return err
		}
	}
	return nil
}

// decision is the record of a decision, which differs by sequence and salt.
func decision(seq uint64, salt int) []byte {
	d := engine.Decision{Seq: engine.Seq(seq), Request: engine.Request{
		At: engine.Time(1_800_000_000_000_000 + 1000*seq), Principal: fmt.Sprintf("p-%d-%d", seq, salt), Command: &engine.OpenAccount{},
	}}
	return d.Append(nil)
}

func (m *memory) grow(n, salt int) *memory {
	for range n {
		p := decision(m.Next(), salt)
		m.mu.Lock()
		m.payloads = append(m.payloads, p)
		m.mu.Unlock()
	}
	return m
}

func records(n int) *memory { return new(memory).grow(n, 0) }

// The tree once more, as RFC 6962 defines it in 2.1, by recursion over lists and
// with nothing of the code that is tested.

func naiveLeaf(seq uint64, payload []byte) []byte {
	b := binary.BigEndian.AppendUint64([]byte{0}, seq)
	h := sha256.Sum256(append(b, payload...))
	return h[:]
}

func naiveNode(l, r []byte) []byte {
	h := sha256.Sum256(slices.Concat([]byte{1}, l, r))
	return h[:]
}

func split(n int) int {
	k := 1
	for 2*k < n {
		k *= 2
	}
	return k
}

func naiveRoot(leaves [][]byte) []byte {
	if len(leaves) == 1 {
		return leaves[0]
	}
	k := split(len(leaves))
	return naiveNode(naiveRoot(leaves[:k]), naiveRoot(leaves[k:]))
}

func naivePath(m int, leaves [][]byte) [][]byte {
	if len(leaves) == 1 {
		return nil
	}
	k := split(len(leaves))
	if m < k {
		return append(naivePath(m, leaves[:k]), naiveRoot(leaves[k:]))
	}
	return append(naivePath(m-k, leaves[k:]), naiveRoot(leaves[:k]))
}

func naiveProof(m int, leaves [][]byte, whole bool) [][]byte {
	switch n := len(leaves); {
	case m == n && whole:
		return nil
	case m == n:
		return [][]byte{naiveRoot(leaves)}
	case m <= split(n):
		k := split(n)
		return append(naiveProof(m, leaves[:k], whole), naiveRoot(leaves[k:]))
	default:
		k := split(n)
		return append(naiveProof(m-k, leaves[k:], false), naiveRoot(leaves[:k]))
	}
}

func flat(hashes []tlog.Hash) (out []byte) {
	for _, h := range hashes {
		out = append(out, h[:]...)
	}
	return out
}

func testKey(t testing.TB) *Key {
	t.Helper()
	secret, err := NewSecret()
	if err != nil {
		t.Fatal(err)
	}
	k, err := ParseKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// signedTree is a tree that has all of a log and has signed it.
func signedTree(t testing.TB, fs *faultfs.FS, log Records, key *Key) *Tree {
	t.Helper()
	x, err := New(Config{Dir: "audit", FS: fs, Log: log, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	x.Drain()
	if err := x.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	return x
}

// TestAgainstNaiveTree compares every root, inclusion and consistency proof of
// small trees with the definition.
func TestAgainstNaiveTree(t *testing.T) {
	const most = 130
	key := testKey(t)
	log, fs := &memory{}, faultfs.New()
	var leaves [][]byte
	for n := 1; n <= most; n++ {
		log.grow(1, 0)
		leaves = append(leaves, naiveLeaf(uint64(n), log.payloads[n-1]))
		x := signedTree(t, fs, log, key)
		c := x.Newest()
		if c.Size != uint64(n) || !bytes.Equal(c.Root[:], naiveRoot(leaves)) {
			t.Fatalf("%d records: size %d, root %s", n, c.Size, c.Root)
		}
		if at := engine.Time(1_800_000_000_000_000 + 1000*n); c.At != at {
			t.Fatalf("%d records: signed for %s, the last was decided at %s", n, c.At, at)
		}
		for m := 1; m <= n; m++ {
			p, err := x.Prove(uint64(m))
			if err != nil || !bytes.Equal(flat(p.Proof), slices.Concat(naivePath(m-1, leaves)...)) {
				t.Fatalf("record %d of %d: %v", m, n, err)
			}
			if _, err := p.Verify(key.Verifier()); err != nil {
				t.Fatalf("record %d of %d: %v", m, n, err)
			}
			g, err := x.Grow(uint64(m), 0)
			if err != nil || !bytes.Equal(flat(g.Proof), slices.Concat(naiveProof(m, leaves, true)...)) {
				t.Fatalf("from %d to %d: %v", m, n, err)
			}
		}
	}
	if _, err := Check(t.Context(), fs, "audit", key.Verifier(), given(log)); err != nil {
		t.Error(err)
	}
}

// TestStoredOrder: the file has the hashes where tlog looks for them.
func TestStoredOrder(t *testing.T) {
	var edge frontier
	var have, want []tlog.Hash
	for n := range int64(300) {
		data := append(binary.BigEndian.AppendUint64(nil, uint64(n)+1), byte(n))
		have = edge.add(LeafHash(uint64(n)+1, []byte{byte(n)}), have)
		more, err := tlog.StoredHashes(n, data, tlog.HashReaderFunc(func(at []int64) ([]tlog.Hash, error) {
			var out []tlog.Hash
			for _, i := range at {
				out = append(out, want[i])
			}
			return out, nil
		}))
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, more...)
	}
	if !slices.Equal(have, want) {
		t.Error("the hashes are stored in another order")
	}
}

// TestSameRecordsSameTree: neither the time of the batches nor the key's holder
// changes the root, so that every journal with these records has this tree.
func TestSameRecordsSameTree(t *testing.T) {
	one, two := records(77), records(77)
	two.at = func(seq uint64) int64 { return int64(seq * 31) }
	a := signedTree(t, faultfs.New(), one, testKey(t)).Newest()
	b := signedTree(t, faultfs.New(), two, testKey(t)).Newest()
	if a.Root != b.Root || a.At != b.At {
		t.Errorf("%+v, %+v", a, b)
	}
	two.payloads[40], two.payloads[41] = two.payloads[41], two.payloads[40]
	if c := signedTree(t, faultfs.New(), two, testKey(t)).Newest(); c.Root == a.Root {
		t.Error("two records were swapped, and the root is the same")
	}
}

// TestCheckpointsWhileItGrows: one each few seconds, none while nothing happens,
// the last at the end.
func TestCheckpointsWhileItGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, fs, reg := records(10), faultfs.New(), prometheus.NewRegistry()
		x, err := New(Config{Dir: "audit", FS: fs, Log: log, Key: testKey(t), Registerer: reg})
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error)
		go func() { done <- x.Run(t.Context()) }()
		wait := func(d time.Duration, size uint64, files int) {
			t.Helper()
			time.Sleep(d)
			synctest.Wait()
			if got := x.Newest().Size; got != size || len(x.folder.has()) != files {
				t.Errorf("signed %d in %d files, want %d in %d", got, len(x.folder.has()), size, files)
			}
		}
		wait(time.Second, 0, 0)
		if _, err := x.Prove(1); !errors.Is(err, ErrNotCovered) {
			t.Error(err)
		}
		wait(DefaultEvery, 10, 1)
		wait(time.Hour, 10, 1)
		log.grow(5, 0)
		wait(time.Second, 15, 2)
		log.grow(1, 0)
		x.Drain()
		if err := <-done; err != nil {
			t.Error(err)
		}
		wait(0, 16, 3)
	})
}

// TestOldCheckpointsThinOut: the files are bounded, and reach back to the first.
func TestOldCheckpointsThinOut(t *testing.T) {
	d, err := openFolder(faultfs.New(), "audit")
	if err != nil {
		t.Fatal(err)
	}
	const many = 5000
	for size := uint64(1); size <= many; size++ {
		if err := d.keep(Signed{Checkpoint{Size: size}, []byte("x")}); err != nil {
			t.Fatal(err)
		}
	}
	sizes := d.has()
	if len(sizes) >= maxCheckpoints || len(sizes) < maxCheckpoints/2 || sizes[0] != 1 || sizes[len(sizes)-1] != many {
		t.Errorf("%d checkpoints from %d to %d", len(sizes), sizes[0], sizes[len(sizes)-1])
	}
	again, err := openFolder(d.fs, "audit")
	if err != nil || !slices.Equal(again.has(), sizes) {
		t.Errorf("%v: the files are others than those that were kept", err)
	}
}

// TestResume: a whole tree is gone on with, a damaged one is made again, and one
// whose records are in the archive is asked for.
func TestResume(t *testing.T) {
	key, log, fs := testKey(t), records(1000), faultfs.New()
	signedTree(t, fs, log, key)
	log.grow(500, 0)
	want := signedTree(t, faultfs.New(), log, key).Newest()
	log.first = 1001 // the first part is not needed
	later := fs.Clone()
	if got := signedTree(t, later, log, key).Newest(); got.Root != want.Root {
		t.Errorf("gone on: %+v, want %+v", got.Checkpoint, want.Checkpoint)
	}
	stored := uint64(tlog.StoredHashCount(1500) - tlog.StoredHashCount(1000))
	report, err := Check(t.Context(), later, "audit", key.Verifier(), given(log))
	if want := (Report{Records: 500, Archived: 1000, Hashes: stored, Checkpoints: 1, Signed: 1500}); err != nil || report != want {
		t.Errorf("%+v, want %+v: %v", report, want, err)
	}
	for name, damage := range map[string]func([]byte) []byte{
		"zeros":  func(b []byte) []byte { return make([]byte, len(b)) },
		"torn":   func(b []byte) []byte { return b[:len(b)/2+5] },
		"absent": func([]byte) []byte { return nil },
	} {
		bad := fs.Clone()
		bad.SetBytes("audit/tree", damage(bad.Bytes("audit/tree")))
		log.first = 1
		if got := signedTree(t, bad.Clone(), log, key).Newest(); got.Root != want.Root {
			t.Errorf("%s: %+v, want %+v", name, got.Checkpoint, want.Checkpoint)
		}
		log.first = 1001
		x, err := New(Config{Dir: "audit", FS: bad, Log: log, Key: key})
		if err != nil {
			t.Fatal(err)
		}
		if err := x.Run(t.Context()); !errors.Is(err, journal.ErrArchived) {
			t.Errorf("%s, and archived: %v", name, err)
		}
	}
}

// TestCrashAnywhere stops the machine before each operation on the disk, in every
// way that a crash leaves it, and wants the next start to sign the same log.
func TestCrashAnywhere(t *testing.T) {
	key := testKey(t)
	run := func(fs *faultfs.FS, log *memory) {
		for range 4 {
			log.grow(37, 0)
			x, err := New(Config{Dir: "audit", FS: fs, Log: log, Key: key})
			if err != nil {
				t.Fatal(err)
			}
			x.Drain()
			if x.Run(context.Background()) != nil {
				return
			}
		}
	}
	whole := faultfs.New()
	run(whole, &memory{})
	for op := 1; op <= whole.Ops(); op++ {
		for _, keep := range faultfs.Keeps {
			for _, fault := range []faultfs.Fault{{Crash: true}, {Err: errors.New("no disk"), Short: 100}} {
				fs, log := faultfs.New(), &memory{}
				fs.SetPlan(func(o faultfs.Op) faultfs.Fault {
					if o.N == op {
						return fault
					}
					return faultfs.Fault{}
				})
				run(fs, log)
				fs.Restart(keep, uint64(op))
				x := signedTree(t, fs, log, key)
				var leaves [][]byte
				for i, p := range log.payloads {
					leaves = append(leaves, naiveLeaf(uint64(i)+1, p))
				}
				if c := x.Newest(); !bytes.Equal(c.Root[:], naiveRoot(leaves)) {
					t.Errorf("operation %d, keep %s: %d records have another root", op, keep, c.Size)
				}
				if _, err := Check(t.Context(), fs, "audit", key.Verifier(), given(log)); err != nil {
					t.Errorf("operation %d, keep %s: %v", op, keep, err)
				}
			}
		}
	}
}

// TestFailuresPass: while the disk is full nothing is signed, the metric says so,
// and it goes on by itself.
func TestFailuresPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, fs := records(10), faultfs.New()
		x, err := New(Config{Dir: "audit", FS: fs, Log: log, Key: testKey(t)})
		if err != nil {
			t.Fatal(err)
		}
		fs.SetPlan(func(o faultfs.Op) faultfs.Fault {
			if o.Kind == faultfs.Write {
				return faultfs.Fault{Err: errors.New("no space")}
			}
			return faultfs.Fault{}
		})
		done := make(chan error)
		go func() { done <- x.Run(t.Context()) }()
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if x.Newest().Size != 0 || testutil.ToFloat64(x.metrics.failed) != 1 {
			t.Errorf("signed %d, failed %v", x.Newest().Size, testutil.ToFloat64(x.metrics.failed))
		}
		fs.SetPlan(nil)
		time.Sleep(lastRetry + DefaultEvery + time.Second)
		synctest.Wait()
		if x.Newest().Size != 10 || testutil.ToFloat64(x.metrics.failed) != 0 {
			t.Errorf("signed %d, failed %v", x.Newest().Size, testutil.ToFloat64(x.metrics.failed))
		}
		x.Drain()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestCloseUnderWay: an immediate end closes everything under a tree that runs.
func TestCloseUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := records(10)
		x, err := New(Config{Dir: "audit", FS: faultfs.New(), Log: log, Key: testKey(t)})
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error)
		go func() { done <- x.Run(t.Context()) }()
		time.Sleep(time.Second)
		synctest.Wait()
		if err := x.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Errorf("at the next checkpoint: %v", err)
		}
		if err := x.Run(t.Context()); err != nil || x.Newest().Size != 0 {
			t.Errorf("run again: %v, signed %d", err, x.Newest().Size)
		}
		if _, err := x.Grow(1, 1); !errors.Is(err, ErrNotCovered) {
			t.Error(err)
		}
	})
}

// TestMetrics: a tree that does not run falls behind, and shows it.
func TestMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, reg := records(10), prometheus.NewRegistry()
		x, err := New(Config{Dir: "audit", FS: faultfs.New(), Log: log, Key: testKey(t), Registerer: reg})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(7 * time.Second)
		values := func() map[string]float64 {
			families, err := reg.Gather()
			if err != nil {
				t.Fatal(err)
			}
			out := map[string]float64{}
			for _, f := range families {
				m := f.GetMetric()[0]
				out[f.GetName()] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
			delete(out, "mbp_audit_seconds_total") // of the bubble's clock, which stands still
			return out
		}
		want := map[string]float64{"mbp_audit_failed": 0, "mbp_audit_records": 0, "mbp_audit_signed_records": 0, "mbp_audit_lag_records": 10, "mbp_audit_lag_seconds": 7}
		if got := values(); !maps.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
		x.Drain()
		if err := x.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		want = map[string]float64{"mbp_audit_failed": 0, "mbp_audit_records": 10, "mbp_audit_signed_records": 10, "mbp_audit_lag_records": 0, "mbp_audit_lag_seconds": 0}
		if got := values(); !maps.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	})
}
