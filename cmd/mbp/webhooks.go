package main

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mbp-market/mbp/cmd/mbp/machine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/webhook"
)

// In the data folder: the secret that the secrets of webhooks follow from, and how far
// each endpoint is.
const (
	webhookKeyFile = "webhook.key"
	webhookFolder  = "webhooks"
)

// networks reads a list of networks with commas between them.
func networks(text string) (out []netip.Prefix, err error) {
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		p, err := netip.ParsePrefix(part)
		if err != nil || p != p.Masked() {
			return nil, fmt.Errorf("%q is no network such as 10.1.0.0/16", part)
		}
		out = append(out, p)
	}
	return out, nil
}

// openWebhooks makes what delivers to endpoints. Without the key it delivers nothing,
// says so, and the market goes on: servers that share a journal share the key, and none
// of them makes one, as none does where endpoints know secrets that followed from it.
func (p *platform) openWebhooks(metrics prometheus.Registerer) error {
	known := 0
	p.seq.View(func(s *core.State) { known = len(s.Webhooks()) })
	key, err := machine.Secret(filepath.Join(p.cfg.Data, webhookKeyFile), p.cfg.Journal == "" && known == 0)
	switch {
	case errors.Is(err, machine.ErrNoSecret) && known == 0:
		p.log.Info("there are no webhooks without their key", "err", err)
	case errors.Is(err, machine.ErrNoSecret):
		p.log.Error("webhooks are told nothing: restore their key from the backup, or copy it from the other server, and start again", "err", err)
	case err != nil:
		return fmt.Errorf("the key of webhooks: %w", err)
	}
	also, err := networks(p.cfg.HookNetworks)
	if err != nil {
		return err
	}
	p.webhooks, err = webhook.New(webhook.Config{
		Writer: p.seq, Dir: filepath.Join(p.cfg.Data, webhookFolder), Key: key, Networks: also, Registerer: metrics, Logger: p.log,
	})
	return err
}
