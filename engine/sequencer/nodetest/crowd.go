package nodetest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/sequencer"
)

// ask is a request and what became of it over all its repetitions.
type ask struct {
	r        sequencer.Request
	tag      engine.Tag
	floor    engine.Seq // the greatest sequence that was answered before it was first sent
	sent     int
	refused  int // of them, refused before a decision
	fresh    int // answers that were no repetitions
	answered bool
	seq      engine.Seq
	digest   engine.Digest
}

func (a *ask) name() string { return a.r.Principal + "/" + a.r.Key + " " + a.r.Command.Type() }

// flight is one submission under way.
type flight struct {
	ask    *ask
	other  bool // with other content under the same key
	life   *life
	hangUp context.CancelFunc

	mu     sync.Mutex
	done   bool
	answer sequencer.Answer
	err    error
}

func (f *flight) String() string {
	switch {
	case f.err != nil:
		return fmt.Sprintf("%s: %v", f.ask.r.Key, f.err)
	case f.answer.Replayed:
		return fmt.Sprintf("%s was decision %d", f.ask.r.Key, f.answer.Decision.Seq)
	}
	return fmt.Sprintf("%s is decision %d", f.ask.r.Key, f.answer.Decision.Seq)
}

// sight is what a reader saw.
type sight struct {
	seq  engine.Seq
	hash engine.Digest
}

// crowd is everybody outside the nodes: who asks and who reads.
type crowd struct {
	w         *world
	wish      *wish
	asks      []*ask
	flights   []*flight
	doubts    []*flight  // ended with an unknown outcome just now, and no fault to read
	told      engine.Seq // the greatest sequence that was answered
	looks     []sight    // since the last judgement
	following []*follower
}

func newCrowd(w *world) *crowd { return &crowd{w: w, wish: newWish(w.rng)} }

// asking lists what clients and readers do.
func (c *crowd) asking() []action {
	w := c.w
	again := func(m *machine) bool { return awake(m) && len(c.asks) > 0 }
	return []action{
		w.on("ask", 50, func(m *machine) bool { return awake(m) && c.wish.ready(c.asks) }, c.ask),
		w.on("again", 12, again, func(m *machine) string {
			a := c.asks[max(0, len(c.asks)-1-w.rng.IntN(12))]
			w.send(m.life, a, false)
			return a.name()
		}),
		w.on("misuse", 2, func(m *machine) bool { return awake(m) && c.told > 0 }, c.misuse),
		{"hang up", 2, func() bool { return len(c.flights) > 0 }, func() string {
			f := c.flights[w.rng.IntN(len(c.flights))]
			f.hangUp()
			return f.ask.name()
		}},
		w.on("look", 14, awake, func(m *machine) string { w.look(m); return fmt.Sprint(c.looks[len(c.looks)-1].seq) }),
	}
}

func (c *crowd) ask(m *machine) string {
	a := c.want(c.wish.next(m.life.node.Now()))
	c.send(m.life, a, false)
	return a.name()
}

// want makes a request with a key of its own.
func (c *crowd) want(principal string, command engine.Command) *ask {
	key := fmt.Sprintf("k%d", len(c.asks))
	sum := sha256.Sum256([]byte(principal + "\x00" + key))
	a := &ask{
		r:   sequencer.Request{Principal: principal, Key: key, Input: []byte(key), Command: command},
		tag: engine.Tag(sum[:16]), floor: c.told,
	}
	c.asks = append(c.asks, a)
	c.w.report.Asked++
	return a
}

// misuse asks for something else under a key. It takes one that is answered: any
// other might be new to the node, and the misuse right.
func (c *crowd) misuse(m *machine) string {
	var known []*ask
	for _, a := range c.asks {
		if a.answered {
			known = append(known, a)
		}
	}
	a := among(c.w.rng, known...)
	c.send(m.life, a, true)
	return a.name()
}

// send submits a request in a goroutine of its own.
func (c *crowd) send(l *life, a *ask, other bool) {
	ctx, cancel := context.WithCancel(context.Background())
	f := &flight{ask: a, other: other, life: l, hangUp: cancel}
	r := a.r
	if other {
		r.Input = []byte("something else")
	}
	a.sent++
	c.w.report.Sent++
	c.flights = append(c.flights, f)
	go func() {
		answer, err := l.node.Submit(ctx, r)
		f.mu.Lock()
		defer f.mu.Unlock()
		f.answer, f.err, f.done = answer, err, true
	}()
}

// collect takes the answers that have come, in the order of their requests.
func (c *crowd) collect() {
	var open []*flight
	for _, f := range c.flights {
		f.mu.Lock()
		done := f.done
		f.mu.Unlock()
		switch {
		case !done:
			open = append(open, f)
			continue
		case f.life.dead:
			c.w.report.Unknown++
			c.w.tell("  %s is not answered", f.ask.r.Key)
		default:
			c.w.tell("  %s", f)
			c.w.fault(c.hear(f))
		}
		f.hangUp()
	}
	c.flights = open
}

// waits finds who waits for a node that does nothing: a request waits for appends
// and for nothing else.
func (c *crowd) waits(l *life) error {
	for _, f := range c.flights {
		if f.life == l {
			return fmt.Errorf("STUCK: %s waits for an idle node", f.ask.name())
		}
	}
	return nil
}

// doubt finds a node that goes on after it has told somebody that it does not know
// an outcome.
func (c *crowd) doubt(machines []*machine) error {
	doubts := c.doubts
	c.doubts = nil
	for _, f := range doubts {
		for _, m := range machines {
			if m.life == f.life {
				return fmt.Errorf("UNKNOWN: %s, by a node that goes on: %w", f.ask.name(), f.err)
			}
		}
	}
	return nil
}

// hear takes one answer.
func (c *crowd) hear(f *flight) error {
	a, counts := f.ask, &c.w.report.Counts
	switch {
	case errors.Is(f.err, sequencer.ErrOverloaded):
		a.refused++
		counts.Refused++
		return nil
	case errors.Is(f.err, sequencer.ErrUnknown), errors.Is(f.err, context.Canceled):
		counts.Unknown++
		if errors.Is(f.err, sequencer.ErrUnknown) && !c.w.site.injected(f.err) {
			c.doubts = append(c.doubts, f)
		}
		return nil
	case f.other && errors.Is(f.err, sequencer.ErrConflict):
		a.refused++
		counts.Refused++
		return nil
	case f.other:
		return fmt.Errorf("with other content: %s", f)
	case f.err != nil: // ErrStopped, too: nobody asks a node that has ended, and who is inside is decided
		return fmt.Errorf("%s: %w", a.name(), f.err)
	}
	counts.Answered++
	if f.answer.Replayed {
		counts.Replayed++
	} else if a.fresh++; a.fresh > 1 {
		return fmt.Errorf("%s is decided again, at %d after %d", a.name(), f.answer.Decision.Seq, a.seq)
	}
	return c.believe(a, f.answer.Decision)
}

// believe compares an answer with the ones before.
func (c *crowd) believe(a *ask, d *engine.Decision) error {
	digest := digestOf(d)
	switch {
	case a.answered && (a.seq != d.Seq || a.digest != digest):
		return fmt.Errorf("%s was answered with decision %d, now with %d, or otherwise", a.name(), a.seq, d.Seq)
	case d.Key != a.tag:
		return fmt.Errorf("%s is answered with decision %d of another request", a.name(), d.Seq)
	case d.Seq <= a.floor:
		return fmt.Errorf("%s is decision %d, but %d was answered before it was asked", a.name(), d.Seq, a.floor)
	}
	if !a.answered {
		a.answered, a.seq, a.digest = true, d.Seq, digest
		c.wish.learn(d)
	}
	c.told = max(c.told, d.Seq)
	return nil
}

// digestOf a decision is that of its record.
func digestOf(d *engine.Decision) engine.Digest { return sha256.Sum256(d.Append(nil)) }

// follower notes every decision that a node shows.
type follower struct {
	mu   sync.Mutex
	seen []engine.Digest
}

func follow(ctx context.Context, n Node) *follower {
	f := &follower{}
	go func() {
		_ = n.Follow(ctx, 1, func(c sequencer.Committed) error {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.seen = append(f.seen, digestOf(c.Decision))
			return nil
		})
	}()
	return f
}

// judge compares what was told and shown with the log.
func (c *crowd) judge(log *auditor) error {
	for _, a := range c.asks {
		seq, there := log.keys[a.tag]
		switch {
		case a.answered && (seq != a.seq || log.digests[seq-1] != a.digest):
			return fmt.Errorf("LOST: %s was answered with decision %d, the log has it at %d, or otherwise", a.name(), a.seq, seq)
		case there && a.sent == a.refused:
			return fmt.Errorf("%s was refused, and is decision %d", a.name(), seq)
		}
	}
	for _, s := range c.looks {
		if int(s.seq) >= len(log.hashes) || log.hashes[s.seq] != s.hash {
			return fmt.Errorf("PHANTOM: a reader saw a state at decision %d that the log, up to %d, does not give", s.seq, len(log.digests))
		}
	}
	c.looks = c.looks[:0]
	for _, f := range c.following {
		f.mu.Lock()
		for i, digest := range f.seen {
			if i >= len(log.digests) || log.digests[i] != digest {
				f.mu.Unlock()
				return fmt.Errorf("PHANTOM: a follower was shown decision %d, which the log, up to %d, does not have", i+1, len(log.digests))
			}
		}
		f.mu.Unlock()
	}
	c.following = nil
	return nil
}
