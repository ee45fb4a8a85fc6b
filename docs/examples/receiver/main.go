// Command receiver is an example: an endpoint that a server tells of trades, in less
// than sixty lines. It promises to print each event once, whatever comes again; it
// refuses messages that its secret did not sign, and old ones.
//
//	mbp webhook add https://hooks.example.org/mbp --secret-file hook.secret
//	MBP_WEBHOOK_SECRET=$(cat hook.secret) go run ./docs/examples/receiver 127.0.0.1:8080
//
// The form is that of the Standard Webhooks specification.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
)

const maxBody = 1 << 20 // bytes; a message has some 300 kB at most

// receiver prints events as they come. Messages come in order and at least once, so
// the last sequence is all that has to be kept; keep it where what is made of the
// events is kept, in one transaction.
func receiver(secret string, out io.Writer) http.HandlerFunc {
	var mu sync.Mutex
	var last engine.Seq
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil || client.VerifyWebhook(r.Header, body, secret) != nil {
			http.Error(w, "not from the server", http.StatusUnauthorized)
			return
		}
		var m client.WebhookMessage
		if err := json.Unmarshal(body, &m); err != nil {
			http.Error(w, "not a message", http.StatusBadRequest)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		for _, e := range m.Events {
			if e.Seq > last {
				fmt.Fprintf(out, "%d %s %s\n", e.Seq, e.Type, e.Data)
			}
		}
		last = max(last, m.Last) // the events of one decision are in one message
	}
}

func main() {
	s := http.Server{Addr: os.Args[1], Handler: receiver(os.Getenv("MBP_WEBHOOK_SECRET"), os.Stdout), ReadTimeout: 10 * time.Second}
	log.Fatal(s.ListenAndServe())
}
