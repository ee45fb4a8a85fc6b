package client

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mbp-market/mbp/engine"
)

func stream(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/event-stream")
	fmt.Fprint(w, text)
	w.(http.Flusher).Flush()
}

const (
	snapshot = "id: 5\nevent: snapshot\ndata: {\"seq\":5,\"markets\":[{\"market\":\"mkt_1\",\"state\":\"open\",\"creator\":\"acc_1\"}]}\n\n"
	trade    = "event: trade\ndata: {\"seq\":6,\"market\":\"mkt_1\",\"outcome\":\"NO\",\"side\":\"sell\",\"shares_micros\":4}\n\n"
	quote    = "id: 6\nevent: quote\ndata: {\"seq\":6,\"market\":\"mkt_1\",\"outcomes\":[{\"outcome\":\"YES\",\"price_micros\":400000},{\"outcome\":\"NO\",\"price_micros\":600000}]}\n\n"
	beat     = ": comment\r\nid: 7\r\nevent: heartbeat\r\ndata: {\"seq\":7}\r\n\r\n"
)

var errEnough = errors.New("enough")

// TestStreamResumes: a connection that breaks is made again where the last
// whole decision ended, and nothing is told twice or lost, a part of a decision neither.
func TestStreamResumes(t *testing.T) {
	d, cl := newDesk(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		switch n {
		case 0:
			stream(w, snapshot+trade) // cut inside decision 6
		case 1:
			panic(http.ErrAbortHandler)
		case 2:
			stream(w, trade+quote)
		default:
			stream(w, beat)
		}
	})
	var kinds []string
	err := cl.Stream(context.Background(), 0, func(e Event) error {
		kinds = append(kinds, fmt.Sprint(e.Kind, e.Seq))
		switch e.Kind {
		case "snapshot":
			var s Snapshot
			if err := e.Decode(&s); err != nil || len(s.Markets) != 1 || s.Markets[0].State != engine.Open {
				t.Errorf("%+v, %v", s, err)
			}
		case "trade":
			var x TradeEvent
			if err := e.Decode(&x); err != nil || x.Seq != 6 || x.Outcome != engine.No || x.Side != engine.Sell {
				t.Errorf("%+v, %v", x, err)
			}
		case "quote":
			var x PriceEvent
			if err := e.Decode(&x); err != nil || len(x.Outcomes) != 2 || x.Outcomes[0].Price != 400_000 {
				t.Errorf("%+v, %v", x, err)
			}
		case "heartbeat":
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) {
		t.Errorf("ended with %v", err)
	}
	if got := strings.Join(kinds, " "); got != "snapshot5 trade5 quote6 heartbeat7" {
		t.Errorf("events %s", got)
	}
	last := ""
	for _, g := range d.requests() {
		last += g.last + ","
		if g.auth != "Bearer "+testKey {
			t.Errorf("auth %q", g.auth)
		}
	}
	if last != ",5,5,6," {
		t.Errorf("resumed after %s", last)
	}
}

func TestStreamGivesUp(t *testing.T) {
	d, cl := newDesk(t, func(_ int, _ http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) })
	if err := cl.Stream(context.Background(), 3, func(Event) error { return nil }); err == nil || len(d.requests()) != 5 {
		t.Errorf("%v after %d attempts", err, len(d.requests()))
	}
}

// TestStreamOfAnIdleMarketGoesOn: something in between cuts every connection
// after its heartbeat, and the sequence stays where it is.
func TestStreamOfAnIdleMarketGoesOn(t *testing.T) {
	d, cl := newDesk(t, func(_ int, w http.ResponseWriter, _ *http.Request) { stream(w, beat) })
	beats := 0
	err := cl.Stream(context.Background(), 7, func(e Event) error {
		if beats++; beats == 4*DefaultRetry().Attempts {
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) || len(d.requests()) != beats {
		t.Errorf("%v after %d heartbeats on %d connections", err, beats, len(d.requests()))
	}
}

func TestStreamRefused(t *testing.T) {
	for code, answer := range map[string]func(http.ResponseWriter){
		"unauthenticated": func(w http.ResponseWriter) { refuse(w, 401, `{"code":"unauthenticated"}`) },
		"":                func(w http.ResponseWriter) { fmt.Fprint(w, "<html>") },
	} {
		d, cl := newDesk(t, func(_ int, w http.ResponseWriter, _ *http.Request) { answer(w) })
		err := cl.Stream(context.Background(), 0, func(Event) error { return nil })
		if err == nil || CodeOf(err) != code || len(d.requests()) != 1 {
			t.Errorf("%v after %d attempts", err, len(d.requests()))
		}
	}
}

// TestStreamSilence: a connection that says nothing is broken, even if it is
// open.
func TestStreamSilence(t *testing.T) {
	d, cl := newDesk(t, func(n int, w http.ResponseWriter, r *http.Request) {
		stream(w, beat)
		if n == 0 {
			<-r.Context().Done()
		}
	})
	cl.silence = 50 * time.Millisecond
	beats := 0
	err := cl.Stream(context.Background(), 0, func(Event) error {
		if beats++; beats == 2 {
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) || len(d.requests()) != 2 {
		t.Errorf("%v after %d connections", err, len(d.requests()))
	}
}

func TestStreamEndsWithItsContext(t *testing.T) {
	_, cl := newDesk(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		stream(w, beat)
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(context.Background())
	if err := cl.Stream(ctx, 0, func(Event) error { cancel(); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// endless is a stream that never ends a line, or an event.
type endless struct{ text string }

func (e endless) Read(b []byte) (int, error) { return copy(b, e.text), nil }

func TestEventsAreBounded(t *testing.T) {
	for _, text := range []string{"data: ", "data: x\n"} {
		if err := readEvents(endless{strings.Repeat(text, 4096)}, 0, 1<<20, func(Event) error { return nil }); !errors.Is(err, bufio.ErrTooLong) {
			t.Errorf("%q for ever: %v", text, err)
		}
	}
}

func FuzzReadEvents(f *testing.F) {
	f.Add(snapshot + trade + quote + beat)
	f.Add("data\n\nid:\n\ndata:a\ndata:b\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		n := 0
		err := readEvents(strings.NewReader(text), 0, 1<<20, func(e Event) error {
			if n++; strings.Contains(e.Kind, "\n") {
				t.Errorf("kind %q", e.Kind)
			}
			return nil
		})
		if err == nil && n > strings.Count(text, "data") {
			t.Errorf("%d events in %q", n, text)
		}
	})
}
