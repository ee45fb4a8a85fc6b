package httpapi

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/problem"
)

// internals are what no answer may show: stacks, files, addresses of memory,
// and the words of the libraries that were used.
var internals = regexp.MustCompile(`goroutine \d|\.go:\d|panic:|runtime error|/(root|home|tmp|usr|work)/|github\.com|net/http|encoding/|strconv\.|json: |EOF|i/o timeout|0x[0-9a-f]{6}|mbp_[A-Za-z0-9_-]{43}`)

// wildWait bounds one exchange of a test.
const wildWait = 10 * time.Second

// exchange writes bytes to the server as they are and returns the answers: none if
// it closed the connection. Whoever sends nonsense may be cut off in the middle of
// it, which is not an error of the exchange. The end of what is sent is told at once
// if half is set, else with the first answer: a client whose end comes before its
// answer has left, and may get none.
func exchange(t testing.TB, address string, raw []byte, half bool) (answers []reply) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(wildWait)); err != nil {
		t.Fatal(err)
	}
	var sent sync.WaitGroup
	sent.Go(func() {
		_, _ = conn.Write(raw) // the server may stop reading
		if half {
			_ = conn.(*net.TCPConn).CloseWrite()
		}
	})
	defer sent.Wait()
	in := bufio.NewReader(conn)
	for range 16 { // a line of requests ends
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%.200q: no answer and no end within %s", raw, wildWait)
			}
			break
		}
		b, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
		if err == nil {
			answers = append(answers, reply{res.StatusCode, res.Header, string(b)})
		}
		if len(answers) == strings.Count(string(raw), "HTTP/1.1\r\n") || res.Close { // the rest is silence
			_ = conn.(*net.TCPConn).CloseWrite()
		}
	}
	return answers
}

// unharmed judges an answer to anything: no failure of the server, nothing of its
// insides, and below /v1 a problem document that says what was wrong. 501 and 505
// are the server library's refusals of another transfer coding and of another
// version of HTTP, before there is a request.
func unharmed(t testing.TB, raw []byte, r reply) {
	t.Helper()
	if r.status >= 500 && r.status != http.StatusNotImplemented && r.status != http.StatusHTTPVersionNotSupported {
		t.Errorf("%.200q: %d %s", raw, r.status, r.body)
	}
	if m := internals.FindString(r.body + fmt.Sprint(r.header)); m != "" {
		t.Errorf("%.200q: the answer shows %q: %v %s", raw, m, r.header, r.body)
	}
	if r.header.Get("Content-Type") == "application/problem+json" {
		var p problem.Document
		if err := json.Unmarshal([]byte(r.body), &p); err != nil || p.Code == "" || p.Status != r.status || len(p.Detail) > 512 {
			t.Errorf("%.200q: %d %s: %v", raw, r.status, r.body, err)
		}
	}
}

// wild are requests as nobody should send them; KEY stands for a valid secret. The
// second part is what the last answer says: a status, or 0 for an end without one.
// Those whose end is what is wrong with them say so.
var wild = []struct {
	name, raw string
	status    int
	half      bool
}{
	{"nothing", "", 0, true},
	{"no HTTP", "hello\r\n\r\n", 400, true},
	{"a greeting of TLS", "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03", 400, true},
	{"another version", "GET /v1/me HTTP/3.0\r\nHost: x\r\n\r\n", 505, true},
	{"no version", "GET /v1/me\r\n\r\n", 400, true},
	{"no host", "GET /v1/me HTTP/1.1\r\n\r\n", 400, false},
	{"two hosts", "GET /v1/me HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400, false},
	{"a space in a header's name", "GET /v1/me HTTP/1.1\r\nHost: x\r\nA b: c\r\n\r\n", 400, false},
	{"a space before the colon", "GET /v1/me HTTP/1.1\r\nHost : x\r\n\r\n", 400, false},
	{"a zero in a header", "GET /v1/me HTTP/1.1\r\nHost: x\r\nA: \x00\r\n\r\n", 400, false},
	{"a folded header", "GET /v1/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer\r\n KEY\r\n\r\n", 200, false},
	{"a header of 20 KB", "GET /v1/me HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("a", 20<<10) + "\r\n\r\n", 431, false},
	{"headers of 2 MB", "GET /v1/me HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("A: b\r\n", 300_000) + "\r\n", 431, false},
	{"an address of 1 MB", "GET /v1/markets/" + strings.Repeat("m", 1<<20) + " HTTP/1.1\r\nHost: x\r\n\r\n", 431, false},
	{"a broken escape", "GET /v1/markets/%zz HTTP/1.1\r\nHost: x\r\n\r\n", 400, false},
	{"an escaped slash", "GET /v1/markets/a%2fb HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer KEY\r\n\r\n", 400, false},
	{"out of the tree", "GET /v1/../../etc/passwd HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer KEY\r\n\r\n", 307, false},
	{"out of the tree, escaped", "GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", 404, false},
	{"bytes that are no UTF-8", "GET /v1/markets/\xff\xfe HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer KEY\r\n\r\n", 400, false},
	{"an unknown method", "BREW /v1/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer KEY\r\n\r\n", 405, false},
	{"a proxy's request", "CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\n\r\n", 404, false},
	{"another site's address", "GET http://example.com/v1/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer KEY\r\n\r\n", 200, false},
	{"two authorizations", "GET /v1/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer KEY\r\nAuthorization: Bearer KEY\r\n\r\n", 401, false},
	{"two lengths", wildPost("Content-Length: 2\r\nContent-Length: 3\r\n", "{}"), 400, false},
	{"a negative length", wildPost("Content-Length: -1\r\n", "{}"), 400, false},
	{"a length of words", wildPost("Content-Length: two\r\n", "{}"), 400, false},
	{"a length without end", wildPost("Content-Length: 99999999999999999999\r\n", "{}"), 400, false},
	{"a length beyond the body", wildPost("Content-Length: 200\r\n", "{}"), 400, true},
	{"a length of 4 GB", wildPost("Content-Length: 4294967296\r\n", "{}"), 400, true},
	{"length and chunks", wildPost("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", "2\r\n{}\r\n0\r\n\r\n"), 400, false},
	{"chunks twice", wildPost("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 501, false},
	{"another coding", wildPost("Transfer-Encoding: gzip\r\n", "{}"), 501, false},
	{"chunks and another coding", wildPost("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), 501, false},
	{"a chunk of no size", wildPost("Transfer-Encoding: chunked\r\n", "x\r\n{}\r\n0\r\n\r\n"), 400, true},
	{"a chunk of all sizes", wildPost("Transfer-Encoding: chunked\r\n", "ffffffffffffffffff\r\n{}\r\n"), 400, true},
	{"a chunk that is longer", wildPost("Transfer-Encoding: chunked\r\n", "1\r\n{}\r\n0\r\n\r\n"), 400, false},
	{"a chunk with a long extension", wildPost("Transfer-Encoding: chunked\r\n", "2;"+strings.Repeat("x", 1<<16)+"\r\n{}\r\n0\r\n\r\n"), 400, true},
	{"chunks without end", wildPost("Transfer-Encoding: chunked\r\n", "2\r\n{}\r\n"), 400, true},
	{"70,000 chunks of a byte", wildPost("Transfer-Encoding: chunked\r\n", strings.Repeat("1\r\n \r\n", 70_000)+"2\r\n{}\r\n0\r\n\r\n"), 413, false},
	{"a body of 1 MB", sized(strings.Repeat(" ", 1<<20)), 413, false},
	{"a compressed body", wildPost("Content-Encoding: gzip\r\nContent-Length: 2\r\n", "\x1f\x8b"), 400, false},
	{"an empty body", sized(""), 400, false},
	{"no JSON", sized("amount_micros=1"), 400, false},
	{"half of JSON", sized(`{"amount_micros":`), 400, false},
	{"two bodies", sized(`{"amount_micros":1}{"amount_micros":1}`), 400, false},
	{"a name twice", sized(`{"amount_micros":1,"amount_micros":2}`), 400, false},
	{"a name twice, escaped", sized(`{"amount_micros":1,"amount\u005fmicros":2}`), 400, false},
	{"60,000 levels", sized(strings.Repeat("[", 60_000)), 400, false},
	{"20,000 members", sized("{" + strings.Repeat(`"a":1,`, 10_000) + `"b":1}`), 400, false},
	{"a number of 60,000 digits", sized(`{"amount_micros":` + strings.Repeat("9", 60_000) + `}`), 400, false},
	{"a number of a large exponent", sized(`{"amount_micros":1e999999999}`), 400, false},
	{"a number that is none", sized(`{"amount_micros":NaN}`), 400, false},
	{"no UTF-8", sized("{\"amount_micros\":\"\xff\xfe\xfd\"}"), 400, false},
	{"half a surrogate pair", sized(`{"amount_micros":"\ud800"}`), 400, false},
	{"a mark of byte order", sized("\xef\xbb\xbf{\"amount_micros\":1}"), 400, false},
	{"UTF-16", sized("{\x00\"\x00a\x00\"\x00:\x001\x00}\x00"), 400, false},
	{"zeros", sized(strings.Repeat("\x00", 1000)), 400, false},
	{"control characters in a name", sized("{\"\\u0000\\u001b[31m\":1}"), 400, false},
	{"another type of body", typed("text/plain", "{}"), 415, false},
	{"a form", typed("application/x-www-form-urlencoded", "amount_micros=1"), 415, false},
	{"parts", typed("multipart/form-data; boundary=x", "--x--"), 415, false},
	{"another charset", typed("application/json; charset=utf-16", "{}"), 415, false},
	{"a type that is none", typed(";;;", "{}"), 415, false},
	{"JSON of another kind", typed("application/ld+json", "{}"), 415, false},
	{"no idempotency key", "POST /v1/accounts/acc_1/grants HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer KEY\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}", 400, false},
	{"a second request behind a refused one", sized("x") + "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 200, false},
	{"an expectation that nobody has", wildPost("Expect: miracles\r\nContent-Length: 2\r\n", "{}"), 417, false},
	{"an upgrade", "GET /v1/stream HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", 401, false},
}

// wildPost is a mutation with headers of its own.
func wildPost(headers, body string) string {
	return "POST /v1/accounts/acc_1/grants HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer KEY\r\nContent-Type: application/json\r\nIdempotency-Key: w\r\n" + headers + "\r\n" + body
}

func sized(body string) string {
	return wildPost(fmt.Sprintf("Content-Length: %d\r\n", len(body)), body)
}

func typed(kind, body string) string {
	return strings.Replace(sized(body), "application/json", kind, 1)
}

// TestWildRequests sends each of them over a connection of its own: the server
// answers as it should, shows nothing of itself, and decides nothing.
func TestWildRequests(t *testing.T) {
	e := start(t, options{})
	e.funded(1000)
	before, address := e.seq.Durable(), strings.TrimPrefix(e.url, "http://")
	for _, w := range wild {
		raw := []byte(strings.ReplaceAll(w.raw, "KEY", e.admin))
		answers := exchange(t, address, raw, w.half)
		last := reply{}
		for _, last = range answers {
			unharmed(t, raw, last)
		}
		if w.status != last.status {
			t.Errorf("%s: %d %s, want %d", w.name, last.status, last.body, w.status)
		}
	}
	if after := e.seq.Durable(); after != before {
		t.Errorf("%d decisions on nonsense", after-before)
	}
	if logs := e.logs.String(); strings.Contains(logs, `"level":"ERROR"`) || strings.Contains(logs, "panic") || strings.Contains(logs, e.admin) {
		t.Error(logs)
	}
}

// FuzzEdge sends arbitrary bytes, and arbitrary bodies to arbitrary routes, to a
// real listener.
func FuzzEdge(f *testing.F) {
	for _, w := range wild {
		if len(w.raw) < 4096 { // the long ones are only long
			f.Add([]byte(w.raw), uint8(0), "application/json", "{}")
		}
	}
	f.Add([]byte(nil), uint8(7), "application/json", buyTen)
	f.Add([]byte(nil), uint8(9), "text/plain", "\xff")
	e := start(f, options{})
	f.Fuzz(func(t *testing.T, raw []byte, route uint8, kind, text string) {
		address := strings.TrimPrefix(e.url, "http://")
		routes := e.api.routes()
		r := routes[int(route)%len(routes)]
		path := strings.NewReplacer("{account}", "acc_1", "{market}", "mkt_1", "{order}", "ord_9", "{seq}", "1", "{sha256}", strings.Repeat("ab", 32)).Replace(r.path)
		for _, b := range [][]byte{raw, fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer KEY\r\nIdempotency-Key: f\r\nConnection: close\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s",
			r.method, path, kind, len(text), text)} {
			if r.stream || bytes.Contains(b, []byte("/stream")) {
				continue // it never ends; its own tests have it
			}
			b = bytes.ReplaceAll(b, []byte("KEY"), []byte(e.admin))
			for _, a := range exchange(t, address, b, true) {
				unharmed(t, b, a)
			}
		}
	})
}

// TestHugeBodiesCostNothing: 16 bodies of 64 MB at once are refused with less
// memory than one of them has.
func TestHugeBodiesCostNothing(t *testing.T) {
	const clients, size, most = 16, 64 << 20, 32 << 20
	e := start(t, options{})
	e.funded(1000)
	address, chunk := strings.TrimPrefix(e.url, "http://"), bytes.Repeat([]byte(" "), 64<<10)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			conn, err := net.Dial("tcp", address)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(wildWait))
			length := fmt.Sprintf("Content-Length: %d\r\n", size)
			if i%2 == 1 {
				length = "Transfer-Encoding: chunked\r\n"
			}
			_, err = io.WriteString(conn, strings.ReplaceAll(wildPost(length, ""), "KEY", e.admin))
			for n := 0; err == nil && n < size; n += len(chunk) { // until the server has had enough
				if i%2 == 1 {
					_, err = io.WriteString(conn, "10000\r\n")
				}
				if err == nil {
					_, err = conn.Write(chunk)
				}
				if err == nil && i%2 == 1 {
					_, err = io.WriteString(conn, "\r\n")
				}
			}
			if err == nil {
				t.Errorf("the server read all %d bytes", size)
			}
		})
	}
	wg.Wait()
	e.quiet()
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > most {
		t.Errorf("%d bytes were allocated, more than %d", grown, most)
	}
	if r := e.post("/v1/accounts/acc_1/grants", e.admin, `{"amount_micros":1}`); r.status != http.StatusCreated {
		t.Errorf("the next request: %d %s", r.status, r.body)
	}
}

// TestSlowSendersAreCutOff: 100 clients that send a byte of a header, and 100 that
// send a byte of a body, and then nothing, hold up nobody and are gone in time.
func TestSlowSendersAreCutOff(t *testing.T) {
	const slow = 100
	e := start(t, options{web: func(s *http.Server) { s.ReadHeaderTimeout, s.ReadTimeout = 300*time.Millisecond, 600*time.Millisecond }})
	e.funded(1000)
	trader := e.key("ana", engine.RoleTrader, 1)
	address := strings.TrimPrefix(e.url, "http://")
	var conns []net.Conn
	for i := range 2 * slow {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		begin := "GET /v1/me HTTP/1.1\r\nHost: x\r\nX-Slow: a"
		if i >= slow {
			begin = strings.ReplaceAll(wildPost("Content-Length: 100\r\n", "{"), "KEY", e.admin)
		}
		if _, err := io.WriteString(conn, begin); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
	}
	if r := e.get("/v1/me", trader); r.status != http.StatusOK {
		t.Errorf("a quick client: %d %s", r.status, r.body)
	}
	for i, conn := range conns {
		_ = conn.SetDeadline(time.Now().Add(wildWait))
		said, err := io.ReadAll(conn)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("slow client %d is still there", i)
		}
		if internals.Match(said) || bytes.HasPrefix(said, []byte("HTTP/1.1 5")) {
			t.Errorf("slow client %d: %s", i, said)
		}
	}
}
