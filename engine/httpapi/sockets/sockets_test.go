package sockets_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/mbp-market/mbp/engine/httpapi/sockets"
	"github.com/mbp-market/mbp/tests/idp"
)

// serve runs a server with so many connections and returns its address.
func serve(t *testing.T, most int, h http.HandlerFunc) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(h)
	s.Listener.Close()
	s.Config.ConnState = sockets.State
	s.Listener = sockets.Limit(l, most)
	s.Start()
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// ask sends a request on a connection and reads the answer.
func ask(conn net.Conn) (string, error) {
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return "", err
	}
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return string(b), err
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// TestIdleConnectionsMakeRoom: those who keep connections and ask nothing keep
// nobody out, and the process never has more of them than the limit.
func TestIdleConnectionsMakeRoom(t *testing.T) {
	addr := serve(t, 4, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "hello") })
	var conns []net.Conn
	for i := range 20 {
		conn := dial(t, addr)
		if got, err := ask(conn); err != nil || got != "hello" {
			t.Fatalf("connection %d: %q %v", i, got, err)
		}
		conns = append(conns, conn)
	}
	open := 0
	for _, conn := range conns {
		if _, err := ask(conn); err == nil {
			open++
		} else if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal("a connection is neither open nor closed")
		}
	}
	if open < 1 || open > 4 {
		t.Errorf("%d connections are open, the limit is 4", open)
	}
}

// TestSilentConnectionsMakeRoom: those who open connections and never send a
// whole header keep nobody out either, and who has waited longest goes first.
func TestSilentConnectionsMakeRoom(t *testing.T) {
	const most = 4
	addr := serve(t, most, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "hello") })
	var silent []net.Conn
	for i := range 5 * most {
		conn := dial(t, addr)
		if i%2 == 1 {
			fmt.Fprint(conn, "GET / HT")
		}
		silent = append(silent, conn)
	}
	begin := time.Now()
	if got, err := ask(dial(t, addr)); err != nil || got != "hello" {
		t.Fatalf("%q %v after %s", got, err, time.Since(begin))
	}
	for i, conn := range silent[:4*most] {
		if _, err := ask(conn); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("silent connection %d of %d: %v", i, len(silent), err)
		}
	}
}

// TestBusyConnectionsAreLimited: a connection over the limit waits until another
// one is done, and those at work go on.
func TestBusyConnectionsAreLimited(t *testing.T) {
	const most = 3
	var busy, over atomic.Int32
	enough := make(chan struct{})
	addr := serve(t, most, func(w http.ResponseWriter, r *http.Request) {
		if busy.Add(1) > most {
			over.Add(1)
		}
		<-enough
		busy.Add(-1)
		_, _ = io.WriteString(w, "done")
	})
	var wg sync.WaitGroup
	for range 5 * most {
		conn := dial(t, addr)
		wg.Go(func() {
			if got, err := ask(conn); err != nil || got != "done" {
				t.Errorf("%q %v", got, err)
			}
			conn.Close()
		})
	}
	for end := time.Now().Add(10 * time.Second); busy.Load() < most; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the places are not taken")
		}
	}
	close(enough)
	wg.Wait()
	if over.Load() != 0 {
		t.Errorf("%d requests came over the limit", over.Load())
	}
}

// TestUntil: after the last time no connection reads or writes, whatever deadline
// the server gives it.
func TestUntil(t *testing.T) {
	raw, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := sockets.Limit(raw, 2)
	defer l.Close()
	accept := func() net.Conn {
		dial(t, raw.Addr().String())
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	before := accept()
	begin := time.Now()
	l.Until(begin.Add(100 * time.Millisecond))
	after := accept()
	room := make([]byte, 1<<20)
	for i, set := range []func(time.Time) error{before.SetReadDeadline, before.SetWriteDeadline, before.SetDeadline, after.SetDeadline, nil} {
		for _, deadline := range []time.Time{{}, begin.Add(time.Hour)} {
			if set != nil {
				if err := set(deadline); err != nil {
					t.Fatal(err)
				}
			}
			for _, conn := range []net.Conn{before, after} {
				_, err := conn.Read(room)
				for wrote := error(nil); wrote == nil; _, wrote = conn.Write(room) {
				}
				if !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("after setter %d: %v", i, err)
				}
			}
		}
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
}

// TestFullListenerEnds: a server that is full can be shut down.
func TestFullListenerEnds(t *testing.T) {
	raw, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := sockets.Limit(raw, 1)
	dial(t, raw.Addr().String())
	first, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	dial(t, raw.Addr().String())
	done := make(chan error)
	go func() { _, err := l.Accept(); done <- err }()
	l.Close()
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Errorf("%v", err)
	}
}

// TestIdleBehindTLS: a connection of a TLS server that does nothing gives its place
// to one that comes.
func TestIdleBehindTLS(t *testing.T) {
	cert, key := idp.Certificate(t, t.TempDir(), 1, time.Now().Add(time.Hour))
	raw, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }), ConnState: sockets.State, ReadHeaderTimeout: time.Minute,
	}
	go func() { _ = server.ServeTLS(sockets.Limit(raw, 2), cert, key) }()
	t.Cleanup(func() { server.Close() })
	for i := range 6 { // each client keeps its connection
		client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
		res, err := client.Get("https://" + raw.Addr().String())
		if err != nil {
			t.Fatalf("client %d: %v", i, err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		res.Body.Close()
		defer client.CloseIdleConnections()
	}
}

// TestNarrow: what a client does not read is kept within the bound, by TLS or not, and
// on a connection of another listener, too; the writer waits.
func TestNarrow(t *testing.T) {
	const narrow, most = 64 << 10, 1 << 20
	wrote := make(chan int, 1)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sockets.Narrow(r.Context(), narrow)
		out := http.NewResponseController(w)
		n := 0
		for chunk := make([]byte, 16<<10); n < 64*most; {
			if out.SetWriteDeadline(time.Now().Add(200*time.Millisecond)) != nil {
				break
			}
			k, err := w.Write(chunk)
			if n += k; err != nil || out.Flush() != nil {
				break
			}
		}
		wrote <- n
	})
	for what, begin := range map[string]func(*httptest.Server){"plain": (*httptest.Server).Start, "TLS": (*httptest.Server).StartTLS} {
		s := httptest.NewUnstartedServer(handler)
		if what == "plain" {
			s.Listener = sockets.Limit(s.Listener, 8)
			s.Config.ConnState = sockets.State
		}
		s.Config.ConnContext = sockets.Context
		begin(s)
		d := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) (err error) {
			return raw.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4<<10) })
		}}
		client := s.Client()
		client.Transport.(*http.Transport).DialContext = d.DialContext
		res, err := client.Get(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		if n := <-wrote; n > most {
			t.Errorf("%s: %d bytes were written and not read", what, n)
		}
		res.Body.Close()
		s.Close()
	}
}
