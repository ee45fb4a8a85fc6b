package webhook

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mbp-market/mbp/engine"
)

func attempt(n int) Attempt {
	return Attempt{At: time.UnixMicro(int64(n)).UTC(), First: engine.Seq(n), Last: engine.Seq(n + 1), Attempt: n, Status: 503, Millis: 7}
}

func reopened(t *testing.T, dir string) *logs {
	t.Helper()
	l, err := openLogs(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.close)
	return l
}

// lastOf are the numbers of the attempts that are known of an endpoint, the newest first.
func lastOf(l *logs, id engine.WebhookID) (numbers []int) {
	for _, a := range l.newest(id) {
		numbers = append(numbers, a.Attempt)
	}
	return numbers
}

// newestFirst are numbers from one down to one more than another.
func newestFirst(from, to int) (out []int) {
	for n := from; n > to; n-- {
		out = append(out, n)
	}
	return out
}

// TestAttemptsAreBounded: the newest hundred are known, in this life and in the next, and
// the file never has more than twice as many.
func TestAttemptsAreBounded(t *testing.T) {
	dir := t.TempDir()
	l := reopened(t, dir)
	most := 3*maxLines + 17
	if testing.Short() {
		most = maxLines + 17
	}
	for n := 1; n <= most; n++ {
		l.add(5, attempt(n))
		l.add(6, attempt(n)) // each has its own
		if n%71 == 0 {
			l.close()
			l = reopened(t, dir)
		}
		if want := newestFirst(n, max(0, n-keptAttempts)); !slices.Equal(lastOf(l, 5), want) {
			t.Fatalf("after %d: %v", n, lastOf(l, 5))
		}
		b, err := os.ReadFile(l.name(5))
		if err != nil || bytes.Count(b, []byte("\n")) > maxLines || len(b) > maxLog {
			t.Fatalf("after %d: %v, %d bytes", n, err, len(b))
		}
	}
	if got := l.newest(5)[0]; got != attempt(most) {
		t.Errorf("%+v", got)
	}
}

// TestTornAttempt: of a file that ends anywhere, or has garbage in it, the whole attempts
// before that are known, and the next one is not read with what was torn.
func TestTornAttempt(t *testing.T) {
	dir := t.TempDir()
	l := reopened(t, dir)
	var ends []int
	for n := 1; n <= 4; n++ {
		l.add(5, attempt(n))
		info, err := os.Stat(l.name(5))
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, int(info.Size()))
	}
	l.close()
	whole, err := os.ReadFile(l.name(5))
	if err != nil {
		t.Fatal(err)
	}
	try := func(b []byte, known int) {
		t.Helper()
		if err := os.WriteFile(l.name(5), b, 0o600); err != nil {
			t.Fatal(err)
		}
		l := reopened(t, dir)
		if !slices.Equal(lastOf(l, 5), newestFirst(known, 0)) {
			t.Fatalf("of %d bytes: %v, want %d", len(b), lastOf(l, 5), known)
		}
		l.add(5, attempt(known+1))
		l.close()
		if again := reopened(t, dir); !slices.Equal(lastOf(again, 5), newestFirst(known+1, 0)) {
			t.Fatalf("of %d bytes and one more: %v", len(b), lastOf(again, 5))
		}
	}
	step := 1
	if testing.Short() {
		step = 23
	}
	for n := 0; n < len(whole); n += step {
		known := 0
		for _, end := range ends {
			if n >= end {
				known++
			}
		}
		try(whole[:n], known)
	}
	try(slices.Concat(whole[:ends[1]], make([]byte, 50), whole[ends[1]:]), 2) // as a power loss may leave it
}

// TestNoAttempts: a webhook that was told nothing yet has a list of attempts, which is
// empty, as the contract says.
func TestNoAttempts(t *testing.T) {
	h := open(t)
	id := h.add(engine.AddWebhook{URL: "http://127.0.0.1:9/", Events: []string{"trade"}})
	x, stop := h.deliver(nil)
	defer stop()
	for {
		if s, known := x.Status(id); known {
			if s.Attempts == nil || len(s.Attempts) != 0 {
				t.Errorf("attempts %#v", s.Attempts)
			}
			return
		}
		runtime.Gosched()
	}
}

// TestAttemptsGoWithTheirWebhook: they are there for one that has failed and for the next
// life, and are gone with the webhook, also with one that went while nobody ran.
func TestAttemptsGoWithTheirWebhook(t *testing.T) {
	h := open(t)
	r := receive(t, func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	defer r.Close()
	id, dir := h.add(engine.AddWebhook{URL: r.URL, Events: []string{"trade"}}), t.TempDir()
	inDir := func(c *Config) { c.Dir = dir }
	x, stop := h.deliver(inDir)
	h.buy(0)
	h.fails(id)
	var before []Attempt
	for len(before) < quick.Attempts {
		s, _ := x.Status(id)
		before = s.Attempts
	}
	stop()
	if _, known := x.Status(99); known {
		t.Error("a webhook that nobody has is known")
	}
	x, stop = h.deliver(inDir)
	at, found := x.Find(id)
	if !found || at.State != engine.WebhookFailed || at.Delivery == nil || !slices.Equal(at.Delivery.Attempts, before) || at.Delivery.Failures != 0 {
		t.Errorf("after a restart: %+v, before %+v", at.Delivery, before)
	}
	name := filepath.Join(dir, id.String()+logSuffix)
	if _, err := os.Stat(name); err != nil {
		t.Error(err)
	}
	h.change(id, engine.WebhookRemoved, 0)
	gone := func() bool { _, err := os.Stat(name); return os.IsNotExist(err) }
	for begun := time.Now(); !gone(); {
		if time.Since(begun) > 10*time.Second {
			t.Fatal("the attempts are still there")
		}
		<-time.After(time.Millisecond)
	}
	stop()
	if err := os.WriteFile(name, nil, 0o600); err != nil { // as from a life that ended before it could
		t.Fatal(err)
	}
	_, stop = h.deliver(inDir)
	for begun := time.Now(); !gone(); {
		if time.Since(begun) > 10*time.Second {
			t.Fatal("the attempts of a webhook that went meanwhile are still there")
		}
		<-time.After(time.Millisecond)
	}
	stop()
}

// TestAttemptsOnABadDisk: what cannot be written is remembered all the same, said once,
// and written once that is possible.
func TestAttemptsOnABadDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "webhooks")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	l, err := openLogs(dir, slog.New(slog.NewTextHandler(&said, nil)))
	if err != nil {
		t.Fatal(err)
	}
	l.add(5, attempt(1))
	l.close()
	l.of_[5].close()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	for n := 2; n <= 4; n++ {
		l.add(5, attempt(n))
	}
	if !slices.Equal(lastOf(l, 5), newestFirst(4, 0)) {
		t.Errorf("%v", lastOf(l, 5))
	}
	if n := strings.Count(said.String(), "not written down"); n < 1 || n > 2 {
		t.Errorf("it is said %d times: %s", n, said.String())
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	l.add(5, attempt(5))
	l.close()
	if again := reopened(t, dir); !slices.Equal(lastOf(again, 5), newestFirst(5, 0)) {
		t.Errorf("%v", lastOf(again, 5))
	}
	if _, err := openLogs(fmt.Sprint(dir, "/absent"), l.log); err == nil {
		t.Error("a folder that is not there opens")
	}
}
