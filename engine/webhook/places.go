package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/mbp-market/mbp/engine"
)

// placesFile is where the places are, in the folder.
const placesFile = "places.json"

// maxPlaces bounds that file in bytes; one place has some fifty.
const maxPlaces = 64 << 10

// place is where an endpoint is.
type place struct {
	After  engine.Seq `json:"after_seq"`  // it has everything up to this decision
	Placed engine.Seq `json:"placed_seq"` // what the journal said of it when this began
}

// places are those of all endpoints, in memory and, a little later, in a file.
//
// The crash story: the file is replaced whole, once a second while something moves. A
// crash leaves the one before, and what was delivered since is delivered again. A file
// that is lost or torn leaves what the journal says, which is minutes older. The file
// never is ahead of what was delivered.
type places struct {
	name string
	log  *slog.Logger

	mu    sync.Mutex
	of_   map[engine.WebhookID]place
	moved bool // since it was written
}

// openPlaces makes the folder and reads the file, if there is one that can be read.
func openPlaces(dir string, log *slog.Logger) (*places, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	p := &places{name: filepath.Join(dir, placesFile), log: log, of_: map[engine.WebhookID]place{}}
	f, err := os.Open(p.name)
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	b, err := io.ReadAll(io.LimitReader(f, maxPlaces+1))
	if err == nil {
		err = json.Unmarshal(b, &p.of_)
	}
	if err != nil {
		log.Warn("the places of webhooks cannot be read; something is sent again", "err", err)
		p.of_ = map[engine.WebhookID]place{}
	}
	return p, nil
}

// of returns where an endpoint is: what this folder knows, unless the journal has
// placed it since, or ends before: then it is another one, restored from a backup.
func (p *places) of(w *engine.Webhook, end engine.Seq) engine.Seq {
	p.mu.Lock()
	defer p.mu.Unlock()
	if own, known := p.of_[w.ID]; known && own.Placed >= w.Placed && own.After <= end {
		return own.After
	}
	p.of_[w.ID] = place{After: w.After, Placed: w.Placed}
	return w.After
}

// placed returns the decision by which an endpoint was placed where it is.
func (p *places) placed(id engine.WebhookID) engine.Seq {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.of_[id].Placed
}

// after returns up to where an endpoint has everything.
func (p *places) after(id engine.WebhookID) engine.Seq {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.of_[id].After
}

func (p *places) move(id engine.WebhookID, to place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.of_[id], p.moved = to, true
}

// keep forgets the endpoints that are no more.
func (p *places) keep(now []engine.Webhook) {
	p.mu.Lock()
	defer p.mu.Unlock()
	left := make(map[engine.WebhookID]place, len(now))
	for i := range now {
		if at, known := p.of_[now[i].ID]; known {
			left[now[i].ID] = at
		}
	}
	p.moved = p.moved || len(left) != len(p.of_)
	p.of_ = left
}

// run writes the file now and then.
func (p *places) run(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	told := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := p.save()
		if err != nil && told != err.Error() {
			p.log.Warn("the places of webhooks are not saved", "err", err)
		}
		told = fmt.Sprint(err)
	}
}

// save replaces the file, if something has moved.
func (p *places) save() error {
	p.mu.Lock()
	moved := p.moved
	p.moved = false
	b, err := json.Marshal(p.of_)
	p.mu.Unlock()
	if !moved || err != nil {
		return err
	}
	if err := replace(p.name, b); err != nil {
		p.mu.Lock()
		p.moved = true
		p.mu.Unlock()
		return err
	}
	return nil
}

// replace makes a file hold something else, whole or not at all.
func replace(name string, b []byte) error {
	next := name + ".new"
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(next, name)
	}
	return err
}
