// Package hub hands what decisions tell to any number of live streams, each of which
// follows all markets, one of them, or an account.
//
// It promises: every stream that has joined gets every frame of its topic, in order,
// each once, and costs nothing where a frame is not of it; who joins after a decision
// that is remembered misses nothing; memory that is bounded in frames and in bytes. It
// refuses to wait for a stream: one that does not take what it gets is ended. It makes
// no sockets and no goroutines.
//
// A stream is what the WHATWG standard on server-sent events calls an event source,
// seen from its end.
package hub

import (
	"context"
	"errors"
	"slices"
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
	// Gather is how many waiting frames go out in one write.
	Gather = 64
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

// Topic is what a stream follows: one market, or one account, or, if it names neither,
// all markets.
type Topic struct {
	Market  engine.MarketID
	Account engine.AccountID
}

// Frame is what one decision tells the streams, encoded once for all that follow the
// same. Nobody changes it.
type Frame struct {
	Seq   engine.Seq
	Text  []byte // for who follows all markets; none: the decision tells them nothing
	Beat  bool   // a heartbeat, for everybody
	Again bool   // quotes that were held back: whoever has the decision may not have these

	Markets  []Part             // for who follows one of these
	Accounts []engine.AccountID // whom the decision is about; each works out itself what it is told
	Ends     bool               // a market ends: any account may have held something there
}

// Part is what a frame tells of one market.
type Part struct {
	Market engine.MarketID
	Text   []byte
}

// of returns what is handed to the streams of a topic; nil: nothing.
func (f *Frame) of(t Topic) *Frame {
	switch {
	case f.Beat:
		return f
	case t.Account != 0:
		if f.Ends || slices.Contains(f.Accounts, t.Account) {
			return &Frame{Seq: f.Seq}
		}
	case t.Market != 0:
		for i := range f.Markets {
			if f.Markets[i].Market == t.Market {
				return &Frame{Seq: f.Seq, Text: f.Markets[i].Text, Again: f.Again}
			}
		}
	case len(f.Text) > 0:
		return f
	}
	return nil
}

// size is the memory of a frame in bytes, about. The text for one market is that for
// all where the decision is about no other one.
func (f *Frame) size() int {
	n := len(f.Text) + 8*len(f.Accounts)
	if len(f.Markets) > 1 {
		for i := range f.Markets {
			n += len(f.Markets[i].Text)
		}
	}
	return n
}

func (f *Frame) empty() bool {
	return len(f.Text)+len(f.Markets)+len(f.Accounts) == 0 && !f.Ends
}

// Stream is an open one. It gets frames once it has joined.
type Stream struct {
	topic  Topic
	owner  engine.Digest
	frames chan *Frame // closed by the hub, at its end or because the client is slow
}

// Next waits for frames and takes what is there, at most Gather of them.
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
	for len(into) < Gather {
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
	subs   map[*Stream]bool               // true: it has joined
	topics map[Topic]map[*Stream]struct{} // those that have joined
	owners map[engine.Digest]int
	ring   []*Frame   // the last frames that tell something, the oldest first
	bytes  int        // of their texts
	since  engine.Seq // the ring holds everything after this decision
	pos    engine.Seq // last decision handed out
	ready  engine.Seq // streams are taken once it is handed out
	begun  bool
	closed bool
}

// New makes a hub for so many streams in all and of one owner. Begin it.
func New(most, mostOfOne int) *Hub {
	return &Hub{most: most, mostOfOne: mostOfOne, subs: map[*Stream]bool{}, topics: map[Topic]map[*Stream]struct{}{}, owners: map[engine.Digest]int{}}
}

// Begin says that frames will come of every decision after one, and that streams are
// taken from another one on: what lies between was told before this process began, and
// is remembered for who comes back.
func (h *Hub) Begin(after, ready engine.Seq) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.since, h.pos, h.ready, h.begun = after, after, ready, true
}

// Broadcast hands out a frame, also one that tells nobody anything.
func (h *Hub) Broadcast(f Frame) (dropped int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pos = max(h.pos, f.Seq)
	if f.empty() {
		return 0
	}
	if f.Beat {
		for t := range h.topics {
			dropped += h.hand(&f, t)
		}
		return dropped
	}
	h.remember(&f)
	dropped = h.hand(&f, Topic{})
	for i := range f.Markets {
		dropped += h.hand(&f, Topic{Market: f.Markets[i].Market})
	}
	if f.Ends {
		for t := range h.topics {
			if t.Account != 0 {
				dropped += h.hand(&f, t)
			}
		}
		return dropped
	}
	for _, a := range f.Accounts {
		dropped += h.hand(&f, Topic{Account: a})
	}
	return dropped
}

// hand gives a frame to the streams of a topic; the caller holds mu.
func (h *Hub) hand(f *Frame, t Topic) (dropped int) {
	subs := h.topics[t]
	if len(subs) == 0 {
		return 0
	}
	if f = f.of(t); f == nil {
		return 0
	}
	for s := range subs {
		select {
		case s.frames <- f:
		default:
			h.remove(s)
			dropped++
		}
	}
	return dropped
}

func (h *Hub) remember(f *Frame) {
	h.ring = append(h.ring, f)
	h.bytes += f.size()
	old := 0
	for ; len(h.ring)-old > Remembered || h.bytes > ringBytes; old++ {
		if h.since = h.ring[old].Seq; h.ring[old].Again {
			h.since++ // who has that decision may have missed these quotes
		}
		h.bytes -= h.ring[old].size()
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
func (h *Hub) Enter(owner engine.Digest, t Topic) (*Stream, error) {
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
	s := &Stream{topic: t, owner: owner, frames: make(chan *Frame, Buffer)}
	h.subs[s] = false
	h.owners[owner]++
	return s, nil
}

// Join lets a stream get every frame of its topic after a decision: what it has missed
// at once, the rest as it comes. at is the last decision that what it missed comes from.
// It returns false if what was missed is remembered no more. A stream that has ended
// meanwhile misses nothing.
func (h *Hub) Join(s *Stream, after engine.Seq) (missed []*Frame, at engine.Seq, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, open := h.subs[s]; !open {
		return nil, after, true
	}
	if after < h.since {
		return nil, 0, false
	}
	h.subs[s] = true
	if h.topics[s.topic] == nil {
		h.topics[s.topic] = map[*Stream]struct{}{}
	}
	h.topics[s.topic][s] = struct{}{}
	for _, f := range h.ring {
		if f.Seq < after || f.Seq == after && !f.Again {
			continue
		}
		if f = f.of(s.topic); f != nil {
			missed = append(missed, f)
		}
	}
	return missed, max(after, h.pos), true
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
	if with := h.topics[s.topic]; with != nil {
		if delete(with, s); len(with) == 0 {
			delete(h.topics, s.topic)
		}
	}
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

// End ends the streams of an owner, or, if one is named, of an account: whoever has no
// right to them any more. What was handed to them before still goes out.
func (h *Hub) End(owner engine.Digest, account engine.AccountID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.subs {
		if s.owner == owner && owner != (engine.Digest{}) || account != 0 && s.topic.Account == account {
			h.remove(s)
		}
	}
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
