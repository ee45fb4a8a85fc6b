package webhook

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/news"
)

const (
	// maxEvents and maxBytes bound a message: what has come until then goes out. The
	// events of one decision stay together, which are at most maxEvents more.
	maxEvents = 500
	maxBytes  = 256 << 10
)

// Message is the body of a request. It is the same whenever it is sent.
type Message struct {
	Type    string           `json:"type"`      // events
	At      engine.Time      `json:"timestamp"` // of the last decision in it
	Webhook engine.WebhookID `json:"webhook"`
	First   engine.Seq       `json:"first_seq"` // of the first decision in it
	Last    engine.Seq       `json:"last_seq"`
	Events  []Event          `json:"events"`
}

// Event is something that a decision made true. Its data is the document of the
// stream for a trade, and that of a decision's event for the others.
type Event struct {
	Seq  engine.Seq      `json:"seq"`
	Type string          `json:"type"`
	At   engine.Time     `json:"decided_at"`
	Data json.RawMessage `json:"data"`
}

// trade is the word of what the stream calls so.
const trade = "trade"

// test is the word of an event that somebody asked for.
const test = "test"

// tell returns what a decision tells a webhook. It looks at the decision alone, so
// that a replay tells the same.
func tell(w *engine.Webhook, d *engine.Decision) (out []Event, err error) {
	for _, e := range d.Events {
		word, market, doc := look(d, e)
		if set, is := e.(*engine.WebhookSet); is && set.Change == engine.WebhookTest && set.Webhook.ID == w.ID {
			word, doc = test, struct {
				Webhook engine.WebhookID `json:"webhook"`
			}{w.ID}
		} else if !wants(w, word, market) {
			continue
		}
		b, err := json.Marshal(doc)
		if err != nil {
			return nil, fmt.Errorf("encode %s of decision %d: %w", word, d.Seq, err)
		}
		out = append(out, Event{d.Seq, word, d.At, b})
	}
	return out, nil
}

// wants reports whether a webhook asked for an event.
func wants(w *engine.Webhook, word string, market engine.MarketID) bool {
	return word != "" && (len(w.Events) == 0 || slices.Contains(w.Events, word)) &&
		(len(w.Markets) == 0 || slices.Contains(w.Markets, market))
}

// look returns the word of an event, the market that it is about, 0 for none, and its
// document; no word if webhooks are not told of it.
func look(d *engine.Decision, e engine.Event) (word string, market engine.MarketID, doc any) {
	switch x := e.(type) {
	case *engine.OrderFilled:
		if x.Shares == 0 {
			return "", 0, nil
		}
		return trade, x.Market, news.TradeOf(d, x)
	case *engine.MarketOpened:
		market = x.Market
	case *engine.MarketStateChanged:
		market = x.Market
	case *engine.CloseChanged:
		market = x.Market
	case *engine.GuardTripped:
		market = x.Market
	case *engine.Cooled:
		market = x.Market
	case *engine.ResolutionProposed:
		market = x.Market
	case *engine.ResolutionApproved:
		market = x.Market
	case *engine.ResolutionRejected:
		market = x.Market
	case *engine.ResolutionDisputed:
		market = x.Market
	case *engine.SettlementStarted:
		market = x.Market
	case *engine.SLABreached:
		market = x.Market
	case *engine.ModeSet, *engine.DeadlinesSet:
	default:
		return "", 0, nil
	}
	return e.Type(), market, e
}
