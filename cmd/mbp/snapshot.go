package main

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mbp-market/mbp/cmd/mbp/backup"
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/journal/file"
	"github.com/mbp-market/mbp/engine/snapshot"
)

// startStates returns the state of the newest snapshot twice, nil without one. It is
// used where none are written, too.
func (p *platform) startStates() (a, b *core.State, err error) {
	store, err := snapshot.OpenStore(file.OS{}, backup.Snapshots(p.cfg.Data))
	if err != nil {
		return nil, nil, err
	}
	p.snapshots = store
	if p.snapshot == nil && p.cfg.SnapshotEvery != 0 {
		p.snapshot = p.oldestCovers
	}
	a, b, i, err := store.Twins(engine.Seq(p.journal.Next()-1), p.log)
	if errors.Is(err, snapshot.ErrAhead) {
		return nil, nil, fmt.Errorf("%w\nbring the journal back from a copy, or move %s aside if its snapshots belong to another journal", err, backup.Snapshots(p.cfg.Data))
	}
	if err == nil && a != nil {
		p.log.Info("snapshot loaded", "seq", uint64(i.Seq), "hash", i.Hash.String())
	}
	return a, b, err
}

// oldestCovers is the sequence after the last decision that every snapshot which is
// kept covers: a start needs nothing before it. 0: there is none yet.
func (p *platform) oldestCovers() uint64 {
	all, err := p.snapshots.List()
	if err != nil || len(all) < snapshot.Keep {
		return 0 // one alone may be damaged
	}
	return uint64(all[len(all)-1].Seq) + 1
}

// snapshotUpTo returns the state of the newest snapshot that covers nothing after a
// decision, nil if there is none: the lake begins with it where the journal begins
// later than with the first decision.
func (p *platform) snapshotUpTo(last engine.Seq) (*core.State, error) {
	all, err := p.snapshots.List()
	if err != nil {
		return nil, err
	}
	for _, i := range all {
		if i.Seq > last {
			continue
		}
		state, _, err := p.snapshots.Load(i)
		var damaged *snapshot.DamagedError
		if !errors.As(err, &damaged) {
			return state, err
		}
		p.log.Warn("a snapshot is of no use to the lake", "snapshot", i.Name(), "err", damaged.Reason)
	}
	return nil, nil
}

// follow makes the follower that writes snapshots; none if they are turned off.
func (p *platform) follow(metrics *prometheus.Registry) (err error) {
	if p.cfg.SnapshotEvery == 0 {
		return snapshot.Off(metrics)
	}
	p.follower, err = snapshot.NewFollower(snapshot.Config{
		Log: p.journal, Store: p.snapshots, Every: p.cfg.SnapshotEvery, Prints: p.seq.Prints, Registerer: metrics, Logger: p.log,
	})
	return err
}

// compare holds the state that the writer ended with against that of the follower,
// which folded the journal. Both have ended.
func (p *platform) compare() error {
	seq, hash, ended := p.seq.Ended()
	if p.follower == nil || !ended {
		return nil
	}
	return p.follower.Compare(seq, hash)
}
