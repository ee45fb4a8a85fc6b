package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/mbp-market/mbp/cmd/mbp/certs"
)

// openTLS reads the certificate, if there is one, and shows how it stands.
func (p *platform) openTLS(metrics prometheus.Registerer) (err error) {
	if p.cfg.TLSCert != "" {
		if p.pair, err = certs.Open(p.cfg.TLSCert, p.cfg.TLSKey, p.log, nil); err != nil {
			return err
		}
		p.server.TLSConfig = p.pair.Config()
	}
	return p.pair.Register(metrics)
}

// watchTLS reads the certificate anew when it changes, and at once on SIGHUP. In plain
// HTTP that signal ends the process, as it always does.
func (p *platform) watchTLS(life context.Context, g *errgroup.Group) {
	if p.pair == nil {
		return
	}
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	g.Go(func() error {
		defer signal.Stop(hangup)
		p.pair.Run(life, hangup)
		return nil
	})
}
