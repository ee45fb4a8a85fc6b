package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/mbp-market/mbp/engine"
)

// Event is one event of a live stream. Data is the JSON document of its kind: Gap; just a
// seq for a heartbeat; of markets Snapshot, PriceEvent, TradeEvent, Market; of an account
// AccountSnapshot, FillEvent, OrderEvent, GrantEvent, PayoutEvent, HoldingEvent (sets,
// liquidity), SettledEvent, StandingEvent (account).
type Event struct {
	Seq  engine.Seq // where a stream that breaks after this event resumes
	Kind string     // snapshot, gap, heartbeat; quote, trade, market; fill, order, grant, payout, sets, liquidity, settled, account
	Data json.RawMessage

	last bool // of its decision: it came with an id
}

// Decode reads the document of the event into v.
func (e Event) Decode(v any) error {
	if err := json.Unmarshal(e.Data, v); err != nil {
		return fmt.Errorf("stream event %s at %d: %w", e.Kind, e.Seq, err)
	}
	return nil
}

// StreamSilence is how long a stream may be silent before it counts as broken:
// three heartbeats.
const StreamSilence = 15 * time.Second

// Stream calls see with every event of all markets from after the sequence on (0: from now,
// with a snapshot first), each once, until ctx ends or see returns an error, which it
// returns. The events of a decision are handed over together, when the last one of them
// has come: a connection that breaks in between leaves none to come twice. A broken connection is made again from the last event seen, as often
// as the client's retry allows without any event in between. A heartbeat is one:
// a market where nothing happens does not wear out who watches it through a proxy
// that cuts connections. What the server cannot tell any more is a Gap, and a snapshot
// after it.
func (c *Client) Stream(ctx context.Context, after engine.Seq, see func(Event) error) error {
	return c.stream(ctx, "/v1/stream", after, see)
}

// StreamMarket is Stream for the events of one market, which the snapshot has alone.
func (c *Client) StreamMarket(ctx context.Context, market engine.MarketID, after engine.Seq, see func(Event) error) error {
	return c.stream(ctx, "/v1/markets/"+market.String()+"/stream", after, see)
}

// StreamAccount is Stream for what an account is told: its fills, orders, grants,
// payouts, and where it stands after each. It needs the account's own key, or a role that
// may read accounts.
func (c *Client) StreamAccount(ctx context.Context, account engine.AccountID, after engine.Seq, see func(Event) error) error {
	return c.stream(ctx, "/v1/accounts/"+account.String()+"/stream", after, see)
}

func (c *Client) stream(ctx context.Context, path string, after engine.Seq, see func(Event) error) error {
	for broken := 1; ; broken++ {
		last, heard, err := c.listen(ctx, path, after, see)
		after = last
		if heard {
			broken = 1
		}
		var stop *stopped
		switch {
		case errors.As(err, &stop):
			return stop.err
		case ctx.Err() != nil:
			return ctx.Err()
		}
		wait, repeat := c.wait(broken, err)
		if !repeat {
			return fmt.Errorf("GET %s: %w", path, err)
		}
		if err := c.pause(ctx, wait); err != nil {
			return err
		}
	}
}

// stopped carries the error of the caller's function.
type stopped struct{ err error }

func (s *stopped) Error() string { return s.err.Error() }

// listen reads one connection to its end; it returns the last sequence seen, and
// whether there was any event.
func (c *Client) listen(ctx context.Context, path string, after engine.Seq, see func(Event) error) (last engine.Seq, heard bool, err error) {
	last = after
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req, err := c.request(ctx, &call{method: http.MethodGet, path: path}, nil)
	if err != nil {
		return last, false, err
	}
	req.Header.Set("Accept", "text/event-stream")
	if after != 0 {
		req.Header.Set("Last-Event-ID", strconv.FormatUint(uint64(after), 10))
	}
	silence := time.AfterFunc(c.silence, cancel)
	defer silence.Stop()
	res, err := c.http.Do(req)
	if err != nil {
		return last, false, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(io.LimitReader(res.Body, c.most))
		return last, false, problem(answer{status: res.StatusCode, header: res.Header, body: b}, time.Now())
	}
	if kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type")); kind != "text/event-stream" {
		return last, false, &malformed{fmt.Errorf("the answer is %q, not a stream of events", kind)}
	}
	var held []Event // of a decision whose last event has not come
	size := int64(0) // of their data
	err = readEvents(res.Body, after, c.most, func(e Event) error {
		silence.Reset(c.silence)
		heard = true
		held, size = append(held, e), size+int64(len(e.Data))
		if !e.last {
			if size > c.most {
				return bufio.ErrTooLong
			}
			return nil
		}
		last = e.Seq
		for _, e := range held {
			if err := see(e); err != nil {
				return &stopped{err}
			}
		}
		clear(held)
		held, size = held[:0], 0
		return nil
	})
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	return last, heard, err
}

// readEvents reads server-sent events until the end of r or an error of see.
// Events without an id carry the last one, at first last. No event is longer
// than most bytes.
func readEvents(r io.Reader, last engine.Seq, most int64, see func(Event) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, int(most))
	e := Event{Seq: last}
	var data []byte
	for lines.Scan() {
		line := strings.TrimSuffix(lines.Text(), "\r")
		if line == "" {
			if data != nil {
				e.Data = data[:len(data)-1]
				if err := see(e); err != nil {
					return err
				}
			}
			e, data = Event{Seq: e.Seq}, nil
			continue
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "event":
			e.Kind = value
		case "data":
			if data = append(append(data, value...), '\n'); int64(len(data)) > most {
				return bufio.ErrTooLong
			}
		case "id":
			if n, err := strconv.ParseUint(value, 10, 64); err == nil {
				e.Seq, e.last = engine.Seq(n), true
			}
		}
	}
	return lines.Err()
}
