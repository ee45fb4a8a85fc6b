package httpapi

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mbp-market/mbp/engine/httpapi/client"
)

const (
	badRequest   = "400 Bad Request"
	tooLarge     = "431 Request Header Fields Too Large"
	plainHeaders = "\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"
)

// plain are the refusals of net/http itself, before there is a request that a handler
// could answer: the name of a wild request, and the status line and the body that a
// client gets. They are the words of the library and repeat nothing of the request.
// docs/spec/edge.md says why they are no problem documents.
var plain = map[string][2]string{
	"no HTTP": {badRequest, badRequest}, "a greeting of TLS": {badRequest, badRequest}, "no version": {badRequest, badRequest},
	"another version":            {"505 HTTP Version Not Supported: unsupported protocol version", "505 HTTP Version Not Supported: unsupported protocol version"},
	"no host":                    {"400 Bad Request: missing required Host header", "400 Bad Request: missing required Host header"},
	"a space before the colon":   {"400 Bad Request: missing required Host header", "400 Bad Request: missing required Host header"},
	"a space in a header's name": {"400 Bad Request: invalid header name", "400 Bad Request: invalid header name"},
	"two hosts":                  {badRequest, badRequest}, "a zero in a header": {badRequest, badRequest}, "a broken escape": {badRequest, badRequest},
	"two lengths": {badRequest, badRequest}, "a negative length": {badRequest, badRequest}, "a length of words": {badRequest, badRequest},
	"a length without end": {badRequest, badRequest},
	"a header of 20 KB":    {tooLarge, tooLarge}, "headers of 2 MB": {tooLarge, tooLarge}, "an address of 1 MB": {tooLarge, tooLarge},
	"chunks twice": {"501 Not Implemented", "Unsupported transfer encoding"}, "another coding": {"501 Not Implemented", "Unsupported transfer encoding"},
	"chunks and another coding": {"501 Not Implemented", "Unsupported transfer encoding"},
}

// noExpectation is the refusal of an expectation: by the library, too, and without words.
const noExpectation = "an expectation that nobody has"

// TestOnlyNoHTTPIsRefusedInPlainWords: of everything that can be sent, what net/http
// refuses before there is a request gets its plain words, byte for byte those pinned
// here, and the end of the connection; every other refusal is a problem document.
func TestOnlyNoHTTPIsRefusedInPlainWords(t *testing.T) {
	e := start(t, options{})
	address, words := strings.TrimPrefix(e.url, "http://"), 0
	for _, w := range wild {
		raw := []byte(strings.ReplaceAll(w.raw, "KEY", e.admin))
		want, pinned := plain[w.name]
		if !pinned {
			for _, r := range exchange(t, address, raw, w.half) {
				if r.status >= 400 && r.header.Get("Content-Type") != "application/problem+json" && w.name != noExpectation {
					t.Errorf("%s: %d in plain words: %v %s", w.name, r.status, r.header, r.body)
				}
				if w.name == noExpectation && r.body != "" {
					t.Errorf("%s: %q", w.name, r.body)
				}
			}
			continue
		}
		words++
		if got := bytesOf(t, address, raw); got != "HTTP/1.1 "+want[0]+plainHeaders+want[1] {
			t.Errorf("%s: %q", w.name, got)
		}
	}
	if words != len(plain) {
		t.Errorf("%d of %d pinned answers were looked at", words, len(plain))
	}
}

// TestPlainHTTPToTLS: who forgets the s is told so, in plain words.
func TestPlainHTTPToTLS(t *testing.T) {
	e := start(t, options{idle: true})
	server := httptest.NewUnstartedServer(e.api)
	server.Config = NewServer(e.api, slog.New(slog.DiscardHandler))
	server.StartTLS()
	defer server.Close()
	got := bytesOf(t, server.Listener.Addr().String(), []byte("GET /v1/me HTTP/1.1\r\nHost: x\r\n\r\n"))
	if got != "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n" {
		t.Errorf("%q", got)
	}
}

// bytesOf sends bytes to the server and returns all that comes back until it closes the
// connection.
func bytesOf(t *testing.T, address string, raw []byte) string {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(wildWait)); err != nil {
		t.Fatal(err)
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_, _ = conn.Write(raw) // the server may stop reading
	}()
	b, err := io.ReadAll(conn)
	if err != nil && len(b) == 0 { // it may be reset behind the answer
		t.Errorf("%.100q: %v", raw, err)
	}
	conn.Close()
	<-sent
	return string(b)
}

// TestClientOfPlainWords: a client that meets a refusal in plain words has the status, and
// does not try again what cannot get better.
func TestClientOfPlainWords(t *testing.T) {
	e := start(t, options{})
	c, err := client.New(e.url, strings.Repeat("k", 20<<10))
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Me(t.Context())
	var p *client.Problem
	if !errors.As(err, &p) || p.Status != http.StatusRequestHeaderFieldsTooLarge || p.Code != "http_431" || !strings.Contains(p.Error(), "Request Header Fields Too Large") {
		t.Errorf("%v", err)
	}
}
