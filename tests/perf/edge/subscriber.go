package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mbp-market/mbp/engine/httpapi/client"
)

// subscriber is who follows a stream over all its connections.
type subscriber struct {
	path   string
	key    string
	sleeps bool // it does not read for a while

	base      uint64        // of its first snapshot
	last      uint64        // it has every decision up to here
	reached   atomic.Uint64 // last, for others
	items     []item
	ids       []uint64 // of the decisions that told something
	snapshots int      // after the first one: what came in between is lost
	held      []item   // of a decision whose last event has not come
	slept     time.Time
	wrong     error

	mu  sync.Mutex
	now *stream // guarded by mu
}

// little is what the line of a sleeper holds at this end, in bytes.
const little = 4 << 10

// follow subscribes, again and again, until ctx ends.
func (s *subscriber) follow(ctx context.Context, address string) error {
	room := 0
	if s.sleeps {
		room, s.slept = little, time.Now()
	}
	for lost := time.Now(); ctx.Err() == nil; {
		line, err := subscribe(ctx, address, s.path, s.key, s.last, room)
		if err != nil {
			if time.Since(lost) > patience && ctx.Err() == nil {
				return err
			}
			select {
			case <-ctx.Done():
			case <-time.After(10 * time.Millisecond):
			}
			continue
		}
		s.mu.Lock()
		s.now = line
		s.mu.Unlock()
		if ctx.Err() != nil { // who ends everybody may have missed this one
			line.close()
		}
		s.held = s.held[:0] // they come again
		err = line.events(s.see)
		s.mu.Lock()
		s.now = nil
		s.mu.Unlock()
		line.close()
		var fault *fault
		if errors.As(err, &fault) {
			return err
		}
		lost = time.Now()
	}
	return nil
}

// kind is what it follows, in a word.
func (s *subscriber) kind() string {
	switch {
	case strings.HasPrefix(s.path, "/v1/markets/"):
		return "market"
	case strings.HasPrefix(s.path, "/v1/accounts/"):
		return "account"
	}
	return "all"
}

// watch follows the stream with the Go client, as mbp watch does: what it hands over
// is held to the same.
func (s *subscriber) watch(ctx context.Context, c *client.Client, h *house) (err error) {
	see := func(e client.Event) error {
		i, is, err := reported(e)
		switch {
		case err != nil:
			return err
		case e.Kind == "snapshot" && s.base != 0:
			s.snapshots++
		case e.Kind == "snapshot":
			s.base = uint64(e.Seq)
		case is && i.text != "":
			s.items = append(s.items, i)
		case is:
			if n := len(s.ids); n == 0 || s.ids[n-1] != uint64(e.Seq) { // the quotes of a decision come together
				s.ids = append(s.ids, uint64(e.Seq))
			}
		}
		s.reached.Store(uint64(e.Seq))
		return nil
	}
	switch s.kind() {
	case "market":
		err = c.StreamMarket(ctx, h.markets[0], 0, see)
	case "account":
		err = c.StreamAccount(ctx, h.accounts[0], 0, see)
	default:
		err = c.Stream(ctx, 0, see)
	}
	if errors.Is(err, context.Canceled) { // it was told to end
		return nil
	}
	return fmt.Errorf("the client's stream: %w", err)
}

// fault is something in a stream that does not belong there.
type fault struct{ what string }

func (f *fault) Error() string { return f.what }

// cut breaks the connection, if there is one: at once, or as a line that is lost.
func (s *subscriber) cut(reset bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now == nil {
		return false
	}
	if t, is := s.now.net.(*net.TCPConn); is && reset {
		_ = t.SetLinger(0) // it is a wish
	}
	s.now.close()
	s.now = nil
	return true
}

// see takes an event.
func (s *subscriber) see(e event) error {
	i, is, err := reported(client.Event{Kind: e.kind, Data: e.data})
	switch {
	case err != nil:
		return err
	case e.kind == "snapshot" && s.base == 0:
		s.base = e.id
	case e.kind == "snapshot":
		s.snapshots++
	case is && i.text != "":
		s.held = append(s.held, i)
	}
	if e.id == 0 { // the decision goes on
		return nil
	}
	for _, i := range s.held {
		if i.seq != e.id {
			return &fault{fmt.Sprintf("something of decision %d in decision %d", i.seq, e.id)}
		}
	}
	s.items, s.held = append(s.items, s.held...), s.held[:0]
	if is {
		s.ids = append(s.ids, e.id)
	}
	s.last = e.id
	s.reached.Store(e.id)
	if s.sleeps && time.Since(s.slept) > 2*asleep {
		time.Sleep(asleep)
		s.slept = time.Now()
	}
	return nil
}
