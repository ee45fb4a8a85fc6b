// Package hub hands what decisions tell to any number of live streams.
//
// It promises: every stream that has joined gets every frame, in order, each once;
// who joins after a decision that is remembered misses nothing; memory that is
// bounded in frames and in bytes. It refuses to wait for a stream: one that does
// not take what it gets is ended. It makes no sockets and no goroutines.
//
// A stream is what the WHATWG standard on server-sent events calls an event source,
// seen from its end.
package hub

import (
	"context"
	"errors"
	"sync"

	"github.com/mbp-market/mbp/engine"
)

const (
	// Remembered is how many decisions a client may have missed and still resume
	// without a snapshot: half a minute at the rate of the release gate.
	Remembered = 4096
	// ringBytes bounds the same where quotes are long: some 700 of 64 outcomes.
	ringBytes = 8 << 20
	// Buffer is how many decisions a client may be behind before it counts
	// as too slow: two seconds at that rate.
	Buffer = 256
	// gather is how many waiting frames go out in one write.
	gather = 64
)

// The errors of Enter. Each says what the caller has to do.
var (
	// ErrClosed: no stream is taken any more; go elsewhere.
	ErrClosed = errors.New("the hub is closed")
	// ErrStarting: no frames come yet; try again.
	ErrStarting = errors.New("the hub has not begun")
	// ErrFull: as many streams are open as may be, in all or of this owner.
	ErrFull = errors.New("too many streams are open")
)

// Frame is what one decision tells the streams, encoded once for all of them.
// Nobody changes it.
type Frame struct {
	Seq   engine.Seq
	Text  []byte // none: the decision tells nothing
	Beat  bool   // a heartbeat
	Again bool   // quotes that were held back: whoever has the decision may not have these
}

// Stream is an open one. It gets frames once it has joined.
type Stream struct {
	owner  engine.Digest
	frames chan *Frame // closed by the hub, at its end or because the client is slow
}

// Next waits for frames and takes what is there, at most gather of them.
// It returns false when ctx or the stream has ended.
func (s *Stream) Next(ctx context.Context, into []*Frame) ([]*Frame, bool) {
	select {
	case <-ctx.Done():
		return nil, false
	case f, open := <-s.frames:
		if !open {
			return nil, false
		}
		into = append(into, f)
	}
	for len(into) < gather {
		select {
		case f, open := <-s.frames:
			if !open {
				return into, true // what was taken goes out first
			}
			into = append(into, f)
		default:
			return into, true
		}
	}
	return into, true
}

// Hub hands every frame to every stream. It is safe for concurrent use.
type Hub struct {
	most, mostOfOne int

	mu     sync.Mutex
	subs   map[*Stream]bool // true: it has joined
	owners map[engine.Digest]int
	ring   []*Frame   // the last frames with text, the oldest first
	bytes  int        // of their text
	since  engine.Seq // the ring holds everything after this decision
	pos    engine.Seq // last decision handed out
	ready  engine.Seq // streams are taken once it is handed out
	begun  bool
	closed bool
}

// New makes a hub for so many streams in all and of one owner. Begin it.
func New(most, mostOfOne int) *Hub {
	return &Hub{most: most, mostOfOne: mostOfOne, subs: map[*Stream]bool{}, owners: map[engine.Digest]int{}}
}

// Begin says that frames will come of every decision after one, and that streams are
// taken from another one on: what lies between was told before this process began, and
// is remembered for who comes back.
func (h *Hub) Begin(after, ready engine.Seq) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.since, h.pos, h.ready, h.begun = after, after, ready, true
}

// Broadcast hands out a frame. A decision that tells nothing has no text.
func (h *Hub) Broadcast(f Frame) (dropped int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pos = max(h.pos, f.Seq)
	if len(f.Text) == 0 {
		return 0
	}
	if !f.Beat {
		h.remember(&f)
	}
	for s, joined := range h.subs {
		if !joined {
			continue
		}
		select {
		case s.frames <- &f:
		default:
			h.remove(s)
			dropped++
		}
	}
	return dropped
}

func (h *Hub) remember(f *Frame) {
	h.ring = append(h.ring, f)
	h.bytes += len(f.Text)
	old := 0
	for ; len(h.ring)-old > Remembered || h.bytes > ringBytes; old++ {
		if h.since = h.ring[old].Seq; h.ring[old].Again {
			h.since++ // who has that decision may have missed these quotes
		}
		h.bytes -= len(h.ring[old].Text)
		h.ring[old] = nil // its text goes before its place
	}
	h.ring = h.ring[old:] // append makes room anew when its end is reached
}

// Position returns the last decision handed out.
func (h *Hub) Position() engine.Seq {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.pos
}

// Enter takes a place for a stream, which gets nothing yet.
func (h *Hub) Enter(owner engine.Digest) (*Stream, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed:
		return nil, ErrClosed
	case !h.begun || h.pos < h.ready:
		return nil, ErrStarting
	case len(h.subs) >= h.most || h.owners[owner] >= h.mostOfOne:
		return nil, ErrFull
	}
	s := &Stream{owner: owner, frames: make(chan *Frame, Buffer)}
	h.subs[s] = false
	h.owners[owner]++
	return s, nil
}

// Join lets a stream get every frame after a decision: what it has missed at once,
// the rest as it comes. It returns false if what was missed is remembered no more.
// A stream that has ended meanwhile misses nothing.
func (h *Hub) Join(s *Stream, after engine.Seq) (missed []*Frame, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, open := h.subs[s]; !open {
		return nil, true
	}
	if after < h.since {
		return nil, false
	}
	h.subs[s] = true
	for _, f := range h.ring {
		if f.Seq > after || f.Again && f.Seq == after {
			missed = append(missed, f)
		}
	}
	return missed, true
}

// Remembers reports whether a stream could join after a decision.
func (h *Hub) Remembers(after engine.Seq) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return after >= h.since
}

// remove ends a stream; the caller holds mu.
func (h *Hub) remove(s *Stream) {
	if _, open := h.subs[s]; !open {
		return
	}
	delete(h.subs, s)
	if h.owners[s.owner]--; h.owners[s.owner] == 0 {
		delete(h.owners, s.owner)
	}
	close(s.frames)
}

// Leave ends a stream from its own side.
func (h *Hub) Leave(s *Stream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.remove(s)
}

// Close ends every stream and takes no new one.
func (h *Hub) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for s := range h.subs {
		h.remove(s)
	}
}
