package httpapi

import (
	"sync"

	"github.com/mbp-market/mbp/engine"
)

const (
	// ringFrames is how many decisions a client may have missed and still resume
	// without a snapshot: half a minute at the rate of the release gate.
	ringFrames = 4096
	// ringBytes bounds the same where quotes are long: some 700 of 64 outcomes.
	ringBytes = 8 << 20
	// streamBuffer is how many decisions a client may be behind before it counts
	// as too slow: two seconds at that rate.
	streamBuffer = 256
)

// frame is what one decision tells the streams, encoded once for all of them.
type frame struct {
	seq  engine.Seq
	text []byte
	beat bool // a heartbeat
}

// subscriber is one open stream. It gets frames once it has joined.
type subscriber struct {
	owner  engine.Digest
	frames chan frame // closed by the hub, at shutdown or because the client is slow
}

// hub hands every frame to every stream, in order, and never waits for one.
type hub struct {
	most, mostOfOne int

	mu     sync.Mutex
	subs   map[*subscriber]bool // true: it has joined
	owners map[engine.Digest]int
	ring   []frame    // the last frames with text, the oldest first
	bytes  int        // of their text
	since  engine.Seq // the ring holds everything after this decision
	pos    engine.Seq // last decision handed out
	begun  bool
	closed bool
}

func newHub(most, mostOfOne int) *hub {
	return &hub{most: most, mostOfOne: mostOfOne, subs: map[*subscriber]bool{}, owners: map[engine.Digest]int{}}
}

// begin sets the place from which on frames will come.
func (h *hub) begin(at engine.Seq) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.since, h.pos, h.begun = at, at, true
}

// broadcast hands out a frame. A decision that tells nothing has no text.
func (h *hub) broadcast(f frame) (dropped int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pos = max(h.pos, f.seq)
	if len(f.text) == 0 {
		return 0
	}
	if !f.beat {
		h.remember(f)
	}
	for s, joined := range h.subs {
		if !joined {
			continue
		}
		select {
		case s.frames <- f:
		default:
			h.remove(s)
			dropped++
		}
	}
	return dropped
}

func (h *hub) remember(f frame) {
	h.ring = append(h.ring, f)
	h.bytes += len(f.text)
	old := 0
	for ; len(h.ring)-old > ringFrames || h.bytes > ringBytes; old++ {
		h.since = h.ring[old].seq
		h.bytes -= len(h.ring[old].text)
		h.ring[old] = frame{} // its text goes before its place
	}
	h.ring = h.ring[old:] // append makes room anew when its end is reached
}

// position returns the last decision handed out.
func (h *hub) position() engine.Seq {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.pos
}

// enter takes a place for a stream, which gets nothing yet.
func (h *hub) enter(owner engine.Digest) (*subscriber, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed:
		return nil, &refusal{code: codeNotLeader, detail: "the server is shutting down"}
	case !h.begun:
		return nil, &refusal{code: codeNotLeader, detail: "the server is starting", retryAfter: heartbeatEvery}
	case len(h.subs) >= h.most || h.owners[owner] >= h.mostOfOne:
		return nil, &refusal{code: codeStreams, detail: "close a stream of this API key, or come later"}
	}
	s := &subscriber{owner: owner, frames: make(chan frame, streamBuffer)}
	h.subs[s] = false
	h.owners[owner]++
	return s, nil
}

// join lets a stream get every frame after a decision: what it has missed at once,
// the rest as it comes. It returns false if what was missed is remembered no more.
// A stream that has ended meanwhile misses nothing.
func (h *hub) join(s *subscriber, after engine.Seq) (missed []frame, ok bool) {
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
		if f.seq > after {
			missed = append(missed, f)
		}
	}
	return missed, true
}

// remembers reports whether a stream could join after a decision.
func (h *hub) remembers(after engine.Seq) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return after >= h.since
}

// remove ends a stream; the caller holds mu.
func (h *hub) remove(s *subscriber) {
	if _, open := h.subs[s]; !open {
		return
	}
	delete(h.subs, s)
	if h.owners[s.owner]--; h.owners[s.owner] == 0 {
		delete(h.owners, s.owner)
	}
	close(s.frames)
}

// leave ends a stream from its own side.
func (h *hub) leave(s *subscriber) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.remove(s)
}

// close ends every stream and takes no new one.
func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for s := range h.subs {
		h.remove(s)
	}
}
