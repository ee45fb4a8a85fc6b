package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mbp-market/mbp/cmd/mbp/notary"
	"github.com/mbp-market/mbp/engine/audit"
	"github.com/mbp-market/mbp/engine/httpapi"
	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/journal/file"
	"github.com/mbp-market/mbp/engine/journal/postgres"
)

// openJournal opens the journal and, before anything is decided on it, compares
// its end with the newest checkpoint. That is done without the audit tree, too:
// who turns it off keeps what was signed.
func (p *platform) openJournal(metrics *prometheus.Registry) (err error) {
	key, err := notary.Open(p.cfg.Data, p.cfg.Audit)
	if err != nil {
		return err
	}
	holds, err := notary.Holds(p.cfg.Data, key)
	if err != nil {
		return err
	}
	if err := p.openLog(metrics, holds); err != nil {
		return notary.Explain(err, p.cfg.Data, holds)
	}
	if key == nil {
		return nil
	}
	cfg := audit.Config{Dir: notary.Dir(p.cfg.Data), Log: p.journal, Key: key, Every: p.cfg.AuditEvery, Logger: p.log}
	if p.cfg.Audit {
		cfg.Registerer = metrics
	}
	tree, err := audit.New(cfg)
	if err != nil {
		p.close()
		return notary.Explain(err, p.cfg.Data, holds)
	}
	if !p.cfg.Audit {
		return tree.Close()
	}
	p.tree = tree
	p.log.Info("audit tree", "verifier", key.Verifier().String(), "signed", tree.Newest().Size)
	return nil
}

// openLog opens the journal, of which holds records are known to be durable. The
// embedded one locks its folder; with the other the data folder is locked, because
// lake and audit tree in it are this process's own.
func (p *platform) openLog(metrics *prometheus.Registry, holds uint64) error {
	if p.cfg.Journal == "" {
		log, err := file.Open(file.Config{Dir: notary.Journal(p.cfg.Data), Archive: p.cfg.Archive, Holds: holds, Logger: p.log})
		if err != nil {
			return err
		}
		p.journal, p.files = log, log
		return postgres.Alone(metrics)
	}
	lock, err := file.OS{}.Lock(filepath.Join(p.cfg.Data, "LOCK"))
	if err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	log, err := postgres.Follow(postgres.Config{URL: string(p.cfg.Journal), Lease: p.cfg.JournalLease, Registerer: metrics, Logger: p.log})
	if err == nil && log.Next() <= holds {
		err = errors.Join(&journal.CorruptError{
			Place: p.cfg.Journal.String(), Seq: log.Next(), Reason: fmt.Sprintf("%d records were signed", holds),
		}, log.Close())
	}
	if err != nil {
		return errors.Join(err, lock.Close())
	}
	p.journal, p.lock = log, lock
	return nil
}

// proofs is the tree as the edge wants it: nil if there is none.
func (p *platform) proofs() httpapi.Audit {
	if p.tree == nil {
		return nil
	}
	return p.tree
}

// runAudit keeps the tree. When that ends with an error the platform goes on
// deciding, because what is in the journal is safe: mbp_audit_failed says so, and
// the alert AuditTreeBehind.
func (p *platform) runAudit(life context.Context) {
	if err := p.tree.Run(life); err != nil {
		p.log.Error("the audit tree has stopped", "err", notary.Explain(err, p.cfg.Data, p.tree.Newest().Size))
	}
}
