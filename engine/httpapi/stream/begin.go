package stream

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/httpapi/hub"
	"github.com/mbp-market/mbp/engine/httpapi/news"
	"github.com/mbp-market/mbp/engine/httpapi/own"
	"github.com/mbp-market/mbp/engine/sequencer"
)

const (
	// maxRead is how many decisions are read from the journal for a client that comes
	// back: nine minutes of the release gate, and less than a second of reading.
	maxRead = 1 << 16
	// maxReaders is for how many clients the journal is read at once, which is work for a
	// processor each; whoever comes meanwhile and needs it begins anew.
	maxReaders = 2
	// readTries is how often that is done until the ring remembers the rest.
	readTries = 3
	// readTime bounds the reading for one client, whose line may be slow.
	readTime = 30 * time.Second
)

// begin brings a client to where its stream goes on: with what it missed, if that is
// remembered or can be read, else with a snapshot. The stream joins when the snapshot is
// out, because no buffer would hold what is decided meanwhile; the ring does. It returns
// the last decision that the client has, and what is still to be sent.
func (s *Server) begin(ctx context.Context, w http.ResponseWriter, l Listener, to *hub.Stream, after engine.Seq) (last engine.Seq, missed []*hub.Frame, ok bool) {
	for tries := 0; tries < readTries && after != 0 && after <= s.hub.Position(); tries++ {
		var near bool
		if after, near = s.read(ctx, w, l, after); after == 0 {
			return 0, nil, false // the client is gone
		} else if !near {
			break
		}
		if missed, at, ok := s.hub.Join(to, after); ok {
			beat := news.Heartbeat(at)
			return after, append(missed, &beat), true
		}
	}
	for range snapshotTries {
		first, err := s.first(l.Topic)
		if err != nil {
			s.log.ErrorContext(ctx, "encode snapshot", "err", err)
			return 0, nil, false
		}
		if after != 0 && !news.Send(w, news.Gap(after, first.Seq)) || !news.Send(w, first.Text) {
			return 0, nil, false
		}
		if missed, _, ok := s.hub.Join(to, first.Seq); ok {
			return first.Seq, missed, true
		}
		after = first.Seq
	}
	s.metrics.Dropped.Inc()
	return 0, nil, false
}

// errRead ends a reading: it is where the ring goes on, or as deep as it may go.
var errRead = errors.New("enough is read")

// near reports whether the ring goes on after a decision, and will for a while.
func (s *Server) near(after engine.Seq) bool {
	at := s.hub.Position()
	return s.hub.Remembers(after) && (after >= at || at-after < hub.Remembered/2)
}

// read sends what a client missed from the journal until the ring remembers the rest. It
// returns the last decision that the client has been told of, 0 if it is gone or may not
// listen any more, and whether the ring goes on there.
func (s *Server) read(ctx context.Context, w http.ResponseWriter, l Listener, after engine.Seq) (told engine.Seq, near bool) {
	switch at := s.hub.Position(); {
	case s.near(after):
		return after, true
	case at-after > s.deepest:
		return after, false
	}
	select {
	case s.reading <- struct{}{}:
		defer func() { <-s.reading }()
	default:
		return after, s.hub.Remembers(after)
	}
	l.Read(int(s.hub.Position() - after))
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	var text []byte
	told = after
	gone := false
	err := s.src.Follow(ctx, after+1, func(c sequencer.Committed) error {
		b, err := s.tell(c.Decision, l.Topic)
		if err != nil {
			return err
		}
		text = append(text, b...)
		at := c.Decision.Seq
		ends := s.near(at) || at-after >= s.deepest
		if !ends && len(text) < news.Piece {
			return nil
		}
		if gone = !l.Holds(time.Now()) || len(text) > 0 && !news.Send(w, text); gone {
			return errRead
		}
		if text, told = text[:0], at; ends {
			near = s.near(at)
			return errRead
		}
		return nil
	})
	switch {
	case gone:
		return 0, false
	case !errors.Is(err, errRead) && ctx.Err() == nil:
		s.log.WarnContext(ctx, "what a stream missed cannot be read", "after", after, "err", err)
	}
	return told, near
}

// tell writes what a decision tells the streams of a topic.
func (s *Server) tell(d *engine.Decision, t hub.Topic) ([]byte, error) {
	if t.Account != 0 {
		return own.Encode(d, t.Account, world{s.src})
	}
	n := news.Of(d)
	if t.Market != 0 {
		n = n.Only(t.Market)
	}
	return s.encode(d, &n)
}

// first returns the snapshot that streams of a topic begin with.
func (s *Server) first(t hub.Topic) (hub.Frame, error) {
	switch {
	case t.Market != 0:
		return s.encodeSnapshot(t.Market)
	case t.Account != 0:
		doc := own.Snapshot{}
		s.src.View(func(st *core.State) {
			doc.Seq = st.Seq()
			doc.Account, _ = st.Account(t.Account)
			doc.Orders = st.Orders(t.Account)
		})
		text, err := own.First(&doc)
		return hub.Frame{Seq: doc.Seq, Text: text}, err
	}
	return s.snapshot()
}

// world is what the streams of accounts are told beside the decisions.
type world struct{ src Source }

func (w world) Standing(id engine.AccountID, in []engine.MarketID) (a engine.Account, at engine.Seq) {
	w.src.View(func(st *core.State) {
		at = st.Seq()
		a, _ = st.Standing(id, in...)
	})
	return a, at
}

func (w world) Holder(id engine.AccountID, m engine.MarketID) (is bool) {
	w.src.View(func(st *core.State) { is = st.Holder(id, m) })
	return is
}

// Rested reads the decision that took the order: its id names it.
func (w world) Rested(id engine.OrderID) *engine.OrderRested {
	c, err := w.src.Decision(id.Seq())
	if err != nil {
		return nil // it is in an archive
	}
	for _, e := range c.Decision.Events {
		if x, is := e.(*engine.OrderRested); is && x.Order == id {
			return x
		}
	}
	return nil
}
