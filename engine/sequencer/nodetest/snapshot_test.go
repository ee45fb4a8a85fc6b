package nodetest_test

import (
	"log/slog"
	"sync/atomic"
	"testing"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/catchup"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/sequencer"
	"github.com/mbp-market/mbp/engine/sequencer/nodetest"
	"github.com/mbp-market/mbp/engine/snapshot"
)

// snapshotEvery is how many decisions lie between two snapshots at least: a run makes
// some hundred, in a dozen lives.
const snapshotEvery = 10

// startFromSnapshot starts a node as mbp serve does, from the newest snapshot on its
// disk that is whole and the records after it. Between two lives somebody writes
// another one, as mbp snapshot does; a fault of the disk meanwhile ends the start.
func startFromSnapshot(begun, written *atomic.Int64) func(nodetest.Place) (nodetest.Node, error) {
	return func(p nodetest.Place) (nodetest.Node, error) {
		store, err := snapshot.OpenStore(p.Disk, "snapshots")
		if err != nil {
			return nil, err
		}
		last := engine.Seq(p.Config.Log.Next() - 1)
		quiet := slog.New(slog.DiscardHandler)
		state, was, err := store.Newest(last, quiet)
		if err != nil {
			return nil, err
		}
		if last >= was.Seq+snapshotEvery {
			if state == nil {
				state = core.New()
			}
			if _, err := catchup.Fold(p.Config.Log, state, uint64(last), nil); err != nil {
				return nil, err
			}
			if _, err := store.Write(state); err != nil {
				return nil, err
			}
			written.Add(1)
		}
		if was.Seq > 0 { // the one before, so that there are records after it
			if p.Config.Start, _, err = store.Load(was); err != nil {
				return nil, err
			}
			begun.Add(1)
		}
		return sequencer.New(p.Config)
	}
}

// TestSeedsFromSnapshots plays runs in which every life but the first ones begins with
// a snapshot: nothing that was answered or shown is another, and no snapshot is ever of
// more than the journal has. It plays a fifth of the seeds that -seeds says.
func TestSeedsFromSnapshots(t *testing.T) {
	n := (*seeds + 4) / 5 // each starts more than it runs
	if testing.Short() {
		n = min(n, 5)
	}
	var begun, written atomic.Int64
	bad := 0
	sweep(t, *first, n, nodetest.Config{Start: startFromSnapshot(&begun, &written)}, func(r *nodetest.Report) bool {
		if len(r.Faults) > 0 {
			bad++
			t.Errorf("seed %d breaks a promise; play it again with\n  go test -run TestSeedsFromSnapshots ./engine/sequencer/nodetest -first %d -seeds 1\n%s", r.Seed, r.Seed, r)
		}
		return bad < 3
	})
	t.Logf("%d seeds: %d lives began with a snapshot, %d were written", n, begun.Load(), written.Load())
	if n < 5 { // too few to say anything of all
		return
	}
	if int(begun.Load()) < n || int(written.Load()) < n/2 {
		t.Errorf("only %d lives began with a snapshot, and %d were written: the runs test nothing", begun.Load(), written.Load())
	}
}
