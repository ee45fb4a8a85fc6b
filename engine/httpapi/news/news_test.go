package news

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/hub"
)

// TestEncode: an event has the bytes that json.Marshal writes of its document, and
// the last one of a decision alone has the id.
func TestEncode(t *testing.T) {
	fill := &engine.OrderFilled{Market: 7, Outcome: engine.No, Side: engine.Sell, Amount: 1, Shares: 2, Average: 3, Fee: 4}
	d := &engine.Decision{Seq: 9, Request: engine.Request{At: 1_700_000_000_000_001}, Events: []engine.Event{
		fill, &engine.OrderRested{Market: 8, Outcome: engine.Nth(1)}, &engine.MarketStateChanged{Market: 8}, &engine.OrderFilled{Market: 7},
	}}
	trade := Trade{9, 7, engine.No, engine.Sell, 1, 2, 3, 4, d.At}
	quotes := map[engine.MarketID]Quote{
		7: {9, 7, []engine.OutcomeState{{Outcome: engine.Yes, Price: 1, TWAP: 2, TWAP1: 3, TWAP15: 4, Pool: 5, Depth: 6}, {Outcome: engine.No, Bid: 7, Ask: 8}}, d.At},
		8: {9, 8, []engine.OutcomeState{{Outcome: engine.Nth(0), Label: "<a> \"ü\""}}, d.At},
	}
	n := Of(d)
	got, err := n.Encode(d, func(id engine.MarketID) Quote { return quotes[id] }, func(id engine.MarketID) Market {
		return Market{9, engine.Market{Market: id}}
	})
	if err != nil {
		t.Fatal(err)
	}
	doc := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	want := fmt.Sprintf("event: trade\ndata: %s\n\nevent: quote\ndata: %s\n\nevent: quote\ndata: %s\n\nid: 9\nevent: market\ndata: %s\n\n",
		doc(trade), doc(quotes[7]), doc(quotes[8]), doc(Market{9, engine.Market{Market: 8}}))
	if string(got) != want {
		t.Errorf("encoded\n%s\nwant\n%s", got, want)
	}
	if got := Append(nil, 9, true, quotes[7]); string(got) != "id: 9\nevent: quote\ndata: "+doc(quotes[7])+"\n\n" {
		t.Errorf("a quote alone is\n%s", got)
	}
}

// TestAbout: each market once, also where its quotes are held back.
func TestAbout(t *testing.T) {
	trade := func(id engine.MarketID) *engine.OrderFilled { return &engine.OrderFilled{Market: id} }
	n := News{Trades: []*engine.OrderFilled{trade(7), trade(7), trade(2), trade(7)}, Quotes: []engine.MarketID{9, 2}, Markets: []engine.MarketID{3, 9}}
	if got := fmt.Sprint(n.About()); got != "[mkt_2 mkt_3 mkt_7 mkt_9]" {
		t.Errorf("it is about %s", got)
	}
}

// taker is a client that takes everything.
type taker struct {
	*httptest.ResponseRecorder
	writes int
}

func (t *taker) SetWriteDeadline(time.Time) error { return nil }
func (t *taker) Write(b []byte) (int, error)      { t.writes++; return t.ResponseRecorder.Write(b) }
func (t *taker) FlushError() error                { return nil }

// TestSendAll: whatever their sizes, all frames go out, in order, and in as few writes as
// pieces have room for.
func TestSendAll(t *testing.T) {
	for _, c := range []struct {
		sizes  []int
		writes int
	}{
		{[]int{10, 20}, 1},
		{[]int{4000, 96}, 1},
		{[]int{4000, 97}, 1},
		{[]int{10_000, 6384, 1}, 1},
		{[]int{Piece / 2, Piece / 2}, 1},
		{[]int{Piece / 2, Piece/2 + 1}, 2},
		{[]int{1, Piece, 1}, 3},
		{[]int{5, 2*Piece + 1, 5}, 5},
		{[]int{300 << 10}, 5},
	} {
		var frames []*hub.Frame
		var want []byte
		for i, n := range c.sizes {
			text := bytes.Repeat([]byte{byte('a' + i)}, n)
			frames, want = append(frames, &hub.Frame{Text: text}), append(want, text...)
		}
		to := &taker{ResponseRecorder: httptest.NewRecorder()}
		if !SendAll(to, frames) || !bytes.Equal(to.Body.Bytes(), want) {
			t.Errorf("%v: %d bytes came of %d", c.sizes, to.Body.Len(), len(want))
		}
		if to.writes != c.writes {
			t.Errorf("%v: %d writes, want %d", c.sizes, to.writes, c.writes)
		}
	}
}
