package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mbp-market/mbp/engine/webhook/sign"
)

// TestReceiver: each event is printed once, in order, and only of the server.
func TestReceiver(t *testing.T) {
	var out bytes.Buffer
	secret := bytes.Repeat([]byte{7}, 32)
	h := receiver(sign.Text(secret), &out)
	send := func(body string, change func(*http.Request)) int {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		sign.Put(r.Header, "whk_5-1-2", time.Now(), []byte(body), secret)
		if change != nil {
			change(r)
		}
		w := httptest.NewRecorder()
		h(w, r)
		return w.Code
	}
	const first = `{"type":"events","webhook":"whk_5","first_seq":6,"last_seq":7,"events":[{"seq":6,"type":"trade","data":{"a":1}},{"seq":6,"type":"cooled","data":{}},{"seq":7,"type":"trade","data":{}}]}`
	const again = `{"type":"events","webhook":"whk_5","first_seq":7,"last_seq":8,"events":[{"seq":7,"type":"trade","data":{}},{"seq":8,"type":"test","data":{}}]}`
	for i, body := range []string{first, first, again} {
		if code := send(body, nil); code != http.StatusOK {
			t.Errorf("message %d: %d", i, code)
		}
	}
	if code := send(first, func(r *http.Request) { r.Header.Set(sign.HeaderID, "other") }); code != http.StatusUnauthorized {
		t.Errorf("a forged message: %d", code)
	}
	if code := send("[]", nil); code != http.StatusBadRequest {
		t.Errorf("no message: %d", code)
	}
	if want := "6 trade {\"a\":1}\n6 cooled {}\n7 trade {}\n8 test {}\n"; out.String() != want {
		t.Errorf("printed\n%swant\n%s", out.String(), want)
	}
}
