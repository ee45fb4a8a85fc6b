package main

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mbp-market/mbp/engine/httpapi/client"
)

// told is a message that an endpoint got.
type told struct {
	raw string // as it can be saved
	client.WebhookMessage
}

// endpoint is a real one, which checks what it gets.
func endpoint(t *testing.T, secretFile string) (url string, got chan told) {
	t.Helper()
	got = make(chan told, 100)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the server was killed
		}
		secret, err := os.ReadFile(secretFile)
		if err == nil {
			err = client.VerifyWebhook(r.Header, body, string(secret))
		}
		if err != nil {
			t.Error(err)
		}
		var head strings.Builder
		_ = r.Header.Write(&head) // a builder takes everything
		m := told{raw: "POST / HTTP/1.1\r\nHost: x\r\n" + head.String() + "\r\n" + string(body)}
		if err := json.Unmarshal(body, &m.WebhookMessage); err != nil {
			t.Error(err)
		}
		got <- m
		<-r.Context().Done() // who sends never learns that it arrived
	}))
	t.Cleanup(s.Close)
	return s.URL, got
}

// TestWebhookSurvivesKill: the server is killed when a message has arrived, and does not
// know it. The next one sends it again, the same to the byte; then it goes on. The verbs
// register, show, verify and rotate.
func TestWebhookSurvivesKill(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	admin, secretFile := filepath.Join(data, adminKeyFile), filepath.Join(dir, "hook.secret")
	url, got := endpoint(t, secretFile)
	p := serveProcess(t, data, "--webhook-networks", "127.0.0.0/8")
	must := func(args ...string) string {
		t.Helper()
		out, err := p.mbp(t, admin, args...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if out := must("webhook", "add", url, "--events", "mode_set", "--secret-file", secretFile); !strings.HasPrefix(out, "whk_2 active") || strings.Contains(out, "whsec") {
		t.Fatal(out)
	}
	must("mode", "lite", "--reason", "drill")
	first := next(t, got)
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.cmd.Wait() // it was killed
	p = serveProcess(t, data, "--webhook-networks", "127.0.0.0/8")
	if again := next(t, got); again.First != first.First || again.Last != first.Last || body(again) != body(first) {
		t.Errorf("sent again as\n%s\nwas\n%s", again.raw, first.raw)
	}
	saved := filepath.Join(dir, "request.txt")
	for raw, want := range map[string]string{first.raw: "genuine: whk_2-3-3", strings.Replace(first.raw, "drill", "other", 1): ""} {
		if err := os.WriteFile(saved, []byte(raw), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := runVerb(t, "webhook", "verify", saved, "--secret-file", secretFile)
		if (err == nil) != (want != "") || !strings.HasPrefix(out, want) {
			t.Errorf("verify says %q, %v; want %q", out, err, want)
		}
	}
	if out := must("webhook", "list"); !strings.Contains(out, "whk_2  active  "+url+"  events=mode_set") {
		t.Errorf("listed as %s", out)
	}
	if out := must("webhook", "rotate", "whk_2"); !strings.Contains(out, "secret, shown this once: whsec_") {
		t.Errorf("rotated: %s", out)
	}
	for _, verb := range [][]string{{"pause", "whk_2", "--reason", "drill"}, {"resume", "whk_2"}, {"test", "whk_2"}, {"replay", "whk_2", "--from", "1"}, {"show", "whk_2"}, {"delete", "whk_2"}} {
		must(append([]string{"webhook"}, verb...)...)
	}
	if out := must("webhook", "list"); out != "" {
		t.Errorf("after its end: %s", out)
	}
}

// TestAttemptsSurviveKill: what came of each attempt is known after a kill, and the server
// that comes goes on with it; with the webhook it is gone.
func TestAttemptsSurviveKill(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	admin := filepath.Join(data, adminKeyFile)
	busy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }))
	defer busy.Close()
	p := serveProcess(t, data, "--webhook-networks", "127.0.0.0/8")
	attempts := func() (all []client.Attempt) {
		t.Helper()
		out, err := p.mbp(t, admin, "webhook", "show", "whk_2", "--json")
		var w client.WebhookAt
		if err = errors.Join(err, json.Unmarshal([]byte(out), &w)); err != nil {
			t.Fatalf("%v %s", err, out)
		}
		if w.Delivery != nil {
			all = w.Delivery.Attempts
		}
		return all
	}
	for _, args := range [][]string{{"webhook", "add", busy.URL, "--events", "mode_set"}, {"mode", "lite", "--reason", "drill"}} {
		if out, err := p.mbp(t, admin, args...); err != nil {
			t.Fatalf("%v %s", err, out)
		}
	}
	waitFor(t, "two attempts", func() bool { return len(attempts()) >= 2 })
	before := attempts()
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.cmd.Wait() // it was killed
	p = serveProcess(t, data, "--webhook-networks", "127.0.0.0/8")
	waitFor(t, "another attempt", func() bool { return len(attempts()) > len(before) })
	if after := attempts(); !slices.Equal(after[len(after)-len(before):], before) || before[0].Status != http.StatusServiceUnavailable {
		t.Errorf("after the kill: %+v, before: %+v", after, before)
	}
	name := filepath.Join(data, "webhooks", "whk_2.attempts")
	if _, err := os.Stat(name); err != nil {
		t.Error(err)
	}
	if out, err := p.mbp(t, admin, "webhook", "delete", "whk_2"); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	waitFor(t, "the end of the attempts", func() bool { _, err := os.Stat(name); return errors.Is(err, os.ErrNotExist) })
}

func body(m told) string { return m.raw[strings.Index(m.raw, "\r\n\r\n"):] }

func next(t *testing.T, got chan told) told {
	t.Helper()
	select {
	case m := <-got:
		return m
	case <-time.After(30 * time.Second):
		t.Fatal("nothing comes")
		return told{}
	}
}

// runVerb runs a verb that needs no server.
func runVerb(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out strings.Builder
	err := run(t.Context(), args, &out, io.Discard)
	return out.String(), err
}

// TestWebhookKey: a server makes the key once; with webhooks on record and no key it
// starts, says so, and sends nothing; another key is never made in its place.
func TestWebhookKey(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	admin := filepath.Join(data, adminKeyFile)
	p := serveProcess(t, data)
	if _, err := p.mbp(t, admin, "webhook", "add", "https://hooks.example.org/"); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.cmd.Wait() // it was killed
	key := filepath.Join(data, webhookKeyFile)
	if err := os.Rename(key, key+".away"); err != nil {
		t.Fatal(err)
	}
	p = serveProcess(t, data)
	waitFor(t, "the word that webhooks are told nothing", func() bool { return strings.Contains(p.logs.String(), "webhooks are told nothing") })
	if _, err := os.Stat(key); err == nil {
		t.Error("another key was made")
	}
	if out, err := p.mbp(t, admin, "webhook", "add", "https://hooks.example.org/2"); err == nil || !strings.Contains(err.Error(), "webhook.key") {
		t.Errorf("%s: %v", out, err)
	}
	if out, err := p.mbp(t, admin, "webhook", "list", "--json"); err != nil || strings.Contains(out, "delivery") {
		t.Errorf("%s: %v", out, err)
	}
}

// TestNetworks reads the list of --webhook-networks.
func TestNetworks(t *testing.T) {
	for text, want := range map[string]int{"": 0, "10.1.0.0/16": 1, " 10.0.0.0/8, ::1/128 ,": 2, "10.1.0.1/16": -1, "10.0.0.1": -1, "x": -1} {
		got, err := networks(text)
		if (err == nil) != (want >= 0) || err == nil && len(got) != want {
			t.Errorf("%q: %v %v", text, got, err)
		}
	}
	c := defaultConfig()
	if c.HookNetworks = "x"; c.Validate() == nil {
		t.Error("a network that is none passes")
	}
}
