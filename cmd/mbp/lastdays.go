package main

import (
	"path/filepath"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/httpapi/lastday"
)

// lastDaysFile is in the data folder and holds on which day each key was last used.
const lastDaysFile = "key.days"

// openLastDays makes what remembers when keys were last used.
func (p *platform) openLastDays() *lastday.Days {
	p.days = lastday.Open(lastday.Config{
		File: filepath.Join(p.cfg.Data, lastDaysFile), Now: time.Now, Logger: p.log,
		Revoked: func(key engine.Digest) (gone bool) {
			p.seq.View(func(s *core.State) { gone = s.Revoked(key) })
			return gone
		},
	})
	return p.days
}
