package httpapi

import (
	"sync"

	"github.com/mbp-market/mbp/engine"
)

const (
	// ringFrames is how many decisions a client may have missed and still resume
	// without a snapshot: half a minute at the rate of the release gate.
	ringFrames = 4096
	// streamBuffer is how many decisions a client may be behind before it counts
	// as too slow: two seconds at that rate.
	streamBuffer = 256
)

// frame is what one decision tells the streams, encoded once for all of them.
type frame struct {
	seq   engine.Seq
	text  []byte
	beat  bool // a heartbeat
	again bool // quotes that were held back: whoever has the decision may not have these
}

// subscriber is one open stream.
type subscriber struct {
	owner  engine.Digest
	frames chan frame // closed by the hub, at shutdown or because the client is slow
}

// hub hands every frame to every stream, in order, and never waits for one.
type hub struct {
	most, mostOfOne int

	mu     sync.Mutex
	subs   map[*subscriber]bool
	owners map[engine.Digest]int
	ring   []frame    // the last frames with text; ring[(start+i)%len] is the i-th
	start  int        // index of the oldest
	since  engine.Seq // the ring holds everything after this decision
	pos    engine.Seq // last decision handed out
	closed bool
}

func newHub(most, mostOfOne int) *hub {
	return &hub{most: most, mostOfOne: mostOfOne, subs: map[*subscriber]bool{}, owners: map[engine.Digest]int{}, ring: make([]frame, 0, ringFrames)}
}

// begin sets the place from which on frames will come.
func (h *hub) begin(at engine.Seq) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.since, h.pos = at, at
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
	for s := range h.subs {
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
	if len(h.ring) < cap(h.ring) {
		h.ring = append(h.ring, f)
		return
	}
	if h.since = h.ring[h.start].seq; h.ring[h.start].again {
		h.since++ // who has that decision may have missed these quotes
	}
	h.ring[h.start] = f
	h.start = (h.start + 1) % len(h.ring)
}

// position returns the last decision handed out.
func (h *hub) position() engine.Seq {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.pos
}

// subscribe opens a stream. With after > 0 it also returns the frames since
// then; resumed says whether they are complete, so that no snapshot is needed.
func (h *hub) subscribe(owner engine.Digest, after engine.Seq) (s *subscriber, missed []frame, resumed bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed:
		return nil, nil, false, &refusal{code: codeNotLeader, detail: "the server is shutting down"}
	case len(h.subs) >= h.most || h.owners[owner] >= h.mostOfOne:
		return nil, nil, false, &refusal{code: codeStreams, detail: "close a stream of this API key, or come later"}
	}
	s = &subscriber{owner: owner, frames: make(chan frame, streamBuffer)}
	h.subs[s] = true
	h.owners[owner]++
	if after == 0 || after < h.since || after > h.pos {
		return s, nil, false, nil
	}
	for i := range h.ring {
		if f := h.ring[(h.start+i)%len(h.ring)]; f.seq > after || f.again && f.seq == after {
			missed = append(missed, f)
		}
	}
	return s, missed, true, nil
}

// remove ends a stream; the caller holds mu.
func (h *hub) remove(s *subscriber) {
	if !h.subs[s] {
		return
	}
	delete(h.subs, s)
	if h.owners[s.owner]--; h.owners[s.owner] == 0 {
		delete(h.owners, s.owner)
	}
	close(s.frames)
}

func (h *hub) unsubscribe(s *subscriber) {
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
