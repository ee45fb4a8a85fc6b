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

// startState returns the state of the newest snapshot, nil without one. It is used
// where none are written, too.
func (p *platform) startState() (*core.State, error) {
	store, err := snapshot.OpenStore(file.OS{}, backup.Snapshots(p.cfg.Data))
	if err != nil {
		return nil, err
	}
	p.snapshots = store
	state, i, err := store.Newest(engine.Seq(p.journal.Next()-1), p.log)
	if errors.Is(err, snapshot.ErrAhead) {
		return nil, fmt.Errorf("%w\nbring the journal back from a copy, or move %s aside if its snapshots belong to another journal", err, backup.Snapshots(p.cfg.Data))
	}
	if err == nil && state != nil {
		p.log.Info("snapshot loaded", "seq", uint64(i.Seq), "hash", i.Hash.String())
	}
	return state, err
}

// follow makes the follower that writes snapshots; none if they are turned off.
func (p *platform) follow(metrics *prometheus.Registry) (err error) {
	if p.cfg.SnapshotEvery == 0 {
		return nil
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
