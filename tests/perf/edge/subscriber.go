package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
)

// subscriber is who follows the stream over all its connections.
type subscriber struct {
	key    string
	sleeps bool // it does not read for a while

	base      uint64        // of its first snapshot
	last      uint64        // it has every decision up to here
	reached   atomic.Uint64 // last, for others
	trades    []trade
	ids       []uint64 // of the decisions that told something
	snapshots int      // after the first one: what came in between is lost
	held      []trade  // of a decision whose last event has not come
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
		line, err := subscribe(ctx, address, s.key, s.last, room)
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

// watch follows the stream with the Go client, as mbp watch does: what it hands over
// is held to the same.
func (s *subscriber) watch(ctx context.Context, h *house) error {
	c, err := h.trader(0)
	if err != nil {
		return err
	}
	err = c.Stream(ctx, 0, func(e client.Event) error {
		switch e.Kind {
		case "snapshot":
			if s.base != 0 {
				s.snapshots++
			} else {
				s.base = uint64(e.Seq)
			}
		case "trade":
			t, err := readTrade(e.Data)
			if err != nil {
				return err
			}
			s.trades = append(s.trades, t)
		case "quote":
			s.ids = append(s.ids, uint64(e.Seq))
		}
		s.reached.Store(uint64(e.Seq))
		return nil
	})
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
	switch e.kind {
	case "snapshot":
		if s.base == 0 {
			s.base = e.id
		} else {
			s.snapshots++
		}
	case "trade":
		t, err := readTrade(e.data)
		if err != nil {
			return err
		}
		s.held = append(s.held, t)
	case "quote":
	case "heartbeat":
	default:
		return &fault{fmt.Sprintf("an event of kind %q", e.kind)}
	}
	if e.id == 0 { // the decision goes on
		return nil
	}
	for _, t := range s.held {
		if t.seq != e.id {
			return &fault{fmt.Sprintf("a trade of decision %d in decision %d", t.seq, e.id)}
		}
	}
	s.trades, s.held = append(s.trades, s.held...), s.held[:0]
	if e.kind == "quote" {
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

// fill is what a stream and the journal both tell of a trade.
type fill struct {
	Market  engine.MarketID `json:"market"`
	Outcome engine.Outcome  `json:"outcome"`
	Side    engine.Side     `json:"side"`
	Amount  engine.Micros   `json:"amount_micros"`
	Shares  engine.Shares   `json:"shares_micros"`
}

func (f *fill) String() string {
	return fmt.Sprintf("%s %s %s %d %d", f.Market, f.Outcome, f.Side, f.Amount, f.Shares)
}

func readTrade(data []byte) (trade, error) {
	var x struct {
		Seq uint64 `json:"seq"`
		fill
	}
	if err := json.Unmarshal(data, &x); err != nil {
		return trade{}, &fault{fmt.Sprintf("a trade %.200q: %v", data, err)}
	}
	return trade{x.Seq, x.String()}, nil
}

// readFill reads an event of a decision that may be a fill.
func readFill(raw json.RawMessage) (x fill, is bool, err error) {
	if !bytes.Contains(raw, []byte(`"order_filled"`)) {
		return x, false, nil
	}
	err = json.Unmarshal(raw, &x)
	return x, true, err
}
