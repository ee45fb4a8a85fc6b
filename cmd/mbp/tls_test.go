package main

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mbp-market/mbp/tests/idp"
)

// TestHangup: on SIGHUP a certificate is used that looks unchanged by size and time; one
// that is torn is not, and is told, and the one before goes on; handshakes are real.
func TestHangup(t *testing.T) {
	dir := t.TempDir()
	cert, key := idp.Certificate(t, dir, 1, time.Now().Add(time.Hour))
	p := serveProcess(t, filepath.Join(dir, "data"), "--tls-cert", cert, "--tls-key", key)
	serial := func() int64 {
		t.Helper()
		c, err := tls.Dial("tcp", strings.TrimPrefix(p.url, "https://"), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	hangup := func(says string) {
		t.Helper()
		before := strings.Count(p.logs.String(), says)
		if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		waitFor(t, says, func() bool { return strings.Count(p.logs.String(), says) > before })
	}
	if got := serial(); got != 1 {
		t.Fatalf("certificate %d", got)
	}
	hangup("is the same")
	idp.Certificate(t, dir, 2, time.Now().Add(time.Hour))
	hangup("not_after")
	if got := serial(); got != 2 {
		t.Errorf("after the change certificate %d", got)
	}
	if err := os.WriteFile(cert, []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	hangup("is not used")
	if got := serial(); got != 2 {
		t.Errorf("after a torn file certificate %d", got)
	}
	idp.Certificate(t, dir, 3, time.Now().Add(time.Hour))
	hangup("not_after")
	if got := serial(); got != 3 {
		t.Errorf("after it was mended certificate %d", got)
	}
}

// TestPlainHTTP: the series of the certificate are there without one, and say nothing.
func TestPlainHTTP(t *testing.T) {
	r := runPlatform(t)
	w := httptest.NewRecorder()
	r.api.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, want := range []string{"mbp_tls_reload_failed 0", "mbp_tls_certificate_left_seconds +Inf"} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("there is no %s", want)
		}
	}
	if err := r.shut(10 * time.Second); err != nil {
		t.Error(err)
	}
}
