package main

import (
	"context"
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mbp-market/mbp/cmd/mbp/notary"
	"github.com/mbp-market/mbp/engine/audit"
	"github.com/mbp-market/mbp/engine/httpapi"
	"github.com/mbp-market/mbp/engine/journal/file"
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
	p.journal, err = file.Open(file.Config{Dir: notary.Journal(p.cfg.Data), Archive: p.cfg.Archive, Holds: holds, Logger: p.log})
	if err != nil {
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
		return errors.Join(notary.Explain(err, p.cfg.Data, holds), p.journal.Close())
	}
	if !p.cfg.Audit {
		return tree.Close()
	}
	p.tree = tree
	p.log.Info("audit tree", "verifier", key.Verifier().String(), "signed", tree.Newest().Size)
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
