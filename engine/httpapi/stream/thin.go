package stream

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/httpapi/hub"
	"github.com/mbp-market/mbp/engine/httpapi/news"
)

// quotesPerFrame bounds a frame of held quotes to some hundred KiB, where markets
// have the most outcomes.
const quotesPerFrame = 32

// thinner holds back quotes while the mode asks for it. A quote tells where a
// market stands, so the last one makes those before it redundant; trades and
// states are never held back.
type thinner struct {
	mu   sync.Mutex                // held while frames go out, so that they go in order
	held map[engine.MarketID]since // at most as many as there are markets
	wake chan time.Duration        // has room for one: quotes are held, for so long
}

// since is the last decision that moved a market whose quote is held back.
type since struct {
	seq engine.Seq
	at  engine.Time
}

func newThinner() thinner {
	return thinner{held: map[engine.MarketID]since{}, wake: make(chan time.Duration, 1)}
}

// thin takes from a decision's news the quotes that are held back; where nothing
// is, what was held goes out before it. The caller holds thinner.mu.
func (s *Server) thin(d *engine.Decision, n *news.News) {
	t := &s.thinner
	var mode engine.Mode
	var interval int64 // µs
	s.src.View(func(st *core.State) { mode, interval = st.Mode(), st.Policy().Degrade.PushInterval })
	if !mode.Thins() || interval == 0 {
		for _, id := range n.Quotes {
			delete(t.held, id)
		}
		s.flush()
		return
	}
	if len(t.held) == 0 && len(n.Quotes) != 0 {
		select {
		case t.wake <- time.Duration(interval) * time.Microsecond:
		default: // it will wake
		}
	}
	for _, id := range n.Quotes {
		t.held[id] = since{d.Seq, d.At}
	}
	s.metrics.Held.Add(float64(len(n.Quotes)))
	n.Quotes = nil
}

// release sends what is held back when its time comes.
func (s *Server) release(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case wait := <-s.thinner.wake:
			timer.Reset(wait)
		}
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		s.thinner.mu.Lock()
		s.flush()
		s.thinner.mu.Unlock()
	}
}

// flush sends the quotes that are held, as of the last decision handed out. The
// caller holds thinner.mu.
func (s *Server) flush() {
	if len(s.thinner.held) == 0 {
		return
	}
	ids := slices.Sorted(maps.Keys(s.thinner.held))
	at := s.hub.Position()
	for chunk := range slices.Chunk(ids, quotesPerFrame) {
		f := hub.Frame{Seq: at, Again: true}
		for _, id := range chunk {
			was := s.thinner.held[id]
			q := s.quoteOf(id, was.seq, was.at)
			f.Text = news.Append(f.Text, at, id == ids[len(ids)-1], q)
			f.Markets = append(f.Markets, hub.Part{Market: id, Text: news.Append(nil, at, true, q)})
		}
		s.broadcast(f)
	}
	clear(s.thinner.held)
}
