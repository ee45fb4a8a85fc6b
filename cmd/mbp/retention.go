package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mbp-market/mbp/cmd/mbp/retain"
)

// keepJournal makes what releases segments of the journal, if there is an archive
// for them. Everybody who reads the journal from where they are is named here; who
// reads all of it, at a start, reads on in the archive.
func (p *platform) keepJournal(metrics prometheus.Registerer) (err error) {
	if p.cfg.Archive == "" {
		return retain.Off(metrics)
	}
	readers := []retain.Reader{{Name: "lake", Needs: func() uint64 { return uint64(p.pipeline.Position()) + 1 }}}
	if p.tree != nil {
		readers = append(readers, retain.Reader{Name: "audit", Needs: func() uint64 { return p.tree.Newest().Size + 1 }})
	}
	if p.snapshot == nil {
		p.log.Warn("nothing of the journal is released, because there are no snapshots to start from", "archive", p.cfg.Archive)
	}
	p.keeper, err = retain.New(retain.Config{
		Log: p.files, Snapshot: p.snapshot, Readers: readers, Keep: p.cfg.ArchiveAfter, Registerer: metrics, Logger: p.log,
	})
	return err
}
