package certs

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mbp-market/mbp/tests/idp"
)

func write(t *testing.T, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func number(t *testing.T, p *Pair) int64 {
	t.Helper()
	c, err := p.get(nil)
	if err != nil {
		t.Fatal(err)
	}
	return c.Leaf.SerialNumber.Int64()
}

// TestRenewal: a pair that was changed counts a moment later; one that does not fit
// never does.
func TestRenewal(t *testing.T) {
	var log bytes.Buffer
	dir, now := t.TempDir(), time.Now()
	later := now.Add(time.Hour)
	cert, key := idp.Certificate(t, dir, 1, later)
	p, err := Open(cert, key, slog.New(slog.NewTextHandler(&log, nil)), func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	see := func(what string, want int64) {
		t.Helper()
		if now = now.Add(look); number(t, p) != want {
			t.Errorf("%s: certificate %d is used", what, number(t, p))
		}
	}
	see("as it was", 1)
	idp.Certificate(t, dir, 2, later)
	if number(t, p) != 1 {
		t.Error("the files are looked at more often than they need be")
	}
	see("renewed", 2)
	good, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, key, good[:50])
	see("a key that is half written", 2)
	see("and again", 2)
	if failed, _ := p.state(); !failed {
		t.Error("a pair that does not fit, and the metric says nothing")
	}
	if told := strings.Count(log.String(), "is not used"); told != 1 {
		t.Errorf("told %d times:\n%s", told, log.String())
	}
	write(t, key, good)
	see("the same as before", 2)
	if failed, _ := p.state(); failed {
		t.Error("the pair is whole again, and the metric says otherwise")
	}
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	see("no key", 2)
	if failed, left := p.state(); !failed || left <= 0 || left > 3600 {
		t.Errorf("without a key: failed %v, %v s left", failed, left)
	}
	idp.Certificate(t, dir, 4, later)
	see("renewed again", 4)
	if strings.Contains(log.String(), "PRIVATE") {
		t.Error("the log holds a key")
	}
}

func TestRefused(t *testing.T) {
	dir := t.TempDir()
	cert, key := idp.Certificate(t, dir, 1, time.Now().Add(time.Hour))
	other, _ := idp.Certificate(t, t.TempDir(), 2, time.Now().Add(time.Hour))
	old, oldKey := idp.Certificate(t, t.TempDir(), 3, time.Now().Add(-time.Minute))
	for what, pair := range map[string][2]string{
		"no file": {filepath.Join(dir, "none"), key}, "another key": {other, key}, "expired": {old, oldKey}, "the key twice": {key, key},
	} {
		if _, err := Open(pair[0], pair[1], slog.New(slog.DiscardHandler), nil); err == nil {
			t.Errorf("%s passes", what)
		}
	}
	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(cert, key, slog.New(slog.DiscardHandler), nil); err == nil {
		t.Error("a key that anybody may read passes")
	}
}

// TestVersions: what is spoken, and what is not.
func TestVersions(t *testing.T) {
	cert, key := idp.Certificate(t, t.TempDir(), 1, time.Now().Add(time.Hour))
	p, err := Open(cert, key, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(p.pair.Leaf)
	for version, want := range map[uint16]bool{tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		a, b := net.Pipe()
		server := tls.Server(a, p.Config())
		go func() { _ = server.Handshake(); _ = a.Close() }()
		client := tls.Client(b, &tls.Config{
			RootCAs: roots, ServerName: "127.0.0.1", MinVersion: version, MaxVersion: version, NextProtos: []string{"h2", "http/1.1"},
		})
		err := client.Handshake()
		if (err == nil) != want {
			t.Errorf("version %x: %v", version, err)
		}
		if s := client.ConnectionState(); want && s.NegotiatedProtocol != "http/1.1" {
			t.Errorf("version %x speaks %q", version, s.NegotiatedProtocol)
		}
		_ = b.Close()
	}
}
